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
use super::ask::{Ask, Outcome, Wish};
use super::console::{self, Console};
use super::kept::{self, Texts};
use super::ledger::{APPLIANCE, Ledger, kind};
use super::proposal::{Author, CONSOLE};
use super::signatory::Signatory;
use crate::configuration::PolicyTexts;
use crate::limiter::{Bucket, Rate};
use crate::policy::Policy;
use crate::record::{Broken, Deed, Record};

mod allowance;
mod proposals;
mod signatories;

/// Longest account and e-mail address, in bytes.
const LONGEST_LINE: usize = 200;
/// How often somebody may ask for something: each time is kept for good.
const RATE: Rate = Rate {
    per_second: 0.2,
    burst: 200.0,
};

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
    asked: Bucket,
    /// How many activations have failed since the start.
    pub failures: u64,
    /// Why the last one failed, if it did.
    pub trouble: Option<String>,
}

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
        if ledger.in_force.is_none() && console::has_record(state_dir) {
            return Err(unfit("it is gone, or empty".to_owned()));
        }
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
            activation: Activation::new(config_dir, state_dir),
            ledger,
            record,
            kept: Texts::new(state_dir),
            console: Console::open(state_dir).unwrap_or_else(|error| {
                tracing::error!(%error, "nobody can act as being at the machine");
                Console::of_nobody()
            }),
            config_dir: config_dir.to_owned(),
            state_dir: state_dir.to_owned(),
            texts,
            asked: Bucket::full(
                RATE,
                u64::try_from(now.as_millisecond()).unwrap_or_default(),
            ),
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

    /// The school's folder, and the one of the record.
    #[must_use]
    pub fn folders(&self) -> (&Path, &Path) {
        (&self.config_dir, &self.state_dir)
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
        let mut result = self.try_renew(cause, now);
        if let (Cause::Start, Err(Refused::Record(error))) = (cause, &result)
            && let (Some(texts), Some(last)) = (&self.texts, &self.ledger.in_force)
        {
            tracing::error!(%error, "what is in force now cannot be recorded; it serves all the same");
            let served = self.activation.serve_unrecorded(texts, last, now);
            result = served.map(|()| (last.clone(), None));
        }
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
        self.record.mend(now)?;
        self.follow().map_err(io::Error::other)?;
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
        Console::note_record(&self.state_dir)?;
        Ok(done)
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
        if ask.by.account == APPLIANCE {
            return Err(refused("The appliance asks for nothing."));
        }
        if ask.by.account.trim().is_empty() || !is_line(&ask.by.account) || !is_line(&ask.by.email)
        {
            return Err(refused("Whoever asks must say who they are, in one line."));
        }
        let millisecond = u64::try_from(now.as_millisecond()).unwrap_or_default();
        self.asked.refill(RATE, millisecond);
        let from = ask.from.as_deref().unwrap_or_default();
        if !is_line(from) {
            return Err(refused("From where somebody asks is one line."));
        }
        // Something may have been written down and not been followed.
        self.record.mend(now)?;
        self.follow()?;
        // What somebody has to sign is kept only if they did.
        let is_signed = matches!(
            ask.wish,
            Wish::Approve { .. } | Wish::Acknowledge { .. } | Wish::Confirm { .. }
        );
        if !is_signed && !self.asked.take() {
            return Err(refused(
                "Too much is asked for at one time. Please wait a minute.",
            ));
        }
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

    fn in_force(&self) -> Result<(PolicyTexts, Activated), NotNow> {
        match (&self.texts, &self.ledger.in_force) {
            (Some(texts), Some(activated)) => Ok((texts.clone(), activated.clone())),
            _ => Err(refused(
                "No policy is in force yet: compile the lists with `schoolgate refresh` first.",
            )),
        }
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
        let before = self.ledger.in_force.clone();
        self.ledger = Ledger::read(&self.state_dir)?;
        if let Some(activated) = &self.ledger.in_force
            && before.as_ref() != Some(activated)
        {
            self.texts = kept::texts(&self.state_dir, activated)?;
        }
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

fn refused(why: &str) -> NotNow {
    NotNow::Refused(why.to_owned())
}

fn is_line(text: &str) -> bool {
    text.len() <= LONGEST_LINE && !text.chars().any(char::is_control)
}

/// Whether that is somebody at the machine.
fn is_console(author: &Author) -> bool {
    author.account == CONSOLE
}
