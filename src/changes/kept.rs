//! Which rules applied: an activation by its number, and the texts its policy
//! was made of.
//!
//! Read by whoever explains a row of the log long after the policy has changed.
//! It must never put anything in force.

use std::fs;
use std::io;
use std::path::Path;

use crate::configuration::PolicyTexts;
use crate::lists::durable;

use super::activation::{RECORD, Record, TEXTS, folder};

/// The activation of this number, if the record has it.
pub fn activation(state_dir: &Path, number: u64) -> io::Result<Option<Record>> {
    let path = folder(state_dir).join(RECORD);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(durable::naming(&path, &error)),
    };
    // A line that a power cut tore is passed over.
    let mut records = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Record>(line).ok());
    Ok(records.find(|record| record.number == number))
}

/// What the policy of an activation was made of, if all of it is kept.
#[must_use]
pub fn texts(state_dir: &Path, record: &Record) -> Option<PolicyTexts> {
    let folder = folder(state_dir).join(TEXTS);
    let text = |hash: &str| {
        let is_hash = !hash.is_empty() && hash.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash.then(|| fs::read_to_string(folder.join(hash)).ok())?
    };
    Some(PolicyTexts {
        policy: text(&record.policy)?,
        devices: text(&record.devices)?,
        canaries: text(&record.canaries)?,
        safe_search: text(&record.safe_search)?,
    })
}
