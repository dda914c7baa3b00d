//! The queue of requests, as technician, safeguarding lead and head work
//! through it.
//!
//! A site that has come onto a mandatory list since it was asked for is not
//! named here, to anybody.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{Problem, page};
use super::settled::settle;
use super::shown;
use super::visitor::Visitor;
use crate::requests::{Request, State as Stage, Wish};

/// Answered ones on a page.
const MOST: u32 = 50;

/// Where the page begins.
#[derive(Debug, Default, Deserialize)]
struct Start {
    /// The number below which answered ones are shown.
    before: Option<u64>,
}

/// `GET /requests`
pub(super) async fn requests(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Markup, Problem> {
    let start: Start = serde_urlencoded::from_str(&query.unwrap_or_default()).unwrap_or_default();
    let before = start.before;
    app.blocking(|app| settle(app, Timestamp::now())).await??;
    let asked = Arc::clone(&app);
    let read = move || -> Result<_, _> {
        let waiting = asked.requests.waiting()?;
        Ok((waiting, asked.requests.answered(before, MOST)?))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|error| Problem::failed("requests", &error))?;
    let (waiting, answered) =
        read.map_err(|error: crate::requests::Trouble| Problem::failed("requests", &error))?;
    let older = answered.last().filter(|_| answered.len() == MOST as usize);
    let body = html! {
        p { a class="button" href="/request" { "Make a request" } }
        @if before.is_none() {
            h2 { "Waiting for an answer" }
            @if waiting.is_empty() { p { "Nothing waits." } }
            @else { (table(&app, "Requests that wait for an answer", &waiting)) }
        }
        h2 { "Answered" }
        @if answered.is_empty() { p { "None." } }
        @else { (table(&app, "Answered requests", &answered)) }
        @if let Some(last) = older {
            p { a href=(format!("/requests?before={}", last.id)) { "Older ones" } }
        }
    };
    Ok(page(&visitor, "Requests", &body))
}

fn table(app: &App, caption: &str, requests: &[Request]) -> Markup {
    let zone = &app.configuration.document.zone;
    html! {
        div class="scroll" tabindex="0" role="region" aria-label=(caption) {
            table class="cards" {
                caption class="visually-hidden" { (caption) }
                thead { tr {
                    th scope="col" { "Number" }
                    th scope="col" { "Site" }
                    th scope="col" { "Wanted" }
                    th scope="col" { "Group" }
                    th scope="col" class="number" { "Asked by" }
                    th scope="col" { "First asked" }
                    th scope="col" { "State" }
                } }
                tbody {
                    @for request in requests {
                        tr {
                            td data-label="Number" { a href=(format!("/requests/{}", request.id)) aria-label=(format!("Request {}", request.id)) { (request.id) } }
                            td data-label="Site" { a href=(format!("/requests/{}", request.id)) { (site(app, request)) } }
                            td data-label="Wanted" { (wanted(request.wish)) }
                            td data-label="Group" { (shown::words(&request.group)) }
                            td data-label="Asked by" class="number" { (request.voices) }
                            td data-label="First asked" { (shown::span(request.first, request.first, zone)) }
                            td data-label="State" { (state(request.state)) }
                        }
                    }
                }
            }
        }
    }
}

/// The site, unless nobody may read it in passing.
fn site(app: &App, request: &Request) -> Markup {
    if is_withheld(app, request) {
        html! { span class="muted" { (shown::WITHHELD) } }
    } else {
        shown::name(&request.site.to_string())
    }
}

/// Whether the site is on a mandatory list by now. Where nobody can tell, it is
/// taken for one.
pub(super) fn is_withheld(app: &App, request: &Request) -> bool {
    let in_force = app.standing.latest();
    in_force.is_none_or(|in_force| in_force.is_mandatory(request.site.as_ref()))
}

pub(super) fn wanted(wish: Wish) -> &'static str {
    match wish {
        Wish::Unblock => "to be opened",
        Wish::Block => "to be blocked",
    }
}

pub(super) fn state(state: Stage) -> Markup {
    let class = match state {
        Stage::New => "badge warn",
        Stage::Considered => "badge info",
        Stage::Answered(_) => "badge",
    };
    html! { span class=(class) { (state.words()) } }
}

/// In the form `2026-11-21`, so many weeks from now, for a field of a form.
pub(super) fn in_weeks(app: &App, weeks: i64, now: Timestamp) -> String {
    let today = now.to_zoned(app.configuration.document.zone.clone()).date();
    let span = jiff::Span::new().try_weeks(weeks).unwrap_or_default();
    today.saturating_add(span).to_string()
}
