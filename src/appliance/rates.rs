//! How much a second, over the last minute.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::Counters;
use crate::status;

/// The time between two looks at the counters, and how many are kept.
const STEP: Duration = Duration::from_secs(1);
const KEPT: usize = 61;

/// The last minute's counts.
#[derive(Clone)]
pub(super) struct Rates {
    counters: Arc<[Arc<Counters>]>,
    seen: Arc<Mutex<VecDeque<Seen>>>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    queries: u64,
    blocked: u64,
}

impl Rates {
    /// Looks at the counters every second from now on.
    pub(super) fn start(counters: Vec<Arc<Counters>>) -> Self {
        let rates = Self {
            counters: counters.into(),
            seen: Arc::default(),
        };
        rates.look(Instant::now());
        let looking = rates.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(STEP);
            loop {
                tick.tick().await;
                looking.look(Instant::now());
            }
        });
        rates
    }

    fn count(&self, at: Instant) -> Seen {
        let sum = |of: fn(&Counters) -> u64| self.counters.iter().map(|c| of(c)).sum();
        Seen {
            at,
            queries: sum(Counters::asked),
            blocked: sum(Counters::all_blocked),
        }
    }

    fn look(&self, at: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() == KEPT {
            seen.pop_front();
        }
        seen.push_back(self.count(at));
    }

    /// Between the oldest look that is kept and now.
    pub(super) fn now(&self) -> status::Rates {
        let now = self.count(Instant::now());
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(then) = seen.front() else {
            return status::Rates::default();
        };
        let over = now.at.duration_since(then.at);
        // A count so soon after the start says nothing of a second.
        let seconds = over.as_secs_f64().max(1.0);
        status::Rates {
            seconds: over.as_secs() as u32,
            queries: now.queries.saturating_sub(then.queries) as f64 / seconds,
            blocked: now.blocked.saturating_sub(then.blocked) as f64 / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_minute_counts() {
        let counters = Arc::new(Counters::default());
        let rates = Rates {
            counters: Arc::new([Arc::clone(&counters)]),
            seen: Arc::default(),
        };
        let begin = Instant::now();
        for second in 0..100 {
            let at = begin.checked_sub(Duration::from_secs(100 - second));
            rates.look(at.unwrap());
            // Much in the first seconds, then one each.
            let more = if second < 30 { 1000 } else { 1 };
            counters.queries[0].add(more);
        }
        let told = rates.now();
        assert_eq!(told.seconds, 61);
        assert!((told.queries - 1.0).abs() < 0.05, "{told:?}");
    }
}
