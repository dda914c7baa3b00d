//! One's own signature: whether it is set up, and setting it up.
//!
//! A head or safeguarding lead approves with what is made of their password, so
//! it is made anew with each new password. The first of a school is in force at
//! once; every further one waits until another signatory has confirmed it
//! . That the resolver does not run never keeps anybody from changing
//! a password: the signature is then set up here later.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::app::App;
use super::page::{Problem, csrf, page_below};
use super::story::Story;
use super::visitor::{Posted, Visitor};
use super::wishes::{author, ledger, prove, put, sign};
use crate::changes::ask::{Confirmation, Outcome, Wish};
use crate::changes::ledger::Ledger;
use crate::changes::signatory::{Signatory, confirmation};
use crate::people::role::Role;

/// How far somebody's signature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is none.
    Missing,
    /// It waits for another signatory.
    Waits,
    /// It is of a password that has been changed since.
    Former,
    /// It can approve.
    InForce,
}

/// Passwords, as they are sent.
#[derive(Deserialize)]
pub(super) struct Typed {
    password: String,
    #[serde(default)]
    former: String,
}

/// A password, as it is sent.
#[derive(Deserialize)]
pub(super) struct Password {
    password: String,
}

/// Whether somebody of this role approves changes, and so has a signature.
pub(super) fn signs(role: Role) -> bool {
    matches!(role, Role::Head | Role::Dsl)
}

/// How far the signature of `account` is.
pub(super) fn standing(app: &App, story: &Story, account: &str) -> Result<Standing, Problem> {
    let waits = story.ledger.wanting.contains_key(account);
    if !waits && !story.ledger.signatories.contains_key(account) {
        return Ok(Standing::Missing);
    }
    let since = app.people.password_since(account)?;
    let made = story.signed_since.get(account);
    Ok(match (since, made) {
        (Some(since), Some(made)) if made.as_second() < since.as_second() => Standing::Former,
        _ if waits => Standing::Waits,
        _ => Standing::InForce,
    })
}

/// What a head or lead who cannot sign is told above the list of changes.
pub(super) fn notice(standing: Standing) -> Markup {
    let says = match standing {
        Standing::InForce => return html! {},
        Standing::Missing => {
            "Your signature is not set up, so you can neither approve nor acknowledge a change."
        }
        Standing::Waits => {
            "Your signature waits: another head or safeguarding lead must confirm it before you \
             can approve a change."
        }
        Standing::Former => {
            "Your signature was made with a password that you have changed since. Set it up anew."
        }
    };
    html! {
        p class="notice warn" { (says) " " a href="/account/signature" { "Your signature" } }
    }
}

/// `GET /account/signature`
pub(super) async fn page(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Markup, Problem> {
    let account = visitor.person.account.clone();
    let standing = app.blocking(move |app| standing(app, &Story::of(app)?, &account));
    let standing = standing.await??;
    let body = html! {
        (says(standing))
        @if matches!(standing, Standing::Missing | Standing::Former) { (form(&visitor, standing)) }
        p { a href="/changes" { "To the changes" } }
    };
    Ok(page_below(&visitor, "Changes", "Your signature", &body))
}

fn says(standing: Standing) -> Markup {
    html! {
        @match standing {
            Standing::Missing => p class="notice warn" { "Your signature is not set up." },
            Standing::Waits => p class="notice warn" {
                "Your signature is waiting. Another head or safeguarding lead must confirm it on the page Changes."
            },
            Standing::Former => p class="notice warn" {
                "Your signature was made with a former password, and cannot be used with the one you have now."
            },
            Standing::InForce => p class="notice ok" {
                "Your signature is in force. You sign by typing your password when you approve or acknowledge a change."
            },
        }
        p {
            "With a signature you can be the second person who approves a change: nobody at the "
            "school can loosen the filter alone. You sign with your password. Neither is kept on "
            "this machine, so whoever takes it cannot approve anything in your name."
        }
    }
}

fn form(visitor: &Visitor, standing: Standing) -> Markup {
    html! {
        h2 { @if standing == Standing::Missing { "Set it up" } @else { "Set it up anew" } }
        form class="stack" method="post" action="/account/signature" {
            (csrf(visitor))
            p {
                label for="password" { "Your password" }
                input id="password" name="password" type="password"
                    autocomplete="current-password" maxlength="512" required;
            }
            @if standing == Standing::Former {
                p {
                    label for="former" { "Your former password (with it nobody else need confirm; may be left empty)" }
                    input id="former" name="former" type="password" autocomplete="off" maxlength="512";
                }
            }
            div class="actions" { button { "Set up my signature" } }
        }
    }
}

/// `POST /account/signature`
pub(super) async fn set_up(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Posted(sent): Posted<Typed>,
) -> Result<Redirect, Problem> {
    let asking = visitor.clone();
    let made = app.hashing(move |app| {
        prove(app, &asking, &sent.password, Timestamp::now())?;
        let ledger = ledger(app)?;
        let own = ledger.signatories.get(&asking.person.account);
        if own.is_some_and(|own| own.hand(&sent.password).is_some()) {
            return Ok(None);
        }
        enrolment(app, &asking, &ledger, &sent.former, &sent.password).map(Some)
    });
    if let Some(wish) = made.await?? {
        app.blocking(move |app| put(app, &visitor, wish)).await??;
    }
    Ok(Redirect::to("/account/signature"))
}

/// What asks for a key of the new password, confirmed by the old one's if that
/// was in force.
fn enrolment(
    app: &App,
    visitor: &Visitor,
    ledger: &Ledger,
    old: &str,
    new: &str,
) -> Result<Wish, Problem> {
    let person = &visitor.person;
    let author = author(app, &person.account)?;
    let signatory = Signatory::new(&author, &person.name, person.role, new);
    let signatory = signatory.ok_or(Problem::Failed)?;
    let known = ledger.signatories.get(&person.account);
    let hand = known
        .filter(|_| !old.is_empty())
        .and_then(|known| known.hand(old));
    Ok(Wish::Enrol {
        confirmation: hand.map(|hand| Confirmation {
            by: person.account.clone(),
            signature: hand.sign(&confirmation(&signatory.digest())),
        }),
        signatory,
        console: None,
    })
}

/// Makes the signature of somebody who has just changed their password anew.
/// Says whether it is in force; why not, the page of the signature tells.
pub(super) async fn follow(app: &Arc<App>, visitor: Visitor, old: String, new: String) -> bool {
    if !signs(visitor.person.role) {
        return true;
    }
    let asking = visitor.clone();
    let made = app.hashing(move |app| enrolment(app, &asking, &ledger(app)?, &old, &new));
    let Ok(Ok(wish)) = made.await else {
        return false;
    };
    let said = app.blocking(move |app| put(app, &visitor, wish)).await;
    matches!(said, Ok(Ok(Outcome::Done)))
}

/// `POST /changes/signatories/{account}/confirm`
pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path(account): Path<String>,
    Posted(sent): Posted<Password>,
) -> Result<Redirect, Problem> {
    let whose = account.clone();
    let message = move |ledger: &Ledger| {
        let wanting = ledger.wanting.get(&whose);
        let wanting = wanting
            .ok_or_else(|| Problem::Bad("Nobody of that name waits to be confirmed.".to_owned()))?;
        Ok(confirmation(&wanting.digest()))
    };
    let signature = sign(&app, &visitor, sent.password, message).await?;
    let wish = Wish::Confirm { account, signature };
    app.blocking(move |app| put(app, &visitor, wish)).await??;
    Ok(Redirect::to("/changes#signatories"))
}

/// Takes somebody whose account no longer approves out of those who can. What
/// keeps that from being done, in words.
pub(super) async fn follow_account(
    app: &Arc<App>,
    visitor: &Visitor,
    account: String,
) -> Result<Option<String>, Problem> {
    let visitor = visitor.clone();
    let work = move |app: &App| {
        let found = app.people.account(&account)?;
        let still = found.is_some_and(|found| {
            signs(found.person.role) && found.state != crate::people::account::State::Disabled
        });
        let ledger = ledger(app)?;
        let has =
            ledger.signatories.contains_key(&account) || ledger.wanting.contains_key(&account);
        if still || !has {
            return Ok(None);
        }
        let console = None;
        match put(app, &visitor, Wish::Remove { account, console }) {
            Ok(_) => Ok(None),
            Err(Problem::Bad(why)) => Ok(Some(why)),
            Err(other) => Err(other),
        }
    };
    app.blocking(work).await?
}
