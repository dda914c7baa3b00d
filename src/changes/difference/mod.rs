//! What a change means, in words a headteacher understands, each part classed
//! on its own: does it tighten the filter, loosen it, or neither?
//!
//! Whatever cannot be shown to tighten counts as loosening: it waits for a
//! second person. It must never call tightening what lets one
//! question through that was blocked.
//!
//! What is blocked for whom is judged step by step (`step`) by what each side
//! means to everybody who may ask (`strictness`, `askers`); who is told of what,
//! and where names come from, by rules of their own (`alerts`, `tables`,
//! `sources`).

mod alerts;
mod askers;
mod calendar;
mod devices;
mod draft;
mod exceptions;
mod ground;
mod groups;
mod networks;
mod school;
mod sources;
mod step;
mod strictness;
mod tables;
mod words;

use serde::{Deserialize, Serialize};

use crate::configuration::Typed;
use draft::Draft;
use ground::Ground;

/// What one part of a change does to the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It lets through what was blocked, or might; or less is written down, or
    /// fewer are told; or more is written down of people.
    Loosens,
    /// It blocks more, and lets nothing through that was blocked.
    Tightens,
    /// Nothing is decided otherwise: names, reasons, remarks.
    Neither,
}

/// One part of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it does to the filter.
    pub effect: Effect,
    /// In words: "pupil may reach scratch.mit.edu, until 20 July 2027".
    pub words: String,
}

/// All parts of the change from `before` to `after`; those that loosen first.
/// None: only remarks, order or spaces differ.
#[must_use]
pub fn between(before: &Typed, after: &Typed) -> Vec<Part> {
    let mut parts = Vec::new();
    school::parts(&before.document, &after.document, &mut parts);
    let (mut old, new) = (Draft::of(before), Draft::of(after));
    // Whose look-ups raise alerts is judged by itself, and before the rest: then
    // whoever goes to another group must be told of there as well.
    old.document.alerts = new.document.alerts.clone();
    let mut steps = Vec::new();
    calendar::steps(&old.document, &new.document, &mut steps);
    groups::steps(&old.document, &new.document, &mut steps);
    exceptions::steps(before, after, &mut steps, &mut parts);
    networks::steps(&old.document, &new.document, &mut steps);
    devices::steps(before, after, &mut steps, &mut parts);
    groups::endings(&old.document, &new.document, &mut steps);
    calendar::endings(&old.document, &new.document, &mut steps);
    parts.extend(step::judged(steps, &old, &Ground::of(&old, &new)));
    groups::remarks(&old.document, &new.document, &mut parts);
    alerts::parts(&before.document, &after.document, &mut parts);
    tables::parts(&before.tables, &after.tables, &mut parts);
    sources::parts(&before.sources, &after.sources, &mut parts);
    parts.sort_by_key(|part| part.effect);
    parts
}

impl Part {
    fn new(effect: Effect, words: impl Into<String>) -> Self {
        Self {
            effect,
            words: words.into(),
        }
    }
}
