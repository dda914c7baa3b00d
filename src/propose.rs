//! `schoolgate propose`: what stands in the folder is to be in force.
//!
//! It says the difference in words, tries it on the last week of the log, and
//! sends it to the resolver, which alone decides what becomes of it: tightening
//! acts at once, loosening waits for another person. It must never
//! put anything in force itself.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;

use crate::appliance::all_of;
use crate::changes::ask::{Ask, NotDone, Outcome, Proposed, Wanted, Wish};
use crate::changes::difference::{self, Part};
use crate::changes::kept;
use crate::changes::ledger::Ledger;
use crate::changes::proposal::Author;
use crate::changes::rehearsal::Rehearsal;
use crate::changes::rehearsal::check::Musts;
use crate::configuration::{self, Configuration, PolicyTexts};
use crate::rehearse;
use crate::terminal;

/// What is proposed.
#[derive(Debug, Clone, clap::Args)]
pub struct ProposeArgs {
    /// Why: the record keeps it, and whoever approves reads it
    #[arg(short = 'm', long = "why", value_name = "WHY")]
    pub why: String,
    /// Go back to what was in force as this policy instead
    #[arg(long, value_name = "POLICY")]
    pub back: Option<u64>,
    /// Do not try it on the last week of the log first
    #[arg(long)]
    pub no_rehearsal: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Told {
    /// `nothing`, `refused`, `waits` or `in_force`.
    outcome: &'static str,
    /// The proposal, if there is one.
    proposal: Option<u64>,
    /// The policy in force now.
    policy: u64,
    /// What it means.
    parts: Vec<Part>,
    /// What it would have done last week.
    rehearsal: Option<Rehearsal>,
}

/// Proposes what stands in `folder`; the exit status. What is told goes to `out`.
pub fn propose(
    args: &ProposeArgs,
    folder: &Path,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    if args.why.trim().is_empty() {
        bail!("-m: a change needs a reason: somebody will ask for it");
    }
    let settings = configuration::settings(folder).map_err(all_of)?;
    let state_dir = &settings.state_dir;
    let ledger = Ledger::read(state_dir)?;
    let Some(in_force) = &ledger.in_force else {
        bail!(
            "no policy has ever been in force: `schoolgate serve` takes the files as they stand \
             when it first starts with lists"
        );
    };
    let texts = kept::texts(state_dir, in_force)?
        .context("the texts of the policy in force are no longer kept")?;
    let (wanted, candidate) = wanted(args.back, folder, state_dir, &texts)?;
    let mut told = Told {
        outcome: "nothing",
        proposal: None,
        policy: in_force.number,
        parts: Vec::new(),
        rehearsal: None,
    };
    if candidate == texts {
        return told.write(args, out);
    }
    let (before, after) = (texts.typed(), candidate.typed());
    told.parts = difference::between(&before.map_err(all_of)?, &after.map_err(all_of)?);
    if !args.no_rehearsal {
        let musts = Musts::of_school(folder).map_err(all_of)?;
        let configuration = Configuration::with(folder, texts.clone()).map_err(all_of)?;
        told.rehearsal = Some(rehearse::of(
            &configuration,
            (&texts, &candidate),
            &musts,
            now,
        )?);
    }
    let refused = told.rehearsal.as_ref().map(|found| &*found.refusals);
    if refused.is_some_and(|why| !why.is_empty()) {
        told.outcome = "refused";
        return told.write(args, out);
    }
    let proposed = Proposed {
        why: args.why.clone(),
        change: wanted,
        rehearsal: told.rehearsal.clone(),
        requests: Vec::new(),
    };
    let ask = Ask {
        by: Author::console(),
        from: Some(terminal::who()),
        wish: Wish::Propose(proposed),
    };
    match ask.put_to(state_dir) {
        Ok(outcome) => told.take(outcome),
        Err(NotDone::Refused(why)) => {
            writeln!(out, "{why}")?;
            return Ok(1);
        }
        Err(error) => return Err(error.into()),
    }
    told.write(args, out)
}

/// What is asked for, and the texts that would be in force.
fn wanted(
    back: Option<u64>,
    folder: &Path,
    state_dir: &Path,
    texts: &PolicyTexts,
) -> anyhow::Result<(Wanted, PolicyTexts)> {
    if let Some(number) = back {
        let activated = kept::activation(state_dir, number)?
            .with_context(|| format!("there never was a policy {number}"))?;
        let former = kept::texts(state_dir, &activated)?
            .with_context(|| format!("the texts of policy {number} are no longer kept"))?;
        return Ok((Wanted::Back(number), former));
    }
    // Every mistake at once, those between policy and settings too.
    let configuration = Configuration::load(folder).map_err(all_of)?;
    let candidate = PolicyTexts {
        // What was agreed on the pages is in no file, and stays.
        added: texts.added.clone(),
        ..configuration.texts
    };
    Ok((Wanted::Files(Box::new(candidate.clone())), candidate))
}

impl Told {
    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::InForce {
                proposal,
                policy,
                parts,
            } => {
                self.outcome = "in_force";
                self.proposal = Some(proposal);
                self.policy = policy;
                self.parts = parts;
            }
            Outcome::Waits { proposal, parts } => {
                self.outcome = "waits";
                self.proposal = Some(proposal);
                self.parts = parts;
            }
            Outcome::Nothing | Outcome::Done => {}
        }
    }

    fn write(&self, args: &ProposeArgs, out: &mut impl Write) -> anyhow::Result<u8> {
        let code = u8::from(self.outcome == "refused");
        if args.json {
            serde_json::to_writer(&mut *out, self)?;
            writeln!(out)?;
            return Ok(code);
        }
        let (policy, number) = (self.policy, self.proposal.unwrap_or_default());
        if self.outcome == "nothing" {
            writeln!(
                out,
                "Nothing differs from policy {policy}, which is in force."
            )?;
            return Ok(code);
        }
        write_parts(&self.parts, out)?;
        writeln!(out)?;
        for line in self.rehearsal.iter().flat_map(Rehearsal::words) {
            writeln!(out, "{line}")?;
        }
        match self.outcome {
            "refused" => writeln!(out, "Nothing was proposed.")?,
            "waits" => writeln!(
                out,
                "Proposal {number} waits for another person: a head or a safeguarding lead \
                 approves it on the pages (/changes/{number}) or with `schoolgate approve {number}`."
            )?,
            _ => writeln!(out, "In force as policy {policy} (proposal {number}).")?,
        }
        Ok(code)
    }
}

/// The parts of a change, a line each, what they do to the filter first.
pub fn write_parts(parts: &[Part], out: &mut impl Write) -> std::io::Result<()> {
    for part in parts {
        let effect = rehearse::effect(part.effect);
        writeln!(out, "  {effect:<9}  {}", part.words)?;
    }
    if parts.is_empty() {
        writeln!(out, "  Only remarks, order or spaces differ.")?;
    }
    Ok(())
}
