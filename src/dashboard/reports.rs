//! Reports as pages: the safeguarding lead's week, the governors' terms, and what
//! the school must be able to say of its filter. Each prints well and is to be
//! had as a table.
//!
//! Governors and auditors see terms that have ended and no other span: numbers of
//! days that overlap could be subtracted (see `reports::governors`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};

use super::app::App;
use super::asked::{Asked, link};
use super::page::{Problem, page as frame, page_below};
use super::routes::may_read;
use super::sheet;
use super::visitor::Visitor;
use crate::people::role::Role;
use crate::record::Deed;
use crate::reports::further::further;
use crate::reports::governors::{Governors, before};
use crate::reports::keeping::Keeping;
use crate::reports::period::{Period, ended_terms, term_name};
use crate::reports::sheet::Sheet;
use crate::reports::weekly::Weekly;
use crate::reports::{ReportError, statement};

/// Terms that can be chosen.
const TERMS: usize = 6;

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Refused(why) => Self::Bad(why),
            other => Self::failed("a report was not made", &other),
        }
    }
}

/// What there is, for those who may read it.
const PAGES: [(&str, &str, &str); 7] = [
    (
        "/reports/weekly",
        "This week's safeguarding digest",
        "What kind, which group, which devices; no site.",
    ),
    (
        "/reports/governors",
        "Governors' report",
        "Numbers for a term, small ones hidden.",
    ),
    (
        "/evidence/new",
        "Evidence and subject access",
        "What the log has about a device or a person, as a signed file.",
    ),
    (
        "/holds",
        "Legal hold",
        "Days that are kept beyond their time.",
    ),
    (
        "/reports/deployment",
        "Deployment statement",
        "How the filter is deployed and what it blocks.",
    ),
    (
        "/reports/dpia",
        "Input for an impact assessment",
        "What is written down, for how long, and who sees it.",
    ),
    (
        "/record",
        "Record",
        "Who signed in, who read what, who took what out.",
    ),
];

/// `GET /reports`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let now = Timestamp::now();
    let keeping = app
        .blocking(move |app| {
            let settings = app.settings();
            let zone = &app.configuration.document.zone;
            Keeping::of(&settings.state_dir, settings.querylog.keep_days, zone, now)
        })
        .await??;
    let role = visitor.person.role;
    let body = html! {
        ul class="list" {
            @for (path, name, says) in PAGES.iter().filter(|(path, ..)| may_read(role, path)) {
                li { a href=(path) { (name) } p class="muted" { (says) } }
            }
        }
        section class="card" {
            h2 { "How long the log is kept" }
            @for line in keeping.told() { p { (line) } }
        }
    };
    Ok(frame(&visitor, "Reports", &body))
}

/// `GET /reports/weekly`
pub(super) async fn weekly(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let (week, weekly) = counted_week(&app, &visitor, &asked).await?;
    let other = |week: Period| link("/reports/weekly", &[("week", &week.week_name())]);
    let after = Period::week_of(week.last.tomorrow().unwrap_or(week.last));
    let is_past = after.first <= app.book.date(Timestamp::now());
    let body = html! {
        ul class="actions no-print" {
            li { a href=(other(week.week_before())) { "The week before" } }
            @if is_past { li { a href=(other(after)) { "The week after" } } }
            li { a href=(link("/reports/weekly.csv", &[("week", &week.week_name())])) { "As a table (CSV)" } }
        }
        (sheet::sheet(&weekly))
    };
    Ok(page_below(&visitor, "Reports", &weekly.title, &body))
}

/// `GET /reports/weekly.csv`
pub(super) async fn weekly_csv(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Problem> {
    let (week, weekly) = counted_week(&app, &visitor, &asked).await?;
    Ok(download(&weekly, &format!("digest-{}", week.week_name())))
}

/// Counts the week that is asked for. It names devices, so that somebody has read
/// it is written down.
async fn counted_week(
    app: &Arc<App>,
    visitor: &Visitor,
    asked: &Asked,
) -> Result<(Period, Sheet), Problem> {
    let now = Timestamp::now();
    let named = asked.word("week").and_then(Period::week_named);
    let week = named.unwrap_or_else(|| Period::week_of(app.book.date(now)));
    let deed = Deed::new(&visitor.person.account, "read_digest").from(&visitor.address);
    let deed = deed.about("week", week.week_name());
    app.blocking(move |app| {
        let written = app.record.add(deed, now);
        written.map_err(|error| Problem::failed("the record cannot be kept", &error))?;
        let zone = &app.book.hours().zone;
        let further = further(&app.settings().state_dir, week.ends(zone), zone, now);
        let weekly = Weekly::of(&app.book, app.school(), week, further, now);
        Ok((week, weekly.sheet(&app.book)))
    })
    .await?
}

/// `GET /reports/governors`
pub(super) async fn governors(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let terms = terms(&app);
    let Some(periods) = periods(&visitor, &asked, &terms)? else {
        let body = html! { p { "No term has ended yet. The first report is there on the day after it has." } };
        return Ok(page_below(&visitor, "Reports", "Governors' report", &body));
    };
    let report = counted(&app, periods).await?;
    let span = [
        ("from", &*periods.0.first.to_string()),
        ("to", &*periods.0.last.to_string()),
    ];
    let term = periods.0.first.to_string();
    let csv = if terms.contains(&periods.0) {
        link("/reports/governors.csv", &[("term", &term)])
    } else {
        link("/reports/governors.csv", &span)
    };
    let body = html! {
        form class="filters no-print" method="get" action="/reports/governors" {
            p {
                label for="term" { "Term" }
                select id="term" name="term" {
                    @for term in &terms {
                        option value=(term.first) selected[*term == periods.0] { (term_name(*term)) }
                    }
                }
            }
            p { button { "Show" } }
        }
        @if may_choose(visitor.person.role) { (any_span(periods.0)) }
        p class="no-print" { a href=(csv) { "As a table (CSV)" } }
        (sheet::sheet(&report))
    };
    Ok(page_below(&visitor, "Reports", &report.title, &body))
}

/// `GET /reports/governors.csv`
pub(super) async fn governors_csv(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Problem> {
    let periods = periods(&visitor, &asked, &terms(&app))?.ok_or(Problem::NotFound)?;
    let report = counted(&app, periods).await?;
    let name = format!("governors-{}-{}", periods.0.first, periods.0.last);
    Ok(download(&report, &name))
}

/// For those who see each incident anyway.
fn any_span(shown: Period) -> Markup {
    html! {
        form class="filters no-print" method="get" action="/reports/governors" {
            p {
                label for="from" { "From" }
                input id="from" name="from" type="date" required value=(shown.first);
            }
            p {
                label for="to" { "To" }
                input id="to" name="to" type="date" required value=(shown.last);
            }
            p { button class="second" { "Show these days" } }
            p class="muted" {
                "Do not hand out reports whose days overlap: small numbers could be worked out."
            }
        }
    }
}

fn may_choose(role: Role) -> bool {
    matches!(role, Role::Dsl | Role::Head)
}

fn terms(app: &App) -> Vec<Period> {
    let today = app.book.date(Timestamp::now());
    ended_terms(&app.configuration.document.year, today, TERMS)
}

/// What is asked for, as far as this role may, and what it is compared with; none
/// if no term has ended.
fn periods(
    visitor: &Visitor,
    asked: &Asked,
    terms: &[Period],
) -> Result<Option<(Period, Period)>, Problem> {
    let date = |key| asked.parsed::<Date>(key);
    if let (true, Some(first), Some(last)) =
        (may_choose(visitor.person.role), date("from"), date("to"))
    {
        let period = Period { first, last };
        period.check()?;
        return Ok(Some((period, before(period))));
    }
    let wanted = date("term");
    let at = terms.iter().position(|term| Some(term.first) == wanted);
    let mut from = terms.iter().skip(at.unwrap_or_default());
    let Some(term) = from.next() else {
        return Ok(None);
    };
    let earlier = from.next().copied().unwrap_or_else(|| before(*term));
    Ok(Some((*term, earlier)))
}

async fn counted(app: &Arc<App>, periods: (Period, Period)) -> Result<Sheet, Problem> {
    app.blocking(move |app| {
        let now = Timestamp::now();
        let report = Governors::of(&app.book, app.school(), periods, now);
        report.sheet(&app.configuration.document.zone)
    })
    .await
}

/// `GET /reports/deployment`
pub(super) async fn deployment(State(app): State<Arc<App>>, visitor: Visitor) -> Markup {
    let report = statement::deployment(&app.configuration, Timestamp::now());
    page_below(&visitor, "Reports", &report.title, &sheet::sheet(&report))
}

/// `GET /reports/dpia`
pub(super) async fn dpia(State(app): State<Arc<App>>, visitor: Visitor) -> Markup {
    let report = statement::dpia(&app.configuration, Timestamp::now());
    page_below(&visitor, "Reports", &report.title, &sheet::sheet(&report))
}

fn download(report: &Sheet, name: &str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.csv\""),
        ),
    ];
    (headers, report.csv()).into_response()
}
