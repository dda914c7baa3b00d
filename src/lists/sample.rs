//! A few lists from text, compiled as a refresh would: for tests and benchmarks.
//!
//! It goes the whole road, so that what a test asks is what a server would be
//! asked.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::fetch::FetchOptions;
use super::load::{self, LoadError};
use super::lookup::Lists;
use super::refresh::{RefreshConfig, RefreshError, refresh};

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each is the error of one step")]
pub enum SampleError {
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Compiles `files`, named by `sources` (the text of a `sources.toml` with
/// `file = "…"`), with `folder` as both configuration and state folder.
pub fn compile(
    folder: &Path,
    sources: &str,
    files: &[(&str, &str)],
) -> Result<Arc<Lists>, SampleError> {
    std::fs::write(folder.join("sources.toml"), sources)?;
    for (name, text) in files {
        std::fs::write(folder.join(name), text)?;
    }
    let config = RefreshConfig {
        config_dir: folder.to_owned(),
        state_dir: folder.to_owned(),
        fetch: FetchOptions::default(),
        accept: Vec::new(),
        now: Timestamp::UNIX_EPOCH,
    };
    refresh(&config, &mut std::io::sink())?;
    Ok(load::open(folder)?)
}

/// As [`compile`], from `(category, names)` pairs: a `domains` list for each,
/// every name with all below it.
pub fn of_names(folder: &Path, lists: &[(&str, &[&str])]) -> Result<Arc<Lists>, SampleError> {
    let mut sources = String::new();
    let mut files = Vec::new();
    for (category, names) in lists {
        let file = format!("{category}.txt");
        let _ = write!(
            sources,
            "[[source]]\nid = \"{category}\"\ncategory = \"{category}\"\nformat = \"domains\"\n\
             match = \"subtree\"\nfile = \"{file}\"\n"
        );
        files.push((file, names.join("\n")));
    }
    let files: Vec<_> = files
        .iter()
        .map(|(f, t)| (f.as_str(), t.as_str()))
        .collect();
    compile(folder, &sources, &files)
}
