//! What a school shows the inspector: every result, with its date.
//!
//! One file for each run in the state folder, whole or not there; the oldest go
//! when there are more than a school year of daily ones.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::lists::durable;

/// Results that are kept.
const MOST: usize = 400;

/// Keeps `document`; says where.
pub(super) fn keep(state_dir: &Path, document: &[u8], now: Timestamp) -> io::Result<PathBuf> {
    let folder = state_dir.join("selftest");
    durable::create_folder(&folder)?;
    // Sorts by time, and may be a file's name everywhere.
    let path = folder.join(format!("{}.json", now.strftime("%Y-%m-%dT%H%M%S%.3fZ")));
    durable::write(&path, document)?;
    forget(&folder)?;
    Ok(path)
}

fn forget(folder: &Path) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "json") {
            kept.push(path);
        }
    }
    kept.sort();
    let over = kept.len().saturating_sub(MOST);
    for path in kept.iter().take(over) {
        durable::remove_if_any(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_four_hundred_are_kept() {
        let state = tempfile::tempdir().unwrap();
        let at = |second: i64| Timestamp::from_second(1_795_000_000 + second).unwrap();
        for second in 0..403 {
            keep(state.path(), b"{}", at(second)).unwrap();
        }
        let names = std::fs::read_dir(state.path().join("selftest")).unwrap();
        let mut names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), 400);
        let first = format!("{}.json", at(3).strftime("%Y-%m-%dT%H%M%S%.3fZ"));
        assert_eq!(names.first().unwrap().to_str(), Some(&*first));
    }
}
