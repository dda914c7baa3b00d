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
    let named = |all: &[SourceSpec], id: &str| all.iter().position(|source| source.id == id);
    for new in after {
        match named(before, &new.id).and_then(|at| before.get(at)) {
            Some(old) => altered(old, new, parts),
            None => {
                let words = format!("the list {} is used as well", whole(new));
                parts.push(Part::new(Effect::Tightens, words));
            }
        }
    }
    for gone in before.iter().filter(|old| named(after, &old.id).is_none()) {
        let words = format!("the list {} is no longer used", whole(gone));
        parts.push(Part::new(Effect::Loosens, words));
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

fn altered(old: &SourceSpec, new: &SourceSpec, parts: &mut Vec<Part>) {
    let mut add = |differs: bool, effect, words: String| {
        if differs {
            parts.push(Part::new(effect, format!("the list {} {words}", new.id)));
        }
    };
    // Whatever is added to a list's facts must be thought of here.
    let SourceSpec {
        id: _,
        category: listed_for,
        class,
        format,
        origin,
        licence,
        reach,
        min_entries,
        max_shrink,
        sha256,
        minisign_key,
        test_host,
        allow_tld,
        several_a_line,
        max_bytes,
        max_lines,
    } = new;
    let (was, is) = (category(old.category), category(*listed_for));
    add(
        old.category != *listed_for,
        Effect::Loosens,
        format!("is for {is} instead of {was}"),
    );
    let (effect, words) = match class {
        Class::Mandatory => (Effect::Tightens, "can be lifted by nobody any more"),
        Class::Category => (Effect::Loosens, "is no longer one that nobody can lift"),
    };
    add(old.class != *class, effect, words.to_owned());
    let words = format!(
        "is read as {} instead of {}",
        kind(*format),
        kind(old.format)
    );
    add(old.format != *format, Effect::Loosens, words);
    let words = format!(
        "is taken from {} instead of {}",
        place(origin),
        place(&old.origin)
    );
    add(!is_same_place(&old.origin, origin), Effect::Loosens, words);
    let words = format!(
        "is published under {} instead of {}",
        said(licence.as_deref()),
        said(old.licence.as_deref())
    );
    add(old.licence != *licence, Effect::Neither, words);
    let (effect, words) = match (old.reach, reach) {
        (Scope::Exact | Scope::Below, Scope::Subtree) => {
            (Effect::Tightens, "means everything below its names too")
        }
        _ => (
            Effect::Loosens,
            "means its names alone, and nothing below them",
        ),
    };
    add(old.reach != *reach, effect, words.to_owned());
    let entries = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "name");
    let words = format!(
        "is only taken with at least {} instead of {}",
        entries(*min_entries),
        entries(old.min_entries)
    );
    add(old.min_entries != *min_entries, Effect::Loosens, words);
    let percent = |share: f64| format!("{}", (share * 1000.0).round() / 10.0);
    let words = format!(
        "may lose {} per cent of its names at once instead of {}",
        percent(*max_shrink),
        percent(old.max_shrink)
    );
    let differs = old.max_shrink.to_bits() != max_shrink.to_bits();
    add(differs, Effect::Loosens, words);
    let words = "must be another file than before, by its checksum".to_owned();
    add(old.sha256 != *sha256, Effect::Loosens, words);
    let words = "must be signed with another key than before".to_owned();
    add(old.minisign_key != *minisign_key, Effect::Loosens, words);
    let effect = match old.test_host {
        None => Effect::Neither,
        Some(_) => Effect::Loosens,
    };
    let words = "is tested by another name than before".to_owned();
    add(old.test_host != *test_host, effect, words);
    let (effect, words) = if *allow_tld {
        (Effect::Tightens, "may cover a whole top-level domain")
    } else {
        (
            Effect::Loosens,
            "may no longer cover a whole top-level domain",
        )
    };
    add(old.allow_tld != *allow_tld, effect, words.to_owned());
    let words = if *several_a_line {
        "is read with several names in a line"
    } else {
        "is read with one name in a line"
    };
    add(
        old.several_a_line != *several_a_line,
        Effect::Loosens,
        words.to_owned(),
    );
    for (was, is, what) in [
        (old.max_bytes, *max_bytes, "bytes"),
        (old.max_lines, *max_lines, "lines"),
    ] {
        let effect = if is > was {
            Effect::Neither
        } else {
            Effect::Loosens
        };
        add(
            was != is,
            effect,
            format!("may have {is} {what} instead of {was}"),
        );
    }
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

fn said(text: Option<&str>) -> String {
    quoted(text.unwrap_or_default())
}
