//! The part of `policy.toml` that is about time: `[terms]` and `[timetables]`.

use std::sync::Arc;

use jiff::civil::{Date, Time, Weekday};

use super::named;
use crate::document::{Placed, Table};
use crate::policy::timetable::{Dates, Hours, SchoolYear, Timetable, Weekdays};

pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// `[terms]`: when the school is in session.
pub(super) fn year(root: &Table<'_>) -> SchoolYear {
    let Some(terms) = root.table("terms") else {
        return SchoolYear::default();
    };
    let spans = |key| terms.tables(key).into_iter().filter_map(span);
    let (dates, closed) = (spans("dates").collect(), spans("closed").collect());
    terms.finish();
    SchoolYear {
        terms: dates,
        closed,
    }
}

/// `{ name, from, to }`, or `{ name, on }` for a single day.
fn span(table: Table<'_>) -> Option<Dates> {
    let _ = table.string("name");
    let [from, to, on] = ["from", "to", "on"].map(|key| date(&table, key));
    let given = ["from", "to", "on"].map(|key| table.has(key));
    let dates = match given {
        [false, false, true] => on.map(|on| (on, on)),
        [true, true, false] => from.zip(to),
        _ => {
            table.complain("dates need `from` and `to`, or `on` for a single day");
            None
        }
    };
    if dates.is_some_and(|(from, to)| from > to) {
        table.complain("`from` is later than `to`");
    }
    table.finish();
    dates.map(|(first, last)| Dates { first, last })
}

fn date(table: &Table<'_>, key: &'static str) -> Option<Date> {
    let text = table.date_text(key)?;
    let date = text.value.parse().ok().filter(|_| text.value.len() == 10);
    if date.is_none() {
        let message = format!("\"{}\" is not a date; write it like 2026-09-02", text.value);
        table.complain_at(&text.place, message);
    }
    date
}

/// `[timetables.lessons]` and its like.
pub(super) fn timetables(root: &Table<'_>, year: &SchoolYear) -> Vec<Placed<Timetable>> {
    let year = (!year.is_empty()).then(|| Arc::new(year.clone()));
    let mut all = Vec::new();
    for (id, table) in named(root, "timetables", "timetable") {
        let outside = table.boolean("outside_terms").is_some_and(|o| o.value);
        let timetable = Timetable {
            id: id.value.as_str().into(),
            days: days(&table),
            hours: hours(&table),
            year: year.clone().filter(|_| !outside),
        };
        table.finish();
        all.push(id.with(timetable));
    }
    all
}

fn days(table: &Table<'_>) -> Weekdays {
    let day = |word: &str| {
        let found = DAYS.iter().find(|(day, _)| *day == word);
        found.map(|(_, day)| *day).ok_or_else(|| {
            let hint = crate::document::choices(word, DAYS.map(|(day, _)| day));
            format!("\"{word}\" is not a day; {hint}")
        })
    };
    let Some(days) = table.parsed_list("days", day) else {
        return Weekdays::ALL;
    };
    if table.strings("days").is_empty() {
        table.complain("`days` is empty: it would never hold; leave it out for every day");
    }
    days.iter().fold(Weekdays::NONE, |all, d| all.with(d.value))
}

pub(super) fn hours(table: &Table<'_>) -> Hours {
    let [from, to] = ["from", "to"].map(|key| {
        let given = table.has(key);
        let time = table.parsed(key, |text| wall_time(text, key == "to"));
        (given, time)
    });
    match (from, to) {
        ((false, _), (false, _)) => return Hours::ALL_DAY,
        // T4.
        ((true, _), (false, _)) => table.complain("`from` without `to`: until when?"),
        ((false, _), (true, _)) => table.complain("`to` without `from`: from when?"),
        ((_, Some(from)), (_, Some(to))) => {
            if let Ok(hours) = Hours::between(from.value, to.value) {
                return hours;
            }
            // T5.
            let why = "`from` and `to` are the same; leave both out to mean all day";
            table.complain_at(&to.place, why);
        }
        // The times have been complained of already.
        _ => {}
    }
    Hours::ALL_DAY
}

/// `08:45`. `24:00` may end a day.
pub(super) fn wall_time(text: &str, may_end: bool) -> Result<Time, String> {
    if may_end && text == "24:00" {
        return Ok(Time::midnight());
    }
    let (hour, minute) = text.split_once(':').unwrap_or_default();
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.len() == 2);
    let time = number(hour).zip(number(minute));
    time.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
        .ok_or_else(|| format!("\"{text}\" is not a time of day; write it like 08:45"))
}
