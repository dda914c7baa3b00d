//! `kill -9` at any moment: each alert arrives, and arrives once.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Post, eventually, number, school, start};
use crate::dashboard::client::Pages;
use crate::serve::school::{Running, School};
use crate::serve::within;

/// Devices that ask, one after another, while the process that tells of them is
/// killed again and again: of each name no more than have a message each.
const DEVICES: u8 = 40;

#[test]
fn killed_at_any_moment_it_tells_each_alert_once() {
    let Some(post) = Post::start(&[], "alerts of a process that is killed") else {
        return;
    };
    let school = School::start(school(&post.plain(), ""));
    drop(super::alerts(&school.folder));
    let mut kills = 0;
    let mut asked: u8 = 0;
    let began = Instant::now();
    // A moment of its own each time, from before it has begun to long after.
    for round in 0..DEVICES / 2 {
        let mut running = Running(start(&school.folder));
        for name in ["hurt.example", "vile-things.example"] {
            asked += 1;
            school.ask_from(&format!("127.0.0.{}", 10 + asked), name);
        }
        std::thread::sleep(Duration::from_millis(u64::from(round) * 37 % 1100));
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        kills += 1;
    }
    let _alerts = super::alerts(&school.folder);
    let alerts = i64::from(asked);
    within(Duration::from_secs(120), "all alerts", || {
        let raised = number(&school.folder, "SELECT count(*) FROM alerts");
        let waits = "SELECT count(*) FROM outbox WHERE state <> 'sent'";
        (raised == alerts && number(&school.folder, waits) == 0).then_some(())
    });
    let letters = post.letters();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in &letters {
        *times.entry(letter.of("id")).or_default() += 1;
    }
    let devices: BTreeSet<String> = letters
        .iter()
        .map(|letter| {
            let text = letter.of("text");
            let line = text.lines().find(|line| line.starts_with("Device"));
            line.unwrap().to_owned()
        })
        .collect();
    let twice = times.values().filter(|times| **times > 1).count();
    eprintln!(
        "{kills} kills in {:?}: {} messages of {asked} alerts, {twice} sent again",
        began.elapsed(),
        letters.len()
    );
    assert_eq!(devices.len(), usize::from(asked), "each device is told of");
    // By their Message-ID each is there once, whatever SMTP could not settle.
    assert_eq!(times.len(), usize::from(asked));
}

/// Two of them, of which one dies: the other tells of what comes then. The lock
/// they find is its owner's alone, whatever the machine lets files be.
#[test]
fn whoever_found_the_lock_taken_watches_when_it_is_free() {
    let school = School::start(school("", ""));
    let first = school.folder.command(&["dashboard"]);
    let mut open_to_all = Command::new("sh");
    open_to_all
        .args(["-c", "umask 0; exec \"$@\"", "sh"])
        .arg(first.get_program())
        .args(first.get_args());
    let first = Pages::start_as(open_to_all);
    let lock = school.folder.state().join("alerts.lock");
    let mode = std::fs::metadata(lock).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Pages::start(&school.folder);
    eventually("a second one to find the lock taken", || {
        let said = second.stderr();
        said.contains("another process sends the alerts")
            .then_some(())
    });
    let begun = "SELECT count(*) FROM notes WHERE key = 'begun'";
    eventually("the alerts to begin", || {
        (number(&school.folder, begun) == 1).then_some(())
    });
    drop(first);
    school.ask_from("127.0.0.7", "hurt.example");
    let raised = "SELECT count(*) FROM alerts WHERE kind = 'hit'";
    eventually("its alert", || {
        (number(&school.folder, raised) == 1).then_some(())
    });
}
