//! Days that are older than the school keeps them are dropped whole (R-69).
//!
//! A file goes, not rows: nothing is left in it for anybody to recover by SQL,
//! and no day half goes. `hold` in the folder of the log stops it (R-73):
//!
//! ```text
//! # police, 3 November: ref. 4711
//! 2026-10-01..2026-10-07
//! 2026-10-12
//! ```
//!
//! or `all`. It must never delete what it does not recognise, nor anything that
//! a hold might mean: a hold that cannot be read holds everything.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::days::{self, Part};

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

/// Which days are held.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hold {
    all: bool,
    spans: Vec<(Date, Date)>,
}

/// Drops the days that ended more than `keep_days` days before `now`. The clock
/// must be known to be right: by a wrong one everything may be old.
pub fn sweep(folder: &Path, keep_days: u16, now: Timestamp, zone: &TimeZone) -> io::Result<Swept> {
    let mut swept = Swept::default();
    let hold = Hold::read(&folder.join("hold"), &mut swept.complaints);
    let today = now.to_zoned(zone.clone()).date();
    let oldest = today.saturating_sub(i64::from(keep_days).days());
    for (part, path) in days::parts(folder)? {
        let date = part.date();
        if date >= oldest || (date < EARLIEST && !unset_clock_is_due(&path, oldest, now, zone)?) {
            continue;
        }
        if hold.covers(date) {
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

impl Hold {
    fn read(path: &Path, complaints: &mut Vec<String>) -> Self {
        let everything = Self {
            all: true,
            spans: Vec::new(),
        };
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).unwrap_or_else(|(line, text)| {
                complaints.push(format!(
                    "hold:{line}: \"{text}\" is neither a day (2026-11-21), nor days \
                     (2026-11-01..2026-11-21), nor \"all\"; everything is held"
                ));
                everything
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(e) => {
                complaints.push(format!("hold: {e}; everything is held"));
                everything
            }
        }
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut hold = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            let (first, last) = line.split_once("..").unwrap_or((line, line));
            match (line, first.trim().parse(), last.trim().parse()) {
                ("", _, _) => (),
                ("all", _, _) => hold.all = true,
                (_, Ok(first), Ok(last)) if first <= last => hold.spans.push((first, last)),
                _ => return Err((number, line.to_owned())),
            }
        }
        Ok(hold)
    }

    fn covers(&self, date: Date) -> bool {
        let within = |(first, last): &(Date, Date)| (*first..=*last).contains(&date);
        self.all || self.spans.iter().any(within)
    }
}
