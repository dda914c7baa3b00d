//! Days that are older than the school keeps them are dropped whole.
//!
//! A file goes, not rows: nothing is left in it for anybody to recover by SQL,
//! and no day half goes. What [`hold`](super::hold) says stays. It must
//! never delete what it does not recognise, nor anything that a hold might mean:
//! a hold that cannot be read holds everything.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::days::{self, Part};
use super::hold::Holds;

/// How long rows are kept unless the school says otherwise: six months.
pub const KEEP_DAYS: u16 = 183;
/// No school ran this before: a day before it was written by a clock that had
/// not been set.
const EARLIEST: Date = date(2025, 1, 1);

/// What a run of retention did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Days that are gone now.
    pub dropped: BTreeSet<Date>,
    /// Days that are due and held.
    pub held: BTreeSet<Date>,
    /// What somebody should look at.
    pub complaints: Vec<String>,
}

/// Drops the days that ended more than `keep_days` days before `now`. The clock
/// must be known to be right: by a wrong one everything may be old.
pub fn sweep(folder: &Path, keep_days: u16, now: Timestamp, zone: &TimeZone) -> io::Result<Swept> {
    let mut swept = Swept::default();
    let holds = holds(folder, &mut swept.complaints);
    let today = now.to_zoned(zone.clone()).date();
    let oldest = today.saturating_sub(i64::from(keep_days).days());
    for (part, path) in days::parts(folder)? {
        let date = part.date();
        if date >= oldest || (date < EARLIEST && !unset_clock_is_due(&path, oldest, now, zone)?) {
            continue;
        }
        if holds.as_ref().is_none_or(|holds| holds.cover(date)) {
            swept.held.insert(date);
            continue;
        }
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                swept
                    .complaints
                    .push(format!("{date}: cannot be dropped: {e}"));
            }
            _ => {
                if !matches!(part, Part::Companion(_)) {
                    swept.dropped.insert(date);
                }
            }
        }
    }
    Ok(swept)
}

/// The age of a day that a clock not yet set has written counts from when it is
/// first seen here, which its time of modification remembers.
fn unset_clock_is_due(
    path: &Path,
    oldest: Date,
    now: Timestamp,
    zone: &TimeZone,
) -> io::Result<bool> {
    let modified = Timestamp::try_from(fs::metadata(path)?.modified()?).unwrap_or(now);
    let seen = modified.to_zoned(zone.clone()).date();
    if seen < EARLIEST {
        File::options()
            .write(true)
            .open(path)?
            .set_modified(now.into())?;
        return Ok(false);
    }
    Ok(seen < oldest)
}

/// What is held, unless that cannot be known; and what is wrong then.
fn holds(folder: &Path, complaints: &mut Vec<String>) -> Option<Holds> {
    let trouble = match Holds::read(folder) {
        Ok(Ok(holds)) => return Some(holds),
        Ok(Err(unreadable)) => unreadable.to_string(),
        Err(error) => format!("hold: {error}; everything is held"),
    };
    complaints.push(trouble);
    None
}
