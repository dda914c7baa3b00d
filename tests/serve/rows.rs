//! The query log of a server that is killed, starved or stopped.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::eventually;
use super::reload::files;
use super::school::{Client, Plan, School};
use super::streams;
use super::upstream::{ADDRESS, Say, Upstream, plain, say};
use super::wire;

fn names(school_rows: &[serde_json::Value]) -> HashSet<String> {
    school_rows
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn kill_9_costs_no_blocked_answer_older_than_a_second() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    let began = Instant::now();
    // Two thousand a second, for two seconds and a half.
    let mut answered: Vec<(Duration, String)> = Vec::new();
    for batch in 0..250_u32 {
        let due = Duration::from_millis(10) * batch;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        for number in 0..20 {
            let name = format!("n{batch}-{number}.bets.example");
            let packet = wire::question((batch * 20 + number) as u16, &name, wire::A);
            client.0.send_to(&packet, school.dns).unwrap();
            answered.push((Duration::ZERO, name));
        }
        for _ in 0..20 {
            let reply = client.receive().expect("an answer");
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            answered[usize::from(id)].0 = began.elapsed();
        }
    }
    let killed = began.elapsed();
    let folder = school.kill();
    let school = School::start(folder);
    let logged = names(&school.folder.log());
    let old = answered
        .iter()
        .filter(|(when, _)| *when + Duration::from_secs(1) < killed);
    let (mut checked, mut missing) = (0, Vec::new());
    for (when, name) in old {
        checked += 1;
        if !logged.contains(name) {
            missing.push((when, name));
        }
    }
    assert!(checked > 2000, "{checked} in {killed:?}");
    assert!(
        missing.is_empty(),
        "{} of {checked}: {:?}",
        missing.len(),
        missing.first()
    );
    assert_eq!(school.ask("bets.example").errors, [15]);
}

#[test]
fn a_stop_writes_everything_down() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    for number in 0..50 {
        assert_eq!(school.ask(&format!("n{number}.bets.example")).errors, [15]);
        assert_eq!(
            school.ask(&format!("n{number}.example")).addresses(),
            [ADDRESS]
        );
    }
    let folder = school.stop();
    let logged = names(&folder.log());
    for number in 0..50 {
        assert!(
            logged.contains(&format!("n{number}.bets.example")),
            "{number}"
        );
        assert!(logged.contains(&format!("n{number}.example")), "{number}");
    }
}

#[test]
fn every_answer_is_one_row_whatever_its_way() {
    let upstream = Upstream::new(|seen| match seen.name.split('.').next().unwrap() {
        "silent" => Say::Nothing,
        "broken" => say(wire::reply(&seen.packet, 0, 2, &[], &[])),
        "gone" => say(wire::reply(&seen.packet, 0, 3, &[], &[])),
        _ => say(plain(seen)),
    });
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    let names = [
        "silent.example",
        "broken.example",
        "gone.example",
        "open.example",
        "bets.example",
    ];
    let names = names
        .into_iter()
        .chain(["vile-things.example", "localhost", "x.test"]);
    let packet = |id: usize, name: &str| wire::question(id as u16, name, wire::A);
    let packets: Vec<_> = names
        .cycle()
        .take(400)
        .enumerate()
        .map(|(id, name)| packet(id, name))
        .collect();
    // Never more on the way than the client's socket holds unread: what the
    // kernel drops there was answered. One name in eight is answered late.
    let (group_size, late) = (40, 5);
    for group in packets.chunks(group_size) {
        for packet in group {
            client.0.send_to(packet, school.dns).unwrap();
        }
        for _ in late..group_size {
            client.receive().expect("a reply");
        }
    }
    for _ in 0..packets.len() / group_size * late {
        client.receive().expect("a late reply");
    }
    assert_eq!(streams::ask(school.dns, &packets[..100]).len(), 100);
    // No questions, and so no rows: a reply, a notify, half a header.
    let mut reply = packets[0].clone();
    reply[2] |= 0x80;
    let mut notify = packets[0].clone();
    notify[2] |= 0x20;
    for packet in [&reply[..], &notify, &packets[0][..7]] {
        client.0.send_to(packet, school.dns).unwrap();
    }
    let folder = school.stop();
    let rows = folder.log();
    let counts = rows.iter().map(|row| row["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 500, "{rows:#?}");
}

#[test]
fn a_corrupt_day_is_passed_over_and_named() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    school.ask("bets.example");
    let folder = school.stop();
    let days = folder.state().join("querylog");
    let today = files(days.clone());
    let database = |path: &std::path::PathBuf| std::fs::metadata(path).unwrap().len() >= 4096;
    let today = today.iter().find(|path| database(path)).expect("a day");
    let end = today
        .extension()
        .map(|end| end.to_string_lossy().into_owned())
        .unwrap();
    let name = today.file_name().unwrap().to_string_lossy().into_owned();
    let date = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Europe/London").unwrap());
    let yesterday = date.date().yesterday().unwrap();
    let other = name.replace(&date.date().to_string(), &yesterday.to_string());
    assert_ne!(other, name, "{end}");
    std::fs::write(days.join(&other), vec![0x5a; 20_000]).unwrap();
    let output = folder.run(&["log", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("bets.example"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&yesterday.to_string()), "{said}");
    // And today's, broken while nobody looked, does not keep the server from
    // writing what comes.
    std::fs::write(today, vec![0x5a; 20_000]).unwrap();
    let school = School::start(folder);
    eventually("rows to be written again", || {
        school.ask("casino.example");
        names(&school.folder.log())
            .contains("casino.example")
            .then_some(())
    });
}

#[test]
fn a_full_disk_costs_rows_and_no_answers() {
    let folder = Plan::new(&[Upstream::plain().address]).write();
    let state = folder.state();
    std::fs::create_dir_all(&state).unwrap();
    let mount = |args: &[&str]| Command::new("mount").args(args).arg(&state).output();
    let done = mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"]);
    if !done.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a full disk: this test must be root to make a small one");
        return;
    }
    let _disk = Mounted(state.clone());
    folder.refresh();
    let school = School::start(folder);
    let filler = state.join("filler");
    std::fs::write(&filler, vec![0; 7_000_000]).unwrap();
    let client = Client::new("127.0.0.1");
    let (mut id, began) = (0_u16, Instant::now());
    let full = || {
        for _ in 0..500 {
            id = id.wrapping_add(1);
            let name = format!("{}-{id}.bets.example", "x".repeat(50));
            let packet = wire::question(id, &name, wire::A);
            let asked = Instant::now();
            assert!(client.exchange(school.dns, &packet).is_some());
            assert!(asked.elapsed() < Duration::from_secs(1));
        }
        (school.metric("schoolgate_querylog_failing") > 0.5).then_some(())
    };
    super::within(Duration::from_secs(20), "the log to fail", full);
    assert!(began.elapsed() < Duration::from_secs(20));
    std::fs::remove_file(filler).unwrap();
    super::within(Duration::from_secs(20), "the log to work again", || {
        (school.metric("schoolgate_querylog_failing") < 0.5).then_some(())
    });
    assert_eq!(school.ask("after.bets.example").errors, [15]);
}

/// A file system that is unmounted with the test.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn whoever_stops_reading_rows_is_told_nothing() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    for verb in ["log", "lists"] {
        let mut command = school.folder.command(&[verb]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{verb}: {said}");
    }
}
