//! Numbers for charts: how many look-ups per hour, group, action and category.
//!
//! One small file beside the days, without a name or a device, so it may stay
//! when the rows go. Also where `log = "counts"` ends. It is written after the
//! rows and not waited for (`synchronous=NORMAL`): a power cut may cost the last
//! seconds of a chart, never a row.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};

use crate::lists::category::Category;

use super::day::open_database;
use super::days;
use super::packed;
use super::spool::Held;
use super::store::StoreError;

const VERSION: i32 = 1;
const SCHEMA: &str = "
    CREATE TABLE hours (
        hour INTEGER NOT NULL, grp TEXT NOT NULL, action TEXT NOT NULL,
        category TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (hour, grp, action, category)
    ) STRICT, WITHOUT ROWID;
";
const HOUR: i64 = 3600;

/// One bar of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourCount {
    /// When the hour began.
    pub hour: Timestamp,
    /// Whose look-ups.
    pub group: String,
    /// What happened to them: `allow`, `block`, `rewrite`.
    pub action: String,
    /// The id of the category that decided; empty if none did.
    pub category: String,
    /// How many.
    pub count: u64,
}

/// The summary, open for writing, with what is not yet in the file.
pub(super) struct Summary {
    folder: PathBuf,
    db: Option<Connection>,
    waiting: BTreeMap<Cell, u64>,
}

type Cell = (i64, Box<str>, &'static str, &'static str);

impl Summary {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            db: None,
            waiting: BTreeMap::new(),
        }
    }

    /// Adds rows to what [`Summary::write`] will write.
    pub(super) fn count(&mut self, rows: &[Held]) {
        let mut cells: HashMap<(i64, &str, &'static str, &'static str), u64, RandomState> =
            HashMap::default();
        for row in rows {
            let Some(packed) = packed::unpack(&row.key) else {
                continue;
            };
            let hour = row.time.div_euclid(HOUR * 1_000_000);
            let category = packed.category.map_or("", Category::id);
            let cell = (hour, packed.group, packed.action.id(), category);
            *cells.entry(cell).or_default() += row.count;
        }
        for ((hour, group, action, category), count) in cells {
            let cell = (hour, group.into(), action, category);
            *self.waiting.entry(cell).or_default() += count;
        }
    }

    /// Writes what waits; keeps it waiting if that fails.
    pub(super) fn write(&mut self, set_aside: &mut Vec<String>) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        match self.try_write() {
            Err(error) if error.is_damage() => {
                self.db = None;
                let aside = days::set_aside(&path(&self.folder))
                    .map_err(StoreError::folder(&self.folder))?;
                set_aside.push(StoreError::name(&aside));
                self.try_write()?;
            }
            other => other?,
        }
        self.waiting.clear();
        Ok(())
    }

    fn try_write(&mut self) -> Result<(), StoreError> {
        let path = path(&self.folder);
        let db = match &mut self.db {
            Some(db) => db,
            none => none.insert(open(&self.folder, &path)?),
        };
        let mut write = || {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut add = tx.prepare_cached(
                "INSERT INTO hours VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?;
            for ((hour, group, action, category), count) in &self.waiting {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                add.execute(params![hour, group, action, category, count])?;
            }
            drop(add);
            tx.commit()
        };
        write().map_err(StoreError::database(&path))
    }
}

/// The hours that begin from `since` on and before `until`, in order. No file
/// is no hours.
pub fn hours(
    folder: &Path,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<HourCount>, StoreError> {
    let path = path(folder);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags)?;
        db.busy_timeout(std::time::Duration::from_secs(1))?;
        let mut select = db.prepare(
            "SELECT hour, grp, action, category, count FROM hours
             WHERE hour * 3600 >= ? AND hour * 3600 < ? ORDER BY hour, grp, action, category",
        )?;
        let rows = select.query_map([since.as_second(), until.as_second()], |row| {
            let hour: i64 = row.get(0)?;
            Ok(HourCount {
                hour: Timestamp::from_second(hour.saturating_mul(HOUR)).unwrap_or_default(),
                group: row.get(1)?,
                action: row.get(2)?,
                category: row.get(3)?,
                count: row.get::<_, i64>(4)?.unsigned_abs(),
            })
        })?;
        rows.collect::<rusqlite::Result<_>>()
    };
    read().map_err(StoreError::database(&path))
}

fn open(folder: &Path, path: &Path) -> Result<Connection, StoreError> {
    days::make_folder(folder).map_err(StoreError::folder(folder))?;
    days::make_file(folder, path).map_err(StoreError::folder(folder))?;
    let db = open_database(path, VERSION, SCHEMA)?;
    db.pragma_update(None, "synchronous", "NORMAL")
        .map_err(StoreError::database(path))?;
    Ok(db)
}

fn path(folder: &Path) -> PathBuf {
    folder.join("summary.db")
}
