//! The file that requests are kept in: its tables, and what happens when it
//! cannot be read.
//!
//! A damaged file is set aside under another name and a new one begun: the queue
//! is worth less than the pages that would not start without it. What was done
//! about a request is only ever added to; the file itself refuses anything else,
//! until the request as a whole is past its time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::lists::durable;

const FILE: &str = "requests.db";
/// The file grows to no more.
const MOST_BYTES: i64 = 64 << 20;
const PAGE_BYTES: i64 = 4096;
const VERSION: i32 = 1;

const SCHEMA: &str = "
    CREATE TABLE request (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        site TEXT NOT NULL, grp TEXT NOT NULL, wish TEXT NOT NULL,
        state TEXT NOT NULL, expires TEXT,
        voices INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX one_is_open ON request (site, grp, wish)
        WHERE state IN ('new', 'considered');
    CREATE INDEX by_state ON request (state, last);
    CREATE TABLE voice (
        request INTEGER NOT NULL, mark BLOB NOT NULL, time INTEGER NOT NULL,
        who TEXT NOT NULL, account TEXT, device TEXT,
        for_whom TEXT NOT NULL, why TEXT NOT NULL,
        PRIMARY KEY (request, mark)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE history (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        request INTEGER NOT NULL, time INTEGER NOT NULL,
        who TEXT NOT NULL, what TEXT NOT NULL, said TEXT NOT NULL
    ) STRICT;
    CREATE INDEX history_of ON history (request);
    CREATE TRIGGER history_is_not_rewritten BEFORE UPDATE ON history
        BEGIN SELECT raise(ABORT, 'history is only added to'); END;
    CREATE TRIGGER history_is_not_erased BEFORE DELETE ON history
        WHEN EXISTS (SELECT 1 FROM request WHERE id = OLD.request)
        BEGIN SELECT raise(ABORT, 'history is only added to'); END;
";

/// Requests cannot be read or written. Says nothing of what stands in them.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// SQLite says so.
    #[error("requests.db: {0}")]
    Database(#[from] rusqlite::Error),
    /// The system says so.
    #[error("requests.db: {0}")]
    Io(#[from] io::Error),
}

/// Where the file is.
pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// Opens the file, or begins it.
pub(super) fn open(path: &Path) -> Result<Connection, Trouble> {
    match try_open(path) {
        Err(Trouble::Database(error)) if is_damage(&error) => {
            set_aside(path)?;
            tracing::warn!("requests.db was damaged and is set aside; a new one is begun");
            try_open(path)
        }
        other => other,
    }
}

/// The same, but what is damaged is an error.
pub(super) fn try_open(path: &Path) -> Result<Connection, Trouble> {
    if let Some(folder) = path.parent() {
        durable::create_folder(folder)?;
    }
    if !path.exists() {
        // SQLite would give it the rights of the umask.
        durable::create(path)?;
    }
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(2))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "max_page_count", MOST_BYTES / PAGE_BYTES)?;
    let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        let begin =
            format!("BEGIN IMMEDIATE;\n{SCHEMA}\nPRAGMA user_version = {VERSION};\nCOMMIT;");
        db.execute_batch(&begin)?;
    }
    Ok(db)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn set_aside(path: &Path) -> io::Result<()> {
    let named = |end: &str| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(end);
        path.with_file_name(name)
    };
    let free = (1..).map(|n| named(&format!(".damaged-{n}")));
    let mut free = free.filter(|path| !path.exists());
    if let Some(aside) = free.next() {
        std::fs::rename(path, aside)?;
    }
    durable::remove_if_any(&named("-wal"))?;
    durable::remove_if_any(&named("-shm"))
}
