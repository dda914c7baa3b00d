//! What the pages ask of the resolver: to propose, to approve, to close a site.
//!
//! The resolver alone changes anything, and what it says is all that a page may
//! say. The one who asks is written down with account, e-mail address and
//! where they are; an approval is signed with what is made of their password,
//! which is typed anew each time and kept nowhere.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::app::App;
use super::in_words::discreet;
use super::page::Problem;
use super::visitor::Visitor;
use crate::changes::ask::{Ask, NotDone, Outcome, Wish};
use crate::changes::ledger::Ledger;
use crate::changes::proposal::Author;
use crate::people::sign_in::Entry;
use crate::record::Broken;

/// What is said where the resolver does not run.
pub(super) const NOT_RUNNING: &str = "The filter's resolver does not run at this moment, and only it can change the rules. \
     Nothing was changed. Tell the technician.";

/// Somebody with an account, as the record of changes knows them.
pub(super) fn author(app: &App, account: &str) -> Result<Author, Problem> {
    // Without the address, one person's two accounts would be two persons.
    let found = app.people.account(account)?.ok_or(Problem::NotForYou)?;
    Ok(Author::new(account, &found.email))
}

/// Asks for something, and gives what the resolver says came of it. Waits for it.
pub(super) fn put(app: &App, visitor: &Visitor, wish: Wish) -> Result<Outcome, Problem> {
    let ask = Ask {
        by: author(app, &visitor.person.account)?,
        from: Some(visitor.address.to_string()),
        wish,
    };
    let said = ask.put_to(&app.settings().state_dir);
    said.map_err(|why| Problem::Bad(discreet(app, &words(&why))))
}

/// Why it did not come about.
pub(super) fn words(why: &NotDone) -> String {
    match why {
        NotDone::Refused(why) => why.clone(),
        NotDone::NotRunning => NOT_RUNNING.to_owned(),
        NotDone::Io(error) => {
            tracing::warn!(%error, "the resolver cannot be asked for a change");
            "The filter's resolver did not answer. Look at the list of changes whether it was \
             done."
                .to_owned()
        }
    }
}

/// The record of changes, understood.
pub(super) fn ledger(app: &App) -> Result<Ledger, Problem> {
    let read = Ledger::read(&app.settings().state_dir);
    read.map_err(|broken| unreadable(&broken))
}

/// What is said where the record of changes cannot be believed.
pub(super) fn unreadable(broken: &Broken) -> Problem {
    match broken {
        Broken::Io(_) => Problem::failed("the record of changes", broken),
        Broken::Entry { .. } => Problem::Bad(format!(
            "The record of changes is not as it was written ({broken}), so nothing of it is shown \
             and nothing can be approved. At the machine: schoolgate history --verify"
        )),
    }
}

/// Refuses whoever does not know their own password; guesses are counted.
pub(super) fn prove(
    app: &App,
    visitor: &Visitor,
    password: &str,
    now: Timestamp,
) -> Result<(), Problem> {
    let account = &visitor.person.account;
    let wrong = app.people.proves(account, password, visitor.address, now)?;
    let says = match wrong {
        None => return Ok(()),
        Some(Entry::Wait(left)) => too_often(left),
        Some(Entry::Closed(why)) => why.to_owned(),
        Some(Entry::Wrong | Entry::Welcome(_)) => "That is not your password.".to_owned(),
    };
    Err(Problem::Bad(says))
}

fn too_often(left: SignedDuration) -> String {
    let minutes = (left.as_secs() + 59) / 60;
    format!("Too many wrong passwords. Try again in {minutes} min.")
}

/// Signs, as the visitor who has typed this password, what `message` takes out
/// of the record.
pub(super) async fn sign(
    app: &Arc<App>,
    visitor: &Visitor,
    password: String,
    message: impl FnOnce(&Ledger) -> Result<String, Problem> + Send + 'static,
) -> Result<String, Problem> {
    let visitor = visitor.clone();
    let signed = app.hashing(move |app| {
        prove(app, &visitor, &password, Timestamp::now())?;
        let ledger = ledger(app)?;
        let message = message(&ledger)?;
        let bad = |why: &str| Problem::Bad(why.to_owned());
        let signatory = ledger.signatories.get(&visitor.person.account);
        let signatory = signatory.ok_or_else(|| {
            bad("Your signature is not set up yet. You do that on the page of your account.")
        })?;
        let hand = signatory.hand(&password).ok_or_else(|| {
            bad(
                "Your signature was made with a former password. Set it up anew on the page of \
                 your account.",
            )
        })?;
        Ok(hand.sign(&message))
    });
    signed.await?
}
