//! A question that waits for an upstream, and what it asks for.

use super::desk::{Desk, From};
use crate::dns::answer::{Answer, lower_name};
use crate::dns::cache::{Key, Memo};
use crate::dns::question::{IN, LowerName, Query};
use crate::dns::reply::{self, Asked, Extras, Ttl, ede};
use crate::lists::lookup::Covering;
use crate::name::Name;

/// What to ask an upstream. Nothing of the client is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The question section, in lower case.
    pub question: Vec<u8>,
    /// Whether signatures are wanted.
    pub dnssec_ok: bool,
    /// Whether the client checks them itself.
    pub checking_disabled: bool,
    /// Whether they are checked here.
    pub checked: bool,
}

/// A question that waits for an upstream.
#[derive(Debug)]
pub struct Pending {
    /// Where the reply goes.
    pub from: From,
    pub(super) id: u16,
    pub(super) flags: u16,
    pub(super) edns: Option<bool>,
    pub(super) limit: usize,
    extras: Extras,
    dnssec_ok: bool,
    checking_disabled: bool,
    checked: bool,
    /// The question section as it was asked, then the EDNS options, if they may
    /// tell who asks.
    bytes: Box<[u8]>,
    question: usize,
    /// What the lists said of the asked name, and which.
    pub(super) covering: (u64, Covering),
    /// The name that is asked for in its place: that of a safe mode.
    instead: Option<Box<[u8]>>,
}

/// What became of a question that had to be asked on.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// An upstream answered; what the lists say of that, if it is known.
    Answered(&'a Answer, Option<Memo>),
    /// None did, for this reason (an EDE code).
    Failed(u16),
}

impl Outcome<'_> {
    /// Too many questions wait already (R-133c).
    #[must_use]
    pub fn overload() -> Self {
        Self::Failed(ede::OTHER)
    }
}

impl Wanted {
    pub(super) fn of(query: &Query<'_>, key: &Key<'_>, checked: bool) -> Self {
        let mut wanted = Self {
            dnssec_ok: key.dnssec_ok,
            checking_disabled: key.checking_disabled,
            checked,
            ..Self::default()
        };
        wanted.write(query.question);
        wanted
    }

    /// What is kept under `key`; its signatures are to be checked if `checked`.
    #[must_use]
    pub fn of_key(key: &Key<'_>, checked: bool) -> Self {
        Self {
            question: [key.name, &key.rtype.to_be_bytes(), &IN.to_be_bytes()].concat(),
            dnssec_ok: key.dnssec_ok,
            checking_disabled: key.checking_disabled,
            checked,
        }
    }

    /// What a validator needs, as upstreams have it.
    #[must_use]
    pub fn unchecked(question: &[u8]) -> Self {
        let mut wanted = Self {
            dnssec_ok: true,
            checking_disabled: true,
            ..Self::default()
        };
        wanted.write(question);
        wanted
    }

    fn write(&mut self, question: &[u8]) {
        self.question.clear();
        self.question.extend_from_slice(question);
        lower_name(&mut self.question);
    }

    /// A message that holds `answer`, which is `age` seconds old; or why there
    /// is none (an EDE code).
    pub fn message(&self, answer: Result<&Answer, u16>, age: u32) -> Result<Vec<u8>, u16> {
        let answer = answer?;
        if let Some(code) = answer.error {
            return Err(code);
        }
        let asked = Asked {
            id: 0,
            flags: 0x0110,
            question: &self.question,
            edns: Some(true),
            limit: usize::from(u16::MAX),
            extras: Extras::default(),
        };
        let ttl = Ttl {
            age,
            least: 0,
            most: u32::MAX,
        };
        let mut message = Vec::new();
        reply::answer(&asked, answer, ttl, None, &mut message);
        Ok(message)
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
    pub(super) fn of(
        desk: &Desk,
        query: &Query<'_>,
        asked: &Asked<'_>,
        key: &Key<'_>,
        from: From,
        checked: bool,
        covering: (u64, Covering),
    ) -> Self {
        let options = desk.believed_options(query, &from);
        Self {
            from,
            id: query.id,
            flags: query.flags,
            edns: asked.edns,
            limit: asked.limit,
            extras: asked.extras,
            dnssec_ok: key.dnssec_ok,
            checking_disabled: key.checking_disabled,
            checked,
            bytes: [query.question, options].concat().into(),
            question: query.question.len(),
            covering,
            instead: None,
        }
    }

    /// The same, for an answer of another name.
    pub(super) fn instead(self, name: &Name) -> Self {
        Self {
            instead: Some(name.as_ref().wire().into()),
            ..self
        }
    }

    /// Whether what is asked for is what was asked.
    pub(super) fn asks_for_itself(&self) -> bool {
        self.instead.is_none()
    }

    /// Whether `name` is asked for in place of what was asked.
    pub(super) fn asks_for(&self, name: &[u8]) -> bool {
        self.instead.as_deref() == Some(name)
    }

    /// What is to be asked for it, written over what was in `wanted`.
    pub fn write_wanted(&self, wanted: &mut Wanted) {
        let (question, _) = self.parts();
        wanted.dnssec_ok = self.dnssec_ok;
        wanted.checking_disabled = self.checking_disabled;
        wanted.checked = self.checked;
        wanted.write(question);
        if let Some(name) = &self.instead {
            let own = wanted.name().len();
            wanted.question.splice(..own, name.iter().copied());
        }
    }

    /// What is to be asked for it.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        self.write_wanted(&mut wanted);
        wanted
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            id: self.id,
            flags: self.flags,
            question: self.parts().0,
            edns: self.edns,
            limit: self.limit,
            extras: self.extras,
        }
    }

    /// What it is kept under; `name` is its name in lower case.
    pub(super) fn key<'n>(&self, name: &'n LowerName) -> Key<'n> {
        let rtype = match *self.parts().0 {
            [.., a, b, _, _] => u16::from_be_bytes([a, b]),
            _ => 0,
        };
        Key {
            name: name.wire(),
            rtype,
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }

    pub(super) fn options(&self) -> &[u8] {
        self.parts().1
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes
            .split_at_checked(self.question)
            .unwrap_or_default()
    }
}
