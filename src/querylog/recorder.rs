//! The packet side of the log: copies an event into the worker's own ring.
//!
//! Each worker has one [`Recorder`], the writer thread the [`Outlet`] at the
//! other end; between them is a ring of bytes with one producer and one
//! consumer, so that neither ever waits. When the writer falls behind, rows are
//! lost in a set order: allowed ones once half the ring is full, blocked ones
//! once seven eighths are, and mandatory ones when not a byte is left.
//!
//! It must never allocate, lock, wait or panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rtrb::{Consumer, Producer, RingBuffer};

use crate::policy::decision::{Layer, LogLevel, Verdict};

use super::event::Event;
use super::packed::{self, LENGTH, MAX_FRAME};

/// What a worker's ring holds unless somebody says otherwise: some 30,000 rows,
/// six seconds of a busy school morning.
pub const RING_BYTES: usize = 4 << 20;

/// What is lost first, least important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// The look-up was let through.
    Allowed,
    /// It was blocked or rewritten.
    Blocked,
    /// A mandatory list covered it.
    Mandatory,
}

/// Rows one worker could not put into its ring, by rank.
#[derive(Debug, Default)]
pub struct Drops([AtomicU64; 3]);

/// A worker's end.
pub struct Recorder {
    ring: Producer<u8>,
    frame: Vec<u8>,
    drops: Arc<Drops>,
}

/// The writer's end.
pub struct Outlet {
    ring: Consumer<u8>,
    frame: Vec<u8>,
    drops: Arc<Drops>,
}

/// Makes the two ends of one ring of `bytes` bytes, rounded up to what a few
/// rows need.
#[must_use]
pub fn recorder(bytes: usize) -> (Recorder, Outlet) {
    let (producer, consumer) = RingBuffer::new(bytes.max(8 * MAX_FRAME));
    let drops = Arc::new(Drops::default());
    let near = Recorder {
        ring: producer,
        frame: Vec::with_capacity(MAX_FRAME),
        drops: Arc::clone(&drops),
    };
    let far = Outlet {
        ring: consumer,
        frame: Vec::with_capacity(MAX_FRAME),
        drops,
    };
    (near, far)
}

impl Recorder {
    /// Writes `event` down, or counts it as dropped.
    pub fn record(&mut self, event: &Event<'_>) {
        let rank = Rank::of(event.action, event.layer);
        if rank == Rank::Allowed && event.level == LogLevel::Off {
            return;
        }
        packed::pack(event, &mut self.frame);
        let needed = self.frame.len() + self.kept_free(rank);
        // The cached number is never too high; the true one costs a cache miss.
        let fits = self.ring.cached_slots() >= needed || self.ring.slots() >= needed;
        if !fits || self.ring.push_entire_slice(&self.frame).is_err() {
            self.drops.count(rank, 1);
        }
    }

    /// What this worker dropped, for the metrics.
    #[must_use]
    pub fn drops(&self) -> &Arc<Drops> {
        &self.drops
    }

    fn kept_free(&self, rank: Rank) -> usize {
        let whole = self.ring.buffer().capacity();
        match rank {
            Rank::Allowed => whole / 2,
            Rank::Blocked => whole / 8,
            Rank::Mandatory => 0,
        }
    }
}

impl Outlet {
    /// Hands over the time (in microseconds) and the key of every row that is
    /// in the ring now. What arrives meanwhile is left for the next time.
    pub(super) fn drain(&mut self, mut take: impl FnMut(i64, &[u8])) {
        let mut left = self.ring.slots();
        let mut length = [0; LENGTH];
        while left >= LENGTH && self.ring.pop_entire_slice(&mut length).is_ok() {
            let frame_length = usize::from(u16::from_le_bytes(length));
            left = left.saturating_sub(LENGTH + frame_length);
            self.frame.resize(frame_length, 0);
            if self.ring.pop_entire_slice(&mut self.frame).is_err() {
                return;
            }
            if let Some((time, key)) = packed::split(&self.frame) {
                take(time, key);
            }
        }
    }

    pub(super) fn drops(&self) -> Arc<Drops> {
        Arc::clone(&self.drops)
    }
}

impl Drops {
    /// How many rows of `rank` were dropped so far.
    #[must_use]
    pub fn of(&self, rank: Rank) -> u64 {
        self.0.get(rank as usize).map_or(0, |n| n.load(Relaxed))
    }

    pub(super) fn count(&self, rank: Rank, rows: u64) {
        if let Some(counter) = self.0.get(rank as usize) {
            counter.fetch_add(rows, Relaxed);
        }
    }
}

impl Rank {
    /// Every rank, what is lost first first.
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Blocked, Self::Mandatory];

    /// The rank of what `action` and `layer` decided.
    #[must_use]
    pub fn of(action: Verdict, layer: Layer) -> Self {
        match (layer, action) {
            (Layer::Mandatory, _) => Self::Mandatory,
            (_, Verdict::Allow) => Self::Allowed,
            (_, Verdict::Block | Verdict::Rewrite) => Self::Blocked,
        }
    }

    /// The word in metrics.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::Mandatory => "mandatory",
        }
    }
}
