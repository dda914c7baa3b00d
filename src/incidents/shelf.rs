//! The days that have been collapsed, kept at hand.
//!
//! A finished day is read once and kept without its background traffic, which
//! is four fifths of it, as long as there is room. A day that is being written
//! is kept as rows, and what has come since is added when somebody looks: rows
//! are only ever added, but may come late, with a time before the last one's, and
//! then the whole day is read again. Whether a file has changed its
//! [`Stamp`] says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;

use crate::querylog::day_file::{DayFile, Extent, Lookup};
use crate::querylog::read::Unreadable;

use super::collapse::{Short, collapse};
use super::files::{Files, Stamp};
use super::words::Words;

/// What finished days may take, in bytes: some two years of a large school.
const MOST_BYTES: usize = 128 << 20;
/// Days being written that are kept as rows: today, and yesterday at midnight.
const MOST_LIVE: usize = 2;

/// The incidents of a day.
pub(super) struct Told {
    pub(super) words: Arc<Words>,
    /// Of interest, in the order of their first look-ups.
    pub(super) incidents: Vec<Short>,
    /// Background traffic is among them.
    whole: bool,
}

/// The days at hand.
#[derive(Default)]
pub(super) struct Shelf {
    days: Mutex<HashMap<Date, Shelved>>,
    live: Mutex<HashMap<Date, Live>>,
}

struct Shelved {
    stamp: Stamp,
    day: Result<Arc<Told>, Unreadable>,
    bytes: usize,
    /// When it was last asked for, in askings.
    used: u64,
}

/// A day that is being written.
#[derive(Default)]
struct Live {
    stamp: Option<Stamp>,
    extent: Extent,
    words: Arc<Words>,
    /// Those of interest.
    rows: Vec<Lookup>,
}

impl Shelf {
    /// The incidents of a day, at least those that are not background; none if
    /// there is no such day.
    pub(super) fn day(
        &self,
        files: &Files,
        date: Date,
        whole: bool,
    ) -> Result<Option<Arc<Told>>, Unreadable> {
        let Some(stamp) = files.stamp(date) else {
            self.days().remove(&date);
            return Ok(None);
        };
        if let Some(known) = self.known(date, stamp, whole) {
            return known.map(Some);
        }
        let read = if stamp.is_open() {
            self.live_day(files, date, stamp)
        } else {
            files.ask(date, |file| read_day(file, whole))
        };
        let Some(day) = read.map(|day| day.map(Arc::new)).transpose() else {
            return Ok(None);
        };
        // What could not be read now may be readable the next time.
        if day.is_ok() {
            self.put(date, stamp, day.clone());
        }
        day.map(Some)
    }

    /// Reads a day once with all of its background traffic, and keeps the rest.
    pub(super) fn read_whole<T>(
        &self,
        files: &Files,
        date: Date,
        ask: impl FnOnce(&Told) -> T,
    ) -> Result<Option<T>, Unreadable> {
        let Some(stamp) = files.stamp(date).filter(|stamp| !stamp.is_open()) else {
            return Ok(self.day(files, date, true)?.map(|day| ask(&day)));
        };
        let Some(mut day) = files.ask(date, |file| read_day(file, true))? else {
            return Ok(None);
        };
        let answer = ask(&day);
        day.leave_background_out();
        self.put(date, stamp, Ok(Arc::new(day)));
        Ok(Some(answer))
    }

    /// Lets go of days that are not there any more.
    pub(super) fn forget_gone(&self, files: &Files) {
        self.days().retain(|date, _| files.stamp(*date).is_some());
        let mut live = self.live();
        live.retain(|date, _| files.stamp(*date).is_some_and(Stamp::is_open));
    }

    fn known(
        &self,
        date: Date,
        stamp: Stamp,
        whole: bool,
    ) -> Option<Result<Arc<Told>, Unreadable>> {
        let mut days = self.days();
        let used = days.values().map(|day| day.used).max().unwrap_or_default() + 1;
        let day = days.get_mut(&date)?;
        let enough = day.day.as_ref().map_or(true, |told| told.whole || !whole);
        if day.stamp != stamp || !enough {
            return None;
        }
        day.used = used;
        Some(day.day.clone())
    }

    fn put(&self, date: Date, stamp: Stamp, day: Result<Arc<Told>, Unreadable>) {
        let bytes = day.as_ref().map_or(0, |told| told.bytes());
        let mut days = self.days();
        let used = days.values().map(|day| day.used).max().unwrap_or_default() + 1;
        let shelved = Shelved {
            stamp,
            day,
            bytes,
            used,
        };
        days.insert(date, shelved);
        while days.values().map(|day| day.bytes).sum::<usize>() > MOST_BYTES {
            let oldest = days.iter().min_by_key(|(_, day)| day.used);
            let Some(oldest) = oldest.map(|(date, _)| *date).filter(|of| *of != date) else {
                return;
            };
            days.remove(&oldest);
        }
    }

    fn live_day(
        &self,
        files: &Files,
        date: Date,
        stamp: Stamp,
    ) -> Result<Option<Told>, Unreadable> {
        let mut all = self.live();
        let live = all.entry(date).or_default();
        if live.stamp.is_some_and(|then| !then.is_same_file(stamp)) {
            *live = Live::default();
        }
        live.stamp = Some(stamp);
        let answer = files.ask(date, |file| file.at_one_moment(|file| live.read_on(file)));
        let told = answer.map(|there| there.map(|()| live.told()));
        if !matches!(told, Ok(Some(_))) {
            all.remove(&date);
        }
        while all.len() > MOST_LIVE {
            let oldest = all.keys().min().copied();
            oldest.and_then(|date| all.remove(&date));
        }
        told
    }

    fn days(&self) -> MutexGuard<'_, HashMap<Date, Shelved>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Date, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn read_on(&mut self, file: &DayFile) -> Result<(), Unreadable> {
        let extent = file.extent()?;
        let newer = file.rows_after(self.extent.last)?;
        if self.extent.rows + newer != extent.rows {
            // A row has come late, or some were erased and their words with them.
            *self = Self {
                stamp: self.stamp,
                ..Self::default()
            };
        }
        let words = Arc::make_mut(&mut self.words);
        words.learn(file)?;
        let after = match self.extent.rows {
            0 => i64::MIN,
            _ => self.extent.last,
        };
        let rows = file.lookups(&words.rulings(true), after)?;
        words.learn_domains(file, &rows)?;
        self.rows.extend(rows);
        self.extent = extent;
        Ok(())
    }

    fn told(&self) -> Told {
        Told {
            incidents: collapse(&self.rows, &self.words),
            words: Arc::clone(&self.words),
            whole: true,
        }
    }
}

/// Reads a finished day.
fn read_day(file: &mut DayFile, whole: bool) -> Result<Told, Unreadable> {
    let mut words = Words::default();
    let rows = file.at_one_moment(|file| {
        words.learn(file)?;
        let rows = file.lookups(&words.rulings(true), i64::MIN)?;
        words.learn_domains(file, &rows)?;
        Ok(rows)
    })?;
    let incidents = collapse(&rows, &words);
    let mut day = Told {
        words: Arc::new(words),
        incidents,
        whole: true,
    };
    if !whole {
        day.leave_background_out();
    }
    Ok(day)
}

impl Told {
    fn leave_background_out(&mut self) {
        self.incidents.retain(|incident| !incident.background);
        self.incidents.shrink_to_fit();
        self.words = Arc::new(self.words.of_these(&mut self.incidents));
        self.whole = false;
    }

    fn bytes(&self) -> usize {
        self.incidents.len() * size_of::<Short>() + self.words.bytes()
    }
}
