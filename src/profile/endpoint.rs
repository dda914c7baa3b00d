//! Where devices reach this resolver over encryption, and what one device calls
//! itself there.

use std::net::IpAddr;

/// The port of DNS over TLS and QUIC (RFC 7858, RFC 9250).
pub const DOT_PORT: u16 = 853;
const HTTPS_PORT: u16 = 443;

/// Where it is asked over encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its own name, which stands in the certificate.
    pub name: String,
    /// The path of DNS over HTTPS, such as `/dns-query`.
    pub path: String,
    /// The port of DNS over HTTPS, if it is asked over that.
    pub https: Option<u16>,
    /// The port of DNS over TLS.
    pub tls: Option<u16>,
    /// The port of DNS over QUIC.
    pub quic: Option<u16>,
    /// Its addresses, as devices reach them.
    pub addresses: Vec<IpAddr>,
}

/// The device that a profile is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its id in devices.csv.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
    /// What it calls itself over an encrypted transport: a secret.
    pub client_id: String,
    /// Whose it is.
    pub school: String,
}

impl Endpoint {
    /// The address of DNS over HTTPS with a device's id in it.
    #[must_use]
    pub fn url(&self, client_id: &str) -> Option<String> {
        let (name, path) = (&self.name, self.path.trim_end_matches('/'));
        Some(match self.https? {
            HTTPS_PORT => format!("https://{name}{path}/{client_id}"),
            port => format!("https://{name}:{port}{path}/{client_id}"),
        })
    }

    /// The host name of DNS over TLS with a device's id in it. Phones and iPads
    /// ask the one port only.
    #[must_use]
    pub fn host(&self, client_id: &str) -> Option<String> {
        let port = self.tls?;
        (port == DOT_PORT).then(|| format!("{client_id}.{}", self.name))
    }
}

impl Subject {
    /// What people see it called.
    #[must_use]
    pub fn called(&self) -> &str {
        if self.name.is_empty() {
            &self.id
        } else {
            &self.name
        }
    }
}
