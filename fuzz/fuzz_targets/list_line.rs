//! Any bytes as a list, in each format: the first byte chooses it.
//!
//! Beside not panicking: every line is accounted for.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use schoolgate::lists::admit::MustResolve;
use schoolgate::lists::parse::parse;
use schoolgate::lists::source::{self, SourceSpec};

const FORMATS: [&str; 6] = ["domains", "hosts", "addresses", "adblock", "rpz", "urls"];

static SPECS: LazyLock<Vec<SourceSpec>> = LazyLock::new(|| {
    let spec = |format: &str| {
        format!(
            "[[source]]\nid = \"{format}\"\ncategory = \"games\"\nformat = \"{format}\"\n\
             match = \"subtree\"\nfile = \"list.txt\"\n"
        )
        .replace(
            "format = \"addresses\"\nmatch = \"subtree\"",
            "format = \"addresses\"",
        )
    };
    let text = FORMATS.map(spec).concat();
    source::parse("sources.toml", &text, Path::new(".")).unwrap_or_else(|all| panic!("{all:?}"))
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, list)) = bytes.split_first() else {
        return;
    };
    let spec = &SPECS[usize::from(choice) % SPECS.len()];
    if let Ok(parsed) = parse(spec, &MustResolve::default(), list) {
        let tally = &parsed.tally;
        let went = tally.comments
            + tally.entries
            + tally.duplicates
            + tally.complaints
            + tally.needs_url_filter
            + tally.quarantined;
        assert_eq!(tally.lines + tally.further, went);
    }
});
