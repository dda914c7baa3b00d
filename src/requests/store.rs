//! The queue: who asks, who answers, and what stands in it.
//!
//! One connection behind a lock: requests come by the minute. It is opened when
//! it is first needed and again after trouble, so that nothing of this keeps the
//! other pages from being served.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::admission::Admission;
use super::kept::{self, Trouble};
use super::{Answer, Asking, File, NotTaken, Outcome, Received, Request, State, Step, Voice, Wish};
use super::{Line, Text};
use crate::name::Name;

/// So many may wait for an answer; the last hundred are for those who have
/// signed in.
const MOST_OPEN: u64 = 500;
const MOST_OPEN_OF_STRANGERS: u64 = 400;
/// So many are kept with their words, and so many are told apart at all.
const MOST_WORDS: u64 = 10;
const MOST_MARKS: u64 = 200;
/// After this an answered request is forgotten: two school years, so that a
/// yearly review still finds it.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);

/// What a request is read from.
const REQUEST: &str =
    "SELECT id, site, wish, grp, state, voices, first, last, expires FROM request";

/// The queue of requests.
pub struct Requests {
    path: PathBuf,
    db: Mutex<Option<Connection>>,
    admission: Mutex<Admission>,
    /// Tells voices apart without keeping an address; gone with the process.
    key: [u8; 32],
}

impl Requests {
    /// The queue below `state_dir`. `key` is any random bytes.
    #[must_use]
    pub fn new(state_dir: &Path, key: [u8; 32]) -> Self {
        Self {
            path: kept::path(state_dir),
            db: Mutex::new(None),
            admission: Mutex::new(Admission::new()),
            key,
        }
    }

    /// Takes a request that came from `from`.
    pub fn ask(&self, asking: &Asking, from: IpAddr) -> Result<Received, NotTaken> {
        let account = asking.voice.account.as_deref();
        let client = account.map_or_else(|| network(from).to_string(), |a| format!("={a}"));
        let now = asking.voice.time.as_millisecond().cast_unsigned();
        let mut admission = self
            .admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let admitted = admission.admits(&client, account.is_some(), now);
        drop(admission);
        if !admitted {
            return Err(NotTaken::TooOften);
        }
        let mark = blake3::keyed_hash(&self.key, client.as_bytes());
        let mark = mark.as_bytes().get(..16).unwrap_or_default();
        let taken = self.write(|tx| take(tx, asking, mark))?;
        taken.ok_or(NotTaken::Full)
    }

    /// Those that wait for an answer, the longest-waiting first.
    pub fn waiting(&self) -> Result<Vec<Request>, Trouble> {
        let sql = format!("{REQUEST} WHERE state IN ('new', 'considered') ORDER BY first LIMIT ?1");
        self.read(|db| all(db, &sql, params![MOST_OPEN.cast_signed()]))
    }

    /// The latest answered ones whose number is below `before`.
    pub fn answered(&self, before: Option<u64>, most: u32) -> Result<Vec<Request>, Trouble> {
        let sql = format!(
            "{REQUEST} WHERE state NOT IN ('new', 'considered') AND id < ?1 ORDER BY id DESC LIMIT ?2"
        );
        let before = before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
        self.read(|db| all(db, &sql, params![before, most]))
    }

    /// Everything about one.
    pub fn file(&self, id: u64) -> Result<Option<File>, Trouble> {
        let Ok(id) = i64::try_from(id) else {
            return Ok(None);
        };
        self.read(|db| {
            let sql = format!("{REQUEST} WHERE id = ?1");
            let Some(request) = db.query_row(&sql, [id], request).optional()? else {
                return Ok(None);
            };
            let voices = "SELECT time, who, account, device, for_whom, why FROM voice \
                 WHERE request = ?1 AND who || for_whom || why <> '' ORDER BY time";
            let voices: rusqlite::Result<_> =
                db.prepare_cached(voices)?.query_map([id], voice)?.collect();
            let steps = "SELECT time, who, what, said FROM history WHERE request = ?1 \
                 ORDER BY number";
            let history: rusqlite::Result<_> =
                db.prepare_cached(steps)?.query_map([id], step)?.collect();
            Ok(Some(File {
                request,
                voices: voices?,
                history: history?,
            }))
        })
    }

    /// Writes down that `by` has begun to look at a new one. False if it was not
    /// new any more.
    pub fn consider(
        &self,
        id: u64,
        by: &str,
        note: &Text,
        now: Timestamp,
    ) -> Result<bool, Trouble> {
        let id = i64::try_from(id).unwrap_or(-1);
        self.write(|tx| {
            let sql = "UPDATE request SET state = 'considered' WHERE id = ?1 AND state = 'new'";
            let done = tx.execute(sql, [id])? == 1;
            if done {
                add_step(tx, id, now, by, "considered", note.as_str())?;
            }
            Ok(done)
        })
    }

    /// Puts one that waits back among those that are considered, and writes down
    /// why; what was said already is not said again.
    pub fn put_back(&self, id: u64, by: &str, why: &Text, now: Timestamp) -> Result<bool, Trouble> {
        let id = i64::try_from(id).unwrap_or(-1);
        self.write(|tx| {
            let sql = "UPDATE request SET state = 'considered' WHERE id = ?1 \
                 AND state IN ('new', 'considered') AND NOT EXISTS \
                 (SELECT 1 FROM history WHERE request = ?1 AND what = 'considered' AND said = ?2)";
            let done = tx.execute(sql, params![id, why.as_str()])? == 1;
            if done {
                add_step(tx, id, now, by, "considered", why.as_str())?;
            }
            Ok(done)
        })
    }

    /// Writes down what `by` has decided. False if somebody was faster, whose
    /// answer stands.
    pub fn answer(
        &self,
        id: u64,
        by: &str,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<bool, Trouble> {
        let id = i64::try_from(id).unwrap_or(-1);
        let outcome = answer.outcome.id();
        let granted = answer.outcome == Outcome::Granted;
        let expires = answer.expires.filter(|_| granted).map(|d| d.to_string());
        self.write(|tx| {
            let sql = "UPDATE request SET state = ?2, expires = ?3, last = max(last, ?4) \
                 WHERE id = ?1 AND state IN ('new', 'considered')";
            let done = tx.execute(sql, params![id, outcome, expires, now.as_microsecond()])? == 1;
            if done {
                add_step(tx, id, now, by, outcome, answer.reason.as_str())?;
            }
            forget(tx, now)?;
            Ok(done)
        })
    }

    fn read<T>(&self, of: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Trouble> {
        self.with(|db| of(db))
    }

    fn write<T>(
        &self,
        of: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        self.with(|db| {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = of(&tx)?;
            tx.commit()?;
            Ok(done)
        })
    }

    fn with<T>(
        &self,
        of: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = match db.take() {
            Some(open) => open,
            None => kept::open(&self.path)?,
        };
        let done = of(&mut open)?;
        // After trouble it is opened anew.
        *db = Some(open);
        Ok(done)
    }
}

/// Who has one address of a network of this size may have all of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// None: there is no room.
fn take(tx: &Transaction<'_>, asking: &Asking, mark: &[u8]) -> rusqlite::Result<Option<Received>> {
    let voice = &asking.voice;
    let (site, time) = (asking.site.to_string(), voice.time.as_microsecond());
    let about = params![site, asking.group, asking.wish.id()];
    let sql = "SELECT id, voices FROM request WHERE site = ?1 AND grp = ?2 AND wish = ?3 \
         AND state IN ('new', 'considered')";
    let found: Option<(i64, i64)> = tx
        .query_row(sql, about, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((id, voices)) = found {
        let voices = voices.cast_unsigned();
        if voices < MOST_MARKS && !add_voice(tx, id, mark, voice, voices < MOST_WORDS)? {
            return Ok(Some(Received::Joined(id.cast_unsigned())));
        }
        let sql = "UPDATE request SET voices = voices + 1, last = max(last, ?2) WHERE id = ?1";
        tx.execute(sql, params![id, time])?;
        return Ok(Some(Received::Joined(id.cast_unsigned())));
    }
    let sql = "SELECT count(*) FROM request WHERE state IN ('new', 'considered')";
    let open: i64 = tx.query_row(sql, [], |row| row.get(0))?;
    let most = match voice.account {
        Some(_) => MOST_OPEN,
        None => MOST_OPEN_OF_STRANGERS,
    };
    if open.cast_unsigned() >= most {
        return Ok(None);
    }
    let sql = "INSERT INTO request (site, grp, wish, state, voices, first, last) \
         VALUES (?1, ?2, ?3, 'new', 1, ?4, ?4)";
    tx.execute(sql, params![site, asking.group, asking.wish.id(), time])?;
    let id = tx.last_insert_rowid();
    add_voice(tx, id, mark, voice, true)?;
    let who = voice.account.as_deref().unwrap_or("somebody");
    add_step(tx, id, voice.time, who, "asked", "")?;
    Ok(Some(Received::New(id.cast_unsigned())))
}

/// False: they have asked before.
fn add_voice(
    tx: &Transaction<'_>,
    id: i64,
    mark: &[u8],
    voice: &Voice,
    with_words: bool,
) -> rusqlite::Result<bool> {
    let words = |text: &str| {
        if with_words {
            text.to_owned()
        } else {
            String::new()
        }
    };
    let sql = "INSERT OR IGNORE INTO voice (request, mark, time, who, account, device, for_whom, why) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let added = tx.execute(
        sql,
        params![
            id,
            mark,
            voice.time.as_microsecond(),
            words(voice.who.as_str()),
            voice.account.as_deref().filter(|_| with_words),
            voice.device.as_deref().filter(|_| with_words),
            words(voice.for_whom.as_str()),
            words(voice.why.as_str()),
        ],
    )?;
    Ok(added == 1)
}

fn add_step(
    tx: &Transaction<'_>,
    id: i64,
    now: Timestamp,
    who: &str,
    what: &str,
    said: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO history (request, time, who, what, said) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.execute(sql, params![id, now.as_microsecond(), who, what, said])?;
    Ok(())
}

/// Takes away what was answered long ago, whole.
fn forget(tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let edge = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
    let sql = "DELETE FROM request WHERE state NOT IN ('new', 'considered') AND last < ?1";
    if tx.execute(sql, [edge.as_microsecond()])? > 0 {
        for table in ["voice", "history"] {
            let sql = format!("DELETE FROM {table} WHERE request NOT IN (SELECT id FROM request)");
            tx.execute(&sql, [])?;
        }
    }
    Ok(())
}

fn all(db: &Connection, sql: &str, with: impl rusqlite::Params) -> rusqlite::Result<Vec<Request>> {
    let mut statement = db.prepare_cached(sql)?;
    statement.query_map(with, request)?.collect()
}

fn request(row: &Row<'_>) -> rusqlite::Result<Request> {
    let state: String = row.get(4)?;
    let state = match (state.as_str(), Outcome::named(&state)) {
        ("new", _) => Some(State::New),
        ("considered", _) => Some(State::Considered),
        (_, outcome) => outcome.map(State::Answered),
    };
    let text = |column: usize| row.get::<_, String>(column);
    let expires: Option<String> = row.get(8)?;
    Ok(Request {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        site: Name::parse(&text(1)?).ok().ok_or_else(|| odd(1))?,
        wish: Wish::named(&text(2)?).ok_or_else(|| odd(2))?,
        group: text(3)?,
        state: state.ok_or_else(|| odd(4))?,
        voices: row.get::<_, i64>(5)?.cast_unsigned(),
        first: time(row, 6)?,
        last: time(row, 7)?,
        expires: expires.and_then(|date| date.parse().ok()),
    })
}

fn voice(row: &Row<'_>) -> rusqlite::Result<Voice> {
    let text = |column: usize| row.get::<_, String>(column);
    Ok(Voice {
        time: time(row, 0)?,
        who: Line::new(&text(1)?),
        account: row.get(2)?,
        device: row.get(3)?,
        for_whom: Line::new(&text(4)?),
        why: Text::new(&text(5)?),
    })
}

fn step(row: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        time: time(row, 0)?,
        who: row.get(1)?,
        what: row.get(2)?,
        said: row.get(3)?,
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|_| odd(column))
}

/// Nobody of ours has written this.
fn odd(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "request".to_owned(), Type::Text)
}
