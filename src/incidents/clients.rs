//! Who asked lately, as the log knows them: for the page of devices.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::querylog::read::Unreadable;

/// One device as one day's log has it. One that changed its address or group
/// comes once for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id in the inventory.
    pub device: Option<String>,
    /// What it was called.
    pub name: Option<String>,
    /// Its hardware address.
    pub mac: Option<String>,
    /// Its address.
    pub ip: Option<IpAddr>,
    /// Its group.
    pub group: String,
    /// Its last row.
    pub last_seen: Timestamp,
    /// Rows since then; a row may stand for several look-ups.
    pub rows: u64,
}

impl Client {
    /// What incidents call it: the id, else the MAC, else the address.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        let key = self.device.as_ref().or(self.mac.as_ref()).cloned();
        key.or_else(|| self.ip.map(|ip| ip.to_string()))
    }
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// The last seen first.
    pub clients: Vec<Client>,
    /// Days that cannot be read.
    pub damaged: Vec<Unreadable>,
}
