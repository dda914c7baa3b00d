//! Telling somebody: alerts, and the ways on which they leave.
//!
//! The road of an alert: `follow` (rows of the log that are new) → `rules` (what
//! the school wants told of them) → `desk` (whom, when) → `outbox` (on disk, in
//! the same transaction) → `post` (one thread a way: `mail`, `webhook`,
//! `syslog`). `appliance` raises those about the filter itself, `drop` those
//! about what is missing; `digest` tells the rest once a week. All of it is in
//! `alerts.db`, so that being killed loses nothing and tells nothing twice.
//!
//! It must never name the site of a mandatory hit, and never change what is in
//! force.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

pub mod alert;
mod appliance;
mod changes;
mod desk;
mod digest;
mod drop;
mod follow;
mod mail;
pub mod message;
pub mod outbox;
pub mod personal;
mod post;
mod rules;
pub mod store;
mod syslog;
#[cfg(test)]
mod trial;
pub mod watch;
pub mod webhook;

use alert::{COLUMNS, Raised, raised};
use message::Message;
use outbox::{Channel, ChannelState};
use store::StoreError;
use watch::{School, Watch, WatchError};

/// Seconds between two trials of one way: a button is soon pressed.
const TRIAL_PAUSE: i64 = 60;

/// The school's alerts, as the pages see them.
pub struct Alerts {
    school: Arc<School>,
    db: Mutex<Connection>,
}

/// Somebody acknowledges an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// Now it is.
    Now,
    /// It was already, by this account and at this time.
    Already(String, Timestamp),
    /// There is no such alert.
    Unknown,
}

/// What became of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// So many messages are on their way.
    Sent(usize),
    /// The way is not set up, or nobody is to be told on it.
    Nobody,
    /// There was one a moment ago.
    TooSoon,
}

impl Alerts {
    /// Opens the alerts of `school`.
    pub fn open(school: School) -> Result<Self, StoreError> {
        let db = store::open(&school.settings().state_dir)?;
        Ok(Self {
            school: Arc::new(school),
            db: Mutex::new(db),
        })
    }

    /// Begins to watch and to send.
    pub fn watch(&self) -> Result<Watch, WatchError> {
        Watch::start(&self.school)
    }

    /// The school whose alerts they are.
    #[must_use]
    pub fn school(&self) -> &School {
        &self.school
    }

    /// How many nobody has acknowledged.
    pub fn unread(&self) -> Result<u64, StoreError> {
        let count: i64 = self.db().query_row(
            "SELECT count(*) FROM alerts WHERE acknowledged_at IS NULL",
            [],
            |row| row.get(0),
        )?;
        Ok(count.unsigned_abs())
    }

    /// The newest first: those below `before`, at most `limit`; all of them, or
    /// only what nobody has acknowledged.
    pub fn list(
        &self,
        all: bool,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Raised>, StoreError> {
        let db = self.db();
        let mut select = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM alerts
             WHERE id < ?1 AND (?2 OR acknowledged_at IS NULL) ORDER BY id DESC LIMIT ?3"
        ))?;
        let rows = select.query_map(params![before.unwrap_or(i64::MAX), all, limit], raised)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One alert.
    pub fn one(&self, number: i64) -> Result<Option<Raised>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM alerts WHERE id = ?");
        let found = self.db().query_row(&sql, [number], raised);
        Ok(found.optional()?)
    }

    /// Notes that `account` has seen an alert; whoever is second is told who was
    /// first.
    pub fn acknowledge(
        &self,
        number: i64,
        account: &str,
        now: Timestamp,
    ) -> Result<Acknowledged, StoreError> {
        let changed = self.db().execute(
            "UPDATE alerts SET acknowledged_by = ?, acknowledged_at = ?
             WHERE id = ? AND acknowledged_at IS NULL",
            params![account, now.as_microsecond(), number],
        )?;
        if changed == 1 {
            return Ok(Acknowledged::Now);
        }
        let found = self.one(number)?.and_then(|found| found.acknowledged);
        Ok(found.map_or(Acknowledged::Unknown, |(by, at)| {
            Acknowledged::Already(by, at)
        }))
    }

    /// How the ways fare that are set up.
    pub fn channels(&self) -> Result<Vec<ChannelState>, StoreError> {
        let db = self.db();
        let all = Channel::ALL.into_iter();
        let set_up = all.filter(|channel| self.school.has(*channel));
        let states = set_up.map(|channel| outbox::state(&db, channel));
        Ok(states.collect::<rusqlite::Result<_>>()?)
    }

    /// Sends a message that is marked as a trial, to all who are ever told on
    /// this way.
    pub fn try_out(
        &self,
        channel: Channel,
        account: &str,
        now: Timestamp,
    ) -> Result<Trial, StoreError> {
        let rules = self.school.rules();
        let to = match channel {
            _ if !self.school.has(channel) => Vec::new(),
            Channel::Mail => rules.everybody(),
            Channel::Webhook | Channel::Syslog => vec![String::new()],
        };
        if to.is_empty() {
            return Ok(Trial::Nobody);
        }
        let mut db = self.db();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let key = format!("trial of {}", channel.id());
        let last = store::note(&tx, &key)?.and_then(|at| at.parse::<Timestamp>().ok());
        if last.is_some_and(|last| now.duration_since(last).abs().as_secs() < TRIAL_PAUSE) {
            return Ok(Trial::TooSoon);
        }
        store::set_note(&tx, &key, &now.to_string())?;
        let document = self.school.document();
        let body = format!(
            "This is a TEST. {account} has sent it from the page of the channels to see whether\n\
             alerts arrive. Nothing has happened."
        );
        let head = message::Letterhead {
            school: &document.school,
            zone: &document.zone,
            url: &self.school.settings().dashboard.url,
            include_domain: false,
        };
        let message = Message::plain("test", "TEST of the alerts", &body, now, head);
        let about = format!("{key} {now}");
        for recipient in &to {
            outbox::put(&tx, (channel, recipient), (&about, None), &message, now)?;
        }
        tx.commit()?;
        Ok(Trial::Sent(to.len()))
    }

    fn db(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
