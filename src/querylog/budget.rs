//! How many new rows a worker may begin.
//!
//! A row costs time, memory and disk, and a program that invents names can ask
//! for a hundred thousand different ones a second. What a school asks is far
//! below these rates; what is above them is not lost but collapsed, to a row
//! that counts and leaves out the name.
//!
//! One client's flood must not hide what another child asked. So a client has
//! half of the rate at most, and one that has used up a quarter of its own bucket
//! may not touch the last half of the common one: however many flood, that is
//! left to those who do not. Mandatory hits are outside all this.

use std::hash::Hash;

use crate::limiter::{Bucket, Limiter, Rate};

use super::recorder::Rank;

const ALLOWED: (u32, u32) = (2000, 10_000);
const BLOCKED: (u32, u32) = (4000, 20_000);
/// Rows that leave the name out: one for each client and ruling.
const VARIOUS: Rate = Rate {
    per_second: 2000.0,
    burst: 4000.0,
};

/// What is left, of everything.
pub(super) struct Budget {
    allowed: Share,
    blocked: Share,
    various: Bucket,
}

/// One rank's buckets: everybody's, and each client's own.
struct Share {
    rate: Rate,
    common: Bucket,
    own_burst: f32,
    own: Limiter,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            allowed: Share::new(ALLOWED),
            blocked: Share::new(BLOCKED),
            various: Bucket::full(VARIOUS, 0),
        }
    }

    /// Whether `client` may have one more row at `now` (milliseconds).
    pub(super) fn admits(&mut self, rank: Rank, client: impl Hash, now: u64) -> bool {
        match rank {
            Rank::Allowed => self.allowed.admits(client, now),
            Rank::Blocked => self.blocked.admits(client, now),
            Rank::Mandatory => true,
        }
    }

    /// Whether there may be one more row for a client's various names.
    pub(super) fn admits_various(&mut self, now: u64) -> bool {
        self.various.refill(VARIOUS, now);
        self.various.take()
    }
}

impl Share {
    fn new((per_second, burst): (u32, u32)) -> Self {
        let rate = Rate {
            per_second: per_second as f32,
            burst: burst as f32,
        };
        Self {
            rate,
            common: Bucket::full(rate, 0),
            own_burst: rate.burst / 2.0,
            own: Limiter::new(per_second / 2, burst / 2),
        }
    }

    fn admits(&mut self, client: impl Hash, now: u64) -> bool {
        self.common.refill(self.rate, now);
        let Some(own) = self.own.bucket(client, now) else {
            return self.common.take();
        };
        // Its own bucket pays for what it asks, not for what it gets: else
        // refusals would fill it again, and a flood look like a rest.
        let floods = own.left() < self.own_burst * 0.75;
        let has_own = own.take();
        let reserved = floods && self.common.left() < self.rate.burst / 2.0;
        has_own && !reserved && self.common.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `wanted` rows the client gets at that time.
    fn asks(budget: &mut Budget, client: &str, wanted: usize, now: u64) -> usize {
        let admitted = |_: &usize| budget.admits(Rank::Blocked, client, now);
        (0..wanted).filter(admitted).count()
    }

    #[test]
    fn one_client_has_half_and_mandatory_rows_have_no_end() {
        let mut budget = Budget::new();
        assert_eq!(asks(&mut budget, "flood", 50_000, 0), 10_000);
        let second: usize = (1..=1000)
            .map(|ms| asks(&mut budget, "flood", 100, ms))
            .sum();
        assert!((1990..=2000).contains(&second), "{second}");
        assert!((0..50_000).all(|_| budget.admits(Rank::Mandatory, "flood", 1000)));
    }

    #[test]
    fn however_many_flood_a_quiet_client_has_its_rows() {
        let mut budget = Budget::new();
        for ms in 0..5000 {
            for flood in ["a", "b", "c", "d"] {
                asks(&mut budget, flood, 50, ms);
            }
            let wanted = usize::from(ms % 20 == 0);
            assert_eq!(asks(&mut budget, "quiet", wanted, ms), wanted, "{ms}");
        }
    }

    #[test]
    fn clients_without_number_are_held_to_the_common_rate() {
        let mut budget = Budget::new();
        let mut rows = 0;
        for ms in 0..10_000 {
            for n in 0..20 {
                rows += usize::from(budget.admits(Rank::Allowed, (ms, n), ms));
            }
        }
        assert!((29_900..=30_001).contains(&rows), "{rows}");
    }
}
