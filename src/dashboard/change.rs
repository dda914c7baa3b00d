//! One change: what it does in words, why, who wants it, what the last week would
//! have been like, and what a second person can do about it.
//!
//! Approving, acknowledging: each asks for the password, of which the signature
//! is made that the resolver checks. Whoever is told that something is in
//! force is told so by the record.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::changes::{due, is_same, who};
use super::edited::{between, in_force};
use super::in_words::{self, discreet};
use super::page::{Problem, csrf, page_below};
use super::rehearsed;
use super::routes::{may_read, may_send};
use super::settled::settle;
use super::shown::{time, words};
use super::sign_in::alert;
use super::signature::{self, Standing};
use super::story::{Fate, Story, Told};
use super::visitor::{Posted, Visitor};
use super::wishes::{author, put, sign};
use crate::changes::ask::Wish;
use crate::changes::change::{Change, Verdict};
use crate::changes::kept::Texts;
use crate::changes::ledger::Ledger;
use crate::changes::proposal::{Author, Proposal};
use crate::changes::signatory;

/// Longest reason, in characters.
const LONGEST: usize = 2000;

/// An approval, as it is sent: of what stood on the page.
#[derive(Deserialize)]
pub(super) struct Approval {
    digest: String,
    password: String,
}

/// A refusal, as it is sent.
#[derive(Deserialize)]
pub(super) struct Refusal {
    why: String,
}

/// That somebody has seen it, as it is sent.
#[derive(Deserialize)]
pub(super) struct Noted {
    password: String,
}

struct Found {
    story: Story,
    me: Author,
    standing: Standing,
    names: HashMap<String, String>,
    /// It would mean something else by now.
    stale: Option<String>,
    acknowledge_days: u32,
}

/// `GET /changes/{number}`
pub(super) async fn one(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(number): Path<u64>,
) -> Result<Markup, Problem> {
    show(&app, &visitor, number, None).await
}

/// `POST /changes/{number}/approve`
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(number): Path<u64>,
    Posted(sent): Posted<Approval>,
) -> Result<Response, Problem> {
    let Approval { digest, password } = sent;
    let message = move |ledger: &Ledger| {
        let waiting = ledger.waiting.get(&number);
        let waiting = waiting.ok_or_else(|| Problem::Bad(ledger.became_of(number)))?;
        if waiting.digest != digest {
            let why = "This is no longer what stood on the page. Read it again.";
            return Err(Problem::Bad(why.to_owned()));
        }
        Ok(signatory::approval(&digest))
    };
    let asked = match sign(&app, &visitor, password, message).await {
        Ok(signature) => {
            let wish = Wish::Approve {
                proposal: number,
                signature,
            };
            ask(&app, &visitor, wish).await
        }
        Err(problem) => Err(problem),
    };
    answer(&app, &visitor, number, asked).await
}

/// `POST /changes/{number}/decline`
pub(super) async fn decline(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(number): Path<u64>,
    Posted(sent): Posted<Refusal>,
) -> Result<Response, Problem> {
    let wish = Wish::Decline {
        proposal: number,
        why: sent.why,
    };
    let asked = ask(&app, &visitor, wish).await;
    answer(&app, &visitor, number, asked).await
}

/// `POST /changes/{number}/acknowledge`
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(number): Path<u64>,
    Posted(sent): Posted<Noted>,
) -> Result<Response, Problem> {
    let message = move |ledger: &Ledger| {
        let at_once = ledger.unacknowledged.get(&number);
        let at_once = at_once
            .ok_or_else(|| Problem::Bad("Nobody has to take note of that any more.".to_owned()))?;
        Ok(signatory::acknowledgement(&at_once.digest))
    };
    let asked = match sign(&app, &visitor, sent.password, message).await {
        Ok(signature) => {
            let wish = Wish::Acknowledge {
                proposal: number,
                signature,
            };
            ask(&app, &visitor, wish).await
        }
        Err(problem) => Err(problem),
    };
    answer(&app, &visitor, number, asked).await
}

async fn ask(app: &Arc<App>, visitor: &Visitor, wish: Wish) -> Result<(), Problem> {
    let visitor = visitor.clone();
    app.blocking(move |app| {
        put(app, &visitor, wish)?;
        // The requests that it answers follow it; they also do when next looked at.
        settle(app, Timestamp::now())
    })
    .await?
}

/// Back to the page, which says how things stand; or the page with what went
/// wrong above it.
async fn answer(
    app: &Arc<App>,
    visitor: &Visitor,
    number: u64,
    asked: Result<(), Problem>,
) -> Result<Response, Problem> {
    match asked {
        Ok(()) => Ok(Redirect::to(&format!("/changes/{number}")).into_response()),
        Err(Problem::Bad(why)) => {
            let page = show(app, visitor, number, Some(&why)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other),
    }
}

async fn show(
    app: &Arc<App>,
    visitor: &Visitor,
    number: u64,
    says: Option<&str>,
) -> Result<Markup, Problem> {
    let account = visitor.person.account.clone();
    let found = app.blocking(move |app| find(app, &account, number));
    let found = found.await??;
    let told = found
        .story
        .proposals
        .get(&number)
        .ok_or(Problem::NotFound)?;
    let body = html! {
        (alert(says.map(|says| discreet(app, says)).as_deref()))
        (in_words::fate(app, told))
        (closed(visitor, told))
        @if let Some(why) = &found.stale { p class="notice danger" { (discreet(app, why)) } }
        h2 { "What changes" }
        (in_words::parts(app, &told.proposal.parts))
        (facts(app, visitor, told, &found))
        @if told.proposal.rehearsal.is_some() || told.fate == Fate::Waits {
            h2 { "What the last week would have been like" }
            (rehearsed::show(app, visitor, told.proposal.rehearsal.as_ref()))
        }
        @if signature::signs(visitor.person.role) { (second(app, visitor, told, &found)) }
        @if told.fate == Fate::Waits && may_send(visitor.person.role, "/changes/{number}/decline") {
            (declining(visitor, told, &found))
        }
    };
    Ok(page_below(
        visitor,
        "Changes",
        &format!("Change {number}"),
        &body,
    ))
}

fn find(app: &App, account: &str, number: u64) -> Result<Found, Problem> {
    let story = Story::of(app)?;
    let all = app.people.accounts()?.into_iter();
    let waiting = story.ledger.waiting.get(&number);
    let stale = waiting.map(|proposal| stale(app, proposal)).transpose()?;
    let in_force = app.policy_in_force();
    Ok(Found {
        stale: stale.flatten(),
        me: author(app, account)?,
        standing: signature::standing(app, &story, account)?,
        names: all
            .map(|one| (one.person.account, one.person.name))
            .collect(),
        acknowledge_days: in_force.map_or(7, |in_force| in_force.policy.acknowledge_days),
        story,
    })
}

/// Why a proposal cannot be approved any more, as the resolver would say.
fn stale(app: &App, proposal: &Proposal) -> Result<Option<String>, Problem> {
    let Some((_, texts)) = in_force(app)? else {
        return Ok(None);
    };
    let kept = Texts::new(&app.settings().state_dir);
    let after = proposal.change.applied_to(&texts, &kept, Timestamp::now());
    Ok(match after {
        Err(why) => Some(format!("{why} This change must be proposed again.")),
        Ok(after) => match between(&texts, &after) {
            Ok(parts) if parts == proposal.parts => None,
            _ => Some(
                "The policy has changed since this was proposed, and it would now mean something \
                 else. It must be proposed again."
                    .to_owned(),
            ),
        },
    })
}

/// What is to be known by whoever has closed a site.
fn closed(visitor: &Visitor, told: &Told) -> Markup {
    let closes = match &told.proposal.change {
        Change::Exceptions(all) => all.add.iter().any(|one| one.verdict == Verdict::Deny),
        _ => false,
    };
    html! {
        @if closes && matches!(told.fate, Fate::InForce { .. }) {
            p class="notice" {
                "Taking it back opens the site again, so it takes a second person. "
                @if may_read(visitor.person.role, "/exceptions") {
                    a href="/exceptions" { "All exceptions" }
                }
            }
        }
    }
}

fn facts(app: &App, visitor: &Visitor, told: &Told, found: &Found) -> Markup {
    let zone = &app.configuration.document.zone;
    let proposal = &told.proposal;
    let sees_requests = may_read(visitor.person.role, "/requests/{id}");
    html! {
        dl {
            div { dt { "Why" } dd { (words(&discreet(app, &proposal.why))) } }
            div { dt { "Proposed by" } dd { (who(&proposal.by.account, &found.names)) ", " (time(proposal.time, zone)) } }
            div { dt { "In force when it was proposed" } dd { "policy " (proposal.over) } }
            @if !proposal.requests.is_empty() {
                div {
                    dt { "Answers" }
                    dd { @for id in &proposal.requests {
                        @if sees_requests { a href={ "/requests/" (id) } { "request " (id) } } @else { "request " (id) }
                        " "
                    } }
                }
            }
        }
    }
}

/// What a second person can do.
fn second(app: &App, visitor: &Visitor, told: &Told, found: &Found) -> Markup {
    let proposal = &told.proposal;
    let waits = told.fate == Fate::Waits;
    let unread = found.story.ledger.unacknowledged.get(&proposal.number);
    if !waits && unread.is_none() {
        return html! {};
    }
    if is_same(&proposal.by, &found.me) {
        return html! {
            p class="notice" {
                "You have made this change yourself, so another person must "
                @if waits { "approve" } @else { "take note of" } " it. An account with your e-mail address is you as well."
            }
        };
    }
    if found.standing != Standing::InForce {
        return signature::notice(found.standing);
    }
    let zone = &app.configuration.document.zone;
    html! {
        @if waits && found.stale.is_none() {
            h2 { "Approve it" }
            form class="stack" method="post" action={ "/changes/" (proposal.number) "/approve" } {
                (csrf(visitor))
                input type="hidden" name="digest" value=(proposal.digest);
                p { "It is in force as soon as you approve it. Your password signs it in your name, for good." }
                (password())
                div class="actions" { button { "Approve" } }
            }
        }
        @if let Some(unread) = unread {
            h2 { "Take note of it" }
            form class="stack" method="post" action={ "/changes/" (proposal.number) "/acknowledge" } {
                (csrf(visitor))
                p { "It acted at once. Say that you have seen it, by "
                    (time(due(unread.time, found.acknowledge_days), zone)) "." }
                (password())
                div class="actions" { button { "I have taken note of it" } }
            }
        }
    }
}

fn password() -> Markup {
    html! {
        p {
            label for="password" { "Your password" }
            input id="password" name="password" type="password" autocomplete="current-password"
                maxlength="512" required;
        }
    }
}

fn declining(visitor: &Visitor, told: &Told, found: &Found) -> Markup {
    let own = is_same(&told.proposal.by, &found.me);
    html! {
        h2 { @if own { "Withdraw it" } @else { "Turn it down" } }
        form class="stack" method="post" action={ "/changes/" (told.proposal.number) "/decline" } {
            (csrf(visitor))
            p {
                label for="why" { "Why" }
                textarea id="why" name="why" rows="2" required maxlength=(LONGEST) {}
            }
            div class="actions" { button class="stop" { @if own { "Withdraw" } @else { "Turn down" } } }
        }
    }
}
