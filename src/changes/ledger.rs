//! The record of changes, understood: which policy is in force, which proposals
//! wait, who can approve, what nobody has taken note of yet.
//!
//! Everything is worked out from the entries alone, and each is judged as it is
//! taken: an activation that loosens needs the signature of another person than
//! its author over that very proposal. So a record is believed for what stands in
//! it, not for who wrote it, and everybody who reads one (the resolver at each
//! start, the pages, `history --verify`) judges it the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::activation::{Activated, Cause, Table};
use super::change::{Change, Files};
use super::proposal::{CONSOLE, Leave, Proposal};
use super::signatory::{self, Signatory};
use crate::policy::document::ChangeRule;
use crate::record::{Broken, Deed, Entry, Record};

/// What the appliance itself is called in the record.
pub const APPLIANCE: &str = "schoolgate";

/// The kinds of entries.
pub mod kind {
    /// The policy that was found with an empty record, or by which it was begun anew.
    pub const FOUNDED: &str = "founded";
    /// A policy came into force.
    pub const ACTIVATED: &str = "activated";
    /// One did not, and why.
    pub const FAILED: &str = "activation_failed";
    /// Somebody wants a change.
    pub const PROPOSED: &str = "proposed";
    /// A proposal is over.
    pub const DECLINED: &str = "declined";
    /// Somebody has taken note of a change that acted at once.
    pub const ACKNOWLEDGED: &str = "acknowledged";
    /// Somebody wants to be able to approve.
    pub const SIGNATORY_WAITS: &str = "signatory_waits";
    /// Somebody can approve from now on.
    pub const SIGNATORY: &str = "signatory_enrolled";
    /// Somebody no longer can.
    pub const SIGNATORY_GONE: &str = "signatory_removed";
    /// A file of the machine's settings is another than at the last start.
    pub const SETTINGS: &str = "settings_changed";
}

/// What the record of changes says.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The last activation.
    pub in_force: Option<Activated>,
    /// The proposals that wait for another person, by number.
    pub waiting: BTreeMap<u64, Proposal>,
    /// Who can approve, by account.
    pub signatories: BTreeMap<String, Signatory>,
    /// Who wants to be able to, by account.
    pub wanting: BTreeMap<String, Signatory>,
    /// Changes that acted at once and that nobody has taken note of, by the
    /// number of their proposal.
    pub unacknowledged: BTreeMap<u64, AtOnce>,
    /// The last entry.
    pub head: Option<Entry>,
    /// Hashes of the settings' files at the last start.
    pub settings: BTreeMap<String, String>,
    /// What became of the proposals that no longer wait.
    over: BTreeMap<u64, String>,
    /// How many proposals there have been.
    proposals: u64,
    /// Every key that ever could approve. None does twice: whoever confirmed it
    /// meant it then, and may have gone from it since.
    keys: BTreeSet<String>,
    /// It took the place of a record that could not be believed.
    is_anew: bool,
}

/// A change that acted at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtOnce {
    /// The change.
    pub proposal: Proposal,
    /// When it came into force.
    pub time: Timestamp,
    /// The digest of that entry: what an acknowledgement signs.
    pub digest: String,
}

impl Ledger {
    /// Reads the whole record below `state_dir` and judges it.
    pub fn read(state_dir: &Path) -> Result<Self, Broken> {
        let record = Record::of_changes(state_dir);
        let mut ledger = Self::default();
        record.verify_each(|entry| ledger.take(entry))?;
        Ok(ledger)
    }

    /// Takes the next entry; says what is wrong with it.
    pub fn take(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let about = &entry.deed.about;
        // What has not seen the last entry can judge none behind it.
        let last = self.head.as_ref().map(|head| head.digest.as_str());
        if last.is_some_and(|last| last != entry.before) {
            return Err("does not follow the last entry that is known");
        }
        match entry.deed.what.as_str() {
            kind::FOUNDED => self.found(entry)?,
            kind::ACTIVATED => self.activate(entry)?,
            kind::PROPOSED => self.propose(entry)?,
            kind::DECLINED => {
                let number: u64 = read(about, "proposal")?;
                let gone = self.waiting.remove(&number);
                gone.ok_or("declines a proposal that does not wait")?;
                let why: String = read(about, "why").unwrap_or_default();
                let who = &entry.deed.who;
                self.over
                    .insert(number, format!("was turned down by {who}: {why}"));
            }
            kind::FAILED => {
                let number: u64 = read(about, "proposal")?;
                if self.waiting.remove(&number).is_some() {
                    let why: String = read(about, "why").unwrap_or_default();
                    self.over
                        .insert(number, format!("could not be put in force: {why}"));
                }
            }
            kind::ACKNOWLEDGED => self.acknowledge(entry)?,
            kind::SIGNATORY_WAITS => {
                let signatory: Signatory = read(about, "signatory")?;
                self.wanting.insert(signatory.account.clone(), signatory);
            }
            kind::SIGNATORY => self.enrol(entry)?,
            kind::SIGNATORY_GONE => {
                let account: String = read(about, "account")?;
                self.wanting.remove(&account);
                self.signatories.remove(&account);
            }
            kind::SETTINGS => {
                self.settings
                    .insert(read(about, "file")?, read(about, "after")?);
            }
            // Later versions may write what this one does not know; nothing of
            // it decides who may change what.
            _ => {}
        }
        self.head = Some(entry.clone());
        Ok(())
    }

    /// The number that the next proposal has.
    #[must_use]
    pub fn next_proposal(&self) -> u64 {
        self.proposals + 1
    }

    /// What became of a proposal that does not wait, in words.
    #[must_use]
    pub fn became_of(&self, number: u64) -> String {
        match self.over.get(&number) {
            Some(fate) => format!("Proposal {number} {fate}."),
            None => format!("There is no proposal {number}."),
        }
    }

    /// Whether nobody has ever been able to approve, in a record that is the
    /// school's first.
    #[must_use]
    pub fn never_had_signatories(&self) -> bool {
        self.keys.is_empty() && !self.is_anew
    }

    /// Whether this key could approve before.
    #[must_use]
    pub fn has_had(&self, signatory: &Signatory) -> bool {
        self.keys.contains(&signatory.key)
    }

    /// A founding begins with what it finds; one by somebody at the machine takes
    /// the place of a record that could not be believed.
    fn found(&mut self, entry: &Entry) -> Result<(), &'static str> {
        if self.in_force.is_some() && entry.deed.who != CONSOLE {
            return Err("begins anew, which only somebody at the machine can");
        }
        self.in_force = Some(read(&entry.deed.about, "activation")?);
        for number in std::mem::take(&mut self.waiting).into_keys() {
            let fate = "was over when the record was begun anew".to_owned();
            self.over.insert(number, fate);
        }
        if entry.deed.who == CONSOLE {
            self.begin_anew(entry)?;
        }
        Ok(())
    }

    /// What the files said came into force without a second person: one has to
    /// take note of it, as of a change that acted at once.
    fn begin_anew(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let mut proposal: Proposal = read(&entry.deed.about, "proposal")?;
        if proposal.by.account != CONSOLE || proposal.number < self.next_proposal() {
            return Err("begins anew by somebody else than it says");
        }
        proposal.digest.clone_from(&entry.digest);
        proposal.time = entry.time;
        self.proposals = proposal.number;
        let fate = "is how the record was begun anew".to_owned();
        self.over.insert(proposal.number, fate);
        // That the old record is gone makes nobody the first who can approve, and
        // so nobody is taken at their word.
        self.is_anew = true;
        let at_once = AtOnce {
            time: entry.time,
            digest: entry.digest.clone(),
            proposal,
        };
        self.unacknowledged.insert(at_once.proposal.number, at_once);
        Ok(())
    }

    fn propose(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let mut proposal: Proposal = read(&entry.deed.about, "proposal")?;
        if proposal.number != self.next_proposal() {
            return Err("has not the next number of a proposal");
        }
        if proposal.by.account != entry.deed.who {
            return Err("is proposed by somebody else than it says");
        }
        proposal.digest.clone_from(&entry.digest);
        proposal.time = entry.time;
        self.proposals = proposal.number;
        self.waiting.insert(proposal.number, proposal);
        Ok(())
    }

    fn activate(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let about = &entry.deed.about;
        let activation: Activated = read(about, "activation")?;
        let before = self
            .in_force
            .as_ref()
            .ok_or("activates before anything was founded")?;
        if activation.number != before.number + 1 {
            return Err("has not the next number of an activation");
        }
        if activation.cause != Cause::Change {
            if !activation.follows(before) {
                return Err("changes the policy without a proposal");
            }
            self.in_force = Some(activation);
            return Ok(());
        }
        let number: u64 = read(about, "proposal")?;
        let leave: Leave = read(about, "leave")?;
        let proposal = self
            .waiting
            .get(&number)
            .ok_or("activates a proposal that does not wait")?;
        let holds = match &leave {
            Leave::Approved { by, signature } => self
                .signatories
                .get(by)
                .is_some_and(|by| proposal.approve(by, signature).is_ok()),
            leave => {
                let rule = before.rule.unwrap_or(ChangeRule::TwoPerson);
                let allowed = proposal.at_once(rule);
                allowed.is_some_and(|approved| approved.leave() == leave)
            }
        };
        if !holds {
            return Err("loosens the filter without the signature of another person");
        }
        if !is_of(&proposal.change, before, &activation) {
            return Err("puts other texts in force than were proposed");
        }
        let fate = format!("is in force already, as policy {}", activation.number);
        self.over.insert(number, fate);
        let proposal = self.waiting.remove(&number);
        if let (Some(proposal), Leave::Tightens | Leave::Notify) = (proposal, &leave) {
            let at_once = AtOnce {
                proposal,
                time: entry.time,
                digest: entry.digest.clone(),
            };
            self.unacknowledged.insert(number, at_once);
        }
        self.in_force = Some(activation);
        Ok(())
    }

    fn acknowledge(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let about = &entry.deed.about;
        let number: u64 = read(about, "proposal")?;
        let signature: String = read(about, "signature")?;
        let at_once = self
            .unacknowledged
            .get(&number)
            .ok_or("takes note of what nobody had to take note of")?;
        let by = self
            .signatories
            .get(&entry.deed.who)
            .ok_or("takes note by somebody who cannot")?;
        let signed = signatory::acknowledgement(&at_once.digest);
        if by.is(&at_once.proposal.by) || !by.has_signed(&signed, &signature) {
            return Err("takes note without the signature of another person");
        }
        self.unacknowledged.remove(&number);
        Ok(())
    }

    fn enrol(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let about = &entry.deed.about;
        let new: Signatory = read(about, "signatory")?;
        if !new.can_approve() {
            return Err("lets somebody approve whose role does not");
        }
        if !new.is_plainly_called() {
            return Err("lets somebody approve who is not called as accounts are");
        }
        let at_machine = entry.deed.who == CONSOLE;
        if self.has_had(&new) && !at_machine {
            return Err("lets a key approve that once could");
        }
        let signature: Option<String> = read(about, "signature").ok();
        let by: Option<String> = read(about, "confirmed_by").ok();
        let confirmation = signatory::confirmation(&new.digest());
        let holds = match (by, signature) {
            _ if at_machine => true,
            (None, _) => self.never_had_signatories(),
            (Some(by), Some(signature)) => self
                .signatories
                .get(&by)
                .is_some_and(|by| by.may_confirm(&new) && by.has_signed(&confirmation, &signature)),
            (Some(_), None) => false,
        };
        if !holds {
            return Err("lets somebody approve whom nobody has confirmed");
        }
        self.wanting.remove(&new.account);
        self.keys.insert(new.key.clone());
        self.signatories.insert(new.account.clone(), new);
        Ok(())
    }
}

/// Whether `after` has the texts that `change` makes of those of `before`, as far
/// as hashes tell.
fn is_of(change: &Change, before: &Activated, after: &Activated) -> bool {
    match change {
        Change::Files(files) => *files == after.files() && before.added == after.added,
        Change::Exceptions(_) | Change::Override(_) => {
            before.files() == after.files() && after.has_rule_of(before)
        }
        Change::Back(back) => back.files == after.files() && back.added == after.added,
    }
}

impl Activated {
    /// The hashes of the folder's files.
    #[must_use]
    pub fn files(&self) -> Files {
        Files {
            policy: self.policy.clone(),
            devices: self.devices.clone(),
            canaries: self.canaries.clone(),
            safe_search: self.safe_search.clone(),
            sources: self.sources.clone(),
        }
    }

    /// Whether it is `before` with other lists: a shipped table may have come
    /// with a new version of the program.
    fn follows(&self, before: &Self) -> bool {
        let same = |mine: &str, its: &str, table| {
            mine == its || (self.shipped.contains(&table) && before.has_shipped(table, its))
        };
        self.policy == before.policy
            && self.devices == before.devices
            && (self.added == before.added || before.added.is_empty())
            && self.has_rule_of(before)
            && same(&self.canaries, &before.canaries, Table::Canaries)
            && same(&self.safe_search, &before.safe_search, Table::SafeSearch)
            && same(&self.sources, &before.sources, Table::Sources)
    }

    /// The rule stands in a text that is the same. Earlier versions wrote none.
    fn has_rule_of(&self, before: &Self) -> bool {
        self.rule == before.rule || before.rule.is_none()
    }

    fn has_shipped(&self, table: Table, hash: &str) -> bool {
        // Earlier versions kept no hash of what they shipped.
        hash.is_empty() || self.shipped.contains(&table)
    }
}

/// A deed with one more thing to say, in JSON.
#[must_use]
pub fn with(deed: Deed, key: &str, value: &impl Serialize) -> Deed {
    // Words and numbers: it cannot fail.
    deed.about(key, serde_json::to_value(value).unwrap_or_default())
}

fn read<T: DeserializeOwned>(about: &Map<String, Value>, key: &str) -> Result<T, &'static str> {
    let value = about.get(key).ok_or("lacks something that it must say")?;
    T::deserialize(value).map_err(|_| "says something that cannot be read")
}
