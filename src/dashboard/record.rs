//! The record of who signed in and who read what, as the auditor, the head and
//! the safeguarding lead see it: newest first, with whether it hangs together.
//!
//! The head's digest is there to be noted down: whoever has it can tell later
//! whether anything before it was altered.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::app::App;
use super::asked::Asked;
use super::page::{self as frame, Problem};
use super::shown::{time, words};
use super::visitor::Visitor;
use crate::record::{Broken, Entry};
use crate::reports::csv;

/// Entries on one page, and in one file.
const PAGE: usize = 100;
const FILE: usize = 100_000;
/// What a link to the next page keeps.
const KEYS: [&str; 4] = ["who", "what", "from", "to"];

/// Which entries are asked for.
struct Wanted {
    who: Option<String>,
    what: Option<String>,
    from: Option<Date>,
    to: Option<Date>,
    /// Only those before this number.
    before: u64,
}

impl Wanted {
    fn read(asked: &Asked) -> Self {
        Self {
            who: asked.word("who").map(str::to_owned),
            what: asked.word("what").map(str::to_owned),
            from: asked.parsed("from"),
            to: asked.parsed("to"),
            before: asked.parsed("before").unwrap_or(u64::MAX),
        }
    }

    fn holds(&self, entry: &Entry, zone: &TimeZone) -> bool {
        let date = entry.time.to_zoned(zone.clone()).date();
        let is = |wanted: &Option<String>, had: &str| wanted.as_ref().is_none_or(|w| w == had);
        is(&self.who, &entry.deed.who)
            && is(&self.what, &entry.deed.what)
            && self.from.is_none_or(|from| from <= date)
            && self.to.is_none_or(|to| date <= to)
            && entry.number < self.before
    }
}

/// What a page is made of.
struct Found {
    entries: Vec<Entry>,
    /// What kinds of deeds there are at all.
    kinds: Vec<String>,
    state: Result<Option<Entry>, Broken>,
}

/// `GET /record`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let wanted = Wanted::read(&asked);
    let found = app
        .blocking(move |app| find(app, &wanted, PAGE + 1))
        .await??;
    let zone = &app.configuration.document.zone;
    let shown = found.entries.get(..PAGE).unwrap_or(&found.entries);
    let more = shown.last().filter(|_| found.entries.len() > PAGE);
    let body = html! {
        (state(&found.state, zone))
        (filters(&asked, &found.kinds))
        (table(shown, zone))
        @if let Some(last) = more {
            @let before = last.number.to_string();
            p { a href=(asked.link("/record", &KEYS, &[("before", &before)])) { "Earlier" } }
        }
        p { a href=(asked.link("/record.csv", &KEYS, &[])) { "These as a table (CSV)" } }
    };
    Ok(frame::page(&visitor, "Record", &body))
}

/// `GET /record.csv`
pub(super) async fn csv(State(app): State<Arc<App>>, asked: Asked) -> Result<Response, Problem> {
    let wanted = Wanted::read(&asked);
    let found = app.blocking(move |app| find(app, &wanted, FILE)).await??;
    let headings = ["number", "time", "who", "from", "what", "about", "digest"];
    let lines = found.entries.iter().map(|entry| {
        [
            entry.number.to_string(),
            entry.time.to_string(),
            entry.deed.who.clone(),
            entry.deed.from.clone().unwrap_or_default(),
            entry.deed.what.clone(),
            about(entry),
            entry.digest.clone(),
        ]
    });
    let bytes = csv::to_bytes(std::iter::once(headings.map(str::to_owned)).chain(lines));
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"record.csv\""),
    ];
    Ok((headers, bytes).into_response())
}

fn find(app: &App, wanted: &Wanted, most: usize) -> Result<Found, Problem> {
    let all = app
        .record
        .entries()
        .map_err(|error| Problem::failed("the record cannot be read", &error))?;
    let zone = &app.configuration.document.zone;
    let mut kinds: Vec<String> = all.iter().map(|entry| entry.deed.what.clone()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let held = all.into_iter().rev().filter(|e| wanted.holds(e, zone));
    Ok(Found {
        entries: held.take(most).collect(),
        kinds,
        state: app.record.verify(),
    })
}

fn state(state: &Result<Option<Entry>, Broken>, zone: &TimeZone) -> Markup {
    html! {
        @match state {
            Ok(None) => { p class="notice" { "Nothing has been recorded yet." } },
            Ok(Some(head)) => {
                div class="notice ok" {
                    p {
                        "The record is whole: " (head.number) " entries, the last "
                        (time(head.time, zone)) "."
                    }
                    p { "Its seal. Whoever notes it down can tell later whether anything up to here was changed: " br; code class="name" { (head.digest) } }
                }
            },
            Err(broken) => {
                p class="notice danger" role="alert" {
                    "The record does not hang together: " (broken.to_string())
                    ". What stands before that is as it was written."
                }
            },
        }
    }
}

fn filters(asked: &Asked, kinds: &[String]) -> Markup {
    let word = |key| asked.word(key).unwrap_or_default();
    html! {
        form class="filters" method="get" action="/record" {
            p {
                label for="from" { "From" }
                input id="from" name="from" type="date" value=(word("from"));
            }
            p {
                label for="to" { "To" }
                input id="to" name="to" type="date" value=(word("to"));
            }
            p {
                label for="who" { "Who" }
                input id="who" name="who" maxlength="100" spellcheck="false" value=(word("who"));
            }
            p {
                label for="what" { "What" }
                select id="what" name="what" {
                    option value="" { "anything" }
                    @for kind in kinds {
                        option value=(kind) selected[word("what") == kind] { (plain(kind)) }
                    }
                }
            }
            p { button { "Show" } }
        }
    }
}

fn table(entries: &[Entry], zone: &TimeZone) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Record" {
            table class="cards" {
                caption { "Newest first" }
                thead {
                    tr {
                        th scope="col" { "Number" }
                        th scope="col" { "Time" }
                        th scope="col" { "Who" }
                        th scope="col" { "What" }
                        th scope="col" { "About" }
                        th scope="col" { "From" }
                    }
                }
                tbody {
                    @for entry in entries {
                        tr {
                            td data-label="Number" class="number" { (entry.number) }
                            td data-label="Time" { (time(entry.time, zone)) }
                            td data-label="Who" { (words(&entry.deed.who)) }
                            td data-label="What" { (plain(&entry.deed.what)) }
                            @let about = said(entry);
                            td data-label="About" { @if !about.is_empty() { (words(&about)) } }
                            td data-label="From" { (entry.deed.from.as_deref().unwrap_or("")) }
                        }
                    }
                }
            }
        }
    }
}

/// What a deed was about, in one line.
fn about(entry: &Entry) -> String {
    let said = entry.deed.about.iter().map(|(key, value)| match value {
        serde_json::Value::String(text) => format!("{key}: {text}"),
        other => format!("{key}: {other}"),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// The same as people say it: what is not so needs no word.
fn said(entry: &Entry) -> String {
    let all = entry.deed.about.iter();
    let said = all.filter_map(|(key, value)| match value {
        serde_json::Value::Bool(false) => None,
        serde_json::Value::Bool(true) => Some(plain(key)),
        serde_json::Value::String(text) => Some(format!("{}: {text}", plain(key))),
        other => Some(format!("{}: {other}", plain(key))),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// `signed_in` as people write it.
fn plain(what: &str) -> String {
    what.replace('_', " ")
}
