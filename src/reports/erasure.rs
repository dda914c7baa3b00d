//! Erasing what one device, or one person's devices, asked.
//!
//! A day that is held stays whole, and is named. Mandatory hits stay, and are
//! counted. Everything else goes from the files of the log for good while the
//! resolver answers on; what cannot be reached from here (backups, the pages'
//! memory) is named, so that nobody believes more than is so.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::alerts::personal;
use crate::incidents::casework::Casework;
use crate::querylog::days::{self, Part};
use crate::querylog::erase::{Erased, erase_day};
use crate::record::Record;

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
            "{rows} rows ({lookups} look-ups) were erased from {} days, with {} notes and {} alerts.",
            self.days, self.notes, self.alerts
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
            "Not reached from here: requests for sites sent from the device (page Requests), \
             backups of the state folder, bundles and reports already taken out, alerts \
             already sent, and what an open page still shows."
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
    let last = until.to_zoned(zone.clone()).date();
    let mut erasure = Erasure::default();
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
    // A day may be held of which no rows are left.
    let also_held = RefCell::new(BTreeSet::new());
    let free = |at: Timestamp| {
        let date = at.to_zoned(zone.clone()).date();
        let held = holds.cover(date);
        if held {
            also_held.borrow_mut().insert(date);
        }
        !held
    };
    let keys = &subject.keys;
    let notes = Casework::of(state_dir).erase(keys, until, free);
    let alerts = personal::erase(state_dir, keys, until, free);
    let failed = |what: &str, error: &dyn std::error::Error| {
        ReportError::Refused(format!(
            "the rows were erased, but {what} were not: {error}; run it again"
        ))
    };
    erasure.held.append(&mut also_held.borrow_mut());
    erasure.notes = notes.map_err(|error| failed("the notes", &error))?;
    erasure.alerts = alerts.map_err(|error| failed("the alerts", &error))?;
    let done = deed("erased")
        .about("rows", erasure.erased.rows)
        .about("kept_mandatory", erasure.erased.kept)
        .about("notes", erasure.notes)
        .about("alerts", erasure.alerts)
        .about("held_days", erasure.held.len())
        .about("failed_days", erasure.failed.len());
    record.add(done, now)?;
    Ok(erasure)
}
