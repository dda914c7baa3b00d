//! How long somebody waits who has guessed wrong.
//!
//! Guesses are counted for three things: an account from one address, an address
//! whatever the account, and an account whatever the address. After a few, each
//! further guess doubles a wait, up to a quarter of an hour; a refused guess is
//! not looked at, costs nothing and prolongs nothing, so that nobody can be kept
//! out for ever. The last of the three does not hold where the person has signed
//! in before: a pupil who guesses at the safeguarding lead's account does not
//! lock her out of her own desk.
//!
//! It must not tell an account that exists from one that does not.

use std::net::{IpAddr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

/// Wrong guesses before the first wait: of one account from one address.
const FREE_PAIR: i64 = 5;
/// Of anything from one address, and of one account from anywhere.
const FREE: i64 = 20;
/// The first wait; each after it is twice as long.
const FIRST: i64 = 30;
/// The longest.
const LONGEST: i64 = 15 * 60;
/// After this long without a guess it is forgotten.
const FORGOTTEN: i64 = 24 * 3600;
/// For so long an address is known for an account's own.
const KNOWN: i64 = 60 * 24 * 3600;
/// So many things at most are counted; beyond, those that are longest ago go.
const MOST: i64 = 20_000;

pub(super) const SCHEMA: &str = "
    CREATE TABLE failure (
        what TEXT PRIMARY KEY, count INTEGER NOT NULL, at INTEGER NOT NULL,
        refused INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE known_address (
        account TEXT NOT NULL, address TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (account, address)
    ) STRICT, WITHOUT ROWID;";

/// Somebody who tries to sign in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) account: &'a str,
    pub(super) from: IpAddr,
}

/// Whether a guess is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is, and counts as wrong until it is told to be right. `last` if the
    /// next one will not be; `refused` so many were not looked at before it.
    Try { last: bool, refused: i64 },
    /// It is not, for so long.
    Wait(SignedDuration),
}

impl Attempt<'_> {
    /// What is counted, with how many are free. Whoever has a network has all
    /// its addresses (a /64 of IPv6).
    fn keys(&self) -> [(String, i64); 3] {
        let from = source(self.from);
        let account = key(self.account);
        [
            (format!("{account} {from}"), FREE_PAIR),
            (from, FREE),
            (account, FREE),
        ]
    }

    /// Takes a turn.
    pub(super) fn begin(&self, store: &Connection, now: Timestamp) -> rusqlite::Result<Turn> {
        let now = now.as_second();
        let keys = self.keys();
        let [pair, address, account] = &keys;
        let is_known = self.is_known(store, now)?;
        let counted = [Some(pair), Some(address), (!is_known).then_some(account)];
        let (mut wait, mut last) = (0, false);
        for (what, free) in counted.into_iter().flatten() {
            let (count, at) = count(store, what, now)?;
            wait = wait.max(at + pause(count, *free) - now);
            last |= pause(count + 1, *free) > 0;
        }
        if wait > 0 {
            store.execute(
                "UPDATE failure SET refused = refused + 1 WHERE what = ?1",
                [&pair.0],
            )?;
            return Ok(Turn::Wait(SignedDuration::from_secs(wait)));
        }
        let mut refused = 0;
        for (what, _) in &keys {
            let (count, _) = count(store, what, now)?;
            let before = store.query_row(
                "INSERT INTO failure (what, count, at) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET count = ?2, at = ?3 RETURNING refused",
                params![what, count + 1, now],
                |row| row.get::<_, i64>(0),
            )?;
            refused = refused.max(before);
        }
        store.execute("UPDATE failure SET refused = 0 WHERE what = ?1", [&pair.0])?;
        Ok(Turn::Try { last, refused })
    }

    /// The guess was right: whoever knows the password is not guessing.
    pub(super) fn was_right(&self, store: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let [(pair, _), (address, _), (account, _)] = self.keys();
        store.execute(
            "DELETE FROM failure WHERE what IN (?1, ?2)",
            [&pair, &account],
        )?;
        // Others at that address may still be guessing: only this one is taken back.
        store.execute(
            "UPDATE failure SET count = max(count - 1, 0) WHERE what = ?1",
            [&address],
        )?;
        store.execute(
            "INSERT INTO known_address VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET at = excluded.at",
            params![self.account, address, now.as_second()],
        )?;
        Ok(())
    }

    fn is_known(&self, store: &Connection, now: i64) -> rusqlite::Result<bool> {
        let at: Option<i64> = store
            .query_row(
                "SELECT at FROM known_address WHERE account = ?1 AND address = ?2",
                params![self.account, source(self.from)],
                |row| row.get(0),
            )
            .optional()?;
        Ok(at.is_some_and(|at| now - at < KNOWN))
    }
}

/// Drops what no longer counts.
pub(super) fn forget(store: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let now = now.as_second();
    store.execute("DELETE FROM failure WHERE at < ?1", [now - FORGOTTEN])?;
    store.execute("DELETE FROM known_address WHERE at < ?1", [now - KNOWN])?;
    store.execute(
        "DELETE FROM failure WHERE what NOT IN
           (SELECT what FROM failure ORDER BY at DESC LIMIT ?1)",
        [MOST],
    )?;
    Ok(())
}

/// Forgets every guess at `account`.
pub(super) fn clear(store: &Connection, account: &str) -> rusqlite::Result<()> {
    store.execute(
        "DELETE FROM failure WHERE what = ?1 OR substr(what, 1, 33) = ?1 || ' '",
        [key(account)],
    )?;
    Ok(())
}

/// Somebody may have typed a password where the account goes.
fn key(account: &str) -> String {
    let mut hash = blake3::hash(account.as_bytes()).to_hex().to_string();
    hash.truncate(32);
    hash
}

fn count(store: &Connection, what: &str, now: i64) -> rusqlite::Result<(i64, i64)> {
    let found = store
        .query_row(
            "SELECT count, at FROM failure WHERE what = ?1",
            [what],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    // A clock that was set back must not make a wait of years.
    let fresh = |(_, at): &(i64, i64)| (0..FORGOTTEN).contains(&(now - at));
    Ok(found.filter(fresh).unwrap_or((0, 0)))
}

/// The wait after so many wrong guesses.
fn pause(count: i64, free: i64) -> i64 {
    match count - free {
        ..0 => 0,
        over => FIRST.saturating_mul(1 << over.min(10)).min(LONGEST),
    }
}

fn source(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Connection {
        let store = Connection::open_in_memory().unwrap();
        store.execute_batch(SCHEMA).unwrap();
        store
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn attempt<'a>(account: &'a str, from: &str) -> Attempt<'a> {
        Attempt {
            account,
            from: from.parse().unwrap(),
        }
    }

    #[test]
    fn a_thousand_guesses_are_few_looks_and_no_lock_for_ever() {
        let store = store();
        let pupil = attempt("d.lead", "10.0.0.66");
        let looked = (0..1000).filter(|second| {
            let turn = pupil.begin(&store, at(*second)).unwrap();
            matches!(turn, Turn::Try { .. })
        });
        // 5, then after 30, 60, 120, 240 and 480 seconds.
        assert_eq!(looked.count(), 10);
        // A day of it: one look each quarter of an hour.
        let day = (1..96).map(|quarter| 1000 + quarter * 900);
        for second in day {
            let turn = pupil.begin(&store, at(second)).unwrap();
            assert!(matches!(turn, Turn::Try { last: true, .. }), "{turn:?}");
            let turn = pupil.begin(&store, at(second + 1)).unwrap();
            assert_eq!(turn, Turn::Wait(SignedDuration::from_secs(899)));
        }
    }

    #[test]
    fn others_guessing_does_not_lock_out_whoever_has_been_here_before() {
        let store = store();
        let (desk, new) = (attempt("d.lead", "10.0.0.9"), attempt("d.lead", "10.0.0.8"));
        desk.begin(&store, at(0)).unwrap();
        desk.was_right(&store, at(0)).unwrap();
        for pupil in 0..200 {
            let from = format!("10.1.0.{pupil}");
            let _ = attempt("d.lead", &from).begin(&store, at(1)).unwrap();
        }
        assert!(matches!(new.begin(&store, at(2)).unwrap(), Turn::Wait(_)));
        assert!(matches!(
            desk.begin(&store, at(2)).unwrap(),
            Turn::Try { .. }
        ));
    }

    #[test]
    fn one_address_cannot_go_through_all_accounts() {
        let store = store();
        let looked = (0..100).filter(|guess| {
            let account = format!("account{guess}");
            let turn = attempt(&account, "2001:db8::1").begin(&store, at(0));
            matches!(turn.unwrap(), Turn::Try { .. })
        });
        assert_eq!(looked.count(), 20);
        // Nor by another address of its own network.
        let next = attempt("x", "2001:db8::ffff:2").begin(&store, at(1));
        assert!(matches!(next.unwrap(), Turn::Wait(_)));
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let store = store();
        let who = attempt("d.lead", "10.0.0.9");
        for _ in 0..20 {
            who.begin(&store, at(86_400 * 365)).unwrap();
        }
        assert!(matches!(
            who.begin(&store, at(0)).unwrap(),
            Turn::Try { .. }
        ));
    }
}
