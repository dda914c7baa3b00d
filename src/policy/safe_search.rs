//! Search engines, and the names at which they keep a safe mode.
//!
//! Whoever asks for an engine is given the addresses of its safe mode, under a
//! CNAME that says so. The table is `blocklists/safe-search.toml`,
//! compiled in and dated; a school may put its own in its place.
//!
//! It is about names that are *asked for*, each by itself and nothing below it
//! the pictures and programs of an engine come from other hosts, which
//! must work. A name whose CNAME leads to an engine is not rewritten; it need not
//! be, for the engine answers by the name its visitor says, and that is then
//! the innocent one.
//!
//! An engine without a safe mode is no matter of this table: it is on a list, in
//! the category `search_no_safesearch`, which `strict` blocks as well.

use foldhash::HashMap;

use super::group::SafeSearch;
use super::sieve::Beginnings;
use crate::document::{Complaint, Document, Placed, Table};
use crate::name::{Name, NameRef};

/// The engines of a school that has no list of its own.
pub const SHIPPED: &str = include_str!("../../blocklists/safe-search.toml");

/// Most labels of `hosts`.
const MOST_HOSTS: usize = 16;

/// The engines that have a safe mode.
#[derive(Debug, Clone, Default)]
pub struct Engines {
    all: Box<[Engine]>,
    by_name: HashMap<Name, usize>,
    beginnings: Beginnings,
}

/// One search engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// What `why` calls it.
    pub id: Box<str>,
    /// The name of its strict mode.
    pub strict: Name,
    /// The name of its milder mode, if it has one.
    pub moderate: Option<Name>,
}

impl Engines {
    /// Reads the text of a `safe-search.toml`.
    #[must_use]
    pub fn read(file: &str, text: &str) -> (Self, Vec<Complaint>) {
        let document = Document::parse(file, text);
        let root = document.root();
        super::dated(&root);
        let mut engines = Self::default();
        let mut all = Vec::new();
        for table in root.tables("engines") {
            let Some((engine, names)) = engine(table) else {
                continue;
            };
            for Placed { value, place } in names {
                engines.beginnings.add(value.as_ref());
                if let Some(other) = engines.by_name.insert(value.clone(), all.len()) {
                    let ids = all.iter().map(|e: &Engine| &*e.id);
                    let other = ids.chain([&*engine.id]).nth(other).unwrap_or_default();
                    root.complain_at(&place, format!("{value} is already a name of \"{other}\""));
                }
            }
            all.push(engine);
        }
        engines.all = all.into_boxed_slice();
        for target in engines.targets() {
            if engines.by_name.contains_key(target) {
                root.complain(format!(
                    "{target} is the name of a safe mode, and a name that is given one"
                ));
            }
        }
        root.finish();
        (engines, document.into_complaints())
    }

    /// The engine that is asked for by `name`.
    #[must_use]
    #[inline]
    pub fn engine_of(&self, name: NameRef<'_>) -> Option<&Engine> {
        if !self.beginnings.may_have(name) {
            return None;
        }
        self.all.get(*self.by_name.get(name.wire())?)
    }

    /// Every engine.
    pub fn iter(&self) -> impl Iterator<Item = &Engine> {
        self.all.iter()
    }

    /// Every name of a safe mode.
    pub fn targets(&self) -> impl Iterator<Item = &Name> {
        let all = self.all.iter();
        all.flat_map(|engine| std::iter::once(&engine.strict).chain(&engine.moderate))
    }

    /// Every name that is answered with another's addresses, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&Name, &Engine)> {
        let of = |(name, index): (_, &usize)| Some((name, self.all.get(*index)?));
        self.by_name.iter().filter_map(of)
    }
}

impl Engine {
    /// The name of the mode that a group is held to.
    #[must_use]
    pub fn target(&self, mode: SafeSearch) -> Option<&Name> {
        match mode {
            SafeSearch::Off => None,
            SafeSearch::Moderate => Some(self.moderate.as_ref().unwrap_or(&self.strict)),
            SafeSearch::Strict => Some(&self.strict),
        }
    }
}

/// One `[[engines]]` with its names.
fn engine(table: Table<'_>) -> Option<(Engine, Vec<Placed<Name>>)> {
    let id = table.string("id");
    let strict = table.parsed("strict", super::plain_name);
    let moderate = table.parsed("moderate", super::plain_name);
    let _ = table.string("source");
    let listed = |key| table.parsed_list(key, super::plain_name);
    let mut names = listed("names").unwrap_or_default();
    let domains = listed("domains").unwrap_or_default();
    let hosts = table.strings("hosts");
    for key in ["id", "strict", "source"] {
        if !table.has(key) {
            table.missing(key);
        }
    }
    if names.is_empty() && domains.is_empty() {
        table.complain("[engines] needs `names` or `domains`");
    }
    if hosts.len() > MOST_HOSTS {
        table.complain(format!("`hosts` has over {MOST_HOSTS} labels"));
    }
    for domain in domains {
        for host in hosts.iter().take(MOST_HOSTS) {
            match super::plain_name(&format!("{}.{}", host.value, domain.value)) {
                Ok(name) => names.push(domain.clone().with(name)),
                Err(why) => table.complain_at(&host.place, why),
            }
        }
        names.push(domain);
    }
    table.finish();
    let engine = Engine {
        id: id?.value.into(),
        strict: strict?.value,
        moderate: moderate.map(|name| name.value),
    };
    Some((engine, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Engines {
        let (engines, complaints) = Engines::read("safe-search.toml", SHIPPED);
        assert!(complaints.is_empty(), "{complaints:?}");
        engines
    }

    fn target(engines: &Engines, name: &str, mode: SafeSearch) -> Option<String> {
        let name = Name::parse(name).unwrap();
        let engine = engines.engine_of(name.as_ref())?;
        engine.target(mode).map(ToString::to_string)
    }

    /// S1, S2, S8, S10.
    #[test]
    fn the_shipped_engines_are_known_by_each_of_their_names() {
        let engines = shipped();
        let strict = |name: &str| target(&engines, name, SafeSearch::Strict);
        for end in [
            "com", "im", "co.in", "iq", "is", "it", "je", "com.af", "be", "by", "co.uk",
        ] {
            for host in ["", "www.", "images."] {
                let name = format!("{host}google.{end}");
                let found = strict(&name);
                assert_eq!(
                    found.as_deref(),
                    Some("forcesafesearch.google.com"),
                    "{name}"
                );
            }
        }
        for (name, expected) in [
            ("youtubei.googleapis.com", "restrict.youtube.com"),
            ("www.youtube-nocookie.com", "restrict.youtube.com"),
            ("edgeservices.bing.com", "strict.bing.com"),
            ("duckduckgo.com", "safe.duckduckgo.com"),
            ("www.ecosia.org", "strict-safe-search.ecosia.org"),
            ("pixabay.com", "safesearch.pixabay.com"),
            ("yandex.ru", "familysearch.yandex.ru"),
            ("search.brave.com", "forcesafe.search.brave.com"),
            ("api.qwant.com", "safeapi.qwant.com"),
        ] {
            assert_eq!(strict(name).as_deref(), Some(expected), "{name}");
        }
        assert!(engines.names().count() > 600);
    }

    ///
    #[test]
    fn what_stands_beside_or_below_is_left_alone() {
        let engines = shipped();
        for name in [
            "mail.google.com",
            "www.google.com.example",
            "a.www.google.com",
            "notgoogle.com",
            "imgs.search.brave.com",
            "api.search.brave.com",
            "i.ytimg.com",
            "forcesafesearch.google.com",
            "a.uk",
        ] {
            assert_eq!(target(&engines, name, SafeSearch::Strict), None, "{name}");
        }
    }

    #[test]
    fn the_milder_mode_counts_where_there_is_one() {
        let engines = shipped();
        let moderate = |name| target(&engines, name, SafeSearch::Moderate);
        assert_eq!(
            moderate("www.youtube.com").as_deref(),
            Some("restrictmoderate.youtube.com")
        );
        assert_eq!(moderate("www.bing.com").as_deref(), Some("strict.bing.com"));
        assert_eq!(target(&engines, "www.bing.com", SafeSearch::Off), None);
    }

    #[test]
    fn every_mistake_is_told() {
        let text = "updated = 2026-11-21\n\
                    [[engines]]\nid = \"a\"\nstrict = \"safe.a.example\"\nsource = \"s\"\n\
                    names = [\"a.example\", \"a.example\"]\nhosts = [\"w w\"]\n\
                    domains = [\"b.example\"]\n\
                    [[engines]]\nid = \"b\"\nstrict = \"a.example\"\nnames = [\"-\"]\n";
        let (_, complaints) = Engines::read("safe-search.toml", text);
        let said: Vec<_> = complaints.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "safe-search.toml: a.example is the name of a safe mode, and a name that is given \
                 one",
                "safe-search.toml:6: a.example is already a name of \"a\"",
                "safe-search.toml:7: \"w w.b.example\" is not a name: bad character ' '",
                "safe-search.toml:9: [engines] needs `names` or `domains`",
                "safe-search.toml:9: [engines] needs `source`",
                "safe-search.toml:12: \"-\" is not a name: label begins or ends with a hyphen",
            ]
        );
    }
}
