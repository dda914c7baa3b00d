//! One device's day: everything it asked, and what came of it.

use jiff::civil::Date;

use crate::querylog::row::Row;
use crate::querylog::visits::Incident;

use super::wanted::Cursor;

/// Rows of a day that are collapsed at most: a device that floods has more, and
/// they say nothing more.
pub const MOST_ROWS: usize = 20_000;

/// One device's day.
#[derive(Debug, Clone)]
pub struct DeviceDay {
    /// The day.
    pub date: Date,
    /// Every incident of interest, oldest first, background among them.
    pub incidents: Vec<Incident>,
    /// What was plainly allowed, collapsed the same way, oldest first.
    pub plain: Vec<Incident>,
    /// One page of its look-ups, newest first.
    pub rows: Vec<Row>,
    /// Where the next page of rows begins.
    pub next: Option<Cursor>,
    /// There are more than [`MOST_ROWS`] rows; `incidents` and `plain` are of
    /// the newest of them.
    pub cut: bool,
}
