//! Legal hold: days that stay until somebody lifts it.
//!
//! `querylog::hold` says what the file means; here holds are placed and lifted,
//! by whom and why, and the record has it before the file changes: a hold that
//! was placed and is not recorded must not be, nor one lifted unseen. Whoever
//! changes the file or erases rows holds the folder's lock, so that no day can be
//! erased while somebody places a hold on it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};

use crate::lists::durable;
use crate::querylog::hold::{self, Held, HeldDays, Holds};
use crate::record::Record;

use super::{Actor, ReportError, reason};

/// The folder of the log, which nobody else holds or erases meanwhile.
pub(super) struct Locked {
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Locked {
    /// Waits for the lock of the log below `state_dir`.
    pub(super) fn wait(state_dir: &Path) -> io::Result<Self> {
        let folder = state_dir.join("querylog");
        durable::create_folder(&folder)?;
        let file = File::open(&folder)?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The folder of the log.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is held.
    pub(super) fn holds(&self) -> Result<Holds, ReportError> {
        read(&self.folder)
    }
}

/// What is held below `state_dir`.
pub fn list(state_dir: &Path) -> Result<Holds, ReportError> {
    read(&state_dir.join("querylog"))
}

fn read(folder: &Path) -> Result<Holds, ReportError> {
    let unreadable = |error: hold::Unreadable| {
        let why = format!("{error}. Put the line right in the file `hold` of the query log first");
        ReportError::Refused(why)
    };
    Holds::read(folder)?.map_err(unreadable)
}

/// Reads days as people write them.
pub fn days(text: &str) -> Result<HeldDays, ReportError> {
    text.trim().parse().map_err(|()| {
        ReportError::Refused(format!(
            "\"{}\" is neither a day (2026-11-21), nor days (2026-11-01..2026-11-21), nor \"all\"",
            text.trim()
        ))
    })
}

/// Places a hold.
pub fn place(
    state_dir: &Path,
    days: &HeldDays,
    why: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), ReportError> {
    let why = reason(why)?;
    let locked = Locked::wait(state_dir)?;
    let holds = locked.holds()?;
    let note = format!("{:.0} {}: {why}", now, actor.who);
    let deed = actor.did("placed_hold").about("days", days.to_string());
    Record::of_access(state_dir).add(deed.about("why", why), now)?;
    let text = holds.with(days, &note);
    write(&locked, &text)
}

/// Lifts the hold of this id; gives it.
pub fn lift(
    state_dir: &Path,
    id: &str,
    why: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Held, ReportError> {
    let why = reason(why)?;
    let locked = Locked::wait(state_dir)?;
    let holds = locked.holds()?;
    let held = holds.all().iter().find(|held| held.id == id);
    let (Some(held), Some(text)) = (held, holds.without(id)) else {
        let ids: Vec<&str> = holds.all().iter().map(|held| &*held.id).collect();
        let there_are = if ids.is_empty() {
            "nothing is held".to_owned()
        } else {
            format!("there are {}", ids.join(", "))
        };
        return Err(ReportError::Refused(format!(
            "no hold \"{id}\"; {there_are}"
        )));
    };
    let deed = actor.did("lifted_hold");
    let deed = deed.about("days", held.days.to_string());
    let deed = deed.about("was", &*held.note).about("why", why);
    Record::of_access(state_dir).add(deed, now)?;
    write(&locked, &text)?;
    Ok(held.clone())
}

fn write(locked: &Locked, text: &str) -> Result<(), ReportError> {
    let path = hold::path(locked.folder());
    let written = durable::write(&path, text.as_bytes());
    Ok(written.map_err(|error| durable::naming(&path, &error))?)
}
