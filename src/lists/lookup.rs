//! Name → what the lists say of it: one walk, top-level label first.
//!
//! A generation is an FST from reversed names (`com.example`) to an index into
//! a table of memberships, plus a second FST for the mandatory class keyed by a
//! hash, so that its names are nowhere in the clear. Keys have no separator at
//! the end: the walk asks for an entry only where a label ends, and gathers
//! every ancestor's entry on its way.
//!
//! It does no I/O and allocates nothing. It relies on the checksum having been
//! verified at load (`load.rs`): the fst crate may panic on a damaged file.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use fst::raw::{Fst, Output};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::category::{Category, CategorySet};
use crate::name::NameRef;

/// How many listed ancestors of one name keep their source; the categories of
/// further ones still count.
const KEPT_HITS: usize = 4;
/// Bytes of a keyed hash that are kept: enough that no two names meet.
pub const HASH_LEN: usize = 16;

static LOADED: AtomicU64 = AtomicU64::new(1);

/// One source, as a decision and the log need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The id in `sources.toml`.
    pub id: Box<str>,
    /// What its names are listed for.
    pub category: Category,
    /// Whether anybody may lift it.
    pub class: Class,
}

/// What kind of list a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The school's policy says for whom and when it is blocked.
    Category,
    /// Illegal content: blocked for everybody at every hour.
    Mandatory,
}

/// How far an entry reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The name and nothing below it.
    Exact,
    /// The name and everything below it.
    Subtree,
    /// Everything below the name and not itself: `*.x` of a zone.
    Below,
}

/// One source's reason to list a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Index into the generation's sources.
    pub source: u16,
    /// How far it reaches.
    pub scope: Scope,
}

/// The set of categories and sources one name is in; many names share one.
#[derive(Debug, Clone)]
pub struct Membership {
    entries: Box<[Entry]>,
    /// Said of the listed name itself.
    here: CategorySet,
    /// Said of every name below it.
    below: CategorySet,
}

/// One compiled generation of lists, ready to be asked.
pub struct Lists {
    /// The generation's name, a hash of what it was compiled from.
    pub generation: Box<str>,
    /// Counts what this process has loaded: what was remembered under one
    /// serial says nothing under another.
    pub serial: u64,
    names: Fst<Mmap>,
    mandatory: Option<Mandatory>,
    addresses: Box<[(AddressRange, u16)]>,
    /// The highest address of this range and all before it: where a search
    /// that goes back may stop, for ranges may lie inside each other.
    reach: Box<[u128]>,
    memberships: Box<[Membership]>,
    sources: Box<[Source]>,
}

/// The mandatory class: keyed hashes instead of names.
pub struct Mandatory {
    /// Hash → membership.
    pub hashes: Fst<Mmap>,
    /// The key the hashes were made with.
    pub key: [u8; 32],
}

/// Addresses from `first` to `last`, both included, in their IPv6 form
/// (IPv4 mapped), so that one comparison serves both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    /// The lowest address.
    pub first: u128,
    /// The highest address.
    pub last: u128,
}

/// What covers one name: kept with a cached answer, so it is small and `Copy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Covering {
    /// Every category of the name and of listed ancestors that reach it.
    pub categories: CategorySet,
    /// Those of `categories` that hold for every name below the asked one too.
    pub subtree: CategorySet,
    hits: [Option<Hit>; KEPT_HITS],
    mandatory: Option<Hit>,
}

/// One entry met on the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    membership: u16,
    /// How many labels the listed name has; 0 for an address.
    pub labels: u8,
    /// Whether the listed name is the whole of the asked one.
    pub whole: bool,
}

/// The parts of a generation, as `load.rs` reads them.
pub struct Parts {
    /// The generation's name.
    pub generation: Box<str>,
    /// Reversed name → membership; its checksum has been verified.
    pub names: Fst<Mmap>,
    /// The mandatory class, if any source has it.
    pub mandatory: Option<Mandatory>,
    /// Listed addresses that anyone may read.
    pub addresses: Vec<(AddressRange, u16)>,
    /// The table of memberships.
    pub memberships: Vec<Vec<Entry>>,
    /// The sources that entries point to.
    pub sources: Vec<Source>,
}

impl Lists {
    /// Puts a generation together. Entries that point to no source are left
    /// out: the manifest is checked by `load.rs`, and here nothing may panic.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let sources = parts.sources.into_boxed_slice();
        let memberships = parts
            .memberships
            .into_iter()
            .map(|entries| Membership::new(entries, &sources))
            .collect();
        let mut addresses = parts.addresses;
        addresses.sort_unstable();
        let mut highest = 0;
        let reach = addresses
            .iter()
            .map(|(range, _)| {
                highest = range.last.max(highest);
                highest
            })
            .collect();
        Self {
            generation: parts.generation,
            serial: LOADED.fetch_add(1, Ordering::Relaxed),
            names: parts.names,
            mandatory: parts.mandatory,
            addresses: addresses.into_boxed_slice(),
            reach,
            memberships,
            sources,
        }
    }

    /// How many names are listed, the mandatory ones not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no name is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The sources of this generation.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What covers `name`, in lower case.
    #[must_use]
    pub fn covering(&self, name: NameRef<'_>) -> Covering {
        let mut covering = Covering::default();
        self.walk(name, &mut covering);
        if let Some(mandatory) = &self.mandatory {
            covering.mandatory = self.mandatory_hit(mandatory, name);
        }
        covering
    }

    /// What covers an address in an answer.
    #[must_use]
    pub fn covering_address(&self, address: IpAddr) -> Covering {
        let mut covering = Covering::default();
        let number = address_number(address);
        let before = self
            .addresses
            .partition_point(|(range, _)| range.first <= number);
        let candidates = self.addresses.iter().zip(&self.reach).take(before);
        for (&(range, membership), &reach) in candidates.rev() {
            if reach < number {
                break;
            }
            if number <= range.last {
                let hit = Hit {
                    membership,
                    labels: 0,
                    whole: true,
                };
                self.note(hit, &mut covering);
            }
        }
        if let Some(mandatory) = &self.mandatory {
            let hash = keyed_hash(&mandatory.key, &number.to_be_bytes());
            covering.mandatory = mandatory.hashes.get(hash).map(|found| Hit {
                membership: membership_number(found.value()),
                labels: 0,
                whole: true,
            });
        }
        covering
    }

    /// The source that a block for `category` is laid to: the deepest listed
    /// name's first source of that category.
    #[must_use]
    pub fn source_of(&self, covering: &Covering, category: Category) -> Option<&Source> {
        covering
            .hits
            .iter()
            .flatten()
            .rev()
            .find_map(|hit| self.sources_of(*hit).find(|s| s.category == category))
    }

    /// The mandatory source that covers, if one does.
    #[must_use]
    pub fn mandatory_source(&self, covering: &Covering) -> Option<&Source> {
        covering
            .mandatory
            .and_then(|hit| self.sources_of(hit).next())
    }

    fn sources_of(&self, hit: Hit) -> impl Iterator<Item = &Source> {
        let entries = self
            .memberships
            .get(usize::from(hit.membership))
            .map_or(&[][..], |m| &m.entries);
        entries
            .iter()
            .filter(move |e| e.scope.reaches(hit.whole))
            .filter_map(|e| self.sources.get(usize::from(e.source)))
    }

    fn walk(&self, name: NameRef<'_>, covering: &mut Covering) {
        let mut starts = [0u8; crate::name::MAX_LABELS + 1];
        let wire = name.wire();
        let (mut count, mut at) = (0, 0);
        while let Some(&length) = wire.get(at).filter(|length| **length > 0)
            && let (Some(start), Ok(here)) = (starts.get_mut(count), u8::try_from(at))
        {
            *start = here;
            count += 1;
            at += 1 + usize::from(length);
        }
        let fst = &self.names;
        let (mut node, mut out) = (fst.root(), Output::zero());
        let starts = starts.get(..count).unwrap_or_default();
        for (depth, &start) in starts.iter().rev().enumerate() {
            let start = usize::from(start);
            let length = wire.get(start).copied().map_or(0, usize::from);
            let Some(label) = wire.get(start + 1..start + 1 + length) else {
                return;
            };
            // A dot inside a label would pass for a separator; no list has one.
            if label.contains(&b'.') {
                return;
            }
            let separator: &[u8] = if depth > 0 { b"." } else { b"" };
            for &byte in separator.iter().chain(label) {
                let Some(input) = node.find_input(byte) else {
                    return;
                };
                let transition = node.transition(input);
                out = out.cat(transition.out);
                node = fst.node(transition.addr);
            }
            if node.is_final() {
                let value = out.cat(node.final_output()).value();
                let hit = Hit {
                    membership: membership_number(value),
                    labels: label_number(depth + 1),
                    whole: depth + 1 == count,
                };
                self.note(hit, covering);
            }
        }
    }

    fn note(&self, hit: Hit, covering: &mut Covering) {
        let Some(membership) = self.memberships.get(usize::from(hit.membership)) else {
            return;
        };
        let found = if hit.whole {
            membership.here
        } else {
            membership.below
        };
        if found.is_empty() {
            return;
        }
        covering.categories = covering.categories.union(found);
        covering.subtree = covering.subtree.union(found.both(membership.below));
        if let Some(free) = covering.hits.iter_mut().find(|h| h.is_none()) {
            *free = Some(hit);
        } else if let Some(last) = covering.hits.last_mut() {
            // The deepest name says most about the asked one.
            *last = Some(hit);
        }
    }

    fn mandatory_hit(&self, mandatory: &Mandatory, name: NameRef<'_>) -> Option<Hit> {
        let count = name.label_count();
        for (up, suffix) in name.suffixes().enumerate() {
            let hash = keyed_hash(&mandatory.key, suffix.wire());
            let Some(found) = mandatory.hashes.get(hash) else {
                continue;
            };
            let hit = Hit {
                membership: membership_number(found.value()),
                labels: label_number(count - up),
                whole: up == 0,
            };
            if self.sources_of(hit).next().is_some() {
                return Some(hit);
            }
        }
        None
    }
}

impl Covering {
    /// This one and `other` as one: what covers any name of an answer.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        self.categories = self.categories.union(other.categories);
        self.subtree = self.subtree.union(other.subtree);
        self.mandatory = self.mandatory.or(other.mandatory);
        let mut free = self.hits.iter_mut().filter(|h| h.is_none());
        for hit in other.hits.iter().flatten() {
            if let Some(slot) = free.next() {
                *slot = Some(*hit);
            }
        }
        self
    }

    /// Whether a mandatory list covers.
    #[must_use]
    pub fn is_mandatory(&self) -> bool {
        self.mandatory.is_some()
    }

    /// Whether anything covers at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty() && self.mandatory.is_none()
    }

    /// Whether the mandatory entry reaches below the asked name.
    #[must_use]
    pub fn mandatory_subtree(&self, lists: &Lists) -> bool {
        self.mandatory.is_some_and(|hit| {
            let below = Hit {
                whole: false,
                ..hit
            };
            lists.sources_of(below).next().is_some()
        })
    }
}

impl Scope {
    /// Whether an entry of this scope speaks of the listed name itself
    /// (`whole`), or of a name below it.
    #[must_use]
    pub fn reaches(self, whole: bool) -> bool {
        match self {
            Self::Exact => whole,
            Self::Subtree => true,
            Self::Below => !whole,
        }
    }
}

impl Membership {
    fn new(entries: Vec<Entry>, sources: &[Source]) -> Self {
        let of = |whole| {
            entries
                .iter()
                .filter(|e| e.scope.reaches(whole))
                .filter_map(|e| sources.get(usize::from(e.source)))
                .map(|s| s.category)
                .collect()
        };
        Self {
            here: of(true),
            below: of(false),
            entries: entries.into_boxed_slice(),
        }
    }
}

/// An index holds only what fits; a damaged one must point nowhere, not wrap.
fn membership_number(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// A name has at most [`MAX_LABELS`](crate::name::MAX_LABELS) labels.
fn label_number(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// The hash under which a mandatory entry is stored: of a name's lower-case
/// wire form, or of an address's 16 bytes in IPv6 form.
#[must_use]
pub fn keyed_hash(key: &[u8; 32], what: &[u8]) -> [u8; HASH_LEN] {
    let mut short = [0; HASH_LEN];
    short.copy_from_slice(&blake3::keyed_hash(key, what).as_bytes()[..HASH_LEN]);
    short
}

/// An address in its IPv6 form as a number.
#[must_use]
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The FST key of a name: labels reversed, dots between, none at the end.
/// `None` for a name that no list can hold (a dot or nothing in a label).
#[must_use]
pub fn reversed_key(name: NameRef<'_>) -> Option<Vec<u8>> {
    let labels: Vec<&[u8]> = name.labels().collect();
    if labels.is_empty() || labels.iter().any(|l| l.contains(&b'.')) {
        return None;
    }
    let mut key = Vec::with_capacity(name.wire().len());
    for (i, label) in labels.iter().rev().enumerate() {
        if i > 0 {
            key.push(b'.');
        }
        key.extend_from_slice(label);
    }
    Some(key)
}
