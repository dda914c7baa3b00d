//! A name and its ancestors, from the top-level domain down.
//!
//! A wire form is read from its first label, and lists are asked from the last:
//! so the labels' beginnings are noted on one way through, without allocation.

use crate::name::{MAX_LABELS, NameRef};

/// Where each label of a name begins.
pub(super) struct Ancestors<'n> {
    wire: &'n [u8],
    starts: [u8; MAX_LABELS],
    count: usize,
}

/// One of them.
pub(super) struct Ancestor<'n> {
    /// Its wire form.
    pub(super) wire: &'n [u8],
    /// How many labels it has.
    pub(super) labels: usize,
    /// Whether it is the name itself.
    pub(super) is_whole: bool,
}

impl<'n> Ancestors<'n> {
    pub(super) fn of(name: NameRef<'n>) -> Self {
        let wire = name.wire();
        let (mut starts, mut count, mut at) = ([0; MAX_LABELS], 0, 0);
        while let Some(&length) = wire.get(at).filter(|length| **length > 0)
            && let (Some(start), Ok(here)) = (starts.get_mut(count), u8::try_from(at))
        {
            *start = here;
            count += 1;
            at += 1 + usize::from(length);
        }
        Self {
            wire,
            starts,
            count,
        }
    }

    /// The top-level domain first, the name itself last; the root is left out.
    pub(super) fn top_first(&self) -> impl Iterator<Item = Ancestor<'n>> {
        let starts = self.starts.get(..self.count).unwrap_or_default();
        let ancestor = |(labels, start): (usize, &u8)| Ancestor {
            wire: self.wire.get(usize::from(*start)..).unwrap_or_default(),
            labels,
            is_whole: labels == self.count,
        };
        (1..).zip(starts.iter().rev()).map(ancestor)
    }
}

impl<'n> Ancestor<'n> {
    /// Its first label, the one that its parent does not have.
    pub(super) fn label(&self) -> Option<&'n [u8]> {
        let (length, rest) = self.wire.split_first()?;
        rest.get(..usize::from(*length))
    }
}
