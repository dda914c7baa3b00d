//! Plain TCP, for answers too long for a datagram (RFC 7766).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{Doorkeeper, serve};
use crate::metrics::Transport;

/// How long to rest when no connection can be accepted, as when the process is
/// out of descriptors: spinning would take the CPU from those that are open.
const REST: Duration = Duration::from_millis(100);

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

/// Accepts for ever. A failed accept is rested over, never the end.
pub async fn accept(listener: TcpListener, doorkeeper: Arc<Doorkeeper>) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        if let Some(leave) = doorkeeper.admit(from.ip()) {
            tokio::spawn(serve(stream, from, Transport::Tcp, leave));
        }
    }
}
