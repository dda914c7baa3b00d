//! One incident, opened: its look-ups and what else the device did.

use crate::querylog::row::Row;
use crate::querylog::visits::Incident;

/// Look-ups shown of one incident at most.
pub const MOST_ROWS: usize = 500;

/// An incident with all that belongs to it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Itself.
    pub incident: Incident,
    /// Its look-ups, oldest first, at most [`MOST_ROWS`].
    pub rows: Vec<Row>,
    /// How many rows there are in all.
    pub all_rows: usize,
    /// The device's other incidents of that day, oldest first, background left
    /// out; none if the log leaves the device out.
    pub others_that_day: Vec<Incident>,
    /// The numbers of the policies that decided.
    pub policies: Vec<u64>,
}
