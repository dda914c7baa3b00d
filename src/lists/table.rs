//! A flat table of fingerprints: name → membership in one look.
//!
//! The index that `serve` asks. A slot is eight bytes, little-endian: 48 bits of
//! a keyed hash of the name's lower-case wire form, then the 16-bit number of its
//! membership. An entry stands in its home slot, which the whole hash says, or
//! in the first free one after it; the entries are in the order of their hashes,
//! so the same names under one key are the same bytes. A third of the slots is
//! empty and the last one always is, so a search ends.
//!
//! A fingerprint is not a name. Slot and fingerprint together use all 64 bits of
//! the hash, so a name that is not listed is taken for one of `n` listed ones
//! with a chance of `n` in 2^64: 4e-14 a question with 0.7 million names, 3e-13
//! with five million. Two listed names never share a hash: then there is no
//! table (`Builder::write`), and the exact index is walked instead.
//!
//! The hash is SipHash-1-3, whose output is specified, so the file means the same
//! after an upgrade; its key comes from this installation's, so nobody outside
//! can aim for a collision or a long run of full slots. Neither file nor key may
//! leave the machine: with both, a list could be guessed at.

use std::io::{self, Write};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// What the key of the hash is derived for; another text is another table.
const CONTEXT: &str = "schoolgate 2026 lists: hash of names in the flat tables";
const FINGERPRINT_SHIFT: u32 = 16;

/// The keyed hash of names, by which the tables are asked.
#[derive(Clone, Copy)]
pub struct NameHash(SipHasher13);

impl NameHash {
    /// The hash of the installation that has this key.
    #[must_use]
    pub fn of_installation(key: &[u8; 32]) -> Self {
        let derived = blake3::derive_key(CONTEXT, key);
        let half = |at: usize| {
            let bytes = derived.get(at..).and_then(<[u8]>::first_chunk::<8>);
            u64::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        Self(SipHasher13::new_with_keys(half(0), half(8)))
    }

    /// The hash of a lower-case wire form, or of an address's 16 bytes.
    #[must_use]
    pub fn of(&self, bytes: &[u8]) -> u64 {
        self.0.hash(bytes)
    }
}

/// Which numbers of labels the names of a table have. A name with 127 labels has
/// 127 ancestors; only those that can be listed are hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", from = "Vec<u8>")]
pub struct LabelCounts(u128);

impl LabelCounts {
    /// These and `count`.
    #[must_use]
    pub fn with(self, count: usize) -> Self {
        let bit = u32::try_from(count).ok().and_then(|n| 1u128.checked_shl(n));
        Self(self.0 | bit.unwrap_or_default())
    }

    /// Whether some name has so many labels.
    #[must_use]
    pub fn has(self, count: usize) -> bool {
        Self::default().with(count).0 & self.0 != 0
    }

    /// As bytes for a file.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// From the bytes of a file.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }

    /// These and those.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<LabelCounts> for Vec<u8> {
    fn from(counts: LabelCounts) -> Self {
        (0..=127).filter(|n| counts.has(usize::from(*n))).collect()
    }
}

impl From<Vec<u8>> for LabelCounts {
    fn from(counts: Vec<u8>) -> Self {
        let all = counts.into_iter().map(usize::from);
        all.fold(Self::default(), Self::with)
    }
}

/// What must be known of a table beside its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// How many slots are the home of some hash; a few more follow.
    pub homes: u64,
    /// The numbers of labels that its names have.
    pub labels: LabelCounts,
}

/// A table in memory, ready to be asked.
pub struct Table {
    slots: Mmap,
    shape: Shape,
}

impl Table {
    /// A table of these bytes, whose checksum has been verified; none if they
    /// are no table of this shape.
    #[must_use]
    pub fn new(slots: Mmap, shape: Shape) -> Option<Self> {
        let (all, rest) = slots.as_chunks::<8>();
        let fits = usize::try_from(shape.homes).is_ok_and(|homes| homes < all.len());
        (fits && rest.is_empty() && all.last() == Some(&[0; 8])).then_some(Self { slots, shape })
    }

    /// Whether a name of so many labels can be in it.
    #[must_use]
    pub fn may_hold(&self, labels: usize) -> bool {
        self.shape.labels.has(labels)
    }

    /// The membership of the name that has this hash.
    #[must_use]
    pub fn find(&self, hash: u64) -> Option<u16> {
        let wanted = fingerprint(hash);
        let (all, _) = self.slots.as_chunks::<8>();
        for slot in all.get(home(hash, self.shape.homes)..)? {
            let slot = u64::from_le_bytes(*slot);
            if slot == 0 {
                break;
            }
            // They differ in no bit above the number's.
            if (slot ^ wanted) >> FINGERPRINT_SHIFT == 0 {
                return Some(slot as u16);
            }
        }
        None
    }
}

/// Gathers entries and writes a table of them.
#[derive(Default)]
pub struct Builder(Vec<(u64, u16)>);

impl Builder {
    /// An empty one with room for `entries`.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        Self(Vec::with_capacity(entries))
    }

    /// Adds a name by its hash.
    pub fn push(&mut self, hash: u64, membership: u16) {
        self.0.push((hash, membership));
    }

    /// Writes the slots. None if a search for one name would end at another:
    /// what was written is then no table and must not be kept.
    pub fn write(mut self, labels: LabelCounts, out: &mut impl Write) -> io::Result<Option<Shape>> {
        self.0.sort_unstable();
        let count = self.0.len() as u64;
        let homes = count + count / 2 + 1;
        // The full slots since the last empty one, and where they begin.
        let (mut run, mut begin) = (Vec::new(), 0);
        for (hash, membership) in self.0 {
            let (home, next) = (home(hash, homes), begin + run.len());
            if home > next {
                leave_empty(home - next, out)?;
                run.clear();
                begin = home;
            }
            let wanted = fingerprint(hash);
            // A search for this one passes those from its home on.
            let mut passed = run.iter().skip(home - begin);
            if passed.any(|other| *other == wanted) {
                return Ok(None);
            }
            run.push(wanted);
            out.write_all(&(wanted | u64::from(membership)).to_le_bytes())?;
        }
        let missing = (homes as usize).saturating_sub(begin + run.len());
        leave_empty(missing + 1, out)?;
        Ok(Some(Shape { homes, labels }))
    }
}

fn leave_empty(slots: usize, out: &mut impl Write) -> io::Result<()> {
    (0..slots).try_for_each(|_| out.write_all(&[0; 8]))
}

/// The slot where a hash is at home: hashes are spread evenly, in their order.
fn home(hash: u64, homes: u64) -> usize {
    ((u128::from(hash) * u128::from(homes)) >> 64) as usize
}

/// The low 48 bits, for the high ones say the home; never 0, which is no entry.
fn fingerprint(hash: u64) -> u64 {
    (hash << FINGERPRINT_SHIFT).max(1 << FINGERPRINT_SHIFT)
}

#[cfg(test)]
mod tests {
    use memmap2::MmapMut;
    use proptest::prelude::*;

    use super::*;

    fn table(entries: &[(u64, u16)]) -> Option<Table> {
        let mut builder = Builder::default();
        for (hash, membership) in entries {
            builder.push(*hash, *membership);
        }
        let mut bytes = Vec::new();
        let shape = builder.write(LabelCounts::default(), &mut bytes).unwrap()?;
        let mut slots = MmapMut::map_anon(bytes.len()).unwrap();
        slots.copy_from_slice(&bytes);
        Some(Table::new(slots.make_read_only().unwrap(), shape).unwrap())
    }

    #[test]
    fn the_hash_is_the_specified_one() {
        // The reference's vectors_sip13: keys 00 01 … 0f, messages 00 01 ….
        let hash = NameHash(SipHasher13::new_with_keys(
            0x0706_0504_0302_0100,
            0x0f0e_0d0c_0b0a_0908,
        ));
        assert_eq!(hash.of(&[]), 0xabac_0158_050f_c4dc);
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(hash.of(&message), 0xd320_d86d_2a51_9956);
        let ours = NameHash::of_installation(&[7; 32]);
        assert_ne!(ours.of(b"\x01a\0"), hash.of(b"\x01a\0"));
    }

    #[test]
    fn what_was_put_in_is_found_and_nothing_else() {
        let hash = NameHash::of_installation(&[1; 32]);
        let of = |n: u64| hash.of(&n.to_be_bytes());
        for count in [0, 1, 2, 3, 1000, 40_000] {
            let entries: Vec<_> = (0..count).map(|n| (of(n), n as u16)).collect();
            let table = table(&entries).unwrap();
            for (hash, membership) in &entries {
                assert_eq!(table.find(*hash), Some(*membership));
            }
            for n in count..count + 10_000 {
                assert_eq!(table.find(of(n)), None);
            }
            for edge in [0, 1, u64::MAX] {
                assert_eq!(table.find(edge), None);
            }
        }
    }

    #[test]
    fn the_worst_hashes_are_found_too() {
        // All at home in the last slot, the fingerprint 0, the membership 0.
        let crowd: Vec<_> = (0..500).map(|n| (u64::MAX - n, n as u16)).collect();
        let crowded = table(&crowd).unwrap();
        for (hash, membership) in crowd {
            assert_eq!(crowded.find(hash), Some(membership));
        }
        assert_eq!(crowded.find(u64::MAX - 500), None);
        let zero = table(&[(0, 0), (1 << 63, 0)]).unwrap();
        assert_eq!((zero.find(0), zero.find(1 << 63)), (Some(0), Some(0)));
        assert_eq!(zero.find(2), None);
    }

    #[test]
    fn names_that_cannot_be_told_apart_make_no_table() {
        assert!(table(&[(5, 1), (9, 2), (5, 3)]).is_none());
        // The same fingerprint elsewhere is another entry.
        let apart = table(&[(5, 1), (5 | 1 << 63, 2)]).unwrap();
        assert_eq!(apart.find(5), Some(1));
        assert_eq!(apart.find(5 | 1 << 63), Some(2));
    }

    proptest! {
        #[test]
        fn a_search_ends_in_any_bytes(
            mut bytes in prop::collection::vec(any::<u8>(), 0..400),
            homes in 0..60_u64,
            hashes in prop::collection::vec(any::<u64>(), 1..20),
        ) {
            bytes.extend([0; 8]);
            let mut slots = MmapMut::map_anon(bytes.len()).unwrap();
            slots.copy_from_slice(&bytes);
            let labels = LabelCounts::default();
            if let Some(table) = Table::new(slots.make_read_only().unwrap(), Shape { homes, labels }) {
                for hash in hashes {
                    let _ = table.find(hash);
                }
            }
        }
    }

    #[test]
    fn bytes_of_another_shape_are_no_table() {
        let map = |bytes: &[u8]| {
            let mut slots = MmapMut::map_anon(bytes.len()).unwrap();
            slots.copy_from_slice(bytes);
            slots.make_read_only().unwrap()
        };
        let shape = |homes| Shape {
            homes,
            labels: LabelCounts::default(),
        };
        assert!(Table::new(map(&[0; 16]), shape(1)).is_some());
        assert!(Table::new(map(&[0; 16]), shape(2)).is_none());
        assert!(Table::new(map(&[0; 16]), shape(u64::MAX)).is_none());
        assert!(Table::new(map(&[0; 15]), shape(1)).is_none());
        assert!(Table::new(map(&[1; 16]), shape(1)).is_none());
    }

    #[test]
    fn numbers_of_labels_come_back_from_the_manifest() {
        let some = [1, 2, 127]
            .into_iter()
            .fold(LabelCounts::default(), LabelCounts::with);
        let text = serde_json::to_string(&some).unwrap();
        assert_eq!(text, "[1,2,127]");
        assert_eq!(serde_json::from_str::<LabelCounts>(&text).unwrap(), some);
        assert!(some.has(127) && !some.has(0) && !some.has(3) && !some.has(128));
    }
}
