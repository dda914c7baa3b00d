//! Codes to print, for whoever has lost their telephone.
//!
//! Each holds once, and its use is in the record under a word of its own, so
//! that an alert can tell of it.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::lock_out::Attempt;
use super::sign_in::Entry;
use super::{Actor, People, PeopleError, token};

/// How many there are, and their bytes (80 bits).
const CODES: usize = 10;
const BYTES: usize = 10;

impl People {
    /// New codes instead of the old, for whoever knows their password.
    pub fn renew_recovery_codes(
        &self,
        account: &str,
        password: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Result<Vec<String>, Entry>, PeopleError> {
        let attempt = Attempt { account, from };
        if let Some(entry) = self.guess(attempt, "password_failed", now, || {
            self.is_password(account, password)
        })? {
            return Ok(Err(entry));
        }
        let mut store = self.store();
        let store = store.transaction()?;
        attempt.was_right(&store, now)?;
        let codes = renew(&store, account)?;
        store.commit()?;
        self.note(
            Actor::new(account, from).deed("recovery_codes_renewed"),
            now,
        )?;
        Ok(Ok(codes))
    }

    /// How many of an account's codes are unused.
    pub fn recovery_codes_left(&self, account: &str) -> Result<u32, PeopleError> {
        Ok(left(&self.store(), account)?)
    }
}

/// New codes instead of the old.
pub(super) fn renew(store: &Connection, account: &str) -> rusqlite::Result<Vec<String>> {
    store.execute("DELETE FROM recovery_code WHERE account = ?1", [account])?;
    let codes: Vec<String> = (0..CODES).map(|_| readable(&token(BYTES))).collect();
    for code in &codes {
        store.execute(
            "INSERT INTO recovery_code (account, code) VALUES (?1, ?2)",
            params![account, hashed(account, code)],
        )?;
    }
    Ok(codes)
}

/// Uses a code up; gives how many are left, nothing if it was none.
pub(super) fn accept(
    store: &Connection,
    account: &str,
    code: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<u32>> {
    let used = store.execute(
        "UPDATE recovery_code SET used = ?3 WHERE account = ?1 AND code = ?2 AND used IS NULL",
        params![account, hashed(account, code), now.as_second()],
    )?;
    if used == 0 {
        return Ok(None);
    }
    left(store, account).map(Some)
}

fn left(store: &Connection, account: &str) -> rusqlite::Result<u32> {
    store.query_row(
        "SELECT count(*) FROM recovery_code WHERE account = ?1 AND used IS NULL",
        [account],
        |row| row.get(0),
    )
}

/// As it was printed, however it is typed.
fn hashed(account: &str, code: &str) -> [u8; 32] {
    let plain = code.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = plain.take(64).collect::<String>().to_ascii_uppercase();
    *blake3::hash(format!("{account} {plain}").as_bytes()).as_bytes()
}

fn readable(token: &str) -> String {
    match token.split_at_checked(token.len() / 2) {
        Some((one, other)) => format!("{one}-{other}"),
        None => token.to_owned(),
    }
}
