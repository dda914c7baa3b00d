//! The changes of the filter: what waits for whoever reads the page, what waits
//! for others, and what came of the last ones.
//!
//! What stands here is what the record says, never what a form hoped for.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::app::App;
use super::edited::{Edited, edited};
use super::in_words::{headline, state};
use super::page::{Problem, csrf, page};
use super::routes::{may_read, may_send};
use super::shown::{self, time, words};
use super::signature::{self, Standing};
use super::story::{Fate, Story, Told};
use super::tables::{cell, listing};
use super::visitor::Visitor;
use super::wishes::author;
use crate::changes::proposal::Author;
use crate::changes::signatory::Signatory;

/// So many of the last changes are listed.
const MOST: usize = 50;

/// What the page is made of.
struct Found {
    story: Story,
    edited: Edited,
    me: Author,
    standing: Standing,
    names: HashMap<String, String>,
    acknowledge_days: u32,
}

/// `GET /changes`
pub(super) async fn list(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let account = visitor.person.account.clone();
    let found = app.blocking(move |app| find(app, &account)).await??;
    let role = visitor.person.role;
    let body = html! {
        @if signature::signs(role) {
            (signature::notice(found.standing))
            (for_me(&app, &visitor, &found))
        }
        (for_others(&app, &visitor, &found))
        (found.edited.notice(&app, &visitor))
        (ways(&visitor))
        (last(&app, &found))
        (signatories(&found))
    };
    Ok(page(&visitor, "Changes", &body))
}

fn find(app: &App, account: &str) -> Result<Found, Problem> {
    let story = Story::of(app)?;
    let all = app.people.accounts()?.into_iter();
    let in_force = app.policy_in_force();
    Ok(Found {
        edited: edited(app)?,
        me: author(app, account)?,
        standing: signature::standing(app, &story, account)?,
        names: all
            .map(|one| (one.person.account, one.person.name))
            .collect(),
        acknowledge_days: in_force.map_or(7, |in_force| in_force.policy.acknowledge_days),
        story,
    })
}

/// Whether whoever proposed it is the same person as `me`.
pub(super) fn is_same(author: &Author, me: &Author) -> bool {
    let same_email =
        !me.email.trim().is_empty() && me.email.trim().eq_ignore_ascii_case(author.email.trim());
    same_email || author.account == me.account
}

/// What only the one who reads this, or somebody like them, can do.
fn for_me(app: &App, visitor: &Visitor, found: &Found) -> Markup {
    let mine = |told: &&Told| !is_same(&told.proposal.by, &found.me);
    let proposals = found.story.proposals.values();
    let waits = |told: &&Told| told.fate == Fate::Waits;
    let approve: Vec<&Told> = proposals.filter(waits).filter(mine).collect();
    let unread = found.story.ledger.unacknowledged.values();
    let unread: Vec<_> = unread
        .filter(|one| !is_same(&one.proposal.by, &found.me))
        .collect();
    let wanting = found.story.ledger.wanting.values();
    let wanting: Vec<&Signatory> = wanting.filter(|one| !one.is(&found.me)).collect();
    let zone = &app.configuration.document.zone;
    html! {
        h2 { "Waiting for you" }
        @if approve.is_empty() && unread.is_empty() && wanting.is_empty() {
            p { "Nothing waits for you." }
        }
        @if !approve.is_empty() {
            h3 { "To approve or turn down" }
            ul class="list" { @for told in approve { (row(app, told, found)) } }
        }
        @if !unread.is_empty() {
            h3 { "To take note of" }
            p class="muted" { "These acted at once. Somebody other than whoever made them has to say that they have seen them." }
            ul class="list" {
                @for one in unread {
                    @if let Some(told) = found.story.proposals.get(&one.proposal.number) {
                        li {
                            p { (link(told)) ": " (headline(app, told)) }
                            p class="small muted" {
                                "by " (who(&told.proposal.by.account, &found.names)) ", to be acknowledged by "
                                (time(due(one.time, found.acknowledge_days), zone))
                            }
                        }
                    }
                }
            }
        }
        @if !wanting.is_empty() {
            h3 { "Signatures to confirm" }
            p class="muted" { "Confirm one only if you know that it is really this person who asks." }
            @for one in wanting { (confirmation(visitor, one)) }
        }
    }
}

fn confirmation(visitor: &Visitor, one: &Signatory) -> Markup {
    let field = format!("password-{}", one.account);
    html! {
        div class="card" {
            p { strong { (words(&one.name)) } " (" (words(&one.account)) ", " (one.role.name()) ") wants to be able to approve changes." }
            form class="stack" method="post" action={ "/changes/signatories/" (one.account) "/confirm" } {
                (csrf(visitor))
                p {
                    label for=(field) { "Your password" }
                    input id=(field) name="password" type="password" autocomplete="current-password"
                        maxlength="512" required;
                }
                div class="actions" { button { "Confirm " (one.name) } }
            }
        }
    }
}

/// What waits and is somebody else's to answer.
fn for_others(app: &App, visitor: &Visitor, found: &Found) -> Markup {
    let signs = signature::signs(visitor.person.role);
    let proposals = found.story.proposals.values();
    let waits = proposals.filter(|told| {
        told.fate == Fate::Waits && (!signs || is_same(&told.proposal.by, &found.me))
    });
    let waits: Vec<&Told> = waits.collect();
    let unread = found.story.ledger.unacknowledged.len();
    html! {
        @if !waits.is_empty() {
            h2 { "Waiting for another person" }
            ul class="list" { @for told in waits { (row(app, told, found)) } }
        } @else if !signs {
            h2 { "Waiting for another person" }
            p { "No proposal waits." }
        }
        @if !signs && unread > 0 {
            p { (shown::several(unread as u64, "change that acted at once waits", "changes that acted at once wait"))
                " to be acknowledged by a head or safeguarding lead." }
        }
    }
}

fn row(app: &App, told: &Told, found: &Found) -> Markup {
    let zone = &app.configuration.document.zone;
    html! {
        li {
            p { (link(told)) ": " (headline(app, told)) }
            p class="small muted" {
                "by " (who(&told.proposal.by.account, &found.names)) ", " (time(told.proposal.time, zone))
            }
        }
    }
}

fn link(told: &Told) -> Markup {
    let number = told.proposal.number;
    html! { a href={ "/changes/" (number) } { "Change " (number) } }
}

/// Somebody by their name, where they have an account.
pub(super) fn who(account: &str, names: &HashMap<String, String>) -> Markup {
    html! {
        @match names.get(account) {
            Some(name) => { (words(name)) " (" (words(account)) ")" }
            None if account == crate::changes::proposal::CONSOLE => "somebody at the machine itself",
            None => (words(account)),
        }
    }
}

/// What else there is to do.
fn ways(visitor: &Visitor) -> Markup {
    const WAYS: [(&str, &str); 4] = [
        ("/changes/propose", "Propose a change"),
        ("/deny", "Close a site now"),
        ("/exceptions", "Exceptions to review"),
        ("/changes/record", "The record of changes"),
    ];
    let role = visitor.person.role;
    html! {
        ul class="actions" {
            @for (path, name) in WAYS.iter().filter(|(path, _)| may_read(role, path)) {
                li { a class="button second" href=(path) { (name) } }
            }
            @if may_send(role, "/account/signature") {
                li { a class="button second" href="/account/signature" { "Your signature" } }
            }
        }
    }
}

fn last(app: &App, found: &Found) -> Markup {
    let zone = &app.configuration.document.zone;
    let over = |told: &&Told| told.fate != Fate::Waits;
    let all = found.story.proposals.values().rev().filter(over).take(MOST);
    let columns = ["Change", "What", "By", "Proposed", "State"];
    let rows: Vec<Markup> = all
        .map(|told| {
            let [change, what, by, at, how] = columns;
            html! {
                (cell(change, &link(told)))
                (cell(what, &headline(app, told)))
                (cell(by, &who(&told.proposal.by.account, &found.names)))
                (cell(at, &time(told.proposal.time, zone)))
                (cell(how, &state(told)))
            }
        })
        .collect();
    html! {
        h2 { "What was changed" }
        @if let Some(in_force) = &found.story.ledger.in_force {
            p { "Policy " (in_force.number) " is in force since " (time(in_force.time, zone)) "." }
        } @else {
            p { "No policy has been in force yet." }
        }
        @if rows.is_empty() {
            p { "Nobody has changed anything yet." }
        } @else {
            (listing("The last changes, newest first", &columns, &rows))
        }
    }
}

fn signatories(found: &Found) -> Markup {
    let all = &found.story.ledger.signatories;
    let wanting = &found.story.ledger.wanting;
    html! {
        h2 id="signatories" { "Who can approve" }
        @if all.is_empty() {
            p class="notice warn" {
                "Nobody can approve a change yet. A head or safeguarding lead sets up their signature on the page of their account."
            }
        } @else {
            ul { @for one in all.values() {
                li { (words(&one.name)) " (" (words(&one.account)) ", " (one.role.name()) ")" }
            } }
        }
        @if !wanting.is_empty() {
            p { "Waiting to be confirmed by one of them:" }
            ul { @for one in wanting.values() {
                li { (words(&one.name)) " (" (words(&one.account)) ", " (one.role.name()) ")" }
            } }
        }
    }
}

/// Until when a change that acted at once is to be acknowledged.
pub(super) fn due(time: Timestamp, days: u32) -> Timestamp {
    let days = SignedDuration::from_hours(24 * i64::from(days));
    time.saturating_add(days).unwrap_or(time)
}
