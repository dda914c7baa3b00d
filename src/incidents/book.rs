//! What everybody asks who wants to read the log as people read it.
//!
//! One value for the whole process, behind an `Arc`. Every question says how far
//! it may go: a page of so many, over so many days as a moment allows, and where
//! to go on. So a range of ten years, or a filter that nothing meets, costs a
//! moment and not the afternoon.
//!
//! It must never write to the log, and what it gives away holds what the log
//! holds: show it through [`Sight`](super::sight::Sight).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use crate::querylog::days;
use crate::querylog::filter::Filter;
use crate::querylog::read::{self, Unreadable};
use crate::querylog::row::Row;
use crate::querylog::visits::{self, Incident};

use super::casework::{Case, Casework};
use super::clients::{Client, Clients};
use super::device::{self, DeviceDay};
use super::digest::DayDigest;
use super::hours::SchoolHours;
use super::interest;
use super::listing::Listing;
use super::opened::{self, Opened};
use super::overview::{Overview, TREND_DAYS};
use super::search::{Found, Sought};
use super::wanted::{Cursor, Page, Wanted};

/// How long one call looks before it says "so far".
const PATIENCE: Duration = Duration::from_millis(300);

/// The log as people read it.
pub struct Book {
    folder: PathBuf,
    hours: SchoolHours,
    casework: Casework,
}

/// What a day came to.
struct Day {
    incidents: Vec<Incident>,
    plain: Vec<Incident>,
}

impl Book {
    /// The book of the log below `state_dir`.
    #[must_use]
    pub fn open(state_dir: &Path, hours: SchoolHours) -> Self {
        Self {
            folder: state_dir.join("querylog"),
            hours,
            casework: Casework::of(state_dir),
        }
    }

    /// The school's hours.
    #[must_use]
    pub fn hours(&self) -> &SchoolHours {
        &self.hours
    }

    /// What people have noted.
    #[must_use]
    pub fn casework(&self) -> &Casework {
        &self.casework
    }

    /// The school's day of an instant.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned(self.hours.zone.clone()).date()
    }

    /// The days there are, oldest first, damaged ones among them.
    #[must_use]
    pub fn days(&self) -> Vec<Date> {
        let parts = days::parts(&self.folder).unwrap_or_default();
        let mut dates: Vec<Date> = parts.iter().map(|(part, _)| part.date()).collect();
        dates.dedup();
        dates
    }

    /// One page of incidents, newest first.
    #[must_use]
    pub fn incidents(&self, wanted: &Wanted, page: Page) -> Listing {
        let started = Instant::now();
        let mut listing = Listing::default();
        let end = page.end();
        for date in self.days_back(wanted.since, wanted.until, end) {
            if listing.looked_back_to.is_some() && started.elapsed() > PATIENCE {
                listing.more_to_look = true;
                listing.next = listing.looked_back_to.and_then(|d| self.start_of(d));
                return listing;
            }
            listing.looked_back_to = Some(date);
            let day = self.day(date, &mut listing.damaged);
            let found = day.incidents.into_iter().rev().filter(|incident| {
                incident.first.as_microsecond() < end && wanted.wants(incident, &self.hours)
            });
            for incident in self.reviewed_as(wanted.reviewed, found.collect()) {
                if listing.incidents.len() == page.size {
                    let last = listing.incidents.last();
                    listing.next = last.map(|i| Cursor(i.first.as_microsecond()));
                    return listing;
                }
                listing.incidents.push(incident);
            }
        }
        listing
    }

    /// The incident that the row of this moment belongs to. None if there is no
    /// such row.
    pub fn incident(&self, at: Timestamp) -> Result<Option<Opened>, Unreadable> {
        let micro = 1.microsecond();
        let filter = Filter {
            since: Some(at),
            until: at.checked_add(micro).ok(),
            ..Filter::default()
        };
        let mut damaged = Vec::new();
        let Some(row) = self.read(filter, &mut damaged).pop() else {
            return damaged.pop().map_or(Ok(None), Err);
        };
        let date = self.date(at);
        let day = self.day(date, &mut damaged);
        let of_interest = interest::is_of_interest(&row);
        let all = if of_interest {
            &day.incidents
        } else {
            &day.plain
        };
        let found = all.iter().find(|incident| holds(incident, &row));
        let Some(incident) = found.cloned() else {
            return Ok(None);
        };
        let filter = Filter {
            since: Some(incident.first),
            until: incident.last.checked_add(micro).ok(),
            group: Some(incident.group.clone()),
            ..Filter::default()
        };
        let mut rows = self.read(filter, &mut damaged);
        rows.retain(|row| interest::is_of_interest(row) == of_interest && holds(&incident, row));
        let mut policies: Vec<u64> = rows.iter().map(|row| row.policy).collect();
        policies.sort_unstable();
        policies.dedup();
        let all_rows = rows.len();
        rows.truncate(opened::MOST_ROWS);
        let others = day.incidents.iter().filter(|other| {
            other.device.is_some()
                && other.device == incident.device
                && !other.background
                && (other.first, &other.domain) != (incident.first, &incident.domain)
        });
        Ok(Some(Opened {
            others_that_day: others.cloned().collect(),
            rows,
            all_rows,
            policies,
            incident,
        }))
    }

    /// The numbers of the first page.
    #[must_use]
    pub fn overview(&self, now: Timestamp) -> Overview {
        let mut damaged = Vec::new();
        let today = self.date(now);
        let mut trend = Vec::new();
        for back in (0..TREND_DAYS).rev() {
            let date = today.saturating_sub(back.days());
            let day = self.day(date, &mut damaged);
            trend.push((date, day.incidents));
        }
        let mut overview = Overview::of(&trend, now, &self.hours.zone);
        overview.damaged = damaged;
        overview
    }

    /// One page of what somebody looks for, newest first.
    #[must_use]
    pub fn search(&self, sought: &Sought, page: Page) -> Found {
        let started = Instant::now();
        let mut found = Found::default();
        let end = page.end();
        for date in self.days_back(None, None, end) {
            if found.looked_back_to.is_some() && started.elapsed() > PATIENCE {
                found.more_to_look = true;
                found.next = found.looked_back_to.and_then(|d| self.start_of(d));
                return found;
            }
            found.looked_back_to = Some(date);
            let rows = self.read(self.whole(date), &mut found.damaged);
            for row in rows.into_iter().rev() {
                if row.time.as_microsecond() >= end || !finds(sought, &row) {
                    continue;
                }
                if found.rows.len() == page.size {
                    let last = found.rows.last();
                    found.next = last.map(|row| Cursor(row.time.as_microsecond()));
                    return found;
                }
                found.rows.push(sought.sight.row(row));
            }
        }
        found
    }

    /// The day of a device, by what [`Incident::device`] calls it.
    pub fn device_day(
        &self,
        device: &str,
        date: Date,
        page: Page,
    ) -> Result<DeviceDay, Unreadable> {
        let mut damaged = Vec::new();
        let filter = Filter {
            device: Some(device.to_owned()),
            newest_first: true,
            limit: Some(device::MOST_ROWS + 1),
            ..self.whole(date)
        };
        let mut rows = self.read(filter, &mut damaged);
        if let (true, Some(damaged)) = (rows.is_empty(), damaged.pop()) {
            return Err(damaged);
        }
        rows.retain(|row| visits::device_of(row).as_deref() == Some(device));
        let cut = rows.len() > device::MOST_ROWS;
        rows.truncate(device::MOST_ROWS);
        let (told, plain): (Vec<&Row>, Vec<&Row>) = rows
            .iter()
            .rev()
            .partition(|row| interest::is_of_interest(row));
        let (incidents, plain) = (visits::incidents(told), visits::incidents(plain));
        rows.retain(|row| row.time.as_microsecond() < page.end());
        let more = rows.len() > page.size;
        rows.truncate(page.size);
        let last = rows.last().filter(|_| more);
        Ok(DeviceDay {
            date,
            incidents,
            plain,
            next: last.map(|row| Cursor(row.time.as_microsecond())),
            rows,
            cut,
        })
    }

    /// Who has asked since then.
    #[must_use]
    pub fn clients(&self, since: Timestamp) -> Clients {
        let mut all = Clients::default();
        let filter = Filter {
            since: Some(since),
            newest_first: true,
            ..Filter::default()
        };
        for row in self.read(filter, &mut all.damaged) {
            let seen = all.clients.iter_mut().find(|c| is_from(c, &row));
            if let Some(client) = seen {
                client.rows += 1;
                continue;
            }
            all.clients.push(Client {
                device: row.device,
                name: row.device_name,
                mac: row.mac,
                ip: row.ip,
                group: row.group,
                last_seen: row.time,
                rows: 1,
            });
        }
        all
    }

    /// The numbers of a day that is over; they are there when its rows are gone.
    #[must_use]
    pub fn digest(&self, date: Date) -> Option<DayDigest> {
        let mut damaged = Vec::new();
        let day = self.day(date, &mut damaged);
        if !damaged.is_empty() {
            return None;
        }
        Some(DayDigest::of(date, &day.incidents, &self.hours))
    }

    /// Does a bounded piece of the work that makes later questions quick. Says
    /// whether there is more of it. Somebody calls it every few seconds.
    #[must_use]
    pub fn tend(&self, _now: Timestamp) -> bool {
        false
    }

    fn day(&self, date: Date, damaged: &mut Vec<Unreadable>) -> Day {
        let rows = self.read(self.whole(date), damaged);
        let (told, plain): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| interest::is_of_interest(row));
        Day {
            incidents: visits::incidents(told),
            plain: visits::incidents(plain),
        }
    }

    /// Every row of a day.
    fn whole(&self, date: Date) -> Filter {
        let start = |date: Date| {
            let start = date.to_zoned(self.hours.zone.clone()).ok()?;
            Some(start.timestamp())
        };
        Filter {
            since: start(date),
            until: date.tomorrow().ok().and_then(start),
            ..Filter::default()
        }
    }

    fn start_of(&self, date: Date) -> Option<Cursor> {
        let start = self.whole(date).since?;
        Some(Cursor(start.as_microsecond()))
    }

    /// The days to look through, newest first.
    fn days_back(&self, since: Option<Timestamp>, until: Option<Timestamp>, end: i64) -> Vec<Date> {
        let end = Timestamp::from_microsecond(end).unwrap_or(Timestamp::MAX);
        let last = until.map_or(end, |until| until.min(end));
        let (first, last) = (since.map(|at| self.date(at)), self.date(last));
        let mut dates = self.days();
        dates.retain(|date| first.is_none_or(|first| first <= *date) && *date <= last);
        dates.reverse();
        dates
    }

    fn read(&self, filter: Filter, damaged: &mut Vec<Unreadable>) -> Vec<Row> {
        let rows = match read::rows(&self.folder, &self.hours.zone, filter) {
            Ok(rows) => rows,
            Err(error) => {
                damaged.push(Unreadable {
                    file: self.folder.display().to_string(),
                    why: error.to_string(),
                });
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for row in rows {
            match row {
                Ok(row) => read.push(row),
                Err(unreadable) if damaged.contains(&unreadable) => (),
                Err(unreadable) => damaged.push(unreadable),
            }
        }
        read
    }

    /// Without those that were, or were not, reviewed. Casework that cannot be
    /// read hides nothing.
    fn reviewed_as(&self, reviewed: Option<bool>, mut all: Vec<Incident>) -> Vec<Incident> {
        let Some(wanted) = reviewed else {
            return all;
        };
        if let Ok(cases) = self.casework.cases(&all) {
            let mut cases = cases.iter().map(Case::reviewed);
            all.retain(|_| cases.next().flatten().is_some() == wanted);
        }
        all
    }
}

/// Whether a row belongs to an incident of like interest.
fn holds(incident: &Incident, row: &Row) -> bool {
    (incident.first..=incident.last).contains(&row.time)
        && incident.device == visits::device_of(row)
        && incident.group == row.group
        && incident.action == row.action
        && incident.mandatory == row.is_mandatory()
        && incident.domain == visits::domain_of(row)
}

fn is_from(client: &Client, row: &Row) -> bool {
    (
        &client.device,
        &client.name,
        &client.mac,
        client.ip,
        &client.group,
    ) == (&row.device, &row.device_name, &row.mac, row.ip, &row.group)
}

fn finds(sought: &Sought, row: &Row) -> bool {
    let text = |word: &Option<String>| word.clone().unwrap_or_default();
    let ip = row.ip.map(|ip| ip.to_string()).unwrap_or_default();
    sought.is_name(row)
        || sought.is_client(
            &text(&row.device),
            &text(&row.device_name),
            &text(&row.mac),
            &ip,
        )
}
