//! Which devices there are: those the school has listed, those that hold a DHCP
//! lease, and those that asked today.
//!
//! Three sources that each know something else are laid over one another by the
//! inventory's id, else the hardware address, else the address; that is also
//! what the log calls a device. What was looked up is not read here, only that
//! something was.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::devices::inventory::{Device, Inventory};
use crate::devices::leases::{Lease, Leases};
use crate::incidents::clients::Client;
use crate::mac::Mac;

/// One device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// What the log calls it.
    pub(super) key: String,
    /// Whether the school has listed it.
    pub(super) listed: bool,
    /// What people call it.
    pub(super) name: String,
    /// What it calls itself.
    pub(super) host: Option<String>,
    /// Whose it is, and what.
    pub(super) owner: String,
    pub(super) kind: String,
    pub(super) macs: Vec<Mac>,
    pub(super) addresses: Vec<String>,
    pub(super) group: Option<String>,
    /// Whether its hardware address is one that it made up.
    pub(super) random: bool,
    pub(super) leased: bool,
    pub(super) last_seen: Option<Timestamp>,
    /// Entries of the log since then.
    pub(super) entries: u64,
}

impl Known {
    /// By what it is known, in words.
    pub(super) fn how(&self) -> &'static str {
        match (self.listed, self.leased, self.macs.is_empty()) {
            (true, _, _) => "the school's list",
            (false, true, _) => "its DHCP lease",
            (false, false, false) => "what the router says",
            (false, false, true) => "its address and network only",
        }
    }

    /// Whether any of its words holds `sought`, in lower case.
    pub(super) fn has(&self, sought: &str) -> bool {
        let macs: Vec<String> = self.macs.iter().map(ToString::to_string).collect();
        let optional = [&self.host, &self.group].into_iter().flatten();
        let words = [&self.key, &self.name, &self.owner, &self.kind].into_iter();
        words
            .chain(optional)
            .chain(&macs)
            .chain(&self.addresses)
            .any(|word| word.to_lowercase().contains(sought))
    }
}

/// Everything that is known, those first that somebody should look at: unknown
/// ones with made-up hardware addresses, other unknown ones, and the rest.
pub(super) fn gather(
    inventory: &Inventory,
    group: impl Fn(&Device) -> Option<String>,
    leases: &Leases,
    clients: &[Client],
    now: Timestamp,
) -> Vec<Known> {
    let mut all: HashMap<String, Known> = HashMap::new();
    for device in inventory.devices() {
        all.insert(device.id.clone(), listed(device, group(device)));
    }
    for client in clients {
        let Some(key) = client.key() else {
            continue;
        };
        let known = all.entry(key.clone()).or_insert_with(|| Known {
            key,
            ..Known::default()
        });
        known.saw(client);
    }
    let live = leases.all().iter();
    for lease in live.filter(|lease| lease.expires.is_none_or(|end| end > now)) {
        let row = lease.mac.and_then(|mac| inventory.by_mac(mac));
        let row = row.or_else(|| inventory.by_ip(lease.ip));
        let id = row
            .and_then(|row| inventory.device(row))
            .map(|device| device.id.clone());
        let mac = lease.mac.map(|mac| mac.to_string());
        let key = id.or(mac).unwrap_or_else(|| lease.ip.to_string());
        let known = all.entry(key.clone()).or_insert_with(|| Known {
            key,
            ..Known::default()
        });
        known.leases(lease);
    }
    let mut all: Vec<Known> = all.into_values().collect();
    for known in &mut all {
        known.random = known.macs.iter().any(|mac| mac.is_random());
    }
    all.sort_by(|one, other| {
        let order = |known: &Known| {
            (
                known.listed,
                !known.random,
                std::cmp::Reverse(known.last_seen),
            )
        };
        let by_words = || (&one.name, &one.key).cmp(&(&other.name, &other.key));
        order(one).cmp(&order(other)).then_with(by_words)
    });
    all
}

fn listed(device: &Device, group: Option<String>) -> Known {
    Known {
        key: device.id.clone(),
        listed: true,
        name: device.name.clone(),
        owner: device.owner.clone(),
        kind: device.kind.clone(),
        macs: device.macs.clone(),
        addresses: device.ips.iter().map(ToString::to_string).collect(),
        group,
        ..Known::default()
    }
}

impl Known {
    fn saw(&mut self, client: &Client) {
        let is_later = self.last_seen.is_none_or(|seen| seen <= client.last_seen);
        if is_later {
            self.last_seen = Some(client.last_seen);
            self.group = Some(client.group.clone());
        }
        if let Some(name) = client.name.as_ref().filter(|_| self.name.is_empty()) {
            self.name.clone_from(name);
        }
        self.entries += client.rows;
        let mac = client.mac.as_ref();
        self.add_mac(mac.and_then(|mac| Mac::parse(mac.as_bytes())));
        if let Some(ip) = client.ip {
            self.add_address(ip.to_string());
        }
    }

    fn leases(&mut self, lease: &Lease) {
        self.leased = true;
        self.host = lease.host.as_deref().map(ToOwned::to_owned);
        self.add_mac(lease.mac);
        self.add_address(lease.ip.to_string());
    }

    fn add_mac(&mut self, mac: Option<Mac>) {
        if let Some(mac) = mac.filter(|mac| !self.macs.contains(mac)) {
            self.macs.push(mac);
        }
    }

    fn add_address(&mut self, address: String) {
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::leases::{Format, read};

    #[test]
    fn three_sources_become_one_list_with_the_unknown_first() {
        let csv = "id,name,mac,ip,group,owner,kind\n\
                   ipad-7,iPad 7,00:11:22:33:44:55,,,Year 3,tablet\n\
                   printer,Printer,,10.0.0.9,,,printer\n";
        let (inventory, complaints) = Inventory::parse("devices.csv", csv, |_| None, &[]);
        assert!(complaints.is_empty());
        let text = "4000000000 00:11:22:33:44:55 10.0.0.7 iPad 01\n\
                    4000000000 00:11:22:33:44:66 10.0.0.8 guest-phone 01\n\
                    1700000000 02:00:00:00:00:01 10.0.0.6 gone 01\n";
        let leases = Leases::new([&read("leases", Format::Dnsmasq, text)]);
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let client = |device: Option<&str>, mac: Option<&str>, ip: &str, ago: i64| Client {
            device: device.map(ToOwned::to_owned),
            name: None,
            mac: mac.map(ToOwned::to_owned),
            ip: Some(ip.parse().unwrap()),
            group: "pupil".to_owned(),
            last_seen: now - jiff::SignedDuration::from_secs(ago),
            rows: 2,
        };
        let clients = [
            client(Some("ipad-7"), Some("00:11:22:33:44:55"), "10.0.0.7", 60),
            client(Some("ipad-7"), Some("00:11:22:33:44:55"), "10.0.0.70", 600),
            client(None, Some("06:11:22:33:44:77"), "10.0.0.20", 5),
            client(None, None, "10.0.0.30", 1),
        ];
        let all = gather(
            &inventory,
            |_| Some("staff".to_owned()),
            &leases,
            &clients,
            now,
        );
        let keys: Vec<&str> = all.iter().map(|known| &*known.key).collect();
        assert_eq!(
            keys,
            [
                "06:11:22:33:44:77",
                "10.0.0.30",
                "00:11:22:33:44:66",
                "ipad-7",
                "printer"
            ]
        );
        let of = |key: &str| all.iter().find(|known| known.key == key).unwrap();
        assert!(of("06:11:22:33:44:77").random);
        assert_eq!(of("10.0.0.30").how(), "its address and network only");
        assert_eq!(of("00:11:22:33:44:66").how(), "its DHCP lease");
        let ipad = of("ipad-7");
        assert_eq!((ipad.entries, ipad.addresses.len()), (4, 2));
        assert_eq!(ipad.host.as_deref(), Some("iPad"));
        assert_eq!(ipad.group.as_deref(), Some("pupil"));
        assert!(ipad.has("year 3") && !ipad.has("year 4"));
    }
}
