//! How often requests may be made.
//!
//! A bucket for each client, so that one cannot speak for many, and one for all
//! of them, so that invented clients gain nothing. Whoever has signed in is
//! bounded by their own bucket alone: a flood must not keep a teacher out.

use std::hash::Hash;

use crate::limiter::{Bucket, Limiter, Rate};

/// One every five minutes for a client, and so many at once: a lesson's worth.
const CLIENT: Rate = Rate {
    per_second: 1.0 / 300.0,
    burst: 6.0,
};
/// Two a minute for all clients together.
const ALL: Rate = Rate {
    per_second: 1.0 / 30.0,
    burst: 40.0,
};

/// Who may make a request now.
pub(super) struct Admission {
    clients: Limiter,
    all: Bucket,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self {
            clients: Limiter::with(CLIENT),
            all: Bucket::full(ALL, 0),
        }
    }

    /// Whether `client` may, at `now` (milliseconds).
    pub(super) fn admits(&mut self, client: impl Hash, signed_in: bool, now: u64) -> bool {
        if !self.clients.admits(client, now) {
            return false;
        }
        self.all.refill(ALL, now);
        self.all.take() || signed_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_held_and_all_together_are() {
        let mut admission = Admission::new();
        let one = (0..1000).filter(|ms| admission.admits("one", false, *ms));
        assert_eq!(one.count(), 6);
        let many = (0..1000_u32).filter(|n| admission.admits(n, false, 1000));
        assert_eq!(many.count(), 34, "forty, less the six");
        assert!(!admission.admits("a stranger", false, 1000));
        assert!(admission.admits("a teacher", true, 1000));
        assert!(admission.admits("a stranger", false, 40_000));
        assert!(admission.admits("one", false, 301_000 + 1000));
    }
}
