//! The list of incidents: who, what kind, when, and whether somebody has looked.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};

use super::app::App;
use super::asked::{Asked, link, part};
use super::filters::{self, KEYS, Range};
use super::page::{Problem, page};
use super::shown;
use super::visitor::Visitor;
use crate::incidents::casework::Case;
use crate::incidents::hours::SchoolHours;
use crate::incidents::listing::Listing;
use crate::incidents::sight::Sight;
use crate::incidents::wanted::{Cursor, Page};
use crate::policy::decision::Verdict;
use crate::querylog::read::Unreadable;
use crate::querylog::visits::Incident;
use crate::record::Deed;

/// Incidents on one page.
const PAGE: usize = 50;

/// `GET /incidents`
pub(super) async fn incidents(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let range = Range::of(&asked, app.book.date(now));
    let deed = visitor
        .deed("read_incidents")
        .about("from", range.from.to_string())
        .about("to", range.to.to_string());
    let deed = ["group", "device", "theme"]
        .into_iter()
        .fold(deed, |deed, key| match asked.word(key) {
            Some(word) => deed.about(key, word),
            None => deed,
        });
    let sight = Sight::of(visitor.person.role);
    let (looking, asks) = (range, asked.clone());
    let (listing, cases) = app
        .blocking(move |app| look(app, &asks, &looking, sight, deed, now))
        .await??;
    let body = html! {
        (filters::form(&app, &asked, &range))
        (filters::sentence(&asked, &range))
        (damaged(&listing.damaged))
        @if listing.incidents.is_empty() {
            p class="notice" { (nothing(&listing)) }
        } @else {
            (list(&listing.incidents, &cases, &app.book.hours()))
        }
        (next(&asked, &listing))
    };
    Ok(page(&visitor, "Incidents", &body))
}

fn look(
    app: &App,
    asked: &Asked,
    range: &Range,
    sight: Sight,
    deed: Deed,
    now: Timestamp,
) -> Result<(Listing, Vec<Case>), Problem> {
    app.write_down(deed, now)?;
    let page = Page {
        before: asked.parsed("before").map(Cursor),
        size: PAGE,
    };
    let wanted = filters::wanted(asked, range, app.book.zone());
    let mut listing = app.book.incidents(&wanted, page);
    let cases = app.book.casework().cases(&listing.incidents);
    let cases = cases.map_err(|error| Problem::failed("casework", &error))?;
    let shown = listing.incidents.into_iter().map(|i| sight.incident(i));
    listing.incidents = shown.collect();
    Ok((listing, cases))
}

/// A list of incidents with what was noted about each.
pub(super) fn list(incidents: &[Incident], cases: &[Case], hours: &SchoolHours) -> Markup {
    html! {
        ol class="list" {
            @for (at, incident) in incidents.iter().enumerate() {
                (row(incident, cases.get(at), hours))
            }
        }
    }
}

fn row(incident: &Incident, case: Option<&Case>, hours: &SchoolHours) -> Markup {
    html! {
        li class={ "incident" @if incident.mandatory { " is-mandatory" } } {
            div {
                (shown::span(incident.first, incident.last, &hours.zone))
                @if !hours.has(incident.first) { br; small class="muted" { "out of school hours" } }
            }
            div class="what" {
                a href=(address(incident)) { (shown::site(incident)) }
                div class="marks" {
                    (shown::theme(incident.theme))
                    (outcome(incident.action))
                    (marks(case))
                }
                @if let Some(categories) = categories(incident) {
                    small class="muted" { (categories) }
                }
            }
            div {
                (device_link(incident))
                br;
                small class="muted" {
                    "group " (shown::words(&incident.group)) ", "
                    (shown::several(incident.count, "look-up", "look-ups"))
                    @if let Some(how) = how_known(incident.device.as_deref()) { br; (how) }
                }
            }
        }
    }
}

/// An incident that was let through is what catches the eye here.
fn outcome(action: Verdict) -> Markup {
    match action {
        Verdict::Allow => html! { span class="badge warn" { "Allowed" } },
        _ => shown::outcome(action),
    }
}

/// Its categories, where they say more than its theme.
fn categories(incident: &Incident) -> Option<String> {
    let names: Vec<&str> = incident
        .categories
        .iter()
        .map(|id| shown::category(id))
        .collect();
    let said = names.join(", ");
    (!said.is_empty() && said != incident.theme.name()).then_some(said)
}

/// Whether somebody has looked at it, and who goes on.
fn marks(case: Option<&Case>) -> Markup {
    let Some(case) = case else {
        return html! {};
    };
    html! {
        @if let Some((who, _)) = case.reviewed() {
            span class="badge ok" { "Reviewed by " (shown::words(who)) }
        }
        @if let Some(who) = case.assigned() {
            span class="badge info" { "With " (shown::words(who)) }
        }
        @if case.notes() > 0 {
            span class="badge" { (shown::several(case.notes() as u64, "note", "notes")) }
        }
    }
}

/// The page of an incident.
pub(super) fn address(incident: &Incident) -> String {
    format!("/incidents/{}", incident.first.as_microsecond())
}

/// The device, with the way to its day.
pub(super) fn device_link(incident: &Incident) -> Markup {
    let named = shown::device(incident.device.as_deref(), incident.device_name.as_deref());
    match &incident.device {
        Some(device) => html! { a href=(device_day(device, incident.first)) { (named) } },
        None => named,
    }
}

/// Where a device's day is.
pub(super) fn device_day(device: &str, at: Timestamp) -> String {
    link(
        &format!("/devices/{}", part(device)),
        &[("at", &at.to_string())],
    )
}

/// How a device is known, if not by the inventory: then it may be another's.
pub(super) fn how_known(device: Option<&str>) -> Option<&'static str> {
    let device = device?;
    if device.parse::<std::net::IpAddr>().is_ok() {
        return Some("known by its address only");
    }
    let is_mac = device.parse::<crate::mac::Mac>().is_ok();
    is_mac.then_some("not in the inventory: known by its hardware address")
}

/// The days that are not, or not all, in a list.
pub(super) fn damaged(days: &[Unreadable]) -> Markup {
    html! {
        @if !days.is_empty() {
            div class="notice warn" {
                p { "A part of the log cannot be read and is left out here. Everything else is shown. Tell the technician:" }
                ul { @for day in days { li { code { (day.file) } ": " (day.why) } } }
            }
        }
    }
}

fn nothing(listing: &Listing) -> &'static str {
    if listing.more_to_look {
        "Nothing so far. There are older days to look through."
    } else {
        "Nothing was found. That may be good news, or a filter that is too narrow."
    }
}

/// The way on, and how far the list has got.
fn next(asked: &Asked, listing: &Listing) -> Markup {
    html! {
        @if let Some(next) = listing.next {
            @if let Some(date) = listing.looked_back_to {
                p class="progress" {
                    "Looked back to " (date.strftime("%a %-d %b %Y").to_string()) "."
                    @if listing.more_to_look { " There are older days that have not been looked through." }
                }
            }
            p class="actions" {
                a class="button second" href=(asked.link("/incidents", &KEYS, &[("before", &next.0.to_string())])) {
                    @if listing.more_to_look { "Continue with older days" } @else { "Older incidents" }
                }
            }
        }
    }
}
