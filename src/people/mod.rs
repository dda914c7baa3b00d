//! Who may look: the school's people, their roles, and how they prove who they
//! are.

use std::io;
use std::path::Path;

use jiff::Timestamp;

pub mod role;

use role::Role;

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

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub person: Person,
    /// What every form of this session carries, and no other site can know.
    pub csrf: String,
}

/// The school's people.
pub struct People {}

impl People {
    /// Opens the accounts below `state_dir`.
    pub fn open(_state_dir: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Whose session the secret of a cookie is, if it still holds.
    #[must_use]
    pub fn session(&self, _secret: &str, _now: Timestamp) -> Option<Session> {
        None
    }
}
