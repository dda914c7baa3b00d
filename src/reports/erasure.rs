//! Erasing what one device, or one person's devices, asked.
//!
//! A day that is held stays whole, and is named. Mandatory hits stay, and are
//! counted. Everything else goes from the files of the log for good while the
//! resolver answers on, and with it what was noted and told of it, and what was
//! said in requests for sites; what cannot be reached from here (backups, the pages'
//! memory) is named, so that nobody believes more than is so.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::alerts::personal as alerts;
use crate::incidents::casework::Casework;
use crate::querylog::days::{self, Part};
use crate::querylog::erase::{Erased, erase_day};
use crate::querylog::hold::Holds;
use crate::record::Record;
use crate::requests::personal as requests;

use super::holds::Locked;
use super::subject::Subject;
use super::{Actor, ReportError, reason};

/// What became of an erasure.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What went, over all days.
    pub erased: Erased,
    /// From how many days.
    pub days: usize,
    /// Days that are held and were left as they are.
    pub held: BTreeSet<Date>,
    /// Days that could not be changed, and why.
    pub failed: BTreeMap<Date, String>,
    /// Notes about their incidents that are gone.
    pub notes: u64,
    /// Alerts about them that are gone.
    pub alerts: u64,
    /// Requests for sites that no longer say who they were nor what they said.
    pub requests: u64,
}

impl Erasure {
    /// Whether all that was asked for is gone.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.held.is_empty() && self.failed.is_empty()
    }

    /// What is told to who asked for it, a line each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let Erased {
            rows,
            lookups,
            kept,
        } = self.erased;
        let mut lines = vec![format!(
            "{rows} rows ({lookups} look-ups) were erased from {} days, with {} notes, {} alerts \
             and their words in {} requests for sites.",
            self.days, self.notes, self.alerts, self.requests
        )];
        if kept > 0 {
            lines.push(format!(
                "{kept} rows of mandatory hits were kept: the police may ask for them, and \
                 retention removes them in time."
            ));
        }
        if !self.held.is_empty() {
            let days: Vec<String> = self.held.iter().map(ToString::to_string).collect();
            lines.push(format!(
                "{} days are held and were left as they are: {}.",
                self.held.len(),
                days.join(", ")
            ));
        }
        for (day, why) in &self.failed {
            lines.push(format!("{day} was not erased: {why}"));
        }
        lines.push(
            "Not reached from here: what staff wrote about requests and in the record, backups of \
             the state folder and what was set aside in it as damaged, bundles and reports already taken out, alerts already sent, and \
             what an open page still shows."
                .to_owned(),
        );
        lines
    }
}

/// Whose rows are erased, and up to when.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Whose.
    pub subject: &'r Subject,
    /// Up to, not including, this instant; not in the future.
    pub until: Timestamp,
    /// Why.
    pub why: &'r str,
}

/// Erases; the record has it before anything goes, and again what came of it.
pub fn erase(
    state_dir: &Path,
    zone: &TimeZone,
    request: Request<'_>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Erasure, ReportError> {
    let Request { subject, why, .. } = request;
    let until = request.until.min(now);
    let why = reason(why)?;
    let locked = Locked::wait(state_dir)?;
    let holds = locked.holds()?;
    let record = Record::of_access(state_dir);
    // The devices alone: the record must not become what was to be forgotten.
    let deed = |what| {
        let deed = actor.did(what).about("devices", subject.devices.clone());
        deed.about("until", until.to_string())
    };
    record.add(deed("erasing").about("why", why), now)?;
    let mut erasure = Erasure::default();
    let whose = Request { until, ..request };
    erase_rows(&mut erasure, &locked, &holds, zone, whose)?;
    erase_words(&mut erasure, state_dir, &holds, zone, whose)?;
    let done = deed("erased")
        .about("rows", erasure.erased.rows)
        .about("kept_mandatory", erasure.erased.kept)
        .about("notes", erasure.notes)
        .about("alerts", erasure.alerts)
        .about("requests", erasure.requests)
        .about("held_days", erasure.held.len())
        .about("failed_days", erasure.failed.len());
    record.add(done, now)?;
    Ok(erasure)
}

/// Erases from the files of the log.
fn erase_rows(
    erasure: &mut Erasure,
    locked: &Locked,
    holds: &Holds,
    zone: &TimeZone,
    Request { subject, until, .. }: Request<'_>,
) -> Result<(), ReportError> {
    let last = until.to_zoned(zone.clone()).date();
    for (part, path) in days::parts(locked.folder())? {
        let date = part.date();
        match part {
            _ if date > last => {}
            Part::Companion(_) => {}
            _ if holds.cover(date) => drop(erasure.held.insert(date)),
            Part::SetAside(_) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let why = format!("{file} is damaged and cannot be searched; remove it by hand");
                erasure.failed.insert(date, why);
            }
            Part::Rows(_) => match erase_day(locked.folder(), date, &subject.keys, until) {
                Ok(day) => {
                    erasure.erased.rows += day.rows;
                    erasure.erased.lookups += day.lookups;
                    erasure.erased.kept += day.kept;
                    erasure.days += usize::from(day.rows > 0);
                }
                Err(error) => drop(erasure.failed.insert(date, error.to_string())),
            },
        }
    }
    Ok(())
}

/// Erases what people have noted, were told and have asked for. A day may be held
/// of which no rows are left.
fn erase_words(
    erasure: &mut Erasure,
    state_dir: &Path,
    holds: &Holds,
    zone: &TimeZone,
    Request { subject, until, .. }: Request<'_>,
) -> Result<(), ReportError> {
    let held = RefCell::new(BTreeSet::new());
    let free = |at: Timestamp| {
        let date = at.to_zoned(zone.clone()).date();
        let is_held = holds.cover(date);
        if is_held {
            held.borrow_mut().insert(date);
        }
        !is_held
    };
    let failed = |what: &str, error: &dyn std::error::Error| {
        ReportError::Refused(format!(
            "the rows were erased, but {what} were not: {error}; run it again"
        ))
    };
    let keys = &subject.keys;
    // What one of them cannot do does not keep the others from it.
    let notes = Casework::of(state_dir).erase(keys, until, free);
    let alerts = alerts::erase(state_dir, keys, until, free);
    let requests = requests::erase(state_dir, |word| subject.is_called(word), until, free);
    erasure.held.append(&mut held.borrow_mut());
    erasure.notes = notes.map_err(|error| failed("the notes", &error))?;
    erasure.alerts = alerts.map_err(|error| failed("the alerts", &error))?;
    erasure.requests = requests.map_err(|error| failed("the requests", &error))?;
    Ok(())
}
