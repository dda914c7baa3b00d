//! What changes in who is told of what.
//!
//! Telling more, or more people, decides nothing otherwise; whatever cannot be
//! shown to tell everybody at least what they were told counts as loosening. The
//! changes are taken in an order: first the addresses of people, for the rules
//! as they were, then the rules.

use jiff::civil::Weekday;

use super::words::{clock, counted, listed};
use super::{Effect, Part};
use crate::policy::alerts::{AlertRules, Audience, DigestTime, DropRule, Recipient, Rule, Tell};
use crate::policy::document::PolicyDocument;
use crate::policy::timetable::Hours;

/// The parts that are about alerts.
pub(super) fn parts(before: &PolicyDocument, after: &PolicyDocument, parts: &mut Vec<Part>) {
    let (old, new) = (&before.alerts.value, &after.alerts.value);
    people(old, new, parts);
    for rule in &new.themes {
        if let Some(was) = old.rule(rule.theme) {
            theme(was, rule, new, parts);
        }
    }
    if old.appliance_to != new.appliance_to {
        let words = format!(
            "{} told of the filter's own troubles instead of {}",
            are(&new.appliance_to),
            them(&old.appliance_to)
        );
        let keeps = keeps_all(new, &old.appliance_to, &new.appliance_to);
        parts.push(told(keeps, words));
    }
    if old.changes_to != new.changes_to {
        let words = format!(
            "{} told of changes of the filter instead of {}",
            are(&new.changes_to),
            them(&old.changes_to)
        );
        let keeps = keeps_all(new, &old.changes_to, &new.changes_to);
        parts.push(told(keeps, words));
    }
    messages(old, new, parts);
    pace(old, new, parts);
    drops(&old.drop, &new.drop, parts);
}

/// Neither, if what was told still is; else it loosens.
fn told(still: bool, words: impl Into<String>) -> Part {
    let effect = if still {
        Effect::Neither
    } else {
        Effect::Loosens
    };
    Part::new(effect, words)
}

fn people(old: &AlertRules, new: &AlertRules, parts: &mut Vec<Part>) {
    for (word, role) in Audience::ALL {
        let of = |rules: &AlertRules| -> Vec<String> {
            let known = rules.people.iter().filter(|(of, _)| *of == role);
            known.flat_map(|(_, addresses)| addresses.clone()).collect()
        };
        let (was, is) = (of(old), of(new));
        if same_addresses(&was, &is) {
            continue;
        }
        // With an address of their own, the fallback no longer gets their mail.
        let keeps = !was.is_empty() && has_all(&is, &was);
        let nobody = |all: &[String]| match all {
            [] => "nobody".to_owned(),
            some => listed(some),
        };
        let words = format!(
            "alerts for the {} go to {} instead of {}",
            person(word),
            nobody(&is),
            nobody(&was)
        );
        parts.push(told(keeps, words));
    }
    if old.fallback != new.fallback {
        let of = |rules: &AlertRules| {
            rules
                .fallback
                .clone()
                .unwrap_or_else(|| "nobody".to_owned())
        };
        let words = format!(
            "where nobody else can be told, {} is told instead of {}",
            of(new),
            of(old)
        );
        parts.push(told(old.fallback.is_none(), words));
    }
}

fn theme(old: &Rule, new: &Rule, rules: &AlertRules, parts: &mut Vec<Part>) {
    let Rule {
        theme,
        tell,
        allowed,
        groups,
        to,
    } = new;
    let what = theme.name();
    if old.tell != *tell {
        let words = format!(
            "alerts on “{what}”: told {} instead of {}",
            when(*tell),
            when(old.tell)
        );
        parts.push(told(is_sooner(old.tell, *tell), words));
    }
    if old.allowed != *allowed {
        let words = if *allowed {
            format!("alerts on “{what}” also count sites that were let through")
        } else {
            format!("alerts on “{what}” no longer count sites that were let through")
        };
        parts.push(told(*allowed, words));
    }
    let sorted = |groups: &[String]| {
        let mut groups = groups.to_vec();
        groups.sort();
        groups.dedup();
        groups
    };
    if sorted(&old.groups) != sorted(groups) {
        let whose = |groups: &[String]| match groups {
            [] => "everybody".to_owned(),
            some => listed(some),
        };
        let words = format!(
            "alerts on “{what}” are about {} instead of {}",
            whose(groups),
            whose(&old.groups)
        );
        let covers = groups.is_empty() || (!old.groups.is_empty() && has_all(groups, &old.groups));
        parts.push(told(covers, words));
    }
    if old.to != *to {
        let words = format!("{} told of “{what}” instead of {}", are(to), them(&old.to));
        parts.push(told(keeps_all(rules, &old.to, to), words));
    }
}

fn messages(old: &AlertRules, new: &AlertRules, parts: &mut Vec<Part>) {
    if old.include_domain != new.include_domain {
        let words = if new.include_domain {
            "messages name the site, so that it leaves the school by e-mail: more is written \
             about people than before"
        } else {
            "messages no longer name the site"
        };
        parts.push(told(false, words));
    }
    if old.quiet != new.quiet {
        let quiet = |quiet: Option<Hours>| match quiet.and_then(Hours::times) {
            Some((from, to)) => format!("from {} to {}", clock(from), clock(to)),
            None => "at no time".to_owned(),
        };
        let words = format!(
            "e-mail about alerts waits {} instead of {}",
            quiet(new.quiet),
            quiet(old.quiet)
        );
        parts.push(told(is_within(new.quiet, old.quiet), words));
    }
    if old.digest != new.digest {
        let words = format!(
            "the digest goes out {} instead of {}",
            digest(new.digest),
            digest(old.digest)
        );
        let is_as_often = new.digest.day.is_none() || old.digest.day.is_some();
        parts.push(told(is_as_often, words));
    }
}

fn pace(old: &AlertRules, new: &AlertRules, parts: &mut Vec<Part>) {
    if old.again_minutes != new.again_minutes {
        let words = format!(
            "more of the same within {} is the same alert, instead of {}",
            counted(new.again_minutes as usize, "minute"),
            counted(old.again_minutes as usize, "minute")
        );
        parts.push(told(new.again_minutes < old.again_minutes, words));
    }
    if old.remind_hours != new.remind_hours {
        let after = |hours: u32| match hours {
            0 => "never".to_owned(),
            hours => format!("after {}", counted(hours as usize, "hour")),
        };
        let words = format!(
            "an alert that nobody has acknowledged goes on to somebody else {} instead of {}",
            after(new.remind_hours),
            after(old.remind_hours)
        );
        let never_was = old.remind_hours == 0;
        let is_sooner = new.remind_hours > 0 && (never_was || new.remind_hours < old.remind_hours);
        parts.push(told(is_sooner, words));
    }
}

fn drops(old: &DropRule, new: &DropRule, parts: &mut Vec<Part>) {
    if old == new {
        return;
    }
    let DropRule {
        below_percent,
        least_queries,
        least_blocks,
    } = *new;
    let keeps = below_percent >= old.below_percent
        && least_queries <= old.least_queries
        && least_blocks <= old.least_blocks;
    let words = |rule: &DropRule| match rule.below_percent {
        0 => "never".to_owned(),
        percent => format!(
            "below {percent} per cent of the usual, from {} look-ups or {} blocked ones an hour",
            rule.least_queries, rule.least_blocks
        ),
    };
    let words = format!(
        "the alarm for a sudden drop is raised {}, instead of {}",
        words(new),
        words(old)
    );
    parts.push(told(keeps, words));
}

/// Whether everybody who was told by `old` is told by `new`.
fn keeps_all(rules: &AlertRules, old: &[Recipient], new: &[Recipient]) -> bool {
    has_all(&rules.addresses(new), &rules.addresses(old))
        // Somebody without an address is told on the pages.
        && old.iter().all(|one| new.contains(one) || matches!(one, Recipient::Address(_)))
}

fn has_all(all: &[String], some: &[String]) -> bool {
    let is_same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    some.iter()
        .all(|one| all.iter().any(|other| is_same(one, other)))
}

fn same_addresses(one: &[String], other: &[String]) -> bool {
    has_all(one, other) && has_all(other, one)
}

/// Whether whatever was told of is told of now, and no later.
fn is_sooner(old: Tell, new: Tell) -> bool {
    let threshold = |tell: Tell| match tell {
        Tell::Threshold { times, minutes } => Some((times, minutes)),
        _ => None,
    };
    match (threshold(old), threshold(new)) {
        (Some((was, within)), Some((times, minutes))) => times <= was && minutes >= within,
        _ => new >= old,
    }
}

fn when(tell: Tell) -> String {
    match tell {
        Tell::Off => "never".to_owned(),
        Tell::Digest => "in the digest".to_owned(),
        Tell::AtOnce => "at once".to_owned(),
        Tell::Threshold { times, minutes } => {
            let times = counted(times as usize, "attempt");
            format!(
                "after {times} within {}",
                counted(minutes as usize, "minute")
            )
        }
    }
}

/// Whether quiet hours hold back nothing that was not held back before.
fn is_within(new: Option<Hours>, old: Option<Hours>) -> bool {
    let Some((from, to)) = new.and_then(Hours::times) else {
        return true;
    };
    let Some((was_from, was_to)) = old.and_then(Hours::times) else {
        return false;
    };
    // On a clock that begins where the old quiet hours do.
    let minutes = |time: jiff::civil::Time| i32::from(time.hour()) * 60 + i32::from(time.minute());
    let since = |time| (minutes(time) - minutes(was_from)).rem_euclid(24 * 60);
    since(from) < since(to) && since(to) <= since(was_to)
}

fn digest(digest: DigestTime) -> String {
    let day = match digest.day {
        None => "every day",
        Some(Weekday::Monday) => "on Mondays",
        Some(Weekday::Tuesday) => "on Tuesdays",
        Some(Weekday::Wednesday) => "on Wednesdays",
        Some(Weekday::Thursday) => "on Thursdays",
        Some(Weekday::Friday) => "on Fridays",
        Some(Weekday::Saturday) => "on Saturdays",
        Some(Weekday::Sunday) => "on Sundays",
    };
    format!("{day} at {}", clock(digest.at))
}

fn person(word: &str) -> &str {
    match word {
        "dsl" => "safeguarding lead",
        "head" => "headteacher",
        other => other,
    }
}

fn them(to: &[Recipient]) -> String {
    let one = |recipient: &Recipient| match recipient {
        Recipient::Address(address) => address.clone(),
        Recipient::Role(role) => {
            let word = Audience::ALL.iter().find(|(_, of)| of == role);
            format!("the {}", person(word.map_or("", |(word, _)| word)))
        }
    };
    listed(&to.iter().map(one).collect::<Vec<_>>())
}

fn are(to: &[Recipient]) -> String {
    let verb = if to.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", them(to))
}
