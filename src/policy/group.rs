//! Groups, their networks, and the school's exceptions, as meant.
//!
//! `document.rs` holds what was typed; here every reference is an index, every
//! category a bit, and nothing optional is always there.

use std::net::IpAddr;

use foldhash::{HashMap, HashSet};
use jiff::Timestamp;

use super::decision::LogLevel;
use super::{Asker, DeviceIndex, GroupIndex};
use crate::lists::category::CategorySet;
use crate::lists::lookup::Scope;
use crate::name::{Name, NameRef};

/// Most groups a policy can have: a set of them is one machine word.
pub const MAX_GROUPS: usize = 64;

/// Pupils, staff, guests: devices that are treated alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The id in policy, inventory and logs.
    pub id: Box<str>,
    /// Whether it is in force. One that is not stands here with the rules of
    /// the unknown, so that nobody who asks for its rules can forget (M14).
    pub enabled: bool,
    /// Blocked at every hour that no timetable says otherwise.
    pub block: CategorySet,
    /// What named periods add or remove.
    pub during: Box<[During]>,
    /// How far search engines are held to their safe mode.
    pub safe_search: SafeSearch,
    /// Whether canaries are answered with "no".
    pub canaries: bool,
    /// What becomes of the keys for encrypting a server's name.
    pub ech: Ech,
    /// What a blocked question gets.
    pub answer: BlockedAnswer,
    /// How much of its allowed look-ups is written down.
    pub log: LogLevel,
    /// For how many minutes one of its devices may open a blocked site for
    /// itself; 0: it may not.
    pub override_minutes: u32,
}

/// What one timetable changes for a group while it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct During {
    /// Index into the policy's timetables.
    pub timetable: usize,
    /// Blocked as well.
    pub add: CategorySet,
    /// Not blocked.
    pub remove: CategorySet,
}

/// How far search engines are held to their safe mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SafeSearch {
    /// Left as they are.
    Off,
    /// Held to the milder mode where an engine has two.
    Moderate,
    /// Held to the strictest mode.
    Strict,
}

/// What becomes of the `ech` parameter of HTTPS and SVCB records: with it a
/// browser hides from the network which site it visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ech {
    /// It is left out.
    Strip,
    /// It stays.
    Keep,
}

/// What a blocked question gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockedAnswer {
    /// NXDOMAIN where everything below is blocked too, else NODATA (RFC 8020).
    Default,
    /// "No such name".
    Nxdomain,
    /// "No such record".
    Nodata,
    /// `0.0.0.0` and `::`.
    Null,
    /// The address of the block page.
    Page,
}

/// What a blocked question gets, once its type and reach are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `BlockedAnswer`")]
pub enum Refusal {
    Nxdomain,
    Nodata,
    Null,
    Page,
}

/// Which addresses belong to which group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Box<[(Network, GroupIndex)]>);

/// An address prefix. IPv4 is kept apart from IPv6: `::/0` holds no IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The school's own word on single names.
#[derive(Debug, Clone, Default)]
pub struct Exceptions {
    all: Box<[Exception]>,
    by_name: HashMap<Name, Vec<usize>>,
    /// Every ancestor of a name that is allowed to somebody.
    opened_below: HashSet<Name>,
    /// Which lengths the names of either have: most ancestors of what is asked
    /// have none of them, and need not be looked up.
    lengths: Lengths,
}

/// A set of lengths of wire forms.
#[derive(Debug, Clone, Copy, Default)]
struct Lengths([u64; 4]);

impl Lengths {
    fn add(&mut self, name: NameRef<'_>) {
        let length = name.wire().len();
        if let Some(word) = self.0.get_mut(length / 64) {
            *word |= 1 << (length % 64);
        }
    }

    fn has(&self, name: NameRef<'_>) -> bool {
        let length = name.wire().len();
        let word = self.0.get(length / 64);
        word.is_some_and(|word| word >> (length % 64) & 1 == 1)
    }
}

/// One exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The name it is about.
    pub name: Name,
    /// Whether names below it are meant too.
    pub scope: Scope,
    /// Whether it opens or closes.
    pub allows: bool,
    /// Bit n for the group of index n.
    pub groups: u64,
    /// Single devices, whatever their group.
    pub devices: Box<[DeviceIndex]>,
    /// From when on it no longer counts.
    pub expires: Option<Timestamp>,
    /// Why the school wants it.
    pub reason: Box<str>,
    /// Who asked for it, if that was written down.
    pub requested_by: Option<Box<str>>,
    /// Where it stands, for `why`: `policy.toml:40`.
    pub place: Box<str>,
}

impl BlockedAnswer {
    /// What a blocked question gets. `below_too`: everything below its name is
    /// blocked as well, so that NXDOMAIN may be said of it (RFC 8020, R-94).
    /// `for_address`: it asks for A or AAAA; other types have no address to be
    /// given (A2).
    #[must_use]
    pub fn to_question(self, below_too: bool, for_address: bool) -> Refusal {
        match self {
            Self::Nxdomain => Refusal::Nxdomain,
            Self::Default if below_too => Refusal::Nxdomain,
            Self::Null if for_address => Refusal::Null,
            Self::Page if for_address => Refusal::Page,
            _ => Refusal::Nodata,
        }
    }
}

impl Refusal {
    /// The word in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Nxdomain => "nxdomain",
            Self::Nodata => "nodata",
            Self::Null => "null",
            Self::Page => "page",
        }
    }
}

impl Networks {
    /// Longest prefixes first, so that the first that holds an address is the
    /// one that counts.
    #[must_use]
    pub fn new(mut all: Vec<(Network, GroupIndex)>) -> Self {
        all.sort_by_key(|(network, group)| (std::cmp::Reverse(network.prefix), *group));
        Self(all.into_boxed_slice())
    }

    /// The group with the longest prefix that holds `address`.
    #[must_use]
    pub fn group_of(&self, address: IpAddr) -> Option<GroupIndex> {
        let found = self.0.iter().find(|(network, _)| network.holds(address))?;
        Some(found.1)
    }

    /// Every network with its group, longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = (Network, GroupIndex)> {
        self.0.iter().copied()
    }
}

impl Network {
    /// Reads `10.1.0.0/16`, `fd00::/8`, or an address alone. Bits behind the
    /// prefix must be zero: they are a mistake more often than not.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("\"{text}\" is not a network; write it like 10.1.0.0/16"))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            "" if text.ends_with('/') => None,
            "" => Some(width),
            digits => digits.parse().ok().filter(|p| *p <= width),
        };
        let Some(prefix) = prefix else {
            return Err(format!("\"{text}\" needs a prefix from 0 to {width}"));
        };
        let network = Self { address, prefix };
        let base = network.mask(address);
        if base != address {
            return Err(format!(
                "\"{text}\" has bits behind its prefix; did you mean {base}/{prefix}?"
            ));
        }
        Ok(network)
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn holds(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && self.mask(address) == self.address
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.holds(other.address) || other.holds(self.address)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.holds(other.address)
    }

    /// Its first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that count.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    fn mask(self, address: IpAddr) -> IpAddr {
        let prefix = u32::from(self.prefix);
        match address {
            IpAddr::V4(v4) => {
                let keep = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & keep).into())
            }
            IpAddr::V6(v6) => {
                let keep = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & keep).into())
            }
        }
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Exceptions {
    /// Indexes `all` by name.
    #[must_use]
    pub fn new(all: Vec<Exception>) -> Self {
        let mut by_name: HashMap<Name, Vec<usize>> = HashMap::default();
        for (index, exception) in all.iter().enumerate() {
            by_name
                .entry(exception.name.clone())
                .or_default()
                .push(index);
        }
        // Of one name's, the one about the name alone says more than the one
        // about all below it; then one that closes, for a site may be closed at
        // once on the pages that a file opens.
        for here in by_name.values_mut() {
            here.sort_by_key(|i| all.get(*i).map(|e| (e.scope != Scope::Exact, e.allows)));
        }
        let opened_below: HashSet<Name> = all
            .iter()
            .filter(|e| e.allows)
            .flat_map(|e| e.name.as_ref().suffixes().skip(1).map(NameRef::to_owned))
            .collect();
        let mut lengths = Lengths::default();
        for name in by_name.keys().chain(&opened_below) {
            lengths.add(name.as_ref());
        }
        Self {
            all: all.into_boxed_slice(),
            by_name,
            opened_below,
            lengths,
        }
    }

    /// Whether a name below `name` is allowed to somebody. A block of `name`
    /// must then not say that nothing exists below it.
    #[must_use]
    pub fn opens_below(&self, name: NameRef<'_>) -> bool {
        self.lengths.has(name) && self.opened_below.contains(name.wire())
    }

    /// Every exception.
    pub fn iter(&self) -> impl Iterator<Item = &Exception> {
        self.all.iter()
    }

    /// The exception that speaks on `name` for `asker`: that of the longest
    /// name (M12); of one name's, a device's own before its group's, then the
    /// exact one before its subtree's. One that has expired is silent.
    #[must_use]
    pub fn covering(
        &self,
        name: NameRef<'_>,
        asker: Asker,
        now: Option<Timestamp>,
    ) -> Option<&Exception> {
        if self.all.is_empty() {
            return None;
        }
        for (up, suffix) in name.suffixes().enumerate() {
            if !self.lengths.has(suffix) {
                continue;
            }
            let Some(here) = self.by_name.get(suffix.wire()) else {
                continue;
            };
            let counts = |exception: &&Exception| {
                (up == 0 || exception.scope != Scope::Exact) && exception.holds_at(now)
            };
            let here = || here.iter().filter_map(|i| self.all.get(*i)).filter(counts);
            let own = asker
                .device
                .and_then(|device| here().find(|e| e.devices.contains(&device)));
            let found = own.or_else(|| here().find(|e| e.is_for_group(asker.group)));
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

impl Exception {
    /// Whether it is for everybody in `group`.
    #[must_use]
    pub fn is_for_group(&self, group: GroupIndex) -> bool {
        let bits = self.groups.checked_shr(group.0.into());
        bits.unwrap_or_default() & 1 == 1
    }

    /// Whether it counts at `now`. Without a trusted clock what opens and may
    /// have ended is taken as ended, what closes as lasting.
    fn holds_at(&self, now: Option<Timestamp>) -> bool {
        match (self.expires, now) {
            (None, _) => true,
            (Some(expires), Some(now)) => now < expires,
            (Some(_), None) => !self.allows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let networks = |rows: &[(&str, u16)]| {
            let parse =
                |(text, group): &(&str, u16)| (Network::parse(text).unwrap(), GroupIndex(*group));
            Networks::new(rows.iter().map(parse).collect())
        };
        let networks = networks(&[
            ("10.0.0.0/8", 0),
            ("10.1.0.0/16", 1),
            ("fd00::/8", 2),
            ("::/0", 3),
        ]);
        let group = |ip: &str| networks.group_of(ip.parse().unwrap()).map(|g| g.0);
        assert_eq!(group("10.1.2.3"), Some(1));
        assert_eq!(group("10.2.2.3"), Some(0));
        assert_eq!(group("fd12::1"), Some(2));
        assert_eq!(group("2001:db8::1"), Some(3));
        assert_eq!(group("192.0.2.1"), None);
    }

    #[test]
    fn a_network_says_what_is_wrong_with_it() {
        let wrong = |text: &str| Network::parse(text).unwrap_err();
        assert!(wrong("10.1.0.0/33").contains("from 0 to 32"));
        assert!(wrong("10.1.0.1/16").contains("10.1.0.0/16"));
        assert!(wrong("ten").contains("like 10.1.0.0/16"));
        assert_eq!(
            Network::parse("10.0.0.1").unwrap().to_string(),
            "10.0.0.1/32"
        );
    }
}
