//! Sites that somebody says should or should not be blocked.
//!
//! A teacher finds a site blocked in the lesson and says so from the block page,
//! without an account; it lands in a queue that technician and safeguarding lead
//! work through: new, considered, answered, each step with who, when and why.
//! What an answer changes is changed elsewhere, by two persons: nothing in here
//! knows a policy, and a request that is granted opens nothing by itself.
//!
//! Whoever can reach the page can write here, so everything is bounded: the
//! length of what is said, how often one client and all of them may ask, and how
//! many requests wait. Nobody's address is kept. It must never hold a name on a
//! mandatory list: whoever takes a request asks the lists first.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use jiff::Timestamp;
use jiff::civil::Date;

use crate::name::Name;

mod admission;
mod kept;
pub mod personal;
mod said;
mod store;

pub use kept::Trouble;
pub use said::{LONGEST_LINE, LONGEST_TEXT, Line, Site, Text};
pub use store::Requests;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// That a site be opened.
    Unblock,
    /// That it be blocked.
    Block,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has looked at it.
    New,
    /// Somebody has, and has not decided.
    Considered,
    /// It is decided.
    Answered(Outcome),
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What is wanted is to be done, as a change of the policy.
    Granted,
    /// It is not.
    Refused,
    /// Nothing had to be done.
    AlreadySo,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// About which site.
    pub site: Name,
    /// What of it.
    pub wish: Wish,
    /// For which group.
    pub group: String,
    /// Who asks, and why.
    pub voice: Voice,
}

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// When.
    pub time: Timestamp,
    /// Who they say they are.
    pub who: Line,
    /// The account they were signed in with, if any: then who they are is known.
    pub account: Option<String>,
    /// The device it came from, if the school's inventory has it.
    pub device: Option<String>,
    /// Whom they want it for.
    pub for_whom: Line,
    /// Why.
    pub why: Text,
}

/// One request, of everybody who wants the same of the same site and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number, for good.
    pub id: u64,
    /// About which site.
    pub site: Name,
    /// What of it.
    pub wish: Wish,
    /// For which group.
    pub group: String,
    /// How far it has come.
    pub state: State,
    /// How many ask.
    pub voices: u64,
    /// When the first asked.
    pub first: Timestamp,
    /// When the last did.
    pub last: Timestamp,
    /// Until when it is granted; then it is to be looked at again.
    pub expires: Option<Date>,
}

/// A request with all that was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What it is.
    pub request: Request,
    /// Who asked, oldest first; of many only the first.
    pub voices: Vec<Voice>,
    /// What was done, oldest first. Nothing is ever taken back.
    pub history: Vec<Step>,
}

/// One thing that was done about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub time: Timestamp,
    /// By whom: an account, or `schoolgate`.
    pub who: String,
    /// What: `asked`, `considered`, `granted`, `refused` or `already_so`.
    pub what: String,
    /// With which words.
    pub said: String,
}

/// How a request was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Under a number of its own.
    New(u64),
    /// With those who want the same.
    Joined(u64),
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// One client asks too much.
    #[error("You have sent several requests already. Please wait some minutes.")]
    TooOften,
    /// All of them together do, or too many requests wait.
    #[error("There are more requests than can be looked at. Please tell a person instead.")]
    Full,
    /// It cannot be kept.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// The decision about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What becomes of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Text,
    /// Until when, if it is granted.
    pub expires: Option<Date>,
}

impl Wish {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Unblock, Self::Block];

    /// As it is kept.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Unblock => "unblock",
            Self::Block => "block",
        }
    }

    /// The wish of that id.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wish| wish.id() == id)
    }
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Granted, Self::Refused, Self::AlreadySo];

    /// As it is kept.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::AlreadySo => "already_so",
        }
    }

    /// The outcome of that id.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.id() == id)
    }
}

impl State {
    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Considered => "being considered",
            Self::Answered(Outcome::Granted) => "granted",
            Self::Answered(Outcome::Refused) => "refused",
            Self::Answered(Outcome::AlreadySo) => "already so",
        }
    }

    /// Whether somebody still has to decide.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Answered(_))
    }
}
