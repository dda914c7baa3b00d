//! Listening and accepting, and plain TCP, for answers too long for a datagram
//! (RFC 7766).

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::doorkeeper::{Admission, Doorkeeper};
use super::proxy::{self, Header};
use super::serve;
use crate::dns::pipeline::{From, Origin};
use crate::metrics::Transport;

/// How long to rest when no connection can be accepted, as when the process is
/// out of descriptors: spinning would take the CPU from those that are open.
const REST: Duration = Duration::from_millis(100);

/// A connection that was let in.
pub(super) struct Guest {
    pub(super) stream: TcpStream,
    /// The other end.
    pub(super) address: SocketAddr,
    /// Whom a router at the other end speaks for.
    pub(super) source: Option<IpAddr>,
    pub(super) leave: Admission,
}

/// Binds a listener. Sharing the port lets a new process take over from an old
/// one.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        let socket = socket2::Socket::new(
            socket2::Domain::IPV6,
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_only_v6(true)?;
        socket.set_nonblocking(true)?;
        tokio::net::TcpSocket::from_std_stream(socket.into())
    };
    socket.set_reuseaddr(true)?;
    // Inherited by what is accepted: without it a reply waits for the
    // acknowledgement of the one before.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Accepts for ever.
pub async fn accept(listener: TcpListener, doorkeeper: Arc<Doorkeeper>) {
    let serve_guest = |guest: Guest| async move {
        let origin = guest.source.map(|source| {
            Arc::new(Origin {
                client_id: None,
                proxy_source: Some(source),
            })
        });
        let from = From::stream(guest.address, Transport::Tcp, origin);
        serve(guest.stream, from, guest.leave).await;
    };
    accept_each(listener, doorkeeper, Transport::Tcp, serve_guest).await;
}

/// Accepts for ever, each connection on a task of its own. A failed accept is
/// rested over, never the end.
pub(super) async fn accept_each<F>(
    listener: TcpListener,
    doorkeeper: Arc<Doorkeeper>,
    transport: Transport,
    serve_guest: impl Fn(Guest) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let Some(leave) = doorkeeper.admit(address.ip(), transport) else {
            continue;
        };
        let serve_guest = serve_guest.clone();
        tokio::spawn(async move {
            if let Some(guest) = Guest::let_in(stream, address, leave).await {
                serve_guest(guest).await;
            }
        });
    }
}

impl Guest {
    /// Hears a router out about whom it speaks for; others come as they are.
    async fn let_in(stream: TcpStream, address: SocketAddr, leave: Admission) -> Option<Self> {
        let mut guest = Self {
            stream,
            address,
            source: None,
            leave,
        };
        let doorkeeper = Arc::clone(&guest.leave.doorkeeper);
        if !doorkeeper.is_router(address.ip()) {
            return Some(guest);
        }
        let header = timeout(doorkeeper.limits.idle, proxy::take(&mut guest.stream));
        guest.source = match header.await.ok()?.ok()? {
            None | Some(Header::Local) => None,
            Some(Header::For(source)) => Some(source),
            // The questions are not the router's own, so what is in them is
            // not its word: it counts as a source of its own.
            Some(Header::ForSomebody) => Some(address.ip()),
        };
        match guest.source {
            Some(source) if !guest.leave.is_for(source) => None,
            _ => Some(guest),
        }
    }
}
