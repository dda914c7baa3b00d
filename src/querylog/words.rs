//! The dictionaries of one day's file, as the writer uses them: names, clients
//! and rulings, and what number each has.
//!
//! What was looked up lately is remembered, within bounds. New names are most of
//! the work of a busy flush: they are put in in the order of the index, so that
//! neighbours are written together.

use std::collections::HashMap;
use std::fmt::Write as _;

use foldhash::fast::RandomState;
use rusqlite::{CachedStatement, Params, Transaction, params};

use crate::lists::category::Category;
use crate::name::{MAX_LABELS, NameRef};

use super::packed::Packed;

/// Entries remembered from one flush to the next, per kind: a flood of random
/// names must not become a flood of memory.
const REMEMBERED: usize = 10_000;

/// How an entry is put in if it is new, and found if it is not.
const CLIENT: [&str; 2] = [
    "INSERT INTO clients (device, name, mac, ip, grp)
     VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    "SELECT id FROM clients
     WHERE device = ? AND name = ? AND mac = ? AND ip = ? AND grp = ?",
];
const NAME: [&str; 2] = [
    "INSERT INTO names (reversed) VALUES (?) ON CONFLICT DO NOTHING",
    "SELECT id FROM names WHERE reversed = ?",
];
const RULING: [&str; 2] = [
    "INSERT INTO rulings (action, layer, category, categories, source, policy, time_trusted)
     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    "SELECT id FROM rulings
     WHERE action = ? AND layer = ? AND category = ? AND categories = ? AND source = ?
         AND policy = ? AND time_trusted = ?",
];

/// What has been looked up in the dictionaries: packed bytes → id.
#[derive(Default)]
pub(super) struct Words {
    clients: Known,
    names: Known,
    rulings: Known,
}

type Known = HashMap<Box<[u8]>, i64, RandomState>;

impl Words {
    /// Makes sure that all of `names` are in the dictionary.
    pub(super) fn learn<'n>(
        &mut self,
        tx: &Transaction<'_>,
        names: impl Iterator<Item = NameRef<'n>>,
    ) -> rusqlite::Result<()> {
        for known in [&mut self.clients, &mut self.names, &mut self.rulings] {
            if known.len() >= REMEMBERED {
                known.clear();
                known.shrink_to(REMEMBERED);
            }
        }
        let mut texts = String::new();
        let mut new = Vec::new();
        for name in names {
            if !self.names.contains_key(name.wire()) {
                let start = texts.len();
                push_reversed(name, &mut texts);
                new.push((start..texts.len(), name));
            }
        }
        new.sort_unstable_by(|(a, _), (b, _)| texts.get(a.clone()).cmp(&texts.get(b.clone())));
        new.dedup_by(|(_, a), (_, b)| a == b);
        let mut statements = both(tx, NAME)?;
        for (text, name) in new {
            let text = texts.get(text).unwrap_or_default();
            let id = number(tx, &mut statements, [text])?;
            self.names.insert(name.wire().into(), id);
        }
        Ok(())
    }

    pub(super) fn name(
        &mut self,
        tx: &Transaction<'_>,
        packed: &Packed<'_>,
    ) -> rusqlite::Result<i64> {
        entry(&mut self.names, packed.name.wire(), || {
            let mut text = String::new();
            push_reversed(packed.name, &mut text);
            number(tx, &mut both(tx, NAME)?, [&*text])
        })
    }

    pub(super) fn client(
        &mut self,
        tx: &Transaction<'_>,
        packed: &Packed<'_>,
    ) -> rusqlite::Result<i64> {
        entry(&mut self.clients, packed.client_key, || {
            let mac = packed.mac.map(|m| m.to_string()).unwrap_or_default();
            let ip = packed.ip.map(|ip| ip.to_string()).unwrap_or_default();
            let row = params![packed.device, packed.device_name, mac, ip, packed.group];
            number(tx, &mut both(tx, CLIENT)?, row)
        })
    }

    pub(super) fn ruling(
        &mut self,
        tx: &Transaction<'_>,
        packed: &Packed<'_>,
    ) -> rusqlite::Result<i64> {
        entry(&mut self.rulings, packed.ruling_key, || {
            let ids: Vec<&str> = packed.categories.iter().map(Category::id).collect();
            let row = params![
                packed.action.id(),
                packed.layer.id(),
                packed.category.map_or("", Category::id),
                ids.join(" "),
                packed.source,
                packed.policy.cast_signed(),
                packed.time_trusted,
            ];
            number(tx, &mut both(tx, RULING)?, row)
        })
    }
}

fn entry(
    known: &mut Known,
    key: &[u8],
    look_up: impl FnOnce() -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(key) {
        return Ok(*id);
    }
    let id = look_up()?;
    known.insert(key.into(), id);
    Ok(id)
}

/// The number of an entry, which is put in if it is not there.
fn number(
    tx: &Transaction<'_>,
    [add, find]: &mut [CachedStatement<'_>; 2],
    row: impl Params + Copy,
) -> rusqlite::Result<i64> {
    if add.execute(row)? == 1 {
        return Ok(tx.last_insert_rowid());
    }
    find.query_row(row, |row| row.get(0))
}

fn both<'t>(
    tx: &'t Transaction<'_>,
    [add, find]: [&str; 2],
) -> rusqlite::Result<[CachedStatement<'t>; 2]> {
    Ok([tx.prepare_cached(add)?, tx.prepare_cached(find)?])
}

/// As [`super::row::reversed`] of the printed name.
fn push_reversed(name: NameRef<'_>, text: &mut String) {
    let mut labels = [&[][..]; MAX_LABELS];
    let mut many = 0;
    for (place, label) in labels.iter_mut().zip(name.labels()) {
        *place = label;
        many += 1;
    }
    if many == 0 {
        text.push('.');
    }
    for (at, label) in labels.iter().take(many).rev().enumerate() {
        if at > 0 {
            text.push('.');
        }
        for byte in *label {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                0x21..=0x7e => text.push(char::from(*byte)),
                // Writing to a string cannot fail.
                _ => drop(write!(text, "\\{byte:03}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::reversed;
    use super::*;
    use crate::name::Name;

    #[test]
    fn names_are_turned_round_as_they_are_printed() {
        let deep = b"\x01a".repeat(127);
        for wire in [
            &b""[..],
            b"\x03lan",
            b"\x03www\x07example\x03com",
            b"\x03a.b\x02\\.\x04 \x00\x7f\xe9\x03com",
            &deep,
        ] {
            let name = Name::from_wire(&[wire, b"\0"].concat()).unwrap();
            let mut text = String::new();
            push_reversed(name.as_ref(), &mut text);
            assert_eq!(text, reversed(&name.to_string()));
        }
    }
}
