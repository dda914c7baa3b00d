//! Many names in little memory: the entries of one source.
//!
//! A published list has up to five million names. A `Name` each would cost
//! an allocation and forty bytes; here all keys stand in one block of memory,
//! already in the reversed form that the index sorts by, and an entry is an
//! offset into it. Sorting moves offsets only.
//!
//! It must never lose or change a name: what comes out is what went in, sorted,
//! once each.

use super::lookup::Scope;
use crate::name::NameRef;

/// The names of one source, with how far each reaches.
#[derive(Debug, Default, Clone)]
pub struct Names {
    /// Records: scope, length of the key, key.
    block: Vec<u8>,
    /// Where each record begins.
    starts: Vec<u32>,
}

/// No more names fit: over four gigabytes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more names than any list has")]
pub struct Full;

impl Names {
    /// Adds one entry. A name no list can hold (a dot inside a label) is passed
    /// over; `Name::parse` makes none.
    pub fn push(&mut self, name: NameRef<'_>, scope: Scope) -> Result<(), Full> {
        let start = u32::try_from(self.block.len()).map_err(|_| Full)?;
        // The wire form has a length byte before each label and the root at the
        // end; the key has a dot between labels.
        let Some(length) = name.wire().len().checked_sub(2) else {
            return Ok(());
        };
        self.block.push(scope as u8);
        self.block.push(u8::try_from(length).map_err(|_| Full)?);
        let key_start = self.block.len();
        self.block.resize(key_start + length, b'.');
        let mut end = self.block.len();
        for label in name.labels() {
            let begin = end.saturating_sub(label.len());
            if let Some(place) = self.block.get_mut(begin..end)
                && !label.contains(&b'.')
            {
                place.copy_from_slice(label);
            } else {
                self.block.truncate(key_start.saturating_sub(2));
                return Ok(());
            }
            end = begin.saturating_sub(1);
        }
        self.starts.push(start);
        Ok(())
    }

    /// Sorts by key, drops entries that stand twice, and says how many.
    pub fn sort(&mut self) -> u64 {
        let before = self.starts.len();
        let block = &self.block;
        self.starts
            .sort_unstable_by(|a, b| record(block, *a).cmp(&record(block, *b)));
        self.starts
            .dedup_by(|a, b| record(block, *a) == record(block, *b));
        self.starts.shrink_to_fit();
        self.block.shrink_to_fit();
        (before - self.starts.len()) as u64
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The entries, as reversed key and scope.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Scope)> {
        self.starts.iter().map(|start| record(&self.block, *start))
    }

    /// Entry number `at`, as reversed key and scope.
    #[must_use]
    pub fn entry(&self, at: usize) -> Option<(&[u8], Scope)> {
        self.starts.get(at).map(|start| record(&self.block, *start))
    }
}

fn record(block: &[u8], start: u32) -> (&[u8], Scope) {
    let rest = block.get(start as usize..).unwrap_or_default();
    let [scope, length, rest @ ..] = rest else {
        return (&[], Scope::Exact);
    };
    let scope = match scope {
        0 => Scope::Exact,
        1 => Scope::Subtree,
        _ => Scope::Below,
    };
    (rest.get(..usize::from(*length)).unwrap_or_default(), scope)
}

/// Writes the wire form of a reversed key, and says how many labels it has.
pub fn wire_form(key: &[u8], wire: &mut Vec<u8>) -> usize {
    wire.clear();
    let mut labels = 0;
    for label in key.rsplit(|b| *b == b'.') {
        // A label has at most 63 bytes.
        wire.push(u8::try_from(label.len()).unwrap_or_default());
        wire.extend_from_slice(label);
        labels += 1;
    }
    wire.push(0);
    labels
}

/// A reversed key as people write the name.
#[must_use]
pub fn readable(key: &[u8]) -> String {
    let labels: Vec<_> = key
        .split(|b| *b == b'.')
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn names_come_out_sorted_once_and_whole() {
        let mut names = Names::default();
        for (name, scope) in [
            ("www.example.com", Scope::Subtree),
            ("example.com", Scope::Exact),
            ("example.com", Scope::Subtree),
            ("example-x.com", Scope::Below),
            ("EXAMPLE.com", Scope::Exact),
        ] {
            names
                .push(Name::parse(name).unwrap().as_ref(), scope)
                .unwrap();
        }
        assert_eq!(names.sort(), 1);
        let out: Vec<_> = names
            .iter()
            .map(|(key, scope)| (readable(key), scope))
            .collect();
        assert_eq!(
            out,
            [
                ("example.com".to_owned(), Scope::Exact),
                ("example.com".to_owned(), Scope::Subtree),
                ("example-x.com".to_owned(), Scope::Below),
                ("www.example.com".to_owned(), Scope::Subtree),
            ]
        );
    }

    #[test]
    fn the_longest_name_fits() {
        let long = [
            ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join("."),
            "d".repeat(61),
        ]
        .join(".");
        let mut names = Names::default();
        names
            .push(Name::parse(&long).unwrap().as_ref(), Scope::Exact)
            .unwrap();
        assert_eq!(names.entry(0).map(|(key, _)| readable(key)), Some(long));
    }
}
