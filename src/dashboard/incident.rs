//! One incident: what the device asked for, why it was decided so, what else it
//! did that day, and what the school's people have noted.
//!
//! Opening one is written down. A hit on an illegal site has no host and no way
//! to it, but what to do; its host is shown to the safeguarding lead alone, on a
//! button of its own, and that is written down too.

use std::sync::Arc;

use axum::extract::{Path, State};
use jiff::Timestamp;
use maud::{Markup, html};

use super::app::App;
use super::asked::{Asked, link};
use super::casework;
use super::deny;
use super::incidents::{device_day, how_known, list};
use super::lookups;
use super::page::{Problem, csrf, page_below};
use super::shown;
use super::trace::{self, Trace};
use super::visitor::{Posted, Visitor};
use super::{advice, routes};
use crate::incidents::casework::Case;
use crate::incidents::opened::Opened;
use crate::incidents::sight::Sight;
use crate::lists::category::Category;
use crate::people::role::Role;
use crate::querylog::visits::Incident;

/// Everything that is on the page.
pub(super) struct Found {
    pub(super) opened: Opened,
    pub(super) case: Case,
    others: Vec<Case>,
    traces: Vec<Trace>,
}

/// A form without fields of its own.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Nothing {}

/// `GET /incidents/{at}`
pub(super) async fn incident(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(at): Path<String>,
    asked: Asked,
) -> Result<Markup, Problem> {
    let found = open(&app, &visitor, &at, "read_rows").await?;
    let body = html! {
        (casework::said(&asked))
        (body(&app, &visitor, &found, false))
    };
    Ok(page_below(&visitor, "Incidents", &title(&found), &body))
}

/// `POST /incidents/{at}/host`: the host of a mandatory hit.
pub(super) async fn host(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(at): Path<String>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Markup, Problem> {
    let found = open(&app, &visitor, &at, "saw_mandatory_host").await?;
    let body = body(&app, &visitor, &found, true);
    Ok(page_below(&visitor, "Incidents", &title(&found), &body))
}

/// Finds an incident and writes down that its rows are read.
async fn open(
    app: &Arc<App>,
    visitor: &Visitor,
    at: &str,
    what: &'static str,
) -> Result<Found, Problem> {
    let (visitor, at, now) = (visitor.clone(), moment(at)?, Timestamp::now());
    let look = move |app: &App| {
        let opened = app.book.incident(at);
        let opened = opened.map_err(|error| Problem::failed("the log", &error))?;
        let opened = opened.ok_or(Problem::NotFound)?;
        let incident = &opened.incident;
        let deed = visitor
            .deed(what)
            .about("incident", incident.first.to_string())
            .about("device", incident.device.as_deref().unwrap_or_default());
        app.write_down(deed, now)?;
        let cases = |incidents: &[Incident]| {
            let cases = app.book.casework().cases(incidents);
            cases.map_err(|error| Problem::failed("casework", &error))
        };
        let case = cases(std::slice::from_ref(incident))?;
        let others = cases(&opened.others_that_day)?;
        let traces = trace::of(app, &opened);
        Ok(Found {
            case: case.into_iter().next().unwrap_or_default(),
            others,
            traces,
            opened: seen(opened, Sight::of(visitor.person.role)),
        })
    };
    app.blocking(look).await?
}

/// The incident as it may be shown.
fn seen(mut opened: Opened, sight: Sight) -> Opened {
    opened.incident = sight.incident(opened.incident);
    let all = opened.others_that_day.into_iter();
    opened.others_that_day = all.map(|other| sight.incident(other)).collect();
    opened.rows = opened.rows.into_iter().map(|row| sight.row(row)).collect();
    opened
}

/// The time in an incident's address, in microseconds.
pub(super) fn moment(at: &str) -> Result<Timestamp, Problem> {
    let micros = at.parse().map_err(|_| Problem::NotFound)?;
    Timestamp::from_microsecond(micros).map_err(|_| Problem::NotFound)
}

fn title(found: &Found) -> String {
    let incident = &found.opened.incident;
    let called = incident.device_name.as_ref().or(incident.device.as_ref());
    let called = called.map_or("a device", String::as_str);
    format!("{}: {}", incident.theme.name(), shown::title(called))
}

fn body(app: &App, visitor: &Visitor, found: &Found, show_host: bool) -> Markup {
    let incident = &found.opened.incident;
    let may_see_host = visitor.person.role == Role::Dsl;
    html! {
        @if incident.mandatory { (advice::mandatory()) }
        div class="grid" {
            section class="card" {
                h2 { "What happened" }
                (facts(app, incident))
                @if incident.mandatory && may_see_host { (host_form(visitor, incident, show_host)) }
                (export(visitor, incident))
                (deny::of_incident(app, visitor, incident))
            }
            section class="card no-print-forms" id="casework" {
                h2 { "Notes and review" }
                (casework::show(app, visitor, incident, &found.case))
            }
        }
        section {
            h2 { "Look-ups" }
            (lookups::table(&found.opened.rows, &app.book.hours(), show_host && may_see_host))
            @if found.opened.all_rows > found.opened.rows.len() {
                p class="muted" { "The first " (found.opened.rows.len()) " of " (found.opened.all_rows) " rows." }
            }
        }
        section {
            h2 { "Why it was decided so" }
            @if incident.mandatory {
                p { "A mandatory list covers this site. Nobody at the school can open it: no exception, no timetable, no group. Nobody is told which list." }
            }
            (trace::show(&found.traces, incident.mandatory, app.book.zone()))
        }
        section {
            h2 { "The device's other incidents that day" }
            @if incident.device.is_none() {
                p { "The log of this group leaves devices out." }
            } @else if found.opened.others_that_day.is_empty() {
                p { "There are none." }
            } @else {
                (list(&found.opened.others_that_day, &found.others, &app.book.hours()))
            }
        }
    }
}

fn facts(app: &App, incident: &Incident) -> Markup {
    let hours = app.book.hours();
    let owner = incident.device.as_deref().and_then(|id| owner(app, id));
    let categories = incident.categories.iter();
    let says = categories.filter_map(|id| Category::named(id)?.facts());
    html! {
        dl {
            dt { "When" }
            dd {
                (shown::span(incident.first, incident.last, &hours.zone))
                @if hours.has(incident.first) { ", in school hours" } @else { ", out of school hours" }
            }
            dt { "Device" }
            dd {
                (shown::device(incident.device.as_deref(), incident.device_name.as_deref()))
                @if let Some(how) = how_known(incident.device.as_deref()) { br; small class="muted" { (how) } }
                @if let Some(owner) = owner { br; small { "belongs to " (shown::words(&owner)) } }
                @if let Some(device) = &incident.device {
                    br;
                    a href=(device_day(device, incident.first)) { "Everything this device did that day" }
                }
            }
            dt { "Group" }
            dd { (shown::words(&incident.group)) }
            dt { "Site" }
            dd { (shown::site(incident)) " " (shown::outcome(incident.action)) }
            dt { "Look-ups" }
            dd { (incident.count) }
            dt { "Kind" }
            dd {
                (shown::theme(incident.theme))
                @for facts in says { br; strong { (facts.name) } ": " (facts.says) }
            }
        }
    }
}

/// Whose a device is, by the inventory.
pub(super) fn owner(app: &App, id: &str) -> Option<String> {
    let owner = app.with_inventory(|devices| {
        let device = devices.device(devices.by_id(id)?)?;
        Some(device.owner.clone())
    });
    owner.filter(|owner| !owner.is_empty())
}

fn host_form(visitor: &Visitor, incident: &Incident, shown: bool) -> Markup {
    html! {
        @if shown {
            p class="notice danger" {
                "The site's name stands in the table of look-ups below. That you saw it is in the record. \
                 Do not visit it and do not look for it."
            }
        } @else {
            form method="post" action=(format!("/incidents/{}/host", incident.first.as_microsecond())) {
                (csrf(visitor))
                p { "The police may ask for the site's name. Showing it is written down." }
                button class="stop" { "Show the name of the site" }
            }
        }
    }
}

/// The way to a signed bundle of it.
fn export(visitor: &Visitor, incident: &Incident) -> Markup {
    let at = incident.first.as_microsecond().to_string();
    html! {
        @if routes::may_read(visitor.person.role, "/evidence/new") {
            p class="no-print" {
                a class="button second" href=(link("/evidence/new", &[("incident", &at)])) { "Export as evidence" }
            }
        }
    }
}
