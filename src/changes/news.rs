//! What an entry of the record is to people who were not there: a proposal that
//! waits, a change that acts, somebody who can approve from now on.
//!
//! Entries speak of proposals by their number; this remembers them, so that what
//! is told of a change can say what it means. It judges nothing: whether an entry
//! may stand there, the ledger says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::activation::{Activated, Cause};
use super::ledger::{APPLIANCE, kind};
use super::proposal::{CONSOLE, Leave, Proposal};
use super::signatory::Signatory;
use crate::policy::document::ChangeRule;
use crate::record::Entry;

/// Something that people are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A change is wanted that waits for another person.
    Waits(Proposal),
    /// A change came into force.
    InForce {
        /// The change.
        proposal: Proposal,
        /// By what leave.
        leave: Leave,
        /// The number of the policy that came of it.
        policy: u64,
        /// When.
        time: Timestamp,
    },
    /// One could not.
    Failed {
        /// The change.
        proposal: Proposal,
        /// Why.
        why: String,
    },
    /// Somebody turned one down.
    Declined {
        /// The change.
        proposal: Proposal,
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// Somebody wants to be able to approve.
    SignatoryWaits(Signatory),
    /// Somebody can from now on.
    SignatoryEnrolled {
        /// Who.
        signatory: Signatory,
        /// Who confirmed it; none: nobody could, or somebody at the machine did.
        by: Option<String>,
    },
    /// Somebody no longer can.
    SignatoryRemoved {
        /// Whose account.
        account: String,
        /// Who took it away.
        by: String,
    },
    /// The machine's settings are others than at the last start.
    Settings {
        /// Which file.
        file: String,
    },
    /// The record was begun anew at the machine.
    BegunAnew {
        /// The policy that it begins with.
        policy: u64,
        /// Why, as far as it was said.
        why: String,
    },
}

/// Reads a record from its beginning.
#[derive(Debug, Default)]
pub struct Reader {
    proposals: BTreeMap<u64, Proposal>,
    /// Who must agree, by the policy in force there.
    rule: Option<ChangeRule>,
}

impl Reader {
    /// What the next entry tells; none if it is nobody's news.
    pub fn read(&mut self, entry: &Entry) -> Option<News> {
        match entry.deed.what.as_str() {
            kind::FOUNDED => self.founded(entry),
            kind::ACTIVATED => self.activated(entry),
            kind::PROPOSED => self.proposed(entry),
            kind::FAILED => Some(News::Failed {
                proposal: self.proposal(entry)?,
                why: words(entry, "why"),
            }),
            // One that a newer one takes the place of is told with that.
            kind::DECLINED if entry.deed.who != APPLIANCE => Some(News::Declined {
                proposal: self.proposal(entry)?,
                by: entry.deed.who.clone(),
                why: words(entry, "why"),
            }),
            kind::SIGNATORY_WAITS => Some(News::SignatoryWaits(of(entry, "signatory")?)),
            kind::SIGNATORY => Some(News::SignatoryEnrolled {
                signatory: of(entry, "signatory")?,
                by: of(entry, "confirmed_by"),
            }),
            kind::SIGNATORY_GONE => Some(News::SignatoryRemoved {
                account: words(entry, "account"),
                by: entry.deed.who.clone(),
            }),
            // At the first start there was nothing before.
            kind::SETTINGS if entry.deed.about.get("before").is_some_and(Value::is_string) => {
                Some(News::Settings {
                    file: words(entry, "file"),
                })
            }
            _ => None,
        }
    }

    fn founded(&mut self, entry: &Entry) -> Option<News> {
        let activated: Activated = of(entry, "activation")?;
        self.rule = activated.rule;
        (entry.deed.who == CONSOLE).then(|| News::BegunAnew {
            policy: activated.number,
            why: words(entry, "why"),
        })
    }

    fn proposed(&mut self, entry: &Entry) -> Option<News> {
        let mut proposal: Proposal = of(entry, "proposal")?;
        proposal.digest.clone_from(&entry.digest);
        proposal.time = entry.time;
        let rule = self.rule.unwrap_or(ChangeRule::TwoPerson);
        // What acts at once is told when it does.
        let waits = proposal.at_once(rule).is_none();
        self.proposals.insert(proposal.number, proposal.clone());
        waits.then_some(News::Waits(proposal))
    }

    fn activated(&mut self, entry: &Entry) -> Option<News> {
        let activated: Activated = of(entry, "activation")?;
        self.rule = activated.rule;
        if activated.cause != Cause::Change {
            return None;
        }
        Some(News::InForce {
            proposal: self.proposal(entry)?,
            leave: of(entry, "leave")?,
            policy: activated.number,
            time: entry.time,
        })
    }

    fn proposal(&self, entry: &Entry) -> Option<Proposal> {
        let number: u64 = of(entry, "proposal")?;
        self.proposals.get(&number).cloned()
    }
}

fn of<T: serde::de::DeserializeOwned>(entry: &Entry, key: &str) -> Option<T> {
    let value = entry.deed.about.get(key)?;
    T::deserialize(value).ok()
}

fn words(entry: &Entry, key: &str) -> String {
    of(entry, key).unwrap_or_default()
}
