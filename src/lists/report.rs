//! `schoolgate lists`: what is in force, how old it is, and where every line of
//! every list went.
//!
//! It reads what `refresh` wrote down and judges only age. Of a mandatory list
//! it shows counts, for that is all there is.

use std::io::{self, Write};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::load::{self, LoadError};
use super::lookup::Class;
use super::parse::{LineComplaint, Quarantined, Tally};
use super::store::{Health, Record, record_of};

/// After this long without a refresh a list is shown as stale.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// As [`STALE_AFTER`]; the lists of illegal content change twice a day.
pub const MANDATORY_STALE_AFTER: SignedDuration = SignedDuration::from_hours(48);

/// What `lists --json` prints.
#[derive(Debug, Clone, Serialize)]
pub struct ListsReport {
    /// Every source of the generation in force.
    pub sources: Vec<SourceReport>,
    /// How many names the index has.
    pub names: u64,
    /// How many entries the mandatory index has.
    pub mandatory: u64,
    /// How many names are left out because a listed ancestor covers them.
    pub redundant: u64,
    /// The generation in force.
    pub generation: String,
}

/// One source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Its id.
    pub id: String,
    /// What its names are listed for.
    pub category: String,
    /// Whether anybody may lift it.
    pub class: Class,
    /// How it went the last time.
    pub state: Health,
    /// Where every line went.
    #[serde(flatten)]
    pub tally: TallyReport,
    /// The first complaints.
    pub complaints: Vec<LineComplaint>,
    /// The first entries in quarantine.
    pub quarantine: Vec<Quarantined>,
    /// When it was last taken.
    pub last_success: Option<Timestamp>,
    /// When it was last tried.
    pub last_attempt: Option<Timestamp>,
    /// Why it was not taken.
    pub last_error: Option<String>,
}

/// [`Tally`] in the words of the interface contract:
/// `lines + further = comments + entries + duplicates + complaints_total +
/// needs_url_filter + quarantined`.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "as in Tally")]
pub struct TallyReport {
    pub lines: u64,
    pub further: u64,
    pub comments: u64,
    pub entries: u64,
    pub duplicates: u64,
    pub complaints_total: u64,
    pub complaints_by_reason: std::collections::BTreeMap<String, u64>,
    pub needs_url_filter: u64,
    pub quarantined: u64,
    pub covers_must_resolve: u64,
    pub degraded: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No generation.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Whoever reads it went away.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Prints the report, as one JSON document or as a table.
pub fn lists_report(
    state_dir: &Path,
    json: bool,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<(), ReportError> {
    let report = report(state_dir, now)?;
    if json {
        serde_json::to_writer(&mut *out, &report).map_err(io::Error::other)?;
        writeln!(out)?;
    } else {
        table(&report, out)?;
    }
    Ok(())
}

/// Gathers the report.
pub fn report(state_dir: &Path, now: Timestamp) -> Result<ListsReport, ReportError> {
    let lists_dir = load::lists_dir(state_dir);
    let (folder, manifest) = load::manifest(&lists_dir)?;
    let sources = manifest.sources.into_iter().map(|facts| {
        let record = record_of(&lists_dir, &facts.id);
        SourceReport {
            state: health(&record, facts.class, now),
            id: facts.id,
            category: facts.category,
            class: facts.class,
            tally: record.tally.into(),
            complaints: record.complaints,
            quarantine: record.quarantine,
            last_success: record.last_success,
            last_attempt: record.last_attempt,
            last_error: record.last_error,
        }
    });
    Ok(ListsReport {
        sources: sources.collect(),
        names: manifest.names.entries,
        mandatory: manifest.mandatory.map_or(0, |facts| facts.entries),
        redundant: manifest.redundant,
        generation: folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    })
}

/// A record says how it went; only the clock says that it was long ago.
fn health(record: &Record, class: Class, now: Timestamp) -> Health {
    let most = match class {
        Class::Category => STALE_AFTER,
        Class::Mandatory => MANDATORY_STALE_AFTER,
    };
    let is_old = record
        .last_success
        .is_some_and(|then| now.duration_since(then) > most);
    match record.state {
        Health::Fresh if is_old => Health::Stale,
        other => other,
    }
}

fn table(report: &ListsReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<28} {:<20} {:<9} {:>9} {:>9} {:>8} {:>9}  last success",
        "source", "category", "state", "entries", "twice", "refused", "URL only"
    )?;
    for source in &report.sources {
        let class = match source.class {
            Class::Mandatory => " (mandatory)",
            Class::Category => "",
        };
        let (tally, state) = (&source.tally, format!("{:?}", source.state).to_lowercase());
        let success = source.last_success.map_or("never".to_owned(), |t| {
            t.strftime("%Y-%m-%d %H:%M UTC").to_string()
        });
        writeln!(
            out,
            "{:<28} {:<20} {state:<9} {:>9} {:>9} {:>8} {:>9}  {success}{class}",
            source.id,
            source.category,
            tally.entries,
            tally.duplicates,
            tally.complaints_total,
            tally.needs_url_filter,
        )?;
        if tally.quarantined > 0 {
            let count = tally.quarantined;
            writeln!(
                out,
                "    {count} left out: they would cover names that must resolve"
            )?;
        }
        if let Some(why) = &source.last_error {
            writeln!(out, "    not taken at the last try: {why}")?;
        }
    }
    writeln!(
        out,
        "{}: {} names ({} more under listed ones), {} mandatory",
        report.generation, report.names, report.redundant, report.mandatory
    )
}

impl From<Tally> for TallyReport {
    fn from(tally: Tally) -> Self {
        Self {
            lines: tally.lines,
            further: tally.further,
            comments: tally.comments,
            entries: tally.entries,
            duplicates: tally.duplicates,
            complaints_total: tally.complaints,
            complaints_by_reason: tally.reasons,
            needs_url_filter: tally.needs_url_filter,
            quarantined: tally.quarantined,
            covers_must_resolve: tally.covers_must_resolve,
            degraded: tally.degraded,
        }
    }
}
