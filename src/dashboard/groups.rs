//! The groups in words: who is in each, what is blocked when, what is opened for
//! it and until when.
//!
//! Told from the policy that decides now. Exceptions that have ended or are
//! about to come first, for they are what somebody must look at again.

use std::sync::Arc;

use axum::extract::State;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::app::App;
use super::in_force::InForce;
use super::page::{self, Problem};
use super::shown::{several, time, words};
use super::tables::{cell, facts, listing};
use super::visitor::Visitor;
use crate::lists::category::{Category, CategorySet};
use crate::lists::lookup::Scope;
use crate::policy::decision::LogLevel;
use crate::policy::document::{TypedException, TypedGroup};
use crate::policy::group::{BlockedAnswer, SafeSearch};
use crate::policy::timetable::Timetable;

/// An exception that ends sooner is to be looked at.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// `GET /groups`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let in_force = app.blocking(App::policy_in_force).await?;
    let body = match in_force {
        Ok(in_force) => shown(&in_force, now),
        Err(why) => html! {
            p class="notice danger" { "The rules in force cannot be read: " (format!("{why:#}")) }
        },
    };
    Ok(page::page(&visitor, "Groups", &body))
}

fn shown(in_force: &InForce, now: Timestamp) -> Markup {
    let document = &in_force.document;
    let zone = &document.zone;
    html! {
        p {
            "Rules number " (in_force.policy.number)
            @if let Some(since) = in_force.since { ", in force since " (time(since, zone)) }
            @else { ", as they stand in the folder; the filter has not run yet" }
            ". Illegal content is blocked for every group at every hour; nothing here can open it."
        }
        (review(&document.exceptions, zone, now))
        @for group in &document.groups { (section(group, in_force, now)) }
    }
}

/// What has ended, is about to, or never will.
fn review(all: &[TypedException], zone: &TimeZone, now: Timestamp) -> Markup {
    let mut due: Vec<&TypedException> = all
        .iter()
        .filter(|e| {
            e.expires
                .is_some_and(|end| end <= now || end.duration_since(now) < SOON)
        })
        .collect();
    due.sort_by_key(|exception| exception.expires);
    let endless = all
        .iter()
        .filter(|e| e.allows && e.expires.is_none())
        .count();
    html! {
        h2 { "Exceptions to review" }
        @if due.is_empty() {
            p { "None has ended, and none ends within 30 days." }
        } @else {
            (exceptions("Exceptions that have ended or end within 30 days", &due, zone, now))
        }
        @if endless > 0 {
            p { (several(endless as u64, "exception opens", "exceptions open")) " a site without an end. Is each still wanted?" }
        }
    }
}

fn section(group: &TypedGroup, in_force: &InForce, now: Timestamp) -> Markup {
    let document = &in_force.document;
    let id = &group.id.value;
    let unknown = document
        .unknown
        .as_ref()
        .is_some_and(|unknown| unknown.value == *id);
    let index = document.group_named(id).map(|index| index.0);
    let devices = in_force.policy.devices.devices().iter();
    let devices = devices
        .filter(|device| device.group.is_some() && device.group == index)
        .count();
    let networks: Vec<String> = group.networks.iter().map(|n| n.value.to_string()).collect();
    let mut rows = vec![
        (
            "Who",
            html! {
                (several(devices as u64, "listed device", "listed devices"))
                @if !networks.is_empty() { "; everybody in " (networks.join(", ")) }
                @if unknown { "; everybody who is in no other group" }
            },
        ),
        ("Blocked at all hours", categories(group.block)),
    ];
    for during in &group.during {
        let what = if during.blocks {
            "Blocked as well"
        } else {
            "Not blocked"
        };
        let named = document.timetables.iter().map(|placed| &placed.value);
        let timetable = named.clone().find(|t| *t.id == *during.timetable.value);
        rows.push((
            what,
            html! {
                (categories(during.categories)) " – "
                @match timetable {
                    Some(timetable) => { (hours(timetable)) }
                    None => { (words(&during.timetable.value)) }
                }
            },
        ));
    }
    rows.extend([
        ("Search engines", html! { (safe_search(group.safe_search)) }),
        ("A blocked site", html! { (answer(group.answer.value)) }),
        (
            "Devices that ask to bypass the filter",
            html! { @if group.canaries { "are refused" } @else { "are not refused" } },
        ),
        ("Allowed look-ups", html! { (log(group.log)) }),
    ]);
    let own: Vec<&TypedException> = document
        .exceptions
        .iter()
        .filter(|e| e.groups.iter().any(|g| g.value == *id))
        .collect();
    html! {
        section {
            h2 { (words(id)) @if !group.enabled { " " span class="badge warn" { "Not in force" } } }
            (facts(&format!("What holds for {id}"), &rows))
            @if !own.is_empty() {
                (exceptions(&format!("Exceptions for {id}"), &own, &document.zone, now))
            }
        }
    }
}

fn exceptions(caption: &str, all: &[&TypedException], zone: &TimeZone, now: Timestamp) -> Markup {
    let columns = ["Site", "For", "Why", "Until"];
    let row = |exception: &&TypedException| {
        let [site, whom, why, until] = columns;
        let whom_all = exception.groups.iter().chain(&exception.devices);
        let whom_all: Vec<&str> = whom_all.map(|placed| &*placed.value).collect();
        html! {
            th scope="row" data-label=(site) {
                @if exception.allows { span class="badge warn" { "Opened" } } @else { span class="badge ok" { "Blocked" } }
                " " (super::shown::name(&exception.name.value.to_string()))
                @if exception.scope == Scope::Exact { " (this name alone)" }
            }
            (cell(whom, &words(&whom_all.join(", "))))
            (cell(why, &html! {
                (words(&exception.reason))
                @if let Some(who) = &exception.requested_by { br; span class="small muted" { "asked for by " (words(who)) } }
            }))
            (cell(until, &html! {
                @match exception.expires {
                    None => { "no end" }
                    Some(end) if end <= now => { span class="badge danger" { "Ended" } " " (time(end, zone)) }
                    Some(end) => { (time(end, zone)) }
                }
            }))
        }
    };
    let rows: Vec<Markup> = all.iter().map(row).collect();
    listing(caption, &columns, &rows)
}

fn categories(all: CategorySet) -> Markup {
    let names: Vec<&str> = all
        .iter()
        .map(|category: Category| category.facts().map_or(category.id(), |facts| &facts.name))
        .collect();
    html! { @if names.is_empty() { "nothing" } @else { (names.join(", ")) } }
}

/// `Mon, Tue 09:00 to 15:30, in term`.
fn hours(timetable: &Timetable) -> String {
    const WEEK: [(Weekday, &str); 7] = [
        (Weekday::Monday, "Mon"),
        (Weekday::Tuesday, "Tue"),
        (Weekday::Wednesday, "Wed"),
        (Weekday::Thursday, "Thu"),
        (Weekday::Friday, "Fri"),
        (Weekday::Saturday, "Sat"),
        (Weekday::Sunday, "Sun"),
    ];
    let days = WEEK.into_iter().filter(|(day, _)| timetable.days.has(*day));
    let days: Vec<&str> = days.map(|(_, name)| name).collect();
    let days = if days.len() == 7 {
        "every day".to_owned()
    } else {
        days.join(", ")
    };
    let times = timetable.hours.times().map_or_else(
        || ", all day".to_owned(),
        |(from, to)| format!(" {} to {}", from.strftime("%H:%M"), to.strftime("%H:%M")),
    );
    let year = timetable.year.as_ref().filter(|year| !year.is_empty());
    let year = if year.is_some() { ", in term" } else { "" };
    format!("{}: {days}{times}{year}", timetable.id)
}

fn safe_search(mode: SafeSearch) -> &'static str {
    match mode {
        SafeSearch::Off => "are not held to their safe mode",
        SafeSearch::Moderate => "are held to a moderate safe mode",
        SafeSearch::Strict => "are held to their strictest safe mode",
    }
}

fn answer(answer: BlockedAnswer) -> &'static str {
    match answer {
        BlockedAnswer::Page => "shows the block page where it can",
        _ => "looks as if it did not exist",
    }
}

fn log(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Off => "are not written down",
        LogLevel::Counts => "are only counted",
        LogLevel::Domains => "are written down without the device",
        LogLevel::Full => "are written down with the device",
    }
}
