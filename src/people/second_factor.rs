//! The second factor: a code of six digits that an app on a telephone makes of a
//! shared secret and the time (TOTP, RFC 6238).
//!
//! SHA-1, six digits and thirty seconds, because that is what every app can do.
//! A code holds once: what was accepted, and all before it, is not accepted again
//! (RFC 6238 section 5.2).

use std::net::IpAddr;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use totp_rs::{Builder, Secret, Totp};

use super::lock_out::Attempt;
use super::sign_in::Entry;
use super::{Actor, People, PeopleError, Step, recovery, session};

/// Bytes of a secret (RFC 4226 section 4 recommends 160 bits).
const SECRET: usize = 20;
/// Whose codes they are, as the app shows it.
const ISSUER: &str = "Schoolgate";

/// What an app is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// To be typed: base32.
    pub secret: String,
    /// The same as the square picture has it.
    pub uri: String,
}

/// A second factor has been set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The secret of the session that goes on.
    pub session: String,
    /// To be printed, and shown this once.
    pub recovery_codes: Vec<String>,
}

impl People {
    /// A secret for whoever has this session, the same until it is confirmed.
    pub fn offer(&self, secret: &str, now: Timestamp) -> Result<Offer, PeopleError> {
        let session = self
            .session(secret, now)?
            .filter(|session| matches!(session.step, None | Some(Step::SecondFactor)))
            .ok_or_else(|| PeopleError::refused("Please sign in again."))?;
        let store = self.store();
        let mut fresh = [0_u8; SECRET];
        rand::fill(&mut fresh);
        let offered: Vec<u8> = store.query_row(
            "UPDATE session SET offered = coalesce(offered, ?2) WHERE id = ?1 RETURNING offered",
            params![session.id, fresh],
            |row| row.get(0),
        )?;
        let text = BASE32_NOPAD.encode(&offered);
        let account = &session.person.account;
        Ok(Offer {
            uri: format!("otpauth://totp/{ISSUER}:{account}?secret={text}&issuer={ISSUER}"),
            secret: text,
        })
    }

    /// Takes the offered secret into use, if `code` was made of it. Whoever has
    /// a second factor already gives their `password` too.
    pub fn enrol(
        &self,
        secret: &str,
        code: &str,
        password: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Result<Enrolled, Entry>, PeopleError> {
        let session = self
            .session(secret, now)?
            .filter(|session| matches!(session.step, None | Some(Step::SecondFactor)))
            .ok_or_else(|| PeopleError::refused("Please sign in again."))?;
        let account = session.person.account;
        let attempt = Attempt {
            account: &account,
            from,
        };
        let has_one = self.account(&account)?.is_some_and(|a| a.second_factor);
        let offered: Option<Vec<u8>> = self.store().query_row(
            "SELECT offered FROM session WHERE id = ?1",
            [session.id],
            |row| row.get(0),
        )?;
        let offered = offered.ok_or_else(|| PeopleError::refused("Load the page again."))?;
        let mut step = None;
        if let Some(entry) = self.guess(attempt, "code_failed", now, || {
            step = matching_step(&offered, code, now);
            Ok(step.is_some() && (!has_one || self.is_password(&account, password)?))
        })? {
            return Ok(Err(entry));
        }
        let mut store = self.store();
        let store = store.transaction()?;
        attempt.was_right(&store, now)?;
        store.execute(
            "UPDATE account SET secret = ?2, secret_step = ?3 WHERE account = ?1",
            params![account, offered, step],
        )?;
        let recovery_codes = recovery::renew(&store, &account)?;
        session::end_all(&store, &account)?;
        let session = session::begin(&store, &account, from, true, now)?;
        store.commit()?;
        let deed = Actor::new(&account, from).deed("second_factor_set_up");
        self.note(deed, now)?;
        Ok(Ok(Enrolled {
            session,
            recovery_codes,
        }))
    }
}

/// Whether `code` is one of the account's now, and has not been used.
pub(super) fn accept(
    store: &Connection,
    account: &str,
    code: &str,
    now: Timestamp,
) -> Result<bool, PeopleError> {
    let secret: Option<Option<Vec<u8>>> = store
        .query_row(
            "SELECT secret FROM account WHERE account = ?1",
            [account],
            |row| row.get(0),
        )
        .optional()?;
    let step = secret
        .flatten()
        .and_then(|secret| matching_step(&secret, code, now));
    let Some(step) = step else {
        return Ok(false);
    };
    let used = store.execute(
        "UPDATE account SET secret_step = ?2 WHERE account = ?1 AND secret_step < ?2",
        params![account, step],
    )?;
    Ok(used == 1)
}

/// The step of time in which `code` is right, half a minute either way.
fn matching_step(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let now = u64::try_from(now.as_second()).ok()?;
    i64::try_from(totp(secret)?.check(&code, now)?).ok()
}

fn totp(secret: &[u8]) -> Option<Totp> {
    let builder = Builder::new().with_secret(Secret::from(secret));
    builder.with_skew(1).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, its last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let at = |offset: i64| Timestamp::from_second(second + offset).unwrap();
            assert_eq!(matching_step(secret, code, at(0)), Some(second / 30));
            assert_eq!(matching_step(secret, code, at(30)), Some(second / 30));
            assert_eq!(matching_step(secret, code, at(90)), None);
            assert_eq!(matching_step(secret, "", at(0)), None);
            assert_eq!(matching_step(secret, "+87082", at(0)), None);
        }
    }
}
