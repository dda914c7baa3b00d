//! What the alerts remember: one SQLite file, `alerts.db`.
//!
//! That a row of the log has been looked at, what it came to, and the messages
//! about it are written in one transaction: a process that is killed at any
//! moment has done all of it or nothing, so that no alert is lost and none is
//! raised twice. A committed message survives a power cut (`synchronous=FULL`).
//!
//! The name of a mandatory hit never stands in it, nor that of any other but as
//! a digest, unless the school wants domains in its messages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::lists::durable;

/// "SGal": what makes an SQLite file one of ours.
const APPLICATION: i32 = 0x5347_616c;
const VERSION: i32 = 1;

/// Times are microseconds since 1970, but `minute` and `day`, which count
/// minutes and days.
const SCHEMA: &str = "
    CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- Rows of the log up to which a day was over before anybody watched.
    CREATE TABLE past (day TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    -- Rows that have been looked at.
    CREATE TABLE seen (
        day TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (day, time)
    ) STRICT, WITHOUT ROWID;
    -- One device, one domain, one minute.
    CREATE TABLE attempts (
        minute INTEGER NOT NULL, theme TEXT NOT NULL, device TEXT NOT NULL, grp TEXT NOT NULL,
        domain TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (device, grp, theme, minute, domain)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX attempts_by_minute ON attempts (minute);
    CREATE TABLE alerts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL, raised INTEGER NOT NULL, title TEXT NOT NULL, says TEXT NOT NULL,
        theme TEXT NOT NULL, category TEXT NOT NULL, mandatory INTEGER NOT NULL,
        action TEXT NOT NULL, device TEXT NOT NULL, device_name TEXT NOT NULL,
        grp TEXT NOT NULL, domain TEXT NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
        urgent INTEGER NOT NULL, reminded INTEGER NOT NULL DEFAULT 0,
        acknowledged_by TEXT NOT NULL DEFAULT '', acknowledged_at INTEGER
    ) STRICT;
    CREATE INDEX alerts_by_what ON alerts (device, grp, theme, mandatory, first);
    CREATE INDEX alerts_unread ON alerts (id) WHERE acknowledged_at IS NULL;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,
        alert INTEGER, channel TEXT NOT NULL, recipient TEXT NOT NULL,
        message TEXT NOT NULL, created INTEGER NOT NULL, due INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting',
        error TEXT NOT NULL DEFAULT '', done INTEGER
    ) STRICT;
    CREATE INDEX outbox_waiting ON outbox (channel, due) WHERE state = 'waiting';
    CREATE TABLE channels (
        channel TEXT PRIMARY KEY, tries INTEGER NOT NULL, due INTEGER NOT NULL,
        error TEXT NOT NULL, failed INTEGER, succeeded INTEGER
    ) STRICT, WITHOUT ROWID;
";

/// Why the alerts' file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's word on it.
    #[error("alerts.db: {0}")]
    Database(#[from] rusqlite::Error),
    /// Its folder or file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Another program's, or of a later version.
    #[error("alerts.db is not a file of this version")]
    Foreign,
}

/// Where the file is below `state_dir`.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("alerts.db")
}

/// Opens the file, which is begun if there is none.
pub fn open(state_dir: &Path) -> Result<Connection, StoreError> {
    let path = path(state_dir);
    durable::create_folder(state_dir)?;
    if !path.exists() {
        // SQLite gives its companions the same mode.
        match make(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(durable::naming(&path, &error).into());
            }
            _ => durable::sync_folder(state_dir)?,
        }
    }
    let db = Connection::open(&path)?;
    db.busy_timeout(Duration::from_secs(10))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "journal_size_limit", 4 << 20)?;
    begin(&db)?;
    Ok(db)
}

/// Two may open it at the same time: the schema is made by one of them.
fn begin(db: &Connection) -> Result<(), StoreError> {
    let kind = || {
        let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok::<_, rusqlite::Error>((version, application))
    };
    if kind()? == (0, 0) {
        let tx = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        if kind()? == (0, 0) {
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "application_id", APPLICATION)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        tx.commit()?;
    }
    if kind()? == (VERSION, APPLICATION) {
        Ok(())
    } else {
        Err(StoreError::Foreign)
    }
}

fn make(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map(drop)
}

/// Something small that is remembered under a key.
pub fn note(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT value FROM notes WHERE key = ?")?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// Remembers something small.
pub fn set_note(db: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute(params![key, value])
    .map(drop)
}

/// Forgets it.
pub fn drop_note(db: &Connection, key: &str) -> rusqlite::Result<()> {
    db.execute("DELETE FROM notes WHERE key = ?", [key])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_its_owners_alone_and_opens_again() {
        let state = tempfile::tempdir().unwrap();
        let db = open(state.path()).unwrap();
        set_note(&db, "a", "1").unwrap();
        set_note(&db, "a", "2").unwrap();
        for companion in ["alerts.db", "alerts.db-wal"] {
            let mode = std::fs::metadata(state.path().join(companion)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{companion}");
        }
        let again = open(state.path()).unwrap();
        assert_eq!(note(&again, "a").unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let db = Connection::open(path(state.path())).unwrap();
        db.pragma_update(None, "user_version", 9).unwrap();
        assert!(matches!(open(state.path()), Err(StoreError::Foreign)));
    }
}
