//! Signing in: a password, then a code where the account has a second factor.
//!
//! A guess counts against whoever makes it (`lock_out.rs`) before it is looked
//! at, and is taken back when the person is wholly in: a right password alone
//! wins no new guesses at the code. An account that does not exist costs the same
//! time as one that does. Every try that is looked at is in the record.

use std::net::IpAddr;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::account::State;
use super::lock_out::{self, Attempt, Turn};
use super::{
    Actor, People, PeopleError, Session, Step, account, password, recovery, second_factor, session,
};

/// Longest text that is looked up as an account.
const LONGEST: usize = 64;
/// What a password is compared to where there is no account.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| password::hash(&super::token(16)).unwrap_or_default());

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It was right; this is the secret of the session that has begun.
    Welcome(String),
    /// It was not.
    Wrong,
    /// It was not looked at, and will not be for so long.
    Wait(SignedDuration),
    /// It was right, but the account cannot be used; says why.
    Closed(&'static str),
}

impl People {
    /// Tries a password.
    pub fn sign_in(
        &self,
        account: &str,
        password: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Entry, PeopleError> {
        let account = account.trim().to_lowercase();
        if account.len() > LONGEST || password.len() > password::MOST {
            return Ok(Entry::Wrong);
        }
        {
            let store = self.store();
            lock_out::forget(&store, now)?;
            self.drop_old_sessions(&store, now)?;
        }
        let attempt = Attempt {
            account: &account,
            from,
        };
        if let Some(entry) = self.guess(attempt, "sign_in_failed", now, || {
            self.is_password(&account, password)
        })? {
            return Ok(entry);
        }
        let store = self.store();
        let found = account::named(&store, &account)?;
        if !found.is_usable(now) {
            drop(store);
            let deed = Actor::new(&account, from).deed("sign_in_refused");
            self.note(deed.about("state", found.state.id()), now)?;
            return Ok(Entry::Closed(match found.state {
                State::Waiting => "This account waits until a second person has confirmed it.",
                State::Disabled => "This account has been closed.",
                State::Active => "The time for which this account was made is over.",
            }));
        }
        let secret = session::begin(&store, &account, from, false, now)?;
        if found.second_factor {
            return Ok(Entry::Welcome(secret));
        }
        attempt.was_right(&store, now)?;
        drop(store);
        self.is_in(&account, from, now)?;
        Ok(Entry::Welcome(secret))
    }

    /// Tries a code of the second factor, or one of the printed ones.
    pub fn give_code(
        &self,
        secret: &str,
        code: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Entry, PeopleError> {
        let waiting = self
            .session(secret, now)?
            .filter(|session| session.step == Some(Step::Code));
        let Some(session) = waiting else {
            return Err(PeopleError::refused("Please sign in again."));
        };
        let account = session.person.account;
        let attempt = Attempt {
            account: &account,
            from,
        };
        let mut left = None;
        if let Some(entry) = self.guess(attempt, "code_failed", now, || {
            let store = self.store();
            if second_factor::accept(&store, &account, code, now)? {
                return Ok(true);
            }
            left = recovery::accept(&store, &account, code, now)?;
            Ok(left.is_some())
        })? {
            return Ok(entry);
        }
        let store = self.store();
        attempt.was_right(&store, now)?;
        // Another secret than the one that was only half in.
        session::end(&store, session.id)?;
        let secret = session::begin(&store, &account, from, true, now)?;
        drop(store);
        if let Some(left) = left {
            let deed = Actor::new(&account, from).deed("recovery_code_used");
            self.note(deed.about("left", left), now)?;
        }
        self.is_in(&account, from, now)?;
        Ok(Entry::Welcome(secret))
    }

    /// Ends a session.
    pub fn sign_out(
        &self,
        session: &Session,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(), PeopleError> {
        session::end(&self.store(), session.id)?;
        let deed = Actor::new(&session.person.account, from).deed("signed_out");
        self.note(deed, now)
    }

    /// Has a guess looked at by `is_right`; gives what to answer unless it was.
    pub(super) fn guess(
        &self,
        attempt: Attempt<'_>,
        failed: &'static str,
        now: Timestamp,
        is_right: impl FnOnce() -> Result<bool, PeopleError>,
    ) -> Result<Option<Entry>, PeopleError> {
        let turn = attempt.begin(&self.store(), now)?;
        let (last, refused) = match turn {
            Turn::Wait(left) => return Ok(Some(Entry::Wait(left))),
            Turn::Try { last, refused } => (last, refused),
        };
        if is_right()? {
            return Ok(None);
        }
        let is_one = account::one(&self.store(), attempt.account)?.is_some();
        // What was typed may be a password: only names that exist are written.
        let who = if is_one { attempt.account } else { "unknown" };
        let actor = Actor::new(who, attempt.from);
        let mut deed = actor.deed(failed);
        if refused > 0 {
            deed = deed.about("refused_before", refused);
        }
        self.note(deed, now)?;
        if last {
            self.note(actor.deed("locked_out"), now)?;
        }
        Ok(Some(Entry::Wrong))
    }

    /// Whether this is the account's password. Takes its time either way.
    pub(crate) fn is_password(&self, account: &str, password: &str) -> Result<bool, PeopleError> {
        let hash: Option<String> = self
            .store()
            .query_row(
                "SELECT password FROM account WHERE account = ?1",
                [account],
                |row| row.get(0),
            )
            .optional()?;
        let fits = password::is_of(hash.as_ref().unwrap_or(&NOBODY), password);
        Ok(fits && hash.is_some())
    }

    fn is_in(&self, account: &str, from: IpAddr, now: Timestamp) -> Result<(), PeopleError> {
        self.store().execute(
            "UPDATE account SET last_sign_in = ?2 WHERE account = ?1",
            params![account, now.as_second()],
        )?;
        self.note(Actor::new(account, from).deed("signed_in"), now)
    }
}
