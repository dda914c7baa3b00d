//! One box: a site or part of its name, a device, a person.
//!
//! It goes back through the whole log, newest first, and says how far it has
//! got. What somebody looked for is not written down, but whose rows they saw
//! is.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::app::App;
use super::asked::Asked;
use super::incidents::{damaged, device_day};
use super::lookups::asked_name;
use super::page::{Problem, page};
use super::shown;
use super::visitor::Visitor;
use crate::incidents::search::{Found, Sought};
use crate::incidents::sight::Sight;
use crate::incidents::wanted::{Cursor, Page};
use crate::querylog::row::Row;
use crate::querylog::visits::device_of;

/// Rows on one page.
const PAGE: usize = 25;
/// Devices of one person at most.
const MOST_DEVICES: usize = 50;

/// `GET /search`
pub(super) async fn search(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let typed = asked.word("q");
    let sought = typed.and_then(|typed| Sought::new(typed, Sight::of(visitor.person.role)));
    let found = match sought {
        Some(sought) => Some(look(&app, &visitor, sought, &asked).await?),
        None => None,
    };
    let body = html! {
        (form(typed))
        @match (&found, typed) {
            (Some(found), _) => { (results(&app, &asked, found)) }
            (None, Some(_)) => { p class="notice" { "That is no name of a site, device or person." } }
            (None, None) => {}
        }
    };
    Ok(page(&visitor, "Search", &body))
}

async fn look(
    app: &Arc<App>,
    visitor: &Visitor,
    sought: Sought,
    asked: &Asked,
) -> Result<Found, Problem> {
    let page = Page {
        before: asked.parsed("before").map(Cursor),
        size: PAGE,
    };
    let deed = visitor.deed("searched");
    let now = Timestamp::now();
    let look = move |app: &App| {
        let ids = devices_of(app, sought.text());
        let found = app.book.search(&sought.with_devices(ids), page);
        let devices: BTreeSet<String> = found.rows.iter().filter_map(device_of).collect();
        let devices: Vec<Value> = devices.into_iter().map(Value::from).collect();
        app.write_down(deed.about("devices", devices), now)?;
        Ok(found)
    };
    app.blocking(look).await?
}

/// The devices of everybody whose name has this in it.
fn devices_of(app: &App, text: &str) -> Vec<String> {
    app.with_inventory(|inventory| {
        let all = inventory.devices().iter();
        let of = all.filter(|device| device.owner.to_lowercase().contains(text));
        let ids = of.take(MOST_DEVICES).map(|device| device.id.clone());
        ids.collect()
    })
}

fn form(typed: Option<&str>) -> Markup {
    html! {
        form class="filters" role="search" method="get" action="/search" {
            label class="wide" { "A site or part of its name, a device, or a person"
                input type="search" name="q" maxlength="255" value=[typed] autocomplete="off" spellcheck="false";
            }
            button { "Search" }
        }
    }
}

fn results(app: &App, asked: &Asked, found: &Found) -> Markup {
    html! {
        (damaged(&found.damaged))
        @if found.rows.is_empty() {
            p class="notice" {
                @if found.more_to_look { "Nothing so far." } @else { "Nothing was found in the whole log." }
            }
        } @else {
            (table(app, &found.rows))
        }
        @if let Some(date) = found.looked_back_to.filter(|_| found.next.is_some()) {
            p class="progress" role="status" {
                "Looked back to " (date.strftime("%a %-d %b %Y").to_string()) ". "
                @if found.more_to_look { "There are older days that have not been looked through." }
                @else { "There is more." }
            }
        }
        @if let Some(next) = found.next {
            p class="actions" {
                a class="button second" href=(asked.link("/search", &["q"], &[("before", &next.0.to_string())])) { "Continue" }
            }
        }
    }
}

fn table(app: &App, rows: &[Row]) -> Markup {
    let zone = app.book.zone();
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="What was found" {
            table class="cards" {
                caption { (shown::several(rows.len() as u64, "row", "rows")) ", newest first" }
                thead {
                    tr {
                        th scope="col" { "Time" }
                        th scope="col" { "Name" }
                        th scope="col" { "Device" }
                        th scope="col" { "Group" }
                        th scope="col" { "Outcome" }
                        th scope="col" class="number" { "Times" }
                    }
                }
                tbody { @for row in rows { (line(row, zone)) } }
            }
        }
    }
}

fn line(row: &Row, zone: &jiff::tz::TimeZone) -> Markup {
    let key = device_of(row);
    let named = shown::device(key.as_deref(), row.device_name.as_deref());
    let incident = format!("/incidents/{}", row.time.as_microsecond());
    html! {
        tr {
            th scope="row" { a href=(incident) { (shown::time(row.time, zone)) } }
            td data-label="Name" { (asked_name(row, false)) }
            td data-label="Device" {
                @match &key {
                    Some(key) => { a href=(device_day(key, row.time)) { (named) } }
                    None => { (named) }
                }
            }
            td data-label="Group" { (shown::words(&row.group)) }
            td data-label="Outcome" {
                (shown::outcome(row.action))
                @if let Some(id) = &row.category { " " (shown::category(id)) }
            }
            td data-label="Times" class="number" { (row.count) }
        }
    }
}
