//! Every proposal with all that became of it, as the record of changes tells.
//!
//! The record is judged while it is read, by the same rules as the resolver's:
//! what does not fit is not shown as if it did. It must never put anything in
//! force.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::app::App;
use super::page::Problem;
use super::wishes::unreadable;
use crate::changes::activation::Activated;
use crate::changes::change::{Addition, Change};
use crate::changes::ledger::{Ledger, kind};
use crate::changes::proposal::{Leave, Proposal};
use crate::changes::signatory::Signatory;
use crate::record::{Broken, Entry, Record};

/// What the record of changes says, and what it said before.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// What holds.
    pub(super) ledger: Ledger,
    /// Every proposal, by number.
    pub(super) proposals: BTreeMap<u64, Told>,
    /// Every policy that was in force, by number.
    pub(super) activations: BTreeMap<u64, Activated>,
    /// Since when whoever can approve, or wants to, has had their key.
    pub(super) signed_since: HashMap<String, Timestamp>,
}

/// A proposal, and what became of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) proposal: Proposal,
    pub(super) fate: Fate,
    /// Who has taken note of it, if it acted at once, and when.
    pub(super) noted: Option<(String, Timestamp)>,
}

/// What became of a proposal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for another person.
    Waits,
    /// It came into force.
    InForce {
        /// As which policy.
        policy: u64,
        time: Timestamp,
        leave: Leave,
    },
    /// Somebody turned it down.
    Declined {
        by: String,
        why: String,
        time: Timestamp,
    },
    /// It could not be put in force.
    Failed { why: String },
    /// The record was begun anew.
    Over,
}

impl Story {
    /// Reads the whole record. Waits for the disk.
    pub(super) fn of(app: &App) -> Result<Self, Problem> {
        let read = Self::read(&Record::of_changes(&app.settings().state_dir));
        read.map_err(|broken| unreadable(&broken))
    }

    /// The same, with what is wrong with it.
    pub(super) fn read(record: &Record) -> Result<Self, Broken> {
        let mut story = Self::default();
        record.verify_each(|entry| {
            story.ledger.take(entry)?;
            story.take(entry);
            Ok(())
        })?;
        let waiting = &story.ledger.waiting;
        for (number, told) in &mut story.proposals {
            if told.fate == Fate::Waits && !waiting.contains_key(number) {
                told.fate = Fate::Over;
            }
        }
        Ok(story)
    }

    /// What devices opened for themselves, newest first.
    pub(super) fn opened_by_devices(&self) -> impl Iterator<Item = (&Told, &Addition)> {
        let proposals = self.proposals.values().rev();
        proposals.filter_map(|told| match (&told.proposal.change, &told.fate) {
            (Change::Override(addition), Fate::InForce { .. }) => Some((told, addition)),
            _ => None,
        })
    }

    /// Takes an entry that the ledger has judged.
    fn take(&mut self, entry: &Entry) {
        let what = entry.deed.what.as_str();
        if let Some(activated) = said::<Activated>(entry, "activation") {
            self.activations.insert(activated.number, activated.clone());
            if what == kind::ACTIVATED {
                self.activated(entry, &activated);
            }
            return;
        }
        match what {
            kind::PROPOSED => self.proposed(entry),
            kind::SIGNATORY | kind::SIGNATORY_WAITS => {
                if let Some(signatory) = said::<Signatory>(entry, "signatory") {
                    self.signed_since.insert(signatory.account, entry.time);
                }
            }
            kind::DECLINED | kind::FAILED | kind::ACKNOWLEDGED => self.answered(entry),
            _ => {}
        }
    }

    fn proposed(&mut self, entry: &Entry) {
        let Some(mut proposal) = said::<Proposal>(entry, "proposal") else {
            return;
        };
        proposal.digest.clone_from(&entry.digest);
        proposal.time = entry.time;
        let told = Told {
            proposal,
            fate: Fate::Waits,
            noted: None,
        };
        self.proposals.insert(told.proposal.number, told);
    }

    fn activated(&mut self, entry: &Entry, activated: &Activated) {
        let leave = said::<Leave>(entry, "leave");
        if let (Some(told), Some(leave)) = (self.told(entry), leave) {
            told.fate = Fate::InForce {
                policy: activated.number,
                time: entry.time,
                leave,
            };
        }
    }

    fn answered(&mut self, entry: &Entry) {
        let why = said::<String>(entry, "why").unwrap_or_default();
        let Some(told) = self.told(entry) else {
            return;
        };
        let who = entry.deed.who.clone();
        match entry.deed.what.as_str() {
            kind::ACKNOWLEDGED => told.noted = Some((who, entry.time)),
            kind::DECLINED => {
                told.fate = Fate::Declined {
                    by: who,
                    why,
                    time: entry.time,
                }
            }
            // What has been in force is not undone by a later failure.
            _ if told.fate == Fate::Waits => told.fate = Fate::Failed { why },
            _ => {}
        }
    }

    fn told(&mut self, entry: &Entry) -> Option<&mut Told> {
        self.proposals.get_mut(&said::<u64>(entry, "proposal")?)
    }
}

fn said<T: DeserializeOwned>(entry: &Entry, key: &str) -> Option<T> {
    T::deserialize(entry.deed.about.get(key)?).ok()
}
