//! `schoolgate log`: the rows, for a person or for a program.
//!
//! Rows go out as they are read, so that months of them cost no memory. The
//! name of a mandatory hit is withheld: it is for the DSL role alone, and
//! a command line does not know who types.

use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::document::choices;
use crate::lists::category::Category;
use crate::policy::decision::Verdict;

use super::filter::Filter;
use super::moment::{self, End};
use super::read::{self, Unreadable};
use super::row::Row;
use super::told::{JsonRow, MandatoryHosts, name_of, type_of};

/// A command line does not know who types.
const HOSTS: MandatoryHosts = MandatoryHosts::Withheld;

/// What `schoolgate log` was asked for.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LogArgs {
    /// Rows from then on: 2h, 3d, today, 2026-11-21, 2026-11-21T09:00, RFC 3339
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Rows up to then; a day counts to its end
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Rows of this group
    #[arg(long, value_name = "G")]
    pub group: Option<String>,
    /// Rows of this device: its id, name, MAC or address
    #[arg(long, value_name = "D")]
    pub device: Option<String>,
    /// Rows of names in this category
    #[arg(long, value_name = "C")]
    pub category: Option<String>,
    /// Rows with this outcome: allow, block or rewrite
    #[arg(long, value_name = "A")]
    pub action: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// What was asked for does not exist; every mistake, one a line.
    #[error("{}", .0.join("\n"))]
    Arguments(Vec<String>),
    /// The folder cannot be read or the rows not be handed over.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes the rows of the log in `folder` to `out`, oldest first. Returns the
/// days that could not be read.
pub fn log(
    args: &LogArgs,
    folder: &Path,
    zone: &TimeZone,
    now: Timestamp,
    out: &mut impl Write,
) -> Result<Vec<Unreadable>, LogError> {
    let filter = filter(args, now, zone).map_err(LogError::Arguments)?;
    let mut unreadable = Vec::new();
    let rows = read::rows(folder, zone, filter)?;
    if !args.json {
        writeln!(out, "{}", table_line(&HEADINGS, "NAME"))?;
    }
    for row in rows {
        match row {
            Ok(row) if args.json => {
                let row = JsonRow::of(&row, zone, HOSTS);
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
            Ok(row) => writeln!(out, "{}", for_people(&row, zone))?,
            Err(day) => unreadable.push(day),
        }
    }
    out.flush()?;
    Ok(unreadable)
}

/// Reads the arguments; tells every mistake.
fn filter(args: &LogArgs, now: Timestamp, zone: &TimeZone) -> Result<Filter, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut moment = |option: &str, text: &Option<String>, end| {
        let text = text.as_deref()?;
        let read = moment::parse(text, end, now, zone);
        if read.is_none() {
            mistakes.push(format!(
                "{option}: \"{text}\" is no moment; write 2h, 3d, today, 2026-11-21, \
                 2026-11-21T09:00 or 2026-11-21T09:00:00Z"
            ));
        }
        read
    };
    let since = moment("--since", &args.since, End::Since);
    let until = moment("--until", &args.until, End::Until);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        mistakes.push("--since is not before --until".to_owned());
    }
    let category = args.category.as_deref().and_then(|id| {
        let found = Category::named(id);
        if found.is_none() {
            let ids = Category::all().map(Category::id);
            mistakes.push(format!(
                "--category: no category \"{id}\"; {}",
                choices(id, ids)
            ));
        }
        found
    });
    let action = args.action.as_deref().and_then(|id| {
        let all = [Verdict::Allow, Verdict::Block, Verdict::Rewrite];
        let found = all.into_iter().find(|verdict| verdict.id() == id);
        if found.is_none() {
            let ids = all.map(Verdict::id);
            mistakes.push(format!(
                "--action: no action \"{id}\"; {}",
                choices(id, ids)
            ));
        }
        found
    });
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Filter {
        since,
        until,
        group: args.group.clone(),
        device: args.device.clone(),
        category,
        action,
        ..Filter::default()
    })
}

const HEADINGS: [&str; 7] = ["TIME", "DEVICE", "GROUP", "ACTION", "WHY", "TYPE", "COUNT"];

/// One line, in the school's time. A time with `?` comes from a clock that was
/// not known to be right.
fn for_people(row: &Row, zone: &TimeZone) -> String {
    let local = row.time.to_zoned(zone.clone());
    let doubt = if row.time_trusted { "" } else { "?" };
    let time = format!("{}{doubt}", local.strftime("%Y-%m-%d %H:%M:%S"));
    let device = row.device_name.as_ref().or(row.device.as_ref());
    let device = match (device.or(row.mac.as_ref()), row.ip) {
        (Some(device), _) => harmless(device),
        (None, Some(ip)) => ip.to_string(),
        (None, None) => "-".to_owned(),
    };
    let why = row.category.as_deref().unwrap_or(row.layer.id());
    let columns = [
        &*time,
        &device,
        &row.group,
        row.action.id(),
        why,
        &type_of(row),
        &row.count.to_string(),
    ];
    table_line(&columns, name_of(row, HOSTS))
}

fn table_line(columns: &[&str; 7], name: &str) -> String {
    let [time, device, group, action, why, rtype, count] = columns;
    format!(
        "{time:<20} {device:<22} {group:<12} {action:<8} {why:<20} {rtype:<6} {count:>5}  {name}"
    )
}

/// A lease's host name is a stranger's text: it must not steer a terminal.
fn harmless(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}
