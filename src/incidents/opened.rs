//! One incident, opened: its look-ups and what else the device did.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::querylog::day_file::{By, DayFile, Lookup};
use crate::querylog::read::Unreadable;
use crate::querylog::row::{Row, VARIOUS};
use crate::querylog::visits::Incident;

use super::book::Book;
use super::collapse::{Short, collapse};
use super::words::{Who, Words};

/// Look-ups shown of one incident at most.
pub const MOST_ROWS: usize = 500;
/// Rows of a day that are gone through at most to find an incident's.
const MOST_LOOKED_AT: usize = 500_000;

/// An incident with all that belongs to it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Itself.
    pub incident: Incident,
    /// Its look-ups, oldest first, at most [`MOST_ROWS`].
    pub rows: Vec<Row>,
    /// How many rows there are in all.
    pub all_rows: usize,
    /// The device's other incidents of that day, oldest first, background left
    /// out; none if the log leaves the device out.
    pub others_that_day: Vec<Incident>,
    /// The numbers of the policies that decided.
    pub policies: Vec<u64>,
}

impl Book {
    /// The incident that the row of this moment belongs to, which may be one
    /// that is plainly allowed. None if there is no such row.
    pub fn incident(&self, at: Timestamp) -> Result<Option<Opened>, Unreadable> {
        let date = self.date(at);
        // The day before or after, in case the school has changed its zone.
        let near = [Some(date), date.yesterday().ok(), date.tomorrow().ok()];
        for date in near.into_iter().flatten() {
            let opened = self.files().ask(date, |file| {
                file.at_one_moment(|file| open(file, at.as_microsecond()))
            })?;
            if let Some(mut opened) = opened.flatten() {
                opened.others_that_day = self.others_on(date, &opened.incident)?;
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }

    fn others_on(&self, date: Date, incident: &Incident) -> Result<Vec<Incident>, Unreadable> {
        let Some(device) = incident.device.as_deref() else {
            return Ok(Vec::new());
        };
        let Some(day) = self.day(date)? else {
            return Ok(Vec::new());
        };
        let is_other = |other: &&Short| {
            let who = day.words.client(other.client);
            !other.background
                && day.words.texts().text(who.device) == device
                && other.first != incident.first.as_microsecond()
        };
        let others = day.incidents.iter().filter(is_other);
        Ok(others.map(|other| other.told(&day.words)).collect())
    }
}

fn open(file: &DayFile, time: i64) -> Result<Option<Opened>, Unreadable> {
    let Some(row) = file.lookup(time)? else {
        return Ok(None);
    };
    let mut words = Words::default();
    words.learn(file)?;
    words.learn_domains(file, &[row])?;
    let wanted = Short::begun(&row, &words);
    let mut rows = near(file, &words, &wanted)?;
    words.learn_domains(file, &rows)?;
    rows.retain(|row| Short::begun(row, &words).is_like(&wanted, &words));
    rows.sort_unstable_by_key(|row| row.time);
    let all = collapse(&rows, &words);
    let Some(found) = all.iter().find(|i| (i.first..=i.last()).contains(&time)) else {
        return Ok(None);
    };
    rows.retain(|row| (found.first..=found.last()).contains(&row.time));
    let mut policies: Vec<u64> = rows
        .iter()
        .map(|row| words.ruling(row.ruling).policy)
        .collect();
    policies.sort_unstable();
    policies.dedup();
    Ok(Some(Opened {
        incident: found.told(&words),
        rows: file.rows(rows.iter().take(MOST_ROWS).map(|row| row.time))?,
        all_rows: rows.len(),
        others_that_day: Vec::new(),
        policies,
    }))
}

/// Rows among which are all of an incident: the device's, or where the log
/// leaves devices out, those of the domain's names.
fn near(file: &DayFile, words: &Words, wanted: &Short) -> Result<Vec<Lookup>, Unreadable> {
    let Who { device, group, .. } = words.client(wanted.client);
    let by: Vec<By> = if device == 0 {
        let names = match words.texts().text(wanted.domain) {
            VARIOUS => file.names_below(".")?,
            domain => file.names_below(domain)?,
        };
        names.into_iter().map(By::Name).collect()
    } else {
        let clients = words.clients(|who| who.device == device && who.group == group);
        clients.into_iter().map(By::Client).collect()
    };
    let mut rows = Vec::new();
    for by in by {
        let room = MOST_LOOKED_AT.saturating_sub(rows.len());
        rows.extend(file.newest(by, (i64::MIN, i64::MAX), room, &[])?);
    }
    Ok(rows)
}
