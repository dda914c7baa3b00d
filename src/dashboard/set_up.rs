//! Making the first account, before which there is no other page.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HOST, VIA};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{self, Problem};
use super::sign_in::{alert, answer};
use super::visitor::Sent;
use crate::people::PeopleError;
use crate::people::change::Invitation;
use crate::people::role::Role;

/// The first account, as it is sent.
#[derive(Deserialize)]
pub(super) struct First {
    name: String,
    email: String,
    #[serde(default)]
    account: String,
    password: String,
    again: String,
    #[serde(default)]
    code: String,
}

/// `GET /set-up`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if app.blocking(|app| app.people.is_set_up()).await?? {
        return Ok(Redirect::to("/").into_response());
    }
    let asks = !is_at_machine(from.ip(), &headers);
    Ok(form(&app, asks, None).into_response())
}

/// `POST /set-up`
pub(super) async fn make(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Sent(sent): Sent<First>,
) -> Result<Response, Problem> {
    let asks = !is_at_machine(from.ip(), &headers);
    let from = from.ip();
    let made = app.hashing(move |app| {
        if sent.password != sent.again {
            let why = "The two passwords are not the same.";
            return Err(PeopleError::Refused(why.to_owned()));
        }
        let (account, name, email) = (&sent.account, &sent.name, &sent.email);
        let first = Invitation::new(account, name, email, Role::Technician, None)?;
        let code = asks.then_some(sent.code.as_str());
        let now = Timestamp::now();
        app.people
            .first_account(&first, &sent.password, code, from, now)
    });
    let again = |says: &str| form(&app, asks, Some(says));
    match made.await? {
        Ok(entry) => Ok(answer(&app, entry, "/", "That is not the code.", again)),
        Err(PeopleError::Refused(why)) => {
            let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            Ok((status, again(&why)).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

/// Whether somebody sits at the machine itself: nothing between says that it
/// speaks for another, and no other name was asked for, by which a browser here
/// could be sent by a page from elsewhere (DNS rebinding).
fn is_at_machine(from: IpAddr, headers: &HeaderMap) -> bool {
    let is_forwarded = headers.keys().any(|name| {
        let name = name.as_str();
        name == FORWARDED || name == VIA || name == "x-real-ip" || name.starts_with("x-forwarded")
    });
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_local = host.is_some_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            let is_port = port.bytes().all(|b| b.is_ascii_digit());
            if is_port { name } else { host }
        });
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    });
    from.to_canonical().is_loopback() && is_local && !is_forwarded
}

fn form(app: &App, asks: bool, says: Option<&str>) -> Markup {
    let body = html! {
        p {
            "Nobody has an account here yet. The first is the technician's, who then invites the "
            "others. From then on it takes two people to change who may see what."
        }
        (alert(says))
        form class="stack" method="post" action="/set-up" {
            p {
                label for="name" { "Your name" }
                input id="name" name="name" autocomplete="name" maxlength="100" required;
            }
            p {
                label for="email" { "Your e-mail address" }
                input id="email" name="email" type="email" autocomplete="email" maxlength="100"
                    required;
            }
            p {
                label for="account" { "Account (if empty, made of your name)" }
                input id="account" name="account" autocomplete="username" autocapitalize="none"
                    spellcheck="false" maxlength="40";
            }
            (new_password())
            @if asks {
                p {
                    label for="code" { "Set-up code" }
                    input id="code" name="code" autocomplete="off" spellcheck="false"
                        aria-describedby="about-code" maxlength="40" required;
                }
                p id="about-code" class="muted" {
                    "It was printed when the pages were started, and stands in the file "
                    code { "set-up-code" } " in the machine's state folder."
                }
            }
            p { button { "Make the account" } }
        }
    };
    page::plain(app.school(), "Set up", &body)
}

/// The two fields of a new password, with the rule.
pub(super) fn new_password() -> Markup {
    html! {
        p {
            label for="password" { "New password" }
            input id="password" name="password" type="password" autocomplete="new-password"
                aria-describedby="about-password" minlength="12" maxlength="512" required;
        }
        p id="about-password" class="muted" {
            "At least 12 characters; three or four words do well. Not one that many people use, "
            "and without your name or the school's."
        }
        p {
            label for="again" { "The same again" }
            input id="again" name="again" type="password" autocomplete="new-password"
                maxlength="512" required;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_somebody_at_the_machine_is_at_the_machine() {
        let at = |from: &str, pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            is_at_machine(from.parse().unwrap(), &headers)
        };
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "localhost:8080",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(at("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(at("::ffff:127.0.0.1", &[("host", "127.0.0.1:80")]));
        assert!(!at("10.0.0.9", &[("host", "127.0.0.1:8080")]));
        assert!(!at("127.0.0.1", &[]));
        assert!(!at("127.0.0.1", &[("host", "evil.example")]));
        for header in [
            "x-forwarded-for",
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-host",
        ] {
            let headers = [("host", "127.0.0.1:8080"), (header, "127.0.0.1")];
            assert!(!at("127.0.0.1", &headers), "{header}");
        }
    }
}
