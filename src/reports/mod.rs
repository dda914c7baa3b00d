//! What leaves on paper: digests, governors' numbers, evidence, and what a child
//! or a parent may ask the school for.
//!
//! Numbers (`weekly`, `governors`, `statement`) are made as values, turned into a
//! [`sheet::Sheet`], and shown as text, CSV or a page by who asks. Bundles
//! (`evidence`, `access`) are ZIP files that anybody can open and `verify` can
//! prove; `bundle` makes them with the appliance's own `key`. `holds` and
//! `erasure` decide what stays and what goes.
//!
//! It must never put a mandatory host into anything that was not asked for it by
//! the safeguarding lead, nor do anything with a person's rows that is not in the
//! record.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::io;
use std::net::IpAddr;

use crate::querylog::store::StoreError;
use crate::record::Deed;

pub mod access;
pub mod bundle;
pub mod changed;
mod checked;
pub mod command;
pub mod csv;
pub mod erasure;
pub mod evidence;
pub mod further;
pub mod governors;
pub mod holds;
pub mod keeping;
pub mod key;
pub mod pack;
pub mod period;
pub mod rows;
pub mod sheet;
pub mod small;
pub mod statement;
pub mod subject;
pub mod verify;
pub mod weekly;

/// Who does it, as the record says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// An account, or `console`.
    pub who: String,
    /// From where, if over the network.
    pub from: Option<IpAddr>,
}

impl Actor {
    /// Somebody at the machine.
    #[must_use]
    pub fn console() -> Self {
        Self {
            who: "console".to_owned(),
            from: None,
        }
    }

    /// What they did.
    fn did(&self, what: &str) -> Deed {
        let deed = Deed::new(&self.who, what);
        match &self.from {
            Some(from) => deed.from(from),
            None => deed,
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// What was asked for cannot be; says why, for whoever asked.
    #[error("{0}")]
    Refused(String),
    /// Something could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A day of the log could not be changed.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// The bundle could not be packed.
    #[error("the bundle cannot be packed: {0}")]
    Zip(#[from] zip::result::ZipError),
}

impl ReportError {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

/// A reason that somebody gave, or that none was given.
fn reason(why: &str) -> Result<&str, ReportError> {
    let why = why.trim();
    if why.chars().filter(|c| c.is_alphanumeric()).count() < 3 {
        return Err(ReportError::refused("say why: the record keeps the reason"));
    }
    if why.len() > MOST_WORDS {
        let most = format!("the reason is longer than {MOST_WORDS} bytes");
        return Err(ReportError::refused(most));
    }
    Ok(why)
}

/// Longest reason.
const MOST_WORDS: usize = 1000;
