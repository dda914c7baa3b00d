//! The folder of days: which file a row goes to, and what happens when that
//! file is broken.
//!
//! Every batch is one transaction in the file of its day, and after it the
//! charts' counts go to the summary. A day that is damaged is set aside and
//! begun anew, so that damage costs that day and no other; a day that cannot be
//! written for another reason (disk full) keeps its rows waiting and leaves the
//! other days alone.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::ErrorCode;

use super::day::Day;
use super::days::{self, Part};
use super::packed;
use super::recorder::Rank;
use super::spool::Held;
use super::summary::Summary;

/// Why a file of the log could not be used. Holds no name and no address.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says so.
    #[error("{file}: {cause}")]
    Database {
        /// The file's name.
        file: String,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// The system says so.
    #[error("{file}: {cause}")]
    Folder {
        /// The folder.
        file: String,
        /// What the system says.
        cause: io::Error,
    },
    /// Another program's database, or that of another version of ours.
    #[error("{file}: not a query log of this version")]
    Foreign {
        /// The file's name.
        file: String,
    },
}

impl StoreError {
    pub(super) fn database(path: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let file = Self::name(path);
        move |cause| Self::Database {
            file: file.clone(),
            cause,
        }
    }

    pub(super) fn folder(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let file = path.display().to_string();
        move |cause| Self::Folder {
            file: file.clone(),
            cause,
        }
    }

    pub(super) fn name(path: &Path) -> String {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Whether the file is beyond use, rather than the moment unlucky.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Foreign { .. } => true,
            Self::Folder { .. } => false,
            Self::Database { cause, .. } => matches!(
                cause.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
        }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// How many look-ups are durable now.
    pub(super) written: u64,
    /// Rows to try again.
    pub(super) unwritten: Vec<Held>,
    /// The last thing that went wrong.
    pub(super) error: Option<StoreError>,
    /// How many look-ups the day's file had no room for, by rank.
    pub(super) refused: Vec<(Rank, u64)>,
    /// Files that were damaged, under their new names.
    pub(super) set_aside: Vec<String>,
}

/// The days, open for writing.
pub(super) struct Store {
    folder: PathBuf,
    zone: TimeZone,
    day_bytes: u64,
    today: Option<Day>,
    summary: Summary,
}

impl Store {
    pub(super) fn new(folder: PathBuf, zone: TimeZone, day_bytes: u64) -> Self {
        Self {
            summary: Summary::new(folder.clone()),
            folder,
            zone,
            day_bytes,
            today: None,
        }
    }

    /// Writes `rows`, which are in the order of time.
    pub(super) fn write(&mut self, rows: Vec<Held>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let (date, end) = day_of(first.time, &self.zone);
            let later = rest.split_off(rest.partition_point(|row| row.time < end).max(1));
            match self.write_day(date, &mut rest, &mut outcome) {
                Ok(()) => {
                    outcome.written += rest.iter().map(|row| row.count).sum::<u64>();
                    self.summary.count(&rest);
                }
                Err(error) => {
                    outcome.error = Some(error);
                    outcome.unwritten.append(&mut rest);
                }
            }
            rest = later;
        }
        if let Err(error) = self.summary.write(&mut outcome.set_aside) {
            outcome.error = Some(error);
        }
        outcome
    }

    /// Closes the files.
    pub(super) fn close(self) {
        // Today's file stays as it is: it will be opened again soon.
        drop(self.today);
    }

    fn write_day(
        &mut self,
        date: Date,
        rows: &mut Vec<Held>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        match self.try_day(date, rows, outcome) {
            Err(error) if error.is_damage() => {
                self.today = None;
                let path = days::path(&self.folder, date);
                let aside = days::set_aside(&path).map_err(StoreError::folder(&self.folder))?;
                outcome.set_aside.push(StoreError::name(&aside));
                self.try_day(date, rows, outcome)
            }
            other => other,
        }
    }

    fn try_day(
        &mut self,
        date: Date,
        rows: &mut Vec<Held>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        if self.today.as_ref().is_none_or(|day| day.date != date) {
            let next = Day::open(&self.folder, date, self.day_bytes)?;
            match self.today.replace(next) {
                Some(before) => before.seal(),
                None => self.seal_leftovers(date),
            }
        }
        let path = days::path(&self.folder, date);
        let Some(day) = &mut self.today else {
            return Ok(());
        };
        let least = day.least_admitted().map_err(StoreError::database(&path))?;
        rows.retain(|row| {
            let rank = packed::rank(&row.key).unwrap_or(Rank::Allowed);
            if rank < least {
                outcome.refused.push((rank, row.count));
            }
            rank >= least
        });
        day.write(rows).map_err(StoreError::database(&path))
    }

    /// After a crash a day before may still have its write-ahead log.
    fn seal_leftovers(&self, today: Date) {
        let parts = days::parts(&self.folder).unwrap_or_default();
        let left = parts.into_iter().filter_map(|(part, _)| match part {
            Part::Companion(date) if date != today => Some(date),
            _ => None,
        });
        let mut dates: Vec<Date> = left.collect();
        dates.dedup();
        for date in dates {
            if days::path(&self.folder, date).exists()
                && let Ok(day) = Day::open(&self.folder, date, self.day_bytes)
            {
                day.seal();
            }
        }
    }
}

/// The school's day of a time in microseconds, and when that day ends.
fn day_of(time: i64, zone: &TimeZone) -> (Date, i64) {
    let instant = Timestamp::from_microsecond(time.max(0)).unwrap_or(Timestamp::UNIX_EPOCH);
    let local = instant.to_zoned(zone.clone());
    let end = local.tomorrow().and_then(|t| t.start_of_day());
    let end = end.map_or(i64::MAX, |end| end.timestamp().as_microsecond());
    (local.date(), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_schools_day() {
        let zone = TimeZone::get("Europe/London").unwrap();
        for (at, date, hours_left) in [
            ("2026-07-20T22:59:59Z", "2026-07-20", 0),
            ("2026-07-20T23:00:00Z", "2026-07-21", 23),
            // The clocks go back: a day of 25 hours.
            ("2026-10-24T23:00:00Z", "2026-10-25", 24),
            ("2026-03-29T00:00:00Z", "2026-03-29", 22),
        ] {
            let time: Timestamp = at.parse().unwrap();
            let (day, end) = day_of(time.as_microsecond(), &zone);
            assert_eq!(day.to_string(), date, "{at}");
            assert_eq!(
                (end - time.as_microsecond() - 1) / 3_600_000_000,
                hours_left
            );
        }
    }
}
