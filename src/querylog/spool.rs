//! Rows that wait to be written, collapsed and bounded.
//!
//! Normally a row waits for the next flush, a fraction of a second. When the
//! disk is full or the database broken it waits here for longer, and then the
//! bound decides: the oldest allowed rows go first, then the oldest blocked
//! ones; mandatory ones are merged (one row, many hits) before one is lost.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::packed;
use super::recorder::{ByRank, Rank};

/// What a row costs beside its key: the struct, its place in the index, the
/// allocator's share.
const OVERHEAD: usize = 80;

/// One waiting row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// When it happened first, in microseconds.
    pub(super) time: i64,
    /// How often.
    pub(super) count: u64,
    /// The rest of it, packed.
    pub(super) key: Box<[u8]>,
}

/// The waiting rows.
pub(super) struct Spool {
    queues: [Queue; 3],
    hasher: RandomState,
    bytes: usize,
    limit: usize,
}

/// The rows of one rank, oldest first.
#[derive(Default)]
struct Queue {
    rows: VecDeque<Held>,
    /// How many rows have left at the front.
    gone: usize,
    /// Hash of a key → number of its row, counted from the first ever. Two keys
    /// of one hash are merely not collapsed.
    seen: HashMap<u64, usize, RandomState>,
}

impl Spool {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queues: Default::default(),
            hasher: RandomState::default(),
            bytes: 0,
            limit,
        }
    }

    /// Takes `count` look-ups in, as one row; like ones of the same flush become
    /// its count.
    pub(super) fn add(&mut self, time: i64, count: u64, key: &[u8], lost: &ByRank) {
        let Some(rank) = packed::rank(key) else {
            return;
        };
        let hash = self.hasher.hash_one(key);
        let Some(queue) = self.queues.get_mut(rank as usize) else {
            return;
        };
        if let Some(same) = queue.like(hash, key) {
            same.count += count;
            same.time = same.time.min(time);
            return;
        }
        queue.seen.insert(hash, queue.gone + queue.rows.len());
        queue.rows.push_back(Held {
            time,
            count,
            key: key.into(),
        });
        self.bytes += key.len() + OVERHEAD;
        if self.bytes > self.limit {
            self.make_room(lost);
        }
    }

    /// Everything, oldest first; the spool is empty then.
    pub(super) fn take(&mut self) -> Vec<Held> {
        let mut all: Vec<Held> = Vec::with_capacity(self.len());
        for queue in &mut self.queues {
            queue.seen.clear();
            queue.gone = 0;
            all.extend(queue.rows.drain(..));
        }
        self.bytes = 0;
        all.sort_by_key(|row| row.time);
        all
    }

    /// Takes rows back that could not be written. They collapse no further with
    /// what comes, so that an outage does not blur the times.
    pub(super) fn put_back(&mut self, rows: Vec<Held>, lost: &ByRank) {
        for row in rows {
            let Some(queue) = packed::rank(&row.key).and_then(|r| self.queues.get_mut(r as usize))
            else {
                continue;
            };
            self.bytes += row.key.len() + OVERHEAD;
            queue.rows.push_back(row);
        }
        if self.bytes > self.limit {
            self.make_room(lost);
        }
    }

    /// What comes from here on is not the same flush any more.
    pub(super) fn end_of_flush(&mut self) {
        for queue in &mut self.queues {
            queue.seen.clear();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(|queue| queue.rows.len()).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Goes an eighth below the limit, so that the work is not done per row.
    fn make_room(&mut self, lost: &ByRank) {
        let goal = self.limit - self.limit / 8;
        for (rank, queue) in Rank::ALL.into_iter().zip(&mut self.queues) {
            if rank == Rank::Mandatory && self.bytes > goal {
                self.bytes -= queue.merge();
            }
            while self.bytes > goal
                && let Some(row) = queue.rows.pop_front()
            {
                queue.gone += 1;
                self.bytes -= row.key.len() + OVERHEAD;
                lost.count(rank, row.count);
            }
        }
    }
}

impl Queue {
    fn like(&mut self, hash: u64, key: &[u8]) -> Option<&mut Held> {
        let at = self.seen.get(&hash)?.checked_sub(self.gone)?;
        self.rows.get_mut(at).filter(|row| *row.key == *key)
    }

    /// One row for all that differ in nothing but their time; says how many
    /// bytes that freed.
    fn merge(&mut self) -> usize {
        let mut kept: HashMap<Box<[u8]>, (i64, u64), RandomState> = HashMap::default();
        let mut freed = 0;
        for row in self.rows.drain(..) {
            let size = row.key.len() + OVERHEAD;
            kept.entry(row.key)
                .and_modify(|(_, count)| {
                    *count += row.count;
                    freed += size;
                })
                .or_insert((row.time, row.count));
        }
        let mut rows: Vec<Held> = kept
            .into_iter()
            .map(|(key, (time, count))| Held { time, count, key })
            .collect();
        rows.sort_by_key(|row| row.time);
        self.seen.clear();
        self.gone = 0;
        self.rows = rows.into();
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: [u8; 2] = [0, 6];
    const BLOCK: [u8; 2] = [1, 3];
    const MANDATORY: [u8; 2] = [1, 0];

    /// The front of a key is all the spool reads of it.
    fn key([action, layer]: [u8; 2], tail: i64) -> Vec<u8> {
        let [.., high, low] = tail.to_be_bytes();
        vec![0, action, layer, high, low]
    }

    #[test]
    fn repeats_of_one_flush_are_a_count() {
        let (mut spool, lost) = (Spool::new(10_000), ByRank::default());
        for time in [5, 3, 9] {
            spool.add(time, 1, &key(BLOCK, 1), &lost);
        }
        spool.add(4, 1, &key(BLOCK, 2), &lost);
        spool.end_of_flush();
        spool.add(10, 1, &key(BLOCK, 1), &lost);
        let rows: Vec<_> = spool.take().iter().map(|r| (r.time, r.count)).collect();
        assert_eq!(rows, [(3, 3), (4, 1), (10, 1)]);
        assert_eq!((spool.len(), spool.bytes()), (0, 0));
    }

    #[test]
    fn allowed_rows_go_first_and_mandatory_ones_are_merged_before_one_is_lost() {
        let (mut spool, lost) = (Spool::new(85 * 80), ByRank::default());
        for at in 0..40 {
            spool.add(at, 1, &key(ALLOW, 1 + at), &lost);
        }
        for at in 0..40 {
            spool.add(at, 1, &key(BLOCK, 1 + at), &lost);
        }
        assert_eq!(lost.of(Rank::Allowed), 0);
        // One hit, again and again over many flushes.
        for at in 0..200 {
            spool.end_of_flush();
            spool.add(at, 1, &key(MANDATORY, 7), &lost);
        }
        assert_eq!(lost.of(Rank::Allowed), 40, "every allowed row went first");
        assert_eq!(lost.of(Rank::Blocked), 40, "then every blocked one");
        assert_eq!(lost.of(Rank::Mandatory), 0);
        let hits: u64 = spool.take().iter().map(|row| row.count).sum();
        assert_eq!(hits, 200);
    }

    #[test]
    fn even_mandatory_rows_are_bounded_and_counted() {
        let (mut spool, lost) = (Spool::new(85 * 20), ByRank::default());
        for at in 0..1000 {
            spool.add(at, 1, &key(MANDATORY, at), &lost);
            assert!(spool.bytes() <= 85 * 20);
        }
        let kept = spool.take().len() as u64;
        assert_eq!(kept + lost.of(Rank::Mandatory), 1000);
        assert!(kept > 10);
    }

    #[test]
    fn rows_put_back_keep_their_place() {
        let (mut spool, lost) = (Spool::new(10_000), ByRank::default());
        spool.add(1, 1, &key(BLOCK, 1), &lost);
        let rows = spool.take();
        spool.put_back(rows.clone(), &lost);
        spool.add(2, 1, &key(BLOCK, 1), &lost);
        assert_eq!(spool.take().len(), 2);
    }
}
