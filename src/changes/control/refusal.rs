//! Why a change does not come about, and why nothing does.
//!
//! Whoever asked reads these words on a page or in a terminal: each says what to
//! do instead.

use std::io;

use crate::changes::activation::Refused;
use crate::record::Broken;

/// Longest reason, in characters.
const LONGEST: usize = 2000;

/// Why something asked for does not come about.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// It is not allowed, or makes no sense; says why.
    #[error("{0}")]
    Refused(String),
    /// The policy that would come of it is none.
    #[error(transparent)]
    Policy(#[from] Refused),
    /// The record cannot be written, or is not what it was.
    #[error("the record of changes: {0}")]
    Record(#[from] Broken),
}

impl From<io::Error> for NotNow {
    fn from(error: io::Error) -> Self {
        Self::Record(Broken::Io(error))
    }
}

/// The state folder is not what it was left as.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The record of changes does not hang together.
    #[error(
        "the record of changes in {folder} is not what was written there: {why}\n\
         Nothing is put in force by it. Put the folder back from a backup; or, as root, look \
         what policy.toml has and begin a new record with it: \
         schoolgate history --begin-anew -m WHY"
    )]
    Record {
        /// Where.
        folder: String,
        /// What is wrong.
        why: String,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// It is not allowed, or makes no sense.
pub(super) fn refused(why: &str) -> NotNow {
    NotNow::Refused(why.to_owned())
}

/// Why somebody wants something, if they have said so.
pub(super) fn reason(text: &str) -> Result<String, NotNow> {
    let text = text.trim();
    if text.is_empty() {
        return Err(refused(
            "A change needs a reason: somebody will ask for it.",
        ));
    }
    if text.chars().count() > LONGEST {
        return Err(NotNow::Refused(format!(
            "A reason has at most {LONGEST} characters."
        )));
    }
    Ok(text.to_owned())
}
