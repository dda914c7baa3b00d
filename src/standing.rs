//! The configuration as it holds now: the settings of the folder, and the policy
//! that is in force.
//!
//! What stands in the school's files is what somebody may be typing. Every verb
//! that tells what *is* (who asked, what happens to a name, which school this is)
//! reads it through here; only `check`, `propose` and `rehearse` look at the files.

use std::io;
use std::path::Path;

use crate::changes::edited::edited;
use crate::changes::kept;
use crate::configuration::{self, Configuration, PolicyTexts};
use crate::document::Complaint;

/// The settings in `folder` with the policy in force; with the folder's own files
/// while nothing ever was, or what was can no longer be read.
pub fn configuration(folder: &Path) -> Result<Configuration, Vec<Complaint>> {
    let Ok(settings) = configuration::settings(folder) else {
        // Everything that is wrong at once.
        return Configuration::load(folder);
    };
    match texts(&settings.state_dir) {
        Ok(Some(texts)) => Configuration::with(folder, texts),
        Ok(None) => Configuration::load(folder),
        Err(error) => {
            tracing::warn!(%error, "the policy in force cannot be read; the folder's files are taken");
            Configuration::load(folder)
        }
    }
}

/// The texts in force; none if nothing ever was.
fn texts(state_dir: &Path) -> io::Result<Option<PolicyTexts>> {
    match kept::last(state_dir)? {
        Some(activated) => kept::texts(state_dir, &activated),
        None => Ok(None),
    }
}

/// What stands in the folder and is not in force, a line each.
#[must_use]
pub fn not_in_force(folder: &Path, state_dir: &Path) -> Vec<String> {
    match edited(folder, state_dir) {
        Ok(files) => files.iter().map(ToString::to_string).collect(),
        Err(error) => vec![format!(
            "the record of changes: {error}; `schoolgate history --verify` looks at all of it"
        )],
    }
}
