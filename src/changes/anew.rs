//! A record begun anew, by somebody at the machine, where the old one can no
//! longer be believed.
//!
//! The old record is kept for ever under a dated name, its digest noted in the
//! entry that founds the new one, and what the folder has comes into force: only
//! with that can DNS be answered at all, and a second person has to take note of
//! it. Nothing is believed of a record that does not hang together, not even the
//! part before the break: whoever altered it had all of it in their hands. So
//! nobody can approve until somebody is enrolled at the machine; those who could
//! are put among those who wait, and whoever was enrolled confirms them. Sites
//! that were closed on the pages stay closed, for that can do no harm; what was
//! opened there is not open any more.
//!
//! It must never run beside a resolver, nor replace a record that is whole.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::activation::{Activated, Cause, Refused};
use super::change::{self, Change, Files};
use super::console;
use super::difference::{Effect, Part};
use super::kept::{self, Texts};
use super::ledger::{Ledger, kind, with};
use super::proposal::{Author, CONSOLE, Proposal};
use super::signatory::Signatory;
use crate::configuration::PolicyTexts;
use crate::lists::durable;
use crate::lists::load;
use crate::policy::compile::Live;
use crate::record::{Deed, Entry, Record};

/// What the files of the record are called.
const RECORD: &str = "record.jsonl";
const HEAD: &str = "head.json";

/// A record that was begun anew.
#[derive(Debug)]
pub struct Begun {
    /// What is in force by it.
    pub activated: Activated,
    /// What the old record is called now.
    pub aside: String,
    /// Accounts that wait to be able to approve again.
    pub wanting: Vec<String>,
}

/// Why it was not.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// There is nothing to mend.
    #[error(
        "the record of changes is whole, and so are the texts of policy {0}: there is no reason \
         to begin anew"
    )]
    Whole(u64),
    /// There is no record yet.
    #[error("there is no record of changes yet; `schoolgate serve` begins it")]
    None,
    /// The files make no policy.
    #[error(transparent)]
    Policy(#[from] Refused),
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Begins the record below `state_dir` anew, with these texts in force. Whoever
/// calls it holds the place of the resolver.
pub fn begin_anew(
    state_dir: &Path,
    texts: &PolicyTexts,
    (why, from): (&str, &str),
    now: Timestamp,
) -> Result<Begun, NotBegun> {
    let folder = state_dir.join("changes");
    let path = folder.join(RECORD);
    let old = durable::read_if_any(&path)?;
    let head = durable::read_if_any(&folder.join(HEAD))?;
    if old.is_none() && head.is_none() && !console::has_record(state_dir) {
        return Err(NotBegun::None);
    }
    is_broken(state_dir)?;
    let old = old.unwrap_or_default();
    let former = Former::of(&old);
    let mut texts = texts.clone();
    texts.added = closed_sites(state_dir).unwrap_or_default();
    let activated = activation(state_dir, &texts, former.policy + 1, now)?;
    let aside = format!("record-{}.jsonl", now.strftime("%Y%m%dT%H%M%SZ"));
    durable::write(&folder.join(&aside), &old)?;
    let proposal = proposal(&former, &activated, why, now);
    let deed = Deed::new(CONSOLE, kind::FOUNDED).from(from);
    let deed = with(deed, "activation", &activated);
    let deed = with(deed, "proposal", &proposal);
    let deed = deed.about("why", why).about("aside", aside.as_str());
    let deed = deed.about("aside_digest", blake3::hash(&old).to_hex().as_str());
    let mut deeds = vec![deed];
    for signatory in &former.signatories {
        let waits = Deed::new(CONSOLE, kind::SIGNATORY_WAITS).from(from);
        deeds.push(with(waits, "signatory", signatory));
    }
    replace(state_dir, deeds, now)?;
    Ok(Begun {
        activated,
        aside,
        wanting: former.signatories.into_iter().map(|s| s.account).collect(),
    })
}

/// Refuses where nothing is wrong.
fn is_broken(state_dir: &Path) -> Result<(), NotBegun> {
    let Ok(ledger) = Ledger::read(state_dir) else {
        return Ok(());
    };
    match ledger.in_force {
        Some(activated) if matches!(kept::texts(state_dir, &activated), Ok(Some(_))) => {
            Err(NotBegun::Whole(activated.number))
        }
        _ => Ok(()),
    }
}

fn activation(
    state_dir: &Path,
    texts: &PolicyTexts,
    number: u64,
    now: Timestamp,
) -> Result<Activated, Refused> {
    let lists = load::open(state_dir)?;
    let live = Live {
        number,
        not_before: load::put_in_force(state_dir),
        lists: std::sync::Arc::clone(&lists),
        standing: false,
    };
    texts.compile(live).map_err(Refused::Policy)?;
    let kept = Texts::new(state_dir);
    Activated::of(texts, &kept, (number, Cause::Start), &lists, now)
}

/// The new record is made elsewhere, and takes the old one's place whole. The
/// head comes last: between the two the record does not fit it, and this can be
/// done again.
fn replace(state_dir: &Path, deeds: Vec<Deed>, now: Timestamp) -> io::Result<()> {
    let elsewhere = state_dir.join("changes").join("anew");
    match fs::remove_dir_all(&elsewhere) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let record = Record::of_changes(&elsewhere);
    for deed in deeds {
        record.add(deed, now)?;
    }
    for file in [RECORD, HEAD] {
        let to = state_dir.join("changes").join(file);
        fs::rename(elsewhere.join("changes").join(file), to)?;
    }
    durable::sync_folder(&state_dir.join("changes"))?;
    fs::remove_dir_all(&elsewhere)
}

/// What can be read of a record that is not believed: numbers, so that none is
/// given twice, and who to ask.
#[derive(Default)]
struct Former {
    policy: u64,
    proposal: u64,
    signatories: Vec<Signatory>,
}

impl Former {
    fn of(text: &[u8]) -> Self {
        let mut former = Self::default();
        let lines = text.split(|byte| *byte == b'\n');
        for entry in lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok()) {
            let about = &entry.deed.about;
            let number = |key: &str| {
                let number = about.get(key).and_then(|one| one.get("number"));
                number.and_then(Value::as_u64).unwrap_or_default()
            };
            former.policy = former.policy.max(number("activation"));
            former.proposal = former.proposal.max(number("proposal"));
            let signatory = about.get("signatory").cloned();
            let signatory = signatory.and_then(|one| serde_json::from_value::<Signatory>(one).ok());
            let account = about.get("account").and_then(Value::as_str);
            let gone = signatory.as_ref().map(|one| one.account.as_str());
            if let Some(account) = gone.or(account) {
                former.signatories.retain(|one| one.account != account);
            }
            if entry.deed.what == kind::SIGNATORY {
                former.signatories.extend(signatory);
            }
        }
        former
    }
}

fn proposal(former: &Former, activated: &Activated, why: &str, now: Timestamp) -> Proposal {
    let words = "the record of changes was begun anew, and what the files of the folder say came \
                 into force without a second person";
    Proposal {
        number: former.proposal + 1,
        by: Author::console(),
        why: why.to_owned(),
        change: Change::Files(Files {
            policy: activated.policy.clone(),
            devices: activated.devices.clone(),
            canaries: activated.canaries.clone(),
            safe_search: activated.safe_search.clone(),
            sources: activated.sources.clone(),
        }),
        parts: vec![Part {
            effect: Effect::Loosens,
            words: words.to_owned(),
        }],
        rehearsal: None,
        requests: Vec::new(),
        over: former.policy,
        digest: String::new(),
        time: now,
    }
}

/// The exceptions that were agreed on the pages and close a site, if they can
/// still be read.
fn closed_sites(state_dir: &Path) -> Option<String> {
    let last = kept::last(state_dir).ok()??;
    let added = Texts::new(state_dir).text(&last.added).ok()?;
    change::only_closing(&added)
}
