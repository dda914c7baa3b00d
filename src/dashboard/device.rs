//! One device's day: every incident and every row. Opening it is written down.

use std::sync::Arc;

use axum::extract::{Path, State};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};

use super::app::App;
use super::asked::{Asked, link, part};
use super::incident::owner;
use super::incidents::{how_known, list};
use super::lookups;
use super::page::{Problem, page_below};
use super::shown;
use super::visitor::Visitor;
use crate::incidents::casework::Case;
use crate::incidents::device::DeviceDay;
use crate::incidents::sight::Sight;
use crate::incidents::wanted::{Cursor, Page};
use crate::querylog::visits::Incident;

/// Rows on one page.
const PAGE: usize = 100;

/// `GET /devices/{id}`: the day `date`, or the one of the moment `at`, or today.
pub(super) async fn device(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let today = app.book.date(now);
    let of_moment = || Some(app.book.date(asked.parsed::<Timestamp>("at")?));
    let date = asked.parsed("date").or_else(of_moment).unwrap_or(today);
    let page = Page {
        before: asked.parsed("before").map(Cursor),
        size: PAGE,
    };
    let deed = visitor
        .deed("read_rows")
        .about("device", id.chars().take(200).collect::<String>())
        .about("date", date.to_string());
    let (sight, device) = (Sight::of(visitor.person.role), id.clone());
    let look = move |app: &App| {
        app.write_down(deed, now)?;
        let day = app.book.device_day(&device, date, page);
        let day = day.map_err(|error| Problem::failed("the log", &error))?;
        let cases = app.book.casework().cases(&day.incidents);
        let cases = cases.map_err(|error| Problem::failed("casework", &error))?;
        Ok::<_, Problem>((seen(day, sight), cases))
    };
    let (day, cases) = app.blocking(look).await??;
    let body = body(&app, &id, &day, &cases, today);
    // On a day of which nothing was written it has its name all the same.
    let listed = listed_name(&app, &id);
    let called = called(&day).or(listed.as_deref()).unwrap_or(&id);
    let title = shown::title(called);
    Ok(page_below(&visitor, "Devices", &title, &body))
}

/// The day as it may be shown.
fn seen(mut day: DeviceDay, sight: Sight) -> DeviceDay {
    day.incidents = day
        .incidents
        .into_iter()
        .map(|i| sight.incident(i))
        .collect();
    day.rows = day.rows.into_iter().map(|row| sight.row(row)).collect();
    day
}

fn called(day: &DeviceDay) -> Option<&str> {
    let incidents = day.incidents.iter().chain(&day.plain);
    incidents
        .rev()
        .find_map(|incident| incident.device_name.as_deref())
}

/// What the school's list calls it.
fn listed_name(app: &App, id: &str) -> Option<String> {
    let name = app.with_inventory(|devices| {
        let device = devices.device(devices.by_id(id)?)?;
        Some(device.name.clone())
    });
    name.filter(|name| !name.is_empty())
}

fn body(app: &App, id: &str, day: &DeviceDay, cases: &[Case], today: Date) -> Markup {
    let hours = app.book.hours();
    let (shown, cases): (Vec<Incident>, Vec<Case>) = day
        .incidents
        .iter()
        .zip(cases)
        .filter(|(incident, _)| !incident.background)
        .map(|(incident, case)| (incident.clone(), case.clone()))
        .unzip();
    let is_known = !day.rows.is_empty() || app.with_inventory(|all| all.by_id(id).is_some());
    html! {
        @if !is_known {
            p class="notice warn" { "No device of this name is on the school's list, and nothing was written down of one on this day." }
        }
        p {
            code class="name" { (id) }
            @if let Some(how) = how_known(Some(id)) { ", " (how) }
            @if let Some(owner) = owner(app, id) { ", belongs to " (shown::words(&owner)) }
        }
        (days(id, day.date, today))
        h2 { "Incidents on " (in_words(day.date)) }
        @if shown.is_empty() {
            p { "There are none." }
        } @else {
            (list(&shown, &cases, &hours))
        }
        h2 { "All look-ups on " (in_words(day.date)) }
        @if day.cut {
            p class="notice warn" { "This device looked up so much that only the newest part of the day is shown." }
        }
        @if day.rows.is_empty() {
            p { "There are none that were written down." }
        } @else {
            (lookups::table(&day.rows, &hours, false))
        }
        @if let Some(next) = day.next {
            p class="actions" {
                a class="button second" href=(of_day(id, day.date, &[("before", &next.0.to_string())])) { "Earlier look-ups" }
            }
        }
    }
}

/// The way to the days around, and to any other.
fn days(id: &str, date: Date, today: Date) -> Markup {
    let (before, after) = (date.saturating_sub(1.day()), date.saturating_add(1.day()));
    html! {
        div class="actions no-print" {
            a class="button second" href=(of_day(id, before, &[])) { "Day before" }
            @if date < today { a class="button second" href=(of_day(id, after, &[])) { "Day after" } }
            form class="actions" method="get" action=(format!("/devices/{}", part(id))) {
                label { "Day " input type="date" name="date" value=(date); }
                button class="second" { "Show" }
            }
        }
    }
}

fn of_day(id: &str, date: Date, more: &[(&str, &str)]) -> String {
    let date = date.to_string();
    let words: Vec<(&str, &str)> = [("date", &*date)]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    link(&format!("/devices/{}", part(id)), &words)
}

fn in_words(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}
