//! `schoolgate rehearse`: what an edit of the folder's files would do, before
//! anybody is asked to agree to it.
//!
//! It compares the files with the policy in force, says the difference, and
//! replays the last week of the log. It puts nothing in force and proposes
//! nothing, so it can be run as often as somebody likes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::appliance::all_of;
use crate::changes::activation::Activated;
use crate::changes::difference::{self, Effect, Part};
use crate::changes::kept;
use crate::changes::rehearsal::check::{self, Musts};
use crate::changes::rehearsal::{self, NameCount, Rehearsal};
use crate::configuration::{Configuration, PolicyTexts};
use crate::lists::load;
use crate::lists::lookup::Lists;
use crate::policy::Policy;
use crate::policy::compile::Live;

/// So long the replay may take; where all would take longer it is a sample.
pub const BUDGET: Duration = Duration::from_secs(10);

/// How it is told.
#[derive(Debug, Clone, clap::Args)]
pub struct RehearseArgs {
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Told {
    /// The number of the policy in force; none if there is none yet.
    policy: Option<u64>,
    /// Whether the files differ from it at all.
    edited: bool,
    /// Whether the change is impossible.
    refused: bool,
    /// What the change means.
    parts: Vec<Part>,
    /// What it would have done.
    rehearsal: Rehearsal,
}

/// Writes to `out` what the files in `folder` would do; says whether they could
/// be put in force at all.
pub fn rehearse(
    args: &RehearseArgs,
    folder: &Path,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let configuration = Configuration::load(folder).map_err(all_of)?;
    let musts = Musts::of_school(folder).map_err(all_of)?;
    let state_dir = &configuration.settings.state_dir;
    let record = kept::last(state_dir)?;
    let told = match &record {
        None => {
            let lists = load::open(state_dir)?;
            let candidate = compiled(&configuration.texts, state_dir, &lists, false)?;
            founding(&candidate, &musts, now)
        }
        Some(record) => change(&configuration, record, &musts, now)?,
    };
    if args.json {
        serde_json::to_writer(&mut *out, &told)?;
        writeln!(out)?;
    } else {
        let zone = &configuration.document.zone;
        told.write(record.as_ref(), zone, out)?;
    }
    Ok(!told.refused)
}

/// There is nothing yet that the files could change.
fn founding(candidate: &Policy, musts: &Musts, now: Timestamp) -> Told {
    let refusals = check::check(candidate, musts, now);
    Told {
        policy: None,
        edited: true,
        refused: !refusals.is_empty(),
        parts: Vec::new(),
        rehearsal: Rehearsal {
            refusals,
            ..Rehearsal::default()
        },
    }
}

fn change(
    configuration: &Configuration,
    record: &Activated,
    musts: &Musts,
    now: Timestamp,
) -> anyhow::Result<Told> {
    let state_dir = &configuration.settings.state_dir;
    let in_force = kept::texts(state_dir, record)?
        .context("the texts of the policy in force are no longer kept")?;
    // What was agreed on the pages is in no file, and stays.
    let edited = PolicyTexts {
        added: in_force.added.clone(),
        ..configuration.texts.clone()
    };
    let mut told = Told {
        policy: Some(record.number),
        edited: edited != in_force,
        refused: false,
        parts: Vec::new(),
        rehearsal: Rehearsal::default(),
    };
    if !told.edited {
        return Ok(told);
    }
    let typed = |texts: &PolicyTexts| texts.typed().map_err(all_of);
    told.parts = difference::between(&typed(&in_force)?, &typed(&edited)?);
    told.rehearsal = of(configuration, (&in_force, &edited), musts, now)?;
    told.refused = !told.rehearsal.refusals.is_empty();
    Ok(told)
}

/// Rehearses the change from the texts in force to others.
pub fn of(
    configuration: &Configuration,
    (in_force, edited): (&PolicyTexts, &PolicyTexts),
    musts: &Musts,
    now: Timestamp,
) -> anyhow::Result<Rehearsal> {
    let state_dir = &configuration.settings.state_dir;
    let lists = load::open(state_dir)?;
    let after = compiled(
        edited,
        state_dir,
        &lists,
        edited.policy == in_force.policy && edited.added == in_force.added,
    )?;
    let before = compiled(in_force, state_dir, &lists, true)?;
    let log = state_dir.join("querylog");
    let zone = &configuration.document.zone;
    Ok(rehearsal::rehearse(
        &before, &after, musts, &log, zone, now, BUDGET,
    )?)
}

fn compiled(
    texts: &PolicyTexts,
    state_dir: &Path,
    lists: &Arc<Lists>,
    standing: bool,
) -> anyhow::Result<Policy> {
    let live = Live {
        number: 0,
        not_before: load::put_in_force(state_dir),
        lists: Arc::clone(lists),
        standing,
    };
    texts.compile(live).map_err(all_of)
}

impl Told {
    fn write(
        &self,
        record: Option<&Activated>,
        zone: &TimeZone,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Some(record) = record else {
            let words = "No policy is in force yet, so there is nothing to compare with.";
            writeln!(out, "{words}")?;
            for why in &self.rehearsal.refusals {
                writeln!(out, "Refused: {why}.")?;
            }
            return Ok(());
        };
        let since = record.time.to_zoned(zone.clone());
        let (number, since) = (record.number, since.strftime("%-d %B %Y, %H:%M"));
        writeln!(
            out,
            "Compared with policy {number}, in force since {since}:"
        )?;
        if !self.edited {
            writeln!(out, "the files say the same.")?;
            return Ok(());
        }
        for part in &self.parts {
            writeln!(out, "  {:<9}  {}", effect(part.effect), part.words)?;
        }
        if self.parts.is_empty() && self.rehearsal.groups.is_empty() {
            writeln!(out, "  only remarks, order or spaces differ.")?;
        }
        writeln!(out)?;
        for line in self.rehearsal.words() {
            writeln!(out, "{line}")?;
        }
        for change in &self.rehearsal.groups {
            let blocked = (
                "newly blocked",
                change.newly_blocked,
                &*change.blocked_names,
            );
            let allowed = (
                "newly allowed",
                change.newly_allowed,
                &*change.allowed_names,
            );
            for (what, names, told) in [blocked, allowed] {
                write_names(&change.group, what, names, told, out)?;
            }
        }
        Ok(())
    }
}

/// The names, and how many more there are.
fn write_names(
    group: &str,
    what: &str,
    names: u64,
    told: &[NameCount],
    out: &mut impl Write,
) -> io::Result<()> {
    if told.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{what} for {group}, by look-ups:")?;
    for name in told {
        writeln!(out, "  {:>9}  {}", name.lookups, name.name)?;
    }
    match names.saturating_sub(told.len() as u64) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more"),
    }
}

/// What a part does to the filter, in a word.
#[must_use]
pub fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Loosens => "loosens",
        Effect::Tightens => "tightens",
        Effect::Neither => "neither",
    }
}
