//! Legal hold over the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{deeds, few_rows, fine, refused};

#[test]
fn a_hold_is_placed_listed_and_lifted() {
    let folder = few_rows();
    let hold = |verb: &[&str]| folder.run(&[&["report", "hold"], verb].concat());
    assert_eq!(fine(&hold(&["list"])), "nothing is held\n");
    let why = "police,\nref. 4711 #1";
    fine(&hold(&["add", "2026-10-01..2026-10-07", "--why", why]));
    fine(&hold(&["add", "all", "--why", "inspection"]));
    let listed = fine(&hold(&["list"]));
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].contains("2026-10-01..2026-10-07"), "{listed}");
    assert!(
        lines[0].contains("console: police, ref. 4711 #1"),
        "{listed}"
    );
    let file = folder.state().join("querylog/hold");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let id = lines[0].split_whitespace().next().unwrap();
    assert!(refused(&hold(&["lift", id, "--why", " "])).contains("say why"));
    assert!(refused(&hold(&["lift", "nothing", "--why", "done"])).contains(id));
    assert_eq!(
        fine(&hold(&["lift", id, "--why", "case closed"])),
        "no longer held: 2026-10-01..2026-10-07\n"
    );
    assert!(fine(&hold(&["list"])).contains("all"));
    assert_eq!(deeds(&folder, "placed_hold").len(), 2);
    let ended = deeds(&folder, "lifted_hold");
    assert_eq!(ended[0]["about"]["why"], "case closed");
    assert_eq!(ended[0]["about"]["days"], "2026-10-01..2026-10-07");
}

/// What somebody has typed wrong holds everything, and is not written over.
#[test]
fn a_mistake_in_the_file_is_told_and_left() {
    let folder = few_rows();
    let file = folder.state().join("querylog/hold");
    fs::write(&file, "last week\n").unwrap();
    for verb in [
        &["hold", "list"][..],
        &["hold", "add", "2026-10-01", "--why", "police"],
    ] {
        let said = refused(&folder.run(&[&["report"], verb].concat()));
        assert!(
            said.contains("hold:1:") && said.contains("last week"),
            "{said}"
        );
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "last week\n");
    let said = fine(&folder.run(&["report", "retention"]));
    assert!(said.contains("Everything is held"), "{said}");
    let wrong = folder.run(&["report", "hold", "add", "yesterday", "--why", "police"]);
    assert!(refused(&wrong).contains("neither a day"));
}
