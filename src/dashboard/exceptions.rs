//! Every exception: who asked for it, why, until when; those that have ended or
//! are about to first, for somebody must look at them again.
//!
//! What was agreed on the pages is renewed or taken back here, as a change like
//! any other; what stands in `policy.toml` is changed there. A site that has come
//! onto a mandatory list since is not named.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::edited::in_force;
use super::in_words::discreet;
use super::page::{Problem, csrf, page_below};
use super::rehearsed::rehearse_exceptions;
use super::routes::may_send;
use super::shown::{name, time, words};
use super::story::Story;
use super::tables::{cell, listing};
use super::term::{end_of_year, too_far};
use super::visitor::{Posted, Visitor};
use super::wishes::put;
use crate::changes::ask::{Outcome, Proposed, Wanted, Wish};
use crate::changes::change::{self, Addition, Exceptions, hash};
use crate::lists::lookup::Scope;
use crate::policy::document::TypedException;

/// An exception that ends sooner is to be looked at.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What a device opened for itself is listed for so long.
const OPENED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One exception.
struct One {
    typed: TypedException,
    /// As it was agreed on the pages, if it was.
    added: Option<Addition>,
}

struct Found {
    all: Vec<One>,
    story: Story,
    zone: TimeZone,
    /// Until when something is renewed unless somebody thinks of another day.
    until: Option<Date>,
}

/// Which exception is to end, or to go on, as it is sent.
#[derive(Deserialize)]
pub(super) struct Chosen {
    which: String,
    why: String,
    #[serde(default)]
    expires: String,
}

/// `GET /exceptions`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let found = app.blocking(move |app| find(app, now)).await??;
    let ended = |one: &&One| one.typed.expires.is_some_and(|end| end <= now);
    let soon = |one: &&One| {
        let end = one.typed.expires;
        end.is_some_and(|end| end > now && end.duration_since(now) < SOON)
    };
    let all = || found.all.iter();
    let list = |caption: &str, of: Vec<&One>, none: &str| {
        html! {
            @if of.is_empty() { p { (none) } }
            @else { (table(&app, &visitor, &found, caption, &of, now)) }
        }
    };
    let standing = all().filter(|one| !ended(one) && !soon(one)).collect();
    let body = html! {
        h2 { "To look at again" }
        @if all().any(|one| ended(&one)) {
            p { "These have ended and decide nothing any more. Is one still needed? Then it is proposed anew." }
        }
        (list("Exceptions that have ended", all().filter(ended).collect(), "None has ended."))
        h2 { "Ending within 30 days" }
        (list("Exceptions that end within 30 days", all().filter(soon).collect(), "None ends soon."))
        h2 { "In force" }
        (list("Other exceptions in force", standing, "There are no others."))
        (by_devices(&app, &found, now))
    };
    Ok(page_below(&visitor, "Changes", "Exceptions", &body))
}

fn find(app: &App, now: Timestamp) -> Result<Found, Problem> {
    let zone = app.configuration.document.zone.clone();
    let story = Story::of(app)?;
    let Some((_, texts)) = in_force(app)? else {
        return Ok(Found {
            all: Vec::new(),
            story,
            zone,
            until: None,
        });
    };
    let wrong = |_| Problem::Bad("The policy in force cannot be read by this version.".to_owned());
    let document = texts.typed().map_err(wrong)?.document;
    let until = end_of_year(&document, now);
    let mut added = change::added(&texts).map_err(Problem::Bad)?.into_iter();
    // They stand in the document behind the file's own, in their order.
    let all = document.exceptions.into_iter().map(|typed| One {
        added: typed.is_added.then(|| added.next()).flatten(),
        typed,
    });
    let of_devices: Vec<&Addition> = story.opened_by_devices().map(|(_, one)| one).collect();
    let is_of_device = |one: &One| one.added.as_ref().is_some_and(|a| of_devices.contains(&a));
    let all = all.filter(|one| !is_of_device(one)).collect();
    Ok(Found {
        all,
        story,
        zone,
        until,
    })
}

/// What ended by itself, or will in minutes: nobody has to do anything about it.
fn by_devices(app: &App, found: &Found, now: Timestamp) -> Markup {
    let lately = found.story.opened_by_devices();
    let lately = lately.take_while(|(told, _)| now.duration_since(told.proposal.time) < OPENED);
    let columns = ["Site", "Device", "Why", "When", "Until"];
    let rows: Vec<Markup> = lately
        .map(|(told, one)| {
            let [site, device, why, when, until] = columns;
            let ends: Option<Timestamp> = one.expires.as_ref().and_then(|at| at.parse().ok());
            let link = html! {
                a href={ "/changes/" (told.proposal.number) } { (time(told.proposal.time, &found.zone)) }
            };
            html! {
                (cell(site, &name(&discreet(app, &one.name))))
                (cell(device, &words(&one.devices.join(", "))))
                (cell(why, &words(&discreet(app, &one.reason))))
                (cell(when, &link))
                (cell(until, &html! { @if let Some(ends) = ends { (time(ends, &found.zone)) } }))
            }
        })
        .collect();
    html! {
        @if !rows.is_empty() {
            h2 { "Opened on single devices for a while" }
            (listing("Sites that a device has opened for itself in the last seven days", &columns, &rows))
        }
    }
}

fn table(
    app: &App,
    visitor: &Visitor,
    found: &Found,
    caption: &str,
    all: &[&One],
    now: Timestamp,
) -> Markup {
    let columns = ["Site", "For", "Why", "Until", "Change it"];
    let rows: Vec<Markup> = all
        .iter()
        .map(|one| row(app, visitor, found, one, now, columns))
        .collect();
    listing(caption, &columns, &rows)
}

fn row(
    app: &App,
    visitor: &Visitor,
    found: &Found,
    one: &One,
    now: Timestamp,
    columns: [&str; 5],
) -> Markup {
    let [site, whom, why, until, act] = columns;
    let typed = &one.typed;
    let whom_all = typed.groups.iter().chain(&typed.devices);
    let whom_all: Vec<&str> = whom_all.map(|placed| &*placed.value).collect();
    html! {
        th scope="row" data-label=(site) {
            @if typed.allows { span class="badge warn" { "Opened" } } @else { span class="badge ok" { "Closed" } }
            " " (name(&discreet(app, &typed.name.value.to_string())))
            @if typed.scope == Scope::Exact { " (this name alone)" }
        }
        (cell(whom, &words(&whom_all.join(", "))))
        (cell(why, &html! {
            (words(&discreet(app, &typed.reason)))
            @if let Some(who) = &typed.requested_by { br; span class="small muted" { "asked for by " (words(who)) } }
        }))
        (cell(until, &html! {
            @match typed.expires {
                None => "no end",
                Some(end) if end <= now => { span class="badge danger" { "Ended" } " " (until_when(end, &found.zone)) }
                Some(end) => { (until_when(end, &found.zone)) }
            }
        }))
        (cell(act, &actions(visitor, found, one, now)))
    }
}

/// What lasts to the end of a day is told by that day, not by the midnight after.
fn until_when(end: Timestamp, zone: &TimeZone) -> Markup {
    let local = end.to_zoned(zone.clone());
    match local.date().yesterday() {
        Ok(day) if local.time() == Time::midnight() => {
            html! { time datetime=(day.to_string()) { (day.strftime("%-d %B %Y").to_string()) } }
        }
        _ => time(end, zone),
    }
}

/// What can be done about one.
fn actions(visitor: &Visitor, found: &Found, one: &One, now: Timestamp) -> Markup {
    let Some(added) = &one.added else {
        return html! { span class="muted" { "in policy.toml" } };
    };
    let which = mark(added);
    let short = which.get(..12).unwrap_or_default();
    let ends = one.typed.expires;
    let is_over = ends.is_some_and(|end| end <= now);
    let role = visitor.person.role;
    let due = ends.is_some_and(|end| end.duration_since(now) < SOON);
    let until = found.until.map(|day| day.to_string()).unwrap_or_default();
    html! {
        @if due && may_send(role, "/exceptions/renew") {
            details {
                summary { "Renew" }
                form class="stack" method="post" action="/exceptions/renew" {
                    (csrf(visitor))
                    input type="hidden" name="which" value=(which);
                    p {
                        label for={ "until-" (short) } { "Until" }
                        input id={ "until-" (short) } name="expires" type="date" required value=(until);
                    }
                    (why(&format!("renew-{short}")))
                    button { "Propose to renew it" }
                }
            }
        }
        @if !is_over && may_send(role, "/exceptions/take-back") {
            details {
                summary { "Take back" }
                form class="stack" method="post" action="/exceptions/take-back" {
                    (csrf(visitor))
                    input type="hidden" name="which" value=(which);
                    (why(&format!("back-{short}")))
                    p class="muted small" {
                        @if one.typed.allows { "The site is closed again at once." }
                        @else { "The site is opened again, so another person must approve it." }
                    }
                    button { @if one.typed.allows { "Take it back" } @else { "Propose to take it back" } }
                }
            }
        }
    }
}

fn why(id: &str) -> Markup {
    html! {
        p {
            label for=(id) { "Why?" }
            textarea id=(id) name="why" rows="2" required maxlength="1000" {}
        }
    }
}

/// By which an exception is chosen.
fn mark(addition: &Addition) -> String {
    // Texts only: it cannot fail.
    hash(&serde_json::to_string(addition).unwrap_or_default())
}

/// `POST /exceptions/renew`
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(sent): Posted<Chosen>,
) -> Result<Redirect, Problem> {
    propose(&app, visitor, sent, |app, former, sent, now| {
        let day: Result<Date, _> = sent.expires.trim().parse();
        let day = day.map_err(|_| Problem::Bad("Write the date like 2026-11-21.".to_owned()))?;
        if too_far(app, day, now) {
            let why = "The date must be within the next two years.";
            return Err(Problem::Bad(why.to_owned()));
        }
        let renewed = Addition {
            expires: Some(day.to_string()),
            ..former.clone()
        };
        Ok(Exceptions {
            add: vec![renewed],
            remove: vec![former],
        })
    })
    .await
}

/// `POST /exceptions/take-back`
pub(super) async fn take_back(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(sent): Posted<Chosen>,
) -> Result<Redirect, Problem> {
    propose(&app, visitor, sent, |_, former, _, _| {
        Ok(Exceptions {
            add: Vec::new(),
            remove: vec![former],
        })
    })
    .await
}

async fn propose(
    app: &Arc<App>,
    visitor: Visitor,
    sent: Chosen,
    change: impl Fn(&App, Addition, &Chosen, Timestamp) -> Result<Exceptions, Problem> + Send + 'static,
) -> Result<Redirect, Problem> {
    let work = move |app: &App| {
        let now = Timestamp::now();
        let bad = |why: &str| Problem::Bad(why.to_owned());
        let (_, texts) = in_force(app)?.ok_or_else(|| bad("No policy is in force yet."))?;
        let all = change::added(&texts).map_err(Problem::Bad)?;
        let former = all.into_iter().find(|one| mark(one) == sent.which);
        let gone = "This exception is not there any more. Look at the list again.";
        let exceptions = change(app, former.ok_or_else(|| bad(gone))?, &sent, now)?;
        let wish = Wish::Propose(Proposed {
            rehearsal: rehearse_exceptions(app, &exceptions, now)?,
            why: sent.why,
            change: Wanted::Exceptions(exceptions),
            requests: Vec::new(),
        });
        match put(app, &visitor, wish)? {
            Outcome::InForce { proposal, .. } | Outcome::Waits { proposal, .. } => Ok(proposal),
            Outcome::Nothing | Outcome::Done => Err(bad("That is so already.")),
        }
    };
    let proposal = app.blocking(work).await??;
    Ok(Redirect::to(&format!("/changes/{proposal}")))
}
