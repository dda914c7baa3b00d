//! Name → what the lists say of it and of its ancestors, top-level label first.
//!
//! A generation's names are asked in one of two forms. The flat tables
//! (`table.rs`) are the quick one: a hash and a look for each ancestor. The exact
//! index (`exact.rs`) is what the command line can enumerate, and it is walked
//! where there are no tables. Both say the same, and a test holds it.
//!
//! The mandatory class is an FST keyed by a hash, so that its names are nowhere
//! in the clear. That hash is dear, so a table of a cheaper one, keyed
//! too, says first whom to ask for; the FST has the word.
//!
//! It does no I/O and allocates nothing. It relies on the checksums having been
//! verified at load (`load.rs`): the fst crate may panic on a damaged file.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use fst::raw::Fst;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::addresses::{AddressRange, Addresses, address_number};
use super::ancestors::{Ancestor, Ancestors};
use super::category::{Category, CategorySet};
use super::exact::{self, ExactIndex};
use super::table::{NameHash, Table};
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
    names: u64,
    index: Index,
    mandatory: Option<Mandatory>,
    addresses: Addresses,
    memberships: Box<[Membership]>,
    sources: Box<[Source]>,
}

/// How a generation's names are found.
pub enum Index {
    /// By their hashes.
    Tables(Tables),
    /// By their letters: a generation that has no tables, or whose tables were
    /// made with another key.
    Exact(ExactIndex),
}

/// The flat tables of a generation; one hash of a name asks both.
pub struct Tables {
    /// The hash.
    pub hash: NameHash,
    /// Every name that anyone may read.
    pub names: Table,
    /// The mandatory entries. What is not in it is not asked for among them;
    /// none: everything is.
    pub mandatory: Option<Table>,
}

/// The mandatory class: keyed hashes instead of names.
pub struct Mandatory {
    /// Hash → membership.
    pub hashes: Fst<Mmap>,
    /// The key the hashes were made with.
    pub key: [u8; 32],
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
    /// How many names are listed, the mandatory ones not counted.
    pub names: u64,
    /// Name → membership; the checksums have been verified.
    pub index: Index,
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
        Self {
            generation: parts.generation,
            serial: LOADED.fetch_add(1, Ordering::Relaxed),
            names: parts.names,
            index: parts.index,
            mandatory: parts.mandatory,
            addresses: Addresses::new(parts.addresses),
            memberships,
            sources,
        }
    }

    /// How many names are listed, the mandatory ones not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names as usize
    }

    /// Whether no name is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names == 0
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
        match &self.index {
            Index::Tables(tables) => self.look(tables, name, &mut covering),
            Index::Exact(names) => names.walk(name, |ancestor, found| {
                self.note(Hit::at(ancestor, found), &mut covering);
            }),
        }
        if self.mandatory.is_some() && self.mandatory_filter().is_none() {
            let ancestors = Ancestors::of(name);
            let hits = ancestors.top_first().filter_map(|a| self.mandatory_at(&a));
            covering.mandatory = hits.last();
        }
        covering
    }

    /// What covers an address in an answer.
    #[must_use]
    pub fn covering_address(&self, address: IpAddr) -> Covering {
        let mut covering = Covering::default();
        let number = address_number(address);
        let hit = |membership| Hit {
            membership,
            labels: 0,
            whole: true,
        };
        for membership in self.addresses.holding(number) {
            self.note(hit(membership), &mut covering);
        }
        let address = number.to_be_bytes();
        let may_be = self
            .mandatory_filter()
            .is_none_or(|(hash, table)| table.find(hash.of(&address)).is_some());
        if let Some(mandatory) = self.mandatory.as_ref().filter(|_| may_be) {
            covering.mandatory = mandatory.find(&address).map(hit);
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

    /// One look for each ancestor that can be listed.
    fn look(&self, tables: &Tables, name: NameRef<'_>, covering: &mut Covering) {
        for ancestor in Ancestors::of(name).top_first() {
            let open = tables.names.may_hold(ancestor.labels);
            let secret = tables.mandatory.as_ref();
            let secret = secret.filter(|table| table.may_hold(ancestor.labels));
            if !open && secret.is_none() {
                continue;
            }
            let hash = tables.hash.of(ancestor.wire);
            if open && let Some(found) = tables.names.find(hash) {
                self.note(Hit::at(&ancestor, found), covering);
            }
            if secret.is_some_and(|table| table.find(hash).is_some())
                && let Some(hit) = self.mandatory_at(&ancestor)
            {
                // The deepest name counts, and it comes last.
                covering.mandatory = Some(hit);
            }
        }
    }

    /// What the mandatory class says of one ancestor of a name.
    fn mandatory_at(&self, ancestor: &Ancestor<'_>) -> Option<Hit> {
        let found = self.mandatory.as_ref()?.find(ancestor.wire)?;
        let hit = Hit::at(ancestor, found);
        self.sources_of(hit).next().map(|_| hit)
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

    /// By what most names are known not to be mandatory at little cost.
    fn mandatory_filter(&self) -> Option<(&NameHash, &Table)> {
        match &self.index {
            Index::Tables(tables) => Some((&tables.hash, tables.mandatory.as_ref()?)),
            Index::Exact(_) => None,
        }
    }
}

impl Mandatory {
    fn find(&self, what: &[u8]) -> Option<u16> {
        let found = self.hashes.get(keyed_hash(&self.key, what))?;
        Some(exact::membership_number(found.value()))
    }
}

impl Hit {
    fn at(ancestor: &Ancestor<'_>, membership: u16) -> Self {
        Self {
            membership,
            // A name has at most 127.
            labels: u8::try_from(ancestor.labels).unwrap_or(u8::MAX),
            whole: ancestor.is_whole,
        }
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

/// The hash under which a mandatory entry is stored: of a name's lower-case
/// wire form, or of an address's 16 bytes in IPv6 form.
#[must_use]
pub fn keyed_hash(key: &[u8; 32], what: &[u8]) -> [u8; HASH_LEN] {
    let mut short = [0; HASH_LEN];
    short.copy_from_slice(&blake3::keyed_hash(key, what).as_bytes()[..HASH_LEN]);
    short
}
