//! How a change is put to a headteacher: names, dates and lists of things in
//! plain British words.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::lists::category::Category;

/// "a", "a and b", "a, b and c".
pub(super) fn listed<T: AsRef<str>>(all: &[T]) -> String {
    match all {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// "gambling", "AI chat".
pub(super) fn category(category: Category) -> String {
    let name = category.facts().map_or("", |facts| &facts.name);
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            let rest = letters.as_str();
            format!("{}{second}{rest}", first.to_lowercase())
        }
        _ => name.to_owned(),
    }
}

/// "gambling is", "games are".
pub(super) fn category_is(of: Category) -> String {
    let name = category(of);
    let first = name.split(' ').next().unwrap_or_default();
    let is_many = name.contains(" and ")
        || first.ends_with('s')
        || (name.ends_with('s') && !name.contains(" of "));
    let verb = if is_many { "are" } else { "is" };
    format!("{name} {verb}")
}

/// "until 20 July 2027"; with its time, if that is not the end of a day.
pub(super) fn until(end: Timestamp, zone: &TimeZone) -> String {
    let wall = zone.to_datetime(end);
    match wall.date().yesterday() {
        Ok(last) if wall.time() == Time::midnight() => format!("until {}", day(last)),
        _ if wall.time().second() == 0 && wall.time().subsec_nanosecond() == 0 => {
            format!("until {} on {}", clock(wall.time()), day(wall.date()))
        }
        _ => format!("until {} on {}", wall.time(), day(wall.date())),
    }
}

/// "20 July 2027".
pub(super) fn day(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

/// "08:45".
pub(super) fn clock(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

/// "1 device", "2 devices".
pub(super) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// `text` in quotation marks; words for none.
pub(super) fn quoted(text: &str) -> String {
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        format!("“{text}”")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_spoken_of_as_it_should_be() {
        let said = |id: &str| category_is(Category::named(id).unwrap());
        for (id, words) in [
            ("gambling", "gambling is"),
            ("games", "games are"),
            ("bypass", "ways round the filter are"),
            ("ai_chat", "AI chat is"),
            ("adverts", "adverts and tracking are"),
            ("drugs_weapons_sale", "sale of drugs or weapons is"),
            ("newly_seen", "newly seen sites are"),
            ("public_order_hate", "hatred that breaks the law is"),
        ] {
            assert_eq!(said(id), words);
        }
    }

    #[test]
    fn a_whole_day_is_named_by_its_date() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let said = |end: &str| until(end.parse().unwrap(), &zone);
        assert_eq!(said("2027-07-20T23:00:00Z"), "until 20 July 2027");
        assert_eq!(said("2027-07-20T14:30:00Z"), "until 15:30 on 20 July 2027");
        assert_eq!(said("2027-12-31T00:00:00Z"), "until 30 December 2027");
    }
}
