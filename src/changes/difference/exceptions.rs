//! What changes in the school's own word on single names.
//!
//! Exceptions are compared one group or device at a time, and what then comes to
//! the same for several is said once. Whether one was agreed on the pages or
//! stands in the file makes no difference.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::draft::{atoms, key};
use super::step::Step;
use super::words::{listed, quoted, until};
use super::{Effect, Part};
use crate::configuration::Typed;
use crate::document::Placed;
use crate::lists::lookup::Scope;
use crate::policy::document::TypedException;

/// One exception, before and after, for one group or device after the other.
struct Change {
    was: Vec<TypedException>,
    is: Vec<TypedException>,
}

/// Exceptions that come, go or end at another time; and, among `parts`, those
/// with another reason.
pub(super) fn steps<'c>(
    before: &'c Typed,
    after: &'c Typed,
    steps: &mut Vec<Step<'c>>,
    parts: &mut Vec<Part>,
) {
    let words = Words { before, after };
    let zones = (&before.document.zone, &after.document.zone);
    for change in changes(before, after) {
        if change.only_moves_with(zones) {
            continue;
        }
        let said = words.of(&change);
        if change.decides_nothing() {
            parts.push(Part::new(Effect::Neither, said));
            continue;
        }
        steps.push(Step::new(said, move |draft| {
            let exceptions = &mut draft.document.exceptions;
            for gone in &change.was {
                // Of two that are the same, one goes.
                let at = exceptions.iter().position(|here| is_same(here, gone));
                if let Some(at) = at {
                    exceptions.remove(at);
                }
            }
            exceptions.extend(change.is.iter().cloned());
        }));
    }
}

impl Change {
    /// Whether it ends at the same time of a clock that is set otherwise, which
    /// is said of the clock.
    fn only_moves_with(&self, (before, after): (&TimeZone, &TimeZone)) -> bool {
        let (Some(was), Some(is)) = (self.was.first(), self.is.first()) else {
            return false;
        };
        let wall = |exception: &TypedException, zone: &TimeZone| {
            exception.expires.map(|end| zone.to_datetime(end))
        };
        before != after
            && wall(was, before) == wall(is, after)
            && was.reason == is.reason
            && was.requested_by == is.requested_by
    }

    /// Whether only reasons differ.
    fn decides_nothing(&self) -> bool {
        matches!((self.was.first(), self.is.first()), (Some(was), Some(is)) if was.expires == is.expires)
    }

    /// Whether `other` says the same of somebody else.
    fn says_as(&self, other: &Self) -> bool {
        let same = |a: &[TypedException], b: &[TypedException]| match (a.first(), b.first()) {
            (Some(a), Some(b)) => is_about_the_same(a, b) && has_the_same_rest(a, b),
            (None, None) => true,
            _ => false,
        };
        same(&self.was, &other.was) && same(&self.is, &other.is)
    }
}

/// What has become of what. The likest are taken for the same one: first those
/// that are alike in everything, which are no change.
fn changes(before: &Typed, after: &Typed) -> Vec<Change> {
    let typed = |typed: &Typed| -> Vec<TypedException> {
        typed.document.exceptions.iter().flat_map(atoms).collect()
    };
    let (mut old, mut new) = (typed(before), typed(after));
    let mut found = Vec::new();
    let likenesses: [fn(&TypedException, &TypedException) -> bool; 3] = [
        |a, b| is_for_the_same(a, b) && has_the_same_rest(a, b),
        |a, b| is_for_the_same(a, b) && a.expires == b.expires,
        is_for_the_same,
    ];
    for (round, is_like) in likenesses.iter().enumerate() {
        new.retain(|is| {
            let Some(at) = old.iter().position(|was| is_like(was, is)) else {
                return true;
            };
            let was = old.remove(at);
            if round > 0 {
                found.push(Change {
                    was: vec![was],
                    is: vec![is.clone()],
                });
            }
            false
        });
    }
    found.extend(new.into_iter().map(|is| Change {
        was: Vec::new(),
        is: vec![is],
    }));
    found.extend(old.into_iter().map(|was| Change {
        was: vec![was],
        is: Vec::new(),
    }));
    together(found)
}

fn together(changes: Vec<Change>) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    for change in changes {
        match all.iter_mut().find(|other| other.says_as(&change)) {
            Some(other) => {
                other.was.extend(change.was);
                other.is.extend(change.is);
            }
            None => all.push(change),
        }
    }
    all
}

fn is_about_the_same(a: &TypedException, b: &TypedException) -> bool {
    a.name.value == b.name.value && a.scope == b.scope && a.allows == b.allows
}

fn is_for_the_same(a: &TypedException, b: &TypedException) -> bool {
    let ids =
        |all: &[Placed<String>]| -> Vec<String> { all.iter().map(|i| i.value.clone()).collect() };
    let devices =
        |e: &TypedException| -> Vec<String> { e.devices.iter().map(|d| key(&d.value)).collect() };
    is_about_the_same(a, b) && ids(&a.groups) == ids(&b.groups) && devices(a) == devices(b)
}

fn has_the_same_rest(a: &TypedException, b: &TypedException) -> bool {
    a.expires == b.expires && a.reason == b.reason && a.requested_by == b.requested_by
}

fn is_same(a: &TypedException, b: &TypedException) -> bool {
    is_for_the_same(a, b) && has_the_same_rest(a, b)
}

struct Words<'c> {
    before: &'c Typed,
    after: &'c Typed,
}

impl Words<'_> {
    fn of(&self, change: &Change) -> String {
        match (change.was.first(), change.is.first()) {
            (None, Some(is)) => {
                let whom = listed(&self.whom(&change.is));
                let end = is.expires.map(|end| format!(", {}", self.until(end)));
                let what = may(is);
                format!("{whom} {what}{}{}", end.unwrap_or_default(), why(is))
            }
            (Some(was), None) => {
                let whom = listed(&self.whom(&change.was));
                let end = was.expires.map(|end| {
                    let zone = &self.before.document.zone;
                    format!(" {}", until(end, zone))
                });
                let end = end.unwrap_or_default();
                format!(
                    "the exception by which {whom} {}{end} is no more{}",
                    may(was),
                    why(was)
                )
            }
            (Some(was), Some(is)) if was.expires == is.expires => {
                let whom = listed(&self.whom(&change.is));
                let what = may(is);
                format!("{whom} {what}, as before; {}", other_reason(was, is))
            }
            (Some(was), Some(is)) => {
                let whom = listed(&self.whom(&change.is));
                let zone = &self.before.document.zone;
                let before = was.expires.map_or_else(no_end, |end| until(end, zone));
                let now = is.expires.map_or_else(no_end, |end| self.until(end));
                format!("{whom} {}, {now} instead of {before}{}", may(is), why(is))
            }
            (None, None) => String::new(),
        }
    }

    fn until(&self, end: Timestamp) -> String {
        until(end, &self.after.document.zone)
    }

    /// Whom it is for, each once.
    fn whom(&self, exceptions: &[TypedException]) -> Vec<String> {
        let groups = exceptions.iter().flat_map(|e| &e.groups);
        let groups = groups.map(|group| group.value.clone());
        let devices = exceptions.iter().flat_map(|e| &e.devices);
        let devices = devices.map(|device| self.device(&device.value));
        let mut all: Vec<String> = Vec::new();
        for one in groups.chain(devices) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    fn device(&self, id: &str) -> String {
        let sides = [self.after, self.before];
        let mut found = sides.into_iter().filter_map(|typed| {
            let row = typed.devices.by_id(id)?;
            typed.devices.device(row)
        });
        match found.next() {
            Some(device) if !device.name.is_empty() => format!("the device {id} ({})", device.name),
            _ => format!("the device {id}"),
        }
    }
}

fn no_end() -> String {
    "without an end".to_owned()
}

/// What the exception lets or forbids: "may reach a.uk and everything below it".
fn may(exception: &TypedException) -> String {
    let name = &exception.name.value;
    match (exception.allows, exception.scope) {
        (true, Scope::Exact) => format!("may reach {name}, and nothing below it"),
        (true, Scope::Subtree) => format!("may reach {name} and everything below it"),
        (true, Scope::Below) => format!("may reach everything below {name}"),
        (false, Scope::Exact) => format!("may not reach {name} itself"),
        (false, Scope::Subtree) => format!("may not reach {name} or anything below it"),
        (false, Scope::Below) => format!("may not reach anything below {name}"),
    }
}

fn why(exception: &TypedException) -> String {
    let asked = exception.requested_by.as_ref();
    let asked = asked.map(|who| format!("; asked for by {who}"));
    format!(" ({}{})", exception.reason, asked.unwrap_or_default())
}

fn other_reason(was: &TypedException, is: &TypedException) -> String {
    let mut all = Vec::new();
    if was.reason != is.reason {
        let (was, is) = (quoted(&was.reason), quoted(&is.reason));
        all.push(format!("the reason given is {is} instead of {was}"));
    }
    if was.requested_by != is.requested_by {
        let who = |e: &TypedException| {
            e.requested_by
                .clone()
                .unwrap_or_else(|| "nobody".to_owned())
        };
        all.push(format!(
            "it was asked for by {} instead of {}",
            who(is),
            who(was)
        ));
    }
    listed(&all)
}
