//! Following the log: rows nobody has looked at yet, wherever they turn up.
//!
//! Rows do not come in order. Two workers write side by side; a disk that was
//! full lets hours through at once; a clock is put right. So a day's file that
//! has changed is read again from a little before its newest row, each time, and
//! once a minute from its beginning: what has been looked at is known by its key
//! (`seen` in the alerts' file), and the rest is new.
//!
//! What cannot be read hides nothing of what comes behind it: such a day is read
//! from both its ends, and what was just written on its own.
//!
//! What was in the log before anybody watched is past, and raises nothing.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::store::{self, StoreError};
use crate::lists::category::{Category, CategorySet};
use crate::querylog::days::{self, Part};
use crate::querylog::filter::Filter;
use crate::querylog::read::rows_of;
use crate::querylog::row::Row;

/// How far behind the newest row a new one is looked for each time.
const OVERLAP: SignedDuration = SignedDuration::from_secs(30);
/// How often a day that changes is read whole.
const WHOLE: SignedDuration = SignedDuration::from_mins(1);
/// Rows that are taken in one go; the rest follows at once.
const MOST: usize = 5000;
/// Days for which single rows are remembered; nothing is written later than
/// that, and a day that is rewritten afterwards has nothing new.
const REMEMBERED: i64 = 9;
/// Since when somebody watches, and up to when.
const BEGUN: &str = "begun";
const WATCHED: &str = "watched";

/// Reads what is new.
pub(super) struct Follower {
    folder: PathBuf,
    days: HashMap<Date, Day>,
    /// Files that have not changed since then hold nothing new.
    watched: Option<SystemTime>,
}

/// What a file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signature([Option<(u64, SystemTime)>; 2]);

#[derive(Default)]
struct Day {
    /// As it was when it was last read.
    signature: Option<Signature>,
    newest: Option<Timestamp>,
    /// When it was last read whole.
    whole: Option<Timestamp>,
    /// Whether it changed since.
    changed: bool,
    /// Whether some of it cannot be read.
    damaged: bool,
}

/// How much of a file is to be read.
enum Look {
    NotNow,
    Whole,
    From(Timestamp),
}

/// What is new.
#[derive(Default)]
pub(super) struct Fresh {
    /// The rows, with the day of the file they stand in.
    pub(super) rows: Vec<(Date, Row)>,
    /// Whether there is more at once.
    pub(super) more: bool,
}

impl Follower {
    /// Follows the log in `folder`. The first time ever it notes what is there
    /// as past; then it gives since when it watches.
    pub(super) fn begin(
        folder: &Path,
        db: &mut Connection,
        now: Timestamp,
    ) -> Result<(Self, Option<Timestamp>), StoreError> {
        let first = store::note(db, BEGUN)?.is_none();
        if first {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (part, path) in days::parts(folder)? {
                if let Part::Rows(date) = part {
                    let until = newest(part, path).map_or(i64::MIN, Timestamp::as_microsecond);
                    pass(&tx, date, until)?;
                }
            }
            store::set_note(&tx, BEGUN, &now.to_string())?;
            tx.commit()?;
        }
        let watched = store::note(db, WATCHED)?.and_then(|text| text.parse::<Timestamp>().ok());
        // With a clock that was put back, all files are looked at.
        let watched = watched.filter(|watched| *watched <= now);
        let watched = watched.and_then(|at| at.checked_sub(4.minutes()).ok());
        let follower = Self {
            folder: folder.to_owned(),
            days: HashMap::new(),
            watched: watched.map(SystemTime::from),
        };
        Ok((follower, first.then_some(now)))
    }

    /// What is new, of what is `told`.
    pub(super) fn fresh(
        &mut self,
        db: &Connection,
        told: CategorySet,
        now: Timestamp,
    ) -> Result<Fresh, StoreError> {
        let mut fresh = Fresh::default();
        for (part, path) in days::parts(&self.folder)? {
            let Part::Rows(date) = part else {
                continue;
            };
            let signature = Signature::of(&path)?;
            let day = self.days.entry(date).or_insert_with(|| {
                let old = self.watched.is_some_and(|at| signature.is_older_than(at));
                Day {
                    signature: old.then_some(signature),
                    ..Day::default()
                }
            });
            let since = match day.look(signature, now) {
                Look::NotNow => continue,
                Look::Whole => None,
                Look::From(since) => Some(since),
            };
            let filter = Filter {
                since,
                told: Some(told),
                ..Filter::default()
            };
            // What is found twice is looked at once.
            let tail = Filter {
                since: Some(now.checked_sub(OVERLAP).unwrap_or(now)),
                ..filter.clone()
            };
            let backwards = Filter {
                newest_first: true,
                ..filter.clone()
            };
            let mut damaged = false;
            for filter in [filter, tail, backwards] {
                let rows = rows_of(part, path.clone(), filter);
                let whole = day.read(db, date, rows, &mut fresh)?;
                damaged |= !whole;
                if !damaged || fresh.more {
                    break;
                }
            }
            if fresh.more {
                // To be read again.
                day.signature = None;
                break;
            }
            day.signature = Some(signature);
            // What cannot be read now is looked at again in a minute.
            day.changed = since.is_some() || damaged;
            if since.is_none() {
                day.whole = Some(now);
                day.damaged = damaged;
            }
        }
        Ok(fresh)
    }

    /// Days of which some cannot be read.
    pub(super) fn damaged(&self) -> impl Iterator<Item = Date> {
        let damaged = self.days.iter().filter(|(_, day)| day.damaged);
        damaged.map(|(date, _)| *date)
    }

    /// Notes the rows in categories that are told of from now on: what was
    /// written before the school wanted to know raises nothing.
    pub(super) fn widen(
        &self,
        db: &mut Connection,
        (before, now): (CategorySet, CategorySet),
        today: Date,
    ) -> Result<(), StoreError> {
        let oldest = today.saturating_sub(REMEMBERED.days());
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (part, path) in days::parts(&self.folder)? {
            if !matches!(part, Part::Rows(date) if date >= oldest) {
                continue;
            }
            let filter = Filter {
                told: Some(now.without(before)),
                ..Filter::default()
            };
            let was_told = |row: &Row| {
                let ids = row.categories.iter().chain(&row.category);
                let mut categories = ids.filter_map(|id| Category::named(id));
                row.is_mandatory() || categories.any(|category| before.has(category))
            };
            let mut note = tx.prepare_cached("INSERT OR IGNORE INTO seen VALUES (?, ?)")?;
            let rows = rows_of(part, path, filter).flatten();
            for row in rows.filter(|row| !was_told(row)) {
                note.execute(params![part.date().to_string(), row.time.as_microsecond()])?;
            }
        }
        Ok(tx.commit()?)
    }

    /// Notes that all up to now has been looked at, and forgets single rows of
    /// days long over, but for the newest: a day that only a wrong clock calls
    /// over goes on behind it.
    pub(super) fn tidy(tx: &Transaction<'_>, today: Date, now: Timestamp) -> rusqlite::Result<()> {
        store::set_note(tx, WATCHED, &now.to_string())?;
        let oldest = today.saturating_sub(REMEMBERED.days()).to_string();
        let days: Vec<String> = tx
            .prepare("SELECT DISTINCT day FROM seen WHERE day < ?")?
            .query_map([oldest], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for day in days {
            tx.execute(
                "INSERT INTO past SELECT day, max(time) FROM seen WHERE day = ? GROUP BY day
                 ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
                [&day],
            )?;
            tx.execute("DELETE FROM seen WHERE day = ?", [day])?;
        }
        Ok(())
    }
}

impl Day {
    fn look(&self, signature: Signature, now: Timestamp) -> Look {
        let Some(known) = self.signature else {
            return Look::Whole;
        };
        let rested = self
            .whole
            .is_none_or(|whole| now < whole || now.duration_since(whole) >= WHOLE);
        if known == signature && !(self.changed && rested) {
            return Look::NotNow;
        }
        if rested {
            return Look::Whole;
        }
        // A clock that went ahead for a while must not hide what comes now.
        let newest = self.newest.map_or(now, |newest| newest.min(now));
        newest.checked_sub(OVERLAP).map_or(Look::Whole, Look::From)
    }

    /// Says whether all of it could be read.
    fn read(
        &mut self,
        db: &Connection,
        date: Date,
        rows: impl Iterator<Item = Result<Row, crate::querylog::read::Unreadable>>,
        fresh: &mut Fresh,
    ) -> rusqlite::Result<bool> {
        let name = date.to_string();
        let past = db
            .prepare_cached("SELECT until FROM past WHERE day = ?")?
            .query_row([&name], |row| row.get::<_, i64>(0))
            .optional()?;
        let mut seen = db.prepare_cached("SELECT 1 FROM seen WHERE day = ? AND time = ?")?;
        let mut whole = true;
        for row in rows {
            let Ok(row) = row else {
                whole = false;
                continue;
            };
            self.newest = self.newest.max(Some(row.time));
            let time = row.time.as_microsecond();
            if past.is_some_and(|past| time <= past) || seen.exists(params![name, time])? {
                continue;
            }
            fresh.rows.push((date, row));
            if fresh.rows.len() >= MOST {
                fresh.more = true;
                break;
            }
        }
        Ok(whole)
    }
}

impl Signature {
    fn of(path: &Path) -> io::Result<Self> {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let look = |path: &Path| match std::fs::metadata(path) {
            Ok(found) => Ok(Some((found.len(), found.modified()?))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        Ok(Self([look(path)?, look(Path::new(&wal))?]))
    }

    fn is_older_than(self, at: SystemTime) -> bool {
        self.0.iter().flatten().all(|(_, changed)| *changed < at)
    }
}

/// The newest row of a file, if it has one that can be read.
fn newest(part: Part, path: PathBuf) -> Option<Timestamp> {
    let filter = Filter {
        newest_first: true,
        limit: Some(1),
        ..Filter::default()
    };
    let row = rows_of(part, path, filter).next()?;
    row.ok().map(|row| row.time)
}

fn pass(tx: &Transaction<'_>, date: Date, until: i64) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO past VALUES (?, ?) ON CONFLICT DO UPDATE SET until = excluded.until",
        params![date.to_string(), until],
    )
    .map(drop)
}
