//! The frame around every page: head, navigation, and what is said when a page
//! cannot be shown.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::routes::may_read;
use super::visitor::Visitor;
use crate::people::PeopleError;

const STYLE: &str = include_str!("style.css");

/// What is in the navigation, for those who may read it.
const NAVIGATION: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/incidents", "Incidents"),
    ("/search", "Search"),
    ("/alerts", "Alerts"),
    ("/devices", "Devices"),
    ("/requests", "Requests"),
    ("/changes", "Changes"),
    ("/reports", "Reports"),
    ("/groups", "Groups"),
    ("/lists", "Lists"),
    ("/health", "Health"),
    ("/alerts/channels", "Alert channels"),
    ("/accounts", "Accounts"),
    ("/record", "Record"),
];

/// A page for somebody who has signed in. It is marked in the navigation if it
/// bears the name of an entry.
#[must_use]
pub fn page(visitor: &Visitor, title: &str, body: &Markup) -> Markup {
    framed(visitor, title, title, body)
}

/// A page that is not in the navigation itself but belongs to the entry of this
/// name: one incident, to `Incidents`.
#[must_use]
pub fn page_below(visitor: &Visitor, entry: &str, title: &str, body: &Markup) -> Markup {
    framed(visitor, entry, title, body)
}

fn framed(visitor: &Visitor, entry: &str, title: &str, body: &Markup) -> Markup {
    let role = visitor.person.role;
    let says = if entry == title { "page" } else { "true" };
    let around = Around {
        account: html! {
            form class="sign-out" method="post" action="/sign-out" {
                (csrf(visitor))
                a class="who" href="/account" { (visitor.person.name) " (" (role.name()) ")" }
                button { "Sign out" }
            }
        },
        navigation: html! {
            nav aria-label="Pages" {
                ul {
                    @for (path, name) in NAVIGATION.iter().filter(|(path, _)| may_read(role, path)) {
                        li { a href=(path) aria-current=[(*name == entry).then_some(says)] { (name) } }
                    }
                }
            }
        },
    };
    frame(&visitor.school, title, &around, &linked(), body)
}

/// A page for anybody: signing in, asking for a site.
#[must_use]
pub fn plain(school: &str, title: &str, body: &Markup) -> Markup {
    frame(school, title, &Around::default(), &linked(), body)
}

/// A page that has its style in it, for it is shown in another site's place, where
/// no address but its own is ours. `style_digest` lets a browser take it.
#[must_use]
pub fn alone(school: &str, title: &str, body: &Markup) -> Markup {
    let sheet = html! { style { (PreEscaped(STYLE)) } };
    frame(school, title, &Around::default(), &sheet, body)
}

/// What a page's security policy calls the style of [`alone`].
pub(super) fn style_digest() -> String {
    let digest = Sha256::digest(STYLE.as_bytes());
    format!("'sha256-{}'", BASE64.encode(&digest))
}

fn linked() -> Markup {
    html! { link rel="stylesheet" href="/style.css"; }
}

/// What every form of a session has in it.
#[must_use]
pub fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf); }
}

/// What stands around a page of somebody who has signed in.
#[derive(Default)]
struct Around {
    account: Markup,
    navigation: Markup,
}

fn frame(school: &str, title: &str, around: &Around, sheet: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en-GB" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – " (school) }
                (sheet)
            }
            body {
                a class="skip" href="#content" { "Skip to content" }
                header {
                    p class="school" { (school) }
                    (around.account)
                }
                (around.navigation)
                main id="content" {
                    h1 { (title) }
                    (body)
                }
            }
        }
    }
}

/// Why a page cannot be shown.
#[derive(Debug)]
pub enum Problem {
    /// There is no such page, or nothing it could be about.
    NotFound,
    /// Another role's.
    NotForYou,
    /// From a network that the pages are not for.
    NotFromHere,
    /// What was sent cannot be used; says why.
    Bad(String),
    /// Too many want the same at this moment.
    Busy,
    /// Something here failed; the machine's log has it.
    Failed,
}

impl Problem {
    /// Writes what failed to the machine's log, which has no names in it.
    pub fn failed(what: &'static str, error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "{what}");
        Self::Failed
    }
}

impl From<PeopleError> for Problem {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Refused(why) => Self::Bad(why),
            other => Self::failed("the accounts cannot be used", &other),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title, says) = match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is no such page, or what it was about is no longer kept.".to_owned(),
            ),
            Self::NotForYou => (
                StatusCode::FORBIDDEN,
                "Not for this account",
                "Your role does not include this page.".to_owned(),
            ),
            Self::NotFromHere => (
                StatusCode::FORBIDDEN,
                "Not from here",
                "These pages are not served to the network you are in.".to_owned(),
            ),
            Self::Bad(why) => (StatusCode::BAD_REQUEST, "That did not work", why),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Busy",
                "Many people are signing in at this moment. Try again in a few seconds.".to_owned(),
            ),
            Self::Failed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something failed",
                "The filter itself is not affected. The machine's log says what it was.".to_owned(),
            ),
        };
        let body = html! {
            p { (says) }
            p { a href="/" { "Back to the overview" } }
        };
        (status, plain("Schoolgate", title, &body)).into_response()
    }
}

/// The one style sheet.
pub(super) async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, STYLE)
}
