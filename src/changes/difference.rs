//! What a change means, in words a headteacher understands, each part classed
//! on its own: does it tighten the filter, loosen it, or neither?
//!
//! Whatever cannot be shown to tighten counts as loosening: it waits for a
//! second person. It must never call tightening what lets one
//! question through that was blocked.

use serde::{Deserialize, Serialize};

use crate::configuration::Typed;

/// What one part of a change does to the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It lets through what was blocked, or might; or less is written down, or
    /// fewer are told.
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
#[must_use]
pub fn between(_before: &Typed, _after: &Typed) -> Vec<Part> {
    Vec::new()
}
