//! Changing one's own password, and proving that one knows it.
//!
//! Who does it proves that they know the old one, for a session may have been
//! left open. The new one is none of the last half year's, and every other
//! session of the account ends.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::lock_out::Attempt;
use super::sign_in::Entry;
use super::{Actor, People, PeopleError, Step, password, session};

/// For so long a password may not come back: six months.
const BARRED: i64 = 183 * 24 * 3600;
/// So many of them are kept at most: each costs a comparison.
const KEPT: i64 = 12;

impl People {
    /// Changes the password of whoever has this session; gives the secret of the
    /// one that goes on.
    pub fn change_password(
        &self,
        secret: &str,
        old: &str,
        new: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Entry, PeopleError> {
        let session = self
            .session(secret, now)?
            .filter(|session| session.step != Some(Step::Code))
            .ok_or_else(|| PeopleError::refused("Please sign in again."))?;
        let person = session.person;
        let account = person.account.as_str();
        self.check_password(new, account, &person.name)?;
        let attempt = Attempt { account, from };
        if let Some(entry) = self.guess(attempt, "password_failed", now, || {
            self.is_password(account, old)
        })? {
            return Ok(entry);
        }
        let former = former(&self.store(), account, now)?;
        if former.iter().any(|hash| password::is_of(hash, new)) {
            attempt.was_right(&self.store(), now)?;
            return Err(PeopleError::refused(
                "You have had that password within the last six months. Choose another.",
            ));
        }
        let hash = password::hash(new).ok_or(PeopleError::Hash)?;
        let mut store = self.store();
        let store = store.transaction()?;
        attempt.was_right(&store, now)?;
        replace(&store, account, &hash, now)?;
        // A second factor that is there was given: else there is no session.
        session::end_all(&store, account)?;
        let secret = session::begin(&store, account, from, true, now)?;
        store.commit()?;
        self.note(Actor::new(account, from).deed("password_changed"), now)?;
        Ok(Entry::Welcome(secret))
    }
}

impl People {
    /// Whether whoever is at `from` knows the password of `account`; what to
    /// answer unless they do. Guesses count as those of signing in.
    pub fn proves(
        &self,
        account: &str,
        password: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Option<Entry>, PeopleError> {
        let attempt = Attempt { account, from };
        let wrong = self.guess(attempt, "password_failed", now, || {
            self.is_password(account, password)
        })?;
        if wrong.is_none() {
            attempt.was_right(&self.store(), now)?;
        }
        Ok(wrong)
    }

    /// Since when an account has had its password.
    pub fn password_since(&self, account: &str) -> Result<Option<Timestamp>, PeopleError> {
        let found: Option<i64> = self
            .store()
            .query_row(
                "SELECT password_at FROM account WHERE account = ?1",
                [account],
                |row| row.get(0),
            )
            .optional()?;
        Ok(found.and_then(|second| Timestamp::from_second(second).ok()))
    }
}

/// The hashes that a new password may not have: the one in use too.
fn former(store: &Connection, account: &str, now: Timestamp) -> rusqlite::Result<Vec<String>> {
    let mut select = store.prepare(
        "SELECT password FROM account WHERE account = ?1 UNION ALL
         SELECT password FROM former_password WHERE account = ?1 AND at >= ?2",
    )?;
    let rows = select.query_map(params![account, now.as_second() - BARRED], |row| row.get(0))?;
    rows.collect()
}

fn replace(store: &Connection, account: &str, hash: &str, now: Timestamp) -> rusqlite::Result<()> {
    store.execute(
        "INSERT INTO former_password SELECT account, password, ?2 FROM account WHERE account = ?1",
        params![account, now.as_second()],
    )?;
    store.execute(
        "DELETE FROM former_password WHERE account = ?1 AND rowid NOT IN
           (SELECT rowid FROM former_password WHERE account = ?1 ORDER BY at DESC LIMIT ?2)",
        params![account, KEPT],
    )?;
    store.execute(
        "UPDATE account SET password = ?2, password_at = ?3, temporary = 0 WHERE account = ?1",
        params![account, hash, now.as_second()],
    )?;
    Ok(())
}
