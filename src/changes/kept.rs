//! Which rules applied: an activation by its number, and the texts its policy
//! was made of.
//!
//! Read by whoever explains a row of the log long after the policy has changed.
//! It must never put anything in force.

use std::fs;
use std::io;
use std::path::Path;

use crate::configuration::PolicyTexts;
use crate::lists::{durable, source};
use crate::policy::{canary, safe_search};

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

/// The school's texts of an activation; none if one of them is no longer there.
/// Versions that had no table of names of their own took the shipped one.
pub fn texts(state_dir: &Path, record: &Record) -> io::Result<Option<PolicyTexts>> {
    let folder = folder(state_dir).join(TEXTS);
    let text = |hash: &str, shipped: &str| match fs::read_to_string(folder.join(hash)) {
        _ if hash.is_empty() => Ok(Some(shipped.to_owned())),
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(durable::naming(&folder, &error)),
    };
    let all = (
        text(&record.policy, "")?,
        text(&record.devices, "")?,
        text(&record.canaries, canary::SHIPPED)?,
        text(&record.safe_search, safe_search::SHIPPED)?,
        text(&record.sources, source::SHIPPED)?,
        text(&record.added, "")?,
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
