//! Lists, from text to answers.
//!
//! `lists/*.txt` are lists whose first lines declare how to read them; beside
//! each stands what must come of it, as `*.golden`. Run with
//! `SCHOOLGATE_WRITE_GOLDEN=1` to write them anew, and read the difference.

mod bypass;
mod fetch;
mod index;
mod refresh;
mod support;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use schoolgate::lists::addresses::AddressRange;
use schoolgate::lists::admit::{MustResolve, SHIPPED};
use schoolgate::lists::names::readable;
use schoolgate::lists::parse::{Parsed, Refusal, parse};
use schoolgate::lists::source::{self, SourceSpec};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lists")
}

#[test]
fn every_list_becomes_what_stands_beside_it() {
    let write = std::env::var_os("SCHOOLGATE_WRITE_GOLDEN").is_some();
    let must_resolve = MustResolve::parse(SHIPPED).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "txt") {
            continue;
        }
        count += 1;
        let text = fs::read(&path).unwrap();
        let spec = declared(&text);
        let got = shown(parse(&spec, &must_resolve, &text[..]));
        let golden = path.with_extension("golden");
        if write {
            fs::write(&golden, &got).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(got, expected, "{}", path.display());
    }
    assert!(count >= 19, "only {count} lists found");
}

/// The source that one of the first lines declares, keys parted by `;`.
fn declared(text: &[u8]) -> SourceSpec {
    let text = String::from_utf8_lossy(text);
    let line = text
        .lines()
        .take(5)
        .find_map(|l| l.split_once("source: "))
        .unwrap()
        .1;
    let keys = line.trim_end_matches("-->").trim().replace("; ", "\n");
    let toml = format!("[[source]]\nid = \"list\"\nfile = \"-\"\n{keys}\n");
    source::parse("sources.toml", &toml, Path::new("."))
        .unwrap()
        .remove(0)
}

fn shown(parsed: Result<Parsed, Refusal>) -> String {
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(why) => return format!("refused: {why}\n"),
    };
    let mut text = String::new();
    for (key, scope) in parsed.names.iter() {
        let scope = format!("{scope:?}").to_lowercase();
        writeln!(text, "{scope:<8} {}", readable(key)).unwrap();
    }
    for AddressRange { first, last } in &parsed.addresses {
        let [first, last] = [first, last].map(|n| std::net::Ipv6Addr::from_bits(*n).to_canonical());
        writeln!(text, "address  {first} - {last}").unwrap();
    }
    for complaint in &parsed.complaints {
        writeln!(text, "line {}: {}", complaint.line, complaint.reason).unwrap();
    }
    for kept in &parsed.quarantine {
        writeln!(
            text,
            "line {}: quarantine: {} covers {}",
            kept.line, kept.name, kept.protects
        )
        .unwrap();
    }
    let tally = &parsed.tally;
    let out = tally.comments
        + tally.entries
        + tally.duplicates
        + tally.complaints
        + tally.needs_url_filter
        + tally.quarantined;
    assert_eq!(
        tally.lines + tally.further,
        out,
        "every line is accounted for: {tally:?}"
    );
    assert_eq!(tally.complaints, tally.reasons.values().sum::<u64>());
    writeln!(
        text,
        "{} lines and {} further words: {} comments, {} entries, {} duplicates, {} complaints, \
         {} need a URL filter, {} in quarantine",
        tally.lines,
        tally.further,
        tally.comments,
        tally.entries,
        tally.duplicates,
        tally.complaints,
        tally.needs_url_filter,
        tally.quarantined
    )
    .unwrap();
    if tally.covers_must_resolve > 0 {
        writeln!(
            text,
            "{} cover a name that must resolve",
            tally.covers_must_resolve
        )
        .unwrap();
    }
    text
}

#[test]
fn a_line_that_is_too_long_costs_that_line_only() {
    // L45
    let text = format!(
        "# source: category = \"games\"; format = \"domains\"; match = \"subtree\"\n\
         before.example\n{}.example\nafter.example\n",
        "x".repeat(70 * 1024)
    );
    let parsed = parse(
        &declared(text.as_bytes()),
        &MustResolve::default(),
        text.as_bytes(),
    )
    .unwrap();
    assert!(parsed.tally.degraded);
    assert_eq!(parsed.tally.entries, 2);
    assert_eq!(parsed.complaints[0].line, 3);
    assert_eq!(parsed.complaints[0].reason, "line over 4096 bytes");
}

#[test]
fn limits_end_a_list() {
    // R-133e
    let list = |keys: &str| {
        declared(
            format!(
                "# source: category = \"games\"; format = \"domains\"; match = \"exact\"; {keys}"
            )
            .as_bytes(),
        )
    };
    let text = "a.example\n".repeat(100);
    let read = |spec: &SourceSpec, bytes: &[u8]| {
        let text = schoolgate::lists::fetch::text(bytes);
        parse(spec, &MustResolve::default(), text).map(|p| p.tally.entries)
    };
    assert_eq!(read(&list("max_lines = 100"), text.as_bytes()).unwrap(), 1);
    let why = read(&list("max_lines = 99"), text.as_bytes()).unwrap_err();
    assert_eq!(why.to_string(), "it has over 99 lines");
    let packed = support::gzip(text.as_bytes());
    assert_eq!(read(&list("max_bytes = 1000"), &packed).unwrap(), 1);
    let why = read(&list("max_bytes = 999"), &packed).unwrap_err();
    assert_eq!(why.to_string(), "it has over 999 bytes");
    let why = read(&list("max_lines = 100"), &packed[..packed.len() - 9]).unwrap_err();
    assert!(matches!(why, Refusal::Damaged(_)), "{why}");
}

#[test]
fn sources_with_mistakes_say_all_of_them() {
    let text = fs::read_to_string(folder().join("bad-sources.toml")).unwrap();
    let complaints = source::parse("sources.toml", &text, Path::new(".")).unwrap_err();
    let said: String = complaints
        .iter()
        .fold(String::new(), |said, c| format!("{said}{c}\n"));
    let golden = folder().join("bad-sources.golden");
    if std::env::var_os("SCHOOLGATE_WRITE_GOLDEN").is_some() {
        fs::write(&golden, &said).unwrap();
    }
    assert_eq!(said, fs::read_to_string(golden).unwrap());
    let why = source::parse("s", "", Path::new(".")).unwrap_err();
    assert_eq!(
        why[0].to_string(),
        "s: names no list; it needs at least one [[source]]"
    );
}

#[test]
fn the_shipped_sources_are_whole() {
    let specs = source::parse("sources.toml", source::SHIPPED, Path::new(".")).unwrap();
    assert!(specs.len() >= 50);
    for spec in specs {
        // No file: a school without a sources.toml has none beside it either.
        let is_file = matches!(spec.origin, source::Origin::File(_));
        assert!(!is_file, "{}", spec.id);
        assert!(spec.licence.is_some(), "{}", spec.id);
    }
}
