//! Change control: what is asked for, judged by the record, written down and put
//! in force.
//!
//! One value of this holds the live policy and its record; everything that can
//! change either goes through it, one at a time, in the process that answers DNS.
//! Whoever asks (the pages, the command line) may be anybody: a change that
//! loosens needs the signature of a second person who can approve, and that
//! signature is checked here, against the record, with nothing that another
//! process could have written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

use super::activation::{Activated, Activation, Cause, Refused, with_shipped};
use super::ask::{Ask, Outcome, Proposed, Wanted, Wish};
use super::change::{Change, Files};
use super::console::Console;
use super::difference;
use super::edited::{self, Edited};
use super::kept::{self, Texts};
use super::ledger::{APPLIANCE, Ledger, kind, with};
use super::proposal::{Approved, Author, CONSOLE, Proposal};
use super::signatory::Signatory;
use crate::configuration::PolicyTexts;
use crate::policy::Policy;
use crate::record::{Broken, Deed, Record};

mod allowance;
mod refusal;
mod signatories;

pub use refusal::{NotNow, Unfit};
use refusal::{reason, refused};

/// Most proposals that wait at one time.
const MOST_WAITING: usize = 200;

/// The policy, and who may change it.
pub struct Control {
    activation: Activation,
    ledger: Ledger,
    record: Record,
    kept: Texts,
    console: Console,
    config_dir: PathBuf,
    state_dir: PathBuf,
    /// The texts in force.
    texts: Option<PolicyTexts>,
    /// How many activations have failed since the start.
    pub failures: u64,
    /// Why the last one failed, if it did.
    pub trouble: Option<String>,
}

impl Control {
    /// Reads and judges the record; nothing is live yet.
    pub fn open(config_dir: &Path, state_dir: &Path, now: Timestamp) -> Result<Self, Unfit> {
        let unfit = |why: String| Unfit::Record {
            folder: state_dir.join("changes").display().to_string(),
            why,
        };
        let record = Record::of_changes(state_dir);
        record.mend(now).map_err(|error| unfit(error.to_string()))?;
        let ledger = Ledger::read(state_dir).map_err(|broken| unfit(broken.to_string()))?;
        let texts = match &ledger.in_force {
            None => None,
            Some(activated) => {
                let texts = kept::texts(state_dir, activated);
                let texts = texts.map_err(|error| unfit(error.to_string()))?;
                let missing = || unfit("the texts of the policy in force are gone".to_owned());
                Some(texts.ok_or_else(missing)?)
            }
        };
        Ok(Self {
            activation: Activation::new(state_dir),
            ledger,
            record,
            kept: Texts::new(state_dir),
            console: Console::open(state_dir)?,
            config_dir: config_dir.to_owned(),
            state_dir: state_dir.to_owned(),
            texts,
            failures: 0,
            trouble: None,
        })
    }

    /// Where the packet road finds the policy.
    #[must_use]
    pub fn live(&self) -> Arc<ArcSwapOption<Policy>> {
        self.activation.live()
    }

    /// The policy that serves.
    #[must_use]
    pub fn policy(&self) -> Option<Arc<Policy>> {
        self.activation.policy()
    }

    /// The activation that the live policy came of.
    #[must_use]
    pub fn activated(&self) -> Option<&Activated> {
        let live = self.policy()?;
        let last = self.ledger.in_force.as_ref();
        last.filter(|last| last.number == live.number)
    }

    /// The texts in force; none before there ever was a policy.
    #[must_use]
    pub fn texts(&self) -> Option<&PolicyTexts> {
        self.texts.as_ref()
    }

    /// What stands in the folder and is not in force.
    pub fn edited(&self) -> io::Result<Vec<Edited>> {
        edited::edited(&self.config_dir, &self.state_dir)
    }

    /// What the record says.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Lets go of policies that no worker holds any more.
    pub fn tidy(&mut self) {
        self.activation.tidy();
    }

    /// Puts the policy of the record in force over the lists of now; where there
    /// is none yet, the one of the folder, which so founds the record. What
    /// stands in the folder otherwise makes no difference.
    pub fn renew(&mut self, cause: Cause, now: Timestamp) -> Result<Activated, Refused> {
        let result = self.try_renew(cause, now);
        match &result {
            Ok((_, trouble)) => self.trouble = trouble.as_ref().map(ToString::to_string),
            Err(refused) => {
                self.failures += 1;
                self.trouble = Some(refused.to_string());
            }
        }
        result.map(|(activated, _)| activated)
    }

    fn try_renew(
        &mut self,
        cause: Cause,
        now: Timestamp,
    ) -> Result<(Activated, Option<crate::lists::load::LoadError>), Refused> {
        let ledger = &self.ledger;
        let (texts, done) = if let (Some(texts), Some(last)) = (&self.texts, &ledger.in_force) {
            let texts = with_shipped(texts, last);
            let done = self.activation.renew(ledger, &texts, cause, now)?;
            (texts, done)
        } else {
            let texts = PolicyTexts::read(&self.config_dir).map_err(Refused::Policy)?;
            let former = kept::last(&self.state_dir)?;
            let former = former.as_ref();
            let done = self.activation.found(ledger, &texts, former, now)?;
            (texts, done)
        };
        self.texts = Some(texts);
        self.follow().map_err(io::Error::other)?;
        Ok(done)
    }

    /// Lets those proposals act that could act at once, and were proposed just
    /// before the power went.
    pub fn resume(&mut self, now: Timestamp) {
        let waiting: Vec<Proposal> = self.ledger.waiting.values().cloned().collect();
        for proposal in waiting {
            if let Err(why) = self.try_at_once(&proposal, now) {
                tracing::error!(proposal = proposal.number, %why, "could not be activated");
            }
        }
    }

    fn try_at_once(&mut self, proposal: &Proposal, now: Timestamp) -> Result<(), NotNow> {
        let (texts, _) = self.in_force()?;
        let rule = texts.typed().map_err(Refused::Policy)?.document.rule;
        let Some(approved) = proposal.at_once(rule) else {
            return Ok(());
        };
        let candidate = self.candidate(proposal, &texts, now)?;
        self.activate(&approved, &candidate, now)?;
        Ok(())
    }

    /// The texts that a proposal makes of those in force, if it still means what
    /// it meant.
    fn candidate(
        &self,
        proposal: &Proposal,
        texts: &PolicyTexts,
        now: Timestamp,
    ) -> Result<PolicyTexts, NotNow> {
        let candidate = proposal
            .change
            .applied_to(texts, &self.kept, now)
            .map_err(NotNow::Refused)?;
        let before = texts.typed().map_err(Refused::Policy)?;
        let after = candidate.typed().map_err(Refused::Policy)?;
        if difference::between(&before, &after) != proposal.parts {
            return Err(refused(
                "The policy has changed since this was proposed, and it would now mean \
                 something else. It must be proposed again.",
            ));
        }
        Ok(candidate)
    }

    /// Writes down that a file of the machine's settings is another than before.
    pub fn note_settings(&mut self, file: &str, text: &str, now: Timestamp) -> Result<(), NotNow> {
        let after = self.kept.keep(text)?;
        let before = self.ledger.settings.get(file).cloned();
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let deed = Deed::new(APPLIANCE, kind::SETTINGS).about("file", file);
        let deed = deed.about("before", before).about("after", after);
        self.write(deed, now)
    }

    /// Does what somebody asks for, or says why not.
    pub fn hear(&mut self, ask: &Ask, now: Timestamp) -> Result<Outcome, NotNow> {
        match &ask.wish {
            Wish::Propose(proposed) => self.propose(ask, proposed, now),
            Wish::Approve {
                proposal,
                signature,
            } => self.approve(ask, *proposal, signature, now),
            Wish::Decline { proposal, why } => self.decline(ask, *proposal, why, now),
            Wish::Acknowledge {
                proposal,
                signature,
            } => self.acknowledge(ask, *proposal, signature, now),
            Wish::Enrol {
                signatory,
                confirmation,
                console,
            } => self.enrol(
                ask,
                signatory,
                confirmation.as_ref(),
                console.as_deref(),
                now,
            ),
            Wish::Confirm { account, signature } => self.confirm(ask, account, signature, now),
            Wish::Remove { account, console } => self.remove(ask, account, console.as_deref(), now),
        }
    }

    fn propose(
        &mut self,
        ask: &Ask,
        proposed: &Proposed,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let why = reason(&proposed.why)?;
        let (texts, in_force) = self.in_force()?;
        let change = self.change(&proposed.change)?;
        let candidate = change
            .applied_to(&texts, &self.kept, now)
            .map_err(NotNow::Refused)?;
        if candidate == texts {
            return Ok(Outcome::Nothing);
        }
        if let Change::Override(addition) = &change {
            self.is_allowance(addition, now)?;
        }
        let before = texts.typed().map_err(Refused::Policy)?;
        let after = candidate.typed().map_err(Refused::Policy)?;
        let parts = difference::between(&before, &after);
        if self.ledger.waiting.len() >= MOST_WAITING {
            return Err(refused(
                "Too many proposals wait. Some must be answered first.",
            ));
        }
        let proposal = Proposal {
            number: self.ledger.next_proposal(),
            by: ask.by.clone(),
            why,
            change,
            parts: parts.clone(),
            rehearsal: proposed.rehearsal.clone(),
            requests: proposed.requests.clone(),
            over: in_force.number,
            digest: String::new(),
            time: now,
        };
        let number = proposal.number;
        let rule = before.document.rule;
        self.activation.would_serve(&candidate, &in_force, now)?;
        self.replace_older(&proposal, now)?;
        let deed = deed(ask, kind::PROPOSED);
        self.write(with(deed, "proposal", &proposal), now)?;
        let Some(approved) = proposal.at_once(rule) else {
            return Ok(Outcome::Waits {
                proposal: number,
                parts,
            });
        };
        self.activate(&approved, &candidate, now)
    }

    /// A newer state of the same files takes the place of an older one that
    /// still waits.
    fn replace_older(&mut self, newer: &Proposal, now: Timestamp) -> Result<(), NotNow> {
        let is_older = |older: &&Proposal| {
            matches!(
                (&older.change, &newer.change),
                (Change::Files(_), Change::Files(_))
            )
        };
        let waiting = self.ledger.waiting.values();
        let older: Vec<u64> = waiting.filter(is_older).map(|older| older.number).collect();
        for number in older {
            let deed = Deed::new(APPLIANCE, kind::DECLINED).about("proposal", number);
            let why = format!("replaced by proposal {}", newer.number);
            self.write(deed.about("why", why), now)?;
        }
        Ok(())
    }

    fn approve(
        &mut self,
        ask: &Ask,
        number: u64,
        signature: &str,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let by = self.signatory(&ask.by)?;
        let proposal = self.waiting(number)?;
        let approved = proposal
            .approve(&by, signature)
            .map_err(|why| NotNow::Refused(why.to_string()))?;
        let (texts, _) = self.in_force()?;
        let candidate = self.candidate(&proposal, &texts, now)?;
        self.activate(&approved, &candidate, now)
    }

    fn activate(
        &mut self,
        approved: &Approved,
        candidate: &PolicyTexts,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let proposal = self.waiting(approved.proposal())?;
        let by = proposal.by.account.as_str();
        let ledger = &self.ledger;
        let result = self
            .activation
            .activate(ledger, approved, by, candidate, now);
        let number = proposal.number;
        match result {
            Ok((activated, trouble)) => {
                self.trouble = trouble.as_ref().map(ToString::to_string);
                self.texts = Some(candidate.clone());
                self.follow()?;
                Ok(Outcome::InForce {
                    proposal: number,
                    policy: activated.number,
                    parts: proposal.parts,
                })
            }
            Err(why) => {
                self.failures += 1;
                self.trouble = Some(why.to_string());
                let deed = Deed::new(APPLIANCE, kind::FAILED).about("proposal", number);
                self.write(deed.about("why", why.to_string()), now)?;
                Err(why.into())
            }
        }
    }

    fn decline(
        &mut self,
        ask: &Ask,
        number: u64,
        why: &str,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let why = reason(why)?;
        self.waiting(number)?;
        let deed = deed(ask, kind::DECLINED).about("proposal", number);
        self.write(deed.about("why", why), now)?;
        Ok(Outcome::Done)
    }

    fn acknowledge(
        &mut self,
        ask: &Ask,
        number: u64,
        signature: &str,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let by = self.signatory(&ask.by)?;
        let Some(at_once) = self.ledger.unacknowledged.get(&number) else {
            return Err(refused("Nobody has to take note of that any more."));
        };
        if by.is(&at_once.proposal.by) {
            return Err(refused(
                "Whoever made a change cannot be the one who takes note of it.",
            ));
        }
        let signed = super::signatory::acknowledgement(&at_once.digest);
        if !by.has_signed(&signed, signature) {
            return Err(refused(
                "The signature is not right. Was that your password?",
            ));
        }
        let deed = deed(ask, kind::ACKNOWLEDGED).about("proposal", number);
        self.write(deed.about("signature", signature), now)?;
        Ok(Outcome::Done)
    }

    /// The change that is wanted, its texts kept.
    fn change(&self, wanted: &Wanted) -> io::Result<Change> {
        Ok(match wanted {
            Wanted::Files(texts) => {
                for text in [
                    &texts.policy,
                    &texts.devices,
                    &texts.canaries,
                    &texts.safe_search,
                    &texts.sources,
                ] {
                    self.kept.keep(text)?;
                }
                Change::Files(Files::of(texts))
            }
            Wanted::Exceptions(exceptions) => Change::Exceptions(exceptions.clone()),
            Wanted::Override(addition) => Change::Override(addition.clone()),
            Wanted::Back(number) => Change::Back(*number),
        })
    }

    fn in_force(&self) -> Result<(PolicyTexts, Activated), NotNow> {
        match (&self.texts, &self.ledger.in_force) {
            (Some(texts), Some(activated)) => Ok((texts.clone(), activated.clone())),
            _ => Err(refused(
                "No policy is in force yet: compile the lists with `schoolgate refresh` first.",
            )),
        }
    }

    fn waiting(&self, number: u64) -> Result<Proposal, NotNow> {
        let found = self.ledger.waiting.get(&number).cloned();
        found.ok_or_else(|| NotNow::Refused(self.ledger.became_of(number)))
    }

    fn signatory(&self, author: &Author) -> Result<Signatory, NotNow> {
        let found = self.ledger.signatories.get(&author.account).cloned();
        found.ok_or_else(|| {
            refused(
                "This account cannot sign. A head or a safeguarding lead sets up their \
                 signature on the page of their account.",
            )
        })
    }

    fn write(&mut self, deed: Deed, now: Timestamp) -> Result<(), NotNow> {
        // What would not stand in the record when it is read is not written.
        let judge = |entry: &_| self.ledger.clone().take(entry);
        self.record.add_judged(deed, now, judge)?;
        Ok(self.follow()?)
    }

    /// Takes what was written since.
    fn follow(&mut self) -> Result<(), Broken> {
        self.ledger = Ledger::read(&self.state_dir)?;
        Ok(())
    }
}

fn deed(ask: &Ask, what: &str) -> Deed {
    let deed = Deed::new(&ask.by.account, what);
    match &ask.from {
        Some(address) => deed.from(address),
        None => deed,
    }
}

/// Whether that is somebody at the machine.
fn is_console(author: &Author) -> bool {
    author.account == CONSOLE
}
