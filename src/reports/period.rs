//! Which days a report is about: a week, a term.

use jiff::civil::{Date, ISOWeekDate, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::policy::timetable::SchoolYear;

use super::ReportError;

/// Most days of a report.
const MOST_DAYS: usize = 366;

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first.
    pub first: Date,
    /// The last.
    pub last: Date,
}

impl Period {
    /// The week that holds `day`, Monday to Sunday.
    #[must_use]
    pub fn week_of(day: Date) -> Self {
        let since_monday = i64::from(day.weekday().to_monday_zero_offset());
        let first = day.saturating_sub(since_monday.days());
        Self {
            first,
            last: first.saturating_add(6.days()),
        }
    }

    /// The week of `2026-W47`.
    #[must_use]
    pub fn week_named(text: &str) -> Option<Self> {
        let (year, week) = text.split_once("-W")?;
        let all_digits =
            |text: &str, many| text.len() == many && text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(year, 4) || !all_digits(week, 2) {
            return None;
        }
        let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday);
        Some(Self::week_of(week.ok()?.date()))
    }

    /// What its week is called: `2026-W47`.
    #[must_use]
    pub fn week_name(self) -> String {
        let week = self.first.iso_week_date();
        format!("{:04}-W{:02}", week.year(), week.week())
    }

    /// The week before.
    #[must_use]
    pub fn week_before(self) -> Self {
        Self::week_of(self.first.saturating_sub(7.days()))
    }

    /// When it begins and when it has ended.
    #[must_use]
    pub fn ends(self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let start = |date: Date| {
            let start = date.to_zoned(zone.clone());
            start.map_or(Timestamp::MAX, |start| start.timestamp())
        };
        (start(self.first), start(self.last.saturating_add(1.day())))
    }

    /// Whether a report can be about it.
    pub fn check(self) -> Result<(), ReportError> {
        if self.first > self.last {
            return Err(ReportError::refused("the first day is after the last"));
        }
        if self.days().take(MOST_DAYS + 1).count() > MOST_DAYS {
            return Err(ReportError::refused("a report is about a year at most"));
        }
        Ok(())
    }

    /// Its days, in order.
    pub fn days(self) -> impl Iterator<Item = Date> {
        let next = |day: &Date| day.tomorrow().ok();
        std::iter::successors(Some(self.first), next).take_while(move |day| *day <= self.last)
    }
}

/// The terms that have ended before `today`, the newest first, at most `many`:
/// the school's own, or where it has said none a third of the year each.
#[must_use]
pub fn ended_terms(year: &SchoolYear, today: Date, many: usize) -> Vec<Period> {
    let mut terms: Vec<Period> = if year.terms.is_empty() {
        let years = (today.year().saturating_sub(3)..=today.year()).filter(|year| *year > 0);
        years
            .flat_map(|year| {
                [
                    (date(year, 1, 1), date(year, 3, 31)),
                    (date(year, 4, 1), date(year, 8, 31)),
                    (date(year, 9, 1), date(year, 12, 31)),
                ]
            })
            .map(|(first, last)| Period { first, last })
            .collect()
    } else {
        let terms = year.terms.iter();
        terms
            .map(|dates| Period {
                first: dates.first,
                last: dates.last,
            })
            .collect()
    };
    terms.retain(|term| term.last < today);
    terms.sort_by_key(|term| std::cmp::Reverse(term.first));
    terms.truncate(many);
    terms
}

/// A day as people write it: `21 November 2026`.
#[must_use]
pub fn written(day: Date) -> String {
    day.strftime("%-d %B %Y").to_string()
}

/// What a term is called.
#[must_use]
pub fn term_name(term: Period) -> String {
    let name = match term.first.month() {
        8..=12 => "Autumn",
        1..=3 => "Spring",
        _ => "Summer",
    };
    format!("{name} term {}", term.first.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_have_names() {
        let week = Period::week_of(date(2026, 11, 21));
        assert_eq!(
            (week.first, week.last),
            (date(2026, 11, 16), date(2026, 11, 22))
        );
        assert_eq!(week.week_name(), "2026-W47");
        assert_eq!(Period::week_named("2026-W47"), Some(week));
        assert_eq!(week.week_before().week_name(), "2026-W46");
        assert_eq!(Period::week_of(date(2027, 1, 1)).week_name(), "2026-W53");
        assert_eq!(week.days().count(), 7);
        for wrong in [
            "", "2026-W54", "2026-W00", "2026-47", "2026-W4", "+026-W01", "-W", "é-W01",
        ] {
            assert_eq!(Period::week_named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_term_counts_when_it_has_ended() {
        let year = SchoolYear::default();
        let names = |today| -> Vec<String> {
            let terms = ended_terms(&year, today, 2);
            terms.into_iter().map(term_name).collect()
        };
        assert_eq!(
            names(date(2026, 12, 31)),
            ["Summer term 2026", "Spring term 2026"]
        );
        assert_eq!(
            names(date(2027, 1, 1)),
            ["Autumn term 2026", "Summer term 2026"]
        );
    }
}
