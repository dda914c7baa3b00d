//! What a candidate policy would have done: whether it breaks a name that must
//! resolve or opens one that must be blocked, and what the last week's queries
//! would have got.

use serde::{Deserialize, Serialize};

/// What a rehearsal found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Days of the log that were replayed.
    pub days: u32,
    /// Look-ups that were replayed.
    pub lookups: u64,
    /// Not all were replayed, because that would have taken too long: about one
    /// in so many.
    pub one_in: Option<u32>,
    /// What would have been decided otherwise, by group.
    pub groups: Vec<GroupChange>,
    /// What makes the change impossible: a name that must resolve and would be
    /// blocked, one that must be blocked and would be let through.
    pub refusals: Vec<String>,
}

/// What would have been decided otherwise for one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
