//! One's own account: password, second factor, where one is signed in.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{self as frame, Problem, csrf};
use super::set_up::new_password;
use super::shown::time;
use super::sign_in::{Next, alert, answer};
use super::signature;
use super::visitor::{Posted, Ticket, Visitor};
use crate::people::session::Open;
use crate::people::sign_in::Entry;
use crate::people::{PeopleError, Step};

/// A new password, as it is sent.
#[derive(Deserialize)]
pub(super) struct Change {
    old: String,
    password: String,
    again: String,
}

/// Which session to end, as it is sent.
#[derive(Deserialize)]
pub(super) struct End {
    id: i64,
}

/// `GET /account`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let account = visitor.person.account.clone();
    let found = app.blocking(move |app| {
        let left = app.people.recovery_codes_left(&account)?;
        let sessions = app.people.sessions(&account)?;
        let own = app.people.account(&account)?;
        Ok::<_, PeopleError>((own, left, sessions))
    });
    let (own, left, sessions) = found.await??;
    let own = own.ok_or(Problem::NotFound)?;
    let zone = &app.configuration.document.zone;
    let body = html! {
        dl {
            dt { "Account" } dd { (own.person.account) }
            dt { "Name" } dd { (own.person.name) }
            dt { "E-mail" } dd { @if own.email.is_empty() { "none" } @else { (own.email) } }
            dt { "Role" } dd { (own.person.role.name()) }
            @if let Some(ends) = own.ends {
                dt { "Until" } dd { (time(ends, zone)) }
            }
        }
        h2 { "Signing in" }
        ul {
            li { a href="/account/password" { "Change your password" } }
            li {
                a href="/account/second-factor" {
                    @if own.second_factor { "Move the second factor to another phone" }
                    @else { "Set up a second factor" }
                }
            }
            @if signature::signs(visitor.person.role) {
                li { a href="/account/signature" { "Your signature under changes of the filter" } }
            }
        }
        @if own.second_factor {
            h2 { "Codes for a lost phone" }
            p {
                "Each lets you in once. You have " (left) " left; making new ones ends the old."
            }
            form class="stack" method="post" action="/account/recovery-codes" {
                (csrf(&visitor))
                p {
                    label for="password" { "Your password" }
                    input id="password" name="password" type="password"
                        autocomplete="current-password" maxlength="512" required;
                }
                p { button { "Make new codes to print" } }
            }
        }
        (table(zone, &visitor, &sessions))
    };
    Ok(frame::page(&visitor, "Your account", &body))
}

fn table(zone: &TimeZone, visitor: &Visitor, sessions: &[Open]) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Where you are signed in" {
        table class="cards" {
            caption { "Where you are signed in" }
            thead {
                tr {
                    th scope="col" { "From" }
                    th scope="col" { "Since" }
                    th scope="col" { "Last used" }
                    th scope="col" { "Sign out" }
                }
            }
            tbody {
                @for open in sessions {
                    tr {
                        td data-label="From" { (open.address) @if open.id == visitor.session { " (here)" } }
                        td data-label="Since" { (time(open.began, zone)) }
                        td data-label="Last used" { (time(open.seen, zone)) }
                        td {
                            form method="post" action="/account/sessions/end" {
                                (csrf(visitor))
                                input type="hidden" name="id" value=(open.id);
                                button class="second" aria-label={ "Sign out there: " (open.address) } { "Sign out" }
                            }
                        }
                    }
                }
            }
        }
        }
    }
}

/// `POST /account/sessions/end`
pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(end): Posted<End>,
) -> Result<Redirect, Problem> {
    let account = visitor.person.account;
    app.blocking(move |app| app.people.end_session(&account, end.id))
        .await??;
    Ok(Redirect::to("/account"))
}

/// `GET /account/password`
pub(super) async fn password_page(visitor: Visitor, Query(_): Query<Next>) -> Markup {
    password_form(&visitor, None)
}

/// `POST /account/password`
pub(super) async fn change_password(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    ticket: Ticket,
    Posted(sent): Posted<Change>,
) -> Result<Response, Problem> {
    if sent.password != sent.again {
        let form = password_form(&visitor, Some("The two passwords are not the same."));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form).into_response());
    }
    let from = visitor.address;
    let (old, new) = (sent.old.clone(), sent.password.clone());
    let changed = app.hashing(move |app| {
        let (old, new, now) = (&sent.old, &sent.password, Timestamp::now());
        app.people.change_password(&ticket.0, old, new, from, now)
    });
    let again = |says: &str| password_form(&visitor, Some(says));
    match changed.await? {
        Ok(entry @ Entry::Welcome(_)) => {
            // The password is changed, whatever becomes of the signature.
            let is_signed = signature::follow(&app, visitor.clone(), old, new).await;
            let next = if is_signed { "/" } else { "/account/signature" };
            Ok(answer(&app, entry, next, "", again))
        }
        Ok(entry) => Ok(answer(
            &app,
            entry,
            "/",
            "The old password is not right.",
            again,
        )),
        Err(PeopleError::Refused(why)) => {
            Ok((StatusCode::UNPROCESSABLE_ENTITY, again(&why)).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

fn password_form(visitor: &Visitor, says: Option<&str>) -> Markup {
    let must = visitor.step == Some(Step::Password);
    let body = html! {
        @if must {
            p { "Choose a password of your own before you go on." }
        }
        (alert(says))
        form class="stack" method="post" action="/account/password" {
            (csrf(visitor))
            p {
                label for="old" { "The password you signed in with" }
                input id="old" name="old" type="password" autocomplete="current-password"
                    maxlength="512" required;
            }
            (new_password())
            p { button { "Change it" } }
        }
    };
    frame::page(visitor, "Change your password", &body)
}
