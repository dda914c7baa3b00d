//! Who has an account: inviting, changing, closing, and agreeing to what another
//! has asked for. Who may see what is never one person's decision where there are
//! two (`people/change.rs`); this page only asks.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{self as frame, Problem, csrf};
use super::routes::may_send;
use super::shown::{time, words};
use super::sign_in::alert;
use super::signature;
use super::visitor::{Nothing, Posted, Visitor};
use crate::people::account::{Account, State as Standing, What};
use crate::people::change::{Invitation, Outcome};
use crate::people::command::end_of;
use crate::people::role::Role;
use crate::people::{Actor, People, PeopleError};

/// Somebody who is to have an account, as they are sent.
#[derive(Deserialize)]
pub(super) struct Invited {
    name: String,
    email: String,
    #[serde(default)]
    account: String,
    role: String,
    #[serde(default)]
    until: String,
}

/// Another role, as it is sent.
#[derive(Deserialize)]
pub(super) struct Chosen {
    role: String,
}

/// `GET /accounts`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    list(&app, &visitor, &html! {}).await
}

/// `POST /accounts`
pub(super) async fn invite(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(sent): Posted<Invited>,
) -> Result<Response, Problem> {
    let zone = app.configuration.document.zone.clone();
    let done = change(&app, &visitor, move |people, by, now| {
        let whom = sent.read(&zone)?;
        if whom.email.is_empty() {
            let why = "An account needs its person's e-mail address.";
            return Err(PeopleError::Refused(why.to_owned()));
        }
        people.invite(by, &whom, None, now)
    });
    answer(&app, &visitor, done.await?).await
}

/// `GET /accounts/{account}`
pub(super) async fn one(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(account): Path<String>,
) -> Result<Markup, Problem> {
    let found = app
        .blocking(move |app| app.people.account(&account))
        .await??;
    let account = found.ok_or(Problem::NotFound)?;
    let zone = &app.configuration.document.zone;
    let body = html! {
        (facts(&account, zone))
        (actions(&visitor, &account))
    };
    Ok(frame::page_below(
        &visitor,
        "Accounts",
        &account.person.name,
        &body,
    ))
}

/// `POST /accounts/{account}/role`
pub(super) async fn change_role(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(account): Path<String>,
    Posted(sent): Posted<Chosen>,
) -> Result<Response, Problem> {
    let done = change(&app, &visitor, move |people, by, now| {
        people.change_role(by, &account, role(&sent.role)?, now)
    });
    answer(&app, &visitor, done.await?).await
}

/// `POST /accounts/{account}/reset`
pub(super) async fn reset(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(account): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Problem> {
    let done = change(&app, &visitor, move |people, by, now| {
        people.reset(by, &account, now)
    });
    answer(&app, &visitor, done.await?).await
}

/// `POST /accounts/{account}/disable`
pub(super) async fn disable(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(account): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Problem> {
    let done = change(&app, &visitor, move |people, by, now| {
        people.disable(by, &account, now)?;
        Ok(without_password(account))
    });
    answer(&app, &visitor, done.await?).await
}

/// `POST /accounts/{account}/confirm`
pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(account): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Problem> {
    let done = change(&app, &visitor, move |people, by, now| {
        people.confirm(by, &account, now)
    });
    answer(&app, &visitor, done.await?).await
}

/// `POST /accounts/{account}/decline`
pub(super) async fn decline(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(account): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Problem> {
    let done = change(&app, &visitor, move |people, by, now| {
        people.decline(by, &account, now)?;
        Ok(without_password(account))
    });
    answer(&app, &visitor, done.await?).await
}

impl Invited {
    fn read(&self, zone: &TimeZone) -> Result<Invitation, PeopleError> {
        let ends = match self.until.trim() {
            "" => None,
            day => {
                let day = day.parse::<Date>();
                let day = day.map_err(|_| PeopleError::Refused("That is no date.".to_owned()))?;
                Some(end_of(day, zone)?)
            }
        };
        Invitation::new(
            &self.account,
            &self.name,
            &self.email,
            role(&self.role)?,
            ends,
        )
    }
}

fn role(word: &str) -> Result<Role, PeopleError> {
    word.parse().map_err(PeopleError::Refused)
}

fn without_password(account: String) -> Outcome {
    let password = None;
    Outcome::Done { account, password }
}

async fn change(
    app: &Arc<App>,
    visitor: &Visitor,
    work: impl FnOnce(&People, &Actor, Timestamp) -> Result<Outcome, PeopleError> + Send + 'static,
) -> Result<Result<Outcome, PeopleError>, Problem> {
    let actor = visitor.actor();
    app.hashing(move |app| work(&app.people, &actor, Timestamp::now()))
        .await
}

/// The list, with what came of a change above it.
async fn answer(
    app: &Arc<App>,
    visitor: &Visitor,
    done: Result<Outcome, PeopleError>,
) -> Result<Response, Problem> {
    let kept = match &done {
        Ok(Outcome::Done { account, .. }) => {
            signature::follow_account(app, visitor, account.clone()).await?
        }
        _ => None,
    };
    let (status, says) = match done {
        Ok(Outcome::Waits { account }) => {
            let says = html! {
                p class="notice warn" role="status" {
                    "Account " b { (account) }
                    ": a head or safeguarding lead must confirm this before it is in force."
                }
            };
            (StatusCode::OK, says)
        }
        Ok(Outcome::Done { account, password }) => {
            let says = html! {
                (handed_over(&account, password))
                @if let Some(why) = kept {
                    p class="notice warn" { "Their signature under changes could not be withdrawn: " (why) }
                }
            };
            (StatusCode::OK, says)
        }
        Err(PeopleError::Refused(why)) => (StatusCode::UNPROCESSABLE_ENTITY, alert(Some(&why))),
        Err(other) => return Err(other.into()),
    };
    Ok((status, list(app, visitor, &says).await?).into_response())
}

fn handed_over(account: &str, password: Option<String>) -> Markup {
    html! {
        div class="notice ok" role="status" {
            p { "Account " b { (account) } ": done." }
            @if let Some(password) = password {
                p {
                    "Password to begin with: " code class="password" { (password) }
                    ". Hand it over in person; it is not shown again, and must be changed at the "
                    "first sign-in."
                }
            }
        }
    }
}

async fn list(app: &Arc<App>, visitor: &Visitor, says: &Markup) -> Result<Markup, Problem> {
    let all = app.blocking(|app| app.people.accounts()).await??;
    let zone = &app.configuration.document.zone;
    let now = Timestamp::now();
    let (waiting, settled): (Vec<_>, Vec<_>) = all.iter().partition(|a| a.waiting.is_some());
    let body = html! {
        (says)
        @if !waiting.is_empty() {
            h2 { "Waiting for a second person" }
            ul class="list" {
                @for account in waiting {
                    li { (wish(account, zone)) " " (link(account)) }
                }
            }
        }
        div class="scroll" tabindex="0" role="region" aria-label="Accounts" {
            table class="cards" {
                caption { "Accounts" }
                thead {
                    tr {
                        th scope="col" { "Person" }
                        th scope="col" { "Role" }
                        th scope="col" { "State" }
                        th scope="col" { "Second factor" }
                        th scope="col" { "Last signed in" }
                        th scope="col" { "Until" }
                    }
                }
                tbody {
                    @for account in settled {
                        tr {
                            td data-label="Person" { (link(account)) }
                            td data-label="Role" { (account.person.role.name()) }
                            td data-label="State" { (account.state_at(now)) }
                            td data-label="Second factor" { (yes(account.second_factor)) }
                            td data-label="Last signed in" {
                                @if let Some(at) = account.last_sign_in { (time(at, zone)) }
                                @else { "never" }
                            }
                            td data-label="Until" {
                                @if let Some(ends) = account.ends { (time(ends, zone)) }
                                @else { "no end" }
                            }
                        }
                    }
                }
            }
        }
        @if may_send(visitor.person.role, "/accounts") {
            h2 { "Invite somebody" }
            (invitation(visitor))
        }
    };
    Ok(frame::page(visitor, "Accounts", &body))
}

fn invitation(visitor: &Visitor) -> Markup {
    html! {
        form class="stack" method="post" action="/accounts" {
            (csrf(visitor))
            p {
                label for="name" { "Name" }
                input id="name" name="name" autocomplete="off" maxlength="100" required;
            }
            p {
                label for="email" { "E-mail address" }
                input id="email" name="email" type="email" autocomplete="off" maxlength="100"
                    required;
            }
            p {
                label for="role" { "Role" }
                (roles(None))
            }
            p {
                label for="until" { "Last day (if empty, no end)" }
                input id="until" name="until" type="date";
            }
            p {
                label for="account" { "Account (if empty, made of the name)" }
                input id="account" name="account" autocomplete="off" autocapitalize="none"
                    spellcheck="false" maxlength="40";
            }
            p { button { "Invite" } }
        }
    }
}

fn roles(chosen: Option<Role>) -> Markup {
    html! {
        select id="role" name="role" required {
            @if chosen.is_none() { option value="" { "Choose a role" } }
            @for role in Role::ALL {
                option value=(role.id()) selected[chosen == Some(role)] { (role.name()) }
            }
        }
    }
}

fn facts(account: &Account, zone: &TimeZone) -> Markup {
    html! {
        dl {
            dt { "Account" } dd { (account.person.account) }
            dt { "E-mail" } dd { (words(&account.email)) }
            dt { "Role" } dd { (account.person.role.name()) }
            dt { "State" } dd { (account.state_at(Timestamp::now())) }
            dt { "Second factor" } dd { (yes(account.second_factor)) }
            dt { "Made" } dd { (time(account.made, zone)) " by " (account.made_by) }
            @if let Some(ends) = account.ends {
                dt { "Until" } dd { (time(ends, zone)) }
            }
        }
        @if account.waiting.is_some() {
            p class="notice warn" { (wish(account, zone)) }
        }
    }
}

/// What can be asked for, as far as this role may; nothing about oneself.
fn actions(visitor: &Visitor, account: &Account) -> Markup {
    let name = &account.person.account;
    let role = visitor.person.role;
    if visitor.person.account == *name {
        return html! { p class="muted" { "This is your own account. Others change it." } };
    }
    let button = |verb: &str, label: &str, class: &str| {
        html! {
            form method="post" action={ "/accounts/" (name) "/" (verb) } {
                (csrf(visitor))
                button class=(class) { (label) }
            }
        }
    };
    html! {
        @if account.waiting.is_some() && may_send(role, "/accounts/{account}/confirm") {
            div class="actions" {
                (button("confirm", "Confirm", ""))
                (button("decline", "Decline", "stop"))
            }
        }
        @if may_send(role, "/accounts/{account}/role") {
            h2 { "Change the role" }
            form class="stack" method="post" action={ "/accounts/" (name) "/role" } {
                (csrf(visitor))
                p {
                    label for="role" { "Role" }
                    (roles(Some(account.person.role)))
                }
                p { button { "Change" } }
            }
            h2 { "Lost password or phone" }
            p {
                "Gives a new password to begin with, and takes the second factor away until "
                "there is a new one. A closed account can be used again."
            }
            div class="actions" { (button("reset", "Reset", "second")) }
            @if account.state != Standing::Disabled {
                h2 { "Close" }
                p { "At once, wherever the person is signed in." }
                div class="actions" { (button("disable", "Close the account", "stop")) }
            }
        }
    }
}

/// What waits, in a sentence.
fn wish(account: &Account, zone: &TimeZone) -> Markup {
    let Some(waiting) = &account.waiting else {
        return html! {};
    };
    let role = waiting.role.name();
    html! {
        b { (waiting.asked_by) } " asks "
        @match waiting.what {
            What::New => { "for a new account: " (role) "," },
            What::Role => { "that this account become: " (role) "," },
            What::Reset => { "for a new password (" (role) ")," },
        }
        " " (time(waiting.at, zone)) "."
    }
}

fn link(account: &Account) -> Markup {
    html! {
        a href={ "/accounts/" (account.person.account) } {
            (words(&account.person.name)) " (" (account.person.account) ")"
        }
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
