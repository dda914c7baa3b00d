//! Sessions: who has signed in, and what they must still do before they see
//! anything.
//!
//! A browser holds a random secret of 256 bits; here is only its hash. A session
//! ends after a time without a click, after a time in any case, and when
//! anything changes about its account: password, role, second factor.

use std::net::IpAddr;

use data_encoding::BASE32_NOPAD;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{People, PeopleError, Person, account, token};

pub(super) const SCHEMA: &str = "
    CREATE TABLE session (
        id INTEGER PRIMARY KEY AUTOINCREMENT, secret BLOB NOT NULL UNIQUE,
        account TEXT NOT NULL REFERENCES account, address TEXT NOT NULL,
        began INTEGER NOT NULL, seen INTEGER NOT NULL, code_given INTEGER NOT NULL,
        offered BLOB
    ) STRICT;
    CREATE INDEX session_of ON session (account);";

/// Bytes of a secret.
const SECRET: usize = 32;
/// A click is written down when the last that was is this long ago.
const PRECISION: SignedDuration = SignedDuration::from_secs(15);
/// Sessions that an account may have at one time; beyond, the oldest end.
const MOST: i64 = 10;

/// What somebody who has given the right password must still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Give a code of their second factor.
    Code,
    /// Choose a password of their own.
    Password,
    /// Set up a second factor.
    SecondFactor,
}

/// Somebody who has signed in, as far as [`Session::step`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub person: Person,
    /// What every form of this session carries, and no other site can know.
    pub csrf: String,
    /// What they must do before anything else; none: they are in.
    pub step: Option<Step>,
    /// Which of their sessions.
    pub id: i64,
}

/// A session as its owner sees it among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub id: i64,
    /// From where.
    pub address: String,
    /// Since when.
    pub began: Timestamp,
    /// When it was last used.
    pub seen: Timestamp,
}

impl People {
    /// Whose session the secret of a cookie is, if it still holds.
    pub fn session(&self, secret: &str, now: Timestamp) -> Result<Option<Session>, PeopleError> {
        let store = self.store();
        let found = store
            .query_row(
                "SELECT s.id, s.account, s.began, s.seen, s.code_given, a.password_at
                 FROM session s JOIN account a USING (account) WHERE s.secret = ?1",
                [hashed(secret)],
                |row| {
                    let account: String = row.get(1)?;
                    let code_given: bool = row.get(4)?;
                    let times: [i64; 3] = [row.get(2)?, row.get(3)?, row.get(5)?];
                    Ok((row.get::<_, i64>(0)?, account, times, code_given))
                },
            )
            .optional()?;
        let Some((id, name, [began, seen, password_at], code_given)) = found else {
            return Ok(None);
        };
        let Some(account) = account::one(&store, &name)? else {
            return Ok(None);
        };
        let now_second = now.as_second();
        // Also where the clock was set back: what began in the future has ended.
        let holds = |since: i64, limit: SignedDuration| {
            (-60..limit.as_secs()).contains(&(now_second - since))
        };
        let fresh = holds(began, self.rules.session) && holds(seen, self.rules.idle);
        if !fresh || !account.is_usable(now) {
            end(&store, id)?;
            return Ok(None);
        }
        if now_second - seen >= PRECISION.as_secs() {
            store.execute(
                "UPDATE session SET seen = ?2 WHERE id = ?1",
                [id, now_second],
            )?;
        }
        let days = i64::from(self.rules.password_days);
        let expired = days > 0 && now_second - password_at >= days * 24 * 3600;
        let step = if account.second_factor && !code_given {
            Some(Step::Code)
        } else if account.temporary || expired {
            Some(Step::Password)
        } else if account.person.role.needs_second_factor() && !account.second_factor {
            Some(Step::SecondFactor)
        } else {
            None
        };
        Ok(Some(Session {
            csrf: csrf(secret),
            person: account.person,
            step,
            id,
        }))
    }

    /// Ends one session of `account`.
    pub fn end_session(&self, account: &str, id: i64) -> Result<(), PeopleError> {
        self.store().execute(
            "DELETE FROM session WHERE account = ?1 AND id = ?2",
            params![account, id],
        )?;
        Ok(())
    }

    /// The sessions of `account`, the newest first.
    pub fn sessions(&self, account: &str) -> Result<Vec<Open>, PeopleError> {
        let store = self.store();
        let mut select = store.prepare(
            "SELECT id, address, began, seen FROM session WHERE account = ?1 ORDER BY began DESC",
        )?;
        let time = |second| Timestamp::from_second(second).unwrap_or_default();
        let rows = select.query_map([account], |row| {
            Ok(Open {
                id: row.get(0)?,
                address: row.get(1)?,
                began: time(row.get(2)?),
                seen: time(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Drops the sessions that have run out.
    pub(super) fn drop_old_sessions(
        &self,
        store: &Connection,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let now = now.as_second();
        store.execute(
            "DELETE FROM session WHERE began < ?1 OR seen < ?2",
            [
                now - self.rules.session.as_secs(),
                now - self.rules.idle.as_secs(),
            ],
        )?;
        Ok(())
    }
}

/// Begins a session; gives its secret.
pub(super) fn begin(
    store: &Connection,
    account: &str,
    from: IpAddr,
    code_given: bool,
    now: Timestamp,
) -> rusqlite::Result<String> {
    let secret = token(SECRET);
    let now = now.as_second();
    store.execute(
        "INSERT INTO session (secret, account, address, began, seen, code_given)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
        params![
            hashed(&secret),
            account,
            from.to_canonical().to_string(),
            now,
            code_given
        ],
    )?;
    store.execute(
        "DELETE FROM session WHERE account = ?1 AND id NOT IN
           (SELECT id FROM session WHERE account = ?1 ORDER BY id DESC LIMIT ?2)",
        params![account, MOST],
    )?;
    Ok(secret)
}

/// Ends one.
pub(super) fn end(store: &Connection, id: i64) -> rusqlite::Result<()> {
    store.execute("DELETE FROM session WHERE id = ?1", [id])?;
    Ok(())
}

/// Ends every session of `account`.
pub(super) fn end_all(store: &Connection, account: &str) -> rusqlite::Result<()> {
    store.execute("DELETE FROM session WHERE account = ?1", [account])?;
    Ok(())
}

fn hashed(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// Made of the session's secret, so that it need not be kept and ends with it.
fn csrf(secret: &str) -> String {
    BASE32_NOPAD.encode(&blake3::derive_key(
        "schoolgate dashboard csrf",
        secret.as_bytes(),
    ))
}
