//! The text of a list → names, addresses and complaints.
//!
//! The text is hostile: it was made by strangers and came over the network. It
//! is read once, in lines of bounded length, and each line is either understood
//! whole or refused with a reason; the rest of the list is kept. What a format
//! means stands in one file each; what all share (limits, lines, counting)
//! stands here.
//!
//! It must never accept a name that is not in the line, never make a whole
//! host of a path, and never repeat a mandatory line in a complaint
//!

mod adblock;
mod collect;
mod lines;
mod plain;
mod reason;
mod regex;
mod rpz;
mod urls;

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use super::addresses::AddressRange;
use super::admit::MustResolve;
use super::names::Names;
use super::source::{Format, SourceSpec};
use collect::Collector;
use lines::{Line, Lines};
pub use reason::Reason;

/// What a list was found to hold.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The names, sorted.
    pub names: Names,
    /// The addresses, sorted.
    pub addresses: Vec<AddressRange>,
    /// Where every line went.
    pub tally: Tally,
    /// The first complaints; `tally.complaints` counts all.
    pub complaints: Vec<LineComplaint>,
    /// The first entries that were left out because they would cover a name
    /// that must resolve; `tally.quarantined` counts all.
    pub quarantine: Vec<Quarantined>,
}

/// Where every line of a list went:
/// `lines + further = comments + entries + duplicates + complaints +
/// needs_url_filter + quarantined`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Comments, empty lines and what a zone says of itself.
    pub comments: u64,
    /// What a line said beyond its first word: the second and third alias.
    pub further: u64,
    /// Names and addresses that are in force, each once.
    pub entries: u64,
    /// Entries that stood there already.
    pub duplicates: u64,
    /// What was refused, each with a line and a reason.
    pub complaints: u64,
    /// Entries for a path, which no resolver can enforce.
    pub needs_url_filter: u64,
    /// Entries left out because they cover a name that must resolve.
    pub quarantined: u64,
    /// Entries of a mandatory list that cover a name that must resolve; they
    /// are in force, and somebody should look.
    pub covers_must_resolve: u64,
    /// Whether a line was too long to be read, as after a bad download.
    pub degraded: bool,
    /// How many complaints of each kind.
    pub reasons: std::collections::BTreeMap<String, u64>,
}

/// One refused entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineComplaint {
    /// The line, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// One entry that would have covered a name that must resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The line, from 1.
    pub line: u64,
    /// The listed name.
    pub name: String,
    /// The name it would have covered.
    pub protects: String,
}

/// Why a whole text is no list.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// An error page, a login page.
    #[error("it is a web page, not a list")]
    Html,
    /// Over `max_bytes` once decompressed.
    #[error("it has over {0} bytes")]
    TooManyBytes(u64),
    /// Over `max_lines`.
    #[error("it has over {0} lines")]
    TooManyLines(u64),
    /// The gzip stream ends early or is damaged, or the disk failed.
    #[error("it cannot be read to its end: {0}")]
    Damaged(#[from] io::Error),
    /// More than four gigabytes of names.
    #[error(transparent)]
    Full(#[from] super::names::Full),
}

/// Reads a whole list.
pub fn parse(
    spec: &SourceSpec,
    must_resolve: &MustResolve,
    reader: impl BufRead,
) -> Result<Parsed, Refusal> {
    let mut lines = Lines::new(reader, spec.max_bytes);
    let mut out = Collector::new(spec, must_resolve);
    let mut zone = rpz::Zone::default();
    let mut seen_text = false;
    while let Some(line) = lines.next_line()? {
        if out.begin_line() > spec.max_lines {
            return Err(Refusal::TooManyLines(spec.max_lines));
        }
        match line {
            Line::TooLong => {
                out.degraded();
                out.complain(Reason::LineTooLong);
            }
            Line::NotUtf8 => out.complain(Reason::NotUtf8),
            Line::Text(text) => {
                if !seen_text && is_web_page(text) {
                    return Err(Refusal::Html);
                }
                seen_text |= !text.trim().is_empty();
                match spec.format {
                    Format::Rpz => zone.line(text, &mut out),
                    format => read_line(format, text.trim(), &mut out),
                }
            }
        }
        out.end_line()?;
    }
    Ok(out.finish())
}

fn read_line(format: Format, line: &str, out: &mut Collector<'_>) {
    if line.is_empty() || line.starts_with('!') {
        return;
    }
    if line.starts_with('[') && line.ends_with(']') && format != Format::Urls {
        if out.line() > 1 {
            out.complain(Reason::LateHeader);
        }
        return;
    }
    if line.starts_with('<') {
        return out.complain(Reason::Html);
    }
    // A third-party block list must not be able to allow.
    if line.starts_with("@@") {
        return out.complain(Reason::Exception);
    }
    match format {
        Format::Domains => plain::domains(line, out),
        Format::Hosts => plain::hosts(line, out),
        Format::Addresses => plain::addresses(line, out),
        Format::Adblock => adblock::rule(line, out),
        Format::Urls => urls::url(line, out),
        // A zone is read with its leading blanks, which mean something.
        Format::Rpz => (),
    }
}

/// What a captive portal or an error page begins with.
fn is_web_page(text: &str) -> bool {
    let text = text.trim_start();
    ["<!doctype", "<html", "<head", "<body", "<?xml"]
        .iter()
        .any(|tag| {
            text.get(..tag.len())
                .is_some_and(|t| t.eq_ignore_ascii_case(tag))
        })
}
