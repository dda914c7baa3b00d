//! A rehearsal on a page: what the last week would have been like.
//!
//! Which names those are is what pupils looked up: the safeguarding lead and the
//! head see them, everybody else how many there are.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::app::App;
use super::edited::in_force;
use super::in_words::discreet;
use super::page::Problem;
use super::routes::READERS;
use super::shown;
use super::visitor::Visitor;
use crate::changes::change::{Change, Exceptions};
use crate::changes::kept::Texts;
use crate::changes::rehearsal::check::Musts;
use crate::changes::rehearsal::{self, NameCount, Rehearsal};
use crate::configuration::PolicyTexts;
use crate::document::Complaint;
use crate::policy::compile::Live;

/// How long the log is read.
const BUDGET: Duration = Duration::from_secs(10);

/// What it says, and for those who may read them the names.
pub(super) fn show(app: &App, visitor: &Visitor, tried: Option<&Rehearsal>) -> Markup {
    let reads = READERS.contains(&visitor.person.role);
    html! {
        @match tried {
            None => p { "It was not tried on the look-ups of the last week." },
            Some(rehearsal) => {
                ul { @for line in rehearsal.words() { li { (discreet(app, &line)) } } }
                @if reads {
                    @for group in &rehearsal.groups {
                        (names(app, &format!("Would have been blocked for {}", group.group), &group.blocked_names))
                        (names(app, &format!("Would have been let through for {}", group.group), &group.allowed_names))
                    }
                }
            }
        }
    }
}

fn names(app: &App, caption: &str, names: &[NameCount]) -> Markup {
    html! {
        @if !names.is_empty() {
            details {
                summary { (caption) }
                table {
                    caption class="visually-hidden" { (caption) }
                    thead { tr { th scope="col" { "Site" } th scope="col" class="number" { "Look-ups" } } }
                    tbody {
                        @for one in names {
                            tr {
                                th scope="row" { (shown::name(&discreet(app, &one.name))) }
                                td class="number" { (one.lookups) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Tries single exceptions on the last week, and refuses what breaks a name that
/// must resolve or opens one that must not. Takes seconds. None: it cannot be
/// tried here, which the proposal then says.
pub(super) fn rehearse_exceptions(
    app: &App,
    exceptions: &Exceptions,
    now: Timestamp,
) -> Result<Option<Rehearsal>, Problem> {
    let Some((_, texts)) = in_force(app)? else {
        return Ok(None);
    };
    let kept = Texts::new(&app.settings().state_dir);
    let change = Change::Exceptions(exceptions.clone());
    let after = change
        .applied_to(&texts, &kept, now)
        .map_err(Problem::Bad)?;
    let tried = rehearse(app, &after, now)?;
    match tried.as_ref().filter(|tried| !tried.refusals.is_empty()) {
        Some(tried) => Err(Problem::Bad(discreet(app, &tried.refusals.join(" ")))),
        None => Ok(tried),
    }
}

/// Tries what would be in force on the last week. Takes seconds. None: there are
/// no lists, or the school's own names that must resolve cannot be read.
pub(super) fn rehearse(
    app: &App,
    after: &PolicyTexts,
    now: Timestamp,
) -> Result<Option<Rehearsal>, Problem> {
    let Ok(before) = app.policy_in_force() else {
        return Ok(None);
    };
    let Ok(musts) = Musts::of_school(&app.configuration.folder) else {
        return Ok(None);
    };
    let before = &before.policy;
    let live = Live {
        number: before.number,
        not_before: before.not_before,
        lists: Arc::clone(&before.lists),
        standing: false,
    };
    let told = |complaints: Vec<Complaint>| {
        let all: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        Problem::Bad(all.join("; "))
    };
    let after = after.compile(live).map_err(told)?;
    let log = app.settings().state_dir.join("querylog");
    let zone = &app.configuration.document.zone;
    rehearsal::rehearse(before, &after, &musts, &log, zone, now, BUDGET)
        .map(Some)
        .map_err(|error| Problem::failed("the log", &error))
}
