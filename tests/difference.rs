//! What a change means, in words and by its effect.
//!
//! `tests/difference/*.txt` are changes to the school in `tests/difference/school`
//! as a person would type them, and below each what a headteacher is told:
//! `FILE`, lines taken out (`-`) and put in (`+`; at the end of the file, if none
//! is taken out), then the parts. `SCHOOLGATE_WRITE_GOLDEN=1` writes the parts
//! anew.

use std::path::{Path, PathBuf};

use schoolgate::changes::difference::{Effect, between};
use schoolgate::configuration::PolicyTexts;

mod proof;
mod school;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/difference")
}

fn school() -> PolicyTexts {
    let text = |name: &str| std::fs::read_to_string(folder().join("school").join(name)).unwrap();
    PolicyTexts {
        policy: text("policy.toml"),
        devices: text("devices.csv"),
        canaries: text("canaries.toml"),
        safe_search: text("safe-search.toml"),
        sources: text("sources.toml"),
        added: String::new(),
    }
}

fn file<'t>(texts: &'t mut PolicyTexts, name: &str) -> Option<&'t mut String> {
    Some(match name {
        "policy.toml" => &mut texts.policy,
        "devices.csv" => &mut texts.devices,
        "canaries.toml" => &mut texts.canaries,
        "safe-search.toml" => &mut texts.safe_search,
        "sources.toml" => &mut texts.sources,
        "added" => &mut texts.added,
        _ => return None,
    })
}

/// Takes `gone` out of the text, which has it once, and puts `new` in its place.
fn edit(text: &mut String, gone: &str, new: &str) {
    if gone.is_empty() {
        text.push_str(new);
        return;
    }
    assert_eq!(text.matches(gone).count(), 1, "not there once:\n{gone}");
    *text = text.replace(gone, new);
}

/// The school after the edits of one case.
fn edited(case: &str) -> PolicyTexts {
    let mut texts = school();
    let (mut name, mut gone, mut new) = (String::new(), String::new(), String::new());
    let mut lines = case
        .lines()
        .filter(|line| !line.starts_with('#'))
        .peekable();
    while let Some(line) = lines.next() {
        if file(&mut texts, line).is_some() {
            line.clone_into(&mut name);
        } else if let Some(rest) = line.strip_prefix('-') {
            gone.extend([rest.strip_prefix(' ').unwrap_or(rest), "\n"]);
        } else if let Some(rest) = line.strip_prefix('+') {
            new.extend([rest.strip_prefix(' ').unwrap_or(rest), "\n"]);
        }
        let ends = |next: &&str| {
            let after_new = !new.is_empty() && !next.starts_with('+');
            after_new || !next.starts_with(['-', '+'])
        };
        if (!gone.is_empty() || !new.is_empty()) && lines.peek().is_none_or(ends) {
            let text = file(&mut texts, &name).expect("a file is named first");
            edit(text, &std::mem::take(&mut gone), &std::mem::take(&mut new));
        }
    }
    texts
}

fn told(before: &PolicyTexts, after: &PolicyTexts) -> String {
    let typed = |texts: &PolicyTexts| match texts.typed() {
        Ok(typed) => typed,
        Err(all) => {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            panic!("{}", all.join("\n"))
        }
    };
    let parts = between(&typed(before), &typed(after));
    if parts.is_empty() {
        return "  only remarks\n".to_owned();
    }
    let lines = parts.iter().map(|part| {
        let effect = match part.effect {
            Effect::Loosens => "loosens",
            Effect::Tightens => "tightens",
            Effect::Neither => "neither",
        };
        format!("  {effect:<9} {}\n", part.words)
    });
    lines.collect()
}

/// Cases are set apart by `====`.
fn check(name: &str) {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let before = school();
    let mut written = Vec::new();
    for case in text.split("====\n") {
        let edits = case.lines().filter(|line| !line.starts_with("  "));
        let edits = edits.collect::<Vec<_>>().join("\n");
        let edits = edits.trim_end();
        written.push(format!("{edits}\n{}", told(&before, &edited(edits))));
    }
    let written = written.join("====\n");
    if std::env::var_os("SCHOOLGATE_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
        return;
    }
    for (is, should) in written.split("====\n").zip(text.split("====\n")) {
        assert_eq!(is, should, "in {name}");
    }
}

#[test]
fn exceptions_are_told() {
    check("exceptions.txt");
}

#[test]
fn rules_of_groups_are_told() {
    check("groups.txt");
}

#[test]
fn times_are_told() {
    check("times.txt");
}

#[test]
fn who_is_who_is_told() {
    check("devices.txt");
}

#[test]
fn who_is_told_of_what_is_told() {
    check("alerts.txt");
}

#[test]
fn lists_and_tables_are_told() {
    check("lists.txt");
}
