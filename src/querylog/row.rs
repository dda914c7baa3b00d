//! One row of the log, as somebody reads it.
//!
//! A row owns its words: the policy, the lists and the inventory it was made
//! under may be long gone, and it says what was so at that time (case D28).

use std::net::IpAddr;

use jiff::Timestamp;

use crate::policy::decision::{Layer, Verdict};

/// One look-up, or several alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When, and when first if there were several. Exact to some microseconds:
    /// the time is the row's key, and a microsecond that is taken is moved on.
    pub time: Timestamp,
    /// Whether the clock was known to be right.
    pub time_trusted: bool,
    /// The device's id in the inventory.
    pub device: Option<String>,
    /// What it was called.
    pub device_name: Option<String>,
    /// Its hardware address, as `00:1a:2b:3c:4d:5e`.
    pub mac: Option<String>,
    /// Its address; none where the group's level leaves the device out.
    pub ip: Option<IpAddr>,
    /// Its group.
    pub group: String,
    /// The asked name, as [`crate::name::NameRef`] prints it; `.` if there were
    /// [various](Row::is_various).
    pub name: String,
    /// The asked type.
    pub rtype: u16,
    /// What happened.
    pub action: Verdict,
    /// Which layer decided.
    pub layer: Layer,
    /// The id of the category that decided.
    pub category: Option<String>,
    /// The ids of all categories the name was in.
    pub categories: Vec<String>,
    /// The source the block was laid to.
    pub source: Option<String>,
    /// The number of the policy that decided.
    pub policy: u64,
    /// How many look-ups it stands for.
    pub count: u64,
}

impl Row {
    /// Whether a mandatory list covered it: then the name is for the DSL alone
    /// (R-10).
    #[must_use]
    pub fn is_mandatory(&self) -> bool {
        self.layer == Layer::Mandatory
    }

    /// Whether it stands for look-ups of various names and types: more than
    /// there was room for in full. Nobody can ask for type 0.
    #[must_use]
    pub fn is_various(&self) -> bool {
        self.rtype == 0 && self.name == "."
    }
}

/// What stands in place of names that a flood has collapsed.
pub const VARIOUS: &str = "(various)";

/// The mnemonics people know; the rest is written as RFC 3597 section 5 says.
const TYPES: [(u16, &str); 24] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (255, "ANY"),
    (257, "CAA"),
];

/// A record type's mnemonic, or `TYPE123`.
#[must_use]
pub fn mnemonic(rtype: u16) -> String {
    match TYPES.iter().find(|(number, _)| *number == rtype) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("TYPE{rtype}"),
    }
}

/// The record type of a mnemonic in any case, or of `TYPE123`.
#[must_use]
pub fn rtype(mnemonic: &str) -> Option<u16> {
    let word = mnemonic.to_ascii_uppercase();
    let known = TYPES.iter().find(|(_, name)| *name == word);
    known.map_or_else(
        || word.strip_prefix("TYPE")?.parse().ok(),
        |(number, _)| Some(*number),
    )
}

/// A printed name with its labels in the other order (`com.example.www`), so
/// that everything below a domain stands together in an index. Twice gives the
/// name again.
pub(super) fn reversed(name: &str) -> String {
    let mut labels = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, byte) in name.bytes().enumerate() {
        if byte == b'.' && !escaped {
            labels.push(name.get(start..at).unwrap_or_default());
            start = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    labels.push(name.get(start..).unwrap_or_default());
    labels.reverse();
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names() {
        assert_eq!(mnemonic(65), "HTTPS");
        assert_eq!(mnemonic(65280), "TYPE65280");
        assert!(TYPES.is_sorted());
    }

    #[test]
    fn labels_turn_round_and_back() {
        for (name, other) in [
            ("www.example.com", "com.example.www"),
            (r"a\.b.example.com", r"com.example.a\.b"),
            (r"a\\.com", r"com.a\\"),
            (r"a\\\.b.com", r"com.a\\\.b"),
            (r"\032.com", r"com.\032"),
            ("lan", "lan"),
            (".", "."),
        ] {
            assert_eq!(reversed(name), other);
            assert_eq!(reversed(other), name);
        }
    }
}
