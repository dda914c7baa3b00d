//! The exact index: an FST from reversed names (`com.example`) to the numbers of
//! their memberships.
//!
//! It holds every listed name letter by letter, so it can be read back and asked
//! what is listed under a name. Keys have no separator at the end: the walk asks
//! for an entry only where a label ends, and meets every listed ancestor on its
//! way.
//!
//! It allocates nothing on a walk, and trusts its file (`load.rs`).

use fst::raw::{Fst, Output};
use memmap2::Mmap;

use super::ancestors::{Ancestor, Ancestors};
use crate::name::NameRef;

/// The names of a generation, as they are written.
pub struct ExactIndex(Fst<Mmap>);

impl ExactIndex {
    /// An index whose checksum has been verified.
    #[must_use]
    pub fn new(names: Fst<Mmap>) -> Self {
        Self(names)
    }

    /// Goes down the letters until nothing listed begins with them, and tells
    /// `found` each listed name that `name` is or is below, with its membership.
    pub(super) fn walk(&self, name: NameRef<'_>, mut found: impl FnMut(&Ancestor<'_>, u16)) {
        let (mut node, mut out) = (self.0.root(), Output::zero());
        for ancestor in Ancestors::of(name).top_first() {
            // A dot inside a label would pass for a separator; no list has one.
            let Some(label) = ancestor.label().filter(|label| !label.contains(&b'.')) else {
                return;
            };
            let separator: &[u8] = if ancestor.labels > 1 { b"." } else { b"" };
            for &byte in separator.iter().chain(label) {
                let Some(input) = node.find_input(byte) else {
                    return;
                };
                let transition = node.transition(input);
                out = out.cat(transition.out);
                node = self.0.node(transition.addr);
            }
            if node.is_final() {
                let value = out.cat(node.final_output()).value();
                found(&ancestor, membership_number(value));
            }
        }
    }
}

/// An index holds only what fits; a damaged one must point nowhere, not wrap.
pub(super) fn membership_number(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// The key of a name: labels reversed, dots between, none at the end. `None` for
/// a name that no list can hold (a dot or nothing in a label).
#[must_use]
pub fn reversed_key(name: NameRef<'_>) -> Option<Vec<u8>> {
    let labels: Vec<&[u8]> = name.labels().collect();
    if labels.is_empty() || labels.iter().any(|l| l.contains(&b'.')) {
        return None;
    }
    let mut key = Vec::with_capacity(name.wire().len());
    for (i, label) in labels.iter().rev().enumerate() {
        if i > 0 {
            key.push(b'.');
        }
        key.extend_from_slice(label);
    }
    Some(key)
}
