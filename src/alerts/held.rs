//! What is held of one device, for whoever asks what is held of them, and its
//! erasure.
//!
//! Whether a hold forbids it is for the caller to know: the days of the log say
//! so. After an erasure nothing can be read back out of the file.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{TransactionBehavior, params};

use super::alert::{COLUMNS, Raised, raised};
use super::store::{self, StoreError};

/// Every alert about `device`, by its id, MAC or address, oldest first.
pub fn of_device(state_dir: &Path, device: &str) -> Result<Vec<Raised>, StoreError> {
    if !store::path(state_dir).exists() {
        return Ok(Vec::new());
    }
    let db = store::open(state_dir)?;
    let sql = format!("SELECT {COLUMNS} FROM alerts WHERE device = ? ORDER BY id");
    let mut select = db.prepare(&sql)?;
    let rows = select.query_map([device], raised)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Erases what is held of `device` from before `until`, messages that still wait
/// included; gives how many alerts those were.
pub fn erase(state_dir: &Path, device: &str, until: Timestamp) -> Result<usize, StoreError> {
    if !store::path(state_dir).exists() {
        return Ok(0);
    }
    let mut db = store::open(state_dir)?;
    db.pragma_update(None, "secure_delete", true)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let which = params![device, until.as_microsecond()];
    tx.execute(
        "DELETE FROM outbox WHERE alert IN
             (SELECT id FROM alerts WHERE device = ? AND first < ?)",
        which,
    )?;
    let erased = tx.execute("DELETE FROM alerts WHERE device = ? AND first < ?", which)?;
    tx.execute(
        "DELETE FROM attempts WHERE device = ? AND minute < ?",
        params![device, until.as_second().div_euclid(60)],
    )?;
    tx.commit()?;
    // The log of what was written last has it too.
    db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(erased)
}
