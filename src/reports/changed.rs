//! What was changed in a time, what of it nobody has taken note of, and which
//! exceptions ended or soon will: for the digest and the weekly report.
//!
//! The head of the record stands in both, so that whoever keeps them can tell
//! years later whether what was before it has been altered. A digest must not
//! fail because the record does: that is a sentence too.

use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::changes::kept;
use crate::changes::ledger::Ledger;
use crate::changes::news::{News, Reader};
use crate::changes::proposal::Leave;
use crate::policy::document::TypedException;
use crate::record::Record;

/// Changes that are told one by one.
const MOST: usize = 40;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The sentences about changes from `since` until `until`, as of `now`.
#[must_use]
pub fn changed(
    state_dir: &Path,
    (since, until): (Timestamp, Timestamp),
    zone: &TimeZone,
    now: Timestamp,
) -> Vec<String> {
    let ledger = match Ledger::read(state_dir) {
        Ok(ledger) => ledger,
        Err(broken) => {
            return vec![format!("THE RECORD OF CHANGES HAS BEEN ALTERED: {broken}.")];
        }
    };
    let mut says = made(state_dir, (since, until), zone);
    says.push(match ledger.unacknowledged.len() {
        0 => "Somebody has taken note of every change that acted at once.".to_owned(),
        1 => "1 change acted at once, and nobody has taken note of it yet.".to_owned(),
        many => format!("{many} changes acted at once, and nobody has taken note of them yet."),
    });
    match ledger.waiting.len() {
        0 => {}
        1 => says.push("1 change waits for somebody to approve it.".to_owned()),
        many => says.push(format!("{many} changes wait for somebody to approve them.")),
    }
    says.extend(ends(state_dir, &ledger, zone, now));
    says
}

/// The head of the record, to be kept and compared later.
#[must_use]
pub fn head(state_dir: &Path) -> String {
    match Ledger::read(state_dir).map(|ledger| ledger.head) {
        Ok(None) => "The record of changes is empty.".to_owned(),
        Ok(Some(head)) => format!(
            "The record of changes is whole. Keep this line:\n\
             changes head {} {}",
            head.number, head.digest
        ),
        Err(broken) => format!("THE RECORD OF CHANGES HAS BEEN ALTERED: {broken}."),
    }
}

fn made(state_dir: &Path, (since, until): (Timestamp, Timestamp), zone: &TimeZone) -> Vec<String> {
    let Ok(entries) = Record::of_changes(state_dir).entries() else {
        return vec!["The record of changes cannot be read.".to_owned()];
    };
    let mut reader = Reader::default();
    let news = entries.iter().filter_map(|entry| {
        let news = reader.read(entry);
        news.filter(|_| entry.time >= since && entry.time < until)
    });
    let mut overrides = 0_usize;
    let mut says = Vec::new();
    for news in news {
        match news {
            News::InForce {
                leave: Leave::Override,
                ..
            } => overrides += 1,
            news => says.extend(sentence(&news, zone)),
        }
    }
    if says.is_empty() {
        says.push("Nothing was changed.".to_owned());
    }
    if let Some(more @ 1..) = says.len().checked_sub(MOST) {
        says.truncate(MOST);
        says.push(format!("And {more} more; see the page of changes."));
    }
    match overrides {
        0 => {}
        1 => says.push("Once a device opened a site for itself for a while.".to_owned()),
        many => says.push(format!(
            "{many} times a device opened a site for itself for a while."
        )),
    }
    says
}

fn sentence(news: &News, zone: &TimeZone) -> Option<String> {
    match news {
        News::InForce {
            proposal,
            leave,
            time,
            ..
        } => {
            let parts: Vec<&str> = proposal.parts.iter().map(|part| &*part.words).collect();
            let parts = match &*parts {
                [] => "only remarks".to_owned(),
                some => some.join("; "),
            };
            let by = &proposal.by.account;
            let leave = match leave {
                Leave::Approved { by: second, .. } => format!("by {by}, approved by {second}"),
                _ => format!("by {by}, at once"),
            };
            Some(format!("{}: {parts} ({leave}).", day(*time, zone)))
        }
        News::SignatoryEnrolled { signatory, .. } => Some(format!(
            "{} ({}) can approve changes from now on.",
            signatory.name, signatory.account
        )),
        News::SignatoryRemoved { account, .. } => {
            Some(format!("{account} can no longer approve changes."))
        }
        News::Failed { proposal, .. } => Some(format!(
            "Change {} could not be put in force.",
            proposal.number
        )),
        News::Settings { file } => Some(format!("{file} was changed.")),
        News::BegunAnew { .. } => Some("The record of changes was begun anew.".to_owned()),
        // What waits is counted, and what was turned down has changed nothing.
        News::Waits(_) | News::Declined { .. } | News::SignatoryWaits(_) => None,
    }
}

/// Exceptions for groups that ended within the last week or end within the next:
/// they fall away by themselves, and somebody may still need one.
fn ends(state_dir: &Path, ledger: &Ledger, zone: &TimeZone, now: Timestamp) -> Vec<String> {
    let in_force = ledger.in_force.as_ref();
    let texts = in_force.and_then(|it| kept::texts(state_dir, it).ok().flatten());
    let Some(typed) = texts.and_then(|texts| texts.typed().ok()) else {
        return Vec::new();
    };
    let between = |from: SignedDuration, to: SignedDuration| -> Vec<String> {
        let (from, to) = (after(now, from), after(now, to));
        let all = typed.document.exceptions.iter();
        let all = all.filter(|exception| !exception.groups.is_empty());
        let ends =
            |exception: &&TypedException| exception.expires.is_some_and(|at| at > from && at <= to);
        all.filter(ends).map(|it| named(it, zone)).collect()
    };
    let told = |what: &str, all: Vec<String>| {
        (!all.is_empty()).then(|| format!("{what}: {}.", all.join("; ")))
    };
    let nothing = SignedDuration::ZERO;
    let ended = told("Exceptions that ended last week", between(-WEEK, nothing));
    let ending = told("Exceptions that end next week", between(nothing, WEEK));
    ended.into_iter().chain(ending).collect()
}

fn named(exception: &TypedException, zone: &TimeZone) -> String {
    let groups: Vec<&str> = exception.groups.iter().map(|g| &*g.value).collect();
    let verb = if exception.allows { "open" } else { "closed" };
    let ends = exception.expires.map_or(String::new(), |at| {
        // A day that is over at midnight was the one before.
        day(after(at, SignedDuration::from_secs(-1)), zone)
    });
    format!(
        "{} ({verb} for {}, until {ends})",
        exception.name.value,
        groups.join(", ")
    )
}

fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}

fn day(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    at.strftime("%A %-d %B %Y").to_string()
}
