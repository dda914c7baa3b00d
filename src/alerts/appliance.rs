//! What is wrong with the filter itself, and who tried to get at its pages.
//!
//! What `serve` says of itself and the age of the lists are judged as on the
//! page of health (`status::health`); what does not work for two minutes is
//! told, once until it works again. The record tells of recovery codes
//! and of accounts that were locked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::alert::{Alert, Kind};
use super::desk::Desk;
use super::store::{self, StoreError};
use crate::lists::report::{ListsReport, report};
use crate::record::{Entry, Record};
use crate::status::health::{Area, Finding, Health, Level};
use crate::status::{Resolver, Status};

/// How long something must be wrong: restarts are shorter.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// Bytes free on the disk below which somebody should make room.
const DISK: u64 = 1 << 30;
/// So many lock-outs within an hour are told.
const LOCK_OUTS: usize = 3;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Where in the record the next entry will be, and the last lock-outs.
const READ: &str = "record read";
const LOCKED: &str = "locked out";

/// What it keeps in mind.
pub(super) struct Watcher {
    state_dir: PathBuf,
    record: Record,
    read: u64,
    /// Since when something is wrong.
    wrong: BTreeMap<&'static str, Timestamp>,
}

impl Watcher {
    /// Begins behind what is in the record already, or where it stopped.
    pub(super) fn begin(state_dir: &Path, db: &Connection) -> Result<Self, StoreError> {
        let record = Record::of_access(state_dir);
        let known = store::note(db, READ)?.and_then(|text| text.parse().ok());
        let read = if let Some(read) = known {
            read
        } else {
            let length = record.length()?;
            store::set_note(db, READ, &length.to_string())?;
            length
        };
        Ok(Self {
            state_dir: state_dir.to_owned(),
            record,
            read,
            wrong: BTreeMap::new(),
        })
    }

    /// Looks at how the filter fares; says whether the clock can be relied on for
    /// what is thrown away by it.
    pub(super) fn look(
        &mut self,
        tx: &Transaction<'_>,
        desk: &Desk<'_>,
        damaged: impl Iterator<Item = Date>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let resolver = Status::read(&self.state_dir);
        let lists = report(&self.state_dir, now).ok();
        let damaged = damaged.min().map(|day| {
            format!(
                "Of the log of {day} some cannot be read, and raises no alert; all else does. \
                 `schoolgate log` says what is wrong with it."
            )
        });
        for (kind, trouble) in troubles(&resolver, lists.as_ref(), now) {
            let damaged = damaged.clone().filter(|_| kind == Kind::Log);
            let trouble = trouble.or(damaged);
            self.judge(tx, desk, kind, trouble, now)?;
        }
        Ok(resolver.status().is_some_and(|status| {
            status.clock_is_trusted && now.duration_since(status.time).abs() < PATIENCE
        }))
    }

    fn judge(
        &mut self,
        tx: &Transaction<'_>,
        desk: &Desk<'_>,
        kind: Kind,
        trouble: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = format!("trouble with {}", kind.id());
        let Some(says) = trouble else {
            self.wrong.remove(kind.id());
            return Ok(store::drop_note(tx, &key)?);
        };
        let since = *self.wrong.entry(kind.id()).or_insert(now);
        if now.duration_since(since) < PATIENCE || store::note(tx, &key)?.is_some() {
            return Ok(());
        }
        store::set_note(tx, &key, &since.to_string())?;
        let uid = format!("{key} {since}");
        let alert = Alert {
            first: since,
            ..Alert::of_appliance(kind, uid, kind.title(), says, now)
        };
        desk.raise(tx, &alert, &desk.rules.appliance_to)?;
        Ok(())
    }

    /// Reads what was added to the record.
    pub(super) fn look_at_the_record(
        &mut self,
        db: &mut Connection,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let length = self.record.length()?;
        if length == self.read {
            return Ok(());
        }
        // A record that is shorter than it was is another one.
        let from = if length < self.read { 0 } else { self.read };
        let (entries, read) = self.record.entries_from(from)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for entry in &entries {
            match entry.deed.what.as_str() {
                "recovery_code_used" => recovery_code(&tx, desk, entry, now)?,
                "locked_out" => lock_out(&tx, desk, entry, now)?,
                _ => {}
            }
        }
        store::set_note(&tx, READ, &read.to_string())?;
        tx.commit()?;
        self.read = read;
        Ok(())
    }
}

/// What does not work, by kind; `None` is well.
fn troubles(
    resolver: &Resolver,
    lists: Option<&ListsReport>,
    now: Timestamp,
) -> [(Kind, Option<String>); 4] {
    let health = Health::of(resolver, lists, now);
    let bad = |area: Area| {
        let finding = health.worst(area);
        finding.filter(|found| found.level == Level::Bad).map(said)
    };
    let stands = matches!(resolver, Resolver::NotRunning);
    let free = resolver.status().and_then(|status| status.disk);
    let full = free.filter(|disk| disk.free < DISK).map(|disk| {
        let left = disk.free >> 20;
        format!("{left} MB are left. When it is full the log stops; blocking goes on.")
    });
    [
        (Kind::Filter, bad(Area::Filter)),
        (Kind::Lists, bad(Area::Lists)),
        // Where nothing runs, that is told, and all that comes of it is not.
        (Kind::Log, bad(Area::Log).filter(|_| !stands)),
        (Kind::Disk, full),
    ]
}

fn said(finding: &Finding) -> String {
    format!("{} {}", finding.says, finding.remedy)
        .trim_end()
        .to_owned()
}

fn recovery_code(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let says = format!(
        "The account {} was signed in to with one of its printed recovery codes instead of its \
         second factor. If its owner did not do it, disable the account.",
        entry.deed.who
    );
    let uid = format!("recovery code {}", entry.digest);
    let kind = Kind::RecoveryCode;
    let alert = Alert::of_appliance(kind, uid, kind.title(), says, now);
    desk.raise(tx, &alert, &desk.rules.appliance_to)?;
    Ok(())
}

/// One forgotten password is no news; several within the hour are.
fn lock_out(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let known = store::note(tx, LOCKED)?.unwrap_or_default();
    let known = known
        .split(' ')
        .filter_map(|at| at.parse::<Timestamp>().ok());
    let mut recent: Vec<Timestamp> = known
        .filter(|at| entry.time.duration_since(*at).abs() < HOUR)
        .collect();
    recent.push(entry.time);
    if recent.len() >= LOCK_OUTS {
        recent.clear();
        let says = format!(
            "Accounts were locked {LOCK_OUTS} times within an hour after wrong passwords, the last \
             one {}. Somebody may be trying passwords; the record says from where.",
            entry.deed.who
        );
        let uid = format!("lock-outs {}", entry.digest);
        let kind = Kind::LockOut;
        let alert = Alert::of_appliance(kind, uid, kind.title(), says, now);
        desk.raise(tx, &alert, &desk.rules.appliance_to)?;
    }
    let text: Vec<String> = recent.iter().map(ToString::to_string).collect();
    Ok(store::set_note(tx, LOCKED, &text.join(" "))?)
}
