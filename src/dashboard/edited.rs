//! Whether the files of the folder are what is in force: edited, not proposed.
//!
//! What somebody writes into `policy.toml` is in force only once it was proposed
//! and, where it loosens, another person has agreed. Here is told how the two
//! differ. It only reads.

use maud::{Markup, html};

use super::app::App;
use super::in_words;
use super::page::Problem;
use super::routes::may_read;
use super::visitor::Visitor;
use super::wishes::ledger;
use crate::changes::activation::Activated;
use crate::changes::change::{Change, Files};
use crate::changes::difference::{self, Part};
use crate::changes::kept;
use crate::configuration::PolicyTexts;
use crate::document::Complaint;

/// The folder beside what is in force.
pub(super) enum Edited {
    /// Nothing has ever been in force.
    NothingInForce,
    /// They are the same.
    Same,
    /// They differ.
    Differs {
        /// Which files.
        files: Vec<&'static str>,
        /// What that means, or what is wrong in them.
        means: Result<Vec<Part>, Vec<Complaint>>,
        /// What would be in force.
        texts: Box<PolicyTexts>,
        /// The proposal by which just this waits for another person.
        waits: Option<u64>,
    },
    /// They cannot be read.
    Unreadable(Vec<Complaint>),
}

/// The texts in force, and the activation they came of.
pub(super) fn in_force(app: &App) -> Result<Option<(Activated, PolicyTexts)>, Problem> {
    let state_dir = &app.settings().state_dir;
    let failed = |error: std::io::Error| Problem::failed("the texts in force", &error);
    let Some(last) = kept::last(state_dir).map_err(failed)? else {
        return Ok(None);
    };
    let texts = kept::texts(state_dir, &last).map_err(failed)?;
    Ok(texts.map(|texts| (last, texts)))
}

/// Compares the folder with what is in force.
pub(super) fn edited(app: &App) -> Result<Edited, Problem> {
    let Some((_, in_force)) = in_force(app)? else {
        return Ok(Edited::NothingInForce);
    };
    let texts = match PolicyTexts::read(&app.configuration.folder) {
        Ok(texts) => texts,
        Err(complaints) => return Ok(Edited::Unreadable(complaints)),
    };
    // What was agreed on the pages is in no file, and stays.
    let texts = PolicyTexts {
        added: in_force.added.clone(),
        ..texts
    };
    if texts == in_force {
        return Ok(Edited::Same);
    }
    let proposed = Change::Files(Files::of(&texts));
    let waiting = ledger(app)?.waiting.into_values();
    let waits = waiting.into_iter().find(|one| one.change == proposed);
    Ok(Edited::Differs {
        files: files(&in_force, &texts),
        means: between(&in_force, &texts),
        waits: waits.map(|one| one.number),
        texts: Box::new(texts),
    })
}

/// What the change from one to the other means, or what is wrong in the second.
pub(super) fn between(
    before: &PolicyTexts,
    after: &PolicyTexts,
) -> Result<Vec<Part>, Vec<Complaint>> {
    let after = after.typed()?;
    Ok(difference::between(&before.typed()?, &after))
}

fn files(before: &PolicyTexts, after: &PolicyTexts) -> Vec<&'static str> {
    let all = [
        ("policy.toml", &before.policy, &after.policy),
        ("devices.csv", &before.devices, &after.devices),
        ("canaries.toml", &before.canaries, &after.canaries),
        ("safe-search.toml", &before.safe_search, &after.safe_search),
        ("sources.toml", &before.sources, &after.sources),
    ];
    let differ = all.into_iter().filter(|(_, before, after)| before != after);
    differ.map(|(file, ..)| file).collect()
}

impl Edited {
    /// What stands above the list of changes.
    pub(super) fn notice(&self, app: &App, visitor: &Visitor) -> Markup {
        let proposes = may_read(visitor.person.role, "/changes/propose");
        html! {
            @match self {
                Self::Same | Self::NothingInForce => {}
                Self::Unreadable(complaints) => {
                    div class="notice warn" {
                        p { strong { "The files of the folder cannot be read." } " What is in force is not touched by that." }
                        (self::complaints(app, complaints))
                    }
                }
                Self::Differs { files, waits: Some(number), .. } => {
                    p class="notice" {
                        (files.join(", ")) " in the folder: proposed as "
                        a href={ "/changes/" (number) } { "change " (number) } ", which waits. It is not in force yet."
                    }
                }
                Self::Differs { files, means, .. } => {
                    div class="notice warn" {
                        p {
                            strong { (files.join(", ")) ": edited, not proposed." }
                            " The folder differs from what is in force; until it is proposed it changes nothing."
                        }
                        @match means {
                            Ok(parts) => {
                                details { summary { "What differs" } (in_words::parts(app, parts)) }
                            }
                            Err(complaints) => (self::complaints(app, complaints)),
                        }
                        @if proposes { p { a class="button" href="/changes/propose" { "Propose it" } } }
                    }
                }
            }
        }
    }
}

/// Mistakes by file and line.
pub(super) fn complaints(app: &App, complaints: &[Complaint]) -> Markup {
    html! {
        ul { @for complaint in complaints {
            li { code class="name" { (in_words::discreet(app, &complaint.to_string())) } }
        } }
    }
}
