//! Whether the records are what was written, entry by entry, and so are the texts
//! that the policies were made of.
//!
//! A chain proves itself but for its end and for one written wholly anew: for
//! that its head is compared with what was noted down elsewhere, such as in the
//! digest by e-mail.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::Of;
use crate::changes::activation::Activated;
use crate::changes::kept::Texts;
use crate::changes::ledger::{Ledger, kind};
use crate::record::{Broken, Entry};

/// Fewest characters of a digest that name an entry.
const LEAST: usize = 8;

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    /// Whether all is as it was written, and the digest that was asked for there.
    whole: bool,
    records: Vec<State>,
    texts: Kept,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Noted>,
}

/// A record.
#[derive(Debug, Serialize)]
struct State {
    file: &'static str,
    entries: u64,
    /// The digest of the last entry; empty if there is none.
    head: String,
    /// The first that does not fit, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

/// The texts.
#[derive(Debug, Default, Serialize)]
struct Kept {
    policies: usize,
    texts: usize,
    /// The first that is not what was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

/// The digest that somebody noted down.
#[derive(Debug, Serialize)]
struct Noted {
    digest: String,
    /// Where it is, if it is.
    found: Option<String>,
}

/// Goes through everything below `state_dir`.
pub(super) fn verify(state_dir: &Path, digest: Option<&str>) -> Found {
    let changes = match Ledger::read(state_dir) {
        Ok(ledger) => state(Of::Changes, Ok(ledger.head)),
        Err(broken) => state(Of::Changes, Err(broken)),
    };
    let access = state(Of::Access, Of::Access.record(state_dir).verify());
    let texts = texts(state_dir).unwrap_or_else(|error| Kept {
        broken: Some(error.to_string()),
        ..Kept::default()
    });
    let head = digest.map(|digest| Noted {
        digest: digest.to_owned(),
        found: look_for(state_dir, digest.trim()),
    });
    let records = vec![changes, access];
    let whole = records.iter().all(|state| state.broken.is_none())
        && texts.broken.is_none()
        && head.as_ref().is_none_or(|noted| noted.found.is_some());
    Found {
        whole,
        records,
        texts,
        head,
    }
}

fn state(of: Of, read: Result<Option<Entry>, Broken>) -> State {
    let (head, broken) = match read {
        Ok(head) => (head, None),
        Err(broken) => (None, Some(broken.to_string())),
    };
    State {
        file: of.file(),
        entries: head.as_ref().map_or(0, |head| head.number),
        head: head.map_or(String::new(), |head| head.digest),
        broken,
    }
}

/// The texts of every activation in the record.
fn texts(state_dir: &Path) -> io::Result<Kept> {
    let kept = Texts::new(state_dir);
    let mut found = Kept::default();
    let mut seen = BTreeSet::new();
    for entry in Of::Changes.record(state_dir).entries()? {
        let is_one = [kind::ACTIVATED, kind::FOUNDED].contains(&entry.deed.what.as_str());
        let activation = entry.deed.about.get("activation").filter(|_| is_one);
        let activation = activation.cloned().map(serde_json::from_value::<Activated>);
        let Some(Ok(activated)) = activation else {
            continue;
        };
        found.policies += 1;
        for (file, hash) in hashes(&activated) {
            // An earlier version kept no text of what it shipped.
            if hash.is_empty() || !seen.insert(hash.to_owned()) {
                continue;
            }
            found.texts += 1;
            if let (Err(error), None) = (kept.text(hash), &found.broken) {
                let number = activated.number;
                found.broken = Some(format!("{error} ({file} of policy {number})"));
            }
        }
    }
    Ok(found)
}

fn hashes(activated: &Activated) -> [(&'static str, &str); 6] {
    [
        ("policy.toml", &activated.policy),
        ("devices.csv", &activated.devices),
        ("canaries.toml", &activated.canaries),
        ("safe-search.toml", &activated.safe_search),
        ("sources.toml", &activated.sources),
        ("the exceptions of the pages", &activated.added),
    ]
}

/// Where the entry of that digest is; records that were put aside are looked
/// through too.
fn look_for(state_dir: &Path, digest: &str) -> Option<String> {
    if digest.len() < LEAST {
        return None;
    }
    let is_it = |entry: &Entry| entry.digest.starts_with(digest);
    for of in [Of::Changes, Of::Access] {
        let entries = of.record(state_dir).entries().unwrap_or_default();
        if let Some(entry) = entries.iter().find(|entry| is_it(entry)) {
            return Some(place(of.file(), entry));
        }
    }
    let folder = fs::read_dir(state_dir.join("changes")).ok()?;
    for file in folder.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if !name.starts_with("record-") {
            continue;
        }
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        let mut entries = text.lines().filter_map(|l| serde_json::from_str(l).ok());
        if let Some(entry) = entries.find(|entry: &Entry| is_it(entry)) {
            return Some(place(&format!("changes/{name}"), &entry) + ", which was put aside");
        }
    }
    None
}

fn place(file: &str, entry: &Entry) -> String {
    format!("entry {} of {file}, {}", entry.number, entry.time)
}

impl Found {
    /// Writes it; the exit status.
    pub(super) fn write(&self, json: bool, out: &mut impl Write) -> io::Result<u8> {
        let code = u8::from(!self.whole);
        if json {
            serde_json::to_writer(&mut *out, self)?;
            writeln!(out)?;
            return Ok(code);
        }
        for State {
            file,
            entries,
            head,
            broken,
        } in &self.records
        {
            match broken {
                Some(broken) => writeln!(out, "{file}: {broken}")?,
                None if *entries == 0 => writeln!(out, "{file}: nothing is recorded yet")?,
                None => writeln!(out, "{file}: whole; entry {entries} is the last, {head}")?,
            }
        }
        let Kept {
            policies,
            texts,
            broken,
        } = &self.texts;
        match broken {
            Some(broken) => writeln!(out, "changes/texts: {broken}")?,
            None => writeln!(
                out,
                "changes/texts: whole; {texts} texts of {policies} policies"
            )?,
        }
        match &self.head {
            Some(Noted {
                digest,
                found: Some(found),
            }) => writeln!(out, "{digest}: {found}")?,
            Some(Noted { digest, .. }) => writeln!(
                out,
                "{digest}: is in no record here. If it was noted down from one, that record was \
                 cut off or written anew."
            )?,
            None => {}
        }
        Ok(code)
    }
}
