//! Who may look: the school's people, their roles, and how they prove who they
//! are.
//!
//! Everything is in one SQLite file, `people.db` in the state folder: pages and
//! the `user` verb use it side by side. What changes anything here writes it to
//! the record itself, so that no page can forget to. No password and no
//! session's secret is kept as it is, and no account has a password that it came
//! with.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::lists::durable;
use crate::record::{Deed, Record};
use crate::settings::Settings;

pub mod account;
pub mod change;
pub mod command;
mod lock_out;
mod own_password;
pub mod password;
pub mod recovery;
pub mod role;
pub mod second_factor;
mod second_person;
pub mod session;
mod set_up;
pub mod sign_in;

use role::Role;
pub use session::{Session, Step};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the account is called: `a.smith`.
    pub account: String,
    /// What the person is called.
    pub name: String,
    /// What they may see.
    pub role: Role,
}

/// What the school has chosen about signing in.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a session lasts without a click.
    pub idle: SignedDuration,
    /// How long it lasts in any case.
    pub session: SignedDuration,
    /// Days after which a password must be changed; 0: never.
    pub password_days: u32,
    /// The school's name, which no password may have in it.
    pub school: String,
}

/// Who does something to an account.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Their account, or `console`.
    pub account: String,
    /// From where, if over the network.
    pub from: Option<IpAddr>,
}

/// Why something did not come about.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// It is not allowed; says why.
    #[error("{0}")]
    Refused(String),
    /// The database cannot be used.
    #[error("people.db: {0}")]
    Store(#[from] rusqlite::Error),
    /// The system says so; also where the record cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A password could not be hashed.
    #[error("a password could not be hashed")]
    Hash,
}

/// The school's people.
pub struct People {
    store: Mutex<Connection>,
    record: Record,
    folder: PathBuf,
    rules: Rules,
    /// Once there is an account, there always is one: none is ever removed.
    is_set_up: AtomicBool,
}

impl Rules {
    /// As the settings have them.
    #[must_use]
    pub fn new(settings: &Settings, school: &str) -> Self {
        let dashboard = &settings.dashboard;
        Self {
            idle: SignedDuration::from_mins(dashboard.idle_minutes.into()),
            session: SignedDuration::from_hours(dashboard.session_hours.into()),
            password_days: dashboard.password_days,
            school: school.to_owned(),
        }
    }
}

impl Actor {
    /// Somebody at the machine itself.
    #[must_use]
    pub fn console() -> Self {
        Self {
            account: "console".to_owned(),
            from: None,
        }
    }

    /// Somebody with an account, or who is just getting one.
    #[must_use]
    pub fn new(account: &str, from: IpAddr) -> Self {
        Self {
            account: account.to_owned(),
            from: Some(from),
        }
    }

    fn deed(&self, what: &str) -> Deed {
        let deed = Deed::new(&self.account, what);
        match &self.from {
            Some(address) => deed.from(&address.to_canonical()),
            None => deed,
        }
    }
}

impl PeopleError {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

impl People {
    /// Opens the accounts below `state_dir`.
    pub fn open(state_dir: &Path, rules: Rules) -> Result<Self, PeopleError> {
        durable::create_folder(state_dir)?;
        let path = state_dir.join("people.db");
        if !path.exists() {
            // SQLite would make it readable by all.
            durable::create(&path)?;
        }
        let store = Connection::open(&path)?;
        store.busy_timeout(Duration::from_secs(5))?;
        store.pragma_update(None, "journal_mode", "wal")?;
        store.pragma_update(None, "synchronous", "full")?;
        store.pragma_update(None, "foreign_keys", true)?;
        let people = Self {
            store: Mutex::new(store),
            record: Record::of_access(state_dir),
            folder: state_dir.to_owned(),
            rules,
            is_set_up: AtomicBool::new(false),
        };
        people.make_tables()?;
        Ok(people)
    }

    fn make_tables(&self) -> Result<(), PeopleError> {
        let mut store = self.store();
        let store = store.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let version: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            for schema in [account::SCHEMA, session::SCHEMA, lock_out::SCHEMA] {
                store.execute_batch(schema)?;
            }
            store.pragma_update(None, "user_version", 1)?;
        }
        store.commit()?;
        Ok(())
    }

    /// Whether anybody has an account: until then there is nothing but the page
    /// on which the first one is made.
    pub fn is_set_up(&self) -> Result<bool, PeopleError> {
        if self.is_set_up.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let found: bool =
            self.store()
                .query_row("SELECT EXISTS (SELECT 1 FROM account)", [], |row| {
                    row.get(0)
                })?;
        self.is_set_up.store(found, Ordering::Relaxed);
        Ok(found)
    }

    fn store(&self) -> MutexGuard<'_, Connection> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, deed: Deed, now: Timestamp) -> Result<(), PeopleError> {
        self.record.add(deed, now)?;
        Ok(())
    }
}

/// So many random bytes, in letters that can be read out.
fn token(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    rand::fill(&mut random);
    BASE32_NOPAD.encode(&random)
}
