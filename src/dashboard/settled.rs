//! Requests follow the changes that answer them.
//!
//! A change is approved on the pages, on the command line, or acts at once; it
//! may be turned down, or fail. Whichever it was, the record of changes says it,
//! and here the requests learn it: what is in force is granted, with its words
//! and its end; what is not goes back to those who consider it. Doing it twice
//! changes nothing.

use jiff::Timestamp;

use super::app::App;
use super::page::Problem;
use super::story::{Fate, Story, Told};
use crate::changes::change::{Addition, Change, Verdict};
use crate::changes::proposal::Leave;
use crate::requests::{Answer, Outcome, Request, Text, Trouble, Wish};

/// Lets the requests that wait know what became of the changes for them. Waits
/// for the disk.
pub(super) fn settle(app: &App, now: Timestamp) -> Result<(), Problem> {
    let failed = |error: Trouble| Problem::failed("requests", &error);
    let waiting = app.requests.waiting().map_err(failed)?;
    if waiting.is_empty() {
        return Ok(());
    }
    // The queue is worked through whatever the record of changes is like.
    let Ok(story) = Story::of(app) else {
        return Ok(());
    };
    for request in &waiting {
        // The first that was granted counts, else the last that was tried.
        for told in about(&story, request) {
            settle_one(app, request, told, now).map_err(failed)?;
        }
    }
    Ok(())
}

/// The changes that are to answer this request, oldest first.
pub(super) fn about<'s>(story: &'s Story, request: &'s Request) -> impl Iterator<Item = &'s Told> {
    let all = story.proposals.values();
    all.filter(|told| told.proposal.requests.contains(&request.id) && of(told, request).is_some())
}

/// The exception that the request is about. A queue that was begun anew counts
/// from one again, and must not be answered by what was meant for another.
fn of<'t>(told: &'t Told, request: &Request) -> Option<&'t Addition> {
    let Change::Exceptions(exceptions) = &told.proposal.change else {
        return None;
    };
    let verdict = match request.wish {
        Wish::Unblock => Verdict::Allow,
        Wish::Block => Verdict::Deny,
    };
    let site = request.site.to_string();
    let mut all = exceptions.add.iter();
    all.find(|one| one.verdict == verdict && one.name == site)
        .filter(|_| told.proposal.time >= request.first)
}

fn settle_one(app: &App, request: &Request, told: &Told, now: Timestamp) -> Result<(), Trouble> {
    let number = told.proposal.number;
    match &told.fate {
        Fate::Waits => {}
        Fate::InForce { policy, leave, .. } => {
            let by = match leave {
                Leave::Approved { by, .. } => by,
                _ => &told.proposal.by.account,
            };
            let words: Vec<&str> = told.proposal.parts.iter().map(|p| &*p.words).collect();
            let reason = format!(
                "In force as policy {policy} (change {number}). {}",
                words.join("; ")
            );
            let expires = of(told, request).and_then(|one| one.expires.as_ref());
            let answer = Answer {
                outcome: Outcome::Granted,
                reason: Text::new(&reason),
                expires: expires.and_then(|day| day.parse().ok()),
            };
            app.requests.answer(request.id, by, &answer, now)?;
        }
        Fate::Declined { by, why, .. } => {
            let said = Text::new(&format!("Change {number} was turned down: {why}"));
            app.requests.put_back(request.id, by, &said, now)?;
        }
        Fate::Failed { why } => {
            let said = Text::new(&format!("Change {number} could not be put in force: {why}"));
            app.requests
                .put_back(request.id, "schoolgate", &said, now)?;
        }
        Fate::Over => {
            let said = Text::new(&format!("Change {number} is over without an answer."));
            app.requests
                .put_back(request.id, "schoolgate", &said, now)?;
        }
    }
    Ok(())
}
