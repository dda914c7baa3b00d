//! Removing what one device asked from one day, while the writer goes on.
//!
//! Rows go in one transaction, and with them each word that nothing else in the
//! file needs: who the device was and which names were only its own. What is
//! deleted is overwritten, and the file is written anew without the gaps, so that
//! neither SQL nor a look into its bytes finds it again. The writer notices that
//! another has changed its file and forgets what it remembered of it; no number of
//! a dictionary ever gets another meaning.
//!
//! It never removes a mandatory hit: the school must not destroy what the police
//! may ask for, and retention removes it in time. Whether a day is held is the
//! caller's to ask (`hold`).

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params_from_iter};

use crate::policy::decision::Layer;

use super::day::{APPLICATION, VERSION};
use super::days;
use super::filter::device_key;
use super::store::StoreError;

/// For how long others are waited for: the writer for a flush, a reader for a
/// page of rows.
const PATIENCE: Duration = Duration::from_secs(10);
/// A file up to this size is written anew in memory, a larger one by a file of
/// SQLite's that has no name.
const IN_MEMORY: u64 = 256 << 20;

/// Takes the words out that no row needs any more. The greatest number of a
/// dictionary stays taken, by an entry that no look-up can have: numbers are given
/// out upwards from it, and one that was given once must never mean another, for
/// readers remember what they mean.
const FORGET: &str = "
    DELETE FROM names WHERE (reversed = '' OR id IN (SELECT id FROM words))
        AND id < (SELECT max(id) FROM names)
        AND NOT EXISTS (SELECT 1 FROM lookups WHERE name = names.id);
    UPDATE names SET reversed = '' WHERE id IN (SELECT id FROM words)
        AND NOT EXISTS (SELECT 1 FROM lookups WHERE name = names.id);
    DELETE FROM clients WHERE (grp = '' OR id IN (SELECT id FROM whose))
        AND id < (SELECT max(id) FROM clients)
        AND NOT EXISTS (SELECT 1 FROM lookups WHERE client = clients.id);
    UPDATE clients SET device = '', name = '', mac = '', ip = '', grp = ''
        WHERE id IN (SELECT id FROM whose)
        AND NOT EXISTS (SELECT 1 FROM lookups WHERE client = clients.id);
";

/// What was removed from a day.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Rows.
    pub rows: u64,
    /// The look-ups they stood for.
    pub lookups: u64,
    /// Mandatory hits among what was asked for; they are still there.
    pub kept: u64,
}

/// Removes from the day's file what `devices` asked before `until`. Each is an
/// id, name, MAC or address, as in a [`super::filter::Filter`]. A day without a
/// file, or without a row of theirs, is left as it is.
pub fn erase_day(
    folder: &Path,
    date: Date,
    devices: &[String],
    until: Timestamp,
) -> Result<Erased, StoreError> {
    let path = days::path(folder, date);
    if !path.exists() {
        return Ok(Erased::default());
    }
    let erase = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&path, flags)?;
        db.busy_timeout(PATIENCE)?;
        let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        match (version, application) {
            // Just begun, or begun between the two looks.
            (0, 0 | APPLICATION) => return Ok(Some(Erased::default())),
            (VERSION, APPLICATION) => {}
            _ => return Ok(None),
        }
        let small = fs::metadata(&path).is_ok_and(|facts| facts.len() <= IN_MEMORY);
        db.pragma_update(None, "temp_store", if small { "MEMORY" } else { "FILE" })?;
        db.pragma_update(None, "secure_delete", true)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let erased = erase(&tx, devices, until)?;
        tx.commit()?;
        if erased.rows > 0 {
            db.execute_batch("VACUUM")?;
        }
        empty_log(&db)?;
        Ok(Some(erased))
    };
    match erase() {
        Ok(Some(erased)) => Ok(erased),
        Ok(None) => Err(StoreError::Foreign {
            file: StoreError::name(&path),
        }),
        Err(error) => Err(StoreError::database(&path)(error)),
    }
}

fn erase(tx: &Transaction<'_>, devices: &[String], until: Timestamp) -> rusqlite::Result<Erased> {
    tx.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS whose (id INTEGER PRIMARY KEY);
         CREATE TEMP TABLE IF NOT EXISTS words (id INTEGER PRIMARY KEY);
         DELETE FROM whose; DELETE FROM words;",
    )?;
    for device in devices {
        let (column, key) = device_key(device);
        let column = column.replace('$', "?1");
        let sql = format!("INSERT OR IGNORE INTO whose SELECT id FROM clients WHERE {column}");
        tx.execute(&sql, [key])?;
    }
    let until = Value::Integer(until.as_microsecond());
    let mandatory = Value::Text(Layer::Mandatory.id().to_owned());
    let theirs = "client IN (SELECT id FROM whose) AND time < ?1";
    let kept = "ruling IN (SELECT id FROM rulings WHERE layer = ?2)";
    let values = || params_from_iter([&until, &mandatory]);
    let (rows, lookups): (i64, i64) = tx.query_row(
        &format!(
            "SELECT count(*), coalesce(sum(count), 0) FROM lookups WHERE {theirs} AND NOT {kept}"
        ),
        values(),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let left: i64 = tx.query_row(
        &format!("SELECT count(*) FROM lookups WHERE {theirs} AND {kept}"),
        values(),
        |row| row.get(0),
    )?;
    if rows > 0 {
        let which = format!("FROM lookups WHERE {theirs} AND NOT {kept}");
        let words = format!("INSERT OR IGNORE INTO words SELECT DISTINCT name {which}");
        tx.execute(&words, values())?;
        tx.execute(&format!("DELETE {which}"), values())?;
        tx.execute_batch(FORGET)?;
    }
    Ok(Erased {
        rows: rows.unsigned_abs(),
        lookups: lookups.unsigned_abs(),
        kept: left.unsigned_abs(),
    })
}

/// Empties the write-ahead log of a day that is still open: the old pages stand
/// in it.
fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Ok(());
    }
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    let why = "erased, but somebody reads the day and its log could not be emptied: run it again";
    Err(rusqlite::Error::SqliteFailure(code, Some(why.to_owned())))
}
