//! Mandatory lists at rest: keyed hashes instead of names.
//!
//! The lists of illegal content are confidential, for they are a directory of
//! it. What is kept of one is a keyed hash of each host with how far it
//! reaches, enough to ask "is this name listed?" and useless for reading the
//! list off a stolen disk without the key beside it. The key is made on first
//! use and never leaves the machine. Beside it stands a second, cheaper keyed
//! hash, by which the server finds out at once that a name is not listed.
//!
//! No function here may write, log or return a host name of such a list.

use std::io;
use std::path::Path;

use super::addresses::AddressRange;
use super::durable;
use super::lookup::{HASH_LEN, Scope, keyed_hash};
use super::names;
use super::parse::Parsed;
use super::table::{LabelCounts, NameHash};

/// The key of the hashes.
pub type Key = [u8; 32];

/// The hashed form of one list.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// Sorted, each once.
    pub entries: Vec<HashedEntry>,
    /// How many labels its names have, all together: of no one name.
    pub labels: LabelCounts,
}

/// One host or address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashedEntry {
    /// By which it is known.
    pub hash: [u8; HASH_LEN],
    /// By which most others are known not to be it ([`NameHash`]).
    pub quick: u64,
    /// How far it reaches.
    pub scope: Scope,
}

/// A range of at most this many addresses is kept, an entry each: a hash can
/// only be asked for one address.
const WIDEST_RANGE: u128 = 256;
const MAGIC: &[u8] = b"schoolgate hashed list 2\n";
const LABELS_LEN: usize = 16;
const RECORD: usize = HASH_LEN + 8 + 1;
const CHECK_LEN: usize = 32;

/// The key of this machine, made if there is none.
pub fn key(lists_dir: &Path) -> io::Result<Key> {
    let path = lists_dir.join("key");
    if let Some(bytes) = durable::read_if_any(&path)? {
        return Key::try_from(bytes.as_slice())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the key has not 32 bytes"));
    }
    let key: Key = rand::random();
    durable::write(&path, &key)?;
    Ok(key)
}

/// A word by which a key is known again, from which it cannot be found.
#[must_use]
pub fn key_check(key: &Key) -> String {
    hex(&keyed_hash(key, b"which key is this"))
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hashed form of what a list holds, and how many of its address ranges are
/// too wide to be kept.
#[must_use]
pub fn hashed(parsed: &Parsed, key: &Key) -> (Hashed, u64) {
    let quick = NameHash::of_installation(key);
    let entry = |what: &[u8], scope| HashedEntry {
        hash: keyed_hash(key, what),
        quick: quick.of(what),
        scope,
    };
    let (mut all, mut too_wide) = (Hashed::default(), 0);
    let mut wire = Vec::new();
    for (reversed, scope) in parsed.names.iter() {
        let labels = names::wire_form(reversed, &mut wire);
        all.labels = all.labels.with(labels);
        all.entries.push(entry(&wire, scope));
    }
    for AddressRange { first, last } in &parsed.addresses {
        if last - first >= WIDEST_RANGE {
            too_wide += 1;
            continue;
        }
        let hosts = *first..=*last;
        let hosts = hosts.map(|host| entry(&host.to_be_bytes(), Scope::Exact));
        all.entries.extend(hosts);
    }
    all.entries.sort_unstable();
    all.entries.dedup();
    (all, too_wide)
}

/// A hashed list as bytes for a file, sealed against damage and foreign keys.
#[must_use]
pub fn to_bytes(list: &Hashed, key: &Key) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&list.labels.to_bytes());
    for entry in &list.entries {
        bytes.extend_from_slice(&entry.hash);
        bytes.extend_from_slice(&entry.quick.to_le_bytes());
        bytes.push(entry.scope as u8);
    }
    let seal = blake3::keyed_hash(key, &bytes);
    bytes.extend_from_slice(seal.as_bytes());
    bytes
}

/// A hashed list from the bytes of a file; none if it is damaged or was made
/// with another key.
#[must_use]
pub fn from_bytes(bytes: &[u8], key: &Key) -> Option<Hashed> {
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_LEN)?)?;
    if blake3::keyed_hash(key, body).as_bytes().as_slice() != seal {
        return None;
    }
    let body = body.strip_prefix(MAGIC)?;
    let (labels, records) = body.split_first_chunk::<LABELS_LEN>()?;
    let entries = records.chunks_exact(RECORD).map(|record| {
        let (hash, rest) = record.split_first_chunk::<HASH_LEN>()?;
        let (quick, scope) = rest.split_first_chunk::<8>()?;
        Some(HashedEntry {
            hash: *hash,
            quick: u64::from_le_bytes(*quick),
            scope: match scope {
                [0] => Scope::Exact,
                [1] => Scope::Subtree,
                _ => Scope::Below,
            },
        })
    });
    Some(Hashed {
        entries: entries.collect::<Option<_>>()?,
        labels: LabelCounts::from_bytes(*labels),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_or_another_key_is_no_list() {
        let (key, other) = ([1; 32], [2; 32]);
        let entry = |byte, scope| HashedEntry {
            hash: [byte; HASH_LEN],
            quick: u64::from(byte),
            scope,
        };
        let list = Hashed {
            entries: vec![entry(7, Scope::Subtree), entry(9, Scope::Below)],
            labels: LabelCounts::default().with(2).with(127),
        };
        let bytes = to_bytes(&list, &key);
        assert_eq!(from_bytes(&bytes, &key), Some(list));
        assert_eq!(from_bytes(&bytes, &other), None);
        assert_eq!(from_bytes(&bytes[..bytes.len() - 1], &key), None);
        let mut flipped = bytes;
        flipped[30] ^= 1;
        assert_eq!(from_bytes(&flipped, &key), None);
        assert_eq!(from_bytes(&[], &key), None);
    }
}
