//! Named periods of the school's week and year: `lessons`, `homework_club`.
//!
//! A timetable holds when the clock on the school's wall shows a time in it.
//! That one sentence settles both clock changes: lessons start at 09:00 on the
//! wall, an hour that the wall skips never comes, and one that it shows twice
//! counts twice. So whether it holds is asked of the wall's date and time, and
//! only the search for the next edge knows of offsets.
//!
//! It must never fail for any moment there is, nor miss an edge: answers are
//! kept until the next one and no longer.

use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// How far ahead [`Timetable::next_edge`] looks: every week and term of a year.
/// Who relies on there being no edge asks again by then.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366);

/// One named period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// The id in policy.
    pub id: Box<str>,
    /// The days of the week on which it starts.
    pub days: Weekdays,
    /// The hours of such a day.
    pub hours: Hours,
    /// The dates it is bound to; none: it holds in and out of term alike.
    pub year: Option<Arc<SchoolYear>>,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays(u8);

/// Hours of a day, on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours(Option<(Time, Time)>);

/// Start and end are the same: nothing, or everything, would be in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingBetween;

/// When the school is in session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchoolYear {
    /// The terms; with none given, every date is in term.
    pub terms: Box<[Dates]>,
    /// Half terms, INSET days: closed although in term (T10).
    pub closed: Box<[Dates]>,
}

/// Dates from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dates {
    /// The first day.
    pub first: Date,
    /// The last day.
    pub last: Date,
}

impl Timetable {
    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp, zone: &TimeZone) -> bool {
        self.holds_on_the_wall(zone.to_datetime(now))
    }

    /// The first moment after `now` at which [`Timetable::holds_at`] changes;
    /// none if it stays as it is throughout [`HORIZON`].
    ///
    /// Between two changes of the zone's offset the wall runs steadily, so that
    /// an edge is a start, an end or a midnight, or else the change itself.
    #[must_use]
    pub fn next_edge(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let holds = self.holds_at(now, zone);
        let horizon = now.saturating_add(HORIZON).unwrap_or(Timestamp::MAX);
        let mut jumps = zone.following(now).map(|jump| jump.timestamp());
        let mut from = now;
        while from < horizon {
            let jump = jumps.next().unwrap_or(Timestamp::MAX);
            let until = jump.min(horizon);
            let steady = self.edge_between(from, until, zone.to_offset(from), holds);
            if steady.is_some() {
                return steady;
            }
            if jump <= horizon && self.holds_at(jump, zone) != holds {
                return Some(jump);
            }
            from = until;
        }
        None
    }

    /// The first edge after `from` and before `until`, while `offset` is in
    /// force.
    fn edge_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        offset: Offset,
        holds: bool,
    ) -> Option<Timestamp> {
        let mut times = [Time::midnight(); 3];
        if let Some((start, end)) = self.hours.0 {
            times = [Time::midnight(), start.min(end), start.max(end)];
        }
        let first = offset.to_datetime(from).date();
        for date in std::iter::successors(Some(first), |date| date.tomorrow().ok()) {
            for time in times {
                let wall = date.to_datetime(time);
                let instant = offset.to_timestamp(wall).ok()?;
                if instant >= until {
                    return None;
                }
                if instant > from && self.holds_on_the_wall(wall) != holds {
                    return Some(instant);
                }
            }
        }
        None
    }

    fn holds_on_the_wall(&self, wall: DateTime) -> bool {
        let (date, time) = (wall.date(), wall.time());
        let starts_today = || self.starts_on(date);
        // The small hours belong to the day on which the period began (T2).
        let started_yesterday = || date.yesterday().is_ok_and(|d| self.starts_on(d));
        match self.hours.0 {
            None => starts_today(),
            Some((from, to)) if from < to => from <= time && time < to && starts_today(),
            Some((from, _)) if time >= from => starts_today(),
            Some((_, to)) => time < to && started_yesterday(),
        }
    }

    fn starts_on(&self, date: Date) -> bool {
        let in_session = || self.year.as_ref().is_none_or(|year| year.is_open(date));
        self.days.has(date.weekday()) && in_session()
    }
}

impl Weekdays {
    /// No day.
    pub const NONE: Self = Self(0);
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// With one more day.
    #[must_use]
    pub fn with(self, day: Weekday) -> Self {
        Self(self.0 | 1 << day.to_monday_zero_offset())
    }

    /// Whether `day` is one of them.
    #[must_use]
    pub fn has(self, day: Weekday) -> bool {
        self.0 >> day.to_monday_zero_offset() & 1 == 1
    }
}

impl Hours {
    /// From midnight to midnight.
    pub const ALL_DAY: Self = Self(None);

    /// From `from`, included, to `to`, excluded; past midnight if `to` is the
    /// earlier.
    pub fn between(from: Time, to: Time) -> Result<Self, NothingBetween> {
        if from == to {
            return Err(NothingBetween);
        }
        Ok(Self(Some((from, to))))
    }

    /// From when to when; none: all day.
    #[must_use]
    pub fn times(self) -> Option<(Time, Time)> {
        self.0
    }
}

impl SchoolYear {
    /// Whether the school is in session on `date`.
    #[must_use]
    pub fn is_open(&self, date: Date) -> bool {
        let within = |all: &[Dates]| all.iter().any(|dates| dates.has(date));
        (self.terms.is_empty() || within(&self.terms)) && !within(&self.closed)
    }

    /// Whether no date was given at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.closed.is_empty()
    }
}

impl Dates {
    /// Whether `date` is one of them.
    #[must_use]
    pub fn has(&self, date: Date) -> bool {
        self.first <= date && date <= self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn london() -> TimeZone {
        TimeZone::get("Europe/London").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        let wall: DateTime = text.parse().unwrap();
        london().to_timestamp(wall).unwrap()
    }

    fn timetable(days: &[Weekday], from: &str, to: &str) -> Timetable {
        let hours = if from.is_empty() {
            Hours::ALL_DAY
        } else {
            Hours::between(from.parse().unwrap(), to.parse().unwrap()).unwrap()
        };
        Timetable {
            id: "lessons".into(),
            days: days.iter().fold(Weekdays::NONE, |all, d| all.with(*d)),
            hours,
            year: None,
        }
    }

    fn dates(first: &str, last: &str) -> Dates {
        Dates {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        }
    }

    /// T1, T2, T6.
    #[test]
    fn start_counts_and_end_does_not() {
        let check = |t: &Timetable, when: &str, holds: bool| {
            assert_eq!(t.holds_at(at(when), &london()), holds, "{when}");
        };
        let day = timetable(&[Weekday::Monday], "09:00", "17:00");
        check(&day, "2026-09-07T08:59:59.999", false);
        check(&day, "2026-09-07T09:00", true);
        check(&day, "2026-09-07T16:59:59", true);
        check(&day, "2026-09-07T17:00", false);
        let night = timetable(&[Weekday::Monday], "22:00", "07:00");
        check(&night, "2026-09-08T03:00", true);
        check(&night, "2026-09-08T22:00", false);
        check(&night, "2026-09-10T03:00", false);
        check(&night, "2026-09-07T03:00", false);
        let whole = timetable(&[Weekday::Monday], "", "");
        check(&whole, "2026-09-07T00:00", true);
        check(&whole, "2026-09-07T23:59:59", true);
        check(&whole, "2026-09-08T00:00", false);
    }

    /// T5.
    #[test]
    fn nothing_lies_between_a_time_and_itself() {
        let noon = jiff::civil::time(12, 0, 0, 0);
        assert_eq!(Hours::between(noon, noon), Err(NothingBetween));
    }

    /// T10: the school is closed at half term; a night that began in term goes
    /// on to its end.
    #[test]
    fn terms_and_closed_days_count() {
        let year = SchoolYear {
            terms: [dates("2026-09-02", "2026-12-18")].into(),
            closed: [dates("2026-10-26", "2026-10-30")].into(),
        };
        let mut night = timetable(&[Weekday::Friday], "22:00", "07:00");
        night.year = Some(Arc::new(year));
        let holds = |when: &str| night.holds_at(at(when), &london());
        assert!(holds("2026-10-23T23:00") && !holds("2026-10-30T23:00"));
        assert!(holds("2026-12-19T06:59") && !holds("2026-12-25T23:00"));
        let edge = |when: &str| night.next_edge(at(when), &london());
        assert_eq!(edge("2026-10-24T12:00"), Some(at("2026-11-06T22:00")));
        assert_eq!(edge("2026-12-20T12:00"), None);
    }

    #[test]
    fn lessons_start_at_nine_on_the_wall_across_both_clock_changes() {
        let lessons = timetable(&[Weekday::Sunday, Weekday::Monday], "09:00", "15:30");
        let edge = |when: &str| lessons.next_edge(at(when), &london()).unwrap();
        for day in ["2026-03-29", "2026-03-30", "2026-10-25", "2026-10-26"] {
            let start = edge(&format!("{day}T00:30"));
            assert_eq!(start, at(&format!("{day}T09:00")), "{day}");
        }
        assert_eq!(edge("2026-03-29T00:30").to_string(), "2026-03-29T08:00:00Z");
        assert_eq!(edge("2026-10-25T00:30").to_string(), "2026-10-25T09:00:00Z");
    }

    /// 01:00–02:00 is skipped in March and comes twice in October.
    #[test]
    fn a_skipped_hour_never_comes_and_a_repeated_one_counts_twice() {
        let hour = timetable(&[Weekday::Sunday], "01:15", "01:45");
        let edge = |when: &str| {
            let found = hour.next_edge(when.parse().unwrap(), &london());
            found.unwrap().to_string()
        };
        assert_eq!(edge("2026-03-28T12:00:00Z"), "2026-04-05T00:15:00Z");
        assert_eq!(edge("2026-10-24T12:00:00Z"), "2026-10-25T00:15:00Z");
        assert_eq!(edge("2026-10-25T00:50:00Z"), "2026-10-25T01:15:00Z");
        let astride = timetable(&[Weekday::Sunday], "01:30", "03:00");
        let edge = |when: &str| {
            let found = astride.next_edge(when.parse().unwrap(), &london());
            found.unwrap().to_string()
        };
        assert_eq!(edge("2026-03-29T00:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(edge("2026-10-25T00:45:00Z"), "2026-10-25T01:00:00Z");
    }

    #[test]
    fn no_moment_is_too_far() {
        let lessons = timetable(&[Weekday::Monday], "22:00", "07:00");
        for zone in ["Europe/London", "Pacific/Apia", "America/Adak"] {
            let zone = TimeZone::get(zone).unwrap();
            for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
                let _ = lessons.holds_at(now, &zone);
                let edge = lessons.next_edge(now, &zone);
                assert!(edge.is_none_or(|edge| edge > now));
            }
        }
    }

    fn any_timetable() -> impl Strategy<Value = Timetable> {
        let minute = |m: i8| jiff::civil::time(m / 2 % 24, m % 2 * 30, 0, 0);
        let hours = (0..48i8, 0..48i8).prop_map(move |(from, to)| {
            Hours::between(minute(from), minute(to)).unwrap_or(Hours::ALL_DAY)
        });
        let closed = proptest::option::of((0..20i64, 0..3i64));
        (1..128u8, hours, closed).prop_map(|(days, hours, closed)| Timetable {
            id: "any".into(),
            days: Weekdays(days),
            hours,
            year: closed.map(|(first, more)| {
                let first = jiff::civil::date(2026, 3, 20)
                    .saturating_add(SignedDuration::from_hours(24 * first));
                let last = first.saturating_add(SignedDuration::from_hours(24 * more));
                Arc::new(SchoolYear {
                    terms: [].into(),
                    closed: [Dates { first, last }].into(),
                })
            }),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// The next edge is what a scan minute by minute finds.
        #[test]
        fn the_next_edge_is_the_first_change(
            timetable in any_timetable(),
            autumn in any::<bool>(),
            ahead in 0..4320i64,
            zone in prop::sample::select(vec!["Europe/London", "Atlantic/Azores", "Australia/Lord_Howe"]),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let start = if autumn { "2026-10-24T00:00:00Z" } else { "2026-03-28T00:00:00Z" };
            let minute = SignedDuration::from_mins(1);
            let now = start.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(ahead);
            let holds = timetable.holds_at(now, &zone);
            let scanned = (1..4 * 1440)
                .map(|i| now + minute * i)
                .find(|t| timetable.holds_at(*t, &zone) != holds);
            let edge = timetable.next_edge(now, &zone);
            match scanned {
                Some(_) => prop_assert_eq!(edge, scanned),
                None => prop_assert!(edge.is_none_or(|e| e >= now + minute * (4 * 1440))),
            }
        }
    }
}
