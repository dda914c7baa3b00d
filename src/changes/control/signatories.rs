//! Who can approve: how somebody comes to be able to, and ceases to.
//!
//! The first of a school is taken at their word, for there is nobody to ask.
//! From then on another signatory signs for each new one, or somebody at the
//! machine does, who holds everything anyway; whoever changes their password
//! signs for their new key with the old one. So nobody who merely holds the pages
//! can make a signatory.

use jiff::Timestamp;

use super::{Control, NotNow, deed, is_console, refused};
use crate::changes::ask::{Ask, Confirmation, Outcome};
use crate::changes::ledger::{kind, with};
use crate::changes::signatory::{self, Signatory};

/// Most signatories of one school.
const MOST: usize = 50;

impl Control {
    pub(super) fn enrol(
        &mut self,
        ask: &Ask,
        new: &Signatory,
        confirmation: Option<&Confirmation>,
        console: Option<&str>,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        if !new.can_approve() {
            return Err(refused(
                "Only a head or a safeguarding lead can approve a change.",
            ));
        }
        if !new.is_plainly_called() {
            return Err(refused("That is not how an account is called."));
        }
        if self.ledger.wanting.len() + self.ledger.signatories.len() >= MOST {
            return Err(refused("There are too many signatories."));
        }
        let at_machine = is_console(&ask.by);
        if at_machine && !self.console.is(console) {
            return Err(refused("That can be done at the machine alone, as root."));
        }
        let signed = deed(ask, kind::SIGNATORY);
        let signed = with(signed, "signatory", new);
        if at_machine || self.ledger.never_had_signatories() {
            self.write(signed, now)?;
            return Ok(Outcome::Done);
        }
        if self.ledger.has_had(new) {
            return Err(refused(
                "That signature could approve once. Set up a new one.",
            ));
        }
        let Some(Confirmation { by, signature }) = confirmation else {
            let waits = deed(ask, kind::SIGNATORY_WAITS);
            self.write(with(waits, "signatory", new), now)?;
            return Ok(Outcome::Waits {
                proposal: 0,
                parts: Vec::new(),
            });
        };
        self.may_confirm(by, new, signature)?;
        let signed = signed.about("confirmed_by", by.as_str());
        self.write(signed.about("signature", signature.as_str()), now)?;
        Ok(Outcome::Done)
    }

    pub(super) fn confirm(
        &mut self,
        ask: &Ask,
        account: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let Some(new) = self.ledger.wanting.get(account).cloned() else {
            return Err(refused("Nobody of that name waits to be confirmed."));
        };
        let by = ask.by.account.as_str();
        if by == new.account {
            return Err(refused("Another person must confirm this."));
        }
        self.may_confirm(by, &new, signature)?;
        let signed = with(deed(ask, kind::SIGNATORY), "signatory", &new);
        let signed = signed.about("confirmed_by", by);
        self.write(signed.about("signature", signature), now)?;
        Ok(Outcome::Done)
    }

    /// Takes somebody out of those who can approve. The last stays: without one
    /// nothing could be approved again.
    pub(super) fn remove(
        &mut self,
        ask: &Ask,
        account: &str,
        console: Option<&str>,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let at_machine = is_console(&ask.by) && self.console.is(console);
        let can = self.ledger.signatories.contains_key(account);
        if can && self.ledger.signatories.len() == 1 && !at_machine {
            return Err(refused(
                "This is the last who can approve changes. At the machine: schoolgate user disable",
            ));
        }
        if can || self.ledger.wanting.contains_key(account) {
            let gone = deed(ask, kind::SIGNATORY_GONE).about("account", account);
            self.write(gone, now)?;
        }
        Ok(Outcome::Done)
    }

    fn may_confirm(&self, by: &str, new: &Signatory, signature: &str) -> Result<(), NotNow> {
        let Some(by) = self.ledger.signatories.get(by) else {
            return Err(refused(
                "Only somebody who can approve changes can confirm this.",
            ));
        };
        if !by.may_confirm(new) {
            return Err(refused("Another person must confirm this."));
        }
        if !by.has_signed(&signatory::confirmation(&new.digest()), signature) {
            return Err(refused(
                "The signature is not right. Was that your password?",
            ));
        }
        Ok(())
    }
}
