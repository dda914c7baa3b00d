//! What goes wrong around the alerts, and must neither hush nor lose one: a
//! clock that runs ahead, holds, a log that cannot be read, a flood.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::*;
use crate::alerts::watch::{self, Watch, WatchError, Watcher};

const YEAR: i64 = 365 * 1440;

#[test]
fn a_clock_that_ran_ahead_for_a_moment_hushes_nothing() {
    let mut school = School::new("");
    school.looks(at(0));
    school.asks(at(1), "ipad-1", "hurt.example", "self_harm");
    school.looks(at(1));
    school.looks(at(YEAR));
    school.asks(at(3), "ipad-2", "hurt.example", "self_harm");
    school.looks(at(3));
    school.looks(at(5));
    let expected = [alert("hit", "ipad-1", 1), alert("hit", "ipad-2", 1)];
    assert_eq!(school.alerts(), expected);
}

/// Nobody says that the clock is right where no resolver runs.
#[test]
fn a_clock_that_nobody_vouches_for_throws_nothing_away() {
    let mut school = School::new("");
    let mut watcher = appliance::Watcher::begin(school.state.path(), &school.db).unwrap();
    let trusted =
        school.with_desk(|tx, desk| watcher.look(tx, desk, [].into_iter(), at(0)).unwrap());
    assert!(!trusted);
}

/// All that the watching thread does at such a moment; and what it does when it
/// starts again, which it begins where it says that it has watched up to.
#[test]
fn a_clock_that_nobody_vouches_for_deletes_no_alert_and_hushes_none_after_a_restart() {
    let mut school = School::new("");
    let pupils = watch::School::new(school.settings.clone(), school.document.clone());
    // Files have the time of the machine's clock.
    let now = Timestamp::now();
    let soon = now + SignedDuration::from_mins(1);
    let mut watcher = Watcher::begin(&pupils, &mut school.db, now).unwrap();
    school.asks(now, "ipad-1", "hurt.example", "self_harm");
    let ahead = now + SignedDuration::from_mins(2 * YEAR);
    for moment in [now, ahead] {
        assert!(!watcher.step(&pupils, &mut school.db, moment).unwrap());
    }
    let hits = "SELECT count(*) FROM alerts WHERE kind = 'hit'";
    assert_eq!(school.number(hits), 1);
    drop(watcher);
    school.restart();
    // Meanwhile nobody watches.
    school.asks(soon, "ipad-2", "hurt.example", "self_harm");
    let mut watcher = Watcher::begin(&pupils, &mut school.db, ahead).unwrap();
    for moment in [ahead, soon] {
        watcher.step(&pupils, &mut school.db, moment).unwrap();
        assert_eq!(school.number(hits), 2);
    }
    // The resolver, too, says that it is years later: then they are old.
    let later = ahead + SignedDuration::from_mins(YEAR);
    let resolver = vouches_for(school.state.path(), later);
    watcher.step(&pupils, &mut school.db, later).unwrap();
    assert_eq!(school.number(hits), 0);
    resolver.join().unwrap();
}

/// A resolver that is well, asked once.
fn vouches_for(state_dir: &std::path::Path, now: Timestamp) -> std::thread::JoinHandle<()> {
    let status = serde_json::json!({
        "version": "1", "started": now, "time": now, "clock_is_trusted": true,
        "policy": null, "activations": crate::status::Activations::default(),
        "log": crate::querylog::health::Report::default(),
        "retention": crate::status::Retention::default(), "upstreams": [],
        "cache": crate::status::Cache::default(), "connections": [], "failed_handshakes": 0,
        "certificate": null, "leases": [], "suspects": [], "missing_safe_modes": [],
        "disk": null, "totals": crate::status::Totals::default(),
        "rates": crate::status::Rates::default()
    });
    let socket = crate::status::socket(state_dir);
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut question = [0; 1000];
        assert_ne!(client.read(&mut question).unwrap(), 0);
        write!(client, "HTTP/1.1 200 OK\r\n\r\n{status}").unwrap();
    })
}

/// The lock is its owner's alone, and whoever is second may have it afterwards.
#[test]
fn one_process_watches_a_folder_and_then_another_may() {
    let school = School::new("");
    let pupils = watch::School::new(school.settings.clone(), school.document.clone());
    let pupils = Arc::new(pupils);
    let first = Watch::start(&pupils).unwrap();
    let lock = school.state.path().join("alerts.lock");
    let mode = std::fs::metadata(lock).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(matches!(Watch::start(&pupils), Err(WatchError::Taken)));
    drop(first);
    assert!(Watch::start(&pupils).is_ok());
}

#[test]
fn a_hold_keeps_the_alerts_of_its_days_alone() {
    for (hold, left) in [
        ("", 0),
        ("2026-11-03\n", 1),
        ("all\n", 2),
        ("nonsense\n", 2),
    ] {
        let mut school = School::new("");
        school.looks(at(0));
        for (minutes, device) in [(1, "ipad-1"), (1440, "ipad-2")] {
            school.asks(at(minutes), device, "hurt.example", "self_harm");
            school.looks(at(minutes));
        }
        std::fs::write(school.state.path().join("querylog/hold"), hold).unwrap();
        school.with_desk(|tx, desk| digest::forget_the_old(tx, desk, at(2 * YEAR)).unwrap());
        assert_eq!(school.alerts().len(), left, "{hold:?}");
    }
}

/// A layer of a later version, in the middle of the day.
#[test]
fn a_row_that_says_nothing_hides_no_other_and_is_told_of_once() {
    let mut school = School::new("");
    school.looks(at(0));
    school.asks(at(1), "ipad-1", "hurt.example", "self_harm");
    let odd = (Verdict::Block, Layer::Mandatory);
    school.asks_as(at(2), "ipad-2", "hurt.example", "self_harm", odd);
    school.asks(at(3), "ipad-3", "hurt.example", "self_harm");
    let folder = school.state.path().join("querylog");
    let (_, file) = crate::querylog::days::parts(&folder).unwrap().remove(0);
    let log = Connection::open(file).unwrap();
    let sql = "UPDATE rulings SET layer = 'later' WHERE layer = 'mandatory'";
    assert_eq!(log.execute(sql, []).unwrap(), 1);
    let mut watcher = appliance::Watcher::begin(school.state.path(), &school.db).unwrap();
    for minutes in 3..9 {
        school.looks(at(minutes));
        let damaged: Vec<Date> = school.follower.as_ref().unwrap().damaged().collect();
        assert_eq!(damaged.len(), 1);
        school.with_desk(|tx, desk| {
            watcher
                .look(tx, desk, damaged.into_iter(), at(minutes))
                .unwrap()
        });
    }
    let kinds = |kind| {
        school
            .alerts()
            .iter()
            .filter(|alert| alert.0 == kind)
            .count()
    };
    assert_eq!(
        (kinds("hit"), kinds("log")),
        (2, 1),
        "{:?}",
        school.alerts()
    );
}

#[test]
fn a_whole_class_is_told_of_in_some_messages_and_stands_on_the_page() {
    let mut school = School::new("");
    school.looks(at(0));
    for device in 0..60 {
        school.asks(
            at(1),
            &format!("ipad-{device}"),
            "hurt.example",
            "self_harm",
        );
    }
    school.looks(at(1));
    assert_eq!(school.alerts().len(), 60);
    let told = "SELECT count(*) FROM outbox WHERE recipient = 'dsl@school.example'";
    assert_eq!(school.number(told), 21);
    let many = "SELECT count(*) FROM outbox WHERE message LIKE '%further devices%'";
    assert_eq!(school.number(many), 1);
    // Another theme is other news; and so is the same an hour later.
    school.asks(at(2), "ipad-1", "x.example", "extremism");
    school.asks(at(61), "ipad-1", "hurt.example", "self_harm");
    school.looks(at(61));
    assert_eq!(school.number(told), 23);
}

#[test]
fn a_message_that_cannot_be_read_holds_up_no_other() {
    let mut school = School::new("");
    school.looks(at(0));
    for device in ["ipad-1", "ipad-2"] {
        school.asks(at(1), device, "hurt.example", "self_harm");
    }
    school.looks(at(1));
    let sql = "UPDATE outbox SET message = '{' WHERE id = (SELECT min(id) FROM outbox)";
    school.db.execute(sql, []).unwrap();
    let next = outbox::next(&school.db, Channel::Mail, at(2)).unwrap();
    assert_eq!(next.unwrap().alert, Some(2));
    let state = outbox::state(&school.db, Channel::Mail).unwrap();
    assert_eq!((state.waiting, state.given_up), (1, 1));
}
