//! A change in words: what it does to the filter, and what became of it.
//!
//! Whether a part opens or closes something is said, not only coloured. The words
//! of a change hold names that somebody typed; one that has come onto a
//! mandatory list since is taken out of them, for everybody.

use maud::{Markup, html};

use super::app::App;
use super::shown::{WITHHELD, time, words};
use super::story::{Fate, Told};
use crate::changes::change::{Addition, Change};
use crate::changes::difference::{Effect, Part};
use crate::changes::proposal::Leave;
use crate::name::{Name, NameRef};

/// `text` without names that nobody may read in passing.
pub(super) fn discreet(app: &App, text: &str) -> String {
    let is_withheld = |word: &str| {
        let name = word.trim_matches(|c: char| !c.is_alphanumeric());
        let name = name.contains('.').then(|| Name::parse_any_depth(name).ok());
        name.flatten()
            .is_some_and(|name| is_mandatory(app, name.as_ref()))
    };
    let part = |part: &str| {
        let word = part.trim_end();
        let gap = part.get(word.len()..).unwrap_or_default();
        if is_withheld(word) {
            format!("{WITHHELD}{gap}")
        } else {
            part.to_owned()
        }
    };
    text.split_inclusive(char::is_whitespace)
        .map(part)
        .collect()
}

/// Just after the start the background has not read anything yet.
fn is_mandatory(app: &App, name: NameRef<'_>) -> bool {
    match app.standing.latest() {
        Some(in_force) => in_force.is_mandatory(name),
        None => app.policy_in_force().is_ok_and(|in_force| {
            let covering = in_force.policy.lists.covering(name);
            covering.is_mandatory()
        }),
    }
}

/// What a part of a change does, in a word that needs no colour.
pub(super) fn effect(effect: Effect) -> Markup {
    match effect {
        Effect::Loosens => html! { span class="badge warn" { "Opens" } },
        Effect::Tightens => html! { span class="badge ok" { "Closes" } },
        Effect::Neither => html! { span class="badge" { "Blocks and opens nothing" } },
    }
}

/// All parts of a change.
pub(super) fn parts(app: &App, parts: &[Part]) -> Markup {
    html! {
        @if parts.is_empty() {
            p { "Nothing is decided otherwise." }
        } @else {
            ul class="list" {
                @for part in parts {
                    li { (effect(part.effect)) " " (words(&discreet(app, &part.words))) }
                }
            }
        }
    }
}

/// A change in one line, for lists.
pub(super) fn headline(app: &App, told: &Told) -> Markup {
    let proposal = &told.proposal;
    let more = proposal.parts.len().saturating_sub(1);
    html! {
        @match (proposal.parts.first(), &proposal.change) {
            (Some(part), _) => {
                (effect(part.effect)) " " (words(&discreet(app, &part.words)))
            }
            (None, Change::Exceptions(all)) => { (sites(app, all.add.iter().chain(&all.remove))) }
            (None, Change::Override(one)) => { (sites(app, std::iter::once(one))) }
            (None, Change::Back(back)) => { "Back to policy " (back.to) }
            (None, Change::Files(_)) => { "The files of the folder" }
        }
        @if more > 0 { " and " (more) " more" }
    }
}

fn sites<'a>(app: &App, all: impl Iterator<Item = &'a Addition>) -> Markup {
    let names: Vec<String> = all.map(|one| discreet(app, &one.name)).collect();
    words(&names.join(", "))
}

/// How far a change has come, in a word.
pub(super) fn state(told: &Told) -> Markup {
    match &told.fate {
        Fate::Waits => html! { span class="badge warn" { "Waits" } },
        Fate::InForce { leave, .. } => {
            html! {
                span class="badge ok" { "In force" }
                @if is_at_once(leave) && told.noted.is_none() { " " span class="badge warn" { "Not acknowledged" } }
            }
        }
        Fate::Declined { .. } => html! { span class="badge" { "Turned down" } },
        Fate::Failed { .. } => html! { span class="badge danger" { "Failed" } },
        Fate::Over => html! { span class="badge" { "Over" } },
    }
}

/// What became of it, in a sentence.
pub(super) fn fate(app: &App, told: &Told) -> Markup {
    let zone = &app.configuration.document.zone;
    html! {
        @match &told.fate {
            Fate::Waits => p class="notice warn" {
                strong { "It waits." } " A head or safeguarding lead who is not the one who proposed it must approve it. Until then nothing is changed."
            },
            Fate::InForce { policy, time: at, leave } => {
                div class="notice ok" {
                    p { strong { "In force" } " as policy " (policy) " since " (time(*at, zone)) ". " (by(leave)) }
                    @if let Some((who, when)) = &told.noted {
                        p { (words(who)) " has taken note of it, " (time(*when, zone)) "." }
                    } @else if is_at_once(leave) {
                        p { "Another person still has to take note of it." }
                    }
                }
            }
            Fate::Declined { by, why, time: at } => p class="notice" {
                strong { "Turned down" } " by " (words(by)) ", " (time(*at, zone)) ": "
                (words(&discreet(app, why)))
            },
            Fate::Failed { why } => p class="notice danger" {
                strong { "It could not be put in force: " } (words(&discreet(app, why)))
                " What was in force before still is."
            },
            Fate::Over => p class="notice" {
                "The record was begun anew at the machine before this was answered; it must be proposed again."
            },
        }
    }
}

/// Whether somebody else is to take note of what acted by that leave.
fn is_at_once(leave: &Leave) -> bool {
    matches!(leave, Leave::Tightens | Leave::Notify)
}

fn by(leave: &Leave) -> Markup {
    html! {
        @match leave {
            Leave::Approved { by, .. } => { "Approved by " (words(by)) "." }
            Leave::Tightens => { "It acted at once, for it opens nothing." }
            Leave::Notify => { "It acted at once: the school's rule is to tell a second person afterwards." }
            Leave::Override => { "A device has opened it for itself, as the policy lets its group." }
        }
    }
}
