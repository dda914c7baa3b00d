//! What was once in force: an activation by its number, and the texts its policy
//! was made of.
//!
//! Read by whoever explains a row of the log long after the policy has changed,
//! and by the resolver at its start. A text is kept under its hash and is
//! believed only while it has it: what somebody edited there by hand is not
//! what was agreed. It must never put anything in force.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::activation::Activated;
use super::change::hash;
use super::ledger::kind;
use crate::configuration::PolicyTexts;
use crate::lists::durable;
use crate::lists::source;
use crate::policy::{canary, safe_search};

/// The record of versions before there was change control, one JSON object a line.
const FORMER: &str = "activations.jsonl";

/// The texts, by hash.
#[derive(Debug, Clone)]
pub struct Texts {
    state_dir: PathBuf,
}

impl Texts {
    /// Those below `state_dir`.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
        }
    }

    /// The text of this hash.
    pub fn text(&self, of: &str) -> io::Result<String> {
        let is_hash = |c: char| c.is_ascii_hexdigit();
        if of.is_empty() || !of.chars().all(is_hash) {
            return Err(io::Error::other("that is no hash of a text"));
        }
        let path = self.folder().join(of);
        let text = fs::read_to_string(&path).map_err(|error| durable::naming(&path, &error))?;
        if hash(&text) != of {
            let why = format!("{}: has been altered since it was kept", path.display());
            return Err(io::Error::other(why));
        }
        Ok(text)
    }

    /// Keeps a text; gives its hash.
    pub fn keep(&self, text: &str) -> io::Result<String> {
        let folder = self.folder();
        // Devices and their owners stand in the texts: nobody else reads them.
        durable::create_folder(&folder)?;
        let hash = hash(text);
        let path = folder.join(&hash);
        if !path.exists() {
            durable::write(&path, text.as_bytes())
                .map_err(|error| durable::naming(&path, &error))?;
        }
        Ok(hash)
    }

    fn folder(&self) -> PathBuf {
        self.state_dir.join("changes").join("texts")
    }
}

/// The last activation in the record.
pub fn last(state_dir: &Path) -> io::Result<Option<Activated>> {
    find(state_dir, |_| true)
}

/// The activation of this number, if the record has it.
pub fn activation(state_dir: &Path, number: u64) -> io::Result<Option<Activated>> {
    find(state_dir, |activated| activated.number == number)
}

/// The last activation that is wanted, of this record or the former one. A line
/// that cannot be read is passed over: `Ledger::read` is who judges.
fn find(state_dir: &Path, is_wanted: impl Fn(&Activated) -> bool) -> io::Result<Option<Activated>> {
    let record = read_if_any(state_dir, "record.jsonl")?;
    let found = record.lines().rev().filter_map(of_entry).find(&is_wanted);
    if found.is_some() {
        return Ok(found);
    }
    let former = read_if_any(state_dir, FORMER)?;
    let former = former.lines().rev();
    Ok(former
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(is_wanted))
}

fn of_entry(line: &str) -> Option<Activated> {
    #[derive(serde::Deserialize)]
    struct Line {
        what: String,
        about: About,
    }
    #[derive(serde::Deserialize)]
    struct About {
        activation: Activated,
    }
    // Most entries are others, and are long.
    if !line.contains("\"activation\"") {
        return None;
    }
    let line: Line = serde_json::from_str(line).ok()?;
    let is_one = [kind::ACTIVATED, kind::FOUNDED].contains(&line.what.as_str());
    is_one.then_some(line.about.activation)
}

fn read_if_any(state_dir: &Path, file: &str) -> io::Result<String> {
    let path = state_dir.join("changes").join(file);
    let bytes = durable::read_if_any(&path).map_err(|error| durable::naming(&path, &error))?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

/// The school's texts of an activation; none if one of them is no longer there.
/// Versions that had no table of names of their own took the shipped one.
pub fn texts(state_dir: &Path, activated: &Activated) -> io::Result<Option<PolicyTexts>> {
    let kept = Texts::new(state_dir);
    let text = |hash: &str, shipped: &str| match kept.text(hash) {
        _ if hash.is_empty() => Ok(Some(shipped.to_owned())),
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let all = (
        text(&activated.policy, "")?,
        text(&activated.devices, "")?,
        text(&activated.canaries, canary::SHIPPED)?,
        text(&activated.safe_search, safe_search::SHIPPED)?,
        text(&activated.sources, source::SHIPPED)?,
        text(&activated.added, "")?,
    );
    let (
        Some(policy),
        Some(devices),
        Some(canaries),
        Some(safe_search),
        Some(sources),
        Some(added),
    ) = all
    else {
        return Ok(None);
    };
    Ok(Some(PolicyTexts {
        policy,
        devices,
        canaries,
        safe_search,
        sources,
        added,
    }))
}
