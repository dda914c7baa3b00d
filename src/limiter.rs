//! So many a second for each device, and no more: questions, or rows of the log.
//!
//! A device that floods must not slow the others, and behind a router the whole
//! school is one address: so the key is whoever was identified, not the packet's
//! source (R-133b). A fixed table with a token bucket in each place: no
//! allocation, no growth under a flood of forged addresses. Two devices that
//! meet in one place push each other out, which costs the limit, never an
//! answer.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

const PLACES: usize = 8192;

/// The buckets of one worker.
pub struct Limiter {
    places: Box<[Place]>,
    hasher: RandomState,
    rate: Rate,
}

/// So many a second, and so many at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens a second; 0 switches a limit off.
    pub per_second: f32,
    /// Tokens of a full bucket.
    pub burst: f32,
}

/// Tokens, which come back with time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// Milliseconds of the monotonic clock.
    last: u32,
    tokens: f32,
}

#[derive(Clone, Copy, Default)]
struct Place {
    owner: u32,
    bucket: Bucket,
}

impl Limiter {
    /// Lets each key have `rate` a second, and `burst` at once after a rest.
    #[must_use]
    pub fn new(rate: u32, burst: u32) -> Self {
        Self::with(Rate {
            per_second: rate as f32,
            burst: burst.max(1) as f32,
        })
    }

    /// The same for what is counted in minutes rather than seconds.
    #[must_use]
    pub fn with(rate: Rate) -> Self {
        Self {
            places: vec![Place::default(); PLACES].into_boxed_slice(),
            hasher: RandomState::default(),
            rate,
        }
    }

    /// Whether `key` may have one more at `now` (milliseconds).
    pub fn admits(&mut self, key: impl Hash, now: u64) -> bool {
        if self.rate.per_second == 0.0 {
            return true;
        }
        self.bucket(key, now).is_none_or(Bucket::take)
    }

    /// What `key` has left at `now`.
    pub fn bucket(&mut self, key: impl Hash, now: u64) -> Option<&mut Bucket> {
        let hash = self.hasher.hash_one(key);
        let owner = (hash >> 32) as u32 | 1;
        let place = self.places.get_mut(hash as usize % PLACES)?;
        if place.owner != owner {
            *place = Place {
                owner,
                bucket: Bucket::full(self.rate, now),
            };
        }
        place.bucket.refill(self.rate, now);
        Some(&mut place.bucket)
    }
}

impl Bucket {
    /// A bucket that has rested long enough.
    #[must_use]
    pub fn full(rate: Rate, now: u64) -> Self {
        Self {
            last: now as u32,
            tokens: rate.burst,
        }
    }

    /// Puts in what has come back since the last time.
    pub fn refill(&mut self, rate: Rate, now: u64) {
        let rested = (now as u32).wrapping_sub(self.last) as f32 / 1000.0;
        self.last = now as u32;
        self.tokens = (self.tokens + rested * rate.per_second).min(rate.burst);
    }

    /// How many tokens there are.
    #[must_use]
    pub fn left(&self) -> f32 {
        self.tokens
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self) -> bool {
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_held_to_the_rate_and_others_are_not() {
        let mut limiter = Limiter::new(10, 20);
        let admitted = (0..3000).filter(|ms| limiter.admits("flood", *ms)).count();
        assert!((45..=51).contains(&admitted), "{admitted}");
        assert!(limiter.admits("quiet", 3000));
        assert!(Limiter::new(0, 0).admits("any", 0));
    }
}
