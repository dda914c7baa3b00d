//! What the school's people note about an incident: forms, and what they wrote.
//!
//! Nothing is ever changed or removed here, only added. Whoever reviews what
//! another has just reviewed is told who it was, and nothing is added.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::asked::Asked;
use super::incident::{Nothing, moment};
use super::page::{Problem, csrf};
use super::routes::READERS;
use super::shown;
use super::visitor::{Posted, Visitor};
use crate::incidents::casework::{Case, CaseworkError, Entry, LONGEST, Word};
use crate::people::account::Account;
use crate::querylog::visits::Incident;

/// What came of a form, as the next page's address says it.
const OUTCOMES: [(&str, &str, &str); 6] = [
    ("noted", "ok", "The note has been added."),
    ("reviewed", "ok", "It is marked as reviewed by you."),
    (
        "faster",
        "warn",
        "Somebody else had already reviewed it; see below who and when. Nothing was added.",
    ),
    ("reopened", "ok", "It is open again."),
    ("assigned", "ok", "It is written down who goes on with it."),
    ("empty", "warn", "The note was empty. Nothing was added."),
];

/// A note.
#[derive(Debug, Deserialize)]
pub(super) struct Note {
    text: String,
}

/// Who goes on.
#[derive(Debug, Deserialize)]
pub(super) struct Assigned {
    to: String,
}

/// `POST /incidents/{at}/note`
pub(super) async fn note(
    app: State<Arc<App>>,
    visitor: Visitor,
    at: Path<String>,
    Posted(note): Posted<Note>,
) -> Result<Redirect, Problem> {
    add(app, visitor, at, Word::Note(note.text), "noted").await
}

/// `POST /incidents/{at}/review`
pub(super) async fn review(
    app: State<Arc<App>>,
    visitor: Visitor,
    at: Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Redirect, Problem> {
    add(app, visitor, at, Word::Reviewed, "reviewed").await
}

/// `POST /incidents/{at}/reopen`
pub(super) async fn reopen(
    app: State<Arc<App>>,
    visitor: Visitor,
    at: Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Redirect, Problem> {
    add(app, visitor, at, Word::Reopened, "reopened").await
}

/// `POST /incidents/{at}/assign`
pub(super) async fn assign(
    app: State<Arc<App>>,
    visitor: Visitor,
    at: Path<String>,
    Posted(assigned): Posted<Assigned>,
) -> Result<Redirect, Problem> {
    let to = Some(assigned.to).filter(|to| !to.trim().is_empty());
    if let Some(to) = to.clone() {
        let readers = app.blocking(readers).await??;
        if !readers.iter().any(|reader| reader.person.account == to) {
            let why = "Only a safeguarding lead or a head with an account can deal with it.";
            return Err(Problem::Bad(why.to_owned()));
        }
    }
    add(app, visitor, at, Word::Assigned(to), "assigned").await
}

/// Who may read incidents, and so go on with one.
fn readers(app: &App) -> Result<Vec<Account>, Problem> {
    let mut accounts = app.people.accounts()?;
    let now = Timestamp::now();
    accounts.retain(|one| one.is_usable(now) && READERS.contains(&one.person.role));
    Ok(accounts)
}

async fn add(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(at): Path<String>,
    word: Word,
    done: &'static str,
) -> Result<Redirect, Problem> {
    let (time, now) = (moment(&at)?, Timestamp::now());
    let write = move |app: &App| {
        let opened = app.book.incident(time);
        let opened = opened.map_err(|error| Problem::failed("the log", &error))?;
        let incident = opened.ok_or(Problem::NotFound)?.incident;
        let who = &visitor.person.account;
        let added = app.book.casework().add(&incident, who, &word, now);
        let outcome = match added {
            Ok(()) => done,
            Err(CaseworkError::AlreadyReviewed { .. }) => "faster",
            Err(CaseworkError::Empty) => "empty",
            Err(error @ CaseworkError::TooLong(_)) => return Err(Problem::Bad(error.to_string())),
            Err(error) => return Err(Problem::failed("casework", &error)),
        };
        let at = incident.first.as_microsecond();
        Ok(format!("/incidents/{at}?done={outcome}#casework"))
    };
    let page = app.blocking(write).await??;
    Ok(Redirect::to(&page))
}

/// What came of the form before this page.
pub(super) fn said(asked: &Asked) -> Markup {
    let word = asked.word("done");
    let found = OUTCOMES.iter().find(|(known, ..)| Some(*known) == word);
    html! {
        @if let Some((_, class, says)) = found {
            p class={ "notice " (class) } role="status" { (says) }
        }
    }
}

/// The whole of it for one incident.
pub(super) fn show(app: &App, visitor: &Visitor, incident: &Incident, case: &Case) -> Markup {
    let path = |what: &str| format!("/incidents/{}/{what}", incident.first.as_microsecond());
    let zone = app.book.zone();
    html! {
        @match case.reviewed() {
            Some((who, when)) => {
                p {
                    span class="badge ok" { "Reviewed" } " by " (shown::words(who)) ", " (shown::time(when, zone))
                }
                form method="post" action=(path("reopen")) {
                    (csrf(visitor))
                    button class="second" { "Open it again" }
                }
            }
            None => {
                form method="post" action=(path("review")) {
                    p { span class="badge warn" { "Not reviewed yet" } }
                    (csrf(visitor))
                    button { "Mark as reviewed" }
                }
            }
        }
        @if !case.entries.is_empty() {
            h3 { "What has been noted" }
            ol class="list" { @for entry in &case.entries { (written(entry, app)) } }
        }
        form class="stack" method="post" action=(path("note")) {
            (csrf(visitor))
            p {
                label for="note" { "Note " small { "(cannot be changed later)" } }
                textarea id="note" name="text" maxlength=(LONGEST) required {}
            }
            button { "Add note" }
        }
        (assignment(app, visitor, case, &path("assign")))
    }
}

fn assignment(app: &App, visitor: &Visitor, case: &Case, path: &str) -> Markup {
    let me = &visitor.person.account;
    // Whose accounts cannot be read goes on with it alone.
    let mut others = readers(app).unwrap_or_default();
    others.retain(|other| {
        let account = &other.person.account;
        account != me && case.assigned() != Some(account)
    });
    html! {
        form method="post" action=(path) {
            (csrf(visitor))
            p {
                @match case.assigned() {
                    Some(who) => { (shown::words(who)) " is dealing with it. " }
                    None if case.reviewed().is_some() => { "Nobody has been asked to follow it up. " }
                    None => { "Nobody is dealing with it yet. " }
                }
            }
            div class="actions" {
                @if case.assigned() != Some(me) {
                    button class="second" name="to" value=(me) { "I will deal with it" }
                }
                @if case.assigned().is_some() {
                    button class="second" name="to" value="" { "Nobody deals with it" }
                }
            }
        }
        @if !others.is_empty() {
            form class="stack" method="post" action=(path) {
                (csrf(visitor))
                p {
                    label for="to" { "Hand it over to" }
                    select id="to" name="to" {
                        @for other in &others {
                            option value=(other.person.account) {
                                (other.person.name) " (" (other.person.role.name()) ")"
                            }
                        }
                    }
                }
                button class="second" { "Hand over" }
            }
        }
    }
}

fn written(entry: &Entry, app: &App) -> Markup {
    html! {
        li {
            p class="small muted" { (shown::time(entry.time, app.book.zone())) ", " (shown::words(&entry.who)) }
            @match &entry.word {
                Word::Note(text) => { blockquote dir="auto" class="name" { (text) } }
                Word::Reviewed => { p { "Reviewed." } }
                Word::Reopened => { p { "Opened again." } }
                Word::Assigned(Some(to)) => { p { "Handed over to " (shown::words(to)) "." } }
                Word::Assigned(None) => { p { "Nobody deals with it any more." } }
            }
        }
    }
}
