//! Who is asked for what.

use std::net::SocketAddr;

use crate::name::{Name, NameRef};

/// One upstream server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it is only spoken to over TCP.
    pub tcp_only: bool,
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
