//! What somebody at the school should know of, and who has seen to it.
//!
//! An alert says which device and what kind of thing; what stood in the log is
//! one link away, on the incident's page, and reading that is written down. The
//! site of a mandatory hit is not among what an alert knows.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{Problem, csrf, page, page_below};
use super::shown;
use super::tables::facts;
use super::visitor::{Posted, Visitor};
use crate::alerts::Acknowledged;
use crate::alerts::alert::{Alert, Kind, Raised};
use crate::alerts::store::StoreError;
use crate::lists::category::Category;
use crate::policy::decision::Verdict;
use crate::record::Deed;

/// So many on one page.
const PAGE: u32 = 50;

/// Which alerts somebody wants.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// `all`, or those that nobody has acknowledged.
    #[serde(default)]
    show: String,
    /// Older than this one.
    #[serde(default)]
    before: Option<String>,
}

/// A form that has nothing but its button.
#[derive(Debug, Deserialize)]
pub(super) struct Button {}

/// `GET /alerts`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Markup, Problem> {
    let all = wanted.show == "all";
    let before = wanted.before.and_then(|before| before.parse().ok());
    let found = app.blocking(move |app| {
        let alerts = app.alerts.list(all, before, PAGE)?;
        Ok::<_, StoreError>((alerts, app.alerts.unread()?))
    });
    let (alerts, unread) = found.await??;
    let zone = &app.configuration.document.zone;
    let oldest = alerts.last().map(|oldest| oldest.number);
    let oldest = oldest.filter(|_| alerts.len() == PAGE as usize);
    let body = html! {
        p class={ "notice " @if unread > 0 { "warn" } @else { "ok" } } {
            @match unread {
                0 => { "Every alert has been acknowledged." }
                1 => { "1 alert has not been acknowledged." }
                many => { (many) " alerts have not been acknowledged." }
            }
        }
        p class="actions" {
            @if all { a class="button second" href="/alerts" { "Only those not acknowledged" } }
            @else { a class="button second" href="/alerts?show=all" { "All alerts" } }
            @if super::routes::may_read(visitor.person.role, "/alerts/channels") {
                a href="/alerts/channels" { "How alerts are sent" }
            }
        }
        @if alerts.is_empty() {
            p { @if all { "There has been no alert." } @else { "Nothing is waiting for you." } }
        } @else {
            (table(&visitor, &alerts, zone))
        }
        @if let Some(oldest) = oldest {
            p {
                a href={ "/alerts?before=" (oldest) @if all { "&show=all" } } { "Older alerts" }
            }
        }
    };
    Ok(page(&visitor, "Alerts", &body))
}

fn table(visitor: &Visitor, alerts: &[Raised], zone: &TimeZone) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Alerts" {
            table class="cards" {
                caption class="visually-hidden" { "Alerts, the newest first" }
                thead {
                    tr {
                        th scope="col" { "When" }
                        th scope="col" { "What" }
                        th scope="col" { "Device" }
                        th scope="col" { "Group" }
                        th scope="col" class="number" { "Look-ups" }
                        th scope="col" { "Acknowledged" }
                    }
                }
                tbody {
                    @for raised in alerts {
                        @let alert = &raised.alert;
                        tr {
                            td data-label="When" { (shown::time(alert.first, zone)) }
                            th scope="row" data-label="What" {
                                a href={ "/alerts/" (raised.number) } { (alert.title) }
                                @if alert.urgent && alert.kind.is_of_a_device() {
                                    " " span class="badge danger" { "urgent" }
                                }
                            }
                            td data-label="Device" { (device(alert)) }
                            td data-label="Group" { (shown::words(&alert.group)) }
                            td data-label="Look-ups" class="number" {
                                @if alert.kind.is_of_a_device() { (alert.count) } @else { "–" }
                            }
                            td data-label="Acknowledged" { (acknowledged(visitor, raised, zone)) }
                        }
                    }
                }
            }
        }
    }
}

fn device(alert: &Alert) -> Markup {
    if !alert.kind.is_of_a_device() {
        return html! { span class="muted" { "the filter itself" } };
    }
    shown::device(alert.device.as_deref(), alert.device_name.as_deref())
}

/// By whom, or the button.
fn acknowledged(visitor: &Visitor, raised: &Raised, zone: &TimeZone) -> Markup {
    if let Some((by, at)) = &raised.acknowledged {
        return html! { (shown::words(by)) ", " (shown::time(*at, zone)) };
    }
    html! {
        form method="post" action={ "/alerts/" (raised.number) "/acknowledge" } {
            (csrf(visitor))
            button aria-label={ "Acknowledge alert " (raised.number) } { "Acknowledge" }
        }
    }
}

/// `GET /alerts/{number}`
pub(super) async fn one(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(number): Path<String>,
) -> Result<Markup, Problem> {
    let number: i64 = number.parse().map_err(|_| Problem::NotFound)?;
    let (account, address) = (visitor.person.account.clone(), visitor.address);
    let raised = app
        .blocking(move |app| {
            let raised = app.alerts.one(number)?;
            let raised = raised.ok_or(Problem::NotFound)?;
            if let Some(device) = &raised.alert.device {
                let deed = Deed::new(&account, "read_alert").from(&address);
                let deed = deed.about("alert", number).about("device", device.as_str());
                app.record
                    .add(deed, Timestamp::now())
                    .map_err(|error| Problem::failed("the record cannot be written", &error))?;
            }
            Ok::<_, Problem>(raised)
        })
        .await??;
    let (alert, zone) = (&raised.alert, &app.configuration.document.zone);
    let at = alert.first.as_microsecond();
    let mut rows = vec![("What", what(alert))];
    if alert.kind.is_of_a_device() {
        rows.push(("Device", device(alert)));
    }
    if !alert.group.is_empty() {
        rows.push(("Group", shown::words(&alert.group)));
    }
    rows.push(("First", shown::time(alert.first, zone)));
    if alert.kind.is_of_a_device() {
        rows.push(("Latest", shown::time(alert.last, zone)));
        rows.push(("Look-ups", html! { (alert.count) }));
        rows.push(("Outcome", html! { (outcome(alert)) }));
    }
    rows.push(("Acknowledged", acknowledged(&visitor, &raised, zone)));
    let body = html! {
        @if !alert.says.is_empty() { p class="notice warn" { (alert.says) } }
        @if alert.mandatory {
            div class="notice danger" {
                p { strong { "Do not visit the site, and do not ask anybody else to." } }
                p {
                    "It stands on a list of illegal content and was blocked. Keep the log as it \
                     is, and read the incident: it says what to do, step by step."
                }
            }
        }
        (facts("The alert", &rows))
        p class="actions" {
            @if alert.kind.is_of_a_device() {
                a class="button" href={ "/incidents/" (at) } { "Read the incident" }
            } @else if alert.kind == Kind::Change {
                a class="button" href="/changes" { "See the changes" }
            } @else if super::routes::may_read(visitor.person.role, "/health") {
                a class="button" href="/health" { "How the filter is doing" }
            }
            a href="/alerts" { "All alerts that are waiting" }
        }
    };
    Ok(page_below(&visitor, "Alerts", &alert.title, &body))
}

fn what(alert: &Alert) -> Markup {
    let category = alert.category.as_deref().filter(|_| !alert.mandatory);
    let facts = category.and_then(Category::named).and_then(Category::facts);
    html! {
        (alert.title)
        @if let Some(facts) = facts { " – " (facts.name) ". " (facts.says) }
    }
}

fn outcome(alert: &Alert) -> &'static str {
    match alert.action {
        Some(Verdict::Allow) => "Allowed: the site could be reached",
        Some(Verdict::Rewrite) => "Answered in the engine's safe mode",
        Some(Verdict::Block) => "Blocked",
        None => "–",
    }
}

/// `POST /alerts/{number}/acknowledge`
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(number): Path<String>,
    Posted(Button {}): Posted<Button>,
) -> Result<Response, Problem> {
    let number: i64 = number.parse().map_err(|_| Problem::NotFound)?;
    let account = visitor.person.account.clone();
    let now = Timestamp::now();
    let done = app.blocking(move |app| app.alerts.acknowledge(number, &account, now));
    match done.await?? {
        // The page says by whom it was, also where somebody else was faster.
        Acknowledged::Now | Acknowledged::Already(..) => {
            Ok(Redirect::to(&format!("/alerts/{number}")).into_response())
        }
        Acknowledged::Unknown => Err(Problem::NotFound),
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::failed("the alerts cannot be read", &error)
    }
}
