//! Proposing a change: the files of the folder as they stand there now, or going
//! back to what was in force before.
//!
//! The page shows what either would mean, in words; what it shows is what is
//! proposed, or nothing: somebody may be typing in the folder. It changes nothing
//! itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::asked::Asked;
use super::edited::{Edited, between, complaints, edited, in_force};
use super::in_words;
use super::page::{Problem, csrf, page_below};
use super::rehearsed::{self, rehearse};
use super::shown::time;
use super::sign_in::alert;
use super::story::Story;
use super::visitor::{Posted, Visitor};
use super::wishes::put;
use crate::changes::activation::Activated;
use crate::changes::ask::{Outcome, Proposed, Wanted, Wish};
use crate::changes::change::hash;
use crate::changes::difference::Part;
use crate::changes::kept;
use crate::changes::rehearsal::Rehearsal;
use crate::configuration::PolicyTexts;
use crate::document::Complaint;

/// Longest reason, in characters.
const LONGEST: usize = 2000;
/// So many former policies are offered to go back to.
const MOST: usize = 20;

/// What is proposed, as it is sent.
#[derive(Deserialize)]
pub(super) struct Sent {
    why: String,
    /// What the page showed.
    seen: String,
    #[serde(default)]
    back: Option<u64>,
}

/// What could be proposed.
enum Candidate {
    /// It would change something.
    Change {
        /// What is in its place, if only some files.
        files: Vec<&'static str>,
        parts: Vec<Part>,
        texts: Box<PolicyTexts>,
    },
    /// It has mistakes.
    Wrong(Vec<Complaint>),
    /// It is what is in force.
    Same,
    /// It waits for another person already.
    Waits(u64),
    /// Nothing has been in force.
    NothingInForce,
}

struct Found {
    candidate: Candidate,
    former: Vec<Activated>,
    rehearsal: Option<Rehearsal>,
}

/// `GET /changes/propose`: the folder, or `back` to a former policy; with
/// `rehearse`, tried on the last week.
pub(super) async fn page(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Markup, Problem> {
    let back = asked.parsed("back");
    let tries = asked.word("rehearse").is_some();
    show(&app, &visitor, back, tries, None).await
}

/// `POST /changes/propose`
pub(super) async fn propose(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(sent): Posted<Sent>,
) -> Result<Response, Problem> {
    let (asking, back) = (visitor.clone(), sent.back);
    let done = app.blocking(move |app| put_it(app, &asking, sent, Timestamp::now()));
    match done.await? {
        Ok(proposal) => Ok(Redirect::to(&format!("/changes/{proposal}")).into_response()),
        Err(Problem::Bad(why)) => {
            let page = show(&app, &visitor, back, false, Some(&why)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other),
    }
}

fn put_it(app: &App, visitor: &Visitor, sent: Sent, now: Timestamp) -> Result<u64, Problem> {
    let bad = |why: &str| Problem::Bad(why.to_owned());
    let texts = match candidate(app, sent.back)? {
        Candidate::Change { texts, .. } => texts,
        Candidate::Wrong(_) => return Err(bad("There are mistakes, which must be mended first.")),
        Candidate::Same => return Err(bad("That is in force already.")),
        Candidate::Waits(_) => return Err(bad("That has been proposed already, and waits.")),
        Candidate::NothingInForce => return Err(bad("No policy is in force yet.")),
    };
    if seal(&texts) != sent.seen {
        return Err(bad(
            "The files have been changed since the page was shown. Look at what would change now.",
        ));
    }
    let rehearsal = rehearse(app, &texts, now)?;
    if let Some(found) = rehearsal
        .as_ref()
        .filter(|found| !found.refusals.is_empty())
    {
        return Err(Problem::Bad(found.refusals.join(" ")));
    }
    let wish = Wish::Propose(Proposed {
        why: sent.why,
        change: match sent.back {
            Some(number) => Wanted::Back(number),
            None => Wanted::Files(texts),
        },
        rehearsal,
        requests: Vec::new(),
    });
    match put(app, visitor, wish)? {
        Outcome::InForce { proposal, .. } | Outcome::Waits { proposal, .. } => Ok(proposal),
        Outcome::Nothing | Outcome::Done => Err(bad("That is in force already.")),
    }
}

/// What would be in force: the folder's files, or those of a former policy.
fn candidate(app: &App, back: Option<u64>) -> Result<Candidate, Problem> {
    let Some(number) = back else {
        return Ok(match edited(app)? {
            Edited::NothingInForce => Candidate::NothingInForce,
            Edited::Same => Candidate::Same,
            Edited::Differs {
                means: Ok(_),
                waits: Some(number),
                ..
            } => Candidate::Waits(number),
            Edited::Unreadable(complaints)
            | Edited::Differs {
                means: Err(complaints),
                ..
            } => Candidate::Wrong(complaints),
            Edited::Differs {
                files,
                means: Ok(parts),
                texts,
                waits: None,
            } => Candidate::Change {
                files,
                parts,
                texts,
            },
        });
    };
    let Some((_, standing)) = in_force(app)? else {
        return Ok(Candidate::NothingInForce);
    };
    let state_dir = &app.settings().state_dir;
    let failed = |error: std::io::Error| Problem::failed("the texts of a former policy", &error);
    let former = kept::activation(state_dir, number).map_err(failed)?;
    let former = former.ok_or(Problem::NotFound)?;
    let texts = kept::texts(state_dir, &former).map_err(failed)?;
    let texts = texts.ok_or(Problem::NotFound)?;
    if texts == standing {
        return Ok(Candidate::Same);
    }
    Ok(match between(&standing, &texts) {
        Err(complaints) => Candidate::Wrong(complaints),
        Ok(parts) => Candidate::Change {
            files: Vec::new(),
            parts,
            texts: Box::new(texts),
        },
    })
}

/// By which texts are known again.
fn seal(texts: &PolicyTexts) -> String {
    // Texts only: it cannot fail.
    hash(&serde_json::to_string(texts).unwrap_or_default())
}

async fn show(
    app: &Arc<App>,
    visitor: &Visitor,
    back: Option<u64>,
    tries: bool,
    says: Option<&str>,
) -> Result<Markup, Problem> {
    let find = move |app: &App| find(app, back, tries, Timestamp::now());
    let found = app.blocking(find).await??;
    let title = match back {
        Some(number) => format!("Back to policy {number}"),
        None => "Propose a change".to_owned(),
    };
    let body = html! {
        (alert(says))
        (proposed(app, visitor, &found, back))
        @if back.is_none() { (former(app, &found)) }
        @else { p { a href="/changes/propose" { "The files of the folder instead" } } }
    };
    Ok(page_below(visitor, "Changes", &title, &body))
}

fn find(app: &App, back: Option<u64>, tries: bool, now: Timestamp) -> Result<Found, Problem> {
    let candidate = candidate(app, back)?;
    let rehearsal = match &candidate {
        Candidate::Change { texts, .. } if tries => rehearse(app, texts, now)?,
        _ => None,
    };
    let story = Story::of(app)?;
    let now_in_force = story.ledger.in_force.as_ref();
    let texts = |one: &Activated| (one.files(), one.added.clone());
    let standing = now_in_force.map(texts);
    // Lists that came anew made policies of their own; going back to them would
    // be going nowhere.
    let mut former: Vec<Activated> = Vec::new();
    for one in story.activations.into_values().rev() {
        let before = former.last().map(texts).or_else(|| standing.clone());
        if before != Some(texts(&one)) {
            former.push(one);
        }
    }
    former.truncate(MOST);
    Ok(Found {
        candidate,
        former,
        rehearsal,
    })
}

fn proposed(app: &App, visitor: &Visitor, found: &Found, back: Option<u64>) -> Markup {
    html! {
        @match &found.candidate {
            Candidate::NothingInForce => p class="notice" {
                "No policy is in force yet. The one in the folder comes into force as soon as the filter has its lists."
            },
            Candidate::Same => p class="notice ok" {
                @if back.is_some() { "That is what is in force." }
                @else { "The files of the folder are what is in force. To change something, edit them and come back here." }
            },
            Candidate::Waits(number) => p class="notice" {
                "What stands in the folder has been proposed: " a href={ "/changes/" (number) } { "change " (number) } " waits for another person."
            },
            Candidate::Wrong(wrong) => div class="notice danger" {
                p { strong { "There are mistakes, so this cannot be proposed:" } }
                (complaints(app, wrong))
            },
            Candidate::Change { files, parts, texts } => {
                @if !files.is_empty() { p { "Edited: " (files.join(", ")) "." } }
                h2 { "What would change" }
                (in_words::parts(app, parts))
                (tried(app, visitor, found, back))
                (form(visitor, texts, back))
            }
        }
    }
}

fn tried(app: &App, visitor: &Visitor, found: &Found, back: Option<u64>) -> Markup {
    html! {
        h2 { "What the last week would have been like" }
        @if found.rehearsal.is_some() {
            (rehearsed::show(app, visitor, found.rehearsal.as_ref()))
        } @else {
            form method="get" action="/changes/propose" {
                @if let Some(back) = back { input type="hidden" name="back" value=(back); }
                p class="muted" { "The change is tried on the look-ups of the last week. That takes up to ten seconds." }
                button class="second" name="rehearse" value="yes" { "Try it out" }
            }
        }
    }
}

fn form(visitor: &Visitor, texts: &PolicyTexts, back: Option<u64>) -> Markup {
    html! {
        h2 { "Propose it" }
        form class="stack" method="post" action="/changes/propose" {
            (csrf(visitor))
            input type="hidden" name="seen" value=(seal(texts));
            @if let Some(back) = back { input type="hidden" name="back" value=(back); }
            p {
                label for="why" { "Why?" }
                textarea id="why" name="why" rows="3" required maxlength=(LONGEST) aria-describedby="about-why" {}
            }
            p id="about-why" class="muted small" {
                "Whoever approves it reads this, and whoever asks in a year. It is tried on the last week once more, which takes a moment. "
                "What only closes acts at once; what opens anything waits for a head or safeguarding lead."
            }
            div class="actions" { button { "Propose" } }
        }
    }
}

fn former(app: &App, found: &Found) -> Markup {
    let zone = &app.configuration.document.zone;
    html! {
        @if !found.former.is_empty() {
            h2 { "Go back" }
            p { "To what was in force before, as another change:" }
            ul class="list" {
                @for one in &found.former {
                    li {
                        a href={ "/changes/propose?back=" (one.number) } { "Policy " (one.number) }
                        ", from " (time(one.time, zone))
                    }
                }
            }
        }
    }
}
