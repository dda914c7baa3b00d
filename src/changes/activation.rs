//! The one writer of the live policy.
//!
//! A start, a SIGHUP, a new generation of lists and an approved change are the
//! same event: build the whole policy over the lists in force, look whether it
//! breaks what must resolve, write down that it comes into force, and only then
//! swap it in. If any step fails, the old policy serves on, everybody who looks
//! is told why, and the next event tries again. A crash between writing down and
//! swapping leaves what was written down, which is what the next start puts in
//! force.
//!
//! Other texts than those in force take an [`Approved`] change. Each activation
//! has a number that every log row carries, and its texts are kept: "which rules
//! applied?" always has an answer. Without a valid policy there is none in force
//! at all, and no answers (promise 4).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change;
use super::kept::Texts;
use super::ledger::{APPLIANCE, Ledger, kind, with};
use super::proposal::Approved;
use super::rehearsal::check::{Musts, check_change};
use crate::configuration::PolicyTexts;
use crate::document::Complaint;
use crate::lists::durable;
use crate::lists::load::{self, LoadError};
use crate::lists::lookup::Lists;
use crate::lists::source;
use crate::policy::compile::Live;
use crate::policy::document::ChangeRule;
use crate::policy::{Policy, canary, safe_search};
use crate::record::{Deed, Record};

/// Holds the live policy.
pub struct Activation {
    live: Arc<ArcSwapOption<Policy>>,
    config_dir: PathBuf,
    state_dir: PathBuf,
    record: Record,
    kept: Texts,
    /// What the live policy was made of.
    lists: Option<Arc<Lists>>,
    /// Policies that were live and that a worker may still hold.
    retired: Vec<Arc<Policy>>,
}

/// One activation, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activated {
    /// Its number; log rows carry it.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// What it came of.
    pub cause: Cause,
    /// The hash of `policy.toml`.
    pub policy: String,
    /// The hash of `devices.csv`.
    pub devices: String,
    /// The hash of `canaries.toml`. Earlier versions had none.
    #[serde(default)]
    pub canaries: String,
    /// The hash of `safe-search.toml`.
    #[serde(default)]
    pub safe_search: String,
    /// The hash of `sources.toml`.
    #[serde(default)]
    pub sources: String,
    /// The hash of the exceptions that were agreed on the pages.
    #[serde(default)]
    pub added: String,
    /// The generation of lists.
    pub lists: String,
    /// Which tables are the program's own, and so come anew with its versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipped: Vec<Table>,
    /// Who must agree to a change of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<ChangeRule>,
}

/// A table that comes with the program unless the school has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// `canaries.toml`.
    Canaries,
    /// `safe-search.toml`.
    SafeSearch,
    /// `sources.toml`.
    Sources,
}

/// What an activation comes of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The resolver started.
    Start,
    /// Somebody asked for it (SIGHUP).
    Reload,
    /// New lists were compiled.
    Lists,
    /// Somebody's change.
    Change,
}

/// Why a policy did not become the live one.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Mistakes in the school's files.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Complaint>),
    /// No lists, or damaged ones.
    #[error(transparent)]
    Lists(#[from] LoadError),
    /// It would break what must resolve, or open what must stay blocked.
    #[error("{}", .0.join("\n"))]
    Rehearsal(Vec<String>),
    /// The record cannot be kept.
    #[error("the activation cannot be recorded: {0}")]
    Record(#[from] io::Error),
}

/// A policy that is to be in force.
struct Candidate<'c> {
    texts: &'c PolicyTexts,
    cause: Cause,
    /// What is written down of it, but for the activation itself.
    deed: Deed,
}

impl Activation {
    /// With nothing live yet.
    #[must_use]
    pub fn new(config_dir: &Path, state_dir: &Path) -> Self {
        Self {
            live: Arc::new(ArcSwapOption::empty()),
            config_dir: config_dir.to_owned(),
            state_dir: state_dir.to_owned(),
            record: Record::of_changes(state_dir),
            kept: Texts::new(state_dir),
            lists: None,
            retired: Vec::new(),
        }
    }

    /// Where the packet road finds the policy.
    #[must_use]
    pub fn live(&self) -> Arc<ArcSwapOption<Policy>> {
        Arc::clone(&self.live)
    }

    /// The policy that serves.
    #[must_use]
    pub fn policy(&self) -> Option<Arc<Policy>> {
        self.live.load_full()
    }

    /// Lets go of policies that no worker holds any more. The last to hold one
    /// takes it down, lists and all, and that must not be a worker: a question
    /// would wait for it.
    pub fn tidy(&mut self) {
        self.retired.retain(|policy| Arc::strong_count(policy) > 1);
    }

    /// Puts the policy in force that was found with an empty record; `former` is
    /// what a version without change control had in force.
    pub(super) fn found(
        &mut self,
        ledger: &Ledger,
        texts: &PolicyTexts,
        former: Option<&Activated>,
        now: Timestamp,
    ) -> Result<(Activated, Option<LoadError>), Refused> {
        let candidate = Candidate {
            texts,
            cause: Cause::Start,
            deed: Deed::new(APPLIANCE, kind::FOUNDED),
        };
        self.put(candidate, (ledger, former), now)
    }

    /// Builds the policy in force anew, of these texts.
    pub(super) fn renew(
        &mut self,
        ledger: &Ledger,
        texts: &PolicyTexts,
        cause: Cause,
        now: Timestamp,
    ) -> Result<(Activated, Option<LoadError>), Refused> {
        let candidate = Candidate {
            texts,
            cause,
            deed: Deed::new(APPLIANCE, kind::ACTIVATED),
        };
        self.put(candidate, (ledger, None), now)
    }

    /// Puts an approved change in force; `deed` says whose it is.
    pub(super) fn activate(
        &mut self,
        ledger: &Ledger,
        approved: &Approved,
        deed: Deed,
        texts: &PolicyTexts,
        now: Timestamp,
    ) -> Result<(Activated, Option<LoadError>), Refused> {
        let deed = deed.about("proposal", approved.proposal());
        let candidate = Candidate {
            texts,
            cause: Cause::Change,
            deed: with(deed, "leave", approved.leave()),
        };
        self.put(candidate, (ledger, None), now)
    }

    /// Whether a policy can be made of these texts, over the lists in force.
    pub(super) fn would_serve(
        &self,
        texts: &PolicyTexts,
        last: &Activated,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let (lists, _) = self.lists_for(Cause::Change)?;
        let is_standing =
            change::hash(&texts.policy) == last.policy && change::hash(&texts.added) == last.added;
        self.build(texts, last.number + 1, is_standing, &lists, now)?;
        Ok(())
    }

    fn build(
        &self,
        texts: &PolicyTexts,
        number: u64,
        standing: bool,
        lists: &Arc<Lists>,
        now: Timestamp,
    ) -> Result<Policy, Refused> {
        let live = Live {
            number,
            not_before: load::put_in_force(&self.state_dir),
            lists: Arc::clone(lists),
            standing,
        };
        let policy = texts.compile(live).map_err(Refused::Policy)?;
        // What serves already is no reason for a school to be without.
        if let Some(before) = self.policy() {
            let musts = Musts::of_school(&self.config_dir).map_err(Refused::Policy)?;
            let refusals = check_change(&before, &policy, &musts, now);
            if !refusals.is_empty() {
                return Err(Refused::Rehearsal(refusals));
            }
        }
        Ok(policy)
    }

    /// Puts the policy that the record has in force over the lists of now, where
    /// that they are new cannot be written down: a full disk is no reason for a
    /// school to be without. What loosens cannot come about so.
    pub(super) fn serve_unrecorded(
        &mut self,
        texts: &PolicyTexts,
        last: &Activated,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let (lists, _) = self.lists_for(Cause::Start)?;
        let policy = self.build(texts, last.number, true, &lists, now)?;
        self.retired.extend(self.live.swap(Some(Arc::new(policy))));
        self.lists = Some(lists);
        Ok(())
    }

    fn put(
        &mut self,
        candidate: Candidate<'_>,
        (ledger, former): (&Ledger, Option<&Activated>),
        now: Timestamp,
    ) -> Result<(Activated, Option<LoadError>), Refused> {
        let Candidate { texts, cause, deed } = candidate;
        let last = ledger.in_force.as_ref().or(former);
        let (lists, trouble) = self.lists_for(cause)?;
        let number = last.map_or(1, |last| last.number + 1);
        let mut activated = Activated::of(texts, &self.kept, (number, cause), &lists, now)?;
        // What has not changed keeps its number: a restart is no change.
        let same = last.filter(|last| deed.what != kind::FOUNDED && last.is_as(&activated));
        let is_new = same.is_none();
        if let Some(same) = same {
            activated = same.clone();
        }
        let is_standing = last
            .is_some_and(|last| last.policy == activated.policy && last.added == activated.added);
        let policy = self.build(texts, activated.number, is_standing, &lists, now)?;
        if is_new {
            let deed = with(deed, "activation", &activated);
            let judge = |entry: &_| ledger.clone().take(entry);
            self.record.add_judged(deed, now, judge)?;
        }
        self.tell_refresh(texts);
        self.retired.extend(self.live.swap(Some(Arc::new(policy))));
        self.lists = Some(lists);
        Ok((activated, trouble))
    }

    /// Writes down where `refresh`, which cannot see the record, finds the sources
    /// in force. Without that it fetches those it fetched before.
    fn tell_refresh(&self, texts: &PolicyTexts) {
        let path = self.state_dir.join(source::IN_FORCE);
        let text = texts.sources.as_bytes();
        let is_there = durable::read_if_any(&path);
        if is_there.is_ok_and(|there| there.as_deref() == Some(text)) {
            return;
        }
        if let Err(error) = durable::write(&path, text) {
            tracing::error!(%error, "refresh cannot be told which lists there are");
        }
    }

    /// The lists for a policy. A new policy takes up lists that were refused
    /// before; ones that cannot be read are trouble, but not the policy's.
    fn lists_for(&self, cause: Cause) -> Result<(Arc<Lists>, Option<LoadError>), LoadError> {
        match (&self.lists, cause) {
            (Some(lists), Cause::Reload | Cause::Change)
                if load::is_current(lists, &self.state_dir) =>
            {
                Ok((Arc::clone(lists), None))
            }
            (Some(lists), Cause::Reload | Cause::Change) => Ok(match load::open(&self.state_dir) {
                Ok(lists) => (lists, None),
                Err(trouble) => (Arc::clone(lists), Some(trouble)),
            }),
            _ => Ok((load::open(&self.state_dir)?, None)),
        }
    }
}

impl Activated {
    /// Of these texts, which are kept for it.
    pub(super) fn of(
        texts: &PolicyTexts,
        kept: &Texts,
        (number, cause): (u64, Cause),
        lists: &Lists,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let rule = texts.typed().map_err(Refused::Policy)?.document.rule;
        Ok(Self {
            number,
            time: now,
            cause,
            policy: kept.keep(&texts.policy)?,
            devices: kept.keep(&texts.devices)?,
            canaries: kept.keep(&texts.canaries)?,
            safe_search: kept.keep(&texts.safe_search)?,
            sources: kept.keep(&texts.sources)?,
            added: kept.keep(&texts.added)?,
            lists: lists.generation.as_ref().to_owned(),
            shipped: shipped(texts),
            rule: Some(rule),
        })
    }

    fn is_as(&self, other: &Self) -> bool {
        // When and of what it came is all that may differ.
        let Self {
            number,
            time,
            cause,
            ..
        } = *self;
        let other = Self {
            number,
            time,
            cause,
            ..other.clone()
        };
        *self == other
    }
}

const SHIPPED: [(Table, &str); 3] = [
    (Table::Canaries, canary::SHIPPED),
    (Table::SafeSearch, safe_search::SHIPPED),
    (Table::Sources, source::SHIPPED),
];

fn shipped(texts: &PolicyTexts) -> Vec<Table> {
    let is = |(table, shipped): &(Table, &str)| {
        let text = match table {
            Table::Canaries => &texts.canaries,
            Table::SafeSearch => &texts.safe_search,
            Table::Sources => &texts.sources,
        };
        text == shipped
    };
    SHIPPED
        .iter()
        .filter(|row| is(row))
        .map(|row| row.0)
        .collect()
}

/// The texts with the tables of this version of the program, where those of an
/// earlier one were in force.
pub(super) fn with_shipped(texts: &PolicyTexts, last: &Activated) -> PolicyTexts {
    let mut texts = texts.clone();
    for (table, shipped) in SHIPPED {
        if last.shipped.contains(&table) {
            let text = match table {
                Table::Canaries => &mut texts.canaries,
                Table::SafeSearch => &mut texts.safe_search,
                Table::Sources => &mut texts.sources,
            };
            shipped.clone_into(text);
        }
    }
    texts
}
