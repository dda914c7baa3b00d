//! How the files of the log are called, and which of them are there.
//!
//! A day is the school's day: the file `2026-11-21.db` holds what happened on
//! 21 November on the wall clock of the school, because "what happened on
//! Tuesday?" and "keep six months" mean that. SQLite puts `-wal` and `-shm`
//! beside it; a file that could not be read is set aside as `….db.damaged`.
//! Whatever has another name is not ours.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

/// What a file in the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A day's rows.
    Rows(Date),
    /// What SQLite keeps beside them.
    Companion(Date),
    /// What could not be read and was set aside.
    SetAside(Date),
}

impl Part {
    /// Reads a file name; `None` if the file is not ours.
    #[must_use]
    pub fn of(file_name: &str) -> Option<Self> {
        let (day, tail) = file_name.split_at_checked(10)?;
        let date: Date = day.parse().ok().filter(|d: &Date| d.to_string() == day)?;
        match tail {
            ".db" => Some(Self::Rows(date)),
            ".db-wal" | ".db-shm" | ".db-journal" => Some(Self::Companion(date)),
            _ => tail
                .starts_with(".db.damaged")
                .then_some(Self::SetAside(date)),
        }
    }

    /// The day it belongs to.
    #[must_use]
    pub fn date(self) -> Date {
        match self {
            Self::Rows(date) | Self::Companion(date) | Self::SetAside(date) => date,
        }
    }
}

/// Where the rows of `date` are.
#[must_use]
pub fn path(folder: &Path, date: Date) -> PathBuf {
    folder.join(format!("{date}.db"))
}

/// Our files in `folder`, oldest first. No folder is no files.
pub fn parts(folder: &Path) -> io::Result<Vec<(Part, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => {
            let about = format!("{}: {e}", folder.display());
            return Err(io::Error::new(e.kind(), about));
        }
        Ok(entries) => entries,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let part = path.file_name().and_then(|n| n.to_str()).and_then(Part::of);
        if let Some(part) = part {
            found.push((part, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether SQLite keeps it beside a database, also one that was set aside.
#[must_use]
pub fn is_companion(path: &Path) -> bool {
    let name = path.to_string_lossy();
    ["-wal", "-shm", "-journal"]
        .iter()
        .any(|tail| name.ends_with(tail))
}

/// Makes the folder, for its owner alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Makes an empty file for its owner alone, if there is none, and sees to it
/// that a power cut does not undo it. SQLite gives its companions the same mode.
pub(super) fn make_file(folder: &Path, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => File::open(folder)?.sync_all(),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Renames a database that cannot be used to `….damaged`, its log beside it, so
/// that a new one can begin and an expert may still look into the old.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut aside = with_tail(path, ".damaged");
    let mut number = 2;
    while aside.exists() {
        aside = with_tail(path, &format!(".damaged.{number}"));
        number += 1;
    }
    fs::rename(path, &aside)?;
    for companion in ["-wal", "-shm", "-journal"] {
        match fs::rename(with_tail(path, companion), with_tail(&aside, companion)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => (),
        }
    }
    Ok(aside)
}

fn with_tail(path: &Path, tail: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(tail);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_ours() {
        let date = jiff::civil::date(2026, 11, 21);
        for (name, part) in [
            ("2026-11-21.db", Some(Part::Rows(date))),
            ("2026-11-21.db-wal", Some(Part::Companion(date))),
            ("2026-11-21.db.damaged", Some(Part::SetAside(date))),
            ("2026-11-21.db.damaged.2-wal", Some(Part::SetAside(date))),
            ("2026-11-21.db.bak", None),
            ("2026-11-31.db", None),
            ("+02026-11-21.db", None),
            ("summary.db", None),
            ("hold", None),
            ("2026-11-2é.db", None),
        ] {
            assert_eq!(Part::of(name), part, "{name}");
        }
    }
}
