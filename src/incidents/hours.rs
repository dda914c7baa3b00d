//! When school is.
//!
//! A look-up at eleven at night is read with other eyes than one in a lesson.
//! The school's hours are its timetable called `school_hours`; without one they
//! are Monday to Friday, eight to four, on the dates of its terms.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::TimeZone;

use crate::policy::document::PolicyDocument;
use crate::policy::timetable::{Hours, Timetable, Weekdays};

/// The id of the timetable that says when school is.
pub const TIMETABLE: &str = "school_hours";
const FROM: Time = time(8, 0, 0, 0);
const TO: Time = time(16, 0, 0, 0);
const WEEK: [Weekday; 5] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
];

/// The school's zone and hours.
#[derive(Debug, Clone)]
pub struct SchoolHours {
    /// The zone of the log's days.
    pub zone: TimeZone,
    timetable: Timetable,
}

impl SchoolHours {
    /// The hours of a school with this policy.
    #[must_use]
    pub fn of(policy: &PolicyDocument) -> Self {
        let all = policy.timetables.iter().map(|placed| &placed.value);
        let named = all.clone().find(|timetable| &*timetable.id == TIMETABLE);
        let usual = || Timetable {
            id: TIMETABLE.into(),
            days: WEEK.into_iter().fold(Weekdays::NONE, Weekdays::with),
            // The two differ.
            hours: Hours::between(FROM, TO).unwrap_or(Hours::ALL_DAY),
            year: Some(Arc::new(policy.year.clone())),
        };
        Self {
            zone: policy.zone.clone(),
            timetable: named.cloned().unwrap_or_else(usual),
        }
    }

    /// Whether school is at `now`.
    #[must_use]
    pub fn has(&self, now: Timestamp) -> bool {
        self.timetable.holds_at(now, &self.zone)
    }

    /// Two schools with the same mark have the same hours.
    pub(super) fn mark(&self) -> String {
        let words = format!("{:?} {:?}", self.zone, self.timetable);
        let hash = blake3::hash(words.as_bytes()).to_hex();
        hash.as_str().get(..16).unwrap_or_default().to_owned()
    }

    /// Whether school is at some time of `date`.
    #[must_use]
    pub fn has_some_of(&self, date: Date) -> bool {
        let Ok(start) = date.to_zoned(self.zone.clone()) else {
            return false;
        };
        let start = start.timestamp();
        let next = self.timetable.next_edge(start, &self.zone);
        self.has(start) || next.is_some_and(|at| self.zone.to_datetime(at).date() == date)
    }
}
