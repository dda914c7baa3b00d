//! The encrypted listeners, put together: sockets, certificate, handshakes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::certificate::Keeper;
use super::listen::listen_encrypted;
use crate::dns::streams::certificate::Certificates;
use crate::dns::streams::{Doorkeeper, https, tls};
use crate::settings::Settings;

/// Listeners that wait to be started.
pub(super) struct Encrypted {
    certificates: Arc<Certificates>,
    tls: Vec<(SocketAddr, TcpListener)>,
    https: Vec<(SocketAddr, TcpListener)>,
    path: String,
}

impl Encrypted {
    /// Takes the ports.
    pub(super) fn listen(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            certificates: Certificates::new(settings.tls.name.as_ref()),
            tls: listen_encrypted(&settings.listen.tls, "TLS")?,
            https: listen_encrypted(&settings.listen.https, "HTTPS")?,
            path: settings.tls.path.clone(),
        })
    }

    /// The settings with every port of these listeners a real one.
    pub(super) fn as_bound(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        settings.listen.tls = self.tls.iter().map(|(address, _)| *address).collect();
        settings.listen.https = self.https.iter().map(|(address, _)| *address).collect();
        settings
    }

    /// Whoever looks after the certificate, if one is needed.
    pub(super) fn keeper(&self, settings: &Settings) -> Option<Keeper> {
        let is_needed = !self.tls.is_empty() || !self.https.is_empty();
        is_needed.then(|| Keeper::new(settings, &self.certificates))?
    }

    /// Lets clients in; gives a line for each listener.
    pub(super) fn start(self, doorkeeper: &Arc<Doorkeeper>) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        let config = self.certificates.config(tls::ALPN)?;
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
        let site = Arc::new(https::Site {
            path: self.path,
            config: self.certificates.config(https::ALPN)?,
            certificates: self.certificates,
        });
        for (address, listener) in self.https {
            let path = &site.path;
            lines.push(format!("DNS over HTTPS on https://{address}{path}"));
            tokio::spawn(https::accept(
                listener,
                Arc::clone(doorkeeper),
                Arc::clone(&site),
            ));
        }
        Ok(lines)
    }
}
