//! Where it is asked: the listeners, and what to say when one cannot be had.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::TcpListener;

use crate::dns::streams;
use crate::dns::udp::Bound;
use crate::settings::Settings;

/// How many ports are tried when any will do.
const PORTS: usize = 16;

/// The listeners for TCP, and the addresses with every port a real one. A port
/// of 0 is chosen here, for UDP too: with TCP no two processes can share it
/// unawares.
pub(super) fn listen_tcp(
    wanted: &[SocketAddr],
) -> anyhow::Result<(Vec<SocketAddr>, Vec<TcpListener>)> {
    let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
    for address in wanted {
        let bind =
            || streams::tcp::bind(*address).map_err(|error| cannot_listen(*address, "TCP", &error));
        let mut listener = bind()?;
        let free = |listener: &TcpListener| Bound::bind(listener.local_addr()?).map(drop);
        // Somebody's question may just be on its way from that port.
        for _ in 0..PORTS {
            if address.port() != 0 || free(&listener).is_ok() {
                break;
            }
            listener = bind()?;
        }
        addresses.push(listener.local_addr()?);
        listeners.push(listener);
    }
    Ok((addresses, listeners))
}

/// The listeners for one kind of encrypted stream, with their addresses.
pub(super) fn listen_encrypted(
    wanted: &[SocketAddr],
    what: &str,
) -> anyhow::Result<Vec<(SocketAddr, TcpListener)>> {
    let bind = |address: &SocketAddr| {
        let listener = streams::tcp::bind(*address);
        let listener = listener.map_err(|error| cannot_listen(*address, what, &error))?;
        Ok((listener.local_addr()?, listener))
    };
    wanted.iter().map(bind).collect()
}

/// The sockets for one kind of connection over QUIC, with their addresses.
pub(super) fn listen_quic(
    wanted: &[SocketAddr],
    what: &str,
) -> anyhow::Result<Vec<(SocketAddr, UdpSocket)>> {
    let bind = |address: &SocketAddr| {
        let socket = streams::quic::bind(*address);
        let socket = socket.map_err(|error| cannot_listen(*address, what, &error))?;
        Ok((socket.local_addr()?, socket))
    };
    wanted.iter().map(bind).collect()
}

/// One worker's listeners; all workers share the ports.
pub(super) fn bind(addresses: &[SocketAddr]) -> anyhow::Result<Vec<Bound>> {
    let bind = |address: &SocketAddr| {
        Bound::bind(*address).map_err(|error| cannot_listen(*address, "UDP", &error))
    };
    addresses.iter().map(bind).collect()
}

/// Why an address cannot be had, and what to do: it is the first thing that
/// goes wrong on a new machine.
pub(super) fn cannot_listen(address: SocketAddr, what: &str, error: &io::Error) -> anyhow::Error {
    let port = address.port();
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program has this port; `ss -lntup 'sport = :{port}'`, as root, names it"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; `ip address` shows those it has".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE, as the systemd unit gives"
                .to_owned()
        }
        _ => error.to_string(),
    };
    anyhow::anyhow!("cannot listen on {address} ({what}): {remedy}")
}

/// What streams may hold, as the settings have it.
pub(super) fn stream_limits(settings: &Settings) -> streams::Limits {
    streams::Limits {
        streams: settings.limits.tcp_connections,
        per_client: settings.limits.tcp_connections_per_client,
        handshakes: settings.limits.tls_handshakes,
        here: settings.clients.allow.clone(),
        routers: settings.clients.routers.clone(),
        pipeline: settings.limits.tcp_pipeline,
        idle: Duration::from_secs(u64::from(settings.limits.tcp_idle)),
    }
}
