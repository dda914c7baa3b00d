//! The accounts: what is kept of each, and reading them.
//!
//! No account is ever removed: the record speaks of it. Whoever leaves is
//! disabled, or their account had an end from the beginning.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::role::Role;
use super::{People, PeopleError, Person};

pub(super) const SCHEMA: &str = "
    CREATE TABLE account (
        account TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL,
        role TEXT NOT NULL, state TEXT NOT NULL, ends INTEGER,
        made INTEGER NOT NULL, made_by TEXT NOT NULL,
        password TEXT NOT NULL, password_at INTEGER NOT NULL, temporary INTEGER NOT NULL,
        secret BLOB, secret_step INTEGER NOT NULL DEFAULT 0, last_sign_in INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE former_password (
        account TEXT NOT NULL REFERENCES account, password TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE recovery_code (
        account TEXT NOT NULL REFERENCES account, code BLOB NOT NULL, used INTEGER
    ) STRICT;
    CREATE TABLE waiting (
        account TEXT PRIMARY KEY REFERENCES account, what TEXT NOT NULL, role TEXT NOT NULL,
        asked_by TEXT NOT NULL, at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// Longest name of an account.
const LONGEST: usize = 40;
/// What the record calls those who have no account.
const RESERVED: [&str; 3] = ["console", "schoolgate", "unknown"];

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not before another person has said so.
    Waiting,
    /// It can.
    Active,
    /// No longer.
    Disabled,
}

impl State {
    /// As it is kept and written.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// What cannot be read is disabled.
    fn of(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "active" => Self::Active,
            _ => Self::Disabled,
        }
    }
}

/// Something that another person must agree to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A new account.
    New,
    /// Another role.
    Role,
    /// A new password, and no second factor until there is a new one.
    Reset,
}

impl What {
    /// As it is kept and written.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::New => "new_account",
            Self::Role => "role",
            Self::Reset => "reset",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::New, Self::Role, Self::Reset]
            .into_iter()
            .find(|what| what.id() == word)
    }
}

/// A change that waits for another person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What is to happen.
    pub what: What,
    /// The role it is about.
    pub role: Role,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub at: Timestamp,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose, and what they may see.
    pub person: Person,
    /// Where they are written to; may be empty. Two accounts with the same one
    /// are the same person's.
    pub email: String,
    /// Whether it can be used.
    pub state: State,
    /// When its rights end, if they do.
    pub ends: Option<Timestamp>,
    /// When it was made.
    pub made: Timestamp,
    /// By whom.
    pub made_by: String,
    /// Whether its password was made by somebody else.
    pub temporary: bool,
    /// Whether it has a second factor.
    pub second_factor: bool,
    /// When somebody last signed in with it.
    pub last_sign_in: Option<Timestamp>,
    /// What of it waits for another person.
    pub waiting: Option<Waiting>,
}

impl Account {
    /// Whether somebody can sign in with it at `now`.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.state == State::Active && self.ends.is_none_or(|ends| now < ends)
    }

    /// Its state in a word, as lists show it.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> &'static str {
        match self.state {
            State::Active if !self.is_usable(now) => "ended",
            State::Active if self.temporary => "invited",
            other => other.id(),
        }
    }

    /// Whether it is the same person's as `other`: by its name or its e-mail.
    #[must_use]
    pub fn is_same_person(&self, other: &Self) -> bool {
        let same_email = !self.email.is_empty() && self.email == other.email;
        same_email || self.person.account == other.person.account
    }

    /// Whether this person can be the second one of a change.
    #[must_use]
    pub fn can_confirm(&self, now: Timestamp) -> bool {
        matches!(self.person.role, Role::Head | Role::Dsl) && self.is_usable(now)
    }
}

const SELECT: &str = "SELECT a.account, a.name, a.email, a.role, a.state, a.ends, a.made,
        a.made_by, a.temporary, a.secret IS NOT NULL, a.last_sign_in,
        w.what, w.role, w.asked_by, w.at
    FROM account a LEFT JOIN waiting w USING (account)";

impl People {
    /// All of them, by name.
    pub fn accounts(&self) -> Result<Vec<Account>, PeopleError> {
        all(&self.store())
    }

    /// The one of this name.
    pub fn account(&self, account: &str) -> Result<Option<Account>, PeopleError> {
        one(&self.store(), account)
    }
}

pub(super) fn all(store: &Connection) -> Result<Vec<Account>, PeopleError> {
    let mut select = store.prepare(&format!("{SELECT} ORDER BY a.name, a.account"))?;
    let rows = select.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn one(store: &Connection, account: &str) -> Result<Option<Account>, PeopleError> {
    let select = format!("{SELECT} WHERE a.account = ?1");
    Ok(store.query_row(&select, [account], read).optional()?)
}

/// As [`one`], for somebody who says that there is one.
pub(super) fn named(store: &Connection, account: &str) -> Result<Account, PeopleError> {
    one(store, account)?.ok_or_else(|| PeopleError::refused("There is no such account."))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Account> {
    let time = |at: usize| -> rusqlite::Result<Option<Timestamp>> {
        let second: Option<i64> = row.get(at)?;
        Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
    };
    let state: String = row.get(4)?;
    let what: Option<String> = row.get(11)?;
    let waiting = match what.as_deref().and_then(What::of) {
        None => None,
        Some(what) => Some(Waiting {
            what,
            role: role(row, 12)?,
            asked_by: row.get(13)?,
            at: time(14)?.unwrap_or_default(),
        }),
    };
    Ok(Account {
        person: Person {
            account: row.get(0)?,
            name: row.get(1)?,
            role: role(row, 3)?,
        },
        email: row.get(2)?,
        state: State::of(&state),
        ends: time(5)?,
        made: time(6)?.unwrap_or_default(),
        made_by: row.get(7)?,
        temporary: row.get(8)?,
        second_factor: row.get(9)?,
        last_sign_in: time(10)?,
        waiting,
    })
}

/// A role that is none is an error: nobody is to have another's rights by it.
pub(super) fn role(row: &Row<'_>, at: usize) -> rusqlite::Result<Role> {
    let word: String = row.get(at)?;
    let kind = rusqlite::types::Type::Text;
    word.parse()
        .map_err(|why: String| rusqlite::Error::FromSqlConversionFailure(at, kind, why.into()))
}

/// Reads the name of an account: `a.smith`.
pub fn account_name(text: &str) -> Result<String, PeopleError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts || !text.chars().all(is_plain) || text.len() > LONGEST {
        return Err(PeopleError::refused(
            "An account is called by small letters, digits, dots and hyphens, such as a.smith.",
        ));
    }
    if RESERVED.contains(&text) {
        return Err(PeopleError::refused("That name is used by the appliance."));
    }
    Ok(text.to_owned())
}

/// What the account of somebody with this name would be called: `a.smith` for
/// Alice Smith.
#[must_use]
pub fn name_for(person: &str) -> String {
    let plain = |word: &str| -> String {
        let letters = word.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let words: Vec<String> = person
        .split_whitespace()
        .map(plain)
        .filter(|word| !word.is_empty())
        .collect();
    let name = match (words.first(), words.last()) {
        (Some(first), Some(last)) if words.len() > 1 => {
            let initial = first.chars().next().map(String::from).unwrap_or_default();
            format!("{initial}.{last}")
        }
        (Some(only), _) => only.clone(),
        _ => "person".to_owned(),
    };
    name.chars().take(LONGEST - 4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_accounts_are_plain() {
        for good in ["a", "a.smith", "a.smith2", "it-support_1"] {
            assert_eq!(account_name(good).unwrap(), good);
        }
        let long = "a".repeat(41);
        for bad in [
            "", ".a", "A.Smith", "a smith", "a/b", "é", "console", "<b>", &long,
        ] {
            assert!(account_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_account_is_called_after_its_person() {
        for (person, account) in [
            ("Alice Smith", "a.smith"),
            ("Zoë van der Berg", "z.berg"),
            ("Head", "head"),
            ("Ms O'Brien", "m.obrien"),
            ("校長", "person"),
            ("  ", "person"),
        ] {
            assert_eq!(name_for(person), account);
            assert!(account_name(account).is_ok());
        }
    }
}
