//! The governors' report: how many, of what kind, in which group, and nothing by
//! which anybody could be known.
//!
//! It is counted from the digests of days, which hold no device and no name and
//! stay when the rows go. There is one table of counts, with small ones hidden
//! (see [`super::small`]); what else is said is in words or rounded so far that
//! nothing can be taken from it. Governors read it for terms that have ended and
//! for nothing else: two reports whose days overlap are a subtraction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use crate::incidents::book::Book;
use crate::incidents::digest::Cell;
use crate::incidents::interest::is_sensitive_theme;
use crate::lists::category::Theme;

use super::period::{Period, written};
use super::sheet::{Part, Sheet};
use super::small::{LEAST, Shown, Total};

/// A term in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Governors {
    /// The school.
    pub school: String,
    /// The first day.
    pub first: jiff::civil::Date,
    /// The last.
    pub last: jiff::civil::Date,
    /// The period it is compared with.
    pub before: (jiff::civil::Date, jiff::civil::Date),
    /// Days of them whose log can be read, or whose numbers were kept.
    pub days: usize,
    /// The same of those it is compared with.
    pub days_before: usize,
    /// Days whose log cannot be read.
    pub damaged_days: usize,
    /// The groups, in the order of the columns.
    pub groups: Vec<String>,
    /// A line for each theme, the gravest first.
    pub themes: Vec<Line>,
    /// Of all of them.
    pub total: Total,
    /// Of the period it is compared with.
    pub total_before: Total,
    /// How many of them happened in school hours, in words.
    pub in_school_hours: &'static str,
    /// When it was made.
    pub made: Timestamp,
}

/// The incidents of one theme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The theme.
    pub theme: Theme,
    /// By group, in the order of the columns.
    pub groups: Vec<Shown>,
    /// All groups.
    pub total: Total,
    /// All groups, in the period it is compared with.
    pub before: Total,
}

type Counts = BTreeMap<(Theme, String), u64>;

impl Governors {
    /// Counts `period`, and compares it with `before`: for governors the term
    /// before, which has its own report, so that no day is counted in two.
    #[must_use]
    pub fn of(
        book: &Book,
        school: &str,
        (period, before): (Period, Period),
        now: Timestamp,
    ) -> Self {
        let (counts, hours, days, damaged_days) = count(book, period);
        let (earlier, _, days_before, _) = count(book, before);
        let mut groups: Vec<String> = counts.keys().map(|(_, group)| group.clone()).collect();
        groups.sort();
        groups.dedup();
        Self {
            school: school.to_owned(),
            first: period.first,
            last: period.last,
            before: (before.first, before.last),
            days,
            days_before,
            damaged_days,
            total: Total::of(counts.values().map(|count| Shown::from(*count))),
            total_before: Total::of(earlier.values().map(|count| Shown::from(*count))),
            in_school_hours: in_words(hours, counts.values().sum()),
            themes: lines(&counts, &earlier, &groups),
            groups,
            made: now,
        }
    }

    /// As it is read.
    #[must_use]
    pub fn sheet(&self, zone: &TimeZone) -> Sheet {
        let mut headings = vec!["Theme"];
        headings.extend(self.groups.iter().map(String::as_str));
        headings.extend(["All groups", "All groups before"]);
        let mut rows: Vec<Vec<String>> = Vec::new();
        for line in &self.themes {
            let mut row = vec![line.theme.name().to_owned()];
            row.extend(line.groups.iter().map(ToString::to_string));
            row.extend([line.total.to_string(), line.before.to_string()]);
            rows.push(row);
        }
        let table = Part::table(
            "Incidents by theme and group",
            "Sensitive incidents by theme and group",
            &headings,
            rows,
        );
        let small = format!(
            "A count of 1 to {} is shown as \"fewer than {LEAST}\", so that nobody can be \
             recognised; totals are worked out from what is shown, and are a range where a \
             count is hidden.",
            LEAST - 1
        );
        let mut about = vec![
            self.school.clone(),
            format!("From {} to {}", written(self.first), written(self.last)),
            made(self.made, zone),
        ];
        if self.damaged_days > 0 {
            about.push(format!(
                "{} days could not be read and are left out.",
                self.damaged_days
            ));
        }
        Sheet {
            title: "Governors' report on web filtering".to_owned(),
            about,
            parts: vec![
                Part::saying("In short", self.in_short()),
                table.and(small),
                Part::saying("What the words mean", words()),
            ],
        }
    }
}

impl Governors {
    /// A day of which nothing was written down is not one on which nothing was.
    fn in_short(&self) -> Vec<String> {
        let (first, last) = (written(self.before.0), written(self.before.1));
        if self.days == 0 {
            let why = "Nothing was written down between these days, so nothing can be said \
                       about them. The zeros below do not mean that nothing happened.";
            return vec![why.to_owned()];
        }
        let before = if self.days_before == 0 {
            format!("Of the days before, from {first} to {last}, nothing was written down.")
        } else {
            format!("Before, from {first} to {last}: {}.", self.total_before)
        };
        let mut all = vec![
            format!("Sensitive incidents: {}. {before}", self.total),
            format!("{} happened in school hours.", self.in_school_hours),
        ];
        let period = Period {
            first: self.first,
            last: self.last,
        };
        let length = period.days().count();
        if self.days < length {
            let days = self.days;
            all.push(format!("The log has {days} of the {length} days."));
        }
        all
    }
}

/// When a report was made, for its head.
pub(super) fn made(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned(zone.clone());
    format!("Made on {}", local.strftime("%A %-d %B %Y, %H:%M"))
}

fn words() -> Vec<String> {
    vec![
        "An incident is what one device looked up of one site within five minutes. It is \
         sensitive if the site is on a list of such content; adverts and what devices do by \
         themselves are left out. The filter may have blocked it or, where the school's policy \
         allows, let it through."
            .to_owned(),
        "A look-up shows an attempt to reach a site. It does not show a page, nor who held the \
         device."
            .to_owned(),
    ]
}

/// As many days, right before.
#[must_use]
pub fn before(period: Period) -> Period {
    let length = period
        .first
        .until(period.last)
        .map_or(0, |span| span.get_days());
    let last = period.first.saturating_sub(1.day());
    Period {
        first: last.saturating_sub(i64::from(length).days()),
        last,
    }
}

/// The counts, how many of all were in school hours, and how many days could and
/// could not be read.
fn count(book: &Book, period: Period) -> (Counts, u64, usize, usize) {
    let (mut counts, mut hours, mut days, mut damaged) = (Counts::new(), 0, 0, 0);
    // A day of which there is nothing, such as before the first, is not damaged.
    let there: BTreeSet<Date> = book.days().into_iter().collect();
    for day in period.days() {
        let Some(digest) = book.digest(day) else {
            damaged += usize::from(there.contains(&day));
            continue;
        };
        days += 1;
        for cell in digest.cells.iter().filter(|cell| is_counted(cell)) {
            *counts.entry((cell.theme, cell.group.clone())).or_default() += cell.incidents;
            hours += if cell.school_hours { cell.incidents } else { 0 };
        }
    }
    (counts, hours, days, damaged)
}

/// As `interest::is_sensitive` of an incident.
fn is_counted(cell: &Cell) -> bool {
    cell.mandatory || (!cell.background && is_sensitive_theme(cell.theme))
}

fn lines(counts: &Counts, earlier: &Counts, groups: &[String]) -> Vec<Line> {
    let of = |counts: &Counts, theme: Theme| -> Vec<Shown> {
        let of_theme = counts.iter().filter(|((of, _), _)| *of == theme);
        of_theme.map(|(_, count)| Shown::from(*count)).collect()
    };
    let line = |theme: Theme| {
        let cells = groups.iter().map(|group| {
            let count = counts.get(&(theme, group.clone()));
            Shown::from(count.copied().unwrap_or_default())
        });
        Line {
            theme,
            groups: cells.collect(),
            total: Total::of(of(counts, theme)),
            before: Total::of(of(earlier, theme)),
        }
    };
    let all = Theme::ALL.into_iter().map(line);
    all.filter(|line| line.total.most + line.before.most > 0)
        .collect()
}

/// So coarse that it says nothing of the total.
fn in_words(part: u64, all: u64) -> &'static str {
    match (part, all) {
        (_, 0) => "None",
        _ if part * 4 >= all * 3 => "Most",
        _ if part * 4 > all => "Some",
        _ => "Few or none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every school of two themes and two groups with up to seven incidents in
    /// each: what a reader of the report knows leaves each hidden count all four
    /// of its values.
    #[test]
    fn no_hidden_count_can_be_worked_out() {
        let groups = ["pupil".to_owned(), "staff".to_owned()];
        let places: Vec<(Theme, String)> = [Theme::Drugs, Theme::Violence]
            .into_iter()
            .flat_map(|theme| groups.clone().map(|group| (theme, group)))
            .collect();
        let mut worlds: BTreeMap<String, Vec<[u64; 4]>> = BTreeMap::new();
        for number in 0..8_u64.pow(4) {
            let world = [number % 8, number / 8 % 8, number / 64 % 8, number / 512];
            let counts = places
                .iter()
                .cloned()
                .zip(world)
                .filter(|(_, count)| *count > 0);
            let counts: Counts = counts.collect();
            // Their own numbers stand in both places: nothing may be had by
            // comparing, either.
            let all = counts.values().sum();
            let report = Governors {
                school: String::new(),
                first: jiff::civil::date(2026, 9, 1),
                last: jiff::civil::date(2026, 12, 18),
                before: (
                    jiff::civil::date(2026, 4, 1),
                    jiff::civil::date(2026, 7, 18),
                ),
                days: 1,
                days_before: 1,
                damaged_days: 0,
                total: Total::of(counts.values().map(|count| Shown::from(*count))),
                total_before: Total::default(),
                in_school_hours: in_words(all, all),
                themes: lines(&counts, &Counts::new(), &groups),
                groups: groups.to_vec(),
                made: Timestamp::UNIX_EPOCH,
            };
            let told =
                report.sheet(&TimeZone::UTC).text() + &serde_json::to_string(&report).unwrap();
            worlds.entry(told).or_default().push(world);
        }
        assert!(worlds.len() > 100);
        for (told, alike) in &worlds {
            for place in 0..4 {
                let mut values: Vec<u64> = alike.iter().map(|world| world[place]).collect();
                values.sort_unstable();
                values.dedup();
                let hidden = alike.iter().any(|world| (1..LEAST).contains(&world[place]));
                if hidden {
                    assert_eq!(values, [1, 2, 3, 4], "{told}");
                }
            }
        }
    }

    #[test]
    fn the_period_before_is_as_long() {
        let date = jiff::civil::date;
        let period = Period {
            first: date(2026, 9, 1),
            last: date(2026, 9, 30),
        };
        let before = before(period);
        assert_eq!(
            (before.first, before.last),
            (date(2026, 8, 2), date(2026, 8, 31))
        );
        assert_eq!(before.days().count(), period.days().count());
    }
}
