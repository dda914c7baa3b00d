//! The first page after signing in: for each role what it begins the day with.
//!
//! The safeguarding lead and the head see who and what kind, never a site: what
//! a device asked for is a click away, and that click is written down. Everybody
//! else is told where to look.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};

use super::app::App;
use super::asked::link;
use super::health::health_line;
use super::incidents::{address, damaged, device_link};
use super::page::{Problem, page};
use super::routes;
use super::shown::{self, several};
use super::trend::{self, Trend};
use super::visitor::Visitor;
use crate::changes::ledger::Ledger;
use crate::incidents::overview::{Compared, DeviceCount, Overview};
use crate::lists::category::Theme;
use crate::people::role::Role;
use crate::querylog::visits::Incident;
use crate::record::Broken;

/// `GET /`
pub(super) async fn overview(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let role = visitor.person.role;
    let health = health_line(&app).await?;
    let body = match role {
        Role::Dsl | Role::Head => {
            let look = move |app: &App| (app.book.overview(now), unread(app), waiting(app));
            let (overview, unread, waiting) = app.blocking(look).await?;
            // What somebody must act on before what is well.
            html! {
                (illegal(&overview))
                (unread)
                (waiting)
                (health)
                (for_safeguarding(&app, &visitor, &overview, now))
            }
        }
        Role::Governor => html! { (health) (for_governors()) },
        Role::Auditor => html! { (health) (app.blocking(for_auditors).await?) },
        Role::Technician => html! { (health) (for_technicians()) },
    };
    Ok(page(&visitor, "Overview", &body))
}

fn illegal(overview: &Overview) -> Markup {
    html! {
        @if overview.mandatory_seven_days > 0 {
            p class="notice danger" {
                strong { (several(overview.mandatory_seven_days, "hit", "hits")) " on an illegal site in the last seven days. " }
                a href="/incidents?theme=illegal" { "See them, and what to do" }
            }
        }
    }
}

/// How many alerts wait for somebody. A store that cannot be read is said, not
/// taken for none.
fn unread(app: &App) -> Markup {
    match app.alerts.unread() {
        Ok(0) => html! {},
        Ok(count) => html! {
            p class="notice warn" {
                strong { (several(count, "alert", "alerts")) " waiting. " }
                "Nobody has acknowledged " @if count == 1 { "it" } @else { "them" } " yet. "
                a href="/alerts" { "Read them" }
            }
        },
        Err(_) => {
            html! { p class="notice danger" { "The alerts cannot be read. Tell the technician." } }
        }
    }
}

/// How many changes wait for somebody to approve them or take note of them.
fn waiting(app: &App) -> Markup {
    let Ok(ledger) = Ledger::read(&app.settings().state_dir) else {
        return html! {
            p class="notice danger" { "The record of changes cannot be read, or has been altered. Tell the technician." }
        };
    };
    let count = ledger.waiting.len() + ledger.unacknowledged.len();
    let people = ledger.wanting.len();
    html! {
        @if count > 0 {
            p class="notice warn" {
                strong { (several(count as u64, "change waits", "changes wait")) } " for somebody to approve or take note of. "
                a href="/changes" { "See what is to be changed" }
            }
        }
        @if people > 0 {
            p class="notice warn" {
                strong { (several(people as u64, "person wants", "people want")) } " to be able to approve changes. "
                a href="/changes" { "See who" }
            }
        }
    }
}

fn for_safeguarding(app: &App, visitor: &Visitor, overview: &Overview, now: Timestamp) -> Markup {
    html! {
        (damaged(&overview.damaged))
        (numbers(overview))
        div class="grid" {
            section class="card" {
                h2 { "This week and last" }
                p { (trend::sentence(overview.this_week, overview.last_week_so_far)) }
                (Trend::of(overview, app.book.date(now)).week())
            }
            section class="card" {
                h2 { "Repeated attempts" }
                (repeated(&overview.repeated, now))
            }
            section class="card" {
                h2 { "By kind" }
                (by_theme(&overview.themes))
            }
            section class="card" {
                h2 { "By group" }
                (by_group(&overview.groups))
            }
        }
        section {
            h2 { "Newest" }
            (newest(app, &overview.newest))
            @if routes::may_read(visitor.person.role, "/incidents") {
                p class="actions" { a class="button" href="/incidents" { "All incidents" } }
            }
        }
        section class="card" {
            h2 { "Devices this week" }
            (devices(&overview.devices, now))
        }
        section class="card" {
            h2 { "The last four weeks" }
            (Trend::of(overview, app.book.date(now)).month())
        }
    }
}

fn numbers(overview: &Overview) -> Markup {
    let cell = |what: &str, count: u64, href: &str, says: &str| {
        html! {
            div {
                dt { (what) }
                dd { a href=(href) { (count) } }
                dd { (says) }
            }
        }
    };
    let week = trend::sentence(overview.this_week, overview.last_week_so_far);
    html! {
        h2 class="visually-hidden" { "Sensitive incidents" }
        dl class="numbers" {
            (cell("Sensitive incidents today", overview.today, "/incidents?range=today", ""))
            (cell("Yesterday", overview.yesterday, "/incidents?range=yesterday", ""))
            (cell("This week so far", overview.this_week, "/incidents?range=week", &week))
            (cell("Devices with repeated attempts", overview.repeated.len() as u64, "#repeated", "three or more in seven days"))
        }
    }
}

/// What a device's incidents are about, gravest first.
fn about(themes: &[(Theme, u64)]) -> Markup {
    html! {
        span class="marks" {
            @for (theme, count) in themes { (shown::theme(*theme)) " " (count) " " }
        }
    }
}

fn repeated(devices: &[DeviceCount], now: Timestamp) -> Markup {
    html! {
        @if devices.is_empty() {
            p id="repeated" { "No device has had three or more sensitive incidents in the last seven days." }
        } @else {
            ol class="list" id="repeated" {
                @for device in devices {
                    li {
                        p { (named(device)) ", group " (shown::words(&device.group)) }
                        p { (several(device.incidents, "incident", "incidents")) ", the latest " (shown::ago(device.last, now)) }
                        (about(&device.themes))
                    }
                }
            }
        }
    }
}

/// A device, with the way to its incidents of the week.
fn named(device: &DeviceCount) -> Markup {
    let named = shown::device(device.device.as_deref(), device.name.as_deref());
    match &device.device {
        Some(id) => html! { a href=(link("/incidents", &[("device", id)])) { (named) } },
        None => named,
    }
}

fn devices(devices: &[DeviceCount], now: Timestamp) -> Markup {
    html! {
        @if devices.is_empty() {
            p { "No device has had a sensitive incident this week." }
        } @else {
            table class="cards" {
                caption class="visually-hidden" { "Devices with sensitive incidents this week, most first" }
                thead {
                    tr {
                        th scope="col" { "Device" }
                        th scope="col" { "Group" }
                        th scope="col" class="number" { "Incidents" }
                        th scope="col" { "About" }
                        th scope="col" { "Last" }
                    }
                }
                tbody {
                    @for device in devices {
                        tr {
                            th scope="row" { (named(device)) }
                            td data-label="Group" { (shown::words(&device.group)) }
                            td data-label="Incidents" class="number" { (device.incidents) }
                            td data-label="About" { (about(&device.themes)) }
                            td data-label="Last" { (shown::ago(device.last, now)) }
                        }
                    }
                }
            }
        }
    }
}

fn by_theme(themes: &[(Theme, Compared)]) -> Markup {
    let named = themes.iter().map(|(theme, compared)| {
        let href = link("/incidents", &[("range", "week"), ("theme", theme.id())]);
        (html! { a href=(href) { (theme.name()) } }, compared)
    });
    compared("Sensitive incidents by kind", "Kind", named)
}

fn by_group(groups: &[(String, Compared)]) -> Markup {
    let named = groups.iter().map(|(group, compared)| {
        let href = link("/incidents", &[("range", "week"), ("group", group)]);
        (html! { a href=(href) { (shown::words(group)) } }, compared)
    });
    compared("Sensitive incidents by group", "Group", named)
}

fn compared<'c>(
    caption: &str,
    what: &str,
    rows: impl ExactSizeIterator<Item = (Markup, &'c Compared)>,
) -> Markup {
    html! {
        @if rows.len() == 0 {
            p { "Nothing this week or last." }
        } @else {
            table {
                caption class="visually-hidden" { (caption) }
                thead {
                    tr {
                        th scope="col" { (what) }
                        th scope="col" class="number" { "This week" }
                        th scope="col" class="number" { "Last week to this hour" }
                    }
                }
                tbody {
                    @for (name, compared) in rows {
                        tr {
                            th scope="row" { (name) }
                            td class="number" { (compared.now) }
                            td class="number" { (compared.before) }
                        }
                    }
                }
            }
        }
    }
}

/// Who and what kind, not which site: that is a click away.
fn newest(app: &App, incidents: &[Incident]) -> Markup {
    let zone = app.book.zone();
    html! {
        @if incidents.is_empty() {
            p { "Nothing in the last four weeks." }
        } @else {
            ol class="list" {
                @for incident in incidents {
                    li class={ "incident" @if incident.mandatory { " is-mandatory" } } {
                        div { a href=(address(incident)) { (shown::span(incident.first, incident.last, zone)) } }
                        div class="marks" { (shown::theme(incident.theme)) (shown::outcome(incident.action)) }
                        div { (device_link(incident)) br; small class="muted" { "group " (shown::words(&incident.group)) } }
                    }
                }
            }
        }
    }
}

/// No numbers here: two looks in one week, subtracted, are what a term's report
/// takes care not to tell.
fn for_governors() -> Markup {
    html! {
        p {
            "How often pupils tried to reach something harmful, by kind and by term, is in the "
            a href="/reports/governors" { "governors' report" }
            ". Small numbers are not told, so that nobody can be recognised."
        }
    }
}

fn for_technicians() -> Markup {
    html! {
        p { "You look after the filter: lists, health and settings. What pupils looked up is for the safeguarding lead." }
        ul class="actions" {
            li { a class="button second" href="/health" { "How the filter is doing" } }
            li { a class="button second" href="/lists" { "The lists" } }
            li { a class="button second" href="/requests" { "Requests" } }
        }
    }
}

fn for_auditors(app: &App) -> Markup {
    let verified = app.record.verify();
    html! {
        h2 { "The record" }
        @match verified {
            Ok(Some(head)) => {
                p class="notice ok" {
                    "The record is whole: "
                    (several(head.number, "entry", "entries")) ", the last "
                    (shown::time(head.time, app.book.zone())) "."
                }
                p { "Its seal, to be compared with one you noted earlier:" br; code class="name" { (head.digest) } }
            }
            Ok(None) => { p class="notice" { "The record is empty." } }
            Err(Broken::Entry { number, line, why }) => {
                p class="notice danger" { "The record has been altered: entry " (number) " (line " (line) ") " (why) "." }
            }
            Err(Broken::Io(_)) => { p class="notice danger" { "The record cannot be read." } }
        }
    }
}
