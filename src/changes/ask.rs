//! What is asked of the resolver about changes, and what it says: the words on
//! its socket.
//!
//! The pages and the command line ask; `serve` alone decides. Nothing in an
//! [`Ask`] is believed but signatures: who asks is what is written down, and a
//! change that loosens waits whoever they are.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::change::{Addition, Exceptions};
use super::difference::Part;
use super::proposal::Author;
use super::rehearsal::Rehearsal;
use super::signatory::Signatory;
use crate::configuration::PolicyTexts;
use crate::status;

/// Where on the socket.
pub const PATH: &str = "/change";
/// How long an answer may take: a policy is built, and the record is written.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that somebody asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    /// Who.
    pub by: Author,
    /// From where: an address, if over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What.
    pub wish: Wish,
}

/// What somebody asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// A change. What tightens acts at once, what loosens as the rule says.
    Propose(Proposed),
    /// That a proposal act.
    Approve {
        /// Which.
        proposal: u64,
        /// Of `signatory::approval`.
        signature: String,
    },
    /// That a proposal be over.
    Decline {
        /// Which.
        proposal: u64,
        /// Why.
        why: String,
    },
    /// Has taken note of a change that acted at once.
    Acknowledge {
        /// Of which proposal.
        proposal: u64,
        /// Of `signatory::acknowledgement`.
        signature: String,
    },
    /// To be able to approve.
    Enrol {
        /// Who, with which key.
        signatory: Signatory,
        /// Who confirms it: their old key, or another signatory's.
        #[serde(default)]
        confirmation: Option<Confirmation>,
        /// What only somebody at the machine can read.
        #[serde(default)]
        console: Option<String>,
    },
    /// That somebody who wants to be able to approve can.
    Confirm {
        /// Whose.
        account: String,
        /// Of `signatory::confirmation`, by whoever asks.
        signature: String,
    },
    /// That somebody can no longer approve.
    Remove {
        /// Whose.
        account: String,
        /// What only somebody at the machine can read.
        #[serde(default)]
        console: Option<String>,
    },
}

/// Who confirms a signatory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confirmation {
    /// Their account.
    pub by: String,
    /// Of `signatory::confirmation`.
    pub signature: String,
}

/// A change that somebody wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proposed {
    /// Why.
    pub why: String,
    /// What.
    pub change: Wanted,
    /// What the last week would have been like.
    #[serde(default)]
    pub rehearsal: Option<Rehearsal>,
    /// The requests that it answers.
    #[serde(default)]
    pub requests: Vec<u64>,
}

/// What is to be changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// The files of the folder, as these texts have them.
    Files(Box<PolicyTexts>),
    /// Single sites.
    Exceptions(Exceptions),
    /// One device opens a site for itself.
    Override(Addition),
    /// Back to what was in force under that number.
    Back(u64),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is in force.
    InForce {
        /// The proposal.
        proposal: u64,
        /// The policy that came of it.
        policy: u64,
        /// What it means.
        parts: Vec<Part>,
    },
    /// It waits for another person.
    Waits {
        /// The proposal.
        proposal: u64,
        /// What it means.
        parts: Vec<Part>,
    },
    /// It is in force already, to the letter.
    Nothing,
    /// It is done.
    Done,
}

/// What the resolver says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// What came of it.
    Outcome(Outcome),
    /// It did not come about; says why.
    Refused(String),
}

/// Why something asked for did not come about.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The resolver says so.
    #[error("{0}")]
    Refused(String),
    /// No resolver runs on this state folder.
    #[error(
        "the resolver does not run, and only it can change the policy: start `schoolgate serve`"
    )]
    NotRunning,
    /// It cannot be asked.
    #[error("the resolver cannot be asked: {0}")]
    Io(#[from] io::Error),
}

impl Ask {
    /// Asks the resolver that serves from `state_dir`.
    pub fn put_to(&self, state_dir: &Path) -> Result<Outcome, NotDone> {
        let body = serde_json::to_vec(self).map_err(io::Error::other)?;
        let socket = status::socket(state_dir);
        let answer = status::exchange(&socket, "POST", PATH, &body, PATIENCE)?;
        let answer = answer.ok_or(NotDone::NotRunning)?;
        match serde_json::from_slice(&answer).map_err(io::Error::other)? {
            Said::Outcome(outcome) => Ok(outcome),
            Said::Refused(why) => Err(NotDone::Refused(why)),
        }
    }
}
