//! One day's rows in one SQLite file, as the writer sees it.
//!
//! A row is six small integers: words that repeat (names, clients, rulings) are
//! in dictionaries of the same file. The time in microseconds is the row's key,
//! so that rows lie in the order in which people ask for them and each index
//! (client, name, ruling) is ordered by time without a further column; a
//! microsecond that is taken is moved on by one. Names are stored with their
//! labels reversed: a domain and all below it are one range of the index.
//!
//! A committed row survives `kill -9` and a power cut (WAL, `synchronous=FULL`).

use std::path::Path;
use std::time::Duration;

use jiff::civil::Date;
use rusqlite::{CachedStatement, Connection, ErrorCode, Transaction, TransactionBehavior};

use super::days;
use super::packed::{self, Packed};
use super::recorder::Rank;
use super::spool::Held;
use super::store::StoreError;
use super::words::Words;

/// "SGql": what makes an SQLite file one of ours.
pub(super) const APPLICATION: i32 = 0x5347_716c;
/// The version of [`SCHEMA`].
pub(super) const VERSION: i32 = 1;

const SCHEMA: &str = "
    CREATE TABLE clients (
        id INTEGER PRIMARY KEY,
        device TEXT NOT NULL, name TEXT NOT NULL, mac TEXT NOT NULL, ip TEXT NOT NULL,
        grp TEXT NOT NULL,
        UNIQUE (device, name, mac, ip, grp)
    ) STRICT;
    CREATE TABLE names (id INTEGER PRIMARY KEY, reversed TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE rulings (
        id INTEGER PRIMARY KEY,
        action TEXT NOT NULL, layer TEXT NOT NULL, category TEXT NOT NULL,
        categories TEXT NOT NULL, source TEXT NOT NULL, policy INTEGER NOT NULL,
        time_trusted INTEGER NOT NULL,
        UNIQUE (action, layer, category, categories, source, policy, time_trusted)
    ) STRICT;
    CREATE TABLE lookups (
        time INTEGER PRIMARY KEY,
        client INTEGER NOT NULL, name INTEGER NOT NULL, type INTEGER NOT NULL,
        ruling INTEGER NOT NULL, count INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX lookups_by_client ON lookups (client);
    CREATE INDEX lookups_by_name ON lookups (name);
    CREATE INDEX lookups_by_ruling ON lookups (ruling);
";

const PAGE_BYTES: u64 = 4096;
/// Much of a usual day's indexes, so that a row seldom costs a read.
const CACHE_KIB: i32 = 4 << 10;
/// Pages of the write-ahead log after which it goes into the file. A page that
/// many flushes change is copied once then.
const CHECKPOINT_PAGES: i32 = 2000;

/// One day, open for writing.
pub(super) struct Day {
    pub(super) date: Date,
    db: Connection,
    words: Words,
    /// The greatest time in the file.
    last: i64,
    most_pages: u64,
    /// By which it shows that another connection has changed the file.
    seen: i64,
}

impl Day {
    /// Opens or begins the day's file, which may grow to `most_bytes`.
    pub(super) fn open(folder: &Path, date: Date, most_bytes: u64) -> Result<Self, StoreError> {
        let path = days::path(folder, date);
        days::make_folder(folder).map_err(StoreError::folder(folder))?;
        days::make_file(folder, &path).map_err(StoreError::folder(folder))?;
        let db = open_database(&path, VERSION, SCHEMA)?;
        let most_pages = (most_bytes / PAGE_BYTES).min(u64::from(u32::MAX));
        let begun = || {
            db.pragma_update(None, "max_page_count", most_pages.cast_signed())?;
            db.query_row("SELECT coalesce(max(time), 0) FROM lookups", [], |row| {
                row.get(0)
            })
        };
        let last = begun().map_err(StoreError::database(&path))?;
        Ok(Self {
            date,
            db,
            words: Words::default(),
            last,
            most_pages,
            seen: 0,
        })
    }

    /// Which rows the file still takes. A flood must not fill the disk, and what
    /// it fills goes in the order of the rings: allowed rows have half of the
    /// file, blocked ones seven eighths.
    pub(super) fn least_admitted(&self) -> rusqlite::Result<Rank> {
        let pages: i64 = self
            .db
            .pragma_query_value(None, "page_count", |row| row.get(0))?;
        let free = self.most_pages.saturating_sub(pages.unsigned_abs());
        Ok(match free {
            _ if free > self.most_pages / 2 => Rank::Allowed,
            _ if free > self.most_pages / 8 => Rank::Blocked,
            _ => Rank::Mandatory,
        })
    }

    /// Writes `rows`, oldest first, all or none.
    pub(super) fn write(&mut self, rows: &[Held]) -> rusqlite::Result<()> {
        let last = self.last;
        let seen = &mut self.seen;
        let written = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|tx| {
                let version = tx.pragma_query_value(None, "data_version", |row| row.get(0))?;
                if std::mem::replace(seen, version) != version {
                    // Something has been erased: what is remembered may be gone.
                    self.words = Words::default();
                }
                let last = insert_all(&tx, &mut self.words, last, rows)?;
                tx.commit()?;
                Ok(last)
            });
        match written {
            Ok(last) => self.last = last,
            // The ids of what was rolled back will be given to others.
            Err(_) => self.words = Words::default(),
        }
        written.map(|_| ())
    }

    /// Closes the day as one plain file that can be read from read-only media.
    /// Somebody reading it now prevents that, and it does not matter.
    pub(super) fn seal(self) {
        let _ = self.db.busy_timeout(Duration::ZERO);
        let _ = self.db.pragma_update(None, "journal_mode", "DELETE");
    }
}

/// Opens a database of ours for writing, with its schema if it is empty.
pub(super) fn open_database(
    path: &Path,
    version: i32,
    schema: &str,
) -> Result<Connection, StoreError> {
    let opened = || {
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(1))?;
        let found: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "journal_size_limit", 8 << 20)?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        if (found, application) == (0, 0) {
            db.execute_batch(&format!(
                "BEGIN IMMEDIATE; {schema}
                 PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version}; COMMIT;"
            ))?;
            return Ok(Some(db));
        }
        Ok(((found, application) == (version, APPLICATION)).then_some(db))
    };
    match opened() {
        Ok(Some(db)) => Ok(db),
        Ok(None) => Err(StoreError::Foreign {
            file: StoreError::name(path),
        }),
        Err(e) => Err(StoreError::database(path)(e)),
    }
}

fn insert_all(
    tx: &Transaction<'_>,
    words: &mut Words,
    mut last: i64,
    rows: &[Held],
) -> rusqlite::Result<i64> {
    words.learn(tx, rows.iter().filter_map(row_of).map(|packed| packed.name))?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO lookups (time, client, name, type, ruling, count) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let mut next = i64::MIN;
    for held in rows {
        let Some(packed) = row_of(held) else {
            continue;
        };
        let client = words.client(tx, &packed)?;
        let name = words.name(tx, &packed)?;
        let ruling = words.ruling(tx, &packed)?;
        let count = i64::try_from(held.count).unwrap_or(i64::MAX);
        let mut time = held.time.max(next);
        // Only where the clock went back can a time below the last be taken.
        while !insert_at(
            &mut insert,
            time,
            [client, name, packed.rtype.into(), ruling, count],
        )? {
            time += 1;
        }
        next = time + 1;
        last = last.max(time);
    }
    Ok(last)
}

/// What is a row, and no mere count.
fn row_of(held: &Held) -> Option<Packed<'_>> {
    packed::unpack(&held.key).filter(|packed| !packed.count_only)
}

/// Says whether the time was free.
fn insert_at(insert: &mut CachedStatement<'_>, time: i64, row: [i64; 5]) -> rusqlite::Result<bool> {
    let [client, name, rtype, ruling, count] = row;
    match insert.execute([time, client, name, rtype, ruling, count]) {
        Ok(_) => Ok(true),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
        Err(e) => Err(e),
    }
}
