//! Telling of changes: nobody weakens the filter alone, and nobody who should
//! know of a change learns of it by chance.
//!
//! The record of changes is followed by the number and digest of the last entry
//! that was told of, so that each is told once, and a record that is another one
//! than before is noticed. What waits and what acts is a message with a link to
//! its page, where it is approved or taken note of; what is wrong (a change that
//! failed, another record, other people who can approve) is an alert besides.
//!
//! It must never send what a rehearsal found: those are names that pupils looked
//! up.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::alert::{Alert, Kind};
use super::desk::Desk;
use super::message::Message;
use super::store::{self, StoreError};
use crate::changes::ledger::Ledger;
use crate::changes::news::{News, Reader};
use crate::record::{Broken, Entry, Record};

mod words;

/// The number and digest of the last entry that was told of.
const READ: &str = "changes read";
/// When the hour began in which so much was told, and how much.
const HOUR: &str = "changes this hour";
/// When it was last told that something waits for too long.
const REMINDED: &str = "changes reminded";
/// That the record does not hang together has been told.
const BROKEN: &str = "changes broken";
/// So many wishes an hour have a message each; whoever asks for more wants them
/// not to be read. What acted is always told.
const MOST_AN_HOUR: u32 = 30;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What it keeps in mind.
pub(super) struct Watcher {
    record: Record,
    /// How long the record was when it was last read.
    length: Option<u64>,
}

/// Where it stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    number: u64,
    digest: String,
}

impl Watcher {
    /// Begins behind what is in the record already, or where it stopped.
    pub(super) fn begin(state_dir: &Path, db: &Connection) -> Result<Self, StoreError> {
        let record = Record::of_changes(state_dir);
        if store::note(db, READ)?.is_none() {
            let last = record.entries()?.pop();
            store::set_note(db, READ, &Mark::behind(last.as_ref()).text())?;
        }
        Ok(Self {
            record,
            length: None,
        })
    }

    /// Reads what was added to the record, and tells of it.
    pub(super) fn look(
        &mut self,
        db: &mut Connection,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let length = self.record.length()?;
        if self.length == Some(length) {
            return Ok(());
        }
        let entries = self.record.entries()?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mark = Mark::of(&store::note(&tx, READ)?.unwrap_or_default());
        let told = entries.iter().position(|entry| mark.is(entry));
        if told.is_none() && mark.number > 0 && !is_begun_anew(&entries) {
            let says = "The record of changes is not the one that was here before: entries that \
                        were told of are gone from it.";
            raise(&tx, desk, &format!("lost {}", mark.digest), says, now)?;
        }
        let fresh = told.map_or(0, |at| at + 1);
        let mut reader = Reader::default();
        for (at, entry) in entries.iter().enumerate() {
            let news = reader.read(entry);
            if let Some(news) = news.filter(|_| at >= fresh) {
                tell(&tx, desk, &news, &entry.digest, now)?;
            }
        }
        store::set_note(&tx, READ, &Mark::behind(entries.last()).text())?;
        tx.commit()?;
        self.length = Some(length);
        Ok(())
    }

    /// Once a day, as long as something waits for more than `days`.
    pub(super) fn remind(
        tx: &Transaction<'_>,
        desk: &Desk<'_>,
        days: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ledger = match Ledger::read(&desk.settings.state_dir) {
            Ok(ledger) => ledger,
            Err(broken) => return tell_broken(tx, desk, &broken, now),
        };
        store::drop_note(tx, BROKEN)?;
        let patience = DAY.checked_mul(days.cast_signed()).unwrap_or(DAY);
        let before = now.saturating_sub(patience).unwrap_or(Timestamp::MIN);
        let unacknowledged = ledger.unacknowledged.values();
        let unacknowledged: Vec<_> = unacknowledged.filter(|it| it.time <= before).collect();
        let waiting = ledger.waiting.values();
        let waiting: Vec<_> = waiting.filter(|it| it.time <= before).collect();
        if unacknowledged.is_empty() && waiting.is_empty() {
            return Ok(store::drop_note(tx, REMINDED)?);
        }
        let last = store::note(tx, REMINDED)?.and_then(|at| at.parse::<Timestamp>().ok());
        if last.is_some_and(|last| last <= now && now.duration_since(last) < DAY) {
            return Ok(());
        }
        store::set_note(tx, REMINDED, &now.to_string())?;
        let (subject, body) = words::reminder(&unacknowledged, &waiting, days, desk.zone);
        let message = Message::with_page(
            "change",
            &subject,
            (&body, "changes"),
            now,
            desk.letterhead(),
        );
        let about = format!("changes waiting {now}");
        desk.tell(tx, (&about, None), &message, &desk.rules.changes_to, now)?;
        Ok(())
    }
}

impl Mark {
    fn behind(entry: Option<&Entry>) -> Self {
        Self {
            number: entry.map_or(0, |entry| entry.number),
            digest: entry.map_or(String::new(), |entry| entry.digest.clone()),
        }
    }

    fn of(text: &str) -> Self {
        let (number, digest) = text.split_once(' ').unwrap_or_default();
        Self {
            number: number.parse().unwrap_or(0),
            digest: digest.to_owned(),
        }
    }

    fn text(&self) -> String {
        format!("{} {}", self.number, self.digest)
    }

    fn is(&self, entry: &Entry) -> bool {
        self.number == entry.number && self.digest == entry.digest
    }
}

/// Whether the record itself says that it is a new one; that is news then.
fn is_begun_anew(entries: &[Entry]) -> bool {
    let news = entries
        .first()
        .and_then(|first| Reader::default().read(first));
    matches!(news, Some(News::BegunAnew { .. }))
}

fn tell(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    news: &News,
    digest: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(says) = words::alarm(news) {
        return raise(tx, desk, digest, &says, now);
    }
    let is_wish = matches!(
        news,
        News::Waits(_) | News::SignatoryWaits(_) | News::Declined { .. }
    );
    if is_wish && !has_room(tx, desk, now)? {
        return Ok(());
    }
    let (subject, body, page) = words::of(news, desk.zone);
    let message = Message::with_page("change", &subject, (&body, &page), now, desk.letterhead());
    let about = format!("change {digest}");
    desk.tell(tx, (&about, None), &message, &desk.rules.changes_to, now)?;
    Ok(())
}

/// Whether one more wish of this hour has a message of its own.
fn has_room(tx: &Transaction<'_>, desk: &Desk<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let known = store::note(tx, HOUR)?.unwrap_or_default();
    let (since, told) = known.split_once(' ').unwrap_or_default();
    let since = since.parse::<Timestamp>().ok();
    let is_same = |since: &Timestamp| {
        *since <= now && now.duration_since(*since) < SignedDuration::from_hours(1)
    };
    let (since, told) = match since.filter(is_same) {
        Some(since) => (since, told.parse().unwrap_or(0)),
        None => (now, 0),
    };
    store::set_note(tx, HOUR, &format!("{since} {}", told + 1))?;
    if told == MOST_AN_HOUR {
        let says = format!(
            "More than {MOST_AN_HOUR} changes were asked for within an hour. The others are on \
             the page of changes alone; nothing that loosens acts before another person approves."
        );
        raise(tx, desk, &format!("many {since}"), &says, now)?;
    }
    Ok(told < MOST_AN_HOUR)
}

fn tell_broken(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    broken: &Broken,
    now: Timestamp,
) -> Result<(), StoreError> {
    if store::note(tx, BROKEN)?.is_some() {
        return Ok(());
    }
    store::set_note(tx, BROKEN, &now.to_string())?;
    let says = format!("The record of changes is not what was written there: {broken}.");
    raise(tx, desk, &format!("broken {now}"), &says, now)
}

fn raise(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    about: &str,
    says: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kind = Kind::Change;
    let uid = format!("change {about}");
    let alert = Alert::of_appliance(kind, uid, kind.title(), says.to_owned(), now);
    desk.raise(tx, &alert, &desk.rules.changes_to)?;
    Ok(())
}
