//! Rows of the log on their way out of the school: gathered, with or without
//! mandatory hosts, as a table and as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::lists::category::Theme;
use crate::querylog::filter::Filter;
use crate::querylog::read;
use crate::querylog::row::Row;
pub use crate::querylog::told::MandatoryHosts;
use crate::querylog::told::{JsonRow, WITHHELD, name_of, source_of, type_of};
use crate::querylog::visits::Incident;

use super::{ReportError, csv};

/// Most rows of one bundle: what is packed is packed in memory.
pub const MOST_ROWS: usize = 400_000;

/// Rows, and which days could not be read for them.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Oldest first.
    pub rows: Vec<Row>,
    /// What is missing, as people read it.
    pub unreadable: Vec<String>,
}

/// Which span of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From this instant on; none: from the first row kept.
    pub since: Option<Timestamp>,
    /// Up to, not including, this instant.
    pub until: Timestamp,
}

/// Gathers what any of `keys` asked.
pub fn gather(
    state_dir: &Path,
    zone: &TimeZone,
    keys: &[String],
    span: Span,
) -> Result<Gathered, ReportError> {
    let folder = state_dir.join("querylog");
    let mut all: BTreeMap<Timestamp, Row> = BTreeMap::new();
    let mut unreadable = Vec::new();
    for key in keys {
        let filter = Filter {
            since: span.since,
            until: Some(span.until),
            device: Some(key.clone()),
            ..Filter::default()
        };
        for row in read::rows(&folder, zone, filter)? {
            match row {
                // A row found under two of its names is one row: its time is its key.
                Ok(row) => drop(all.insert(row.time, row)),
                Err(day) => unreadable.push(day.to_string()),
            }
            if all.len() > MOST_ROWS {
                let why = format!(
                    "there are more than {MOST_ROWS} rows, too many for one file; \
                     take a shorter span, and one file for each"
                );
                return Err(ReportError::Refused(why));
            }
        }
    }
    unreadable.sort();
    unreadable.dedup();
    Ok(Gathered {
        rows: all.into_values().collect(),
        unreadable,
    })
}

const HEADINGS: [&str; 17] = [
    "time (UTC)",
    "time (school)",
    "clock trusted",
    "device",
    "name of device",
    "MAC",
    "address",
    "group",
    "name asked for",
    "type",
    "action",
    "decided by",
    "category",
    "all categories",
    "source",
    "policy",
    "count",
];

/// `rows.csv`.
#[must_use]
pub fn as_csv(rows: &[Row], zone: &TimeZone, hosts: MandatoryHosts) -> Vec<u8> {
    let text = |word: &Option<String>| word.clone().unwrap_or_default();
    let lines = rows.iter().map(|row| {
        [
            row.time.to_string(),
            local(row.time, zone),
            if row.time_trusted { "yes" } else { "no" }.to_owned(),
            text(&row.device),
            text(&row.device_name),
            text(&row.mac),
            row.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            row.group.clone(),
            name_of(row, hosts).to_owned(),
            type_of(row),
            row.action.id().to_owned(),
            row.layer.id().to_owned(),
            text(&row.category),
            row.categories.join(" "),
            source_of(row, hosts).unwrap_or_default().to_owned(),
            row.policy.to_string(),
            row.count.to_string(),
        ]
    });
    let headings = std::iter::once(HEADINGS.map(str::to_owned));
    csv::to_bytes(headings.chain(lines))
}

/// `rows.json`: one array, of the fields of `schoolgate log --json`.
pub fn as_json(
    rows: &[Row],
    zone: &TimeZone,
    hosts: MandatoryHosts,
) -> serde_json::Result<Vec<u8>> {
    let rows = rows.iter().map(|row| {
        let mut told = JsonRow::of(row, zone, hosts);
        // Its time is its key: to the last digit.
        told.time = row.time.to_string();
        told
    });
    lines_of(rows)
}

/// An incident as `incidents.json` has it.
#[derive(Serialize)]
struct JsonIncident<'i> {
    id: i64,
    first: String,
    last: String,
    local: String,
    device: Option<&'i str>,
    name_of_device: Option<&'i str>,
    group: &'i str,
    domain: &'i str,
    categories: Vec<&'i str>,
    theme: Theme,
    action: &'static str,
    mandatory: bool,
    background: bool,
    count: u64,
}

/// `incidents.json`: the rows as people read them.
pub fn incidents_as_json(
    all: &[Incident],
    zone: &TimeZone,
    hosts: MandatoryHosts,
) -> serde_json::Result<Vec<u8>> {
    let all = all.iter().map(|incident| JsonIncident {
        id: incident.first.as_microsecond(),
        first: incident.first.to_string(),
        last: incident.last.to_string(),
        local: local(incident.first, zone),
        domain: domain_of(incident, hosts),
        device: incident.device.as_deref(),
        name_of_device: incident.device_name.as_deref(),
        group: &incident.group,
        categories: incident.categories.iter().map(String::as_str).collect(),
        theme: incident.theme,
        action: incident.action.id(),
        mandatory: incident.mandatory,
        background: incident.background,
        count: incident.count,
    });
    lines_of(all)
}

/// An array with a line for each value, so that it can be read with an editor.
fn lines_of(values: impl Iterator<Item = impl Serialize>) -> serde_json::Result<Vec<u8>> {
    let mut bytes = b"[".to_vec();
    for (at, value) in values.enumerate() {
        bytes.extend(if at == 0 { &b"\n"[..] } else { b",\n" });
        serde_json::to_writer(&mut bytes, &value)?;
    }
    bytes.extend(b"\n]\n");
    Ok(bytes)
}

fn local(time: Timestamp, zone: &TimeZone) -> String {
    let local = time.to_zoned(zone.clone());
    local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn domain_of(incident: &Incident, hosts: MandatoryHosts) -> &str {
    match hosts {
        MandatoryHosts::Withheld if incident.mandatory => WITHHELD,
        _ => &incident.domain,
    }
}
