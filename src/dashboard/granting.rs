//! From a request to an exception: what was asked for is proposed as a change,
//! with who wants it, why and until when.
//!
//! Opening a site waits for another person, closing one acts at once; either way
//! the request follows what becomes of the change (`settled.rs`).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;
use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};

use super::app::App;
use super::in_words;
use super::page::{Problem, csrf};
use super::rehearsed::rehearse_exceptions;
use super::requests::is_withheld;
use super::routes::may_send;
use super::settled::{about, settle};
use super::story::{Fate, Story};
use super::term::{end_of_year, too_far};
use super::visitor::{Posted, Visitor};
use super::wishes::put;
use crate::changes::ask::{Outcome, Proposed, Wanted, Wish as Asked};
use crate::changes::change::{Addition, Exceptions, Verdict};
use crate::requests::{File, LONGEST_TEXT, Request, Text, Wish};

/// What a form sends whose field `groups` may come several times.
type Fields = Vec<(String, String)>;

/// `POST /requests/{id}/grant`
pub(super) async fn grant(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<u64>,
    Posted(fields): Posted<Fields>,
) -> Result<Redirect, Problem> {
    let done = app.blocking(move |app| propose(app, &visitor, id, &fields, Timestamp::now()));
    let proposal = done.await??;
    Ok(Redirect::to(&format!("/changes/{proposal}")))
}

fn propose(
    app: &App,
    visitor: &Visitor,
    id: u64,
    fields: &Fields,
    now: Timestamp,
) -> Result<u64, Problem> {
    let bad = |why: &str| Problem::Bad(why.to_owned());
    let file = app.requests.file(id);
    let file = file.map_err(|error| Problem::failed("requests", &error))?;
    let file = file.ok_or(Problem::NotFound)?;
    if !file.request.state.is_open() {
        return Err(bad("This request has been answered already."));
    }
    if is_withheld(app, &file.request) {
        return Err(bad("Nobody at the school can open this site."));
    }
    let story = Story::of(app)?;
    let mut before = about(&story, &file.request);
    if let Some(told) = before.find(|told| told.fate == Fate::Waits) {
        let number = told.proposal.number;
        return Err(Problem::Bad(format!(
            "Change {number} has been proposed for it already, and waits."
        )));
    }
    let addition = read(app, &file, fields, now)?;
    let why = addition.reason.clone();
    let exceptions = Exceptions {
        add: vec![addition],
        remove: Vec::new(),
    };
    let rehearsal = rehearse_exceptions(app, &exceptions, now)?;
    let wish = Asked::Propose(Proposed {
        why,
        change: Wanted::Exceptions(exceptions),
        rehearsal,
        requests: vec![id],
    });
    let said = match put(app, visitor, wish)? {
        Outcome::InForce { proposal, .. } => (proposal, "It is in force."),
        Outcome::Waits { proposal, .. } => (proposal, "It waits for another person."),
        Outcome::Nothing | Outcome::Done => {
            return Err(bad("That exception is in force already."));
        }
    };
    let (proposal, waits) = said;
    let note = Text::new(&format!("Proposed as change {proposal}. {waits}"));
    let noted = app
        .requests
        .put_back(id, &visitor.person.account, &note, now);
    noted.map_err(|error| Problem::failed("requests", &error))?;
    settle(app, now)?;
    Ok(proposal)
}

fn read(app: &App, file: &File, fields: &Fields, now: Timestamp) -> Result<Addition, Problem> {
    let bad = |why: &str| Problem::Bad(why.to_owned());
    let field = |key: &str| {
        let found = fields.iter().rev().find(|(known, _)| known == key);
        found.map_or("", |(_, value)| value.trim())
    };
    let groups = fields.iter().filter(|(key, _)| key == "groups");
    let groups: Vec<String> = groups.map(|(_, group)| group.clone()).collect();
    if groups.is_empty() {
        return Err(bad("Choose for whom: at least one group."));
    }
    let verdict = verdict(file.request.wish);
    let reason = Text::new(field("reason"));
    if reason.is_empty() {
        return Err(bad(
            "Give a reason: whoever reviews this later has only that.",
        ));
    }
    let expires = field("expires");
    if expires.is_empty() && verdict == Verdict::Allow {
        return Err(bad(
            "Say until when: an opening without an end is looked at by nobody.",
        ));
    }
    let expires = (!expires.is_empty()).then(|| expires.parse::<Date>());
    let expires = expires.transpose();
    let expires = expires.map_err(|_| bad("Write the date like 2026-11-21."))?;
    if expires.is_some_and(|date| too_far(app, date, now)) {
        return Err(bad("The date must be within the next two years."));
    }
    Ok(Addition {
        name: file.request.site.to_string(),
        verdict,
        reach: None,
        groups,
        devices: Vec::new(),
        reason: reason.as_str().replace('\n', " "),
        requested_by: requested_by(file),
        expires: expires.map(|date| date.to_string()),
    })
}

fn verdict(wish: Wish) -> Verdict {
    match wish {
        Wish::Unblock => Verdict::Allow,
        Wish::Block => Verdict::Deny,
    }
}

/// Who asks, by the name they gave.
fn requested_by(file: &File) -> Option<String> {
    let named = file.voices.iter().map(|voice| voice.who.as_str());
    let who = named.into_iter().find(|who| !who.is_empty())?;
    Some(match file.request.voices {
        0 | 1 => who.to_owned(),
        voices => format!("{who} and {} more", voices - 1),
    })
}

/// What there is to read of the changes for this request, and whether one of
/// them waits for another person. Waits for the disk.
pub(super) fn shown(app: &App, request: &Request) -> Result<(Markup, bool), Problem> {
    let story = Story::of(app)?;
    let all: Vec<_> = about(&story, request).collect();
    let waits = all.iter().any(|told| told.fate == Fate::Waits);
    let list = html! {
        @if !all.is_empty() {
            h2 { "Changes for it" }
            ul class="list" {
                @for told in all {
                    li {
                        a href={ "/changes/" (told.proposal.number) } { "Change " (told.proposal.number) } ": "
                        (in_words::headline(app, told)) " " (in_words::state(told))
                    }
                }
            }
        }
        @if waits { p { "When the change is approved, the request is answered automatically. If it is turned down, the request still needs an answer." } }
    };
    Ok((list, waits))
}

/// The form on a request's page.
pub(super) fn form(app: &App, visitor: &Visitor, file: &File, now: Timestamp) -> Markup {
    let request = &file.request;
    if !may_send(visitor.person.role, "/requests/{id}/grant") {
        return html! {};
    }
    let Some(in_force) = app.standing.latest() else {
        return html! {};
    };
    let opens = request.wish == Wish::Unblock;
    let expires = if opens {
        end_of_year(&in_force.rules.document, now)
    } else {
        None
    };
    let expires = expires.map(|date| date.to_string()).unwrap_or_default();
    html! {
        h2 { @if opens { "Propose to open it" } @else { "Close it" } }
        form class="stack" method="post" action={ "/requests/" (request.id) "/grant" } {
            (csrf(visitor))
            fieldset {
                legend { "For which groups?" }
                @for group in in_force.policy().groups.iter().filter(|group| group.enabled) {
                    div { label {
                        input type="checkbox" name="groups" value=(group.id) checked[*group.id == *request.group];
                        " " (group.id)
                    } }
                }
            }
            p {
                label for="grant-reason" { "Reason" }
                textarea id="grant-reason" name="reason" rows="3" required maxlength=(LONGEST_TEXT) { (reason(file)) }
            }
            p {
                label for="grant-expires" { @if opens { "Until" } @else { "Until (if empty, for good)" } }
                input id="grant-expires" name="expires" type="date" value=(expires) required[opens];
            }
            p class="muted small" {
                @if opens { "It is tried on the look-ups of the last week first, which takes a moment. Then it waits for a head or safeguarding lead." }
                @else { "Closing acts at once. A head or safeguarding lead is asked to take note of it." }
            }
            div class="actions" { button { @if opens { "Propose" } @else { "Close it" } } }
        }
    }
}

/// What was given as reasons, for the exception's.
fn reason(file: &File) -> String {
    let Some(voice) = file.voices.first() else {
        return String::new();
    };
    let why = voice.why.as_str();
    match voice.for_whom.as_str() {
        "" => why.to_owned(),
        whom => format!("{why} ({whom})"),
    }
}
