//! Sets of names that nearly no name is in, passed over in a few instructions.
//!
//! Canaries and search engines are asked about for every question, and hashing
//! a name costs more than all else there is to do. So a few bits say for which
//! names that can be worth it: eight bytes of the name choose one of 64. Names
//! of a kind share those bytes (`www.goo`), so nearly everything else is out.

use crate::name::{MAX_WIRE, NameRef};

/// Which ends names of a set have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sieve(u64);

/// Which beginnings names of a set have, by their length.
#[derive(Debug, Clone)]
pub(super) struct Beginnings(Box<[u64; MAX_WIRE + 1]>);

impl Sieve {
    /// Lets through whatever ends as `name` does.
    pub(super) fn add_end(&mut self, name: NameRef<'_>) {
        // What is below a short name ends in more than the name.
        self.0 |= name.wire().last_chunk().copied().map_or(u64::MAX, bit);
    }

    /// Whether a name of the set may be `name` or an ancestor of it.
    #[inline]
    pub(super) fn may_have_end(self, name: NameRef<'_>) -> bool {
        let own = name.wire().last_chunk().copied().map_or(u64::MAX, bit);
        self.0 & own != 0
    }
}

impl Default for Beginnings {
    fn default() -> Self {
        Self(Box::new([0; MAX_WIRE + 1]))
    }
}

impl Beginnings {
    /// Lets through whatever begins as `name` does and is as long.
    pub(super) fn add(&mut self, name: NameRef<'_>) {
        let wire = name.wire();
        if let Some(word) = self.0.get_mut(wire.len()) {
            *word |= wire.first_chunk().copied().map_or(u64::MAX, bit);
        }
    }

    /// Whether `name` may be in the set.
    #[inline]
    pub(super) fn may_have(&self, name: NameRef<'_>) -> bool {
        let wire = name.wire();
        let own = wire.first_chunk().copied().map_or(u64::MAX, bit);
        self.0.get(wire.len()).is_some_and(|word| word & own != 0)
    }
}

/// One of 64 bits, chosen by all of the eight bytes (Fibonacci hashing).
#[inline]
fn bit(bytes: [u8; 8]) -> u64 {
    1 << (u64::from_le_bytes(bytes).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}
