//! What the alerts' file holds about one device, for those who may ask for it or
//! have it erased.
//!
//! What was sent is out of reach; what is still here is shown and removed like
//! the rows it came of. Alerts about mandatory hits stay, and their host is
//! never told.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use crate::querylog::told::WITHHELD;

use super::store::{self, StoreError};

/// An alert, as the one it is about may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// When it was raised.
    pub raised: Timestamp,
    /// What it says in short.
    pub title: String,
    /// The theme.
    pub theme: String,
    /// The domain.
    pub domain: String,
    /// How many attempts.
    pub count: i64,
    /// Who has acknowledged it.
    pub acknowledged_by: String,
}

/// Every alert about `devices`, oldest first.
pub fn about(state_dir: &Path, devices: &[String]) -> Result<Vec<Told>, StoreError> {
    let mut all = Vec::new();
    let Some(db) = opened(state_dir)? else {
        return Ok(all);
    };
    for device in devices {
        let mut select = db.prepare_cached(
            "SELECT raised, title, theme, domain, count, acknowledged_by, mandatory FROM alerts
             WHERE device = ? COLLATE NOCASE ORDER BY id",
        )?;
        let found = select.query_map([device], |row| {
            let mandatory: bool = row.get(6)?;
            let domain: String = row.get(3)?;
            Ok(Told {
                raised: Timestamp::from_microsecond(row.get(0)?).unwrap_or_default(),
                title: row.get(1)?,
                theme: row.get(2)?,
                domain: if mandatory {
                    WITHHELD.to_owned()
                } else {
                    domain
                },
                count: row.get(4)?,
                acknowledged_by: row.get(5)?,
            })
        })?;
        for told in found {
            all.push(told?);
        }
    }
    all.sort_by_key(|told| told.raised);
    Ok(all)
}

/// Removes for good what is kept about `devices` from times before `until` that
/// are `free`. Says how many alerts went.
pub fn erase(
    state_dir: &Path,
    devices: &[String],
    until: Timestamp,
    free: impl Fn(Timestamp) -> bool,
) -> Result<u64, StoreError> {
    let Some(mut db) = opened(state_dir)? else {
        return Ok(0);
    };
    db.pragma_update(None, "secure_delete", true)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (mut alerts, mut attempts) = (0, 0);
    for device in devices {
        let mut select = tx.prepare_cached(
            "SELECT id, first FROM alerts
             WHERE device = ? COLLATE NOCASE AND first < ? AND NOT mandatory",
        )?;
        let found = select.query_map(params![device, until.as_microsecond()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        for (id, first) in found.collect::<rusqlite::Result<Vec<(i64, i64)>>>()? {
            if free(Timestamp::from_microsecond(first).unwrap_or_default()) {
                tx.execute("DELETE FROM outbox WHERE alert = ?", [id])?;
                alerts += tx.execute("DELETE FROM alerts WHERE id = ?", [id])?;
            }
        }
        let mut select = tx.prepare_cached(
            "SELECT DISTINCT minute FROM attempts
             WHERE device = ? COLLATE NOCASE AND minute < ? AND theme <> 'illegal'",
        )?;
        let last = until.as_second().div_euclid(60);
        let found = select.query_map(params![device, last], |row| row.get(0))?;
        for minute in found.collect::<rusqlite::Result<Vec<i64>>>()? {
            if free(Timestamp::from_second(minute.saturating_mul(60)).unwrap_or_default()) {
                attempts += tx.execute(
                    "DELETE FROM attempts WHERE device = ? COLLATE NOCASE AND minute = ?
                         AND theme <> 'illegal'",
                    params![device, minute],
                )?;
            }
        }
    }
    tx.commit()?;
    if alerts + attempts > 0 {
        db.execute_batch("VACUUM")?;
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(alerts as u64)
}

/// The file, if there is one.
fn opened(state_dir: &Path) -> Result<Option<Connection>, StoreError> {
    if !store::path(state_dir).exists() {
        return Ok(None);
    }
    store::open(state_dir).map(Some)
}
