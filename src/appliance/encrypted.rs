//! The encrypted listeners, put together: sockets, certificate, handshakes.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use tokio::net::TcpListener;

use super::certificate::Keeper;
use super::listen::{listen_encrypted, listen_quic};
use crate::dns::streams::certificate::Certificates;
use crate::dns::streams::{Doorkeeper, https, https3, quic, tls};
use crate::settings::Settings;

/// Listeners that wait to be started.
pub(super) struct Encrypted {
    certificates: Arc<Certificates>,
    tls: Vec<(SocketAddr, TcpListener)>,
    https: Vec<(SocketAddr, TcpListener)>,
    quic: Vec<(SocketAddr, UdpSocket)>,
    https3: Vec<(SocketAddr, UdpSocket)>,
    path: Arc<str>,
}

impl Encrypted {
    /// Takes the ports.
    pub(super) fn listen(settings: &Settings) -> anyhow::Result<Self> {
        let listen = &settings.listen;
        Ok(Self {
            certificates: Certificates::new(settings.tls.name.as_ref()),
            tls: listen_encrypted(&listen.tls, "TLS")?,
            https: listen_encrypted(&listen.https, "HTTPS")?,
            quic: listen_quic(&listen.quic, "QUIC")?,
            https3: listen_quic(&listen.https3, "HTTP/3")?,
            path: settings.tls.path.as_str().into(),
        })
    }

    /// The settings with every port of these listeners a real one.
    pub(super) fn as_bound(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        settings.listen.tls = self.tls.iter().map(|(address, _)| *address).collect();
        settings.listen.https = self.https.iter().map(|(address, _)| *address).collect();
        settings.listen.quic = self.quic.iter().map(|(address, _)| *address).collect();
        settings.listen.https3 = self.https3.iter().map(|(address, _)| *address).collect();
        settings
    }

    /// Whoever looks after the certificate, if one is needed.
    pub(super) fn keeper(&self, settings: &Settings) -> Option<Keeper> {
        let is_needed = settings.listen.encrypted().next().is_some();
        is_needed.then(|| Keeper::new(settings, &self.certificates))?
    }

    /// Lets clients in; gives a line for each listener.
    pub(super) fn start(self, doorkeeper: &Arc<Doorkeeper>) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        let config = self.certificates.config(tls::ALPN)?;
        let at_https3: Vec<SocketAddr> = self.https3.iter().map(|(at, _)| *at).collect();
        for (address, listener) in self.tls {
            lines.push(format!("DNS over TLS on {address}"));
            let certificates = Arc::clone(&self.certificates);
            tokio::spawn(tls::accept(
                listener,
                Arc::clone(doorkeeper),
                certificates,
                Arc::clone(&config),
            ));
        }
        let config = self.certificates.config(https::ALPN)?;
        for (address, listener) in self.https {
            lines.push(format!("DNS over HTTPS on https://{address}{}", self.path));
            let site = https::Site {
                path: Arc::clone(&self.path),
                config: Arc::clone(&config),
                certificates: Arc::clone(&self.certificates),
                https3: at_https3
                    .iter()
                    .find(|other| other.ip() == address.ip())
                    .map(SocketAddr::port),
            };
            let doorkeeper = Arc::clone(doorkeeper);
            tokio::spawn(https::accept(listener, doorkeeper, Arc::new(site)));
        }
        let config = self.certificates.config(quic::ALPN)?;
        for (address, socket) in self.quic {
            lines.push(format!("DNS over QUIC on {address}"));
            let endpoint = quic::endpoint(socket, Arc::clone(&config), doorkeeper, 0)?;
            let certificates = Arc::clone(&self.certificates);
            let accepting = quic::accept(endpoint, Arc::clone(doorkeeper), certificates);
            tokio::spawn(until_lost(accepting, address, "QUIC"));
        }
        let config = self.certificates.config(https3::ALPN)?;
        for (address, socket) in self.https3 {
            lines.push(format!("DNS over HTTP/3 on https://{address}{}", self.path));
            let config = Arc::clone(&config);
            let accepting = https3::accept(
                quic::endpoint(socket, config, doorkeeper, https3::ONE_WAY)?,
                Arc::clone(doorkeeper),
                Arc::clone(&self.certificates),
                Arc::clone(&self.path),
            );
            tokio::spawn(until_lost(accepting, address, "HTTP/3"));
        }
        Ok(lines)
    }
}

/// quinn gives a socket up for good when reading from it fails; that is said,
/// for the rest serves on.
async fn until_lost(accepting: impl Future<Output = ()>, address: SocketAddr, what: &str) {
    accepting.await;
    tracing::error!("no longer answering over {what} on {address}: its socket failed");
}
