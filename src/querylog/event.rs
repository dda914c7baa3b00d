//! One finished query, as the log needs it.
//!
//! An event borrows: from the policy that decided, from the packet that asked.
//! The recorder copies what it keeps, so that making an event costs no
//! allocation. Exactly one is made for each answered query, in
//! `dns/pipeline.rs` and nowhere else.

use std::net::IpAddr;

use jiff::Timestamp;

use crate::lists::category::{Category, CategorySet};
use crate::mac::Mac;
use crate::name::NameRef;
use crate::policy::decision::{Layer, LogLevel, Verdict};

/// One finished query.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// When it was answered.
    pub time: Timestamp,
    /// Whether the clock was known to be right (R-133g).
    pub time_trusted: bool,
    /// The device's id in the inventory.
    pub device: Option<&'a str>,
    /// What the device was called at that time: its name in the inventory, else
    /// the host name of its DHCP lease.
    pub device_name: Option<&'a str>,
    /// Its hardware address, if known.
    pub mac: Option<Mac>,
    /// Its address, or the router's where nothing better is known.
    pub ip: IpAddr,
    /// Its group.
    pub group: &'a str,
    /// The asked name, in lower case.
    pub name: NameRef<'a>,
    /// The asked type.
    pub rtype: u16,
    /// What happened.
    pub action: Verdict,
    /// Which layer decided.
    pub layer: Layer,
    /// The category that decided.
    pub category: Option<Category>,
    /// Every category the name is in.
    pub categories: CategorySet,
    /// The source the block is laid to.
    pub source: Option<&'a str>,
    /// The number of the policy that decided.
    pub policy: u64,
    /// How much of the group's allowed look-ups is written down.
    pub level: LogLevel,
}
