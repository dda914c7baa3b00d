//! DNS over QUIC: a stream for each question, with its length in front and the
//! id 0 (RFC 9250 sections 4.2 and 4.2.1).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout, TransportConfig, VarInt};
use tokio::sync::mpsc;

use super::errand::Errand;
use super::line::{IDLE, Wire};
use super::streams::{self, Trouble};
use super::trust::Trust;
use crate::dns::upstream::servers::Server;

/// A DNS message is no longer, its length included.
const MOST: usize = 2 + u16::MAX as usize;

/// A QUIC connection; the socket lives as long.
pub(super) struct Session {
    connection: Connection,
    endpoint: Endpoint,
}

/// Dials the server.
pub(super) async fn dial(server: &Server, trust: &Trust) -> io::Result<Session> {
    let crypto = QuicClientConfig::try_from(trust.client(b"doq")).map_err(io::Error::other)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    // The server has no reason to open one.
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.max_idle_timeout(IdleTimeout::try_from(IDLE).ok());
    config.transport_config(Arc::new(transport));
    let any: IpAddr = match server.address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = Endpoint::client((any, 0).into())?;
    let name = server.certificate.to_str();
    let connecting = endpoint.connect_with(config, server.address, &name);
    let connection = connecting.map_err(io::Error::other)?.await?;
    Ok(Session {
        connection,
        endpoint,
    })
}

/// Asks over the connection what comes in.
pub(super) async fn talk(session: Session, errands: mpsc::Receiver<Errand>, wire: Arc<Wire>) {
    let connection = session.connection.clone();
    let exchange = move |packet| exchange(connection.clone(), packet);
    streams::talk(exchange, errands, wire).await;
    // DOQ_NO_ERROR (RFC 9250 section 4.3).
    session.connection.close(VarInt::from_u32(0), b"");
    session.endpoint.wait_idle().await;
}

async fn exchange(connection: Connection, packet: Vec<u8>) -> Result<Vec<u8>, Trouble> {
    let length = u16::try_from(packet.len()).map_err(|_| Trouble::Refused)?;
    let framed = [&length.to_be_bytes()[..], &packet].concat();
    let opened = connection.open_bi().await;
    let (mut sender, mut receiver) = opened.map_err(|_| Trouble::Lost)?;
    let sent = sender.write_all(&framed).await;
    sent.map_err(|_| Trouble::Lost)?;
    sender.finish().map_err(|_| Trouble::Lost)?;
    let answer = receiver.read_to_end(MOST).await;
    let answer = answer.map_err(|_| match connection.close_reason() {
        Some(_) => Trouble::Lost,
        None => Trouble::Refused,
    })?;
    let message = answer.split_first_chunk::<2>();
    let (length, message) = message.ok_or(Trouble::Refused)?;
    let whole = usize::from(u16::from_be_bytes(*length)) == message.len();
    whole.then(|| message.to_vec()).ok_or(Trouble::Refused)
}
