//! What leaves on paper, from the outside: the verb `report`, the files it
//! writes, and what others can tell of them without our program.

use std::path::Path;
use std::process::Output;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::dashboard::seed::{self, Log};
use crate::serve::school::Folder;

mod asking;
mod bundles;
mod erasing;
mod holding;
mod numbers;
mod paging;

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

/// A moment some hours ago, on a whole second.
fn hours_ago(hours: i64) -> Timestamp {
    let now = Timestamp::now() - SignedDuration::from_hours(hours);
    Timestamp::from_second(now.as_second()).unwrap()
}

/// A school with a few rows of two devices, and a mandatory hit.
fn few_rows() -> Folder {
    let folder = seed::plan().write();
    let mut log = Log::new(&folder, &london());
    log.visit(hours_ago(3), seed::TRIED, "self_harm", seed::TRIED_SITE, 3);
    log.visit(hours_ago(2), "ipad-7a-01", "games", "blockworld.example", 2);
    log.visit(hours_ago(2), seed::TRIED, "games", "blockworld.example", 1);
    log.mandatory(hours_ago(1), seed::TRIED, seed::MANDATORY);
    log.write(Timestamp::now());
    folder
}

/// What a run said, which must have gone well.
fn fine(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a run refused, in its own words.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What `record` has of these deeds.
fn deeds(folder: &Folder, what: &str) -> Vec<serde_json::Value> {
    let path = folder.state().join("record/access.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all = text.lines().map(|line| serde_json::from_str(line).unwrap());
    all.filter(|deed: &serde_json::Value| deed["what"] == what)
        .collect()
}

/// Whether the bytes of `text` stand in any file below `folder`.
fn stands_below(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(stands_below(&path, text));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if memchr::memmem::find(&bytes, text.as_bytes()).is_some() {
            found.push(path.display().to_string());
        }
    }
    found
}
