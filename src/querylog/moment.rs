//! A moment as people write it on a command line: `2h`, `today`, `2026-11-21`.
//!
//! Days and times of day are the school's. A whole day stands for its beginning
//! after `--since` and for its end after `--until`.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// Which end of a span of time a moment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Rows from it on.
    Since,
    /// Rows before it.
    Until,
}

/// Reads a moment; `None` if it is none.
#[must_use]
pub fn parse(text: &str, end: End, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let now = now.to_zoned(zone.clone());
    let day = match text {
        "now" => return Some(now.timestamp()),
        "today" => Some(now.date()),
        "yesterday" => Some(now.date().yesterday().ok()?),
        // A time of day begins with a date, and jiff would read the date alone.
        _ if text.len() == 10 => text.parse::<Date>().ok(),
        _ => None,
    };
    if let Some(day) = day {
        return whole_day(day, end, zone);
    }
    if let Some(span) = ago(text) {
        return now.checked_sub(span).ok().as_ref().map(Zoned::timestamp);
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let local: DateTime = text.parse().ok()?;
    Some(local.to_zoned(zone.clone()).ok()?.timestamp())
}

fn whole_day(day: Date, end: End, zone: &TimeZone) -> Option<Timestamp> {
    let day = match end {
        End::Since => day,
        End::Until => day.tomorrow().ok()?,
    };
    Some(day.to_zoned(zone.clone()).ok()?.timestamp())
}

/// `90m`, `2h`, `3d`, `1w`: a number and a unit, counted back from now.
fn ago(text: &str) -> Option<Span> {
    let (at, unit) = text.char_indices().next_back()?;
    let digits = text.get(..at)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    match unit {
        's' => Span::new().try_seconds(number).ok(),
        'm' => Span::new().try_minutes(number).ok(),
        'h' => Span::new().try_hours(number).ok(),
        'd' => Span::new().try_days(number).ok(),
        'w' => i64::from(number)
            .checked_mul(7)
            .and_then(|d| Span::new().try_days(d).ok()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let now: Timestamp = "2026-07-20T12:30:00Z".parse().unwrap();
        let check = |text: &str, since: &str, until: &str| {
            let said = |end| match parse(text, end, now, &zone) {
                Some(at) => at.to_string(),
                None => String::new(),
            };
            assert_eq!(
                (said(End::Since), said(End::Until)),
                (since.to_owned(), until.to_owned())
            );
        };
        check("now", "2026-07-20T12:30:00Z", "2026-07-20T12:30:00Z");
        check("2h", "2026-07-20T10:30:00Z", "2026-07-20T10:30:00Z");
        check("3d", "2026-07-17T12:30:00Z", "2026-07-17T12:30:00Z");
        check("today", "2026-07-19T23:00:00Z", "2026-07-20T23:00:00Z");
        check("yesterday", "2026-07-18T23:00:00Z", "2026-07-19T23:00:00Z");
        check("2026-01-05", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z");
        check(
            "2026-07-05T09:00",
            "2026-07-05T08:00:00Z",
            "2026-07-05T08:00:00Z",
        );
        check(
            "2026-07-05T09:00:00+02:00",
            "2026-07-05T07:00:00Z",
            "2026-07-05T07:00:00Z",
        );
        for text in [
            "",
            "h",
            "2",
            "-2h",
            "2é",
            "é",
            "2026-13-01",
            "99999999999d",
            "9999999d",
        ] {
            check(text, "", "");
        }
    }
}
