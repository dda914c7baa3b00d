//! DNS over TLS (RFC 7858), and the handshake that DNS over HTTPS begins with.
//!
//! A handshake costs more than an answer, and all of them share one thread: it
//! is begun only with leave, so many a second for each client, and ended when
//! the client keeps it waiting.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::Certificates;
use super::doorkeeper::{Admission, Doorkeeper};
use super::serve;
use super::tcp::{Guest, accept_each};
use crate::devices::client_id::ClientId;
use crate::dns::pipeline::{From, Origin};
use crate::metrics::Transport;

/// What the protocol is called in a handshake (RFC 7858 section 3.1).
pub const ALPN: &[&[u8]] = &[b"dot"];

/// A guest under TLS.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) address: SocketAddr,
    pub(super) source: Option<IpAddr>,
    /// The id in its server name.
    pub(super) client_id: Option<ClientId>,
    pub(super) leave: Admission,
}

/// Accepts for ever.
pub async fn accept(
    listener: TcpListener,
    doorkeeper: Arc<Doorkeeper>,
    certificates: Arc<Certificates>,
    config: Arc<ServerConfig>,
) {
    let serve_guest = move |guest: Guest| {
        let (certificates, config) = (Arc::clone(&certificates), Arc::clone(&config));
        async move {
            let secured = shake_hands(guest, &certificates, config).await;
            if let Some(guest) = secured {
                let origin = origin(guest.client_id, guest.source);
                let from = From::stream(guest.address, Transport::Tls, origin);
                serve(guest.stream, from, guest.leave).await;
            }
        }
    };
    accept_each(listener, doorkeeper, Transport::Tls, serve_guest).await;
}

/// What a connection tells of who asks; none if that is nothing.
pub(super) fn origin(
    client_id: Option<ClientId>,
    proxy_source: Option<IpAddr>,
) -> Option<Arc<Origin>> {
    let tells = client_id.is_some() || proxy_source.is_some();
    tells.then(|| {
        Arc::new(Origin {
            client_id,
            proxy_source,
        })
    })
}

/// Shakes hands, if the guest may and does.
pub(super) async fn shake_hands(
    guest: Guest,
    certificates: &Certificates,
    config: Arc<ServerConfig>,
) -> Option<Secured> {
    let doorkeeper = Arc::clone(&guest.leave.doorkeeper);
    let client = guest.source.unwrap_or_else(|| guest.address.ip());
    if !doorkeeper.may_shake_hands(client) {
        return None;
    }
    let shaking = TlsAcceptor::from(config).accept(guest.stream);
    let Ok(Ok(stream)) = timeout(doorkeeper.limits.idle, shaking).await else {
        doorkeeper.handshake_failed();
        return None;
    };
    let client_id = certificates.client_id(stream.get_ref().1.server_name());
    Some(Secured {
        client_id: client_id.ok()?,
        stream,
        address: guest.address,
        source: guest.source,
        leave: guest.leave,
    })
}
