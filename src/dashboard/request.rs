//! One request: who wants what and why, what the filter does with the site now,
//! and the answer.
//!
//! The device that a request came from is shown to those alone who may read what
//! devices do. A mandatory host is shown to the safeguarding lead alone, and that
//! is recorded. An answer changes nothing that is in force; what does is proposed
//! as a change, which the request then follows.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;
use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::granting;
use super::page::{Problem, csrf, page_below};
use super::requests::{in_weeks, is_withheld, state, wanted};
use super::settled::settle;
use super::shown;
use super::sign_in::alert;
use super::visitor::{Posted, Visitor};
use crate::people::role::Role;
use crate::policy::Asker;
use crate::policy::explain::{Asked, Explanation, explain};
use crate::record::Deed;
use crate::requests::{
    Answer, File, LONGEST_TEXT, Outcome, Request, State as Stage, Text, Trouble,
};

/// For how long a site is opened if nobody thinks of another date: a term.
const WEEKS: i64 = 13;
/// The furthest date of an answer, in days: an exception for ever is looked at by
/// nobody.
const FURTHEST: i64 = 2 * 366;

/// `GET /requests/{id}`
pub(super) async fn request(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<u64>,
) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    app.blocking(move |app| settle(app, now)).await??;
    let file = file(&app, id).await?;
    let asked = file.request.clone();
    let changes = app.blocking(move |app| granting::shown(app, &asked));
    let (changes, waits) = match changes.await? {
        Err(Problem::Bad(why)) => (alert(Some(&why)), false),
        read => read?,
    };
    let withheld = is_withheld(&app, &file.request);
    let is_open = file.request.state.is_open() && !waits;
    if withheld && visitor.person.role == Role::Dsl {
        let deed = Deed::new(&visitor.person.account, "read_mandatory_host");
        record(&app, &visitor, deed.about("request", id), now)?;
    }
    let body = html! {
        (what(&app, &visitor, &file.request, withheld))
        @if !withheld { (decision(&app, &file.request, now)) }
        @if !withheld || visitor.person.role == Role::Dsl { (voices(&app, &visitor, &file)) }
        (changes)
        @if is_open && !withheld { (granting::form(&app, &visitor, &file, now)) }
        @if is_open { (answers(&app, &visitor, &file.request, now)) }
        (history(&app, &file))
    };
    Ok(page_below(
        &visitor,
        "Requests",
        &format!("Request {id}"),
        &body,
    ))
}

/// What the first form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Note {
    #[serde(default)]
    note: String,
}

/// `POST /requests/{id}/consider`
pub(super) async fn consider(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<u64>,
    Posted(sent): Posted<Note>,
) -> Result<Redirect, Problem> {
    let now = Timestamp::now();
    let (by, note) = (visitor.person.account.clone(), Text::new(&sent.note));
    let taking = Arc::clone(&app);
    let done = blocking(move || taking.requests.consider(id, &by, &note, now)).await?;
    if done {
        let deed = Deed::new(&visitor.person.account, "considered_request");
        record(&app, &visitor, deed.about("request", id), now)?;
    }
    Ok(Redirect::to(&format!("/requests/{id}")))
}

/// What the second form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Decided {
    outcome: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    expires: String,
}

/// `POST /requests/{id}/answer`
pub(super) async fn answer(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<u64>,
    Posted(sent): Posted<Decided>,
) -> Result<Redirect, Problem> {
    let now = Timestamp::now();
    let answer = read(&app, &sent, now).map_err(|why| Problem::Bad(why.to_owned()))?;
    let (by, outcome) = (visitor.person.account.clone(), answer.outcome);
    let taking = Arc::clone(&app);
    if !blocking(move || taking.requests.answer(id, &by, &answer, now)).await? {
        return Err(Problem::Bad(
            "Somebody else has answered this request meanwhile; their answer stands.".to_owned(),
        ));
    }
    let deed = Deed::new(&visitor.person.account, "answered_request")
        .about("request", id)
        .about("outcome", outcome.id());
    record(&app, &visitor, deed, now)?;
    Ok(Redirect::to(&format!("/requests/{id}")))
}

fn read(app: &App, sent: &Decided, now: Timestamp) -> Result<Answer, &'static str> {
    let outcome = Outcome::named(&sent.outcome).ok_or("Choose what becomes of the request.")?;
    let reason = Text::new(&sent.reason);
    if reason.is_empty() {
        return Err("Give a reason: whoever reviews this later has only that to go by.");
    }
    let today = now.to_zoned(app.configuration.document.zone.clone()).date();
    let furthest = today.saturating_add(jiff::Span::new().try_days(FURTHEST).unwrap_or_default());
    let expires = match sent.expires.trim() {
        "" => None,
        date => {
            let date: Date = date
                .parse()
                .map_err(|_| "Write the date like 2026-11-21.")?;
            if date < today || date > furthest {
                return Err("The date must be within the next two years.");
            }
            Some(date)
        }
    };
    Ok(Answer {
        outcome,
        reason,
        expires,
    })
}

async fn file(app: &Arc<App>, id: u64) -> Result<File, Problem> {
    let reading = Arc::clone(app);
    let file = blocking(move || reading.requests.file(id)).await?;
    file.ok_or(Problem::NotFound)
}

async fn blocking<T: Send + 'static>(
    of: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(of).await;
    let done = done.map_err(|error| Problem::failed("requests", &error))?;
    done.map_err(|error| Problem::failed("requests", &error))
}

/// Nothing is shown or done that cannot be recorded.
fn record(app: &App, visitor: &Visitor, deed: Deed, now: Timestamp) -> Result<(), Problem> {
    let added = app.record.add(deed.from(&visitor.address), now);
    added.map_err(|error| Problem::failed("the record cannot be written", &error))?;
    Ok(())
}

fn what(app: &App, visitor: &Visitor, request: &Request, withheld: bool) -> Markup {
    let zone = &app.configuration.document.zone;
    let may_read = !withheld || visitor.person.role == Role::Dsl;
    html! {
        @if withheld {
            p class="notice danger" { "This site is on a list of illegal content. Do not visit it. "
                "Nobody at the school can open it; refuse the request and tell the safeguarding lead." }
        }
        dl {
            div { dt { "Site" } dd {
                @if may_read { (shown::name(&request.site.to_string())) } @else { (shown::WITHHELD) }
            } }
            div { dt { "Wanted" } dd { (wanted(request.wish)) " for the group " (shown::words(&request.group)) } }
            div { dt { "Asked by" } dd { (shown::several(request.voices, "person", "people")) } }
            div { dt { "Asked" } dd { (shown::span(request.first, request.last, zone)) } }
            div { dt { "State" } dd { (state(request.state)) } }
            @if let Some(date) = request.expires {
                div { dt { "To be looked at again" } dd { (shown::date(date)) } }
            }
        }
    }
}

/// What is decided about the site now, in the words of `schoolgate why`.
fn decision(app: &App, request: &Request, now: Timestamp) -> Markup {
    let explained = explained(app, request, now);
    html! {
        h2 { "What the filter does with it now" }
        @match explained {
            None => p { "There is no such group in the policy in force." },
            Some(explained) => {
                p { (shown::outcome(explained.verdict)) " for the group " (shown::words(&explained.group)) }
                @if !explained.categories.is_empty() {
                    p { "Listed as "
                        @for (at, id) in explained.categories.iter().enumerate() {
                            @if at > 0 { ", " } (shown::category(id))
                        }
                        @if let Some(source) = &explained.source { " by the list " (shown::words(source)) }
                        "." }
                }
                details {
                    summary { "Step by step" }
                    ul { @for said in &explained.trace { li { (shown::layer(said.layer)) ": " (said.said) } } }
                }
            }
        }
    }
}

fn explained(app: &App, request: &Request, now: Timestamp) -> Option<Explanation> {
    let in_force = app.standing.latest()?;
    let asker = Asker {
        group: in_force.group_named(&request.group)?,
        device: None,
    };
    let question = Asked {
        name: request.site.as_ref(),
        rtype: "A",
        asker,
        device: None,
        ip: None,
        local: false,
    };
    Some(explain(in_force.policy(), &question, now))
}

fn voices(app: &App, visitor: &Visitor, file: &File) -> Markup {
    let zone = &app.configuration.document.zone;
    let sees_devices = matches!(visitor.person.role, Role::Dsl | Role::Head);
    html! {
        h2 { "Who asks, and why" }
        ul class="list" {
            @for voice in &file.voices {
                li {
                    p {
                        @match &voice.account {
                            Some(account) => { (shown::words(voice.who.as_str())) " (signed in as " (shown::words(account)) ")" },
                            None if voice.who.as_str().is_empty() => "Somebody who gave no name",
                            None => { "Somebody who calls themselves " (shown::words(voice.who.as_str())) },
                        }
                        @if !voice.for_whom.as_str().is_empty() { ", for " (shown::words(voice.for_whom.as_str())) }
                        @if let Some(device) = voice.device.as_ref().filter(|_| sees_devices) {
                            ", from the device " (shown::words(device))
                        }
                        ", " (shown::time(voice.time, zone))
                    }
                    p { (shown::words(voice.why.as_str())) }
                }
            }
        }
        @if file.request.voices > file.voices.len() as u64 {
            p { "Of the others only how many they are is kept." }
        }
    }
}

fn history(app: &App, file: &File) -> Markup {
    let zone = &app.configuration.document.zone;
    html! {
        h2 { "What was done" }
        ol class="list" {
            @for step in &file.history {
                li {
                    (shown::time(step.time, zone)) ": " (step.what.replace('_', " ")) " by " (shown::words(&step.who))
                    @if !step.said.is_empty() { p { (shown::words(&step.said)) } }
                }
            }
        }
    }
}

fn answers(app: &App, visitor: &Visitor, request: &Request, now: Timestamp) -> Markup {
    let at = format!("/requests/{}", request.id);
    let outcomes = [
        (
            Outcome::Granted,
            "Grant it: the rules are changed in another way",
        ),
        (Outcome::Refused, "Refuse it"),
        (Outcome::AlreadySo, "Nothing to do: it is so already"),
    ];
    html! {
        @if request.state == Stage::New {
            h2 { "Look into it" }
            form class="stack" method="post" action=(format!("{at}/consider")) {
                (csrf(visitor))
                p {
                    label for="note" { "Note (may be left empty)" }
                    textarea id="note" name="note" rows="2" maxlength=(LONGEST_TEXT) {}
                }
                div class="actions" { button class="second" { "Mark as being considered" } }
            }
        }
        h2 { "Answer it without a change" }
        form class="stack" method="post" action=(format!("{at}/answer")) {
            (csrf(visitor))
            fieldset {
                legend { "Your decision" }
                @for (outcome, words) in outcomes {
                    div { label { input type="radio" name="outcome" value=(outcome.id()) required; " " (words) } }
                }
            }
            p {
                label for="reason" { "Reason" }
                textarea id="reason" name="reason" rows="3" required maxlength=(LONGEST_TEXT) {}
            }
            p {
                label for="expires" { "If granted, until" }
                input id="expires" name="expires" type="date" value=(in_weeks(app, WEEKS, now));
            }
            p class="muted small" { "This only writes the decision down. It opens and closes nothing." }
            div class="actions" { button { "Answer" } }
        }
    }
}
