//! Mandatory lists at rest: keyed hashes instead of names.
//!
//! The lists of illegal content are confidential, for they are a directory of
//! it. What is kept of one is a keyed hash of each host with how far it
//! reaches, enough to ask "is this name listed?" and useless for reading the
//! list off a stolen disk without the key beside it. The key is made on first
//! use and never leaves the machine.
//!
//! No function here may write, log or return a host name of such a list.

use std::io;
use std::path::Path;

use super::durable;
use super::lookup::{AddressRange, HASH_LEN, Scope, keyed_hash};
use super::names::Names;
use super::parse::Parsed;

/// The key of the hashes.
pub type Key = [u8; 32];

/// One entry: its hash, and how far it reaches.
pub type HashedEntry = ([u8; HASH_LEN], Scope);

/// A range of at most this many addresses is kept, an entry each: a hash can
/// only be asked for one address.
const WIDEST_RANGE: u128 = 256;
const MAGIC: &[u8] = b"schoolgate hashed list 1\n";
const RECORD: usize = HASH_LEN + 1;
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

/// The hashed form of what a list holds, sorted, and how many of its address
/// ranges are too wide to be kept.
#[must_use]
pub fn hashed(parsed: &Parsed, key: &Key) -> (Vec<HashedEntry>, u64) {
    let mut too_wide = 0;
    let mut entries: Vec<_> = name_hashes(&parsed.names, key).collect();
    for AddressRange { first, last } in &parsed.addresses {
        if last - first >= WIDEST_RANGE {
            too_wide += 1;
            continue;
        }
        let hash = |address: u128| (keyed_hash(key, &address.to_be_bytes()), Scope::Exact);
        entries.extend((*first..=*last).map(hash));
    }
    entries.sort_unstable();
    entries.dedup();
    (entries, too_wide)
}

fn name_hashes(names: &Names, key: &Key) -> impl Iterator<Item = HashedEntry> {
    names.iter().map(move |(reversed, scope)| {
        let mut wire = Vec::with_capacity(reversed.len() + 2);
        for label in reversed.rsplit(|b| *b == b'.') {
            // A label has at most 63 bytes.
            wire.push(u8::try_from(label.len()).unwrap_or_default());
            wire.extend_from_slice(label);
        }
        wire.push(0);
        (keyed_hash(key, &wire), scope)
    })
}

/// A hashed list as bytes for a file, sealed against damage and foreign keys.
#[must_use]
pub fn to_bytes(entries: &[HashedEntry], key: &Key) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (hash, scope) in entries {
        bytes.extend_from_slice(hash);
        bytes.push(*scope as u8);
    }
    let seal = blake3::keyed_hash(key, &bytes);
    bytes.extend_from_slice(seal.as_bytes());
    bytes
}

/// A hashed list from the bytes of a file; none if it is damaged or was made
/// with another key.
#[must_use]
pub fn from_bytes(bytes: &[u8], key: &Key) -> Option<Vec<HashedEntry>> {
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_LEN)?)?;
    if blake3::keyed_hash(key, body).as_bytes().as_slice() != seal {
        return None;
    }
    let records = body.strip_prefix(MAGIC)?.chunks_exact(RECORD);
    records
        .map(|record| {
            let (hash, scope) = record.split_at_checked(HASH_LEN)?;
            let scope = match scope {
                [0] => Scope::Exact,
                [1] => Scope::Subtree,
                _ => Scope::Below,
            };
            Some((hash.try_into().ok()?, scope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_or_another_key_is_no_list() {
        let (key, other) = ([1; 32], [2; 32]);
        let entries = vec![
            ([7; HASH_LEN], Scope::Subtree),
            ([9; HASH_LEN], Scope::Below),
        ];
        let bytes = to_bytes(&entries, &key);
        assert_eq!(from_bytes(&bytes, &key), Some(entries));
        assert_eq!(from_bytes(&bytes, &other), None);
        assert_eq!(from_bytes(&bytes[..bytes.len() - 1], &key), None);
        let mut flipped = bytes;
        flipped[30] ^= 1;
        assert_eq!(from_bytes(&flipped, &key), None);
        assert_eq!(from_bytes(&[], &key), None);
    }
}
