//! One device's day: everything it asked, and what came of it.

use std::cmp::Reverse;

use jiff::civil::Date;

use crate::querylog::day_file::{By, DayFile};
use crate::querylog::read::Unreadable;
use crate::querylog::row::Row;
use crate::querylog::visits::Incident;

use super::book::Book;
use super::collapse::{Short, collapse};
use super::wanted::{Cursor, Page};
use super::words::Words;

/// Rows of a day that are collapsed at most: a device that floods has more, and
/// they say nothing more.
pub const MOST_ROWS: usize = 20_000;

/// One device's day.
#[derive(Debug, Clone)]
pub struct DeviceDay {
    /// The day.
    pub date: Date,
    /// Every incident of interest, oldest first, background among them.
    pub incidents: Vec<Incident>,
    /// What was plainly allowed, collapsed the same way, oldest first.
    pub plain: Vec<Incident>,
    /// One page of its look-ups, newest first.
    pub rows: Vec<Row>,
    /// Where the next page of rows begins.
    pub next: Option<Cursor>,
    /// There are more than [`MOST_ROWS`] rows; `incidents` and `plain` are of
    /// the newest of them.
    pub cut: bool,
}

impl Book {
    /// The day of a device, by what [`Incident::device`] calls it.
    pub fn device_day(
        &self,
        device: &str,
        date: Date,
        page: Page,
    ) -> Result<DeviceDay, Unreadable> {
        let day = self.files().ask(date, |file| {
            file.at_one_moment(|file| DeviceDay::read(file, device, date, page))
        })?;
        Ok(day.unwrap_or(DeviceDay::empty(date)))
    }
}

impl DeviceDay {
    fn empty(date: Date) -> Self {
        Self {
            date,
            incidents: Vec::new(),
            plain: Vec::new(),
            rows: Vec::new(),
            next: None,
            cut: false,
        }
    }

    fn read(file: &DayFile, device: &str, date: Date, page: Page) -> Result<Self, Unreadable> {
        let mut words = Words::default();
        words.learn(file)?;
        // The empty text is nobody's.
        let is_it = |number| number != 0 && words.texts().text(number) == device;
        let mut rows = Vec::new();
        for client in words.clients(|who| is_it(who.device)) {
            let by = By::Client(client);
            rows.extend(file.newest(by, (i64::MIN, i64::MAX), MOST_ROWS + 1, &[])?);
        }
        rows.sort_unstable_by_key(|row| Reverse(row.time));
        let cut = rows.len() > MOST_ROWS;
        rows.truncate(MOST_ROWS);
        words.learn_domains(file, &rows)?;
        let shown = rows
            .iter()
            .map(|row| row.time)
            .filter(|at| *at < page.end());
        let mut shown: Vec<i64> = shown.take(page.size + 1).collect();
        let more = shown.len() > page.size;
        shown.truncate(page.size);
        rows.reverse();
        let all = collapse(&rows, &words);
        let told = |of_interest: bool| {
            let all = all.iter().filter(move |i| i.of_interest == of_interest);
            let all = all.map(|incident: &Short| incident.told(&words));
            all.collect()
        };
        Ok(Self {
            date,
            incidents: told(true),
            plain: told(false),
            next: shown.last().filter(|_| more).map(|at| Cursor(*at)),
            rows: file.rows(shown.into_iter())?,
            cut,
        })
    }
}
