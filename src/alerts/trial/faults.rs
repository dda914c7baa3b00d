//! What goes wrong around the alerts, and must neither hush nor lose one: a
//! clock that runs ahead, holds, a log that cannot be read, a flood.

use super::*;

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
    let trusted = school.with_desk(|tx, desk| watcher.look(tx, desk, at(0)).unwrap());
    assert!(!trusted);
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
