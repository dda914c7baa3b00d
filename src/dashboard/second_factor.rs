//! Setting up the second factor: a square picture for the app, the same as text,
//! and a code to show that it worked; then codes to print, shown once.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use qrcode::{Color, QrCode};
use serde::Deserialize;

use super::app::App;
use super::cookie;
use super::page::{self as frame, Problem, csrf};
use super::sign_in::{Next, alert, answer};
use super::visitor::{Posted, Ticket, Visitor};
use crate::people::second_factor::Offer;
use crate::people::{PeopleError, Step};

/// A code of the offered secret, as it is sent.
#[derive(Deserialize)]
pub(super) struct Proof {
    code: String,
    #[serde(default)]
    password: String,
}

/// A password, as it is sent.
#[derive(Deserialize)]
pub(super) struct Password {
    password: String,
}

/// `GET /account/second-factor`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    ticket: Ticket,
    Query(_): Query<Next>,
) -> Result<Markup, Problem> {
    form(&app, &visitor, &ticket, None).await
}

/// `POST /account/second-factor`
pub(super) async fn enrol(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    ticket: Ticket,
    Posted(sent): Posted<Proof>,
) -> Result<Response, Problem> {
    let (from, secret) = (visitor.address, ticket.0.clone());
    let enrolled = app.hashing(move |app| {
        let (code, password, now) = (&sent.code, &sent.password, Timestamp::now());
        app.people.enrol(&secret, code, password, from, now)
    });
    match enrolled.await?? {
        Ok(enrolled) => {
            let mut response = codes(&visitor, &enrolled.recovery_codes).into_response();
            let cookie = cookie::carrying(&enrolled.session, app.tls());
            response.headers_mut().insert(SET_COOKIE, cookie);
            Ok(response)
        }
        Err(entry) => {
            let wrong = "That was not right. Wait for the next code and try again.";
            let again = form(&app, &visitor, &ticket, Some(wrong)).await?;
            Ok(answer(&app, entry, "/", wrong, |_| again))
        }
    }
}

/// `POST /account/recovery-codes`
pub(super) async fn renew_codes(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(sent): Posted<Password>,
) -> Result<Response, Problem> {
    let (account, from) = (visitor.person.account.clone(), visitor.address);
    let renewed = app.hashing(move |app| {
        let now = Timestamp::now();
        app.people
            .renew_recovery_codes(&account, &sent.password, from, now)
    });
    match renewed.await?? {
        Ok(renewed) => Ok(codes(&visitor, &renewed).into_response()),
        Err(entry) => {
            let says = "The password is not right.";
            let form = |says: &str| {
                let body = html! { (alert(Some(says))) p { a href="/account" { "Back" } } };
                frame::page(&visitor, "Codes to print", &body)
            };
            Ok(answer(&app, entry, "/account", says, form))
        }
    }
}

async fn form(
    app: &Arc<App>,
    visitor: &Visitor,
    ticket: &Ticket,
    says: Option<&str>,
) -> Result<Markup, Problem> {
    let (account, secret) = (visitor.person.account.clone(), ticket.0.clone());
    let found = app.blocking(move |app| {
        let offer = app.people.offer(&secret, Timestamp::now())?;
        let has_one = app
            .people
            .account(&account)?
            .is_some_and(|a| a.second_factor);
        Ok::<_, PeopleError>((offer, has_one))
    });
    let (offer, has_one) = found.await??;
    let body = html! {
        @if visitor.step == Some(Step::SecondFactor) {
            p {
                "Your role sees what others must not, so a password alone is not enough: you also "
                "need a code from an app on your phone."
            }
        }
        (alert(says))
        ol {
            li {
                p { "Open an authenticator app on your phone, such as the one your school uses, and scan this:" }
                (picture(&offer)?)
                p { "Or type this into it: " code { (in_fours(&offer.secret)) } }
            }
            li {
                form class="stack" method="post" action="/account/second-factor" {
                    (csrf(visitor))
                    @if has_one {
                        p {
                            label for="password" { "Your password" }
                            input id="password" name="password" type="password"
                                autocomplete="current-password" maxlength="512" required;
                        }
                    }
                    p {
                        label for="code" { "The six digits the app shows" }
                        input id="code" name="code" autocomplete="one-time-code"
                            inputmode="numeric" maxlength="10" required;
                    }
                    p { button { "Continue" } }
                }
            }
        }
    };
    Ok(frame::page(visitor, "Your second factor", &body))
}

fn codes(visitor: &Visitor, codes: &[String]) -> Markup {
    let body = html! {
        p {
            "Print these and lock them away. Each lets you in once without your phone; "
            "using one is recorded. They are not shown again."
        }
        ul class="codes" {
            @for one in codes {
                li { code { (one) } }
            }
        }
        p class="no-print" { a href="/" { "I have printed them" } }
    };
    frame::page(visitor, "Codes to print", &body)
}

/// The square, black on white whatever the page's colours are: apps want it so.
fn picture(offer: &Offer) -> Result<Markup, Problem> {
    let code = QrCode::new(&offer.uri)
        .map_err(|error| Problem::failed("a square picture could not be made", &error))?;
    let width = code.width();
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", at % width + 4, at / width + 4);
        }
    }
    let side = width + 8;
    Ok(html! {
        svg xmlns="http://www.w3.org/2000/svg" class="square" role="img" width="240" height="240"
            viewBox={ "0 0 " (side) " " (side) } shape-rendering="crispEdges"
            aria-label="A square picture with the secret in it, for an app to look at" {
            rect width=(side) height=(side) fill="#ffffff" {}
            path d=(path) fill="#000000" {}
        }
    })
}

fn in_fours(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}
