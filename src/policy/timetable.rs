//! Named periods of the school's week and year.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One named period: `lessons`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// The id in policy.
    pub id: Box<str>,
}

impl Timetable {
    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds_at(&self, _now: Timestamp, _zone: &TimeZone) -> bool {
        todo!()
    }

    /// The first moment after `now` at which [`Timetable::holds_at`] changes.
    #[must_use]
    pub fn next_edge(&self, _now: Timestamp, _zone: &TimeZone) -> Option<Timestamp> {
        todo!()
    }
}
