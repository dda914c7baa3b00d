//! The packet side of the log: what a worker does with an event.
//!
//! It is counted in a `tally` of the worker's own, so that what is asked again
//! and again is one row with a count: blocked look-ups for [`PROMPT`], as they
//! must soon be durable, allowed ones for [`PATIENT`], as they need not. A new
//! row must fit the worker's `budget`; beyond it the name is left out and the
//! look-up counts on its client's row of various names, or at last on its
//! group's.
//!
//! At the end of a window the frames go into the worker's ring, whose other end,
//! the [`Outlet`], is the writer's: bytes, one producer and one consumer, so that
//! neither ever waits. When the writer falls behind, rows are lost in a set
//! order: allowed ones once half the ring is full, blocked ones once seven
//! eighths are, and mandatory ones when not a byte is left.
//!
//! It must never allocate, lock, wait or panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rtrb::{Consumer, Producer, RingBuffer};

use crate::policy::decision::{Layer, LogLevel, Verdict};

use super::budget::Budget;
use super::event::Event;
use super::packed::{self, LENGTH, MAX_FRAME};
use super::tally::{New, Size, Tally};

/// What a worker's ring holds unless somebody says otherwise: twice what both
/// tallies hold.
pub const RING_BYTES: usize = 2 << 20;
/// The window of blocked, rewritten and mandatory look-ups, in milliseconds.
pub const PROMPT: u64 = 200;
/// The window of allowed look-ups.
pub const PATIENT: u64 = 2000;

/// A flood in one window is some hundred rows more than the budget's burst of a
/// moment; what is more goes to the ring before the window ends.
const PROMPT_SIZE: Size = Size {
    frames: 3584,
    bytes: 384 << 10,
    window: PROMPT,
};
/// What a large school asks of different names in the window.
const PATIENT_SIZE: Size = Size {
    frames: 7168,
    bytes: 640 << 10,
    window: PATIENT,
};

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

/// Numbers of look-ups by rank, counted by one thread and read by any.
#[derive(Debug, Default)]
pub struct ByRank([AtomicU64; 3]);

/// What one worker did not write down as it was.
#[derive(Debug, Default)]
pub struct Shortfall {
    /// Look-ups that found no room in the ring.
    pub lost: ByRank,
    /// Look-ups that are only in the count of a row of various names.
    pub collapsed: ByRank,
}

/// A worker's end.
pub struct Recorder {
    prompt: Tally,
    patient: Tally,
    budget: Budget,
    ring: Ring,
    frame: Vec<u8>,
}

struct Ring {
    bytes: Producer<u8>,
    shortfall: Arc<Shortfall>,
}

/// The writer's end.
pub struct Outlet {
    ring: Consumer<u8>,
    frame: Vec<u8>,
    shortfall: Arc<Shortfall>,
}

/// Makes the two ends of one ring of `bytes` bytes, rounded up to what a few
/// rows need.
#[must_use]
pub fn recorder(bytes: usize) -> (Recorder, Outlet) {
    let (producer, consumer) = RingBuffer::new(bytes.max(8 * MAX_FRAME));
    let shortfall = Arc::new(Shortfall::default());
    let near = Recorder {
        prompt: Tally::new(PROMPT_SIZE),
        patient: Tally::new(PATIENT_SIZE),
        budget: Budget::new(),
        ring: Ring {
            bytes: producer,
            shortfall: Arc::clone(&shortfall),
        },
        frame: Vec::with_capacity(MAX_FRAME),
    };
    let far = Outlet {
        ring: consumer,
        frame: Vec::with_capacity(MAX_FRAME),
        shortfall,
    };
    (near, far)
}

impl Recorder {
    /// Writes `event` down at `now`, in milliseconds of the monotonic clock.
    pub fn record(&mut self, event: &Event<'_>, now: u64) {
        let rank = Rank::of(event.action, event.layer);
        if rank == Rank::Allowed && event.level == LogLevel::Off {
            return;
        }
        let is_row = packed::pack(event, &mut self.frame);
        let Err(mut new) = self.count(rank) else {
            return;
        };
        if is_row && !self.admits(rank, event, now) {
            self.ring.shortfall.collapsed.count(rank, 1);
            packed::collapse(event, &mut self.frame);
            match self.count(rank) {
                Ok(()) => return,
                Err(various) => new = various,
            }
            if !self.budget.admits_various(now) {
                packed::pack_for_group(event, &mut self.frame);
                match self.count(rank) {
                    Ok(()) => return,
                    Err(group) => new = group,
                }
            }
        }
        let (tally, ring) = match rank {
            Rank::Allowed => (&mut self.patient, &mut self.ring),
            Rank::Blocked | Rank::Mandatory => (&mut self.prompt, &mut self.ring),
        };
        if !tally.fits(&self.frame) {
            ring.take(tally);
        }
        tally.add(new, &self.frame, now);
    }

    /// When [`Recorder::tick`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let due = [self.prompt.due(), self.patient.due()];
        due.into_iter().flatten().min()
    }

    /// Hands over the rows whose window has ended.
    pub fn tick(&mut self, now: u64) {
        for tally in [&mut self.prompt, &mut self.patient] {
            if tally.due().is_some_and(|due| due <= now) {
                self.ring.take(tally);
            }
        }
    }

    /// Hands over all rows.
    pub fn flush(&mut self) {
        self.ring.take(&mut self.prompt);
        self.ring.take(&mut self.patient);
    }

    /// What this worker lost and collapsed, for the metrics.
    #[must_use]
    pub fn shortfall(&self) -> &Arc<Shortfall> {
        &self.ring.shortfall
    }

    fn count(&mut self, rank: Rank) -> Result<(), New> {
        match rank {
            Rank::Allowed => self.patient.count(&self.frame),
            Rank::Blocked | Rank::Mandatory => self.prompt.count(&self.frame),
        }
    }

    fn admits(&mut self, rank: Rank, event: &Event<'_>, now: u64) -> bool {
        match (event.device, event.mac) {
            (Some(device), _) => self.budget.admits(rank, device, now),
            (None, Some(mac)) => self.budget.admits(rank, mac, now),
            (None, None) => self.budget.admits(rank, event.ip, now),
        }
    }
}

/// A worker that ends leaves nothing behind.
impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Ring {
    /// Takes all frames of a tally, which is empty then.
    fn take(&mut self, tally: &mut Tally) {
        let frames = tally.frames();
        let room = self.bytes.slots();
        let usual = room >= frames.len() + self.kept_free(Rank::Allowed);
        if !usual || self.bytes.push_entire_slice(frames).is_err() {
            for rank in Rank::ALL.into_iter().rev() {
                self.take_some(rank, frames);
            }
        }
        tally.clear();
    }

    /// Takes what still fits of one rank's frames, and counts the others.
    fn take_some(&mut self, rank: Rank, mut frames: &[u8]) {
        while let Some(frame) = packed::first(frames) {
            frames = frames.get(frame.len()..).unwrap_or_default();
            let Some((_, count, key)) = frame.get(LENGTH..).and_then(packed::split) else {
                continue;
            };
            if packed::rank(key) != Some(rank) {
                continue;
            }
            let fits = self.bytes.slots() >= frame.len() + self.kept_free(rank);
            if !fits || self.bytes.push_entire_slice(frame).is_err() {
                self.shortfall.lost.count(rank, count.into());
            }
        }
    }

    fn kept_free(&self, rank: Rank) -> usize {
        let whole = self.bytes.buffer().capacity();
        match rank {
            Rank::Allowed => whole / 2,
            Rank::Blocked => whole / 8,
            Rank::Mandatory => 0,
        }
    }
}

impl Outlet {
    /// Hands over the time (in microseconds), the count and the key of every row
    /// that is in the ring now. What arrives meanwhile is left for the next time.
    pub(super) fn drain(&mut self, mut take: impl FnMut(i64, u64, &[u8])) {
        let mut left = self.ring.slots();
        let mut length = [0; LENGTH];
        while left >= LENGTH && self.ring.pop_entire_slice(&mut length).is_ok() {
            let frame_length = usize::from(u16::from_le_bytes(length));
            left = left.saturating_sub(LENGTH + frame_length);
            self.frame.resize(frame_length, 0);
            if self.ring.pop_entire_slice(&mut self.frame).is_err() {
                return;
            }
            if let Some((time, count, key)) = packed::split(&self.frame) {
                take(time, count.into(), key);
            }
        }
    }

    pub(super) fn shortfall(&self) -> Arc<Shortfall> {
        Arc::clone(&self.shortfall)
    }
}

impl ByRank {
    /// How many of `rank` there were so far.
    #[must_use]
    pub fn of(&self, rank: Rank) -> u64 {
        self.0.get(rank as usize).map_or(0, |n| n.load(Relaxed))
    }

    /// Counts; one thread alone does, so it needs no locked instruction.
    pub(super) fn count(&self, rank: Rank, lookups: u64) {
        if let Some(counter) = self.0.get(rank as usize) {
            counter.store(counter.load(Relaxed).wrapping_add(lookups), Relaxed);
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::lists::category::{Category, CategorySet};
    use crate::mac::Mac;
    use crate::name::Name;

    /// Nothing a worker holds for the log grows, whatever is asked.
    #[test]
    fn a_recorder_never_grows() {
        let (mut recorder, mut outlet) = recorder(RING_BYTES);
        let made = recorder.frame.capacity();
        let text = "ä".repeat(300);
        let label = [&[63][..], &[b'x'; 63]].concat();
        let mut rows = 0;
        for n in 0..20_000_u64 {
            let own = format!("{n:060}");
            let wire = [&[60], own.as_bytes(), &label, &label, &label[..], &[0]].concat();
            let name = Name::from_wire(&wire).unwrap();
            let event = Event {
                time: jiff::Timestamp::UNIX_EPOCH,
                time_trusted: true,
                device: Some(&text),
                device_name: Some(&text),
                mac: Some(Mac([1; 6])),
                ip: IpAddr::from([1_u16; 8]),
                group: &text,
                name: name.as_ref(),
                rtype: 65,
                action: Verdict::Block,
                layer: Layer::Category,
                category: Category::all().next(),
                categories: CategorySet::EMPTY,
                source: Some(&text),
                policy: n / 19_000,
                level: LogLevel::Full,
            };
            recorder.record(&event, n / 100);
            assert_eq!(recorder.frame.capacity(), made);
            if n % 500 == 0 {
                outlet.drain(|_, count, _| rows += count);
            }
        }
        recorder.flush();
        outlet.drain(|_, count, _| rows += count);
        let lost = recorder.shortfall().lost.of(Rank::Blocked);
        assert!(recorder.shortfall().collapsed.of(Rank::Blocked) > 0);
        assert_eq!(rows + lost, 20_000);
    }
}
