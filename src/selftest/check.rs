//! What one check found, in a form for the technician and for the record.
//!
//! Three outcomes and not two: what could not be tried must not look like what
//! was tried and held.

use std::fmt;

use serde::Serialize;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is, for programs: `canary:mask.icloud.com`.
    pub id: String,
    /// What it is, for people.
    pub name: String,
    /// What came of it.
    #[serde(rename = "result")]
    pub outcome: Outcome,
    /// What that means, and what to do about it.
    pub said: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Ok,
    /// There is a way round.
    Failed,
    /// It could not be tried here.
    NotTested,
}

impl Check {
    /// With an outcome and a sentence that a judgement gave.
    pub(super) fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        (outcome, said): Judgement,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            outcome,
            said,
        }
    }
}

/// An outcome with its sentence.
pub(super) type Judgement = (Outcome, String);

/// It holds.
pub(super) fn ok(said: impl Into<String>) -> Judgement {
    (Outcome::Ok, said.into())
}

/// There is a way round.
pub(super) fn failed(said: impl Into<String>) -> Judgement {
    (Outcome::Failed, said.into())
}

/// It could not be tried.
pub(super) fn not_tested(said: impl Into<String>) -> Judgement {
    (Outcome::NotTested, said.into())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Failed => "FAILED",
            Self::NotTested => "not tested",
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<11} {}: {}", self.outcome, self.name, self.said)
    }
}
