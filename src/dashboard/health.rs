//! How the filter fares: one line for everybody's first page, and all of it for
//! whoever looks after the machine.
//!
//! Counts and troubles of the machine. No name that somebody looked up is here,
//! and no row of a pupil's.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::app::App;
use super::page::{self, Problem};
use super::shown::{ago, several, time, words};
use super::tables::{bytes, cell, facts, listing, number};
use super::visitor::Visitor;
use crate::lists::report;
use crate::status::health::{Area, Finding, Health, Level};
use crate::status::{LeaseFile, Resolver, Status, Upstream};

/// Everything that is judged, and the judgement.
pub(super) struct Seen {
    pub(super) resolver: Resolver,
    pub(super) health: Health,
}

/// Looks. Takes half a second at most, and blocks for as long.
pub(super) fn look(app: &App, now: Timestamp) -> Seen {
    let state_dir = &app.settings().state_dir;
    let resolver = Status::read(state_dir);
    let lists = report::report(state_dir, now).ok();
    let health = Health::of(&resolver, lists.as_ref(), now);
    Seen { resolver, health }
}

/// Is the filter working, are the lists fresh, is the log being written? For the
/// first page.
pub(super) async fn health_line(app: &Arc<App>) -> Result<Markup, Problem> {
    let health = app
        .blocking(|app| look(app, Timestamp::now()).health)
        .await?;
    let main = Area::MAIN.into_iter();
    let main: Vec<&Finding> = main.filter_map(|area| health.worst(area)).collect();
    let level = main.iter().map(|f| f.level).max().unwrap_or(Level::Bad);
    Ok(html! {
        @if level == Level::Ok {
            p class="notice ok" {
                strong { "The system is in order. " }
                @for finding in &main { (finding.says) " " }
            }
        } @else {
            @for finding in main.iter().filter(|f| f.level > Level::Ok) { (notice(finding)) }
        }
    })
}

/// `GET /health`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let seen = app.blocking(move |app| look(app, now)).await?;
    let zone = &app.configuration.document.zone;
    let body = html! {
        @for finding in &seen.health.findings { (notice(finding)) }
        @if let Some(status) = seen.resolver.status() {
            (in_force(status, zone))
            (upstreams(&status.upstreams, now))
            (log(status, zone, now))
            (machine(status, zone))
            (leases(&status.leases, now))
        }
    };
    Ok(page::page(&visitor, "Health", &body))
}

/// One finding, with its gravity in words and colour.
fn notice(finding: &Finding) -> Markup {
    let (class, word) = match finding.level {
        Level::Ok => ("notice ok", "in order"),
        Level::Warn => ("notice warn", "needs a look"),
        Level::Bad => ("notice danger", "not working"),
    };
    html! {
        p class=(class) {
            strong { (finding.area.name()) ": " (word) ". " }
            (finding.says)
            @if !finding.remedy.is_empty() { " " (finding.remedy) }
        }
    }
}

fn in_force(status: &Status, zone: &TimeZone) -> Markup {
    let mut rows = vec![
        ("Version", html! { (status.version) }),
        ("Running since", time(status.started, zone)),
    ];
    match &status.policy {
        Some(policy) => {
            rows.push(("Rules in force", html! { "number " (policy.number) }));
            if let Some(at) = policy.activated {
                rows.push(("In force since", time(at, zone)));
            }
            rows.push((
                "Lists",
                html! { (policy.lists) ", " (number(policy.names as u64)) " names" },
            ));
            rows.push(("Lists in force since", time(policy.lists_since, zone)));
        }
        None => rows.push(("Rules in force", html! { "none" })),
    }
    rows.push((
        "Changes refused since the start",
        html! { (status.activations.failures) },
    ));
    html! {
        h2 { "Rules and lists" }
        (facts("What is in force", &rows))
        @if let Some(trouble) = &status.activations.trouble {
            p { "Why the last change was refused:" }
            pre { (trouble) }
        }
        @if !status.missing_safe_modes.is_empty() {
            p { "Safe modes of search engines that could not be found last night:" }
            ul { @for name in &status.missing_safe_modes { li { (words(name)) } } }
        }
    }
}

fn upstreams(upstreams: &[Upstream], now: Timestamp) -> Markup {
    let when = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| ago(at, now));
    let columns = [
        "Server",
        "State",
        "Answers",
        "Failures",
        "Last answer",
        "Last failure",
    ];
    let row = |server: &Upstream| {
        let [label, state, answers, failures, answer, failure] = columns;
        let how = match server.last_error.as_deref() {
            Some("silent") => ": no answer came",
            Some("unreachable") => ": it could not be reached",
            Some(_) => ": its answer was of no use",
            None => "",
        };
        html! {
            th scope="row" data-label=(label) { (words(&server.server)) }
            (cell(state, &html! {
                @if server.up { span class="badge ok" { "Up" } }
                @else { span class="badge danger" { "Down" } }
            }))
            (cell(answers, &html! { (number(server.answers)) }))
            (cell(failures, &html! { (number(server.failures)) }))
            (cell(answer, &html! { (when(server.last_answer)) }))
            (cell(failure, &html! { (when(server.last_failure)) (how) }))
        }
    };
    let rows: Vec<Markup> = upstreams.iter().map(row).collect();
    html! {
        h2 { "Upstreams" }
        (listing("Servers that the filter asks", &columns, &rows))
    }
}

fn log(status: &Status, zone: &TimeZone, now: Timestamp) -> Markup {
    let (log, retention) = (&status.log, &status.retention);
    let last = log
        .last_write
        .map_or("nothing yet".to_owned(), |at| ago(at, now));
    let mut rows = vec![
        ("Last written", html! { (last) }),
        (
            "Written since the start",
            html! { (number(log.written)) " look-ups" },
        ),
        (
            "Waiting",
            html! { (number(log.pending_rows as u64)) " rows, " (bytes(log.pending_bytes as u64)) },
        ),
        (
            "Lost: illegal content",
            html! { (number(log.lost_mandatory)) },
        ),
        ("Lost: blocked", html! { (number(log.lost_blocked)) }),
        ("Lost: allowed", html! { (number(log.lost_allowed)) }),
        (
            "Only counted, in floods",
            html! { (number(log.collapsed_blocked + log.collapsed_allowed)) },
        ),
        ("Damaged files set aside", html! { (log.set_aside) }),
        ("Days kept", html! { (retention.keep_days) }),
    ];
    if let Some(at) = retention.swept {
        rows.push(("Old days last removed", time(at, zone)));
    }
    let held = retention.held.len();
    if held > 0 {
        rows.push(("Old days that a hold keeps", html! { (held) }));
    }
    if let Some(error) = &log.last_error {
        let still = if log.failing { "" } else { " (it has passed)" };
        rows.push(("Last trouble", html! { (error) (still) }));
    }
    html! {
        h2 { "Query log" }
        (facts("How the log is written", &rows))
        @if !retention.complaints.is_empty() {
            ul { @for complaint in &retention.complaints { li class="warn" { (complaint) } } }
        }
    }
}

fn machine(status: &Status, zone: &TimeZone) -> Markup {
    let asked = status.cache.hits + status.cache.misses;
    let share = if asked == 0 {
        0.0
    } else {
        100.0 * status.cache.hits as f64 / asked as f64
    };
    let mut rows = vec![
        (
            "Clock",
            html! { @if status.clock_is_trusted { "right, as far as can be told" } @else { "wrong" } },
        ),
        (
            "Questions a second",
            html! { (format!("{:.1}", status.rates.queries)) },
        ),
        (
            "Blocked a second",
            html! { (format!("{:.1}", status.rates.blocked)) },
        ),
        (
            "Questions since the start",
            html! { (number(status.totals.queries)) },
        ),
        (
            "Blocked since the start",
            html! { (number(status.totals.blocked)) },
        ),
        (
            "Refused: not of this school",
            html! { (number(status.totals.strangers)) },
        ),
        (
            "Refused: too many from one device",
            html! { (number(status.totals.limited)) },
        ),
        (
            "Answered from the cache",
            html! { (format!("{share:.0} %")) ", " (number(status.cache.entries)) " answers kept" },
        ),
    ];
    if let Some(disk) = status.disk {
        rows.push((
            "Disk",
            html! { (bytes(disk.free)) " of " (bytes(disk.total)) " free" },
        ));
    }
    let open = status.connections.iter();
    let open: Vec<String> = open
        .map(|c| format!("{} {}", c.transport, c.open))
        .collect();
    rows.push(("Connections open", html! { (open.join(", ")) }));
    rows.push((
        "Failed TLS handshakes",
        html! { (number(status.failed_handshakes)) },
    ));
    if let Some(certificate) = &status.certificate {
        rows.push((
            "Certificate",
            html! {
                @if certificate.ok { "served" } @else { "its files cannot be used" }
                @if let Some(at) = certificate.expires { ", ends " (time(at, zone)) }
            },
        ));
    }
    html! {
        h2 { "Machine and traffic" }
        (facts("Over the last minute and since the start", &rows))
    }
}

fn leases(files: &[LeaseFile], now: Timestamp) -> Markup {
    if files.is_empty() {
        return html! {};
    }
    let columns = ["File", "Read", "Not understood", "Trouble"];
    let row = |file: &LeaseFile| {
        let [path, read, bad, trouble] = columns;
        let when = file.read_at.map_or("never".to_owned(), |at| ago(at, now));
        html! {
            th scope="row" data-label=(path) { (words(&file.path.to_string_lossy())) " (" (file.format) ")" }
            (cell(read, &html! { (when) }))
            (cell(bad, &html! {
                (several(file.bad as u64, "line", "lines"))
                @if !file.complaints.is_empty() {
                    details {
                        summary { "Which" }
                        ul { @for complaint in &file.complaints { li { (words(complaint)) } } }
                    }
                }
            }))
            (cell(trouble, &html! { (file.trouble.as_deref().unwrap_or("none")) }))
        }
    };
    let rows: Vec<Markup> = files.iter().map(row).collect();
    html! {
        h2 { "DHCP leases" }
        (listing("Files of the DHCP server", &columns, &rows))
    }
}
