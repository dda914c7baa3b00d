//! What the code may not do, as tests: who may use whom, what stands where, and
//! that ARCHITECTURE.md tells the truth.
//!
//! They read the source as text. Where a rule is in the way of something right,
//! change its row here and ARCHITECTURE.md in the same commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom: a module (with all below it, unless a longer row speaks of
/// it) and what else of ours it may name. Its own folder it may always use, and
/// everybody `name` and `mac`. Whoever has no row assembles, and may use all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("name", &[]),
    ("mac", &[]),
    ("document", &[]),
    ("limiter", &[]),
    ("lists", &["document"]),
    ("lists/category", &[]),
    ("lists/ancestors", &[]),
    ("lists/exact", &["lists/ancestors"]),
    (
        "lists/lookup",
        &[
            "lists/addresses",
            "lists/ancestors",
            "lists/category",
            "lists/exact",
            "lists/table",
        ],
    ),
    ("lists/table", &[]),
    ("lists/addresses", &[]),
    ("lists/outside", &[]),
    (
        "policy",
        &[
            "document",
            "lists/category",
            "lists/lookup",
            "devices/inventory",
        ],
    ),
    ("policy/decision", &["lists/category"]),
    ("policy/timetable", &[]),
    ("devices", &["document"]),
    ("devices/edns", &[]),
    (
        "querylog",
        &["document", "limiter", "policy/decision", "lists/category"],
    ),
    ("querylog/event", &["policy/decision", "lists/category"]),
    (
        "metrics",
        &[
            "policy/decision",
            "lists/category",
            "querylog/health",
            "status",
        ],
    ),
    ("settings", &["document", "devices/leases", "policy/group"]),
    (
        "configuration",
        &[
            "document",
            "settings",
            "policy",
            "devices/inventory",
            "dns/streams/certificate",
            "lists/lookup",
            "lists/source",
        ],
    ),
    (
        "changes",
        &[
            "document",
            "configuration",
            "devices/inventory",
            "limiter",
            "lists",
            "people/role",
            "policy",
            "record",
        ],
    ),
    // The words on the resolver's socket.
    ("changes/ask", &["configuration", "status"]),
    (
        "changes/rehearsal",
        &[
            "document",
            "policy",
            "lists/admit",
            "lists/category",
            "lists/durable",
        ],
    ),
    // Of all that puts policies in force, what is only looked at reads the log.
    (
        "changes/rehearsal/replay",
        &["changes/rehearsal", "policy", "querylog"],
    ),
    ("changes/rehearsal/who", &["policy", "querylog/day_file"]),
    ("dns/question", &["devices/edns", "dns"]),
    ("dns/reply", &["dns", "devices/edns", "policy/decision"]),
    ("dns/local", &["dns"]),
    ("dns/answer", &["dns"]),
    (
        "dns",
        &[
            "policy",
            "devices",
            "limiter",
            "lists/lookup",
            "querylog/event",
            "querylog/recorder",
            "metrics",
        ],
    ),
    ("lists/durable", &[]),
    ("record", &["lists/durable"]),
    (
        "status",
        &[
            "lists/lookup",
            "lists/report",
            "lists/store",
            "querylog/health",
        ],
    ),
    ("people/role", &[]),
    ("people", &["lists/durable", "record", "settings"]),
    (
        "incidents",
        &[
            "lists/category",
            "lists/durable",
            "people/role",
            "policy",
            "querylog",
        ],
    ),
    (
        "alerts",
        &[
            // To read; they ask for nothing.
            "changes/activation",
            "changes/change",
            "changes/difference",
            "changes/kept",
            "changes/ledger",
            "changes/news",
            "changes/proposal",
            "changes/rehearsal",
            "changes/signatory",
            "incidents",
            "lists/category",
            "lists/durable",
            "lists/report",
            "people/role",
            "policy",
            "querylog",
            "record",
            "reports",
            "settings",
            "status",
        ],
    ),
    ("requests", &["limiter", "lists/durable"]),
    (
        "reports",
        &[
            // Of the alerts only what they hold about one device.
            "alerts/personal",
            "configuration",
            "changes/activation",
            "changes/kept",
            "changes/ledger",
            "changes/news",
            "changes/proposal",
            "devices/inventory",
            "document",
            "incidents",
            "lists",
            "people",
            "policy",
            "querylog",
            "record",
            "requests",
            "settings",
            "standing",
            "status",
        ],
    ),
    (
        "standing",
        &[
            "changes/edited",
            "changes/kept",
            "configuration",
            "document",
        ],
    ),
];

/// Where alone a text may stand. Tests are not looked at.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("live.swap(", &["changes/activation"]),
    ("&Event {", &["dns/pipeline"]),
    (
        "hickory_",
        &["dns/local", "dns/upstream", "lists/outside", "selftest/ask"],
    ),
    ("quinn::", &["dns/streams", "dns/upstream/lines"]),
    ("h3::", &["dns/streams"]),
    ("ureq", &["alerts", "lists/fetch", "lists/outside"]),
    (
        "rusqlite",
        &["alerts", "incidents", "people", "querylog", "requests"],
    ),
    ("maud", &["dashboard"]),
    ("plotters", &["dashboard/chart"]),
    ("lettre", &["alerts"]),
    (
        "std::fs",
        &[
            "alerts",
            "appliance",
            "changes",
            "configuration",
            "dashboard",
            "devices/leases",
            "history",
            "incidents",
            "lists/compile",
            "lists/durable",
            "lists/fetch",
            "lists/generation",
            "lists/load",
            "lists/mandatory",
            "lists/refresh",
            "lists/report",
            "lists/sample",
            "lists/source",
            "lists/store",
            "people",
            "profile",
            "querylog",
            "record",
            "reports",
            "requests",
            "selftest/record",
            "settings",
            "terminal",
        ],
    ),
    (
        "Timestamp::now",
        &["main", "alerts", "appliance", "dashboard", "dns/worker"],
    ),
];

/// What may not stand in a place. Tests are not looked at.
const NOT_IN: &[(&str, &[&str])] = &[
    ("policy", &["tracing", "Instant::now", "SystemTime::now"]),
    ("lists/lookup", &["tracing", "File::", "Mutex"]),
    ("lists/table", &["tracing", "File::", "Mutex", "unsafe"]),
    ("dns/question", &["tracing", "Instant::now"]),
    ("dns/reply", &["tracing", "Instant::now"]),
    ("dns/pipeline", &["tracing", "Instant::now"]),
    // The process that answers DNS parses no download (promise 7).
    ("dns", &["lists::parse", "lists::fetch", "lists::refresh"]),
    (
        "appliance",
        &["lists::parse", "lists::fetch", "lists::refresh"],
    ),
    (
        "changes",
        &["lists::parse", "lists::fetch", "lists::refresh"],
    ),
    // Nor does it read the query log: a replay is for who looks at a change.
    ("appliance", &["rehearse("]),
    ("changes/activation", &["rehearse("]),
    // No page can change what is in force.
    ("dashboard", &["Activation::", ".activate("]),
    ("alerts", &["Activation::", ".activate("]),
    ("metrics", &["NameRef", "IpAddr"]),
    ("", &["TODO", "FIXME", "todo!", "unimplemented!", "#[allow"]),
];

/// A file may have so many lines; over it there is a second idea in it.
const MOST_LINES: usize = 500;

struct Module {
    /// `policy/decide`; `mod.rs` is its folder.
    path: String,
    text: String,
}

impl Module {
    fn is_in(&self, place: &str) -> bool {
        is_below(&self.path, place)
    }

    /// Without its tests.
    fn code(&self) -> &str {
        self.text
            .find("#[cfg(test)]\nmod ")
            .map_or(&self.text, |end| &self.text[..end])
    }

    /// Its code without comments.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code().lines().enumerate();
        lines
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// What of ours it names, as `policy/decision`.
    fn uses(&self) -> BTreeSet<String> {
        let text: String = self
            .lines()
            .map(|(_, line)| line.to_owned() + "\n")
            .collect();
        let uses = text.split("crate::").skip(1);
        uses.map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == ':'));
            let path = rest[..end.unwrap_or(rest.len())].trim_end_matches(':');
            path.replace("::", "/")
        })
        .filter(|path| !path.is_empty())
        .collect()
    }
}

fn is_below(path: &str, place: &str) -> bool {
    place.is_empty()
        || path
            .strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn modules() -> Vec<Module> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    files.sort();
    assert!(files.len() > 50, "where is the source?");
    let module = |file: PathBuf| {
        let path = file.strip_prefix(&src).unwrap().with_extension("");
        let path = path.to_str().unwrap();
        Module {
            path: path.strip_suffix("/mod").unwrap_or(path).to_owned(),
            text: fs::read_to_string(file).unwrap(),
        }
    };
    files.into_iter().map(module).collect()
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_module_uses_only_what_it_may() {
    let mut wrong = Vec::new();
    for module in modules() {
        let rows = MAY_USE.iter().filter(|(of, _)| module.is_in(of));
        let Some((of, may)) = rows.max_by_key(|(of, _)| of.len()) else {
            continue;
        };
        for used in module.uses() {
            let for_all = ["name", "mac", of];
            let allowed = may.iter().chain(&for_all);
            if !allowed.clone().any(|place| is_below(&used, place)) {
                wrong.push(format!("{} may not use {used}", module.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn what_has_its_place_is_nowhere_else() {
    let mut wrong = Vec::new();
    for module in modules() {
        for &(text, places) in ONLY_IN {
            if places.iter().any(|place| module.is_in(place)) {
                continue;
            }
            let here = module.lines().filter(|(_, line)| line.contains(text));
            wrong.extend(here.map(|(at, _)| format!("{}:{at}: {text}", module.path)));
        }
    }
    none(&wrong);
    // A rule that nothing meets is no rule.
    for &(text, places) in ONLY_IN {
        for place in places {
            let met = modules()
                .iter()
                .any(|m| m.is_in(place) && m.code().contains(text));
            let folder = root().join("src").join(place);
            let is_there = folder.is_dir() || folder.with_extension("rs").is_file();
            assert!(is_there, "{text}: there is no {place}");
            assert!(met || *place != places[0], "{text} is not in {place}");
        }
    }
}

#[test]
fn what_is_banned_from_a_place_is_not_there() {
    let mut wrong = Vec::new();
    for module in modules() {
        for &(place, texts) in NOT_IN {
            if !module.is_in(place) {
                continue;
            }
            for text in texts {
                let here = module.code().lines().enumerate();
                let here = here.filter(|(_, line)| line.contains(text));
                wrong.extend(here.map(|(at, _)| format!("{}:{}: {text}", module.path, at + 1)));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_module_begins_by_saying_what_it_is() {
    let silent = modules()
        .into_iter()
        .filter(|m| !m.text.starts_with("//! "));
    none(&silent.map(|m| m.path).collect::<Vec<_>>());
}

#[test]
fn no_file_is_too_long() {
    let long = modules().into_iter();
    let long = long.map(|m| (m.text.lines().count(), m.path));
    let long = long.filter(|(lines, _)| *lines > MOST_LINES);
    none(
        &long
            .map(|(n, path)| format!("{path}: {n} lines"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_module_is_a_drawer() {
    let drawers = [
        "utils", "util", "common", "manager", "helpers", "helper", "misc",
    ];
    let is_one = |m: &Module| m.path.split('/').any(|part| drawers.contains(&part));
    none(
        &modules()
            .into_iter()
            .filter(is_one)
            .map(|m| m.path)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_folder_is_in_the_map() {
    let map = architecture();
    let all = modules();
    let folders = all.iter().filter_map(|m| m.path.rsplit_once('/'));
    let missing = folders
        .map(|(folder, _)| format!("{folder}/`"))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|folder| !map.contains(folder));
    none(&missing.collect::<Vec<_>>());
}

/// The promises are a table in ARCHITECTURE.md: `| 1 | promise | tests |`, each
/// test as `` `name` ``.
#[test]
fn every_promise_names_a_test_that_exists() {
    let map = architecture();
    let rows = map.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let number = cells.next()?.parse::<u32>().ok()?;
        Some((number, cells.next()?, cells.next()?))
    });
    let rows: Vec<_> = rows.collect();
    let numbers: Vec<u32> = rows.iter().map(|row| row.0).collect();
    assert_eq!(numbers, (1..=13).collect::<Vec<_>>());
    let tests = tests();
    let mut wrong = Vec::new();
    for (number, _, named) in rows {
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            wrong.push(format!("promise {number} names no test"));
        }
        let missing = names.iter().filter(|name| !tests.contains(**name));
        wrong.extend(missing.map(|name| format!("promise {number}: there is no test {name}")));
    }
    none(&wrong);
}

/// The names of all functions that are tests.
fn tests() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                for part in text.split("#[test]").skip(1) {
                    let name = part.split_once("fn ").map_or("", |(_, rest)| rest);
                    let end = name.find('(').unwrap_or(0);
                    found.insert(name[..end].to_owned());
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&root().join("src"), &mut found);
    walk(&root().join("tests"), &mut found);
    found
}
