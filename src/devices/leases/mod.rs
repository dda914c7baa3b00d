//! What the school's DHCP server says: which hardware address and host name
//! hold an address right now.
//!
//! One immutable table, read afresh whenever the server's file changes (see
//! [`watch`]) and swapped whole. A lease past its end counts as none: the
//! address may be somebody else's by now (D28). What a host calls itself is its
//! own word; names are shown, never used to decide.
//!
//! The files are other programs' and often caught half-written: no line of
//! theirs may stop the reading of the next.

use std::net::IpAddr;

use jiff::Timestamp;

use super::keys::{self, Table};
use crate::document::{Complaint, Place};
use crate::mac::Mac;

mod dnsmasq;
mod isc;
mod kea;
pub mod watch;

/// How a DHCP server writes its leases down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// dnsmasq's `dnsmasq.leases`; OpenWrt's `/tmp/dhcp.leases`.
    Dnsmasq,
    /// Kea's memfile, `kea-leases4.csv` or `kea-leases6.csv`.
    Kea,
    /// ISC dhcpd's `dhcpd.leases`.
    Isc,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Dnsmasq, Self::Kea, Self::Isc];

    /// The word in `schoolgate.toml`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Dnsmasq => "dnsmasq",
            Self::Kea => "kea",
            Self::Isc => "isc",
        }
    }
}

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub ip: IpAddr,
    /// Who holds it, if the server knows.
    pub mac: Option<Mac>,
    /// What it calls itself.
    pub host: Option<Box<str>>,
    /// When it ends; `None`: never, or when the server takes it out.
    pub expires: Option<Timestamp>,
}

/// The leases of one or more servers.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    leases: Vec<Lease>,
    by_ip: Table<u128, u32>,
}

/// What one file said, line by line.
#[derive(Debug, Default)]
pub struct Read {
    /// In the order of the file; `None` takes back what was said of the
    /// address before.
    pub changes: Vec<(IpAddr, Option<Lease>)>,
    /// The first complaints; they name lines, never what stands there.
    pub complaints: Vec<Complaint>,
    /// How many lines or blocks were not understood.
    pub bad: usize,
}

/// So many complaints of one file are kept; the rest are only counted.
const MOST_COMPLAINTS: usize = 20;

/// Reads one file's text.
#[must_use]
pub fn read(file: &str, format: Format, text: &str) -> Read {
    match format {
        Format::Dnsmasq => dnsmasq::read(file, text),
        Format::Kea => kea::read(file, text),
        Format::Isc => isc::read(file, text),
    }
}

impl Leases {
    /// The table of several readings; what is said later wins.
    #[must_use]
    pub fn new<'r>(readings: impl IntoIterator<Item = &'r Read>) -> Self {
        let mut last: Table<u128, &Lease> = Table::default();
        for (ip, lease) in readings.into_iter().flat_map(|read| &read.changes) {
            match lease {
                Some(lease) => last.insert(keys::ip(*ip), lease),
                None => last.remove(&keys::ip(*ip)),
            };
        }
        let mut table = Self::default();
        for (index, (key, lease)) in (0..u32::MAX).zip(last) {
            table.by_ip.insert(key, index);
            table.leases.push(lease.clone());
        }
        table
    }

    /// The lease that holds an address now.
    #[must_use]
    pub fn at(&self, ip: IpAddr, now: Timestamp) -> Option<u32> {
        let handle = *self.by_ip.get(&keys::ip(ip))?;
        let is_over = self.lease(handle)?.expires.is_some_and(|end| end <= now);
        (!is_over).then_some(handle)
    }

    /// Every lease, ended ones included, in no order.
    #[must_use]
    pub fn all(&self) -> &[Lease] {
        &self.leases
    }

    /// The lease of a handle.
    #[must_use]
    pub fn lease(&self, handle: u32) -> Option<&Lease> {
        self.leases.get(usize::try_from(handle).ok()?)
    }

    /// Who holds it.
    #[must_use]
    pub fn mac(&self, handle: u32) -> Option<Mac> {
        self.lease(handle)?.mac
    }

    /// What the holder calls itself.
    #[must_use]
    pub fn host(&self, handle: u32) -> Option<&str> {
        self.lease(handle)?.host.as_deref()
    }

    /// How many addresses there are, ended leases included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

impl Read {
    fn keep(&mut self, lease: Lease) {
        self.changes.push((lease.ip, Some(lease)));
    }

    fn drop(&mut self, ip: IpAddr) {
        self.changes.push((ip, None));
    }

    fn complain(&mut self, file: &str, line: usize, message: &str) {
        self.bad += 1;
        if self.complaints.len() < MOST_COMPLAINTS {
            let file = file.to_owned();
            self.complaints.push(Complaint {
                place: Place { file, line },
                message: message.to_owned(),
            });
        }
    }
}

/// A host name as servers write it: `*` and nothing mean none. Whatever a
/// device sends ends up here, so only what can be shown in one line is kept.
fn host_name(text: &str) -> Option<Box<str>> {
    let text = text.trim().trim_end_matches('.');
    let is_shown = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
    (is_shown && text != "*").then(|| text.into())
}

/// An instant in seconds since 1970.
fn seconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_an_address_counts_until_it_ends() {
        let ip: IpAddr = "10.0.0.5".parse().unwrap();
        let lease = |host: &str, expires| Lease {
            ip,
            mac: None,
            host: host_name(host),
            expires: seconds(expires),
        };
        let now = seconds("1000").unwrap();
        let mut read = Read::default();
        read.keep(lease("old", "3000"));
        read.keep(lease("new", "2000"));
        let table = Leases::new([&read]);
        let found = table.at("::ffff:10.0.0.5".parse().unwrap(), now).unwrap();
        assert_eq!(table.host(found), Some("new"));
        assert_eq!(table.at(ip, seconds("2000").unwrap()), None);
        read.drop(ip);
        assert!(Leases::new([&read]).is_empty());
    }

    #[test]
    fn complaints_are_counted_beyond_those_kept() {
        let mut read = Read::default();
        for line in 0..100 {
            read.complain("f", line, "bad");
        }
        assert_eq!((read.bad, read.complaints.len()), (100, MOST_COMPLAINTS));
    }
}
