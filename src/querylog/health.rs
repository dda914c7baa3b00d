//! How the log fares, for the metrics and the dashboard.
//!
//! Written by the writer thread, read by whoever wants to know; the packet path
//! touches none of it but its own drop counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::recorder::{ByRank, Rank, Shortfall};

/// The state of the log, shared between threads.
#[derive(Debug)]
pub struct Health {
    recorders: Vec<Arc<Shortfall>>,
    /// What the spool let go.
    pub(super) spool: ByRank,
    written: AtomicU64,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    last_write: Option<Timestamp>,
    pending_rows: usize,
    pending_bytes: usize,
    last_error: Option<String>,
    failing: bool,
    set_aside: u64,
}

/// The state of the log at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When rows were last made durable.
    pub last_write: Option<Timestamp>,
    /// How many look-ups were made durable since the start.
    pub written: u64,
    /// Rows that wait in memory to be written.
    pub pending_rows: usize,
    /// What they take up.
    pub pending_bytes: usize,
    /// Whether the last attempt to write failed.
    pub failing: bool,
    /// The last thing that went wrong, even if it has passed.
    pub last_error: Option<String>,
    /// Damaged files that were set aside since the start.
    pub set_aside: u64,
    /// Allowed look-ups that are not in the log though they should be.
    pub lost_allowed: u64,
    /// Blocked and rewritten ones.
    pub lost_blocked: u64,
    /// Mandatory ones.
    pub lost_mandatory: u64,
    /// Allowed look-ups that a flood left only in a count, without their names.
    pub collapsed_allowed: u64,
    /// Blocked and rewritten ones; mandatory ones are always in full.
    pub collapsed_blocked: u64,
}

impl Health {
    pub(super) fn new(recorders: Vec<Arc<Shortfall>>) -> Self {
        Self {
            recorders,
            spool: ByRank::default(),
            written: AtomicU64::new(0),
            now: Mutex::default(),
        }
    }

    /// How many look-ups of `rank` are lost: dropped by a worker or by the spool.
    #[must_use]
    pub fn lost(&self, rank: Rank) -> u64 {
        let workers: u64 = self.recorders.iter().map(|of| of.lost.of(rank)).sum();
        workers + self.spool.of(rank)
    }

    /// How many look-ups of `rank` are only in the count of various names.
    #[must_use]
    pub fn collapsed(&self, rank: Rank) -> u64 {
        let workers = self.recorders.iter();
        workers.map(|of| of.collapsed.of(rank)).sum()
    }

    /// Everything at once.
    #[must_use]
    pub fn report(&self) -> Report {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            last_write: now.last_write,
            written: self.written.load(Relaxed),
            pending_rows: now.pending_rows,
            pending_bytes: now.pending_bytes,
            failing: now.failing,
            last_error: now.last_error.clone(),
            set_aside: now.set_aside,
            lost_allowed: self.lost(Rank::Allowed),
            lost_blocked: self.lost(Rank::Blocked),
            lost_mandatory: self.lost(Rank::Mandatory),
            collapsed_allowed: self.collapsed(Rank::Allowed),
            collapsed_blocked: self.collapsed(Rank::Blocked),
        }
    }

    pub(super) fn note_pending(&self, rows: usize, bytes: usize) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.pending_rows = rows;
        now.pending_bytes = bytes;
    }

    pub(super) fn note_written(&self, rows: u64, at: Timestamp) {
        self.written.fetch_add(rows, Relaxed);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.last_write = Some(at);
    }

    pub(super) fn note_set_aside(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.set_aside += 1;
    }

    /// Notes success or failure; says whether that is news.
    pub(super) fn note_outcome(&self, error: Option<String>) -> bool {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let was_failing = now.failing;
        now.failing = error.is_some();
        if error.is_some() {
            now.last_error = error;
        }
        now.failing != was_failing
    }
}
