//! New policies and new lists while questions are answered; starts with
//! something missing or broken.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::eventually;
use super::school::{Client, POLICY, Plan, School};
use super::streams;
use super::upstream::{ADDRESS, Gate, Say, Upstream, plain};
use super::wire::{self, Reply};

/// A pupil's policy that also denies this name.
fn denying(name: &str) -> String {
    format!(
        "{POLICY}[[exceptions]]\nname = \"{name}\"\nverdict = \"deny\"\ngroups = [\"pupil\"]\nreason = \"test\"\n"
    )
}

#[test]
fn a_new_policy_holds_for_cached_names_too() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    let ask = |name: &str| {
        let packet = wire::question(4, name, wire::A);
        Reply::read(&client.exchange(school.dns, &packet).unwrap())
    };
    assert_eq!(ask("news.example").addresses(), [ADDRESS]);
    school.folder.put("policy.toml", &denying("news.example"));
    let number = school.folder.put_in_force();
    assert!((school.metric("schoolgate_policy_number") - number as f64).abs() < 0.5);
    // Once it is in force there is not one answer by the old one.
    for _ in 0..20 {
        assert_eq!(ask("news.example").errors, [15]);
    }
    school.folder.put("policy.toml", POLICY);
    assert_eq!(school.folder.put_in_force(), number + 1);
    assert_eq!(ask("news.example").addresses(), [ADDRESS]);
}

#[test]
fn a_question_on_its_way_is_judged_by_the_policy_that_meets_its_answer() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let upstream = Upstream::new(move |seen| Say::When(Arc::clone(&held), plain(seen)));
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    let mut stream = streams::connect(school.dns);
    let packet = wire::question(1, "news.example", wire::A);
    client.0.send_to(&packet, school.dns).unwrap();
    stream.write_all(&streams::framed(&packet)).unwrap();
    eventually("the question to be asked on", || {
        (upstream.count("news.example") > 0).then_some(())
    });
    school.folder.put("policy.toml", &denying("news.example"));
    school.folder.put_in_force();
    gate.open();
    assert_eq!(Reply::read(&client.receive().unwrap()).errors, [15]);
    assert_eq!(streams::next(&mut stream).unwrap().errors, [15]);
}

#[test]
fn a_bad_policy_changes_nothing_and_is_told() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let bad = POLICY.replace("\"gambling\"", "\"gamblin\"");
    school.folder.put("policy.toml", &bad);
    let why = school.folder.propose().unwrap_err().to_string();
    let told = why.contains("policy.toml:7") && why.contains("\"gambling\"");
    assert!(told, "{why}");
    assert_eq!(school.ask("bets.example").errors, [15]);
    assert!((school.metric("schoolgate_policy_number") - 1.0).abs() < 0.5);
    school.folder.put("policy.toml", &denying("news.example"));
    school.folder.put_in_force();
    assert_eq!(school.ask("news.example").errors, [15]);
}

/// whoever can write the files cannot change what is in force.
#[test]
fn an_edited_file_changes_nothing_and_is_told() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.devices += "tv,TV,,127.0.0.1,pupil,,\n";
    let school = plan.start();
    assert_eq!(school.ask("bets.example").errors, [15]);
    let open = POLICY.replace("\"gambling\", \"games\"", "");
    for (file, text) in [
        ("policy.toml", open.as_str()),
        ("policy.toml", "[groups.pupil"),
        (
            "devices.csv",
            "id,name,mac,ip,group,owner,kind\ntv,TV,,127.0.0.1,staff,,\n",
        ),
        ("canaries.toml", "updated = \"2026-11-21\"\n"),
    ] {
        let before = school.stderr().len();
        school.folder.put(file, text);
        school.server.signal(Signal::SIGHUP);
        let told = format!("{file}: edited, not proposed (since policy 1");
        eventually("the word that it is not in force", || {
            let said = school.stderr()[before..].to_owned();
            said.contains(&told).then_some(())
        });
        assert_eq!(school.ask("bets.example").errors, [15], "{file}");
        assert!((school.metric("schoolgate_policy_number") - 1.0).abs() < 0.5);
    }
    let school = School::start(school.kill());
    assert_eq!(school.ask("bets.example").errors, [15]);
    assert!((school.metric("schoolgate_policy_number") - 1.0).abs() < 0.5);
    assert!(school.metric("schoolgate_policy_reload_failed ") < 0.5);
    eventually("the word at the start too", || {
        school.stderr().contains("schoolgate propose").then_some(())
    });
}

#[test]
fn a_half_written_policy_neither_stops_new_lists_nor_slips_in_with_them() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    assert_eq!(school.ask("news.example").addresses(), [ADDRESS]);
    // Somebody is still writing, and nobody said that it is to be used.
    school.folder.put("policy.toml", "[groups.pupil");
    school
        .folder
        .put("gambling.txt", "bets.example\nnewbets.example\n");
    school.folder.refresh();
    eventually("the new list", || {
        (school.ask("newbets.example").errors == [15]).then_some(())
    });
    school.folder.put("policy.toml", &denying("news.example"));
    school
        .folder
        .put("gambling.txt", "bets.example\nlatest.example\n");
    school.folder.refresh();
    eventually("the newest list", || {
        (school.ask("latest.example").errors == [15]).then_some(())
    });
    assert_eq!(
        school.ask("news.example").addresses(),
        [ADDRESS],
        "not proposed yet"
    );
    school.folder.put_in_force();
    assert_eq!(school.ask("news.example").errors, [15]);
    assert_eq!(school.ask("latest.example").errors, [15]);
}

#[test]
fn new_lists_are_taken_up_within_seconds_and_no_question_is_lost() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let (stop, lost, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let asking = {
        let (stop, lost, asked) = (Arc::clone(&stop), Arc::clone(&lost), Arc::clone(&asked));
        let server = school.dns;
        std::thread::spawn(move || {
            let client = Client::new("127.0.0.1");
            let mut id = 0;
            while !stop.load(Ordering::Relaxed) {
                id += 1;
                let name = ["bets.example", "www.example"][usize::from(id) % 2];
                let answered = client.exchange(server, &wire::question(id, name, wire::A));
                lost.fetch_add(usize::from(answered.is_none()), Ordering::Relaxed);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    assert_eq!(school.ask("today.example").addresses(), [ADDRESS]);
    school
        .folder
        .put("gambling.txt", "bets.example\ntoday.example\n");
    school.folder.refresh();
    let began = Instant::now();
    eventually("the new lists", || {
        (school.ask("today.example").errors == [15]).then_some(())
    });
    assert!(
        began.elapsed() < Duration::from_millis(2500),
        "{:?}",
        began.elapsed()
    );
    stop.store(true, Ordering::Relaxed);
    asking.join().unwrap();
    assert_eq!(lost.load(Ordering::Relaxed), 0);
    assert!(asked.load(Ordering::Relaxed) > 100);
}

#[test]
fn without_lists_nothing_is_answered_until_they_come() {
    let upstream = Upstream::plain();
    let school = School::start(Plan::new(&[upstream.address]).write());
    for name in ["www.example", "bets.example"] {
        let reply = school.ask(name);
        assert_eq!((reply.rcode, reply.errors), (2, vec![14]), "{name}");
    }
    assert!(school.metric("schoolgate_ready") < 0.5);
    school.folder.refresh();
    eventually("the lists", || {
        (school.ask("bets.example").errors == [15]).then_some(())
    });
    assert_eq!(school.ask("www.example").addresses(), [ADDRESS]);
    assert!(school.metric("schoolgate_ready") > 0.5);
    assert!(school.metric("schoolgate_policy_reload_failed ") < 0.5);
}

#[test]
fn a_start_with_mistakes_names_them_all_and_answers_nobody() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idel = 3\n".to_owned();
    plan.policy = POLICY
        .replace("\"gambling\"", "\"gamblin\"")
        .replace("unknown = ", "unknwon = ");
    let folder = plan.write();
    let output = folder.run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    for complaint in [
        "schoolgate.toml:",
        "tcp_idel",
        "policy.toml:4",
        "unknwon",
        "gamblin",
    ] {
        assert!(said.contains(complaint), "{complaint} is not in {said}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn damaged_lists_answer_nobody_until_there_are_whole_ones() {
    let upstream = Upstream::plain();
    let folder = Plan::new(&[upstream.address]).write();
    folder.refresh();
    for path in files(folder.state().join("lists")) {
        if path.extension().is_some_and(|end| end == "fst") {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let school = School::start(folder);
    let reply = school.ask("www.example");
    assert_eq!((reply.rcode, reply.errors), (2, vec![14]));
    assert!(
        school.stderr().contains("is damaged"),
        "{}",
        school.stderr()
    );
    assert!(school.metric("schoolgate_policy_reload_failed ") > 0.5);
    school
        .folder
        .put("gambling.txt", "bets.example\nother.example\n");
    school.folder.refresh();
    eventually("whole lists", || {
        (school.ask("other.example").errors == [15]).then_some(())
    });
    assert_eq!(school.ask("www.example").addresses(), [ADDRESS]);
}

#[test]
fn damaged_new_lists_leave_the_old_ones_serving() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let pointer = school.folder.state().join("lists").join("current");
    let good = std::fs::read_to_string(&pointer).unwrap();
    std::fs::write(&pointer, "lists-0000000000000000\n").unwrap();
    eventually("the failure to show", || {
        (school.metric("schoolgate_policy_reload_failed ") > 0.5).then_some(())
    });
    assert_eq!(school.ask("bets.example").errors, [15]);
    std::fs::write(&pointer, good).unwrap();
    eventually("the failure to be over", || {
        (school.metric("schoolgate_policy_reload_failed ") < 0.5).then_some(())
    });
    assert_eq!(school.ask("bets.example").errors, [15]);
}

/// Every file below `folder`.
pub(crate) fn files(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}
