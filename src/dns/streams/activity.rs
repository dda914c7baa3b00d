//! When something last happened on a connection that carries many requests.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The requests of a connection: how many are under way, and when the last
/// ended.
pub(super) struct Activity {
    begun: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
    under_way: AtomicUsize,
}

/// A request under way.
pub(super) struct Act<'a>(&'a Activity);

impl Activity {
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    /// A request, until what is given ends.
    pub(super) fn act(&self) -> Act<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Act(self)
    }

    /// Waits until there has been no request for so long.
    pub(super) async fn is_over(&self, idle: Duration) {
        loop {
            let now = self.begun.elapsed();
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let left = match self.under_way.load(Ordering::Relaxed) {
                0 => idle.saturating_sub(now.saturating_sub(last)),
                _ => idle,
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}

impl Drop for Act<'_> {
    fn drop(&mut self) {
        let now = self.0.begun.elapsed().as_millis() as u64;
        self.0.last.store(now, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
