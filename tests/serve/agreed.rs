//! How a school puts another policy in force: the technician proposes what the
//! folder has, and where that waits, the head approves it.

use std::path::Path;

use schoolgate::changes::ask::{Ask, NotDone, Outcome, Proposed, Wanted, Wish};
use schoolgate::changes::console::Console;
use schoolgate::changes::ledger::Ledger;
use schoolgate::changes::proposal::Author;
use schoolgate::changes::signatory::{self, Signatory};
use schoolgate::configuration::PolicyTexts;
use schoolgate::people::role::Role;

use super::school::Folder;

/// The head of the tests, and what they sign with.
pub(crate) const HEAD: &str = "a.head";
pub(crate) const PASSWORD: &str = "four plain words here";

impl Folder {
    /// Puts in force what the folder has; gives the number of the policy, which
    /// every answer from here on is by.
    pub(crate) fn put_in_force(&self) -> u64 {
        put_in_force(self.path(), &self.state())
    }

    /// Proposes what the folder has, as a technician.
    pub(crate) fn propose(&self) -> Result<Outcome, NotDone> {
        propose(self.path(), &self.state())
    }
}

fn propose(folder: &Path, state: &Path) -> Result<Outcome, NotDone> {
    let texts = PolicyTexts::read(folder).unwrap();
    let proposed = Proposed {
        why: "a test".to_owned(),
        change: Wanted::Files(Box::new(texts)),
        rehearsal: None,
        requests: Vec::new(),
    };
    ask(
        state,
        Author::new("t.echnician", ""),
        Wish::Propose(proposed),
    )
}

fn put_in_force(folder: &Path, state: &Path) -> u64 {
    match propose(folder, state).unwrap() {
        Outcome::InForce { policy, .. } => policy,
        Outcome::Waits { proposal, .. } => match approve(state, proposal) {
            Outcome::InForce { policy, .. } => policy,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Approves a proposal as the head, who is made on the way if need be.
pub(crate) fn approve(state: &Path, proposal: u64) -> Outcome {
    let head = head(state);
    let ledger = Ledger::read(state).unwrap();
    let signed = signatory::approval(&ledger.waiting[&proposal].digest);
    let signature = head.hand(PASSWORD).unwrap().sign(&signed);
    let wish = Wish::Approve {
        proposal,
        signature,
    };
    ask(state, Author::new(HEAD, ""), wish).unwrap()
}

/// The head, enrolled by somebody at the machine.
pub(crate) fn head(state: &Path) -> Signatory {
    let ledger = Ledger::read(state).unwrap();
    if let Some(head) = ledger.signatories.get(HEAD) {
        return head.clone();
    }
    let head = Signatory::new(&Author::new(HEAD, ""), "A. Head", Role::Head, PASSWORD).unwrap();
    let wish = Wish::Enrol {
        signatory: head.clone(),
        confirmation: None,
        console: Console::read(state).unwrap(),
    };
    ask(state, Author::console(), wish).unwrap();
    head
}

pub(crate) fn ask(state: &Path, by: Author, wish: Wish) -> Result<Outcome, NotDone> {
    let from = None;
    Ask { by, from, wish }.put_to(state)
}
