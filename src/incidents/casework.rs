//! What the school's people note about incidents: that somebody has looked, who
//! goes on, and what they think.
//!
//! It stands in a database of its own, `casework.db`, because it outlives the
//! rows and because the log is the resolver's. It is only added to: what
//! somebody wrote stays as it was written, and a review that is taken back is
//! two entries. Only an erasure removes any.
//!
//! An entry names its incident by the time of the incident's first look-up and
//! by what keeps incidents apart. A row that comes late can make an incident
//! begin earlier, so that an entry belongs to whatever like incident spans its
//! time.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::lists::durable;
use crate::querylog::visits::Incident;

/// Longest text, in bytes.
pub const LONGEST: usize = 4096;

const VERSION: i32 = 1;
const SCHEMA: &str = "
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        at INTEGER NOT NULL, device TEXT NOT NULL, grp TEXT NOT NULL, domain TEXT NOT NULL,
        action TEXT NOT NULL, mandatory INTEGER NOT NULL,
        time INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX entries_by_at ON entries (at);
";

/// Why nothing was added or read.
#[derive(Debug, thiserror::Error)]
pub enum CaseworkError {
    /// Somebody was faster.
    #[error("{who} has already reviewed this")]
    AlreadyReviewed {
        /// Who.
        who: String,
        /// When.
        when: Timestamp,
    },
    /// Nothing was written.
    #[error("write something first")]
    Empty,
    /// Too much was written.
    #[error("a note has up to {LONGEST} bytes, and this one {0}")]
    TooLong(usize),
    /// The database says so.
    #[error("casework.db: {0}")]
    Database(#[from] rusqlite::Error),
    /// The disk says so.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What one entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Somebody thinks this of it.
    Note(String),
    /// Somebody has looked at it and need not again.
    Reviewed,
    /// It needs another look.
    Reopened,
    /// Somebody goes on with it; with none, nobody any more.
    Assigned(Option<String>),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1, 2, 3, … over all incidents.
    pub number: i64,
    /// When it was written.
    pub time: Timestamp,
    /// By whom.
    pub who: String,
    /// What it says.
    pub word: Word,
}

/// What has been noted about one incident, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    /// Every entry.
    pub entries: Vec<Entry>,
}

impl Case {
    /// By whom and when it was reviewed, unless it was reopened since.
    #[must_use]
    pub fn reviewed(&self) -> Option<(&str, Timestamp)> {
        let mut reviewed = None;
        for entry in &self.entries {
            match entry.word {
                Word::Reviewed => reviewed = Some((&*entry.who, entry.time)),
                Word::Reopened => reviewed = None,
                _ => (),
            }
        }
        reviewed
    }

    /// Who goes on with it.
    #[must_use]
    pub fn assigned(&self) -> Option<&str> {
        let assigned = self.entries.iter().rev().find_map(|e| match &e.word {
            Word::Assigned(to) => Some(to),
            _ => None,
        });
        assigned?.as_deref()
    }

    /// How many notes there are.
    #[must_use]
    pub fn notes(&self) -> usize {
        let is_note = |entry: &&Entry| matches!(entry.word, Word::Note(_));
        self.entries.iter().filter(is_note).count()
    }
}

/// The casework of a school.
#[derive(Debug)]
pub struct Casework {
    path: PathBuf,
    db: Mutex<Option<Connection>>,
}

impl Casework {
    /// The casework below `state_dir`; the file is begun by the first entry.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("casework.db"),
            db: Mutex::new(None),
        }
    }

    /// Writes down what `who` says of `incident`, durably.
    pub fn add(
        &self,
        incident: &Incident,
        who: &str,
        word: &Word,
        now: Timestamp,
    ) -> Result<(), CaseworkError> {
        let (what, text) = stored(word);
        match word {
            Word::Note(_) if text.is_empty() => return Err(CaseworkError::Empty),
            _ if text.len() > LONGEST => return Err(CaseworkError::TooLong(text.len())),
            _ => (),
        }
        self.with_db(|db| {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if *word == Word::Reviewed {
                let case = cases(&tx, std::slice::from_ref(incident))?.pop();
                let case = case.unwrap_or_default();
                if let Some((who, when)) = case.reviewed() {
                    let who = who.to_owned();
                    return Err(CaseworkError::AlreadyReviewed { who, when });
                }
            }
            tx.execute(
                "INSERT INTO entries (at, device, grp, domain, action, mandatory,
                     time, who, what, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    incident.first.as_microsecond(),
                    incident.device.as_deref().unwrap_or_default(),
                    incident.group,
                    incident.domain,
                    incident.action.id(),
                    incident.mandatory,
                    now.as_microsecond(),
                    who,
                    what,
                    text,
                ],
            )?;
            Ok(tx.commit()?)
        })
    }

    /// What has been noted about each of `incidents`, in their order.
    pub fn cases(&self, incidents: &[Incident]) -> Result<Vec<Case>, CaseworkError> {
        if incidents.is_empty() || !self.path.exists() {
            return Ok(vec![Case::default(); incidents.len()]);
        }
        self.with_db(|db| cases(db, incidents))
    }

    /// What has been noted about one incident.
    pub fn case(&self, incident: &Incident) -> Result<Case, CaseworkError> {
        let all = self.cases(std::slice::from_ref(incident))?;
        Ok(all.into_iter().next().unwrap_or_default())
    }

    /// Removes what was noted before `until` about incidents of `devices` at
    /// times that are `free`, for good. What was noted about a mandatory
    /// hit stays, as the hit does. Says how many entries went.
    pub fn erase(
        &self,
        devices: &[String],
        until: Timestamp,
        free: impl Fn(Timestamp) -> bool,
    ) -> Result<u64, CaseworkError> {
        if !self.path.exists() {
            return Ok(0);
        }
        self.with_db(|db| {
            db.pragma_update(None, "secure_delete", true)?;
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut gone = 0;
            for device in devices {
                let mut select = tx.prepare_cached(
                    "SELECT number, at FROM entries
                     WHERE device = ? COLLATE NOCASE AND at < ? AND NOT mandatory",
                )?;
                let found = select.query_map(params![device, until.as_microsecond()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
                let found = found.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
                for (number, at) in found {
                    if free(Timestamp::from_microsecond(at).unwrap_or_default()) {
                        gone += tx.execute("DELETE FROM entries WHERE number = ?", [number])?;
                    }
                }
            }
            tx.commit()?;
            if gone > 0 {
                db.execute_batch("VACUUM")?;
                db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            }
            Ok(gone as u64)
        })
    }

    fn with_db<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, CaseworkError>,
    ) -> Result<T, CaseworkError> {
        let mut held = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let db = match &mut *held {
            Some(db) => db,
            none => none.insert(open(&self.path, VERSION, SCHEMA)?),
        };
        work(db)
    }
}

/// Opens a database of the dashboard's own, for its owner alone.
pub(super) fn open(path: &Path, version: i32, schema: &str) -> Result<Connection, CaseworkError> {
    if let Some(folder) = path.parent() {
        durable::create_folder(folder)?;
    }
    // SQLite gives its companions the same mode.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(2))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let found: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == 0 {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;"
        ))?;
    }
    Ok(db)
}

/// What keeps two incidents apart, but their time.
type Key = (String, String, String, String, bool);

fn key_of(incident: &Incident) -> Key {
    (
        incident.device.clone().unwrap_or_default(),
        incident.group.clone(),
        incident.domain.clone(),
        incident.action.id().to_owned(),
        incident.mandatory,
    )
}

fn cases(db: &Connection, incidents: &[Incident]) -> Result<Vec<Case>, CaseworkError> {
    let first = incidents.iter().map(|i| i.first.as_microsecond()).min();
    let last = incidents.iter().map(|i| i.last.as_microsecond()).max();
    let mut select = db.prepare_cached(
        "SELECT number, time, who, what, text, at, device, grp, domain, action, mandatory
         FROM entries WHERE at BETWEEN ? AND ? ORDER BY number",
    )?;
    let read = select.query_map(params![first, last], |row| {
        let word = word_of(&row.get::<_, String>(3)?, row.get(4)?);
        let entry = Entry {
            number: row.get(0)?,
            time: Timestamp::from_microsecond(row.get(1)?).unwrap_or_default(),
            who: row.get(2)?,
            word,
        };
        let key: Key = (
            row.get(6)?,
            row.get(7)?,
            row.get(8)?,
            row.get(9)?,
            row.get(10)?,
        );
        Ok((key, row.get::<_, i64>(5)?, entry))
    })?;
    let mut found: BTreeMap<Key, Vec<(i64, Entry)>> = BTreeMap::new();
    for row in read {
        let (key, at, entry) = row?;
        found.entry(key).or_default().push((at, entry));
    }
    let case = |incident: &Incident| {
        let span = incident.first.as_microsecond()..=incident.last.as_microsecond();
        let like = found.get(&key_of(incident)).into_iter().flatten();
        let within = like.filter(|(at, _)| span.contains(at));
        Case {
            entries: within.map(|(_, entry)| entry.clone()).collect(),
        }
    };
    Ok(incidents.iter().map(case).collect())
}

fn stored(word: &Word) -> (&'static str, String) {
    match word {
        Word::Note(text) => ("note", text.trim().replace("\r\n", "\n").replace('\0', "")),
        Word::Reviewed => ("reviewed", String::new()),
        Word::Reopened => ("reopened", String::new()),
        Word::Assigned(to) => ("assigned", to.clone().unwrap_or_default()),
    }
}

fn word_of(what: &str, text: String) -> Word {
    match what {
        "reviewed" => Word::Reviewed,
        "reopened" => Word::Reopened,
        "assigned" => Word::Assigned(Some(text).filter(|to| !to.is_empty())),
        _ => Word::Note(text),
    }
}
