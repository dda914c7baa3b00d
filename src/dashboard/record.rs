//! The records: who signed in and who read what, as the auditor, the head and the
//! safeguarding lead see it; and what was changed, as the technician does too.
//! Newest first, with whether it hangs together.
//!
//! The head's digest is there to be noted down: whoever has it can tell later
//! whether anything before it was altered.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde_json::Value;

use super::app::App;
use super::asked::Asked;
use super::in_words::discreet;
use super::page::{self as frame, Problem};
use super::routes::may_read;
use super::shown::{time, words};
use super::visitor::Visitor;
use crate::changes::ledger::{Ledger, kind};
use crate::record::{Broken, Entry, Record};
use crate::reports::csv;

/// Entries on one page, and in one file.
const PAGE: usize = 100;
const FILE: usize = 100_000;
/// Of a rehearsal, what pupils looked up.
const LOOKED_UP: [&str; 2] = ["blocked_names", "allowed_names"];
/// What a link to the next page keeps.
const KEYS: [&str; 4] = ["who", "what", "from", "to"];

/// One of the records.
#[derive(Debug, Clone, Copy)]
struct Chain {
    path: &'static str,
    file: &'static str,
    title: &'static str,
    /// Under which entry of the navigation.
    entry: &'static str,
    /// The other one.
    beside: (&'static str, &'static str),
    of: fn(&Path) -> Record,
    /// What an entry is about, in one line.
    about: fn(&Entry) -> String,
    /// Judges it whole.
    verify: fn(&Path) -> Result<Option<Entry>, Broken>,
}

const ACCESS: Chain = Chain {
    path: "/record",
    file: "record.csv",
    title: "Record",
    entry: "Record",
    beside: ("/changes/record", "The record of changes"),
    of: Record::of_access,
    about: said,
    verify: |state_dir| Record::of_access(state_dir).verify(),
};

const CHANGES: Chain = Chain {
    path: "/changes/record",
    file: "changes.csv",
    title: "Record of changes",
    entry: "Changes",
    beside: ("/record", "The record of who signed in and read what"),
    of: Record::of_changes,
    about: of_change,
    verify: |state_dir| Ledger::read(state_dir).map(|ledger| ledger.head),
};

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
    app: State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    shown(ACCESS, app, visitor, asked).await
}

/// `GET /changes/record`
pub(super) async fn changes(
    app: State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    shown(CHANGES, app, visitor, asked).await
}

/// `GET /record.csv`
pub(super) async fn csv(app: State<Arc<App>>, asked: Asked) -> Result<Response, Problem> {
    file(ACCESS, app, asked).await
}

/// `GET /changes/record.csv`
pub(super) async fn changes_csv(app: State<Arc<App>>, asked: Asked) -> Result<Response, Problem> {
    file(CHANGES, app, asked).await
}

async fn shown(
    chain: Chain,
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let wanted = Wanted::read(&asked);
    let found = app
        .blocking(move |app| find(app, chain, &wanted, PAGE + 1))
        .await??;
    let zone = &app.configuration.document.zone;
    let shown = found.entries.get(..PAGE).unwrap_or(&found.entries);
    let more = shown.last().filter(|_| found.entries.len() > PAGE);
    let body = html! {
        (state(&found.state, zone))
        (filters(chain, &asked, &found.kinds))
        (table(chain, shown, zone))
        @if let Some(last) = more {
            @let before = last.number.to_string();
            p { a href=(asked.link(chain.path, &KEYS, &[("before", &before)])) { "Earlier" } }
        }
        p { a href=(asked.link(&format!("{}.csv", chain.path), &KEYS, &[])) { "These as a table (CSV)" } }
        @if may_read(visitor.person.role, chain.beside.0) {
            p { a href=(chain.beside.0) { (chain.beside.1) } }
        }
    };
    Ok(frame::page_below(&visitor, chain.entry, chain.title, &body))
}

async fn file(
    chain: Chain,
    State(app): State<Arc<App>>,
    asked: Asked,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&asked);
    let found = app
        .blocking(move |app| find(app, chain, &wanted, FILE))
        .await??;
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
    let disposition = format!("attachment; filename=\"{}\"", chain.file);
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, bytes).into_response())
}

fn find(app: &App, chain: Chain, wanted: &Wanted, most: usize) -> Result<Found, Problem> {
    let state_dir = &app.settings().state_dir;
    let all = (chain.of)(state_dir)
        .entries()
        .map_err(|error| Problem::failed("the record cannot be read", &error))?;
    let zone = &app.configuration.document.zone;
    let mut kinds: Vec<String> = all.iter().map(|entry| entry.deed.what.clone()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let held = all.into_iter().rev().filter(|e| wanted.holds(e, zone));
    let held = held.take(most).map(|entry| match chain.entry {
        "Changes" => without_names(app, entry),
        _ => entry,
    });
    Ok(Found {
        entries: held.collect(),
        kinds,
        state: (chain.verify)(state_dir),
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
                    p { "Note this seal down: with it you can tell later whether anything up to here was changed. " br; code class="name" { (head.digest) } }
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

/// What a rehearsal found are names that pupils looked up, which are on the page
/// of the change for those who may read them; and a mandatory host is nowhere.
fn without_names(app: &App, mut entry: Entry) -> Entry {
    fn clear(app: &App, value: &mut Value) {
        match value {
            Value::String(text) => *text = discreet(app, text),
            Value::Array(all) => all.iter_mut().for_each(|one| clear(app, one)),
            Value::Object(all) => {
                all.retain(|key, _| !LOOKED_UP.contains(&key.as_str()));
                all.values_mut().for_each(|one| clear(app, one));
            }
            _ => {}
        }
    }
    for (_, value) in &mut entry.deed.about {
        clear(app, value);
    }
    entry
}

fn filters(chain: Chain, asked: &Asked, kinds: &[String]) -> Markup {
    let word = |key| asked.word(key).unwrap_or_default();
    html! {
        form class="filters" method="get" action=(chain.path) {
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

fn table(chain: Chain, entries: &[Entry], zone: &TimeZone) -> Markup {
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
                            @let about = (chain.about)(entry);
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

/// The same of the record of changes, whose entries hold whole proposals and
/// signatures: those stand in the file.
fn of_change(entry: &Entry) -> String {
    let said = &entry.deed.about;
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut all = Vec::new();
    match said.get("proposal") {
        Some(Value::Object(proposal)) => {
            let number = proposal.get("number").and_then(Value::as_u64);
            let proposal = Value::Object(proposal.clone());
            let parts = proposal.get("parts").and_then(Value::as_array);
            let parts = parts.into_iter().flatten().map(|part| text(part, "words"));
            let parts: Vec<String> = parts.collect();
            let number = number.unwrap_or_default();
            all.push(format!("change {number}: {}", text(&proposal, "why")));
            all.extend(parts);
        }
        Some(number) => all.push(format!("change {number}")),
        None => {}
    }
    if let Some(activation) = said.get("activation") {
        let number = activation.get("number").and_then(Value::as_u64);
        all.push(format!("policy {}", number.unwrap_or_default()));
    }
    if let Some(leave) = said.get("leave") {
        let how = match (text(leave, "kind").as_str(), text(leave, "by")) {
            ("approved", by) => format!("approved by {by}"),
            ("tightens", _) => "acted at once".to_owned(),
            (kind, _) => plain(kind),
        };
        all.push(how);
    }
    if let Some(one) = said.get("signatory") {
        all.push(format!("{} ({})", text(one, "name"), text(one, "account")));
    }
    for key in ["account", "confirmed_by", "why", "file"] {
        if let Some(value) = said.get(key).and_then(Value::as_str) {
            all.push(format!("{}: {value}", plain(key)));
        }
    }
    all.join("; ")
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
    match what {
        kind::FOUNDED => "record begun".to_owned(),
        kind::SIGNATORY_WAITS => "wants to approve changes".to_owned(),
        kind::SIGNATORY => "may approve changes".to_owned(),
        kind::SIGNATORY_GONE => "may no longer approve changes".to_owned(),
        other => other.replace('_', " "),
    }
}
