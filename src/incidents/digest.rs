//! What is left of a day for good: numbers without a name and without a device.
//!
//! Rows go at the end of their retention, and a termly report must not need
//! them. A digest counts a finished day's incidents by theme, group, outcome and
//! hours; it stands in `state/incidents/digests.db` and is made again from the
//! day, as long as that is there, if the day or the school's hours have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

use crate::lists::category::Theme;
use crate::policy::decision::Verdict;
use crate::querylog::visits::Incident;

use super::casework;
use super::files::Stamp;
use super::hours::SchoolHours;
use super::interest;

const VERSION: i32 = 1;
const SCHEMA: &str = "
    CREATE TABLE digests (date TEXT PRIMARY KEY, made_of TEXT NOT NULL, body TEXT NOT NULL)
    STRICT, WITHOUT ROWID;
";

/// A day in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayDigest {
    /// Which day.
    pub date: Date,
    /// Whether school was in session at some time of it.
    pub school_day: bool,
    /// The cells that are not empty, in order.
    pub cells: Vec<Cell>,
    /// How many devices had a sensitive incident.
    pub sensitive_devices: u64,
    /// How many devices had an incident that is not background.
    pub devices: u64,
}

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The theme.
    pub theme: Theme,
    /// The group.
    pub group: String,
    /// The outcome.
    pub action: Verdict,
    /// In school hours.
    pub school_hours: bool,
    /// Mandatory hits.
    pub mandatory: bool,
    /// What pages and devices do by themselves.
    pub background: bool,
    /// How many incidents.
    pub incidents: u64,
    /// How many look-ups.
    pub lookups: u64,
    /// How many devices.
    pub devices: u64,
}

/// What makes a cell.
type Key<'i> = (Theme, &'i str, &'static str, [bool; 3]);

/// What is counted in one.
#[derive(Default)]
struct Count<'i> {
    action: Option<Verdict>,
    incidents: u64,
    lookups: u64,
    devices: BTreeSet<&'i str>,
}

impl DayDigest {
    /// Counts a day.
    #[must_use]
    pub fn of(date: Date, incidents: &[Incident], hours: &SchoolHours) -> Self {
        let mut cells: BTreeMap<Key<'_>, Count<'_>> = BTreeMap::new();
        let (mut sensitive, mut all) = (BTreeSet::new(), BTreeSet::new());
        for incident in incidents {
            let flags = [
                hours.has(incident.first),
                incident.mandatory,
                incident.background,
            ];
            let key = (
                incident.theme,
                &*incident.group,
                incident.action.id(),
                flags,
            );
            let device = incident.device.as_deref();
            let count = cells.entry(key).or_default();
            count.action = Some(incident.action);
            count.incidents += 1;
            count.lookups += incident.count;
            count.devices.extend(device);
            all.extend(device.filter(|_| !incident.background));
            sensitive.extend(device.filter(|_| interest::is_sensitive(incident)));
        }
        Self {
            date,
            school_day: hours.has_some_of(date),
            cells: cells.into_iter().filter_map(Cell::of).collect(),
            sensitive_devices: sensitive.len() as u64,
            devices: all.len() as u64,
        }
    }
}

impl Cell {
    fn of(
        ((theme, group, _, [school_hours, mandatory, background]), count): (Key<'_>, Count<'_>),
    ) -> Option<Self> {
        Some(Self {
            theme,
            group: group.to_owned(),
            action: count.action?,
            school_hours,
            mandatory,
            background,
            incidents: count.incidents,
            lookups: count.lookups,
            devices: count.devices.len() as u64,
        })
    }
}

/// The digests that are kept. One that cannot be read or written is made again:
/// nothing of it is lost while its day is there.
pub(super) struct Digests {
    path: PathBuf,
    db: Mutex<Option<Connection>>,
}

impl Digests {
    pub(super) fn of(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("incidents").join("digests.db"),
            db: Mutex::new(None),
        }
    }

    /// The digest of a day, if it was made of the day as it is, or the day is
    /// gone.
    pub(super) fn read(
        &self,
        date: Date,
        stamp: Option<Stamp>,
        hours: &SchoolHours,
    ) -> Option<DayDigest> {
        if !self.path.exists() {
            return None;
        }
        let read = |db: &Connection| {
            let sql = "SELECT made_of, body FROM digests WHERE date = ?";
            let mut select = db.prepare_cached(sql)?;
            let row = select.query_row([date.to_string()], |row| Ok((row.get(0)?, row.get(1)?)));
            row.optional()
        };
        let (made_of, body): (String, String) = self.with_db(read)??;
        let fits = stamp.is_none_or(|stamp| made_of == made(stamp, hours));
        let digest = serde_json::from_str(&body).ok()?;
        fits.then_some(digest)
    }

    pub(super) fn keep(&self, digest: &DayDigest, stamp: Stamp, hours: &SchoolHours) {
        let Ok(body) = serde_json::to_string(digest) else {
            return;
        };
        let row = [digest.date.to_string(), made(stamp, hours), body];
        let kept = self.with_db(|db| db.execute("REPLACE INTO digests VALUES (?, ?, ?)", row));
        if kept.is_none() {
            tracing::warn!(day = %digest.date, "a day's numbers could not be kept");
        }
    }

    fn with_db<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        let mut held = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let db = match &mut *held {
            Some(db) => db,
            none => none.insert(casework::open(&self.path, VERSION, SCHEMA).ok()?),
        };
        work(db).ok()
    }
}

/// What a digest was made of.
fn made(stamp: Stamp, hours: &SchoolHours) -> String {
    format!("{} {}", stamp.of_content(), hours.mark())
}
