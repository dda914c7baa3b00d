//! Proposals: how one is made, answered and put in force.

use jiff::Timestamp;

use super::{Control, NotNow, deed, refused};
use crate::changes::activation::Refused;
use crate::changes::ask::{Ask, Outcome, Proposed, Wanted};
use crate::changes::change::{Back, Change, Files};
use crate::changes::difference;
use crate::changes::kept;
use crate::changes::ledger::{APPLIANCE, kind, with};
use crate::changes::proposal::{Approved, Leave, Proposal};
use crate::changes::signatory;
use crate::configuration::PolicyTexts;
use crate::record::Deed;

/// Longest reason, in characters.
const LONGEST: usize = 2000;
/// Most proposals that wait at one time.
const MOST_WAITING: usize = 200;

impl Control {
    /// Lets those proposals act that could act at once, and were proposed just
    /// before the power went.
    pub fn resume(&mut self, now: Timestamp) {
        let waiting: Vec<Proposal> = self.ledger.waiting.values().cloned().collect();
        for proposal in waiting {
            if let Err(why) = self.try_at_once(&proposal, now) {
                tracing::error!(proposal = proposal.number, %why, "could not be activated");
            }
        }
    }

    fn try_at_once(&mut self, proposal: &Proposal, now: Timestamp) -> Result<(), NotNow> {
        let (texts, _) = self.in_force()?;
        let rule = texts.typed().map_err(Refused::Policy)?.document.rule;
        let Some(approved) = proposal.at_once(rule) else {
            return Ok(());
        };
        // What waited for another person must not act because the rule has
        // changed meanwhile.
        let is_of_now = self.ledger.in_force.as_ref().map(|now| now.number) == Some(proposal.over);
        if *approved.leave() != Leave::Tightens && !is_of_now {
            return Ok(());
        }
        let candidate = self.candidate(proposal, &texts, now)?;
        self.activate(&approved, &candidate, None, now)?;
        Ok(())
    }

    /// The texts that a proposal makes of those in force, if it still means what
    /// it meant.
    fn candidate(
        &self,
        proposal: &Proposal,
        texts: &PolicyTexts,
        now: Timestamp,
    ) -> Result<PolicyTexts, NotNow> {
        let candidate = proposal
            .change
            .applied_to(texts, &self.kept, now)
            .map_err(NotNow::Refused)?;
        let before = proposal.change.compared_with(texts, now);
        let before = before.map_err(NotNow::Refused)?;
        let before = before.typed().map_err(Refused::Policy)?;
        let after = candidate.typed().map_err(Refused::Policy)?;
        if difference::between(&before, &after) != proposal.parts {
            return Err(refused(
                "The policy has changed since this was proposed, and it would now mean \
                 something else. It must be proposed again.",
            ));
        }
        Ok(candidate)
    }

    pub(super) fn propose(
        &mut self,
        ask: &Ask,
        proposed: &Proposed,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let why = reason(&proposed.why)?;
        let (texts, in_force) = self.in_force()?;
        let change = self.change(&proposed.change)?;
        let candidate = change
            .applied_to(&texts, &self.kept, now)
            .map_err(NotNow::Refused)?;
        let before = change.compared_with(&texts, now);
        let before = before.map_err(NotNow::Refused)?;
        if candidate == before {
            return Ok(Outcome::Nothing);
        }
        if let Change::Override(addition) = &change {
            self.is_allowance(addition, now)?;
        }
        let before = before.typed().map_err(Refused::Policy)?;
        let after = candidate.typed().map_err(Refused::Policy)?;
        let parts = difference::between(&before, &after);
        let proposal = Proposal {
            number: self.ledger.next_proposal(),
            by: ask.by.clone(),
            why,
            change,
            parts: parts.clone(),
            rehearsal: proposed.rehearsal.clone(),
            requests: proposed.requests.clone(),
            over: in_force.number,
            digest: String::new(),
            time: now,
        };
        let number = proposal.number;
        let rule = before.document.rule;
        // What closes a site at once never has to wait for a place.
        if self.ledger.waiting.len() >= MOST_WAITING && proposal.at_once(rule).is_none() {
            return Err(refused(
                "Too many proposals wait. Some must be answered first.",
            ));
        }
        self.activation.would_serve(&candidate, &in_force, now)?;
        self.replace_older(&proposal, now)?;
        let deed = deed(ask, kind::PROPOSED);
        self.write(with(deed, "proposal", &proposal), now)?;
        let Some(approved) = proposal.at_once(rule) else {
            return Ok(Outcome::Waits {
                proposal: number,
                parts,
            });
        };
        self.activate(&approved, &candidate, ask.from.as_deref(), now)
    }

    /// A newer state of the same files takes the place of an older one that
    /// still waits.
    fn replace_older(&mut self, newer: &Proposal, now: Timestamp) -> Result<(), NotNow> {
        let is_older = |older: &&Proposal| {
            matches!(
                (&older.change, &newer.change),
                (Change::Files(_), Change::Files(_))
            )
        };
        let waiting = self.ledger.waiting.values();
        let older: Vec<u64> = waiting.filter(is_older).map(|older| older.number).collect();
        for number in older {
            let deed = Deed::new(APPLIANCE, kind::DECLINED).about("proposal", number);
            let why = format!("replaced by proposal {}", newer.number);
            self.write(deed.about("why", why), now)?;
        }
        Ok(())
    }

    pub(super) fn approve(
        &mut self,
        ask: &Ask,
        number: u64,
        signature: &str,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let by = self.signatory(&ask.by)?;
        let proposal = self.waiting(number)?;
        let approved = proposal
            .approve(&by, signature)
            .map_err(|why| NotNow::Refused(why.to_string()))?;
        let (texts, _) = self.in_force()?;
        let candidate = self.candidate(&proposal, &texts, now)?;
        self.activate(&approved, &candidate, ask.from.as_deref(), now)
    }

    fn activate(
        &mut self,
        approved: &Approved,
        candidate: &PolicyTexts,
        from: Option<&str>,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let proposal = self.waiting(approved.proposal())?;
        let deed = Deed::new(&proposal.by.account, kind::ACTIVATED);
        let deed = match from {
            Some(address) => deed.from(address),
            None => deed,
        };
        let result = self
            .activation
            .activate(&self.ledger, approved, deed, candidate, now);
        let number = proposal.number;
        match result {
            Ok((activated, trouble)) => {
                self.trouble = trouble.as_ref().map(ToString::to_string);
                self.texts = Some(candidate.clone());
                self.follow()?;
                Ok(Outcome::InForce {
                    proposal: number,
                    policy: activated.number,
                    parts: proposal.parts,
                })
            }
            Err(why) => {
                self.failures += 1;
                self.trouble = Some(why.to_string());
                let deed = Deed::new(APPLIANCE, kind::FAILED).about("proposal", number);
                self.write(deed.about("why", why.to_string()), now)?;
                Err(why.into())
            }
        }
    }

    pub(super) fn decline(
        &mut self,
        ask: &Ask,
        number: u64,
        why: &str,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let why = reason(why)?;
        self.waiting(number)?;
        let deed = deed(ask, kind::DECLINED).about("proposal", number);
        self.write(deed.about("why", why), now)?;
        Ok(Outcome::Done)
    }

    pub(super) fn acknowledge(
        &mut self,
        ask: &Ask,
        number: u64,
        signature: &str,
        now: Timestamp,
    ) -> Result<Outcome, NotNow> {
        let by = self.signatory(&ask.by)?;
        let Some(at_once) = self.ledger.unacknowledged.get(&number) else {
            return Err(refused("Nobody has to take note of that any more."));
        };
        if by.is(&at_once.proposal.by) {
            return Err(refused(
                "Whoever made a change cannot be the one who takes note of it.",
            ));
        }
        let signed = signatory::acknowledgement(&at_once.digest);
        if !by.has_signed(&signed, signature) {
            return Err(refused(
                "The signature is not right. Was that your password?",
            ));
        }
        let deed = deed(ask, kind::ACKNOWLEDGED).about("proposal", number);
        self.write(deed.about("signature", signature), now)?;
        Ok(Outcome::Done)
    }

    /// The change that is wanted, its texts kept.
    fn change(&self, wanted: &Wanted) -> Result<Change, NotNow> {
        Ok(match wanted {
            Wanted::Files(texts) => {
                // What is no policy is not kept.
                texts.typed().map_err(Refused::Policy)?;
                for text in [
                    &texts.policy,
                    &texts.devices,
                    &texts.canaries,
                    &texts.safe_search,
                    &texts.sources,
                ] {
                    self.kept.keep(text)?;
                }
                Change::Files(Files::of(texts))
            }
            Wanted::Exceptions(exceptions) => Change::Exceptions(exceptions.clone()),
            Wanted::Override(addition) => Change::Override(addition.clone()),
            Wanted::Back(to) => {
                let was = kept::activation(&self.state_dir, *to)?;
                let Some(was) = was.filter(|was| !was.added.is_empty()) else {
                    return Err(NotNow::Refused(format!(
                        "There is no policy {to} in the record that one could go back to."
                    )));
                };
                Change::Back(Back {
                    to: *to,
                    files: was.files(),
                    added: was.added,
                })
            }
        })
    }

    fn waiting(&self, number: u64) -> Result<Proposal, NotNow> {
        let found = self.ledger.waiting.get(&number).cloned();
        found.ok_or_else(|| NotNow::Refused(self.ledger.became_of(number)))
    }
}

fn reason(text: &str) -> Result<String, NotNow> {
    let text = text.trim();
    if text.is_empty() {
        return Err(refused(
            "A change needs a reason: somebody will ask for it.",
        ));
    }
    if text.chars().count() > LONGEST {
        return Err(NotNow::Refused(format!(
            "A reason has at most {LONGEST} characters."
        )));
    }
    Ok(text.to_owned())
}
