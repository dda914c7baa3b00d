//! What both policies block at each hour of the last week.
//!
//! Between two edges of any timetable nothing changes, so the week falls into a
//! few dozen spans, and spans with the same rules are one kind: Monday's lessons
//! and Tuesday's. A name is decided once for each kind.
//!
//! Exceptions count as they stand now, not as they stood at the time: one that
//! has ended since would otherwise show as the doing of whoever removes it.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::policy::decide::Moment;
use crate::policy::{GroupIndex, Policy};

/// The hours of a week, under a policy and the one that is to follow.
pub(super) struct Hours {
    /// In order, without a gap.
    spans: Vec<Span>,
    kinds: Vec<Kind>,
}

/// A time in which nothing changes.
struct Span {
    /// Where it ends, in microseconds.
    until: i64,
    /// Of which kind it is.
    kind: u32,
}

/// What is blocked at such hours.
pub(super) struct Kind {
    pub(super) before: Moment,
    pub(super) after: Moment,
}

impl Hours {
    /// Those from `since` to `now`.
    pub(super) fn between(
        (before, after): (&Policy, &Policy),
        since: Timestamp,
        now: Timestamp,
    ) -> Self {
        let mut all = Self {
            spans: Vec::new(),
            kinds: Vec::new(),
        };
        let mut known: HashMap<Vec<u64>, u32> = HashMap::new();
        let mut from = since;
        while from <= now {
            let kind = Kind {
                before: before.at_the_hours_of(from, now),
                after: after.at_the_hours_of(from, now),
            };
            let until = kind.before.until.min(kind.after.until);
            let rules = [(before, &kind.before), (after, &kind.after)]
                .into_iter()
                .flat_map(|(policy, moment)| blocked(policy, moment))
                .collect();
            let number = *known.entry(rules).or_insert_with(|| {
                all.kinds.push(kind);
                all.kinds.len() as u32 - 1
            });
            all.spans.push(Span {
                until: until.as_microsecond(),
                kind: number,
            });
            if until <= from {
                // No edge lies before it; then time would stand still.
                break;
            }
            from = until;
        }
        all
    }

    /// Which span holds `time`.
    pub(super) fn span_at(&self, time: i64) -> usize {
        self.spans.partition_point(|span| span.until <= time)
    }

    /// The kind of hour at `time`, which is in span `near` or behind it; `near`
    /// goes on to it.
    pub(super) fn kind_at(&self, time: i64, near: &mut usize) -> Option<u32> {
        while self.spans.get(*near)?.until <= time {
            *near += 1;
        }
        Some(self.spans.get(*near)?.kind)
    }

    /// What is blocked at hours of a kind.
    pub(super) fn kind(&self, number: u32) -> Option<&Kind> {
        self.kinds.get(number as usize)
    }

    /// How many kinds there are.
    pub(super) fn kinds(&self) -> u32 {
        self.kinds.len() as u32
    }
}

fn blocked<'m>(policy: &Policy, moment: &'m Moment) -> impl Iterator<Item = u64> + use<'m> {
    let groups = 0..policy.groups.len() as u16;
    groups.map(|group| moment.blocked(GroupIndex(group)).bits())
}
