//! "At least as strict as": the order in which one group, or one device, stands
//! above another.
//!
//! It is partial, and it is about everything at once: at each moment it blocks
//! whatever the other blocks, for each name its exceptions say the same or
//! worse, searches are held as firmly, canaries are answered alike, no less is
//! written down and nobody is told of less. Two that are each strict in their own way are in no order.
//!
//! Names on lists are not looked at: a school may take other lists tomorrow, and
//! what tightens must tighten with any. So a name that an exception denies and
//! that a category may block as well counts as let through when the exception
//! goes.

use std::cmp::Reverse;
use std::rc::Rc;

use super::draft::{Draft, Rows};
use super::ground::{Asked, Ground};
use crate::lists::category::CategorySet;
use crate::policy::decision::LogLevel;
use crate::policy::group::{Ech, Group, SafeSearch};
use crate::policy::meant::Meant;
use crate::policy::timetable::Timetable;
use crate::policy::{Asker, DeviceIndex, GroupIndex};

/// A draft as it is meant.
pub(super) struct Side {
    /// Groups, networks and exceptions.
    pub(super) meant: Meant,
    /// Of each group, what it blocks at each moment of the ground.
    blocked: Vec<Vec<CategorySet>>,
    /// Of each group, of which themes its look-ups may raise an alert.
    told: Vec<Vec<bool>>,
    /// The devices.
    pub(super) rows: Rc<Rows>,
}

/// How somebody is treated: by the rules of a group, and by the exceptions for
/// it and for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Treated {
    /// The group.
    pub(super) group: GroupIndex,
    /// The device, if an exception is for it.
    pub(super) device: Option<DeviceIndex>,
}

/// What exceptions say of a name; the later, the stricter.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Stance {
    Allows,
    IsSilent,
    Denies,
}

impl Side {
    /// What `draft` means on this ground.
    pub(super) fn of(draft: &Draft, ground: &Ground) -> Self {
        let meant = Meant::of(&draft.document, &ground.mentioned);
        let timetables: Vec<&Timetable> =
            draft.document.timetables.iter().map(|t| &t.value).collect();
        let themes = &draft.document.alerts.value.themes;
        let groups = || meant.groups.iter();
        let told = |group: &Group| themes.iter().map(|rule| rule.is_for(&group.id)).collect();
        Self {
            blocked: groups().map(|g| blocked(g, &timetables, ground)).collect(),
            told: groups().map(told).collect(),
            meant,
            rows: Rc::clone(&draft.rows),
        }
    }

    /// The group of an id.
    pub(super) fn group(&self, id: &str) -> Option<GroupIndex> {
        let found = self.meant.groups.iter().position(|g| *g.id == *id)?;
        u16::try_from(found).ok().map(GroupIndex)
    }

    /// Every group, with its index.
    pub(super) fn groups(&self) -> impl Iterator<Item = (GroupIndex, &Group)> {
        let groups = self.meant.groups.iter();
        groups
            .zip(0..)
            .map(|(group, index)| (GroupIndex(index), group))
    }

    fn stance(&self, who: Treated, asked: &Asked, at: usize) -> Stance {
        let device = who.device.filter(|device| asked.devices.contains(device));
        let who = Asker {
            group: who.group,
            device,
        };
        let now = asked.times.get(at).copied().flatten();
        let found = self
            .meant
            .exceptions
            .covering(asked.name.as_ref(), who, now);
        match found {
            Some(exception) if exception.allows => Stance::Allows,
            Some(_) => Stance::Denies,
            None => Stance::IsSilent,
        }
    }
}

/// Whether `new`, as it is treated on one side, is held at least as strictly as
/// `old` on the other.
pub(super) fn at_least(new: (&Side, Treated), old: (&Side, Treated), ground: &Ground) -> bool {
    let asked = || ground.asked.iter();
    rules_at_least((new.0, new.1.group), (old.0, old.1.group))
        && asked().all(|asked| stance_at_least(new, old, asked))
}

/// As [`at_least`], of what a group's own rules say.
pub(super) fn rules_at_least(new: (&Side, GroupIndex), old: (&Side, GroupIndex)) -> bool {
    let (Some(new), Some(old)) = (Rules::of(new), Rules::of(old)) else {
        return false;
    };
    let mut moments = new.blocked.iter().zip(old.blocked);
    let mut themes = new.told.iter().zip(old.told);
    new.blocked.len() == old.blocked.len()
        && moments.all(|(new, old)| old.without(*new).is_empty())
        && themes.all(|(new, old)| new >= old)
        && new.search >= old.search
        && new.canaries >= old.canaries
        && new.strips >= old.strips
        && new.log >= old.log
        && new.own >= old.own
}

/// As [`at_least`], of what exceptions say of one name.
pub(super) fn stance_at_least(new: (&Side, Treated), old: (&Side, Treated), asked: &Asked) -> bool {
    let mut times = 0..asked.times.len();
    times.all(|at| new.0.stance(new.1, asked, at) >= old.0.stance(old.1, asked, at))
}

/// The rules of a group; the higher, the stricter.
struct Rules<'s> {
    blocked: &'s [CategorySet],
    told: &'s [bool],
    search: u8,
    canaries: bool,
    strips: bool,
    log: u8,
    /// For how long a device may open a site for itself.
    own: Reverse<u32>,
}

impl<'s> Rules<'s> {
    fn of((side, index): (&'s Side, GroupIndex)) -> Option<Self> {
        let index = usize::from(index.0);
        let group = side.meant.groups.get(index)?;
        Some(Self {
            blocked: side.blocked.get(index)?,
            told: side.told.get(index)?,
            search: match group.safe_search {
                SafeSearch::Off => 0,
                SafeSearch::Moderate => 1,
                SafeSearch::Strict => 2,
            },
            canaries: group.canaries,
            strips: group.ech == Ech::Strip,
            log: depth(group.log),
            own: Reverse(group.override_minutes),
        })
    }
}

/// How much is written down.
pub(super) fn depth(log: LogLevel) -> u8 {
    match log {
        LogLevel::Off => 0,
        LogLevel::Counts => 1,
        LogLevel::Domains => 2,
        LogLevel::Full => 3,
    }
}

/// What `group` blocks at each moment; at the end, what it blocks while the
/// clock is not trusted (R-133g).
fn blocked(group: &Group, timetables: &[&Timetable], ground: &Ground) -> Vec<CategorySet> {
    let during: Vec<_> = group
        .during
        .iter()
        .filter_map(|d| Some((d, ground.holds(timetables.get(d.timetable)?))))
        .collect();
    let at = |moment: usize| {
        let (mut added, mut removed) = (CategorySet::EMPTY, CategorySet::EMPTY);
        for (during, holds) in &during {
            if holds.get(moment).copied().unwrap_or_default() {
                added = added.union(during.add);
                removed = removed.union(during.remove);
            }
        }
        group.block.without(removed).union(added)
    };
    let ever = during
        .iter()
        .fold(group.block, |all, (d, _)| all.union(d.add));
    (0..ground.moments()).map(at).chain([ever]).collect()
}
