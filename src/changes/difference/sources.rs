//! What changes in which lists are taken, from where, and what they mean.
//!
//! A list is another's work, fetched again and again: whether it will have what
//! it has can only be said where nothing about it changes. Limits are no
//! exception, for a limit that is never met keeps a list out.

use super::words::{category, counted, quoted};
use super::{Effect, Part};
use crate::lists::lookup::{Class, Scope};
use crate::lists::source::{Format, Origin, SourceSpec};

/// The parts that are about lists.
pub(super) fn parts(before: &[SourceSpec], after: &[SourceSpec], parts: &mut Vec<Part>) {
    for new in after {
        if let Some(old) = before.iter().find(|old| old.id == new.id) {
            let mut changes = Changes { new, parts };
            changes.of_meaning(old);
            changes.of_origin(old);
            changes.of_limits(old);
        } else {
            let words = format!("the list {} is used as well", whole(new));
            parts.push(Part::new(Effect::Tightens, words));
        }
    }
    for gone in before {
        if after.iter().all(|new| new.id != gone.id) {
            let words = format!("the list {} is no longer used", whole(gone));
            parts.push(Part::new(Effect::Loosens, words));
        }
    }
}

/// "ut1-gambling (gambling)".
fn whole(source: &SourceSpec) -> String {
    let class = match source.class {
        Class::Category => "",
        Class::Mandatory => ", which nobody can lift",
    };
    format!("{} ({}{class})", source.id, category(source.category))
}

/// What changes in one list.
struct Changes<'p> {
    new: &'p SourceSpec,
    parts: &'p mut Vec<Part>,
}

impl Changes<'_> {
    fn add(&mut self, differs: bool, effect: Effect, words: impl Into<String>) {
        if differs {
            let words = format!("the list {} {}", self.new.id, words.into());
            self.parts.push(Part::new(effect, words));
        }
    }

    fn of_meaning(&mut self, old: &SourceSpec) {
        let new = self.new;
        let (was, is) = (category(old.category), category(new.category));
        let words = format!("is for {is} instead of {was}");
        self.add(old.category != new.category, Effect::Loosens, words);
        let (effect, words) = match new.class {
            Class::Mandatory => (Effect::Tightens, "can be lifted by nobody any more"),
            Class::Category => (Effect::Loosens, "is no longer one that nobody can lift"),
        };
        self.add(old.class != new.class, effect, words);
        let words = format!(
            "is read as {} instead of {}",
            kind(new.format),
            kind(old.format)
        );
        self.add(old.format != new.format, Effect::Loosens, words);
        let (effect, words) = match (old.reach, new.reach) {
            (_, Scope::Subtree) => (Effect::Tightens, "means everything below its names too"),
            _ => (
                Effect::Loosens,
                "means its names alone, and nothing below them",
            ),
        };
        self.add(old.reach != new.reach, effect, words);
        let (effect, words) = if new.allow_tld {
            (Effect::Tightens, "may cover a whole top-level domain")
        } else {
            (
                Effect::Loosens,
                "may no longer cover a whole top-level domain",
            )
        };
        self.add(old.allow_tld != new.allow_tld, effect, words);
        let words = if new.several_a_line {
            "is read with several names in a line"
        } else {
            "is read with one name in a line"
        };
        self.add(
            old.several_a_line != new.several_a_line,
            Effect::Loosens,
            words,
        );
    }

    fn of_origin(&mut self, old: &SourceSpec) {
        let new = self.new;
        let words = format!(
            "is taken from {} instead of {}",
            place(&new.origin),
            place(&old.origin)
        );
        self.add(
            !is_same_place(&old.origin, &new.origin),
            Effect::Loosens,
            words,
        );
        let licence = |source: &SourceSpec| quoted(source.licence.as_deref().unwrap_or_default());
        let words = format!(
            "is published under {} instead of {}",
            licence(new),
            licence(old)
        );
        self.add(old.licence != new.licence, Effect::Neither, words);
        let words = "is believed by another checksum than before";
        self.add(old.sha256 != new.sha256, Effect::Loosens, words);
        let words = "is believed by another signature than before";
        self.add(old.minisign_key != new.minisign_key, Effect::Loosens, words);
        // A list that has died is found by it.
        let effect = match old.test_host {
            None => Effect::Neither,
            Some(_) => Effect::Loosens,
        };
        let words = "is tested by another name than before";
        self.add(old.test_host != new.test_host, effect, words);
    }

    fn of_limits(&mut self, old: &SourceSpec) {
        // Whatever else a list comes to have must be thought of here.
        let SourceSpec {
            id: _,
            category: _,
            class: _,
            format: _,
            origin: _,
            licence: _,
            reach: _,
            sha256: _,
            minisign_key: _,
            test_host: _,
            allow_tld: _,
            several_a_line: _,
            min_entries,
            max_shrink,
            max_bytes,
            max_lines,
        } = *self.new;
        let words = format!(
            "is believed with {} or more, instead of {}",
            names(min_entries),
            names(old.min_entries)
        );
        self.add(old.min_entries != min_entries, Effect::Loosens, words);
        let percent = |share: f64| (share * 1000.0).round() / 10.0;
        let words = format!(
            "may lose {} per cent of its names at once instead of {}",
            percent(max_shrink),
            percent(old.max_shrink)
        );
        let differs = old.max_shrink.to_bits() != max_shrink.to_bits();
        self.add(differs, Effect::Loosens, words);
        for (was, is, what) in [
            (old.max_bytes, max_bytes, "bytes"),
            (old.max_lines, max_lines, "lines"),
        ] {
            let effect = if is > was {
                Effect::Neither
            } else {
                Effect::Loosens
            };
            let words = format!("may have {is} {what} instead of {was}");
            self.add(was != is, effect, words);
        }
    }
}

fn names(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "name")
}

fn kind(format: Format) -> &'static str {
    match format {
        Format::Domains => "names",
        Format::Hosts => "a hosts file",
        Format::Adblock => "rules of an advert blocker",
        Format::Rpz => "a response policy zone",
        Format::Urls => "addresses of pages",
        Format::Addresses => "network addresses",
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Url(url) => url.clone(),
        Origin::File(file) => format!("the file {}", file.display()),
        Origin::Shipped { name, .. } => format!("what comes with the program ({name})"),
    }
}

/// What is shipped is the same by its name: another version of the program has
/// its own.
fn is_same_place(was: &Origin, is: &Origin) -> bool {
    match (was, is) {
        (Origin::Shipped { name: was, .. }, Origin::Shipped { name: is, .. }) => was == is,
        (was, is) => was == is,
    }
}
