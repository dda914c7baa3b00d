//! Which devices there are, how each is known, and what makes it hard to tell
//! them apart.
//!
//! Unknown ones come first: they are why a row of the log says nobody's name.
//! What a device looked up is not here, only how often something of it was
//! written down; its day is another page, for other roles.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};

use super::app::App;
use super::asked::{Asked, part};
use super::known::{Known, gather};
use super::page::{self, Problem};
use super::shown::{ago, several, words};
use super::tables::{cell, listing, number};
use super::visitor::Visitor;
use crate::devices::leases::watch::Watcher;
use crate::incidents::clients::Clients;
use crate::people::role::Role;
use crate::status::{Status, Suspect, Suspicion};

/// So many stand on a page.
const A_PAGE: usize = 100;
/// The words of the page's address.
const KEYS: [&str; 2] = ["q", "show"];
/// Which devices are wanted.
const SHOW: [(&str, &str); 5] = [
    ("all", "All"),
    ("unknown", "Not on the school's list"),
    ("random", "With a made-up hardware address"),
    ("today", "In the log today"),
    ("quiet", "On the list, not in the log today"),
];

/// What the page is made of.
struct Seen {
    known: Vec<Known>,
    suspects: Option<Vec<Suspect>>,
    trouble: Vec<String>,
}

/// `GET /devices`
pub(super) async fn page(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let seen = app.blocking(move |app| look(app, now)).await?;
    let may_read_rows = matches!(visitor.person.role, Role::Dsl | Role::Head);
    let body = html! {
        @for trouble in &seen.trouble { p class="notice warn" { (trouble) } }
        (suspects(seen.suspects.as_deref(), now))
        (form(&asked))
        (list(&seen.known, &asked, may_read_rows, now))
    };
    Ok(page::page(&visitor, "Devices", &body))
}

fn look(app: &App, now: Timestamp) -> Seen {
    let mut trouble = Vec::new();
    let settings = app.settings();
    let mut watcher = Watcher::new(settings.clients.leases.clone());
    let leases = watcher.poll(now).unwrap_or_default();
    let unread = watcher
        .states()
        .filter(|(_, state)| state.trouble.is_some());
    if unread.count() > 0 {
        trouble.push("A file of the DHCP server cannot be read; names may be missing.".to_owned());
    }
    let today = now.to_zoned(app.book.zone().clone()).start_of_day();
    let today = today.map_or(now, |midnight| midnight.timestamp());
    let Clients { clients, damaged } = app.book.clients(today);
    if !damaged.is_empty() {
        trouble.push("The log of today cannot be read whole; devices may be missing.".to_owned());
    }
    let in_force = app.policy_in_force().ok();
    let group = |index: Option<u16>| {
        let policy = &in_force.as_ref()?.policy;
        policy
            .groups
            .get(usize::from(index?))
            .map(|group| group.id.to_string())
    };
    let own = &app.configuration.devices;
    let inventory = in_force
        .as_ref()
        .map_or(own, |in_force| &in_force.policy.devices);
    Seen {
        known: gather(
            inventory,
            |device| group(device.group),
            &leases,
            &clients,
            now,
        ),
        suspects: Status::read(&settings.state_dir)
            .status()
            .map(|status| status.suspects.clone()),
        trouble,
    }
}

fn suspects(all: Option<&[Suspect]>, now: Timestamp) -> Markup {
    let Some(all) = all else {
        return html! {
            p class="notice warn" {
                "The filter does not run, so it is not known which routers hide their devices."
            }
        };
    };
    let of = |wanted| {
        all.iter()
            .filter(move |suspect| suspect.suspicion == wanted)
    };
    let (hiding, claiming) = (Suspicion::HidesClients, Suspicion::ClaimsToBeSomebody);
    html! {
        @if of(hiding).next().is_some() {
            div class="card warn" {
                h2 { "Routers that hide their devices" }
                p { "Each of these asks for many devices without saying for which. They share one group and one line in the log until the router says who asks, or is set to pass questions on as they are." }
                ul { @for suspect in of(hiding) {
                    li { bdi { (suspect.address) } ": about " (number(suspect.count.into())) " different names within an hour, since " (ago(suspect.since, now)) }
                } }
            }
        }
        @if of(claiming).next().is_some() {
            div class="card warn" {
                h2 { "Who claims to be another device" }
                p { "Each of these wrote into its questions which device asks, and is no router that may. It was not believed. If it is a router of the school, add it to clients.routers; if not, somebody tries to be somebody else." }
                ul { @for suspect in of(claiming) {
                    li { bdi { (suspect.address) } ": " (several(suspect.count.into(), "question", "questions")) ", first " (ago(suspect.since, now)) }
                } }
            }
        }
    }
}

fn form(asked: &Asked) -> Markup {
    let wanted = asked.word("show").unwrap_or("all");
    html! {
        form class="filters no-print" method="get" action="/devices" role="search" {
            label class="wide" { "Name, owner, address or group "
                input type="search" name="q" maxlength="100" value=(asked.word("q").unwrap_or_default());
            }
            label { "Which "
                select name="show" {
                    @for (id, name) in SHOW { option value=(id) selected[id == wanted] { (name) } }
                }
            }
            button { "Show" }
        }
    }
}

fn list(all: &[Known], asked: &Asked, may_read_rows: bool, now: Timestamp) -> Markup {
    let sought = asked.word("q").map(str::to_lowercase);
    let is_wanted = |known: &&Known| {
        let fits = match asked.word("show") {
            Some("unknown") => !known.listed,
            Some("random") => known.random,
            Some("today") => known.last_seen.is_some(),
            Some("quiet") => known.listed && known.last_seen.is_none(),
            _ => true,
        };
        fits && sought.as_ref().is_none_or(|sought| known.has(sought))
    };
    let wanted: Vec<&Known> = all.iter().filter(is_wanted).collect();
    let from = asked.parsed("from").unwrap_or(0_usize).min(wanted.len());
    let shown: Vec<&Known> = wanted.iter().copied().skip(from).take(A_PAGE).collect();
    let rows: Vec<Markup> = shown
        .iter()
        .map(|known| row(known, may_read_rows, now))
        .collect();
    let unknown = all.iter().filter(|known| !known.listed).count();
    let next = from + shown.len();
    html! {
        p {
            (several(wanted.len() as u64, "device", "devices")) " of " (number(all.len() as u64))
            @match unknown {
                0 => { ". Every one is on the school's list." }
                1 => { ". 1 is not on the school's list." }
                many => { ". " (number(many as u64)) " are not on the school's list." }
            }
        }
        @if shown.is_empty() {
            p { "There are none." }
        } @else {
            (listing("Devices, unknown ones first", &COLUMNS, &rows))
        }
        @if next < wanted.len() {
            p class="actions" {
                a class="button second" href=(asked.link("/devices", &KEYS, &[("from", &next.to_string())])) { "More devices" }
            }
        }
    }
}

const COLUMNS: [&str; 6] = [
    "Device",
    "Known by",
    "Group",
    "Addresses",
    "Last in the log",
    "Entries today",
];

fn row(known: &Known, may_read_rows: bool, now: Timestamp) -> Markup {
    let [device, how, group, addresses, last, entries] = COLUMNS;
    let called = match (&known.host, known.name.is_empty()) {
        (_, false) => &known.name,
        (Some(host), true) => host,
        (None, true) => &known.key,
    };
    html! {
        th scope="row" data-label=(device) {
            @if may_read_rows { a href=(format!("/devices/{}", part(&known.key))) { (words(called)) } }
            @else { (words(called)) }
            @if *called != known.key { br; code class="small" { (known.key) } }
            @for word in [&known.kind, &known.owner] {
                @if !word.is_empty() { br; span class="small muted" { (words(word)) } }
            }
        }
        (cell(how, &html! {
            (known.how())
            @if !known.listed { " " span class="badge warn" { "Unknown" } }
            @if known.random { " " span class="badge warn" { "Made-up address" } }
        }))
        (cell(group, &html! { (words(known.group.as_deref().unwrap_or("by its network"))) }))
        (cell(addresses, &html! {
            @for mac in &known.macs { bdi { (mac) } " " }
            @for address in &known.addresses { bdi { (address) } " " }
        }))
        (cell(last, &html! { (known.last_seen.map_or("not today".to_owned(), |at| ago(at, now))) }))
        (cell(entries, &html! { (number(known.entries)) }))
    }
}
