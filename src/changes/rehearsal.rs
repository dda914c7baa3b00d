//! What a candidate policy would have done: whether it breaks a name that must
//! resolve or opens one that must be blocked, and what the last week's queries
//! would have got.
//!
//! The first, [`check`](check::check), is cheap and asked of every policy that is
//! to be put in force. The second reads the query log, takes seconds, and is for
//! people: `rehearse` on the command line and the page of a proposal. What was
//! done at the time does not count: both policies are asked about each look-up,
//! so that nothing but the change shows. Both are asked by the name alone, as the
//! log has no answers: what an answer would have led to is not known.
//!
//! It must never name a mandatory host, and the process that answers DNS must
//! never read the log: it calls `check` alone.

pub mod check;
mod hours;
mod replay;
mod tally;
mod who;
mod words;

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::policy::decision::LogLevel;
use check::Musts;

/// What a rehearsal found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Days of the log that were replayed.
    pub days: u32,
    /// Look-ups that were replayed.
    pub lookups: u64,
    /// Not all were replayed, because that would have taken too long: about one
    /// in so many.
    pub one_in: Option<u32>,
    /// What would have been decided otherwise, by the group that asked.
    pub groups: Vec<GroupChange>,
    /// What makes the change impossible: a name that must resolve and would be
    /// blocked, one that must be blocked and would be let through.
    pub refusals: Vec<String>,
    /// Days of the log that cannot be read, or not all of them, and why.
    #[serde(default)]
    pub damaged: Vec<String>,
    /// Groups whose allowed look-ups are not written down by name: what would be
    /// newly blocked for them is not known.
    #[serde(default)]
    pub unseen: Vec<String>,
}

/// What would have been decided otherwise for one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    /// The group.
    pub group: String,
    /// How many names would have been blocked that were not.
    pub newly_blocked: u64,
    /// Look-ups of those.
    pub blocked_lookups: u64,
    /// How many names would have been let through that were blocked.
    pub newly_allowed: u64,
    /// Look-ups of those.
    pub allowed_lookups: u64,
    /// Which, most looked-up first, a bounded number; a mandatory name is never
    /// among them.
    pub blocked_names: Vec<NameCount>,
    /// As `blocked_names`, of those let through.
    pub allowed_names: Vec<NameCount>,
}

/// A name and how often it was looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameCount {
    /// The name.
    pub name: String,
    /// Look-ups.
    pub lookups: u64,
}

/// Rehearses the change from `before` to `after` on the last week of the log in
/// `log`, whose days are those of `zone`.
///
/// If all of it would take longer than `budget`, a fair sample is replayed. A
/// day that cannot be read costs that day.
pub fn rehearse(
    before: &Policy,
    after: &Policy,
    musts: &Musts,
    log: &Path,
    zone: &TimeZone,
    now: Timestamp,
    budget: Duration,
) -> io::Result<Rehearsal> {
    let refusals = check::check_change(before, after, musts, now);
    let unseen = before
        .groups
        .iter()
        .filter(|group| matches!(group.log, LogLevel::Off | LogLevel::Counts))
        .map(|group| group.id.to_string());
    Ok(Rehearsal {
        refusals,
        unseen: unseen.collect(),
        ..replay::replay((before, after), log, zone, now, budget)?
    })
}
