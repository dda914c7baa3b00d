//! One row of the log, as somebody reads it.
//!
//! A row owns its words: the policy, the lists and the inventory it was made
//! under may be long gone, and it says what was so at that time (case D28).

use std::net::IpAddr;

use jiff::Timestamp;

use crate::name::MAX_WIRE;
#[cfg(test)]
use crate::name::NameRef;
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

/// The wire form of a name that stands [`reversed`], written at the end of
/// `buffer`; none if it is no name.
pub(super) fn wire_of<'b>(reversed: &str, buffer: &'b mut [u8; MAX_WIRE]) -> Option<&'b [u8]> {
    let mut start = MAX_WIRE - 1;
    *buffer.get_mut(start)? = 0;
    let mut rest = if reversed == "." {
        &[]
    } else {
        reversed.as_bytes()
    };
    while !rest.is_empty() {
        let mut label = [0; 63];
        let mut length = 0;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            let byte = match byte {
                b'.' => break,
                b'\\' => unescaped(&mut rest)?,
                byte => byte,
            };
            *label.get_mut(length)? = byte;
            length += 1;
        }
        let label = label.get(..length).filter(|label| !label.is_empty())?;
        let end = start;
        start = start.checked_sub(length + 1)?;
        let (first, others) = buffer.get_mut(start..end)?.split_first_mut()?;
        *first = length as u8;
        others.copy_from_slice(label);
    }
    buffer.get(start..)
}

/// What stands behind a backslash: three digits, or the octet itself.
fn unescaped(rest: &mut &[u8]) -> Option<u8> {
    let digits = rest.get(..3).and_then(|all| std::str::from_utf8(all).ok());
    if let Some(octet) = digits.and_then(|digits| digits.parse().ok()) {
        *rest = rest.get(3..)?;
        return Some(octet);
    }
    let (&octet, after) = rest.split_first()?;
    *rest = after;
    Some(octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever octets somebody asks for.
    #[test]
    fn a_name_comes_back_from_how_it_is_stored() {
        let check = |wire: &[u8]| {
            let name = NameRef::from_wire(wire).unwrap();
            let stored = reversed(&name.to_string());
            assert_eq!(wire_of(&stored, &mut [0; MAX_WIRE]), Some(wire), "{stored}");
        };
        check(b"\0");
        check(b"\x03www\x07example\x03com\0");
        check(b"\x04a\\.b\x021 \x03\xff\x002\x01-\0");
        let long = [[63; 64].as_slice(), &[63; 64], &[63; 64], &[61; 62], &[0]].concat();
        check(&long);
        for bad in ["com..www", "", "com.\\", &"a".repeat(64), &"a.".repeat(200)] {
            let none = wire_of(bad, &mut [0; MAX_WIRE]).map(<[u8]>::to_vec);
            assert!(none.is_none() || bad.is_empty(), "{bad}");
        }
    }

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
