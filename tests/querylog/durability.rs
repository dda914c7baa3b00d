//! Rows survive what they must, and go when they must.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use jiff::civil::Date;
use schoolgate::policy::decision::{LogLevel, Verdict};
use schoolgate::querylog::filter::Filter;
use schoolgate::querylog::recorder::{Rank, recorder};
use schoolgate::querylog::retention::sweep;
use schoolgate::querylog::summary::hours;
use schoolgate::querylog::writer::{Settings, Writer};
use tempfile::TempDir;

use super::{
    Asked, Bench, RING, allowed, blocked, later, london, mandatory, noon, read_all, record,
};

/// Case R10. What a flush has returned from survives a `kill -9` of the writer.
#[test]
fn kill_nine_loses_nothing_that_was_flushed() {
    const FOLDER: &str = "SCHOOLGATE_TEST_QUERYLOG";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let (mut recorder, outlet) = recorder(1 << 20);
        let mut writer = Writer::new(Settings::new(folder.into(), london()), vec![outlet]);
        for n in 0..1_000_000 {
            record(&mut recorder, &blocked(&format!("n{n}.example")), n);
            recorder.flush();
            writer.flush(noon());
            if n == 50 {
                eprintln!("fifty");
            }
        }
        unreachable!("it is killed");
    }
    let state = TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "querylog::durability::kill_nine_loses_nothing_that_was_flushed",
        ])
        .arg("--nocapture")
        .env(FOLDER, state.path().join("querylog"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    child.stderr.take().unwrap().read_exact(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let (found, warnings) = read_all(&state.path().join("querylog"), Filter::default());
    assert_eq!(&said, b"fifty");
    assert!(found.len() > 50, "{} rows", found.len());
    assert_eq!(warnings, [""; 0]);
    assert!(
        found
            .iter()
            .enumerate()
            .all(|(n, row)| row.name == format!("n{n}.example"))
    );
}

#[test]
fn a_corrupt_day_costs_that_day() {
    let mut bench = Bench::new();
    for day in 0..3 {
        bench.write(&[Asked {
            at: later(day * 86_400),
            ..blocked("a.example")
        }]);
    }
    fs::write(bench.folder().join("2026-11-21.db"), "no database at all").unwrap();
    let (found, warnings) = read_all(&bench.folder(), Filter::default());
    assert_eq!(found.len(), 2);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("2026-11-21.db: cannot be read"),
        "{warnings:?}"
    );
}

#[test]
fn todays_damaged_file_is_set_aside_and_a_new_one_begun() {
    let state = TempDir::new().unwrap();
    let folder = state.path().join("querylog");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("2026-11-21.db"), "x".repeat(5000)).unwrap();
    fs::write(folder.join("summary.db"), "y".repeat(5000)).unwrap();
    let (mut recorder, outlet) = recorder(RING);
    let mut writer = Writer::new(Settings::new(folder.clone(), london()), vec![outlet]);
    record(&mut recorder, &blocked("a.example"), 0);
    recorder.flush();
    writer.flush(noon());
    let (found, warnings) = read_all(&folder, Filter::default());
    assert_eq!(found.len(), 1);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(folder.join("2026-11-21.db.damaged").exists());
    assert_eq!(hours(&folder, noon(), later(1)).unwrap().len(), 1);
    let report = writer.health().report();
    assert_eq!(
        (report.set_aside, report.failing, report.written),
        (2, false, 1)
    );
}

/// Case R14. The file may not grow, which SQLite reports as it does a full disk.
#[test]
fn a_full_disk_keeps_rows_waiting_and_counts_what_is_lost() {
    let mut bench = Bench::with(1 << 20, |settings| {
        settings.day_bytes = 20 << 12;
        settings.spool_bytes = 100_000;
    });
    for round in 0..20 {
        for n in 0..100 {
            bench.record(&mandatory(&format!("r{round}n{n}.example")));
            bench.record(&mandatory("again.example"));
        }
        bench.flush(later(round));
    }
    let report = bench.writer.health().report();
    assert!(report.failing);
    assert!(report.last_error.unwrap().contains("full"));
    assert!(report.pending_rows > 0 && report.pending_bytes <= 100_000);
    assert!(report.written > 0 && report.lost_mandatory > 0);
    assert_eq!(
        bench.recorder.shortfall().lost.of(Rank::Mandatory),
        0,
        "the ring was emptied"
    );
    // Tomorrow's file has room.
    let mut tomorrow = blocked("tomorrow.example");
    tomorrow.at = later(86_400);
    bench.record(&tomorrow);
    bench.recorder.flush();
    for _ in 0..200 {
        bench.writer.flush(later(86_400));
    }
    let rows = bench.rows(Filter::default());
    assert_eq!(rows.last().unwrap().name, "tomorrow.example");
    let report = bench.writer.health().report();
    let found: u64 = rows.iter().map(|row| row.count).sum();
    assert_eq!(found, report.written, "nothing is written twice");
}

/// The order of the rings holds in the file too.
#[test]
fn a_flood_of_allowed_rows_leaves_the_day_room_for_others() {
    let mut bench = Bench::with(1 << 20, |settings| settings.day_bytes = 60 << 12);
    for round in 0..20 {
        for n in 0..200 {
            bench.record(&allowed(&format!("r{round}n{n}.example"), LogLevel::Full));
        }
        bench.record(&blocked(&format!("r{round}.example")));
        bench.flush(noon());
    }
    let report = bench.writer.health().report();
    assert!(!report.failing);
    assert_eq!((report.lost_blocked, report.pending_rows), (0, 0));
    assert_eq!(report.written + report.lost_allowed, 20 * 201);
    assert!(report.lost_allowed > 1000);
    let action = Some(Verdict::Block);
    let rows = bench.rows(Filter {
        action,
        ..Filter::default()
    });
    assert_eq!(rows.len(), 20);
}

///
#[test]
fn retention_drops_whole_days_unless_they_are_held() {
    let bench = Bench::new();
    let folder = bench.folder();
    let lay_out = || {
        fs::create_dir_all(&folder).unwrap();
        for file in [
            "2026-05-01.db",
            "2026-05-01.db-wal",
            "2026-05-02.db.damaged",
            "2026-05-03.db",
            "2026-11-21.db",
            "1970-01-01.db",
            "2026-05-01.txt",
            "summary.db",
        ] {
            fs::write(folder.join(file), "").unwrap();
        }
    };
    let check = |hold: Option<&str>, dropped: &str, held: &str, complaints: usize| {
        lay_out();
        match hold {
            Some(text) => fs::write(folder.join("hold"), text).unwrap(),
            None => drop(fs::remove_file(folder.join("hold"))),
        }
        let swept = sweep(&folder, 183, noon(), &london()).unwrap();
        let words = |days: &BTreeSet<Date>| {
            days.iter()
                .map(|d| d.to_string()[5..].to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            (&*words(&swept.dropped), &*words(&swept.held)),
            (dropped, held),
            "{hold:?}"
        );
        assert_eq!(swept.complaints.len(), complaints, "{hold:?}");
        for kept in [
            "2026-11-21.db",
            "1970-01-01.db",
            "2026-05-01.txt",
            "summary.db",
        ] {
            assert!(folder.join(kept).exists(), "{kept}");
        }
    };
    check(None, "05-01 05-02 05-03", "", 0);
    assert!(!folder.join("2026-05-01.db-wal").exists());
    check(
        Some("# police\n2026-05-02..2026-05-03\n"),
        "05-01",
        "05-02 05-03",
        0,
    );
    check(Some("2026-05-01 # one day\n"), "05-02 05-03", "05-01", 0);
    check(Some("all\n"), "", "05-01 05-02 05-03", 0);
    check(Some("everything\n"), "", "05-01 05-02 05-03", 1);
    // A day of a clock that was not set goes half a year after it was seen.
    let old = folder.join("1970-01-01.db");
    let file = fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::remove_file(folder.join("hold")).unwrap();
    sweep(&folder, 183, noon(), &london()).unwrap();
    assert!(old.exists());
    sweep(&folder, 183, later(184 * 86_400), &london()).unwrap();
    assert!(!old.exists());
}

#[test]
fn stopping_writes_what_is_left() {
    let mut bench = Bench::new();
    bench.record(&blocked("a.example"));
    let (stop, stopped) = std::sync::mpsc::channel();
    drop(stop);
    let Bench {
        state,
        recorder,
        writer,
    } = bench;
    // The workers end first, and leave nothing behind.
    drop(recorder);
    writer.run(&stopped, noon);
    let (found, _) = read_all(&state.path().join("querylog"), Filter::default());
    assert_eq!(found.len(), 1);
}
