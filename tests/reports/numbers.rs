//! Digests and governors' numbers, as text, CSV, JSON and HTML.

use jiff::Timestamp;

use super::{fine, refused};
use crate::dashboard::seed;
use crate::serve::school::Folder;

const FORMS: [&[&str]; 4] = [&[], &["--csv"], &["--json"], &["--html"]];

fn school() -> Folder {
    seed::fortnight(&seed::plan(), Timestamp::now())
}

fn report(folder: &Folder, verb: &[&str]) -> String {
    fine(&folder.run(&[&["report"], verb].concat()))
}

#[test]
fn a_fortnight_in_numbers() {
    let folder = school();
    let now = Timestamp::now().to_zoned(super::london());
    // Yesterday may have been last week.
    let yesterday = now.yesterday().unwrap().date();
    let week = yesterday.iso_week_date();
    let week = format!("{:04}-W{:02}", week.year(), week.week());
    for form in FORMS {
        let said = report(&folder, &[&["weekly", "--week", &week], form].concat());
        for word in [seed::TRIED, "year-9"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        // A digest names no site.
        for site in ["hurt-diary", "adult-tube", "blockworld", seed::MANDATORY] {
            assert!(!said.contains(site), "{site}: {said}");
        }
    }
    let json = report(&folder, &["weekly", "--week", &week, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["mandatory"]["now"], 1);
    assert!(json["unreviewed"].as_u64() == json["incidents"]["now"].as_u64());
    let devices = json["devices"].as_array().unwrap();
    let tried = devices
        .iter()
        .find(|device| device["device"] == seed::TRIED);
    assert_eq!(tried.unwrap()["repeated"], true);
    let (first, last) = (
        now.date().saturating_sub(jiff::ToSpan::days(20)),
        now.date(),
    );
    let span = [
        "governors",
        "--from",
        &first.to_string(),
        "--to",
        &last.to_string(),
    ];
    for form in FORMS {
        let said = report(&folder, &[&span[..], form].concat());
        assert!(said.contains("year-9"), "{said}");
        let private = [
            seed::TRIED,
            seed::TRIED_NAME,
            seed::MANDATORY,
            "hurt-diary",
            "ipad",
            "lab2",
        ];
        for word in private {
            assert!(!said.contains(word), "{word}: {said}");
        }
    }
    let text = report(&folder, &span);
    // One mandatory hit is fewer than five.
    let illegal = text
        .lines()
        .find(|line| line.starts_with("Illegal content"))
        .unwrap();
    assert!(illegal.contains("fewer than 5"), "{text}");
    println!("{text}\n{}", report(&folder, &["weekly", "--week", &week]));
}

/// Days before the first of the log are not there; a day that cannot be read is.
#[test]
fn only_what_is_there_can_be_damaged() {
    let folder = school();
    let today = Timestamp::now().to_zoned(super::london()).date();
    let first = today.saturating_sub(jiff::ToSpan::days(60)).to_string();
    let last = today.to_string();
    let span = ["governors", "--from", &first, "--to", &last];
    let damaged = |says: &str| {
        let json = report(&folder, &[&span[..], &["--json"]].concat());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let text = report(&folder, &span);
        assert_eq!(text.contains("could not be read"), !says.is_empty());
        assert!(text.contains(says), "{text}");
        json["damaged_days"].as_u64().unwrap()
    };
    assert_eq!(damaged(""), 0);
    // A day that is over, whose numbers nobody has kept yet.
    let day = today.saturating_sub(jiff::ToSpan::days(4));
    let log = folder.state().join("querylog");
    std::fs::remove_dir_all(folder.state().join("incidents")).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(log.join(format!("{day}.db{end}")));
    }
    std::fs::write(log.join(format!("{day}.db")), vec![0x5a; 40_000]).unwrap();
    assert_eq!(damaged("1 days could not be read"), 1);
}

#[test]
fn what_cannot_be_is_refused_with_words() {
    let folder = seed::plan().write();
    for (verb, says) in [
        (&["weekly", "--week", "2026-W99"][..], "write 2026-W47"),
        (&["weekly", "--week", "'; DROP TABLE"], "write 2026-W47"),
        (
            &["governors", "--from", "2026-10-02", "--to", "2026-10-01"],
            "after the last",
        ),
        (
            &["governors", "--from", "2016-10-02", "--to", "2026-10-01"],
            "a year at most",
        ),
    ] {
        let said = refused(&folder.run(&[&["report"], verb].concat()));
        assert!(said.contains(says), "{said}");
    }
    // A school without a log has reports that say so.
    let said = report(&folder, &["weekly"]);
    assert!(said.contains("None in either week."), "{said}");
    let said = report(&folder, &["governors"]);
    assert!(
        said.contains("Nothing was written down between these days"),
        "{said}"
    );
    let said = report(&folder, &["retention"]);
    assert!(
        said.contains("183 days") && said.contains("no day in the log"),
        "{said}"
    );
}

#[test]
fn statements_come_from_the_configuration() {
    let folder = seed::plan().write();
    let said = report(&folder, &["deployment"]);
    for word in [
        "Meadowbrook School",
        "year-9",
        "10.1.1.0/24",
        "guest",
        "46 devices",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let said = report(&folder, &["dpia"]);
    for word in ["183 days", "numbers only", "To be filled in"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    println!("{said}");
}
