//! What everybody asks who wants to read the log as people read it.
//!
//! One value for the whole process, behind an `Arc`. Every question says how far
//! it may go: a page of so many, over so many days as a moment allows, and where
//! to go on. So a range of ten years, or a filter that nothing meets, costs a
//! moment and not the afternoon.
//!
//! It must never write to the log, and what it gives away holds what the log
//! holds: show it through [`Sight`](super::sight::Sight).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::policy::document::PolicyDocument;
use crate::querylog::read::Unreadable;
use crate::querylog::visits::Incident;

use super::casework::{Case, Casework};
use super::digest::{DayDigest, Digests};
use super::files::{Files, Found, Stamp};
use super::hours::SchoolHours;
use super::lexicon::{Lexicon, is_address};
use super::listing::Listing;
use super::overview::{Overview, TREND_DAYS};
use super::shelf::{Shelf, Told};
use super::sieve::Sieve;
use super::wanted::{Cursor, Page, Wanted};

/// How long one call looks before it says "so far".
const PATIENCE: Duration = Duration::from_millis(300);

/// The log as people read it.
pub struct Book {
    files: Files,
    /// Of the log's days, whose names the resolver has given them.
    zone: TimeZone,
    hours: ArcSwap<SchoolHours>,
    casework: Casework,
    shelf: Shelf,
    lexicon: RwLock<Lexicon>,
    digests: Digests,
    /// The days that [`Book::tend`] has been through, as they were.
    tended: Mutex<HashMap<Date, Stamp>>,
}

impl Book {
    /// The book of the log below `state_dir`.
    #[must_use]
    pub fn open(state_dir: &Path, hours: SchoolHours) -> Self {
        Self {
            files: Files::of(state_dir.join("querylog")),
            casework: Casework::of(state_dir),
            shelf: Shelf::default(),
            lexicon: RwLock::default(),
            digests: Digests::of(state_dir),
            tended: Mutex::default(),
            zone: hours.zone.clone(),
            hours: ArcSwap::from_pointee(hours),
        }
    }

    /// The zone of the log's days.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The school's hours.
    #[must_use]
    pub fn hours(&self) -> Arc<SchoolHours> {
        self.hours.load_full()
    }

    /// Goes by the hours of `policy` from now on. Its zone counts when the
    /// resolver, which names the days, and who reads them have started again.
    pub fn go_by(&self, policy: &PolicyDocument) {
        let mut hours = SchoolHours::of(policy);
        hours.zone = self.zone.clone();
        if hours.mark() != self.hours.load().mark() {
            self.hours.store(Arc::new(hours));
            // The numbers of each day are others now.
            self.tended().clear();
        }
    }

    /// What people have noted.
    #[must_use]
    pub fn casework(&self) -> &Casework {
        &self.casework
    }

    /// The school's day of an instant.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    /// The days there are, oldest first, damaged ones among them.
    #[must_use]
    pub fn days(&self) -> Vec<Date> {
        let all = self.files.all().unwrap_or_default();
        let mut dates: Vec<Date> = all.iter().map(Found::date).collect();
        dates.dedup();
        dates
    }

    /// One page of incidents, newest first.
    #[must_use]
    pub fn incidents(&self, wanted: &Wanted, page: Page) -> Listing {
        let mut listing = Listing::default();
        let (hours, patience) = (self.hours(), Patience::new());
        let mut devices = Vec::new();
        for found in self.back(wanted.since, wanted.until, page, &mut listing.damaged) {
            if listing.looked_back_to.is_some() && patience.is_over() {
                listing.more_to_look = true;
                listing.next = listing.looked_back_to.and_then(|date| self.start_of(date));
                return listing;
            }
            listing.looked_back_to = Some(found.date());
            let day = self.incidents_of(&found, !wanted.hide_background);
            let Some(day) = told(day, &mut listing.damaged) else {
                continue;
            };
            if let Some(text) = wanted.device.as_deref().filter(|text| is_address(text)) {
                told(self.learn(found.date()).map(Some), &mut listing.damaged);
                devices = self.lexicon().devices_called(text);
            }
            let sieve = Sieve::new(wanted, &devices, &hours, &day.words);
            let found = day.incidents.iter().rev();
            let found = found.filter(|i| i.first < page.end() && sieve.lets_through(i));
            let found = found.map(|incident| incident.told(&day.words));
            let room = page.size + 1 - listing.incidents.len();
            match wanted.reviewed {
                None => listing.incidents.extend(found.take(room)),
                Some(reviewed) => {
                    let some = self.reviewed_as(reviewed, found.collect());
                    listing.incidents.extend(some.into_iter().take(room));
                }
            }
            if listing.incidents.len() > page.size {
                listing.incidents.truncate(page.size);
                let last = listing.incidents.last();
                listing.next = last.map(|i| Cursor(i.first.as_microsecond()));
                return listing;
            }
        }
        listing
    }

    /// The numbers of the first page.
    #[must_use]
    pub fn overview(&self, now: Timestamp) -> Overview {
        let mut damaged = Vec::new();
        let today = self.date(now);
        let mut trend: Vec<(Date, Vec<Incident>)> = (0..TREND_DAYS)
            .rev()
            .map(|back| (today.saturating_sub(back.days()), Vec::new()))
            .collect();
        let since = trend.first().and_then(|(date, _)| self.start_of(*date));
        let since = since.and_then(|Cursor(at)| Timestamp::from_microsecond(at).ok());
        for found in self.back(since, None, Page::first(0), &mut damaged) {
            let place = trend.iter_mut().find(|(date, _)| *date == found.date());
            let day = told(self.incidents_of(&found, false), &mut damaged);
            if let (Some((_, incidents)), Some(day)) = (place, day) {
                let sensitive = day.incidents.iter().filter(|i| i.is_sensitive());
                incidents.extend(sensitive.map(|incident| incident.told(&day.words)));
            }
        }
        let mut overview = Overview::of(&trend, now, &self.zone);
        overview.damaged = damaged;
        overview
    }

    /// The numbers of a day; once it is over they are kept, and are there when
    /// its rows are gone. None if there is nothing of it, or it is damaged.
    #[must_use]
    pub fn digest(&self, date: Date) -> Option<DayDigest> {
        let (stamp, hours) = (self.files.stamp(date), self.hours());
        if let Some(kept) = self.digests.read(date, stamp, &hours) {
            return Some(kept);
        }
        let day = self
            .shelf
            .read_whole(&self.files, date, |day| digest_of(date, day, &hours));
        let digest = day.ok().flatten()?;
        if let Some(stamp) = stamp.filter(|stamp| !stamp.is_open()) {
            self.digests.keep(&digest, stamp, &hours);
        }
        Some(digest)
    }

    /// Does a bounded piece of the work that makes later questions quick, one
    /// day's. Says whether there is more of it. Somebody calls it every few
    /// seconds, and again at once while there is more.
    #[must_use]
    pub fn tend(&self) -> bool {
        let mut days = self.days();
        self.files.forget_gone();
        self.shelf.forget_gone(&self.files);
        self.lexicon_mut()
            .retain(|date| self.files.stamp(date).is_some());
        let mut tended = self.tended();
        tended.retain(|date, _| days.contains(date));
        days.reverse();
        let due = days.into_iter().find_map(|date| {
            let stamp = self.files.stamp(date)?;
            let before = tended.get(&date);
            let due = before.is_none_or(|then| stamp.has_ended_since(*then));
            due.then_some((date, stamp))
        });
        let Some((date, stamp)) = due else {
            return false;
        };
        tended.insert(date, stamp);
        drop(tended);
        // What cannot be read is told to whoever asks for it.
        let _ = self.digest(date);
        let _ = self.shelf.day(&self.files, date, false);
        let _ = self.learn(date);
        true
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn lexicon(&self) -> RwLockReadGuard<'_, Lexicon> {
        self.lexicon.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lexicon_mut(&self) -> RwLockWriteGuard<'_, Lexicon> {
        self.lexicon.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of the days to look through, newest first.
    pub(super) fn back(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        page: Page,
        damaged: &mut Vec<Unreadable>,
    ) -> Vec<Found> {
        // What is looked for is older than the end: a page that ends at midnight
        // goes on with the day before.
        let end = page.end().saturating_sub(1);
        let end = Timestamp::from_microsecond(end).unwrap_or(Timestamp::MAX);
        let last = until.map_or(end, |until| until.min(end));
        let (first, last) = (since.map(|at| self.date(at)), self.date(last));
        let mut all = told(self.files.all().map(Some), damaged).unwrap_or_default();
        all.retain(|found| {
            let date = found.date();
            first.is_none_or(|first| first <= date) && date <= last
        });
        all.reverse();
        all
    }

    /// The incidents of a day, without background traffic or with it.
    pub(super) fn day(&self, date: Date) -> Result<Option<Arc<Told>>, Unreadable> {
        self.shelf.day(&self.files, date, false)
    }

    fn incidents_of(&self, found: &Found, whole: bool) -> Result<Option<Arc<Told>>, Unreadable> {
        match found {
            Found::Rows(date) => self.shelf.day(&self.files, *date, whole),
            Found::SetAside(_, unreadable) => Err(unreadable.clone()),
        }
    }

    /// When a day begins: where a list that ends before it goes on.
    pub(super) fn start_of(&self, date: Date) -> Option<Cursor> {
        let start = date.to_zoned(self.zone.clone()).ok()?;
        Some(Cursor(start.timestamp().as_microsecond()))
    }

    fn tended(&self) -> MutexGuard<'_, HashMap<Date, Stamp>> {
        self.tended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without those that were, or were not, reviewed. Casework that cannot be
    /// read hides nothing.
    fn reviewed_as(&self, wanted: bool, mut all: Vec<Incident>) -> Vec<Incident> {
        if let Ok(cases) = self.casework.cases(&all) {
            let mut cases = cases.iter().map(Case::reviewed);
            all.retain(|_| cases.next().flatten().is_some() == wanted);
        }
        all
    }
}

fn digest_of(date: Date, day: &Told, hours: &SchoolHours) -> DayDigest {
    let told = day.incidents.iter();
    let incidents: Vec<Incident> = told.map(|incident| incident.told(&day.words)).collect();
    DayDigest::of(date, &incidents, hours)
}

/// How long a call has been looking.
pub(super) struct Patience(Instant);

impl Patience {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.elapsed() > PATIENCE
    }
}

/// What there is, and the complaint put down.
pub(super) fn told<T>(
    read: Result<Option<T>, Unreadable>,
    damaged: &mut Vec<Unreadable>,
) -> Option<T> {
    read.unwrap_or_else(|unreadable| {
        damaged.push(unreadable);
        None
    })
}
