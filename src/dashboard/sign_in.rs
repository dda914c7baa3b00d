//! Signing in and out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::cookie;
use super::page::{self, Problem};
use super::visitor::{Nothing, Posted, Sent, Ticket, Visitor};
use crate::people::sign_in::Entry;
use crate::people::{Session, Step};

/// Longest path that is gone back to after signing in.
const LONGEST: usize = 1000;

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

/// A password, as it is sent.
#[derive(Deserialize)]
pub(super) struct Tried {
    account: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// A code, as it is sent.
#[derive(Deserialize)]
pub(super) struct Code {
    code: String,
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    visitor: Option<axum::Extension<Visitor>>,
    Query(query): Query<Next>,
) -> Response {
    if visitor.is_some() {
        return Redirect::to(&own(&query.next)).into_response();
    }
    password_form(&app, &own(&query.next), None).into_response()
}

/// `POST /sign-in`
pub(super) async fn try_password(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Sent(sent): Sent<Tried>,
) -> Result<Response, Problem> {
    let next = own(&sent.next);
    let entry = app
        .hashing(move |app| {
            let now = Timestamp::now();
            let (account, password) = (sent.account, sent.password);
            app.people.sign_in(&account, &password, from.ip(), now)
        })
        .await??;
    let form = |says: &str| password_form(&app, &next, Some(says));
    let wrong = "The account or the password is not right.";
    Ok(answer(&app, entry, &next, wrong, form))
}

/// `GET /sign-in/code`
pub(super) async fn code_page(visitor: Visitor, Query(query): Query<Next>) -> Response {
    let next = own(&query.next);
    if visitor.step != Some(Step::Code) {
        return Redirect::to(&next).into_response();
    }
    code_form(&visitor, &next, None).into_response()
}

/// `POST /sign-in/code`
pub(super) async fn try_code(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    ticket: Ticket,
    Posted(sent): Posted<Code>,
) -> Result<Response, Problem> {
    let next = own(&sent.next);
    let from = visitor.address;
    let entry = app
        .blocking(move |app| {
            let now = Timestamp::now();
            app.people.give_code(&ticket.0, &sent.code, from, now)
        })
        .await??;
    let form = |says: &str| code_form(&visitor, &next, Some(says));
    let wrong = "That code is not right, or was used before. Wait for the next one.";
    Ok(answer(&app, entry, &next, wrong, form))
}

/// `POST /sign-out`
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Problem> {
    let tls = app.tls();
    app.blocking(move |app| {
        let session = Session {
            person: visitor.person,
            csrf: visitor.csrf,
            step: visitor.step,
            id: visitor.session,
        };
        let now = Timestamp::now();
        app.people.sign_out(&session, visitor.address, now)
    })
    .await??;
    Ok(going(&cookie::carrying("", tls), "/sign-in"))
}

/// What is said to a try; `form` is its page again, with a word.
pub(super) fn answer(
    app: &App,
    entry: Entry,
    next: &str,
    wrong: &str,
    form: impl FnOnce(&str) -> Markup,
) -> Response {
    match entry {
        Entry::Welcome(secret) => going(&cookie::carrying(&secret, app.tls()), next),
        Entry::Wrong => (StatusCode::UNAUTHORIZED, form(wrong)).into_response(),
        Entry::Closed(why) => (StatusCode::FORBIDDEN, form(why)).into_response(),
        Entry::Wait(left) => {
            let seconds = left.as_secs().max(1);
            let says = format!("Too many wrong tries. Wait {}.", in_words(seconds));
            let mut response = (StatusCode::TOO_MANY_REQUESTS, form(&says)).into_response();
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
    }
}

/// Goes on to `next` with another cookie.
pub(super) fn going(cookie: &HeaderValue, next: &str) -> Response {
    let mut response = Redirect::to(next).into_response();
    response.headers_mut().insert(SET_COOKIE, cookie.clone());
    response
}

fn in_words(seconds: i64) -> String {
    match seconds {
        ..=1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_euclid(60) + 1),
    }
}

/// Where somebody wanted to go who is first sent elsewhere.
pub(super) fn next_of(method: &Method, uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if method != Method::GET || path.starts_with("/sign-") {
        return String::new();
    }
    own(path)
}

/// `page`, and `next` after it.
pub(super) fn with_next(page: &str, next: &str) -> String {
    if matches!(next, "" | "/") {
        return page.to_owned();
    }
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    format!("{page}?{query}")
}

/// A path of ours, whatever was sent: never another site's address.
fn own(next: &str) -> String {
    let is_path = next.starts_with('/') && !next.starts_with("//");
    let is_plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_path && is_plain && next.len() <= LONGEST {
        next.to_owned()
    } else {
        "/".to_owned()
    }
}

/// A word about what went wrong.
pub(super) fn alert(says: Option<&str>) -> Markup {
    html! {
        @if let Some(says) = says {
            p class="notice danger" role="alert" { (says) }
        }
    }
}

fn password_form(app: &App, next: &str, says: Option<&str>) -> Markup {
    let body = html! {
        (alert(says))
        form class="stack" method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            p {
                label for="account" { "Account" }
                input id="account" name="account" autocomplete="username" autocapitalize="none"
                    spellcheck="false" maxlength="64" required;
            }
            p {
                label for="password" { "Password" }
                input id="password" name="password" type="password"
                    autocomplete="current-password" maxlength="512" required;
            }
            p { button { "Sign in" } }
        }
        p class="muted" { "Forgotten? Ask the school's technician or head for a new password." }
    };
    page::plain(app.school(), "Sign in", &body)
}

fn code_form(visitor: &Visitor, next: &str, says: Option<&str>) -> Markup {
    let body = html! {
        (alert(says))
        form class="stack" method="post" action="/sign-in/code" {
            (page::csrf(visitor))
            input type="hidden" name="next" value=(next);
            p {
                label for="code" { "Code from your app" }
                input id="code" name="code" autocomplete="one-time-code" inputmode="text"
                    aria-describedby="about-code" maxlength="40" required;
            }
            p id="about-code" class="muted" {
                "Six digits. If you have lost your phone, use one of the codes you printed."
            }
            p { button { "Continue" } }
        }
        form method="post" action="/sign-out" {
            (page::csrf(visitor))
            p { button class="second" { "Sign out" } }
        }
    };
    page::plain(&visitor.school, "Your code", &body)
}

#[cfg(test)]
mod tests {
    use super::own;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for path in ["/", "/incidents?day=2026-11-20&device=x", "/devices/ipad-7"] {
            assert_eq!(own(path), path);
        }
        for bad in [
            "",
            "x",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a b",
            "/é",
            "javascript:alert(1)",
        ] {
            assert_eq!(own(bad), "/", "{bad}");
        }
        assert_eq!(own(&format!("/{}", "a".repeat(1000))), "/");
    }
}
