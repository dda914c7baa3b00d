//! The days' files: whether one has changed, and connections that are kept.
//!
//! Opening a file costs more than a question to it, and a search may touch every
//! day there is. So connections to finished days are kept, a bounded number of
//! them. A day that still has its write-ahead log is opened anew for each
//! question: a connection to it would keep the writer from sealing it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;

use crate::querylog::day_file::DayFile;
use crate::querylog::days::{self, Part};
use crate::querylog::read::Unreadable;

/// What SQLite's documentation of the WAL format calls the first copy of the
/// header of the WAL-index.
const INDEX_HEAD: usize = 48;
/// Connections kept at most.
const MOST_KEPT: usize = 64;

/// What a file looks like from outside: two that look alike hold the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    file: Look,
    log: Option<Look>,
    /// The head of the log's index, which counts what is committed. Times of
    /// modification are too coarse for two commits in a row.
    head: Option<[u8; INDEX_HEAD]>,
}

/// Device and inode, length, time of modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of the day at `path`; none if it is not there.
    fn of(path: &Path) -> Option<Self> {
        let beside = |tail: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(tail);
            PathBuf::from(name)
        };
        let log = Look::of(&beside("-wal"));
        let head = log.and_then(|_| {
            let mut head = [0; INDEX_HEAD];
            let mut index = File::open(beside("-shm")).ok()?;
            index.read_exact(&mut head).ok()?;
            Some(head)
        });
        let file = Look::of(path)?;
        Some(Self { file, log, head })
    }

    /// Whether its writer may still be at it.
    pub(super) fn is_open(self) -> bool {
        self.log.is_some()
    }

    /// Whether a day that was looked at then may have ended since, or is
    /// another file.
    pub(super) fn has_ended_since(self, then: Self) -> bool {
        self != then && (!self.is_open() || !self.is_same_file(then))
    }

    /// What a copy of the file elsewhere has as well.
    pub(super) fn of_content(self) -> String {
        let (seconds, nanoseconds) = self.file.modified;
        format!("{} {seconds}.{nanoseconds:09}", self.file.length)
    }

    /// Whether both are of one file, which has grown at most.
    pub(super) fn is_same_file(self, other: Self) -> bool {
        self.file.file == other.file.file
    }
}

impl Look {
    fn of(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        Some(Self {
            file: (facts.dev(), facts.ino()),
            length: facts.len(),
            modified: (facts.mtime(), facts.mtime_nsec()),
        })
    }
}

/// The folder of the log.
pub(super) struct Files {
    folder: PathBuf,
    /// The last used stands last.
    kept: Mutex<Vec<(Date, Stamp, DayFile)>>,
}

/// What there is of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Its file.
    Rows(Date),
    /// A file that was damaged and set aside.
    SetAside(Date, Unreadable),
}

impl Files {
    pub(super) fn of(folder: PathBuf) -> Self {
        Self {
            folder,
            kept: Mutex::default(),
        }
    }

    /// What there is, oldest first.
    pub(super) fn all(&self) -> Result<Vec<Found>, Unreadable> {
        let parts = days::parts(&self.folder).map_err(|error| self.unreadable(&error))?;
        let found = parts.into_iter().filter_map(|(part, path)| match part {
            Part::Rows(date) => Some(Found::Rows(date)),
            Part::SetAside(date) if !days::is_companion(&path) => {
                Some(Found::SetAside(date, Unreadable::set_aside(&path)))
            }
            _ => None,
        });
        let mut found: Vec<Found> = found.collect();
        found.sort_by_key(Found::date);
        Ok(found)
    }

    pub(super) fn stamp(&self, date: Date) -> Option<Stamp> {
        Stamp::of(&days::path(&self.folder, date))
    }

    /// Asks a day something. None if the day is not there.
    pub(super) fn ask<T>(
        &self,
        date: Date,
        question: impl FnOnce(&mut DayFile) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, Unreadable> {
        let Some(stamp) = self.stamp(date) else {
            return Ok(None);
        };
        let kept = self.take(date, stamp);
        let opened = match kept {
            Some(file) => Some(file),
            None => DayFile::open(&days::path(&self.folder, date))?,
        };
        let Some(mut file) = opened else {
            return Ok(None);
        };
        let answer = question(&mut file)?;
        if !stamp.is_open() && self.stamp(date) == Some(stamp) {
            self.keep(date, stamp, file);
        }
        Ok(Some(answer))
    }

    /// Closes what is no longer there, so that its space becomes free.
    pub(super) fn forget_gone(&self) {
        self.kept()
            .retain(|(date, stamp, _)| self.stamp(*date) == Some(*stamp));
    }

    fn take(&self, date: Date, stamp: Stamp) -> Option<DayFile> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(of, _, _)| *of == date)?;
        let (_, then, file) = kept.remove(at);
        (then == stamp).then_some(file)
    }

    fn keep(&self, date: Date, stamp: Stamp, file: DayFile) {
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push((date, stamp, file));
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<(Date, Stamp, DayFile)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, error: &io::Error) -> Unreadable {
        Unreadable {
            file: self.folder.display().to_string(),
            why: error.to_string(),
        }
    }
}

impl Found {
    pub(super) fn date(&self) -> Date {
        match self {
            Self::Rows(date) | Self::SetAside(date, _) => *date,
        }
    }
}
