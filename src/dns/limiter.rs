//! So many questions a second for each device, and no more.
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
    places: Box<[Bucket]>,
    hasher: RandomState,
    /// Tokens a second; 0 switches the limit off.
    rate: f32,
    burst: f32,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    owner: u32,
    /// Milliseconds of the monotonic clock.
    last: u32,
    tokens: f32,
}

impl Limiter {
    /// Lets each key have `rate` a second, and `burst` at once after a rest.
    #[must_use]
    pub fn new(rate: u32, burst: u32) -> Self {
        Self {
            places: vec![Bucket::default(); PLACES].into_boxed_slice(),
            hasher: RandomState::default(),
            rate: rate as f32,
            burst: burst.max(1) as f32,
        }
    }

    /// Whether `key` may have one more at `now` (milliseconds).
    pub fn admits(&mut self, key: impl Hash, now: u64) -> bool {
        if self.rate == 0.0 {
            return true;
        }
        let hash = self.hasher.hash_one(key);
        let (owner, now) = ((hash >> 32) as u32 | 1, now as u32);
        let Some(bucket) = self.places.get_mut(hash as usize % PLACES) else {
            return true;
        };
        if bucket.owner != owner {
            *bucket = Bucket {
                owner,
                last: now,
                tokens: self.burst,
            };
        }
        let rested = now.wrapping_sub(bucket.last) as f32 / 1000.0;
        bucket.last = now;
        bucket.tokens = (bucket.tokens + rested * self.rate).min(self.burst);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
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
