//! Keeps the book's days at hand, so that nobody waits for a page.
//!
//! After a start every day is read once, the newest first, one after the other
//! and with a rest between two: the resolver is on the same cores.

use std::sync::Arc;
use std::time::Duration;

use super::app::App;

/// While there are days to read.
const REST: Duration = Duration::from_millis(20);
/// Once all are at hand: a new one comes at midnight.
const PAUSE: Duration = Duration::from_secs(30);

/// Looks after it for as long as the pages are served.
pub(super) async fn keep(app: Arc<App>) {
    loop {
        let book = Arc::clone(&app.book);
        let Ok(more) = tokio::task::spawn_blocking(move || book.tend()).await else {
            return;
        };
        tokio::time::sleep(if more { REST } else { PAUSE }).await;
    }
}
