//! The one writer of the live policy.
//!
//! A start, a SIGHUP and a new generation of lists are the same event: read the
//! school's files, build the whole policy over the lists in force, and only then
//! swap it in and write down that it happened. If any step fails, the old policy
//! serves on, everybody who looks is told why, and the next event tries again.
//!
//! Each activation has a number that every log row carries, so the texts it was
//! made of are kept by their hash: "which rules applied?" always has an answer.
//! Without a valid policy there is none in force at all, and no answers
//! (promise 4).

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::configuration::PolicyTexts;
use crate::document::Complaint;
use crate::lists::durable;
use crate::lists::load::{self, LoadError};
use crate::lists::lookup::Lists;
use crate::policy::Policy;
use crate::policy::compile::Live;

/// The record, one JSON object a line.
pub(super) const RECORD: &str = "activations.jsonl";
/// The texts, by hash.
pub(super) const TEXTS: &str = "texts";

/// Holds the live policy.
pub struct Activation {
    live: Arc<ArcSwapOption<Policy>>,
    config_dir: PathBuf,
    state_dir: PathBuf,
    last: Option<Record>,
    /// What the live policy was made of.
    lists: Option<Arc<Lists>>,
    texts: Option<PolicyTexts>,
    /// Policies that were live and that a worker may still hold.
    retired: Vec<Arc<Policy>>,
    /// How many activations have failed since the start.
    pub failures: u64,
    /// Why the last one failed, if it did.
    pub trouble: Option<String>,
}

/// One activation, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
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
    /// The hash of `sources.toml`. Earlier versions had none.
    #[serde(default)]
    pub sources: String,
    /// The hash of the exceptions that were agreed on the pages. Earlier
    /// versions had none.
    #[serde(default)]
    pub added: String,
    /// The generation of lists.
    pub lists: String,
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
    /// The record cannot be kept.
    #[error("the activation cannot be recorded: {0}")]
    Record(#[from] io::Error),
}

impl Activation {
    /// With nothing live yet. Reads the last activation from the record.
    pub fn new(config_dir: &Path, state_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            live: Arc::new(ArcSwapOption::empty()),
            config_dir: config_dir.to_owned(),
            state_dir: state_dir.to_owned(),
            last: last_record(state_dir)?,
            lists: None,
            texts: None,
            retired: Vec::new(),
            failures: 0,
            trouble: None,
        })
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

    /// The activation that the live policy came of.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        let live = self.policy()?;
        self.last.as_ref().filter(|last| last.number == live.number)
    }

    /// Builds the policy anew and puts it in force.
    pub fn activate(&mut self, cause: Cause, now: Timestamp) -> Result<Record, Refused> {
        let result = self.try_activate(cause, now);
        match &result {
            Ok((_, trouble)) => self.trouble = trouble.as_ref().map(ToString::to_string),
            Err(refused) => {
                self.failures += 1;
                self.trouble = Some(refused.to_string());
            }
        }
        result.map(|(record, _)| record)
    }

    /// Lets go of policies that no worker holds any more. The last to hold one
    /// takes it down, lists and all, and that must not be a worker: a question
    /// would wait for it.
    pub fn tidy(&mut self) {
        self.retired.retain(|policy| Arc::strong_count(policy) > 1);
    }

    fn try_activate(
        &mut self,
        cause: Cause,
        now: Timestamp,
    ) -> Result<(Record, Option<LoadError>), Refused> {
        let texts = match (&self.texts, cause) {
            // New lists are no leave to take up what somebody still types, and
            // what somebody still types is no reason to refuse new lists.
            (Some(texts), Cause::Lists) => texts.clone(),
            _ => PolicyTexts::read(&self.config_dir).map_err(Refused::Policy)?,
        };
        let (lists, trouble) = self.lists_for(cause)?;
        let mut record = Record {
            number: self.last.as_ref().map_or(1, |last| last.number + 1),
            time: now,
            cause,
            policy: hash(&texts.policy),
            devices: hash(&texts.devices),
            canaries: hash(&texts.canaries),
            safe_search: hash(&texts.safe_search),
            sources: hash(&texts.sources),
            added: hash(&texts.added),
            lists: lists.generation.as_ref().to_owned(),
        };
        let last = self.last.as_ref();
        // What has not changed keeps its number: a restart is no change.
        let same = last.filter(|last| last.means_the_same(&record));
        let is_new = same.is_none();
        if let Some(same) = same {
            record = same.clone();
        }
        let policy = texts
            .compile(Live {
                number: record.number,
                not_before: load::put_in_force(&self.state_dir),
                lists: Arc::clone(&lists),
                standing: last.is_some_and(|last| last.policy == record.policy),
            })
            .map_err(Refused::Policy)?;
        if is_new {
            let folder = folder(&self.state_dir);
            keep_record(&folder, &record, &texts).map_err(|e| durable::naming(&folder, &e))?;
        }
        self.retired.extend(self.live.swap(Some(Arc::new(policy))));
        self.lists = Some(lists);
        self.texts = Some(texts);
        self.last = Some(record.clone());
        Ok((record, trouble))
    }

    /// The lists for a policy. A new policy takes up lists that were refused
    /// before; ones that cannot be read are trouble, but not the policy's.
    fn lists_for(&self, cause: Cause) -> Result<(Arc<Lists>, Option<LoadError>), LoadError> {
        match (&self.lists, cause) {
            (Some(lists), Cause::Reload) if load::is_current(lists, &self.state_dir) => {
                Ok((Arc::clone(lists), None))
            }
            (Some(lists), Cause::Reload) => Ok(match load::open(&self.state_dir) {
                Ok(lists) => (lists, None),
                Err(trouble) => (Arc::clone(lists), Some(trouble)),
            }),
            _ => Ok((load::open(&self.state_dir)?, None)),
        }
    }
}

impl Record {
    fn means_the_same(&self, other: &Self) -> bool {
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

/// The last activation in the record.
pub fn last_record(state_dir: &Path) -> io::Result<Option<Record>> {
    let path = folder(state_dir).join(RECORD);
    match fs::read_to_string(&path) {
        // A line that a power cut tore is passed over.
        Ok(text) => Ok(text
            .lines()
            .rev()
            .find_map(|l| serde_json::from_str(l).ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(durable::naming(&path, &error)),
    }
}

pub(super) fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("changes")
}

fn keep_record(folder: &Path, record: &Record, texts: &PolicyTexts) -> io::Result<()> {
    // Devices and their owners stand in the texts: nobody else reads them.
    durable::create_folder(&folder.join(TEXTS))?;
    for (hash, text) in [
        (&record.policy, &texts.policy),
        (&record.devices, &texts.devices),
        (&record.canaries, &texts.canaries),
        (&record.safe_search, &texts.safe_search),
        (&record.sources, &texts.sources),
        (&record.added, &texts.added),
    ] {
        let path = folder.join(TEXTS).join(hash);
        if !path.exists() {
            durable::write(&path, text.as_bytes())?;
        }
    }
    let mut line = serde_json::to_string(record).map_err(io::Error::other)?;
    line.push('\n');
    let mut file = fs::OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(0o600)
        .open(folder.join(RECORD))?;
    if is_torn(&mut file)? {
        // Or this line would be lost with the one that a power cut tore.
        line.insert(0, '\n');
    }
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Whether the last line has no end.
fn is_torn(file: &mut fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
