//! Legal hold: which days are kept beyond their time, by whose word, and how to
//! place and lift one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{Problem, csrf, page_below};
use super::shown;
use super::visitor::{Posted, Visitor};
use crate::querylog::hold::{Held, HeldDays, Holds};
use crate::reports::period::written;
use crate::reports::{Actor, ReportError, holds};

/// What the form for a new hold sends.
#[derive(Debug, Deserialize)]
pub(super) struct New {
    first: String,
    #[serde(default)]
    last: String,
    #[serde(default)]
    why: String,
}

/// What the form for lifting one sends.
#[derive(Debug, Deserialize)]
pub(super) struct Gone {
    id: String,
    #[serde(default)]
    why: String,
}

/// `GET /holds`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let held = app
        .blocking(|app| holds::list(&app.settings().state_dir))
        .await?;
    let zone = &app.configuration.document.zone;
    let body = html! {
        p { "A held day is neither dropped at the end of its time nor erased, until somebody lifts the hold." }
        @match &held {
            Ok(held) => { (listed(held, &visitor, zone)) (new(&visitor)) }
            Err(ReportError::Refused(why)) => p class="notice warn" { "Everything is held, because of a mistake: " (why) },
            Err(_) => p class="notice danger" { "What is held cannot be read. The machine's log says why." },
        }
    };
    if let Err(ReportError::Io(error)) = &held {
        let _logged = Problem::failed("the holds cannot be read", error);
    }
    Ok(page_below(&visitor, "Reports", "Legal hold", &body))
}

fn listed(held: &Holds, visitor: &Visitor, zone: &TimeZone) -> Markup {
    html! {
        h2 { "What is held" }
        @if held.all().is_empty() { p { "Nothing is held." } } @else { ul class="list" {
            @for held in held.all() { li { (one(held, visitor, zone)) } }
        } }
    }
}

fn one(held: &Held, visitor: &Visitor, zone: &TimeZone) -> Markup {
    let days = days(&held.days);
    html! {
        p { strong { (days) } }
        p { (note(&held.note, zone)) }
        details {
            summary { "Lift it" }
            form class="stack" method="post" action="/holds/lift" {
                (csrf(visitor))
                input type="hidden" name="id" value=(held.id);
                p {
                    label for={ "why-" (held.id) } { "Why the hold on " (days) " may go" }
                    input id={ "why-" (held.id) } name="why" required maxlength="1000";
                }
                p class="actions" { button class="stop" { "Lift the hold" } }
            }
        }
    }
}

/// Which days, as people write them.
fn days(held: &HeldDays) -> String {
    match held {
        HeldDays::All => "Every day".to_owned(),
        HeldDays::Span(days) if days.start() == days.end() => written(*days.start()),
        HeldDays::Span(days) => format!("{} to {}", written(*days.start()), written(*days.end())),
    }
}

/// Whose word it is; one that was placed here begins with when and by whom.
fn note(note: &str, zone: &TimeZone) -> Markup {
    let parts = note.split_once(' ').and_then(|(at, rest)| {
        let at: Timestamp = at.parse().ok()?;
        Some((at, rest.split_once(": ")?))
    });
    html! {
        @match parts {
            Some((at, (who, why))) => {
                (shown::words(why)) br;
                small class="muted" { "placed by " (shown::words(who)) ", " (shown::time(at, zone)) }
            }
            None => { (shown::words(note)) }
        }
    }
}

fn new(visitor: &Visitor) -> Markup {
    html! {
        h2 { "Hold more days" }
        form class="stack" method="post" action="/holds" {
            (csrf(visitor))
            p { label for="first" { "First day" } input id="first" name="first" type="date" required; }
            p {
                label for="last" { "Last day (empty: one day only)" }
                input id="last" name="last" type="date";
            }
            p { label for="why" { "Why" } input id="why" name="why" required maxlength="1000"; }
            p class="actions" { button { "Hold these days" } }
        }
    }
}

/// `POST /holds`
pub(super) async fn place(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(new): Posted<New>,
) -> Result<Redirect, Problem> {
    let text = match new.last.trim() {
        "" => new.first.trim().to_owned(),
        last => format!("{}..{last}", new.first.trim()),
    };
    let days = holds::days(&text)?;
    let actor = actor(&visitor);
    let now = Timestamp::now();
    app.blocking(move |app| holds::place(&app.settings().state_dir, &days, &new.why, &actor, now))
        .await??;
    Ok(Redirect::to("/holds"))
}

/// `POST /holds/lift`
pub(super) async fn lift(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(gone): Posted<Gone>,
) -> Result<Redirect, Problem> {
    let actor = actor(&visitor);
    let now = Timestamp::now();
    app.blocking(move |app| {
        holds::lift(&app.settings().state_dir, &gone.id, &gone.why, &actor, now)
    })
    .await??;
    Ok(Redirect::to("/holds"))
}

fn actor(visitor: &Visitor) -> Actor {
    Actor {
        who: visitor.person.account.clone(),
        from: Some(visitor.address),
    }
}
