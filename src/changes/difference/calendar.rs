//! What changes in timetables and in the school year.

use std::sync::Arc;

use jiff::civil::Weekday;

use super::step::Step;
use super::words::{clock, day, listed};
use crate::policy::document::PolicyDocument;
use crate::policy::timetable::{Dates, Hours, SchoolYear, Timetable, Weekdays};

const DAYS: [(Weekday, &str); 7] = [
    (Weekday::Monday, "Monday"),
    (Weekday::Tuesday, "Tuesday"),
    (Weekday::Wednesday, "Wednesday"),
    (Weekday::Thursday, "Thursday"),
    (Weekday::Friday, "Friday"),
    (Weekday::Saturday, "Saturday"),
    (Weekday::Sunday, "Sunday"),
];

/// Timetables that are new or hold at other times, and other terms.
pub(super) fn steps<'c>(
    before: &'c PolicyDocument,
    after: &'c PolicyDocument,
    steps: &mut Vec<Step<'c>>,
) {
    for new in &after.timetables {
        let id = &new.value.id;
        let Some(old) = named(before, id) else {
            let words = format!("there is a new timetable, {id}: {}", whole(&new.value));
            steps.push(Step::new(words, move |draft| {
                draft.document.timetables.push(new.clone());
            }));
            continue;
        };
        let rebound = rebound(before, after, old, &new.value);
        let differences = differences(old, &new.value, rebound);
        if differences.is_empty() {
            continue;
        }
        let words = format!("the timetable {id} {}", listed(&differences));
        steps.push(Step::new(words, move |draft| {
            let mut all = draft.document.timetables.iter_mut();
            if let Some(here) = all.find(|here| here.value.id == new.value.id) {
                (here.value.days, here.value.hours) = (new.value.days, new.value.hours);
                if rebound {
                    here.value.year.clone_from(&new.value.year);
                }
            }
        }));
    }
    if before.year != after.year {
        let words = terms(&before.year, &after.year);
        steps.push(Step::new(words, move |draft| {
            let bound = (!after.year.is_empty()).then(|| Arc::new(after.year.clone()));
            for here in &mut draft.document.timetables {
                here.value.year = match named(after, &here.value.id) {
                    Some(new) => new.year.clone(),
                    None => here.value.year.as_ref().and(bound.clone()),
                };
            }
        }));
    }
}

/// Timetables that are no more.
pub(super) fn endings<'c>(
    before: &'c PolicyDocument,
    after: &PolicyDocument,
    steps: &mut Vec<Step<'c>>,
) {
    let gone = before.timetables.iter().map(|t| &t.value);
    for old in gone.filter(|old| named(after, &old.id).is_none()) {
        let words = format!("the timetable {} is no more", old.id);
        steps.push(Step::new(words, move |draft| {
            draft
                .document
                .timetables
                .retain(|here| here.value.id != old.id);
        }));
    }
}

fn named<'d>(document: &'d PolicyDocument, id: &str) -> Option<&'d Timetable> {
    let mut all = document.timetables.iter().map(|t| &t.value);
    all.find(|timetable| *timetable.id == *id)
}

/// Whether a timetable is bound to the terms that was not, or the reverse.
/// Without terms there is nothing to be bound to.
fn rebound(
    before: &PolicyDocument,
    after: &PolicyDocument,
    old: &Timetable,
    new: &Timetable,
) -> bool {
    let have_terms = !before.year.is_empty() && !after.year.is_empty();
    have_terms && old.year.is_some() != new.year.is_some()
}

fn differences(old: &Timetable, new: &Timetable, rebound: bool) -> Vec<String> {
    let mut all = Vec::new();
    match (old.hours.times(), new.hours.times()) {
        (was, is) if was == is => {}
        (Some((was_from, was_to)), Some((from, to))) => {
            if from != was_from {
                all.push(format!(
                    "begins at {} instead of {}",
                    clock(from),
                    clock(was_from)
                ));
            }
            if to != was_to {
                all.push(format!(
                    "ends at {} instead of {}",
                    clock(to),
                    clock(was_to)
                ));
            }
        }
        _ => all.push(format!(
            "holds {} instead of {}",
            hours(new.hours),
            hours(old.hours)
        )),
    }
    if old.days != new.days {
        all.push(format!(
            "holds {} instead of {}",
            days(new.days),
            days(old.days)
        ));
    }
    if rebound && new.year.is_some() {
        all.push("holds in term alone, and no longer in the holidays".to_owned());
    } else if rebound {
        all.push("holds in the holidays too".to_owned());
    }
    all
}

fn whole(timetable: &Timetable) -> String {
    format!("{}, {}", days(timetable.days), hours(timetable.hours))
}

fn hours(hours: Hours) -> String {
    match hours.times() {
        Some((from, to)) => format!("from {} to {}", clock(from), clock(to)),
        None => "all day".to_owned(),
    }
}

fn days(days: Weekdays) -> String {
    if days == Weekdays::ALL {
        return "every day".to_owned();
    }
    let has = |at: &usize| DAYS.get(*at).is_some_and(|(day, _)| days.has(*day));
    let name = |at: usize| DAYS.get(at).map_or("", |(_, name)| name);
    let on: Vec<usize> = (0..DAYS.len()).filter(has).collect();
    match on.as_slice() {
        [first, .., last] if on.len() > 2 && last - first + 1 == on.len() => {
            format!("from {} to {}", name(*first), name(*last))
        }
        _ => {
            let names: Vec<String> = on.iter().map(|at| format!("{}s", name(*at))).collect();
            format!("on {}", listed(&names))
        }
    }
}

fn terms(before: &SchoolYear, after: &SchoolYear) -> String {
    let mut all = Vec::new();
    let sides = [
        (
            &before.terms,
            &after.terms,
            "is in session",
            "is no longer in session",
        ),
        (
            &before.closed,
            &after.closed,
            "is closed",
            "is no longer closed",
        ),
    ];
    for (was, is, comes, goes) in sides {
        let new = is.iter().filter(|dates| !was.contains(dates));
        all.extend(new.map(|dates| format!("{comes} {}", span(*dates))));
        let gone = was.iter().filter(|dates| !is.contains(dates));
        all.extend(gone.map(|dates| format!("{goes} {}", span(*dates))));
    }
    if all.is_empty() {
        return "the dates of the school year stand in another order".to_owned();
    }
    format!("the school {}", listed(&all))
}

fn span(dates: Dates) -> String {
    if dates.first == dates.last {
        format!("on {}", day(dates.first))
    } else {
        format!("from {} to {}", day(dates.first), day(dates.last))
    }
}
