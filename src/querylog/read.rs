//! Reading rows back, over many days, while the writer goes on.
//!
//! Rows come a page at a time, each page a short read of its own that begins
//! behind the last row's key: memory is bounded, no reader holds up the writer's
//! checkpoints, and nothing is read that nobody asks for. A day that cannot be
//! read is one warning among the rows, and the next day follows; so is a day with
//! rows that say nothing to this version, and its others follow.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::policy::decision::{Layer, Verdict};

use super::day_file::{connect, unreadable};
use super::days::{self, Part};
use super::filter::Filter;
use super::row::{Row, reversed};
use super::store::StoreError;

/// How many rows one read takes.
const PAGE: usize = 2000;

/// A day that is not, or not all, among the rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: cannot be read and is left out: {why}")]
pub struct Unreadable {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
}

impl Unreadable {
    /// A day that the writer could not use.
    #[must_use]
    pub fn set_aside(path: &Path) -> Self {
        Self {
            file: StoreError::name(path),
            why: "it was damaged and has been set aside".to_owned(),
        }
    }
}

/// The rows that a filter lets through, with a warning for each unreadable day.
pub struct Rows {
    filter: Filter,
    parts: VecDeque<(Part, PathBuf)>,
    open: Option<OpenDay>,
    page: VecDeque<Row>,
    left: usize,
}

struct OpenDay {
    path: PathBuf,
    db: Connection,
    sql: String,
    values: Vec<Value>,
    /// The key of the last row read.
    last: Option<i64>,
    /// Why the first row was left out that was, until it has been told.
    refused: Option<rusqlite::Error>,
    warned: bool,
}

/// Rows, and whether there may be more.
struct Page {
    rows: VecDeque<Row>,
    more: bool,
}

/// Finds the rows of the log in `folder`, whose days are those of `zone`.
pub fn rows(folder: &Path, zone: &TimeZone, filter: Filter) -> io::Result<Rows> {
    // A day more at each end, in case the school has changed its zone.
    let date = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let first = filter
        .since
        .map_or(Date::MIN, |at| date(at).saturating_sub(1.day()));
    let last = filter
        .until
        .map_or(Date::MAX, |at| date(at).saturating_add(1.day()));
    let mut parts: VecDeque<(Part, PathBuf)> = days::parts(folder)?
        .into_iter()
        .filter(|(part, path)| match part {
            Part::Rows(date) => (first..=last).contains(date),
            Part::SetAside(date) => (first..=last).contains(date) && !days::is_companion(path),
            Part::Companion(_) => false,
        })
        .collect();
    parts.make_contiguous().sort_by_key(|(part, _)| part.date());
    if filter.newest_first {
        parts.make_contiguous().reverse();
    }
    Ok(Rows {
        left: filter.limit.unwrap_or(usize::MAX),
        filter,
        parts,
        open: None,
        page: VecDeque::new(),
    })
}

/// The rows of one file that `filter` lets through, its times aside from the day
/// it is named by: for those who follow the log, file by file.
#[must_use]
pub fn rows_of(part: Part, path: PathBuf, filter: Filter) -> Rows {
    Rows {
        left: filter.limit.unwrap_or(usize::MAX),
        filter,
        parts: VecDeque::from([(part, path)]),
        open: None,
        page: VecDeque::new(),
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            if let Some(row) = self.page.pop_front() {
                self.left -= 1;
                return Some(Ok(row));
            }
            let step = match self.open.take() {
                Some(day) => self.next_page(day),
                None => self.next_day()?,
            };
            if let Err(unreadable) = step {
                return Some(Err(unreadable));
            }
        }
        None
    }
}

impl Rows {
    /// `None` after the last day.
    fn next_day(&mut self) -> Option<Result<(), Unreadable>> {
        let (part, path) = self.parts.pop_front()?;
        if let Part::SetAside(_) = part {
            return Some(Err(Unreadable::set_aside(&path)));
        }
        let opened = OpenDay::open(path, &self.filter);
        Some(opened.map(|day| self.open = day))
    }

    fn next_page(&mut self, mut day: OpenDay) -> Result<(), Unreadable> {
        let wanted = self.left.min(PAGE);
        let page = day.read(wanted, self.filter.newest_first);
        let page = page.map_err(|e| unreadable(&day.path, &e))?;
        self.page = page.rows;
        let refused = day.refused.take().filter(|_| !day.warned);
        let warning = refused.map(|e| {
            day.warned = true;
            let of_file = unreadable(&day.path, &e);
            Unreadable {
                why: format!("single rows, of which the first: {}", of_file.why),
                ..of_file
            }
        });
        if page.more {
            self.open = Some(day);
        }
        warning.map_or(Ok(()), Err)
    }
}

impl OpenDay {
    fn open(path: PathBuf, filter: &Filter) -> Result<Option<Self>, Unreadable> {
        let Some(db) = connect(&path)? else {
            return Ok(None);
        };
        let (sql, values) = select(filter);
        Ok(Some(Self {
            path,
            db,
            sql,
            values,
            last: None,
            refused: None,
            warned: false,
        }))
    }

    fn read(&mut self, wanted: usize, newest_first: bool) -> rusqlite::Result<Page> {
        let (after, before) = match (self.last, newest_first) {
            (None, _) => (i64::MIN, i64::MAX),
            (Some(last), false) => (last, i64::MAX),
            (Some(last), true) => (i64::MIN, last),
        };
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        let ends = [after, before, limit].map(Value::Integer);
        let mut select = self.db.prepare_cached(&self.sql)?;
        let found = select.query_map(
            params_from_iter(ends.iter().chain(&self.values)),
            |columns| Ok((columns.get::<_, i64>(0)?, row(columns))),
        )?;
        let mut rows = VecDeque::new();
        let mut read = 0;
        for row in found {
            let (key, row) = row?;
            self.last = Some(key);
            read += 1;
            match row {
                Ok(row) => rows.push_back(row),
                Err(e) => self.refused = self.refused.take().or(Some(e)),
            }
        }
        let more = read == wanted;
        Ok(Page { rows, more })
    }
}

/// The query, and the values behind its first three: after, before, limit.
fn select(filter: &Filter) -> (String, Vec<Value>) {
    let (conditions, values) = filter.conditions(4);
    let order = if filter.newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "WITH wanted AS MATERIALIZED (
             SELECT time FROM lookups WHERE time > ?1 AND time < ?2 {conditions}
             ORDER BY time {order} LIMIT ?3)
         {SELECT} ORDER BY l.time {order}"
    );
    (sql, values)
}

/// The query for the row of the time `?1`.
pub(super) fn one() -> String {
    format!("WITH wanted (time) AS (VALUES (?1)) {SELECT}")
}

/// What [`row`] reads, by number. Which rows are wanted is settled before, from
/// an index alone where there is one; words are looked up for those only.
const SELECT: &str = "
    SELECT l.time, l.count, l.type, n.reversed, c.device, c.name, c.mac, c.ip, c.grp,
        r.action, r.layer, r.category, r.categories, r.source, r.policy, r.time_trusted
    FROM wanted CROSS JOIN lookups l ON l.time = wanted.time
        CROSS JOIN clients c ON c.id = l.client CROSS JOIN names n ON n.id = l.name
        CROSS JOIN rulings r ON r.id = l.ruling";

pub(super) fn row(columns: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let categories: String = columns.get(12)?;
    let ip: String = columns.get(7)?;
    let time: i64 = columns.get(0)?;
    let action = known(columns, 9, &Verdict::ALL, Verdict::id)?;
    Ok(Row {
        time: Timestamp::from_microsecond(time).map_err(|_| strange(0))?,
        time_trusted: columns.get(15)?,
        device: text(columns, 4)?,
        device_name: text(columns, 5)?,
        mac: text(columns, 6)?,
        ip: ip.parse().ok(),
        group: columns.get(8)?,
        name: reversed(columns.get_ref(3)?.as_str().map_err(|_| strange(3))?),
        rtype: columns.get(2)?,
        action,
        layer: known(columns, 10, &Layer::ALL, Layer::id)?,
        category: text(columns, 11)?,
        categories: categories.split_whitespace().map(str::to_owned).collect(),
        source: text(columns, 13)?,
        policy: columns.get::<_, i64>(14)?.cast_unsigned(),
        count: columns.get::<_, i64>(1)?.unsigned_abs(),
    })
}

fn text(columns: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<String>> {
    Ok(Some(columns.get::<_, String>(at)?).filter(|text| !text.is_empty()))
}

pub(super) fn known<T: Copy>(
    columns: &rusqlite::Row<'_>,
    at: usize,
    all: &[T],
    id: fn(T) -> &'static str,
) -> rusqlite::Result<T> {
    let word = columns.get_ref(at)?.as_str().map_err(|_| strange(at))?;
    let found = all.iter().find(|value| id(**value) == word);
    found.copied().ok_or_else(|| strange(at))
}

fn strange(column: usize) -> rusqlite::Error {
    rusqlite::Error::IntegralValueOutOfRange(column, 0)
}
