//! `schoolgate approve`, `decline` and `acknowledge`: the second person of a
//! change, at the machine.
//!
//! Who approves proves it with the password of their account, by which they sign
//! what they were shown; being root is not enough. It must never keep the
//! password, and decides nothing: the resolver looks at the signature.

use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::Context;
use jiff::tz::TimeZone;

use crate::changes::ask::{Ask, NotDone, Outcome, Wish};
use crate::changes::ledger::Ledger;
use crate::changes::proposal::{Author, Proposal};
use crate::changes::rehearsal::Rehearsal;
use crate::changes::signatory::{self, Hand};
use crate::propose::write_parts;
use crate::terminal::{self, Terminal};

/// Which proposal, and who speaks.
#[derive(Debug, Clone, clap::Args)]
pub struct ApproveArgs {
    /// The number of the proposal
    pub proposal: u64,
    /// Whose account; asked for if not said
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub account: Option<String>,
}

/// Which proposal is turned down, and why.
#[derive(Debug, Clone, clap::Args)]
pub struct DeclineArgs {
    /// The number of the proposal
    pub proposal: u64,
    /// Why: the record keeps it
    #[arg(short = 'm', long = "why", value_name = "WHY")]
    pub why: String,
    /// Whose account; else it is somebody at the machine
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub account: Option<String>,
}

/// Where and when this is.
pub struct Scene<'s> {
    /// The state folder.
    pub state_dir: &'s Path,
    /// The school's zone.
    pub zone: &'s TimeZone,
}

impl Scene<'_> {
    /// Approves a proposal as another person; the exit status.
    pub fn approve(
        &self,
        args: &ApproveArgs,
        terminal: &mut Terminal<impl BufRead, impl Write>,
        out: &mut impl Write,
    ) -> anyhow::Result<u8> {
        let ledger = Ledger::read(self.state_dir)?;
        let number = args.proposal;
        let Some(proposal) = ledger.waiting.get(&number) else {
            writeln!(out, "{}", ledger.became_of(number))?;
            return Ok(1);
        };
        self.show(proposal, out)?;
        let signed = signatory::approval(&proposal.digest);
        let Some((by, hand)) = sign_in(&ledger, args.account.as_deref(), terminal, out)? else {
            return Ok(1);
        };
        let wish = Wish::Approve {
            proposal: number,
            signature: hand.sign(&signed),
        };
        self.put(by, wish, out)
    }

    /// Takes note of a change that acted at once, as another person.
    pub fn acknowledge(
        &self,
        args: &ApproveArgs,
        terminal: &mut Terminal<impl BufRead, impl Write>,
        out: &mut impl Write,
    ) -> anyhow::Result<u8> {
        let ledger = Ledger::read(self.state_dir)?;
        let Some(at_once) = ledger.unacknowledged.get(&args.proposal) else {
            let nothing = "Nobody has to take note of that.";
            writeln!(out, "{nothing} {}", ledger.became_of(args.proposal))?;
            return Ok(1);
        };
        self.show(&at_once.proposal, out)?;
        let signed = signatory::acknowledgement(&at_once.digest);
        let Some((by, hand)) = sign_in(&ledger, args.account.as_deref(), terminal, out)? else {
            return Ok(1);
        };
        let wish = Wish::Acknowledge {
            proposal: args.proposal,
            signature: hand.sign(&signed),
        };
        self.put(by, wish, out)
    }

    /// Turns a proposal down: as somebody at the machine, or with their password
    /// as somebody in particular.
    pub fn decline(
        &self,
        args: &DeclineArgs,
        terminal: &mut Terminal<impl BufRead, impl Write>,
        out: &mut impl Write,
    ) -> anyhow::Result<u8> {
        let ledger = Ledger::read(self.state_dir)?;
        let Some(proposal) = ledger.waiting.get(&args.proposal) else {
            writeln!(out, "{}", ledger.became_of(args.proposal))?;
            return Ok(1);
        };
        self.show(proposal, out)?;
        let by = match args.account.as_deref() {
            None => Author::console(),
            account => match sign_in(&ledger, account, terminal, out)? {
                Some((by, _)) => by,
                None => return Ok(1),
            },
        };
        let wish = Wish::Decline {
            proposal: args.proposal,
            why: args.why.clone(),
        };
        self.put(by, wish, out)
    }

    /// What would be approved: seen before a password is typed.
    fn show(&self, proposal: &Proposal, out: &mut impl Write) -> anyhow::Result<()> {
        let time = proposal.time.to_zoned(self.zone.clone());
        let time = time.strftime("%-d %B %Y, %H:%M");
        let (number, by) = (proposal.number, &proposal.by.account);
        writeln!(out, "Proposal {number}, by {by}, {time}: {}", proposal.why)?;
        write_parts(&proposal.parts, out)?;
        for line in proposal.rehearsal.iter().flat_map(Rehearsal::words) {
            writeln!(out, "{line}")?;
        }
        out.flush()
            .context("what is to be approved cannot be shown")
    }

    fn put(&self, by: Author, wish: Wish, out: &mut impl Write) -> anyhow::Result<u8> {
        let from = Some(terminal::who());
        match (Ask { by, from, wish }).put_to(self.state_dir) {
            Ok(Outcome::InForce { policy, .. }) => {
                writeln!(out, "In force as policy {policy}.")?;
                Ok(0)
            }
            Ok(_) => {
                writeln!(out, "Done.")?;
                Ok(0)
            }
            Err(NotDone::Refused(why)) => {
                writeln!(out, "{why}")?;
                Ok(1)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Who signs, by account and password; none after saying why not.
fn sign_in(
    ledger: &Ledger,
    account: Option<&str>,
    terminal: &mut Terminal<impl BufRead, impl Write>,
    out: &mut impl Write,
) -> anyhow::Result<Option<(Author, Hand)>> {
    let account = match account {
        Some(account) => account.to_owned(),
        None => terminal.line("Account")?,
    };
    let password = terminal.password("Password")?;
    let Some(signatory) = ledger.signatories.get(&account) else {
        writeln!(
            out,
            "{account} cannot sign. A head or a safeguarding lead sets up their signature on the \
             page of their account, or with `schoolgate user signature {account}`."
        )?;
        return Ok(None);
    };
    let Some(hand) = signatory.hand(&password) else {
        writeln!(out, "That is not the password that {account} signs with.")?;
        return Ok(None);
    };
    let author = Author::new(&signatory.account, &signatory.email);
    Ok(Some((author, hand)))
}
