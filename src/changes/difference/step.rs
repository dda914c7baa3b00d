//! The parts of a change, taken one after the other.
//!
//! What the whole change does cannot be told from what each part would do alone:
//! of two rules that say the same, either may go, and not both. So each part is
//! judged where those before it have led, and every step is compared with the
//! one before; since "at least as strict" is handed on, a change in which no
//! step loosens does not loosen. Which part goes first is free: those that do
//! not loosen are taken as long as there are any.

use super::askers;
use super::draft::Draft;
use super::ground::Ground;
use super::strictness::Side;
use super::{Effect, Part};

/// One part of a change of what is blocked for whom.
pub(super) struct Step<'c> {
    words: String,
    takes: Box<dyn Fn(&mut Draft) -> bool + 'c>,
}

impl<'c> Step<'c> {
    /// A part in words, and what it does to a draft.
    pub(super) fn new(words: String, takes: impl Fn(&mut Draft) + 'c) -> Self {
        let takes = move |draft: &mut Draft| {
            takes(draft);
            true
        };
        Self::when(words, takes)
    }

    /// As [`Step::new`], where `takes` says whether the time for it has come.
    pub(super) fn when(words: String, takes: impl Fn(&mut Draft) -> bool + 'c) -> Self {
        Self {
            words,
            takes: Box::new(takes),
        }
    }
}

/// Judges `steps`, which lead from `before` to what `ground` was made for.
pub(super) fn judged(steps: Vec<Step<'_>>, before: &Draft, ground: &Ground) -> Vec<Part> {
    let mut walk = Walk {
        here: before.clone(),
        side: Side::of(before, ground),
        ground,
        parts: Vec::new(),
    };
    let mut waiting = steps;
    loop {
        let left = waiting.len();
        waiting.retain(|step| !walk.goes(step, false));
        if waiting.len() == left {
            break;
        }
    }
    for step in &waiting {
        walk.goes(step, true);
    }
    walk.parts
}

struct Walk<'g> {
    here: Draft,
    side: Side,
    ground: &'g Ground,
    parts: Vec<Part>,
}

impl Walk<'_> {
    /// Takes `step`, unless it loosens and need not be taken.
    fn goes(&mut self, step: &Step<'_>, must: bool) -> bool {
        let mut there = self.here.clone();
        let is_time = (step.takes)(&mut there);
        let side = Side::of(&there, self.ground);
        let tightens = is_time && askers::all_at_least(&side, &self.side, self.ground);
        if !tightens && !must {
            return false;
        }
        let effect = if !tightens {
            Effect::Loosens
        } else if askers::all_at_least(&self.side, &side, self.ground) {
            Effect::Neither
        } else {
            Effect::Tightens
        };
        self.parts.push(Part {
            effect,
            words: step.words.clone(),
        });
        (self.here, self.side) = (there, side);
        true
    }
}
