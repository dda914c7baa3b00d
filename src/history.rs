//! `schoolgate history`: what has been changed, by whom, from where, why, and who
//! agreed.
//!
//! Two records are read as one: the changes of the policy, and of what people did
//! on the pages that which decides who may do what. Looking at pupils' rows is in
//! the second too and is left out here: the page of the record has it. It must
//! never change a record; beginning one anew is `history/anew.rs`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::appliance::all_of;
use crate::configuration;
use crate::record::{Entry, Record};
use crate::standing;

mod anew;
mod export;
mod telling;
mod verify;

/// What is looked at.
#[derive(Debug, Clone, clap::Args)]
pub struct HistoryArgs {
    /// Go through both records and say whether anything in them was altered
    #[arg(long)]
    verify: bool,
    /// Say whether the entry with this digest is there, as an e-mail or an
    /// auditor noted it down
    #[arg(long, value_name = "DIGEST")]
    head: Option<String>,
    /// Only what happened since then, such as 2026-11-01 or 7d
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Write the record of changes to a file, and beside it how to check it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["verify", "head", "begin_anew"])]
    export: Option<PathBuf>,
    /// Put a record that cannot be believed aside, and begin a new one with what
    /// the files of the folder say; only while `serve` does not run
    #[arg(long, requires = "why", conflicts_with_all = ["verify", "head"])]
    begin_anew: bool,
    /// Why it is begun anew
    #[arg(short = 'm', long = "why", value_name = "WHY", requires = "begin_anew")]
    why: Option<String>,
}

/// Which record an entry is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    Changes,
    Access,
}

/// An entry and where it is from.
#[derive(Debug, Serialize)]
struct Told {
    record: Of,
    #[serde(flatten)]
    entry: Entry,
}

/// What people do all day, and what decides nothing.
const EVERYDAY: [&str; 12] = [
    "considered_request",
    "password_failed",
    "read_alert",
    "read_digest",
    "read_incidents",
    "read_mandatory_host",
    "read_rows",
    "searched",
    "sign_in_refused",
    "signed_in",
    "signed_out",
    "tried_alerts",
];

/// Runs `schoolgate history` over the configuration in `folder`; the exit status.
pub fn history(
    args: &HistoryArgs,
    folder: &Path,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let settings = configuration::settings(folder).map_err(all_of)?;
    let state_dir = &settings.state_dir;
    if args.begin_anew {
        let why = args.why.as_deref().unwrap_or_default();
        return anew::begin_anew(folder, state_dir, why, now, out);
    }
    if args.verify || args.head.is_some() {
        let found = verify::verify(state_dir, args.head.as_deref());
        return Ok(found.write(args.json, out)?);
    }
    if let Some(file) = &args.export {
        return export::export(state_dir, file, out);
    }
    let standing = standing::configuration(folder).map_err(all_of)?;
    let zone = &standing.document.zone;
    let since = match args.since.as_deref() {
        Some(text) => Some(moment(text, now, zone)?),
        None => None,
    };
    let mut told = merged(state_dir)?;
    told.retain(|told| since.is_none_or(|since| told.entry.time >= since));
    for told in &told {
        if args.json {
            serde_json::to_writer(&mut *out, told)?;
            writeln!(out)?;
        } else {
            telling::write(&told.entry, zone, out)?;
        }
    }
    Ok(0)
}

fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    use crate::querylog::moment::{End, parse};
    parse(text, End::Since, now, zone)
        .with_context(|| format!("--since: \"{text}\" is no moment; write 2026-11-21 or 7d"))
}

/// Both records, oldest first.
fn merged(state_dir: &Path) -> anyhow::Result<Vec<Told>> {
    let told = |record| move |entry| Told { record, entry };
    let changes = Record::of_changes(state_dir).entries()?;
    let access = Record::of_access(state_dir).entries()?;
    let access = access.into_iter();
    let access = access.filter(|entry| !EVERYDAY.contains(&entry.deed.what.as_str()));
    let mut all: Vec<Told> = changes.into_iter().map(told(Of::Changes)).collect();
    all.extend(access.map(told(Of::Access)));
    // Stable: what has one time stays in its record's order.
    all.sort_by_key(|told| told.entry.time);
    Ok(all)
}

/// Refuses a reason that says nothing.
fn reason(why: &str) -> anyhow::Result<&str> {
    match why.trim() {
        "" => bail!("-m: the record keeps the reason; say one"),
        why => Ok(why),
    }
}

impl Of {
    /// Where it is, below the state folder.
    fn file(self) -> &'static str {
        match self {
            Self::Changes => "changes/record.jsonl",
            Self::Access => "record/access.jsonl",
        }
    }

    fn record(self, state_dir: &Path) -> Record {
        match self {
            Self::Changes => Record::of_changes(state_dir),
            Self::Access => Record::of_access(state_dir),
        }
    }
}
