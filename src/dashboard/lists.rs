//! The lists: how old, how large, what of each was not understood or left out,
//! and what that blocks which perhaps it should not.
//!
//! For the technician. What stands in a category's list is a publisher's word
//! and may be shown; of a list of illegal content there are counts and nothing
//! else.

use std::sync::Arc;

use axum::extract::{Path, State};
use jiff::Timestamp;
use maud::{Markup, html};

use super::app::App;
use super::page::{self, Problem};
use super::shown::{ago, category, several, time, words};
use super::tables::{cell, facts, listing, number};
use super::visitor::Visitor;
use crate::lists::lookup::Class;
use crate::lists::report::{self, ListsReport, ReportError, SourceReport};
use crate::lists::source::{self, Origin, SourceSpec};
use crate::lists::store::Health;
use crate::over_block::{self, Blocked, OverBlock, When};

/// `GET /lists`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let report = app.blocking(move |app| reported(app, now)).await?;
    let body = match report {
        Ok(report) => all(&report, now),
        Err(why) => missing(&why),
    };
    Ok(page::page(&visitor, "Lists", &body))
}

/// `GET /lists/{id}`
pub(super) async fn source(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let wanted = id.clone();
    let found = app.blocking(move |app| {
        let sources = reported(app, now).ok()?.sources;
        let source = sources.into_iter().find(|source| source.id == wanted)?;
        let specs = source::standing(
            &app.configuration.folder,
            &app.configuration.settings.state_dir,
        );
        let specs = specs.map_or_else(|_| Vec::new(), |(specs, _)| specs);
        Some((source, specs.into_iter().find(|spec| spec.id == wanted)))
    });
    let (source, spec) = found.await?.ok_or(Problem::NotFound)?;
    let zone = &app.configuration.document.zone;
    let body = html! {
        p { a href="/lists" { "All lists" } }
        (trouble(&source))
        (facts("The list", &about(&source, spec.as_ref(), |at| time(at, zone))))
        @if source.class == Class::Mandatory {
            p class="muted" { "This is a list of illegal content. Nobody sees what stands in it, nor which lines were not understood." }
        } @else {
            (complaints(&source))
            (quarantine(&source))
        }
    };
    let title = format!("List {id}");
    Ok(page::page_below(&visitor, "Lists", &title, &body))
}

/// `GET /lists/over-block`
pub(super) async fn over_block(
    State(app): State<Arc<App>>,
    visitor: Visitor,
) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let checked = app.blocking(move |app| {
        let in_force = app.policy_in_force()?;
        let names = over_block::watched(&app.configuration.folder)?;
        anyhow::Ok(over_block::check(&in_force.policy, &names, now))
    });
    let body = match checked.await? {
        Ok(found) => found_blocked(&found),
        Err(why) => html! {
            p class="notice danger" { "This could not be checked: " (format!("{why:#}")) }
        },
    };
    Ok(page::page_below(&visitor, "Lists", "Over-blocking", &body))
}

fn reported(app: &App, now: Timestamp) -> Result<ListsReport, ReportError> {
    report::report(&app.settings().state_dir, now)
}

fn missing(why: &ReportError) -> Markup {
    html! {
        p class="notice danger" {
            strong { "There are no lists that can be read. " }
            (why.to_string()) "."
        }
    }
}

fn all(report: &ListsReport, now: Timestamp) -> Markup {
    let columns = [
        "List",
        "Category",
        "State",
        "Entries",
        "Bad lines",
        "Left out",
        "URL only",
        "Last taken",
    ];
    let row = |source: &SourceReport| {
        let [id, of, state, entries, bad, left_out, urls, last] = columns;
        let tally = &source.tally;
        html! {
            th scope="row" data-label=(id) { a href=(format!("/lists/{}", source.id)) { bdi { (source.id) } } }
            (cell(of, &html! {
                (category(&source.category))
                @if source.class == Class::Mandatory { " " span class="badge danger" { "Always blocked" } }
            }))
            (cell(state, &badge(source.state)))
            (cell(entries, &html! { (number(tally.entries)) }))
            (cell(bad, &html! { (number(tally.complaints_total)) }))
            (cell(left_out, &html! { (number(tally.quarantined)) }))
            (cell(urls, &html! { (number(tally.needs_url_filter)) }))
            (cell(last, &html! { (source.last_success.map_or("never".to_owned(), |at| ago(at, now))) }))
        }
    };
    // What needs a look first.
    let mut sources: Vec<&SourceReport> = report.sources.iter().collect();
    sources.sort_by_key(|source| {
        (
            source.state == Health::Fresh,
            source.class == Class::Category,
        )
    });
    let rows: Vec<Markup> = sources.iter().map(|source| row(source)).collect();
    html! {
        p {
            (number(report.names)) " names are in force, and "
            (several(report.mandatory, "entry", "entries")) " of illegal content; " (number(report.redundant))
            " more are covered by those. Generation " code { (report.generation) } "."
        }
        p { a href="/lists/over-block" { "What is blocked that perhaps should not be?" } }
        @for source in sources.iter().filter(|source| source.last_error.is_some()) {
            (trouble(source))
        }
        (listing("The lists, those that need a look first", &columns, &rows))
        p class="muted" {
            "Bad lines: those that were not understood. Left out: entries that would have "
            "covered a name every school needs. URL only: entries for one page of a site, "
            "which no resolver can block alone; they need a URL filter."
        }
    }
}

fn badge(state: Health) -> Markup {
    let (class, word) = match state {
        Health::Fresh => ("badge ok", "Fresh"),
        Health::Stale => ("badge warn", "Old"),
        Health::Refused => ("badge danger", "Refused"),
        Health::Failed => ("badge danger", "Not fetched"),
        Health::Never => ("badge warn", "Never fetched"),
    };
    html! { span class=(class) { (word) } }
}

/// Why a list is not fresh, and what can be done.
fn trouble(source: &SourceReport) -> Markup {
    let Some(why) = &source.last_error else {
        return html! {};
    };
    html! {
        p class="notice warn" {
            strong { (words(&source.id)) ": " }
            (words(why)) ". The last good list is in force."
            @if source.state == Health::Refused && why.contains("--accept") {
                " Look at it first: a list that loses much at once has often been damaged on the way. Then: "
                code { "schoolgate refresh --accept " (source.id) }
            }
        }
    }
}

fn about(
    source: &SourceReport,
    spec: Option<&SourceSpec>,
    time: impl Fn(Timestamp) -> Markup,
) -> Vec<(&'static str, Markup)> {
    let when = |at: Option<Timestamp>| at.map_or(html! { "never" }, &time);
    let tally = &source.tally;
    let mut rows = vec![
        ("State", badge(source.state)),
        ("Category", html! { (category(&source.category)) }),
        ("Last taken", when(source.last_success)),
        ("Last tried", when(source.last_attempt)),
    ];
    if let Some(spec) = spec {
        // An address may hold a secret of the school's.
        let from = match spec.origin {
            Origin::Url(_) => "fetched from its publisher",
            Origin::File(_) => "a file of this machine",
            Origin::Shipped { .. } => "comes with Schoolgate",
        };
        let licence = spec.licence.as_deref().unwrap_or("not said");
        rows.push(("Origin", html! { (from) }));
        rows.push(("Licence", html! { (words(licence)) }));
    }
    rows.extend([
        ("Lines", html! { (number(tally.lines)) }),
        ("Entries in force", html! { (number(tally.entries)) }),
        ("Twice", html! { (number(tally.duplicates)) }),
        ("Not understood", html! { (number(tally.complaints_total)) }),
        ("Left out", html! { (number(tally.quarantined)) }),
        (
            "Needs a URL filter",
            html! { (number(tally.needs_url_filter)) },
        ),
    ]);
    if tally.covers_must_resolve > 0 {
        rows.push((
            "In force although it covers what every school needs",
            html! { (number(tally.covers_must_resolve)) },
        ));
    }
    rows
}

fn complaints(source: &SourceReport) -> Markup {
    if source.tally.complaints_total == 0 {
        return html! {};
    }
    let reasons: Vec<(&str, Markup)> = source
        .tally
        .complaints_by_reason
        .iter()
        .map(|(reason, count)| (reason.as_str(), html! { (number(*count)) }))
        .collect();
    let shown = source.complaints.len();
    html! {
        h2 { "Lines that were not understood" }
        (facts("How many, by reason", &reasons))
        details {
            summary { "Show " @if (shown as u64) < source.tally.complaints_total { "the first " } (several(shown as u64, "line", "lines")) }
            ul { @for complaint in &source.complaints { li { "Line " (complaint.line) ": " (words(&complaint.reason)) } } }
        }
    }
}

fn quarantine(source: &SourceReport) -> Markup {
    if source.quarantine.is_empty() {
        return html! {};
    }
    let columns = ["Line", "Entry", "It would have blocked"];
    let row = |entry: &crate::lists::parse::Quarantined| {
        let [line, name, protects] = columns;
        html! {
            th scope="row" data-label=(line) { (entry.line) }
            (cell(name, &words(&entry.name)))
            (cell(protects, &words(&entry.protects)))
        }
    };
    let rows: Vec<Markup> = source.quarantine.iter().map(row).collect();
    html! {
        h2 { "Entries that were left out" }
        p { "They would have covered a name that every school needs. The rest of the list is in force." }
        (listing("Entries left out", &columns, &rows))
    }
}

fn found_blocked(found: &OverBlock) -> Markup {
    let columns = ["Name", "About", "Group", "When", "Because"];
    let row = |blocked: &Blocked| {
        let [name, about, group, when, because] = columns;
        html! {
            th scope="row" data-label=(name) { (super::shown::name(&blocked.name)) }
            (cell(about, &html! { (blocked.heading) }))
            (cell(group, &words(&blocked.group)))
            (cell(when, &html! { @match blocked.when {
                When::Now => { "now" }
                When::AtTimes => { "at times" }
            } }))
            (cell(because, &html! {
                @match blocked.category {
                    Some(id) => { (category(id)) }
                    None => { (blocked.layer.id()) }
                }
                @if let Some(list) = &blocked.source {
                    ", by list " a href=(format!("/lists/{list}")) { (words(list)) }
                }
            }))
        }
    };
    let rows: Vec<Markup> = found.blocked.iter().map(row).collect();
    html! {
        p {
            (found.names) " well-known sites of health, help, history and teaching were tried against the rules of "
            (found.groups) " groups."
            @if !found.blocked.is_empty() {
                " Those below may be blocked on purpose; if not, an exception opens them."
            }
        }
        @if found.mandatory > 0 {
            p class="notice danger" {
                (found.mandatory) " of them are on a list of illegal content. Which is not shown; "
                "tell whoever publishes the list."
            }
        }
        @if found.blocked.is_empty() {
            p class="notice ok" { "Every group can reach all of them." }
        } @else {
            (listing("Well-known names that a group does not get", &columns, &rows))
        }
    }
}
