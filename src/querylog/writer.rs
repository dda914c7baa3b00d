//! The one thread that writes: every fifth of a second it empties the workers'
//! rings, puts together what is the same, and commits.
//!
//! A blocked look-up has waited in its worker as long as that at most, and is
//! therefore durable well within a second. When writing
//! fails it goes on emptying the rings, so that the workers never notice, keeps
//! the rows in the bounded spool and tries again at growing intervals.
//!
//! It must never make anybody wait but itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::health::Health;
use super::recorder::Outlet;
use super::spool::Spool;
use super::store::{Outcome, Store};

/// The time between two flushes.
pub const FLUSH: Duration = Duration::from_millis(200);
/// What may wait in memory while nothing can be written.
pub const SPOOL_BYTES: usize = 8 << 20;
/// What one day's file may grow to: a flood must not fill the disk.
pub const DAY_BYTES: u64 = 4 << 30;
/// Most flushes that are skipped after a failure: about 25 seconds.
const LONGEST_PAUSE: u32 = 128;

/// Where and how much to write.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of the log.
    pub folder: PathBuf,
    /// The school's zone, by whose wall clock a day begins.
    pub zone: TimeZone,
    /// What may wait in memory: [`SPOOL_BYTES`].
    pub spool_bytes: usize,
    /// What one day's file may grow to: [`DAY_BYTES`].
    pub day_bytes: u64,
}

/// The writing end of the log.
pub struct Writer {
    outlets: Vec<Outlet>,
    spool: Spool,
    store: Store,
    health: Arc<Health>,
    /// Flushes to skip before the next attempt, and how many the last failure
    /// asked for. Counted, not timed: the clock may be what is wrong.
    skip: u32,
    pause: u32,
    /// Something is still unwritten: rows, or the counts for the charts, which
    /// must not wait for the next row.
    failing: bool,
}

impl Settings {
    /// The usual sizes.
    #[must_use]
    pub fn new(folder: PathBuf, zone: TimeZone) -> Self {
        Self {
            folder,
            zone,
            spool_bytes: SPOOL_BYTES,
            day_bytes: DAY_BYTES,
        }
    }
}

impl Writer {
    /// A writer for the rows that come out of `outlets`. Touches no file yet.
    #[must_use]
    pub fn new(settings: Settings, outlets: Vec<Outlet>) -> Self {
        let shortfalls = outlets.iter().map(Outlet::shortfall).collect();
        Self {
            outlets,
            spool: Spool::new(settings.spool_bytes),
            store: Store::new(settings.folder, settings.zone, settings.day_bytes),
            health: Arc::new(Health::new(shortfalls)),
            skip: 0,
            pause: 0,
            failing: false,
        }
    }

    /// How the log fares, for other threads.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Writes until something comes through `stop` or its sender is gone; then
    /// writes the rest and returns.
    pub fn run(mut self, stop: &Receiver<()>, clock: impl Fn() -> Timestamp) {
        while stop.recv_timeout(FLUSH) == Err(RecvTimeoutError::Timeout) {
            self.flush(clock());
        }
        self.skip = 0;
        self.flush(clock());
        let left = self.spool.len();
        if left > 0 {
            tracing::error!(rows = left, "query log: stopped with rows unwritten");
        }
        self.store.close();
    }

    /// Empties the rings and writes what there is, unless the last failure is
    /// too recent.
    pub fn flush(&mut self, now: Timestamp) {
        for outlet in &mut self.outlets {
            outlet.drain(|time, count, key| {
                self.spool.add(time, count, key, &self.health.spool);
            });
        }
        self.spool.end_of_flush();
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.spool.len() > 0 || self.failing {
            let outcome = self.store.write(self.spool.take());
            self.settle(outcome, now);
        }
        self.health
            .note_pending(self.spool.len(), self.spool.bytes());
    }

    fn settle(&mut self, outcome: Outcome, now: Timestamp) {
        for (rank, count) in outcome.refused {
            self.health.spool.count(rank, count);
        }
        for file in &outcome.set_aside {
            tracing::error!(file, "query log: damaged file set aside, a new one begun");
            self.health.note_set_aside();
        }
        if outcome.written > 0 {
            self.health.note_written(outcome.written, now);
        }
        // The charts' file may fail too, but rows do not wait for charts.
        if outcome.unwritten.is_empty() {
            self.pause = 0;
        } else {
            self.pause = (self.pause * 2).clamp(1, LONGEST_PAUSE);
            self.skip = self.pause;
        }
        self.failing = outcome.error.is_some();
        let error = outcome.error.map(|e| e.to_string());
        if self.health.note_outcome(error.clone()) {
            if let Some(error) = error {
                tracing::error!(error, "query log: cannot write, rows wait");
            } else {
                tracing::info!("query log: writing again");
            }
        }
        self.spool.put_back(outcome.unwritten, &self.health.spool);
    }
}
