//! A change that somebody wants, and what it takes for it to act.
//!
//! [`Activation`](super::activation::Activation) puts only an [`Approved`] change
//! in force, and only this file makes one: of a signature by another person, or
//! where the rule of the policy in force needs none. What is not approved cannot
//! be written down as a call.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::difference::{Effect, Part};
use super::rehearsal::Rehearsal;
use super::signatory::{self, Signatory};
use crate::policy::document::ChangeRule;

/// The author who sits at the machine itself.
pub const CONSOLE: &str = "console";

/// Who wants a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Their account, or [`CONSOLE`].
    pub account: String,
    /// By which somebody with two accounts is known; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub email: String,
}

/// A change that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its number: 1, 2, 3, …
    pub number: u64,
    /// Who wants it.
    pub by: Author,
    /// Why.
    pub why: String,
    /// What is to be changed.
    pub change: Change,
    /// What that means, in words.
    pub parts: Vec<Part>,
    /// What the last week would have been like, as whoever proposed it saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
    /// The requests that it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<u64>,
    /// The number of the policy it was made over.
    pub over: u64,
    /// The digest of its entry in the record: what an approval signs.
    #[serde(skip)]
    pub digest: String,
    /// When it was made.
    #[serde(skip)]
    pub time: Timestamp,
}

/// By what leave a change acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Leave {
    /// Another person has signed it.
    Approved {
        /// Their account.
        by: String,
        /// Their signature of [`signatory::approval`].
        signature: String,
    },
    /// It tightens, or changes nothing that is decided.
    Tightens,
    /// The school's rule is to tell a second person afterwards.
    Notify,
    /// The policy lets a group's devices open a site for themselves.
    Override,
}

/// A change that may act.
#[derive(Debug, Clone)]
pub struct Approved {
    proposal: u64,
    leave: Leave,
}

/// Why a proposal was not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Whoever proposed it cannot be the second person.
    #[error(
        "Whoever proposes a change cannot approve it, and neither can another account of theirs. \
         Another person must."
    )]
    SamePerson,
    /// Their role is another.
    #[error("Only a head or a safeguarding lead can approve a change.")]
    OtherRole,
    /// It is not theirs, or of something else.
    #[error("The signature is not right. Was that your password?")]
    Signature,
}

impl Author {
    /// Somebody with this account and e-mail address.
    #[must_use]
    pub fn new(account: &str, email: &str) -> Self {
        Self {
            account: account.to_owned(),
            email: email.to_owned(),
        }
    }

    /// Somebody at the machine itself.
    #[must_use]
    pub fn console() -> Self {
        Self::new(CONSOLE, "")
    }
}

impl Proposal {
    /// Whether a part of it loosens the filter.
    #[must_use]
    pub fn loosens(&self) -> bool {
        self.parts.iter().any(|part| part.effect == Effect::Loosens)
    }

    /// Approves it, as another person who has signed it.
    pub fn approve(&self, by: &Signatory, signature: &str) -> Result<Approved, NotApproved> {
        if by.is(&self.by) {
            return Err(NotApproved::SamePerson);
        }
        if !by.can_approve() {
            return Err(NotApproved::OtherRole);
        }
        if !by.has_signed(&signatory::approval(&self.digest), signature) {
            return Err(NotApproved::Signature);
        }
        Ok(Approved {
            proposal: self.number,
            leave: Leave::Approved {
                by: by.account.clone(),
                signature: signature.to_owned(),
            },
        })
    }

    /// Lets it act without another person, where `rule` needs none.
    #[must_use]
    pub fn at_once(&self, rule: ChangeRule) -> Option<Approved> {
        let leave = match (&self.change, self.loosens(), rule) {
            (Change::Override(_), ..) => Leave::Override,
            (_, false, _) => Leave::Tightens,
            (_, true, ChangeRule::Notify) => Leave::Notify,
            (_, true, ChangeRule::TwoPerson) => return None,
        };
        Some(Approved {
            proposal: self.number,
            leave,
        })
    }
}

impl Approved {
    /// Of which proposal.
    #[must_use]
    pub fn proposal(&self) -> u64 {
        self.proposal
    }

    /// By what leave.
    #[must_use]
    pub fn leave(&self) -> &Leave {
        &self.leave
    }
}
