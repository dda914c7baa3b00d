//! How each upstream fares with one worker.
//!
//! Counted where an answer came or did not, which is never on the road of a
//! blocked or cached question. Times are the worker's own milliseconds.

use super::Counter;

/// What went wrong with an upstream the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No answer came in time.
    Silent,
    /// The network would not carry the question, or the connection failed.
    Unreachable,
    /// What came was no answer to the question.
    Unusable,
}

impl Failure {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Silent, Self::Unreachable, Self::Unusable];

    /// The word in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Unreachable => "unreachable",
            Self::Unusable => "unusable",
        }
    }
}

/// One upstream, as one worker sees it.
#[derive(Debug, Default)]
pub struct UpstreamCounters {
    /// Answers.
    pub answers: Counter,
    /// Failures.
    pub failures: Counter,
    /// Failures since the last answer.
    pub in_a_row: Counter,
    /// One more than the millisecond of the last answer; 0: none yet.
    last_answer: Counter,
    /// The same of the last failure.
    last_failure: Counter,
    /// One more than the place of the last failure's kind.
    last_kind: Counter,
}

impl UpstreamCounters {
    /// It answered at `now`.
    pub fn answered(&self, now: u64) {
        self.answers.count();
        self.in_a_row.set(0);
        self.last_answer.set(now + 1);
    }

    /// It failed at `now`.
    pub fn failed(&self, kind: Failure, now: u64) {
        self.failures.count();
        self.in_a_row.count();
        self.last_failure.set(now + 1);
        self.last_kind.set(kind as u64 + 1);
    }

    /// When it last answered.
    #[must_use]
    pub fn last_answer(&self) -> Option<u64> {
        self.last_answer.value().checked_sub(1)
    }

    /// When it last failed, and how.
    #[must_use]
    pub fn last_failure(&self) -> Option<(u64, Failure)> {
        let kind = self.last_kind.value().checked_sub(1)?;
        let kind = *Failure::ALL.get(usize::try_from(kind).ok()?)?;
        Some((self.last_failure.value().checked_sub(1)?, kind))
    }
}
