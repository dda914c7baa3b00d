//! The shipped list of ways round the filter: all of it is in force, and what a
//! school needs is not in it.

use std::collections::HashSet;
use std::path::Path;

use schoolgate::lists::admit::{MustResolve, SHIPPED};
use schoolgate::lists::parse::parse;
use schoolgate::lists::source::{self, Origin, SourceSpec};

use super::support::{Place, domains, name};

/// What a class uses, what devices cannot do without, and the doors that the
/// canaries watch: the list has none of them.
const NEEDED: [&str; 32] = [
    "google.com",
    "www.google.co.uk",
    "accounts.google.com",
    "connectivitycheck.gstatic.com",
    "developers.google.com",
    "youtube.com",
    "cloudflare.com",
    "www.cloudflare.com",
    "cdnjs.cloudflare.com",
    "developers.cloudflare.com",
    "time.cloudflare.com",
    "apple.com",
    "captive.apple.com",
    "icloud.com",
    "mask-api.icloud.com",
    "mask.icloud.com",
    "mozilla.org",
    "addons.mozilla.org",
    "firefox.com",
    "opera.com",
    "brave.com",
    "microsoft.com",
    "www.msftconnecttest.com",
    "login.microsoftonline.com",
    "proton.me",
    "opendns.com",
    "quad9.net",
    "github.com",
    "eff.org",
    "wikimedia.org",
    "bt.com",
    "yandex.net",
];

fn bypass() -> (SourceSpec, &'static str) {
    let specs = source::parse("sources.toml", source::SHIPPED, Path::new(".")).unwrap();
    let spec = specs.into_iter().find(|spec| spec.id == "bypass").unwrap();
    let Origin::Shipped { text, .. } = spec.origin else {
        panic!("{:?}", spec.origin);
    };
    (spec, text)
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn every_line_of_the_bypass_list_is_read_and_says_something() {
    let (spec, text) = bypass();
    let must_resolve = MustResolve::parse(SHIPPED).unwrap();
    let parsed = parse(&spec, &must_resolve, text.as_bytes()).unwrap();
    let tally = &parsed.tally;
    assert_eq!(tally.entries as usize, entries(text).count());
    assert_eq!((tally.complaints, tally.duplicates), (0, 0));
    assert_eq!((tally.quarantined, tally.covers_must_resolve), (0, 0));
    let all: HashSet<&str> = entries(text).collect();
    for entry in &all {
        let above = entry.match_indices('.').map(|(dot, _)| &entry[dot + 1..]);
        for above in above {
            assert!(!all.contains(above), "{entry} is below {above} already");
        }
    }
}

#[test]
fn the_bypass_list_is_in_force_and_covers_nothing_a_school_needs() {
    let (_, text) = bypass();
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("bypass", "bypass", "shipped = \"bypass.txt\""),
    );
    let said = place.refresh();
    assert!(
        said.contains(&format!("{} names", entries(text).count())),
        "{said}"
    );
    let lists = place.lists();
    let is_covered = |text: &str| !lists.covering(name(text).as_ref()).is_empty();
    for entry in entries(text) {
        assert!(is_covered(entry), "{entry}");
        assert!(is_covered(&format!("x.{entry}")), "below {entry}");
    }
    let must_resolve = MustResolve::parse(SHIPPED).unwrap();
    let must_resolve: Vec<_> = must_resolve
        .names()
        .iter()
        .map(ToString::to_string)
        .collect();
    let hosts = source::SHIPPED.lines().filter_map(|line| {
        let url = line.strip_prefix("url = \"https://")?;
        url.split('/').next()
    });
    let needed = must_resolve
        .iter()
        .map(String::as_str)
        .chain(NEEDED)
        .chain(hosts);
    for needed in needed {
        assert!(!is_covered(needed), "{needed}");
    }
    // A second refresh finds it as it was.
    assert!(place.refresh().contains("bypass"));
    assert!(place.is_listed("dns.google"));
}
