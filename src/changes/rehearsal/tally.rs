//! What is decided otherwise, counted: each name, kind of asker and kind of hour
//! is decided once, however often it was asked.
//!
//! A mandatory name, by the lists of now or of then, is not counted at all: a
//! count of one would be a name for whoever knows what they asked for.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::name::NameRef;
use crate::policy::decision::Verdict;
use crate::policy::{GroupIndex, Policy};

use super::hours::Kind;
use super::who::Pair;
use super::{GroupChange, NameCount};

/// So many names are told of one group, those most looked-up.
const MOST_NAMES: usize = 50;

/// The names of a week, each once, by number.
#[derive(Default)]
pub(super) struct Names {
    /// Their wire forms, one behind the other.
    wires: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

/// What comes of the look-ups so far.
#[derive(Default)]
pub(super) struct Tally {
    /// For a name under a pair and a kind: nothing, or the number of a change.
    cells: HashMap<(u32, u32), Option<u32>, RandomState>,
    numbers: HashMap<(GroupIndex, bool, u32), u32, RandomState>,
    /// How many look-ups of each.
    changes: Vec<u64>,
    pub(super) lookups: u64,
}

impl Names {
    /// The number of a name, a new one if it is new.
    pub(super) fn number(&mut self, wire: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(wire);
        let (wires, ends) = (&self.wires, &self.ends);
        let is_it = |number: &u32| of(wires, ends, *number) == wire;
        if let Some(number) = self.numbers.find(hash, is_it) {
            return *number;
        }
        let number = self.ends.len() as u32;
        self.wires.extend_from_slice(wire);
        self.ends.push(self.wires.len() as u32);
        let (wires, ends, hasher) = (&self.wires, &self.ends, &self.hasher);
        let rehash = |number: &u32| hasher.hash_one(of(wires, ends, *number));
        self.numbers.insert_unique(hash, number, rehash);
        number
    }

    /// The name of a number.
    pub(super) fn name(&self, number: u32) -> Option<NameRef<'_>> {
        NameRef::from_wire(of(&self.wires, &self.ends, number))
    }
}

fn of<'w>(wires: &'w [u8], ends: &[u32], number: u32) -> &'w [u8] {
    let at = number as usize;
    let end = |at: usize| ends.get(at).map_or(0, |end| *end as usize);
    let start = at.checked_sub(1).map_or(0, end);
    wires.get(start..end(at)).unwrap_or_default()
}

impl Tally {
    /// Counts look-ups of one name, under the `cell` of a pair and a kind;
    /// `decide` says what becomes of them, for which group, and is asked once.
    #[inline]
    pub(super) fn count(
        &mut self,
        cell: u32,
        name: u32,
        lookups: u64,
        decide: impl FnOnce() -> Option<(GroupIndex, bool)>,
    ) {
        self.lookups += lookups;
        let Self {
            cells,
            numbers,
            changes,
            ..
        } = self;
        let change = cells.entry((cell, name)).or_insert_with(|| {
            let (group, blocked) = decide()?;
            Some(*numbers.entry((group, blocked, name)).or_insert_with(|| {
                changes.push(0);
                changes.len() as u32 - 1
            }))
        });
        let count = change.and_then(|change| changes.get_mut(change as usize));
        if let Some(count) = count {
            *count += lookups;
        }
    }

    /// What has changed, in the order of the groups. `hidden` are names that must
    /// not be told, nor counted.
    pub(super) fn by_group(
        &self,
        before: &Policy,
        names: &Names,
        hidden: impl Fn(u32) -> bool,
    ) -> Vec<GroupChange> {
        let mut groups: BTreeMap<GroupIndex, [Vec<NameCount>; 2]> = BTreeMap::new();
        for ((group, blocked, name), change) in &self.numbers {
            let lookups = self.changes.get(*change as usize).copied();
            let text = names.name(*name).filter(|_| !hidden(*name));
            if let (Some(lookups), Some(name)) = (lookups, text) {
                let name = name.to_string();
                let [newly_blocked, newly_allowed] = groups.entry(*group).or_default();
                let side = if *blocked {
                    newly_blocked
                } else {
                    newly_allowed
                };
                side.push(NameCount { name, lookups });
            }
        }
        let change = |(group, [blocked, allowed]): (GroupIndex, [Vec<NameCount>; 2])| {
            let sum = |all: &[NameCount]| all.iter().map(|name| name.lookups).sum();
            GroupChange {
                group: before.group(group).map_or("", |group| &group.id).to_owned(),
                newly_blocked: blocked.len() as u64,
                blocked_lookups: sum(&blocked),
                newly_allowed: allowed.len() as u64,
                allowed_lookups: sum(&allowed),
                blocked_names: most(blocked),
                allowed_names: most(allowed),
            }
        };
        groups.into_iter().map(change).collect()
    }
}

/// Those most looked-up.
fn most(mut all: Vec<NameCount>) -> Vec<NameCount> {
    all.sort_by(|a, b| (b.lookups, &a.name).cmp(&(a.lookups, &b.name)));
    all.truncate(MOST_NAMES);
    all
}

/// What the change does to one look-up: whether it is newly blocked, or else
/// newly let through; none if neither. A safe mode is an answer, not a block.
pub(super) fn change_of(
    (before, after): (&Policy, &Policy),
    pair: Pair,
    name: NameRef<'_>,
    kind: &Kind,
) -> Option<(GroupIndex, bool)> {
    let of_before = before.lists.covering(name);
    let of_after = if before.lists.serial == after.lists.serial {
        of_before
    } else {
        after.lists.covering(name)
    };
    if of_before.is_mandatory() || of_after.is_mandatory() {
        return None;
    }
    let was = before.decide(pair.before, name, &of_before, &kind.before, &mut ());
    let is = after.decide(pair.after, name, &of_after, &kind.after, &mut ());
    let blocked = |verdict| verdict == Verdict::Block;
    let (was, is) = (blocked(was.verdict), blocked(is.verdict));
    (was != is).then_some((pair.before.group, is))
}
