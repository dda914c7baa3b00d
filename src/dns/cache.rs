//! Answers of upstreams, kept per worker and bounded in bytes.
//!
//! It holds what upstreams said and never what policy made of it: the verdict
//! is worked out for each client outside, so that a pupil can never be
//! given what a teacher was allowed. What the lists say of an entry's names is
//! kept beside it for the generation that said so, because a popular name
//! should be walked once a generation and not once a query.
//!
//! One worker owns it: no lock, no sharing. Room is made by the clock
//! algorithm: an entry that was used since the hand last passed stays.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::answer::Answer;
use super::second_look::Found;
use crate::lists::lookup::Covering;

/// What an answer is kept under. Class is always IN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'n> {
    /// The name's lower-case wire form.
    pub name: &'n [u8],
    /// The type.
    pub rtype: u16,
    /// Whether signatures were asked for.
    pub dnssec_ok: bool,
    /// Whether the client checks them itself.
    pub checking_disabled: bool,
}

/// A kept answer.
#[derive(Debug)]
pub struct Entry {
    hash: u64,
    dnssec_ok: bool,
    checking_disabled: bool,
    used: bool,
    /// How often it was served since it came.
    pub hits: u32,
    /// The answer.
    pub answer: Answer,
    /// When it came, in seconds of the monotonic clock.
    pub since: u32,
    /// When asking for it again last failed; serving it stale is then at once.
    pub failed_at: Option<u32>,
    /// What the lists say of it, and which generation of them.
    pub memo: Option<Memo>,
}

/// What one generation of lists says of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Memo {
    /// The serial of the lists that said so.
    pub serial: u64,
    /// What covers the asked name.
    pub asked: Covering,
    /// What covers the names and addresses in the answer.
    pub found: Found,
}

/// The cache of one worker.
pub struct Cache {
    index: HashTable<u32>,
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    hand: usize,
    hasher: RandomState,
    bytes: usize,
    limits: Limits,
}

/// How much may be kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes, book-keeping included.
    pub bytes: usize,
    /// Most entries.
    pub entries: usize,
    /// Longest time an answer is fresh, in seconds.
    pub max_ttl: u32,
    /// Shortest time, for answers that may be kept at all.
    pub min_ttl: u32,
    /// For how many seconds behind its time an answer may still serve when
    /// upstreams are silent (RFC 8767).
    pub stale: u32,
}

/// Allocation and table overhead of one entry, roughly.
const OVERHEAD: usize = 64;

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            hasher: RandomState::default(),
            bytes: 0,
            limits,
        }
    }

    /// The entry of `key`, fresh or not.
    pub fn find(&mut self, key: &Key<'_>) -> Option<&mut Entry> {
        let hash = self.hash(key);
        let slots = &self.slots;
        let slot = *self.index.find(hash, |slot| is(slots, *slot, hash, key))?;
        let entry = self.slots.get_mut(slot as usize)?.as_mut()?;
        entry.used = true;
        Some(entry)
    }

    /// Keeps `answer`, in place of what was there, if it may be kept at all.
    pub fn keep(&mut self, key: &Key<'_>, mut answer: Answer, memo: Option<Memo>, now: u32) {
        if answer.lifetime == 0 || self.limits.entries == 0 {
            return;
        }
        if !answer.is_failure() {
            let Limits {
                min_ttl, max_ttl, ..
            } = self.limits;
            answer.lifetime = answer.lifetime.max(min_ttl).min(max_ttl);
        }
        let hash = self.hash(key);
        let entry = Entry {
            hash,
            dnssec_ok: key.dnssec_ok,
            checking_disabled: key.checking_disabled,
            used: false,
            hits: 0,
            answer,
            since: now,
            failed_at: None,
            memo,
        };
        let size = entry.size();
        self.remove(hash, key);
        if size > self.limits.bytes {
            return;
        }
        while self.bytes + size > self.limits.bytes || self.len() >= self.limits.entries {
            if !self.evict_one() {
                return;
            }
        }
        self.bytes += size;
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(entry),
            None => self.slots.push(Some(entry)),
        }
        let slots = &self.slots;
        self.index
            .insert_unique(hash, slot, |slot| hash_of(slots, *slot));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.index.clear();
        self.slots.clear();
        self.free.clear();
        (self.hand, self.bytes) = (0, 0);
    }

    /// How many answers are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many bytes are kept, book-keeping included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The entry of `key` if it can still serve when upstreams are silent:
    /// an answer, no failure, and not too far behind its time.
    pub fn find_stale(&mut self, key: &Key<'_>, now: u32) -> Option<&mut Entry> {
        let stale = self.limits.stale;
        self.find(key).filter(|entry| {
            !entry.answer.is_failure()
                && entry.age(now) < entry.answer.lifetime.saturating_add(stale)
        })
    }

    fn hash(&self, key: &Key<'_>) -> u64 {
        let flags = u8::from(key.dnssec_ok) << 1 | u8::from(key.checking_disabled);
        self.hasher.hash_one((key.name, key.rtype, flags))
    }

    fn remove(&mut self, hash: u64, key: &Key<'_>) {
        let slots = &self.slots;
        let found = self
            .index
            .find_entry(hash, |slot| is(slots, *slot, hash, key));
        if let Ok(found) = found {
            let (slot, _) = found.remove();
            self.vacate(slot);
        }
    }

    /// Moves the hand to the next entry that was not used since it last passed.
    fn evict_one(&mut self) -> bool {
        // Twice round: the first clears every mark.
        for _ in 0..2 * self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            let Some(Some(entry)) = self.slots.get_mut(self.hand) else {
                continue;
            };
            if std::mem::take(&mut entry.used) {
                continue;
            }
            let (hash, slot) = (entry.hash, self.hand as u32);
            if let Ok(found) = self.index.find_entry(hash, |s| *s == slot) {
                found.remove();
            }
            self.vacate(slot);
            return true;
        }
        false
    }

    fn vacate(&mut self, slot: u32) {
        if let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.bytes -= entry.size();
            self.free.push(slot);
        }
    }
}

fn is(slots: &[Option<Entry>], slot: u32, hash: u64, key: &Key<'_>) -> bool {
    let entry = slots.get(slot as usize).and_then(Option::as_ref);
    entry.is_some_and(|entry| entry.hash == hash && entry.key() == *key)
}

fn hash_of(slots: &[Option<Entry>], slot: u32) -> u64 {
    let entry = slots.get(slot as usize).and_then(Option::as_ref);
    entry.map_or(0, |entry| entry.hash)
}

impl Entry {
    /// Seconds since it came.
    #[must_use]
    pub fn age(&self, now: u32) -> u32 {
        now.saturating_sub(self.since)
    }

    /// Whether its time has not run out.
    #[must_use]
    pub fn is_fresh(&self, now: u32) -> bool {
        self.age(now) < self.answer.lifetime
    }

    /// What it is kept under.
    fn key(&self) -> Key<'_> {
        let question = self.answer.bytes.get(..usize::from(self.answer.question));
        let (name, rtype) = match question {
            Some([name @ .., t1, t2, _, _]) => (name, u16::from_be_bytes([*t1, *t2])),
            _ => (&[][..], 0),
        };
        Key {
            name,
            rtype,
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + OVERHEAD + self.answer.bytes.len() + 2 * self.answer.ttls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(n: u32) -> Vec<u8> {
        let label = format!("{n:08}");
        [&[8], label.as_bytes(), &[4], b"test", &[0, 0, 1, 0, 1]].concat()
    }

    fn key(question: &[u8]) -> Key<'_> {
        Key {
            name: &question[..question.len() - 4],
            rtype: 1,
            dnssec_ok: false,
            checking_disabled: false,
        }
    }

    fn cache(bytes: usize) -> Cache {
        Cache::new(Limits {
            bytes,
            entries: 1000,
            max_ttl: 100,
            min_ttl: 0,
            stale: 0,
        })
    }

    #[test]
    fn it_never_outgrows_its_bytes_and_keeps_what_is_used() {
        let mut cache = cache(20_000);
        let popular = question(0);
        for n in 0..500 {
            let question = question(n);
            cache.keep(&key(&question), Answer::failure(&question, 22, 5), None, 0);
            assert!(cache.bytes() <= 20_000);
            assert!(cache.find(&key(&popular)).is_some(), "after {n}");
        }
        assert!(cache.len() > 20 && cache.len() < 200, "{}", cache.len());
    }

    #[test]
    fn a_newer_answer_replaces_and_flags_are_kept_apart() {
        let mut cache = cache(20_000);
        let question = question(1);
        cache.keep(&key(&question), Answer::failure(&question, 22, 5), None, 0);
        cache.keep(&key(&question), Answer::failure(&question, 23, 5), None, 1);
        assert_eq!(cache.len(), 1);
        let entry = cache.find(&key(&question)).unwrap();
        assert_eq!((entry.answer.error, entry.since), (Some(23), 1));
        assert!(entry.is_fresh(5) && !entry.is_fresh(6));
        let signed = Key {
            dnssec_ok: true,
            ..key(&question)
        };
        assert!(cache.find(&signed).is_none());
    }
}
