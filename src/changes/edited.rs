//! What stands in the folder and is not in force: edits that nobody has proposed,
//! and those that wait.
//!
//! Whoever edits a file must hear that this alone changes nothing, wherever they
//! look (`check`, the resolver's log, the pages): silence would be taken for
//! success. It must never put anything in force.

use std::fmt;
use std::io;
use std::path::Path;

use super::activation::with_shipped;
use super::change::{Change, Files};
use super::difference;
use super::kept;
use super::ledger::Ledger;
use crate::configuration::PolicyTexts;

/// A file of the folder that is not as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its name, such as `policy.toml`.
    pub file: &'static str,
    /// The number of the policy in force.
    pub since: u64,
    /// In how many parts its meaning differs; none if it cannot be read, or not
    /// without another file.
    pub parts: Option<usize>,
    /// The proposal by which it waits for another person.
    pub waits: Option<u64>,
}

/// A file of the school, as its text is found among the others.
type Field = fn(&mut PolicyTexts) -> &mut String;

const FILES: [(&str, Field); 5] = [
    ("policy.toml", |texts| &mut texts.policy),
    ("devices.csv", |texts| &mut texts.devices),
    ("canaries.toml", |texts| &mut texts.canaries),
    ("safe-search.toml", |texts| &mut texts.safe_search),
    ("sources.toml", |texts| &mut texts.sources),
];

/// The files in `config_dir` that are not as they are in force by the record in
/// `state_dir`; empty too if nothing ever was.
pub fn edited(config_dir: &Path, state_dir: &Path) -> io::Result<Vec<Edited>> {
    let ledger = Ledger::read(state_dir).map_err(io::Error::other)?;
    let Some(activated) = &ledger.in_force else {
        return Ok(Vec::new());
    };
    let Some(texts) = kept::texts(state_dir, activated)? else {
        return Ok(Vec::new());
    };
    // A new version of the program brings its own tables.
    let in_force = with_shipped(&texts, activated);
    let edited = |file, parts, waits| Edited {
        file,
        since: activated.number,
        parts,
        waits,
    };
    let mut folder = match PolicyTexts::read(config_dir) {
        Ok(folder) => folder,
        Err(complaints) => {
            let is_odd = |name: &str| complaints.iter().any(|c| c.place.file == name);
            let odd = FILES.iter().filter(|(name, _)| is_odd(name));
            return Ok(odd.map(|(name, _)| edited(*name, None, None)).collect());
        }
    };
    let files = Files::of(&folder);
    let proposed = |change: &Change| matches!(change, Change::Files(of) if *of == files);
    let mut waiting = ledger.waiting.values();
    let waits = waiting.find(|proposal| proposed(&proposal.change));
    let waits = waits.map(|proposal| proposal.number);
    let mut found = Vec::new();
    for (name, field) in FILES {
        let text = field(&mut folder).clone();
        let mut candidate = in_force.clone();
        if *field(&mut candidate) == text {
            continue;
        }
        *field(&mut candidate) = text;
        found.push(edited(name, differences(&in_force, &candidate), waits));
    }
    Ok(found)
}

fn differences(before: &PolicyTexts, after: &PolicyTexts) -> Option<usize> {
    let (before, after) = (before.typed().ok()?, after.typed().ok()?);
    Some(difference::between(&before, &after).len())
}

impl fmt::Display for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, since, .. } = self;
        if let Some(proposal) = self.waits {
            return write!(
                f,
                "{file}: edited, and not in force (policy {since} is): proposal {proposal} waits \
                 for another person"
            );
        }
        write!(f, "{file}: edited, not proposed (since policy {since}")?;
        match self.parts {
            Some(1) => write!(f, ", 1 difference")?,
            Some(parts) => write!(f, ", {parts} differences")?,
            None => {}
        }
        write!(f, "): `schoolgate propose -m WHY`")
    }
}
