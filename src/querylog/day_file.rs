//! One day's file as a reader with questions of its own opens it: its
//! dictionaries, and rows by index.
//!
//! `read` goes through rows in order and over days; whoever keeps an index of
//! names, or counts incidents, wants a day's words and its rows as bare numbers.
//! Numbers are those of this file alone and mean nothing in another.
//!
//! It reads only, so it can neither damage a day nor hold up its writer for
//! longer than one answer takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Params, Row as Columns, params};

use crate::name::MAX_WIRE;
use crate::policy::decision::{Layer, Verdict};

use super::day::{APPLICATION, VERSION};
use super::read::{self, Unreadable};
use super::row::{Row, reversed, wire_of};
use super::store::StoreError;

/// What SQLite may keep of a file in memory; many are open at a time.
const CACHE_KIB: i32 = 512;

/// A day, open for reading.
pub struct DayFile {
    path: PathBuf,
    db: Connection,
}

/// Whose look-up it was: one entry of the file's dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientWords {
    /// Its number.
    pub number: i64,
    /// The device's id; empty if there is none, as all of these.
    pub device: String,
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: String,
    /// Its address.
    pub ip: String,
    /// Its group.
    pub group: String,
}

/// What was decided: one entry of the file's dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulingWords {
    /// Its number.
    pub number: i64,
    /// The outcome.
    pub action: Verdict,
    /// The layer that decided.
    pub layer: Layer,
    /// The category that decided, then all the name is in.
    pub categories: Vec<String>,
    /// The number of the policy.
    pub policy: u64,
}

/// A row in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// When, in microseconds; the row's key.
    pub time: i64,
    /// How many look-ups it stands for.
    pub count: u64,
    /// Whose.
    pub client: u32,
    /// Of which name.
    pub name: u32,
    /// With which ruling.
    pub ruling: u32,
    /// The asked type; 0 in a row of various names.
    pub rtype: u16,
}

/// Who asked for what, and when: a row without what was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// When, in microseconds.
    pub time: i64,
    /// How many look-ups it stands for.
    pub count: u64,
    /// Whose.
    pub client: u32,
    /// Of which name.
    pub name: u32,
}

/// Rows by one of the file's indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Of this client.
    Client(u32),
    /// Of this name.
    Name(u32),
}

/// How many rows there are, and the last one's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many.
    pub rows: i64,
    /// The greatest time.
    pub last: i64,
}

impl DayFile {
    /// Opens a day. None if it is not there, or has only just been begun.
    pub fn open(path: &Path) -> Result<Option<Self>, Unreadable> {
        if !path.exists() {
            return Ok(None);
        }
        let Some(db) = connect(path)? else {
            return Ok(None);
        };
        let file = Self {
            path: path.to_owned(),
            db,
        };
        file.told(file.db.pragma_update(None, "cache_size", -CACHE_KIB))?;
        Ok(Some(file))
    }

    /// Everything asked within `work` is of one moment.
    pub fn at_one_moment<T>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<T, Unreadable>,
    ) -> Result<T, Unreadable> {
        let begun = self.db.execute_batch("BEGIN");
        self.told(begun)?;
        let done = work(self);
        let ended = self.db.execute_batch("COMMIT");
        self.told(ended)?;
        done
    }

    /// The clients from number `from` on.
    pub fn clients(&self, from: usize) -> Result<Vec<ClientWords>, Unreadable> {
        let sql = "SELECT id, device, name, mac, ip, grp FROM clients WHERE id >= ? ORDER BY id";
        self.all(sql, [bound(from)], |columns| {
            Ok(ClientWords {
                number: columns.get(0)?,
                device: columns.get(1)?,
                name: columns.get(2)?,
                mac: columns.get(3)?,
                ip: columns.get(4)?,
                group: columns.get(5)?,
            })
        })
    }

    /// The rulings from number `from` on.
    pub fn rulings(&self, from: usize) -> Result<Vec<RulingWords>, Unreadable> {
        let sql = "SELECT id, action, layer, category, categories, policy FROM rulings
                   WHERE id >= ? ORDER BY id";
        self.all(sql, [bound(from)], |columns| {
            let first: String = columns.get(3)?;
            let others: String = columns.get(4)?;
            let ids = first.split_whitespace().chain(others.split_whitespace());
            Ok(RulingWords {
                number: columns.get(0)?,
                action: read::known(columns, 1, &Verdict::ALL, Verdict::id)?,
                layer: read::known(columns, 2, &Layer::ALL, Layer::id)?,
                categories: ids.map(str::to_owned).collect(),
                policy: columns.get::<_, i64>(5)?.cast_unsigned(),
            })
        })
    }

    /// The names from number `from` on, with their numbers.
    pub fn names(&self, from: usize) -> Result<Vec<(i64, String)>, Unreadable> {
        let sql = "SELECT id, reversed FROM names WHERE id >= ? ORDER BY id";
        self.all(sql, [bound(from)], |columns| {
            let name = reversed(columns.get_ref(1)?.as_str()?);
            Ok((columns.get(0)?, name))
        })
    }

    /// Goes through all names, each as its number and its wire form. What is in
    /// the file and is no name is passed over.
    pub fn each_name(&self, mut take: impl FnMut(u32, &[u8])) -> Result<(), Unreadable> {
        let mut read = || {
            let mut select = self.db.prepare_cached("SELECT id, reversed FROM names")?;
            let mut rows = select.query([])?;
            let mut buffer = [0; MAX_WIRE];
            while let Some(columns) = rows.next()? {
                let reversed = columns.get_ref(1)?.as_str()?;
                if let Some(wire) = wire_of(reversed, &mut buffer) {
                    take(columns.get(0)?, wire);
                }
            }
            Ok(())
        };
        self.told(read())
    }

    /// The numbers of names that a mandatory list covered when they were asked.
    pub fn mandatory_names(&self) -> Result<Vec<u32>, Unreadable> {
        let sql = "SELECT DISTINCT name FROM lookups
                   WHERE ruling IN (SELECT id FROM rulings WHERE layer = ?)";
        self.all(sql, [Layer::Mandatory.id()], |columns| columns.get(0))
    }

    /// From now on everything asked is of one moment, until the file is closed:
    /// for those who come back to its numbers and are done within seconds.
    pub fn hold_still(&self) -> Result<(), Unreadable> {
        self.told(self.db.execute_batch("BEGIN"))
    }

    /// Goes through the rows from one time up to, not including, another,
    /// oldest first.
    pub fn each_visit(
        &self,
        (from, until): (i64, i64),
        mut take: impl FnMut(Visit),
    ) -> Result<(), Unreadable> {
        let mut read = || {
            let mut select = self.db.prepare_cached(
                "SELECT time, count, client, name FROM lookups
                 WHERE time >= ? AND time < ? ORDER BY time",
            )?;
            let mut rows = select.query([from, until])?;
            while let Some(columns) = rows.next()? {
                take(Visit {
                    time: columns.get(0)?,
                    count: columns.get::<_, i64>(1)?.unsigned_abs(),
                    client: columns.get(2)?,
                    name: columns.get(3)?,
                });
            }
            Ok(())
        };
        self.told(read())
    }

    /// How many names there are from number `from` on.
    pub fn count_names(&self, from: usize) -> Result<usize, Unreadable> {
        let sql = "SELECT count(*) FROM names WHERE id >= ?";
        let count = self
            .db
            .query_row(sql, [bound(from)], |columns| columns.get::<_, i64>(0));
        Ok(self.told(count)?.unsigned_abs() as usize)
    }

    /// The numbers of the names that `wanted` wants; every one is looked at.
    pub fn names_that(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<u32>, Unreadable> {
        let read = || {
            let mut select = self.db.prepare_cached("SELECT id, reversed FROM names")?;
            let mut rows = select.query([])?;
            let mut found = Vec::new();
            while let Some(columns) = rows.next()? {
                if wanted(&reversed(columns.get_ref(1)?.as_str()?)) {
                    found.push(columns.get(0)?);
                }
            }
            Ok(found)
        };
        self.told(read())
    }

    /// The rulings of mandatory hits.
    pub fn mandatory_rulings(&self) -> Result<Vec<u32>, Unreadable> {
        let sql = "SELECT id FROM rulings WHERE layer = ?";
        self.all(sql, [Layer::Mandatory.id()], |columns| columns.get(0))
    }

    /// The name of a number.
    pub fn name(&self, number: u32) -> Result<String, Unreadable> {
        let sql = "SELECT reversed FROM names WHERE id = ?";
        let read = |columns: &Columns<'_>| Ok(reversed(columns.get_ref(0)?.as_str()?));
        let found = self.db.prepare_cached(sql);
        self.told(found.and_then(|mut select| select.query_row([number], read)))
    }

    /// The numbers of a name and of all below it.
    pub fn names_below(&self, name: &str) -> Result<Vec<u32>, Unreadable> {
        // '/' is the character behind '.'.
        let sql = "SELECT id FROM names WHERE reversed = ?1
                   UNION ALL SELECT id FROM names
                   WHERE reversed > ?1 || '.' AND reversed < ?1 || '/'";
        self.all(sql, [reversed(name)], |columns| columns.get(0))
    }

    /// How far the file goes.
    pub fn extent(&self) -> Result<Extent, Unreadable> {
        let read = || {
            let sql = "SELECT coalesce(max(time), 0) FROM lookups";
            let last = self.db.query_row(sql, [], |columns| columns.get(0))?;
            // On its own it is counted by pages, not by rows.
            let sql = "SELECT count(*) FROM lookups";
            let rows = self.db.query_row(sql, [], |columns| columns.get(0))?;
            Ok(Extent { rows, last })
        };
        self.told(read())
    }

    /// The first and the last row's time.
    pub fn ends(&self) -> Result<(i64, i64), Unreadable> {
        let one = |sql| self.db.query_row(sql, [], |columns| columns.get(0));
        let first = one("SELECT coalesce(min(time), 0) FROM lookups");
        let last = one("SELECT coalesce(max(time), 0) FROM lookups");
        Ok((self.told(first)?, self.told(last)?))
    }

    /// How many rows come after `time`.
    pub fn rows_after(&self, time: i64) -> Result<i64, Unreadable> {
        let sql = "SELECT count(*) FROM lookups WHERE time > ?";
        self.told(self.db.query_row(sql, [time], |columns| columns.get(0)))
    }

    /// The row of a time.
    pub fn lookup(&self, time: i64) -> Result<Option<Lookup>, Unreadable> {
        let sql = "SELECT time, count, client, name, ruling, type FROM lookups WHERE time = ?";
        Ok(self.all(sql, [time], lookup)?.pop())
    }

    /// The rows after `time` that have one of these rulings, oldest first.
    pub fn lookups(&self, rulings: &[u32], after: i64) -> Result<Vec<Lookup>, Unreadable> {
        // They are a good part of the day: its rows are gone through in order,
        // and `+` keeps SQLite from an index.
        let sql = format!(
            "SELECT time, count, client, name, ruling, type FROM lookups
             WHERE time > ? AND +ruling IN ({}) ORDER BY time",
            list(rulings)
        );
        self.all(&sql, [after], lookup)
    }

    /// The newest `limit` rows of one client or name between two times, ends
    /// left out, newest first; none with a ruling of `without`.
    pub fn newest(
        &self,
        by: By,
        (after, before): (i64, i64),
        limit: usize,
        without: &[u32],
    ) -> Result<Vec<Lookup>, Unreadable> {
        let (column, number) = match by {
            By::Client(number) => ("client", number),
            By::Name(number) => ("name", number),
        };
        let sql = format!(
            "SELECT time, count, client, name, ruling, type FROM lookups
             WHERE {column} = ? AND time > ? AND time < ? AND +ruling NOT IN ({})
             ORDER BY time DESC LIMIT ?",
            list(without)
        );
        self.all(&sql, params![number, after, before, bound(limit)], lookup)
    }

    /// The newest `limit` rows older than `before` that `wanted` wants, newest
    /// first; every row of the day may have to be looked at.
    pub fn newest_wanted(
        &self,
        before: i64,
        limit: usize,
        wanted: impl Fn(&Lookup) -> bool,
    ) -> Result<Vec<Lookup>, Unreadable> {
        let read = || {
            let mut select = self.db.prepare_cached(
                "SELECT time, count, client, name, ruling, type FROM lookups
                 WHERE time < ? ORDER BY time DESC",
            )?;
            let mut rows = select.query([before])?;
            let mut found = Vec::new();
            while found.len() < limit
                && let Some(columns) = rows.next()?
            {
                let row = lookup(columns)?;
                if wanted(&row) {
                    found.push(row);
                }
            }
            Ok(found)
        };
        self.told(read())
    }

    /// The rows of these times, in their order, in full.
    pub fn rows(&self, times: impl Iterator<Item = i64>) -> Result<Vec<Row>, Unreadable> {
        let read = || {
            let mut select = self.db.prepare_cached(&read::one())?;
            let mut rows = Vec::new();
            for time in times {
                let mut found = select.query_map([time], read::row)?;
                rows.extend(found.next().transpose()?);
            }
            Ok(rows)
        };
        self.told(read())
    }

    /// Each client's number, its last row from `since` on, and how many rows.
    pub fn last_seen(&self, since: i64) -> Result<Vec<(u32, i64, u64)>, Unreadable> {
        let sql = "SELECT client, max(time), count(*) FROM lookups INDEXED BY lookups_by_client
                   WHERE time >= ? GROUP BY client";
        self.all(sql, [since], |columns| {
            let rows: i64 = columns.get(2)?;
            Ok((columns.get(0)?, columns.get(1)?, rows.unsigned_abs()))
        })
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Columns<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Unreadable> {
        let found = self.db.prepare_cached(sql).and_then(|mut select| {
            let rows = select.query_map(values, read)?;
            rows.collect()
        });
        self.told(found)
    }

    fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, Unreadable> {
        result.map_err(|error| unreadable(&self.path, &error))
    }
}

/// Opens a day's file for reading; none if it has no schema yet, and no rows.
pub(super) fn connect(path: &Path) -> Result<Option<Connection>, Unreadable> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = || {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(1))?;
        let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i32 = db.pragma_query_value(None, "application_id", |r| r.get(0))?;
        Ok((db, version, application))
    };
    let (db, version, application) = opened().map_err(|e| unreadable(path, &e))?;
    match (version, application) {
        // The writer may have begun it between the two looks.
        (0, 0 | APPLICATION) => Ok(None),
        (VERSION, APPLICATION) => Ok(Some(db)),
        _ => Err(Unreadable {
            file: StoreError::name(path),
            why: format!("version {version} of the format is unknown"),
        }),
    }
}

pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> Unreadable {
    Unreadable {
        file: StoreError::name(path),
        why: error.to_string(),
    }
}

fn lookup(columns: &Columns<'_>) -> rusqlite::Result<Lookup> {
    Ok(Lookup {
        time: columns.get(0)?,
        count: columns.get::<_, i64>(1)?.unsigned_abs(),
        client: columns.get(2)?,
        name: columns.get(3)?,
        ruling: columns.get(4)?,
        rtype: columns.get(5)?,
    })
}

/// As SQLite counts.
fn bound(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn list(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(",")
}
