//! Where the readers of the formats put what they find, and where every line is
//! accounted for.

use std::collections::BTreeMap;

use super::{LineComplaint, Parsed, Quarantined, Reason, Refusal, Tally};
use crate::lists::addresses::AddressRange;
use crate::lists::admit::MustResolve;
use crate::lists::lookup::{Class, Scope};
use crate::lists::names::{Full, Names};
use crate::lists::source::SourceSpec;
use crate::name::{Name, NameRef};

/// Most complaints of one source that are kept; all are counted.
const MOST_KEPT: usize = 1000;

pub(super) struct Collector<'a> {
    spec: &'a SourceSpec,
    must_resolve: &'a MustResolve,
    names: Names,
    addresses: Vec<AddressRange>,
    tally: Tally,
    reasons: BTreeMap<String, u64>,
    complaints: Vec<LineComplaint>,
    quarantine: Vec<Quarantined>,
    /// What the line at hand said so far.
    said: u64,
    full: Option<Full>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(spec: &'a SourceSpec, must_resolve: &'a MustResolve) -> Self {
        Self {
            spec,
            must_resolve,
            names: Names::default(),
            addresses: Vec::new(),
            tally: Tally::default(),
            reasons: BTreeMap::new(),
            complaints: Vec::new(),
            quarantine: Vec::new(),
            said: 0,
            full: None,
        }
    }

    /// What the source declares of its lines.
    pub(super) fn spec(&self) -> &'a SourceSpec {
        self.spec
    }

    /// The number of the line at hand.
    pub(super) fn line(&self) -> u64 {
        self.tally.lines
    }

    pub(super) fn begin_line(&mut self) -> u64 {
        self.tally.lines += 1;
        self.said = 0;
        self.tally.lines
    }

    pub(super) fn end_line(&mut self) -> Result<(), Refusal> {
        match self.said {
            0 => self.tally.comments += 1,
            said => self.tally.further += said - 1,
        }
        self.full.map_or(Ok(()), |full| Err(full.into()))
    }

    /// The list is not as its publisher made it.
    pub(super) fn degraded(&mut self) {
        self.tally.degraded = true;
    }

    /// A word as people write names: `example.com`, `*.example.com`.
    pub(super) fn word(&mut self, word: &str, scope: Scope) {
        match word.strip_prefix("*.") {
            Some(base) => self.wide(base, Scope::Subtree),
            None if word == "*" => self.complain(Reason::Everything),
            None => match Name::parse(word) {
                Ok(name) => self.name(&name, scope),
                Err(why) => self.complain(why),
            },
        }
    }

    /// A name that is meant to cover others, so it may be a top-level domain
    /// where the source allows that.
    pub(super) fn wide(&mut self, base: &str, scope: Scope) {
        let parsed = if self.spec.allow_tld {
            Name::parse_any_depth(base)
        } else {
            Name::parse(base)
        };
        match parsed {
            _ if base.is_empty() => self.complain(Reason::Everything),
            Ok(name) => self.name(&name, scope),
            Err(why) => self.complain(why),
        }
    }

    /// One entry.
    pub(super) fn name(&mut self, name: &Name, scope: Scope) {
        if scope != Scope::Exact && !self.spec.allow_tld && is_public_suffix(name.as_ref()) {
            return self.complain(Reason::PublicSuffix);
        }
        if let Some(protects) = self.must_resolve.covered_by(name.as_ref(), scope) {
            // Nobody at a school may lift a mandatory entry, not even we.
            if self.spec.class == Class::Mandatory {
                self.tally.covers_must_resolve += 1;
            } else {
                return self.quarantine(name, protects);
            }
        }
        self.said += 1;
        if let Err(full) = self.names.push(name.as_ref(), scope) {
            self.full = Some(full);
        }
    }

    /// One address or prefix.
    pub(super) fn address(&mut self, range: AddressRange) {
        self.said += 1;
        self.addresses.push(range);
    }

    /// An entry that only a URL filter could enforce.
    pub(super) fn needs_url_filter(&mut self) {
        self.said += 1;
        self.tally.needs_url_filter += 1;
    }

    pub(super) fn complain(&mut self, reason: impl Into<Reason>) {
        let reason = reason.into();
        self.said += 1;
        self.tally.complaints += 1;
        let kind = reason.kind();
        if self.complaints.len() < MOST_KEPT {
            let reason = match self.spec.class {
                Class::Mandatory => kind.clone(),
                Class::Category => reason.to_string(),
            };
            let line = self.tally.lines;
            self.complaints.push(LineComplaint { line, reason });
        }
        *self.reasons.entry(kind).or_default() += 1;
    }

    fn quarantine(&mut self, name: &Name, protects: &Name) {
        self.said += 1;
        self.tally.quarantined += 1;
        if self.quarantine.len() < MOST_KEPT {
            self.quarantine.push(Quarantined {
                line: self.tally.lines,
                name: name.to_string(),
                protects: protects.to_string(),
            });
        }
    }

    pub(super) fn finish(mut self) -> Parsed {
        let addresses = self.addresses.len();
        self.addresses.sort_unstable();
        self.addresses.dedup();
        self.tally.duplicates = self.names.sort() + (addresses - self.addresses.len()) as u64;
        self.tally.entries = (self.names.len() + self.addresses.len()) as u64;
        self.tally.reasons = self.reasons;
        Parsed {
            names: self.names,
            addresses: self.addresses,
            tally: self.tally,
            complaints: self.complaints,
            quarantine: self.quarantine,
        }
    }
}

/// Whether everybody may register under this name: `co.uk`, not `github.io`,
/// which one company runs and may well be listed.
fn is_public_suffix(name: NameRef<'_>) -> bool {
    use psl::{List, Psl, Type};
    let labels: Vec<&[u8]> = name.labels().collect();
    // The deepest suffix in the ICANN part has few labels; most names more.
    if labels.len() > 4 {
        return false;
    }
    let found = List.find(labels.iter().rev().copied());
    found.typ == Some(Type::Icann) && found.len + 2 == name.wire().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_of_registries_are_told_from_those_of_companies() {
        let check = |name: &str, expected| {
            let name = Name::parse_any_depth(name).unwrap();
            assert_eq!(is_public_suffix(name.as_ref()), expected, "{name}");
        };
        check("co.uk", true);
        check("kent.sch.uk", true);
        check("uk", true);
        check("school.kent.sch.uk", false);
        check("github.io", false);
        check("bbc.co.uk", false);
        check("bets.example", false);
    }
}
