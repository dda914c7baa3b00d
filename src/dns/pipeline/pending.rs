//! A question that waits, and what of it an upstream may see.
//!
//! The two are two types so that nothing of the client can be sent by mistake:
//! [`Wanted`] goes out, [`Pending`] stays here.

use super::From;
use crate::dns::cache::Key;
use crate::dns::question::Query;
use crate::dns::reply::Asked;

/// What to ask an upstream. Nothing of the client is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The question section, in lower case.
    pub question: Box<[u8]>,
    /// Whether signatures are wanted.
    pub dnssec_ok: bool,
    /// Whether the client checks them itself.
    pub checking_disabled: bool,
}

/// A question that waits for an upstream.
#[derive(Debug)]
pub struct Pending {
    /// What is asked.
    pub wanted: Wanted,
    /// Where the reply goes.
    pub from: From,
    pub(super) id: u16,
    pub(super) flags: u16,
    pub(super) question: Box<[u8]>,
    pub(super) edns: Option<bool>,
    pub(super) limit: usize,
    pub(super) options: Box<[u8]>,
}

impl Wanted {
    pub(super) fn of(query: &Query<'_>) -> Self {
        Self {
            question: [
                query.name.wire(),
                query.question.last_chunk::<4>().unwrap_or(&[0; 4]),
            ]
            .concat()
            .into(),
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        }
    }

    /// The asked name's wire form.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let end = self.question.len().saturating_sub(4);
        self.question.get(..end).unwrap_or_default()
    }

    /// The asked type.
    #[must_use]
    pub fn rtype(&self) -> u16 {
        match *self.question {
            [.., a, b, _, _] => u16::from_be_bytes([a, b]),
            _ => 0,
        }
    }

    /// What it is kept under.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        Key {
            name: self.name(),
            rtype: self.rtype(),
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }
}

impl Pending {
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            id: self.id,
            flags: self.flags,
            question: &self.question,
            edns: self.edns,
            limit: self.limit,
        }
    }
}
