//! Who is asked for what, and how.

use std::net::{Ipv4Addr, SocketAddr};

use rustls::pki_types::ServerName;

use crate::name::{Name, NameRef};

/// One upstream server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub way: Way,
    /// Who its certificate must be for.
    pub certificate: ServerName<'static>,
    /// The path of its HTTPS endpoint; empty for other ways.
    pub path: Box<str>,
    /// As it stands in the settings, for messages and metrics.
    pub label: Box<str>,
}

impl Server {
    /// What stands for the servers of the root and of everybody.
    #[must_use]
    pub fn recursion() -> Self {
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        Self {
            address: nowhere,
            way: Way::Recursion,
            certificate: ServerName::from(nowhere.ip()),
            path: Box::default(),
            label: "recursion".into(),
        }
    }
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By datagrams; an answer that does not fit comes by TCP.
    Udp,
    /// TCP (RFC 7766).
    Tcp,
    /// TLS (RFC 7858).
    Tls,
    /// HTTP/2 (RFC 8484).
    Https,
    /// QUIC (RFC 9250).
    Quic,
    /// Not one server: the names' own are asked, from the root's down.
    Recursion,
}

impl Way {
    /// Whether nobody on the way can read or forge an answer.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

/// Who is asked for what.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// Every server.
    pub all: Vec<Server>,
    /// Those asked for everything that no zone says otherwise.
    pub default: Vec<usize>,
    /// Conditional zones and their servers.
    pub zones: Vec<(Name, Vec<usize>)>,
}

impl Servers {
    /// The servers of the longest conditional zone that holds the name.
    pub(super) fn of(&self, name: &[u8]) -> &[usize] {
        if self.zones.is_empty() {
            return &self.default;
        }
        let Some(name) = NameRef::from_wire(name) else {
            return &self.default;
        };
        let zones = self.zones.iter();
        let zone = zones
            .filter(|(zone, _)| name.is_within(zone.as_ref()))
            .max_by_key(|(zone, _)| zone.as_ref().label_count());
        zone.map_or(&self.default, |(_, servers)| servers)
    }
}
