//! The names by which a browser or a phone asks whether it may use its own DNS.
//!
//! The table is `blocklists/canaries.toml`, compiled in and dated; a school may
//! put its own in its place. A canary's answer is negative and nothing else: an
//! address, even 0.0.0.0, is read as "yes". So it is not the
//! group's choice of answer that counts here, and no exception opens it;
//! a group is left alone by a switch that says so.
//!
//! It is asked for every question, so that a name which is no canary is passed
//! over by looking at its last bytes.

use super::sieve::Sieve;
use crate::document::{Complaint, Document, Table};
use crate::lists::lookup::Scope;
use crate::name::{Name, NameRef};

/// The canaries of a school that has no list of its own.
pub const SHIPPED: &str = include_str!("../../blocklists/canaries.toml");

/// The canaries that count.
#[derive(Debug, Clone, Default)]
pub struct Canaries {
    all: Box<[Canary]>,
    ends: Sieve,
}

/// One canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// The name.
    pub name: Name,
    /// Whether names below it are meant too.
    pub scope: Scope,
    /// Whether the answer is NXDOMAIN, and not NODATA. Then names below it are
    /// meant too: there are none.
    pub nxdomain: bool,
    /// What it is, in a sentence.
    pub says: Box<str>,
}

impl Canaries {
    /// Reads the text of a `canaries.toml`.
    #[must_use]
    pub fn read(file: &str, text: &str) -> (Self, Vec<Complaint>) {
        let document = Document::parse(file, text);
        let root = document.root();
        super::dated(&root);
        let mut all: Vec<Canary> = Vec::new();
        for table in root.tables("canaries") {
            let place = table.place();
            let Some((canary, on)) = canary(table) else {
                continue;
            };
            if all.iter().any(|other| other.name == canary.name) {
                root.complain_at(&place, format!("{} stands twice", canary.name));
            }
            if on {
                all.push(canary);
            }
        }
        root.finish();
        let mut ends = Sieve::default();
        for canary in &all {
            ends.add_end(canary.name.as_ref());
        }
        let canaries = Self {
            all: all.into_boxed_slice(),
            ends,
        };
        (canaries, document.into_complaints())
    }

    /// The canary that `name` is, or is below.
    #[must_use]
    #[inline]
    pub fn covering(&self, name: NameRef<'_>) -> Option<&Canary> {
        if !self.ends.may_have_end(name) {
            return None;
        }
        self.all.iter().find(|canary| canary.covers(name))
    }

    /// Every canary that counts.
    pub fn iter(&self) -> impl Iterator<Item = &Canary> {
        self.all.iter()
    }
}

impl Canary {
    fn covers(&self, name: NameRef<'_>) -> bool {
        let own = self.name.as_ref();
        name == own || (self.scope != Scope::Exact && name.is_within(own))
    }
}

/// One `[[canaries]]`, and whether it counts.
fn canary(table: Table<'_>) -> Option<(Canary, bool)> {
    let name = table.parsed("name", super::plain_name);
    let scopes = [("subtree", Scope::Subtree), ("exact", Scope::Exact)];
    let scope = table.choice("match", &scopes);
    let nxdomain = table.choice("answer", &[("nxdomain", true), ("nodata", false)]);
    let says = table.string("says");
    let _ = table.string("source");
    let on = table.boolean("on").is_none_or(|on| on.value);
    for key in ["name", "match", "answer", "says", "source"] {
        if !table.has(key) {
            table.missing(key);
        }
    }
    if let (Some(scope), Some(answer)) = (&scope, &nxdomain)
        && scope.value == Scope::Exact
        && answer.value
    {
        // RFC 8020.
        let message = "NXDOMAIN says that nothing exists below either; write answer = \"nodata\", \
                       or match = \"subtree\"";
        table.complain_at(&answer.place, message);
    }
    table.finish();
    let canary = Canary {
        name: name?.value,
        scope: scope?.value,
        nxdomain: nxdomain?.value,
        says: says?.value.into(),
    };
    Some((canary, on))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_ones_are_whole() {
        let (canaries, complaints) = Canaries::read("canaries.toml", SHIPPED);
        assert!(complaints.is_empty(), "{complaints:?}");
        let covered = |name: &str| {
            let name = Name::parse(name).unwrap();
            canaries.covering(name.as_ref()).map(|c| c.nxdomain)
        };
        for name in [
            "use-application-dns.net",
            "www.use-application-dns.net",
            "mask.icloud.com",
            "mask-h2.icloud.com",
        ] {
            assert_eq!(covered(name), Some(true), "{name}");
        }
        // open, or off unless somebody wants them.
        for name in [
            "mask-api.icloud.com",
            "mask-canary.icloud.com",
            "doh.dns.apple.com",
            "icloud.com",
            "www.icloud.com",
            "xmask.icloud.com",
            "application-dns.net",
        ] {
            assert_eq!(covered(name), None, "{name}");
        }
    }

    #[test]
    fn an_exact_one_is_itself_alone_and_a_short_name_is_found() {
        let text = "updated = \"2026-11-21\"\n[[canaries]]\nname = \"a.uk\"\nmatch = \"exact\"\n\
                    answer = \"nodata\"\nsays = \"x\"\nsource = \"https://a.example\"\n";
        let (canaries, complaints) = Canaries::read("c.toml", text);
        assert!(complaints.is_empty(), "{complaints:?}");
        let covers = |name: &str| {
            let name = Name::parse(name).unwrap();
            canaries.covering(name.as_ref()).is_some()
        };
        assert!(covers("a.uk") && !covers("b.a.uk") && !covers("b.uk"));
    }

    #[test]
    fn every_mistake_is_told() {
        let text = "[[canaries]]\nname = \"a b\"\nmatch = \"exat\"\nanswer = \"null\"\n\
                    [[canaries]]\nname = \"a.example\"\nmatch = \"exact\"\nanswer = \"nxdomain\"\n\
                    says = \"x\"\nsource = \"y\"\nonn = true\n";
        let (_, complaints) = Canaries::read("canaries.toml", text);
        let said: Vec<_> = complaints.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "canaries.toml: the top of the file needs `updated`",
                "canaries.toml:1: [canaries] needs `says`",
                "canaries.toml:1: [canaries] needs `source`",
                "canaries.toml:2: \"a b\" is not a name: bad character ' '",
                "canaries.toml:3: `match` cannot be \"exat\"; did you mean \"exact\"?",
                "canaries.toml:4: `answer` cannot be \"null\"; choose from: nodata, nxdomain",
                "canaries.toml:8: NXDOMAIN says that nothing exists below either; write answer = \
                 \"nodata\", or match = \"subtree\"",
                "canaries.toml:11: unknown key `onn` in [canaries]; did you mean \"on\"?",
            ]
        );
    }
}
