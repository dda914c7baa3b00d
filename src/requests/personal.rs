//! What the queue holds of one person or device, for those who may ask for it or
//! have it erased.
//!
//! That a site was asked for, by how many, and what the school answered is the
//! school's own and stays; who asked with which words goes. What others said of
//! the same site is never told.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use super::kept::{self, Trouble};

/// One asking, as the one it is about may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The number of the request.
    pub request: i64,
    /// When it was asked.
    pub time: Timestamp,
    /// The site; for whoever tells it on to look at first.
    pub site: String,
    /// What of it: `unblock` or `block`.
    pub wish: String,
    /// For which group.
    pub group: String,
    /// Who they said they were.
    pub who: String,
    /// The account they were signed in with.
    pub account: Option<String>,
    /// The device it came from.
    pub device: Option<String>,
    /// Whom they wanted it for.
    pub for_whom: String,
    /// Why.
    pub why: String,
    /// What became of the request.
    pub state: String,
    /// What the school's staff did about it.
    pub answers: Vec<Answered>,
}

/// A step that staff took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub who: String,
    /// What, such as `granted`.
    pub what: String,
    /// With which words.
    pub said: String,
}

/// All that was asked by, from or for whom `is_theirs` knows, oldest first.
pub fn about(state_dir: &Path, is_theirs: impl Fn(&str) -> bool) -> Result<Vec<Told>, Trouble> {
    let Some(db) = opened(state_dir)? else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for voice in voices(&db)?
        .into_iter()
        .filter(|voice| voice.is_of(&is_theirs))
    {
        let mut told = voice.told;
        told.answers = answers(&db, told.request)?;
        all.push(told);
    }
    Ok(all)
}

/// Removes for good who they were and what they said, where it was before `until`
/// and at a time that is `free`. Says how many askings.
pub fn erase(
    state_dir: &Path,
    is_theirs: impl Fn(&str) -> bool,
    until: Timestamp,
    free: impl Fn(Timestamp) -> bool,
) -> Result<u64, Trouble> {
    let Some(mut db) = opened(state_dir)? else {
        return Ok(0);
    };
    db.pragma_update(None, "secure_delete", true)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut gone: u64 = 0;
    for voice in voices(&tx)? {
        let time = voice.told.time;
        if !voice.is_of(&is_theirs) || time >= until || !free(time) {
            continue;
        }
        // It still counts as one of those who asked.
        tx.prepare_cached(
            "UPDATE voice SET who = '', account = NULL, device = NULL, for_whom = '', why = ''
             WHERE request = ? AND mark = ?",
        )?
        .execute(params![voice.told.request, voice.mark])?;
        gone += 1;
    }
    tx.commit()?;
    if gone > 0 {
        db.execute_batch("VACUUM")?;
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(gone)
}

struct Voice {
    mark: Vec<u8>,
    told: Told,
}

impl Voice {
    fn is_of(&self, is_theirs: impl Fn(&str) -> bool) -> bool {
        let Told { who, for_whom, .. } = &self.told;
        let known = [&self.told.account, &self.told.device];
        let words = known.into_iter().flatten().chain([who, for_whom]);
        words
            .into_iter()
            .any(|word| !word.is_empty() && is_theirs(word))
    }
}

/// All voices that still say something.
fn voices(db: &Connection) -> rusqlite::Result<Vec<Voice>> {
    let mut select = db.prepare(
        "SELECT mark, request, time, site, wish, grp, who, account, device, for_whom, why, state
         FROM voice JOIN request ON request.id = voice.request
         WHERE who || for_whom || why <> '' OR account IS NOT NULL OR device IS NOT NULL
         ORDER BY time",
    )?;
    let found = select.query_map([], |row| {
        let told = Told {
            request: row.get(1)?,
            time: Timestamp::from_microsecond(row.get(2)?).unwrap_or_default(),
            site: row.get(3)?,
            wish: row.get(4)?,
            group: row.get(5)?,
            who: row.get(6)?,
            account: row.get(7)?,
            device: row.get(8)?,
            for_whom: row.get(9)?,
            why: row.get(10)?,
            state: row.get(11)?,
            answers: Vec::new(),
        };
        let mark = row.get(0)?;
        Ok(Voice { mark, told })
    })?;
    found.collect()
}

/// That somebody asked is about whoever was first.
fn answers(db: &Connection, request: i64) -> rusqlite::Result<Vec<Answered>> {
    let mut select = db.prepare_cached(
        "SELECT time, who, what, said FROM history
         WHERE request = ? AND what <> 'asked' ORDER BY number",
    )?;
    let found = select.query_map([request], |row| {
        Ok(Answered {
            time: Timestamp::from_microsecond(row.get(0)?).unwrap_or_default(),
            who: row.get(1)?,
            what: row.get(2)?,
            said: row.get(3)?,
        })
    })?;
    found.collect()
}

/// The file, if there is one.
fn opened(state_dir: &Path) -> Result<Option<Connection>, Trouble> {
    let path = kept::path(state_dir);
    if !path.exists() {
        return Ok(None);
    }
    // A damaged one is not set aside here: whoever asks is to know of it.
    kept::try_open(&path).map(Some)
}
