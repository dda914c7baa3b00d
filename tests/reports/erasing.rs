//! Erasure: what goes is gone to the last byte, what stays stays, and the writer
//! goes on as if nothing had been.

use jiff::{SignedDuration, Timestamp};

use super::{deeds, few_rows, fine, hours_ago, london, stands_below};
use crate::dashboard::seed::{self, Log};
use crate::serve::school::Folder;

const WHY: &str = "Article 17, letter of 3 November";

fn erase(folder: &Folder, more: &[&str]) -> std::process::Output {
    let verb = [
        "report", "erase", "--until", "today", "--why", WHY, "--device",
    ];
    folder.run(&[&verb[..], &[seed::TRIED], more].concat())
}

fn names(folder: &Folder, device: &str) -> Vec<String> {
    let all = folder.log();
    let theirs = all.iter().filter(|row| row["device"] == device);
    theirs
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_erased_is_gone_to_the_last_byte() {
    let folder = few_rows();
    let log = folder.state().join("querylog");
    assert!(!stands_below(&log, "hurt-diary").is_empty());
    let said = fine(&erase(&folder, &[]));
    assert!(
        said.contains("4 rows (4 look-ups) were erased from "),
        "{said}"
    );
    assert!(
        said.contains("1 rows of mandatory hits were kept"),
        "{said}"
    );
    assert!(said.contains("backups"), "{said}");
    assert_eq!(names(&folder, seed::TRIED), ["(withheld)"]);
    assert_eq!(names(&folder, "ipad-7a-01").len(), 2);
    assert_eq!(stands_below(&log, "hurt-diary"), [""; 0]);
    // Another child's word for the same site stays.
    assert!(!stands_below(&log, "blockworld").is_empty());
    let done = deeds(&folder, "erased");
    assert_eq!(done[0]["about"]["rows"], 4);
    assert_eq!(deeds(&folder, "erasing")[0]["about"]["why"], WHY);
    assert!(stands_below(&folder.state().join("record"), "hurt-diary").is_empty());
    // Once more finds nothing and harms nothing.
    assert!(fine(&erase(&folder, &[])).contains("0 rows"));
}

#[test]
fn a_held_day_stays_whole_and_is_named() {
    let folder = few_rows();
    fine(&folder.run(&["report", "hold", "add", "all", "--why", "police"]));
    let before = folder.log();
    let output = erase(&folder, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("days are held") && said.contains("0 rows"),
        "{said}"
    );
    assert_eq!(folder.log(), before);
}

/// The writer remembers which number a device and a name have in its file. When
/// both are erased under it, it must neither write dangling rows nor give one
/// device's rows to another.
#[test]
fn the_writer_goes_on_under_it() {
    let folder = seed::plan().write();
    let mut log = Log::new(&folder, &london());
    // The newest device and name in the file: their numbers are given out again.
    for round in 0..5_i64 {
        let rounds = usize::try_from(round + 1).unwrap();
        let at = hours_ago(2) + SignedDuration::from_mins(10 * round);
        log.visit(at, "ipad-7a-01", "games", "blockworld.example", 2);
        log.visit(at, seed::TRIED, "self_harm", seed::TRIED_SITE, 3);
        log.write(Timestamp::now());
        fine(&erase(&folder, &[]));
        let at = at + SignedDuration::from_mins(5);
        log.visit(at, "ipad-7a-02", "gambling", "bets.example", 1);
        log.visit(at, seed::TRIED, "gambling", "slots4u.example", 1);
        log.write(Timestamp::now());
        assert_eq!(
            names(&folder, seed::TRIED),
            ["www.slots4u.example"],
            "{round}"
        );
        let others = names(&folder, "ipad-7a-02");
        assert_eq!(others.len(), rounds);
        assert!(
            others.iter().all(|name| name == "www.bets.example"),
            "{others:?}"
        );
        assert_eq!(names(&folder, "ipad-7a-01").len(), 2 * rounds);
    }
}

/// The same while the real server answers and writes.
#[test]
fn a_running_server_loses_no_row() {
    let mut plan = crate::serve::school::Plan::new(&["127.0.0.1:9".parse().unwrap()]);
    plan.devices += "one,One,,127.0.0.1,pupil,,tablet\ntwo,Two,,127.0.0.2,pupil,,tablet\n";
    let school = plan.start();
    let erase = |device: &str| {
        let verb = [
            "report", "erase", "--until", "today", "--why", WHY, "--device", device,
        ];
        fine(&school.folder.run(&verb))
    };
    let mut asked = 0;
    for round in 0..4 {
        for n in 0..5 {
            school.ask_from("127.0.0.2", &format!("n{n}.r{round}.bets.example"));
            school.ask_from("127.0.0.1", &format!("n{n}.r{round}.casino.example"));
            asked += 1;
        }
        crate::serve::eventually("rows are written", || {
            let rows = school.folder.log();
            let theirs = rows.iter().filter(|row| row["device"] == "two");
            (theirs.count() == asked).then_some(())
        });
        erase("one");
    }
    let rows = school.stop().log();
    for row in &rows {
        assert_eq!(row["device"], "two");
        assert!(
            row["name"].as_str().unwrap().ends_with("bets.example"),
            "{row}"
        );
    }
    assert_eq!(rows.len(), asked);
}

/// The pages remember what the numbers of an open day mean, and must be right
/// all the same.
#[test]
fn readers_are_right_after_it() {
    use schoolgate::configuration::Configuration;
    use schoolgate::incidents::wanted::{Page, Wanted};
    use schoolgate::incidents::{book::Book, hours::SchoolHours};

    let folder = seed::plan().write();
    let configuration = Configuration::load(folder.path()).map_err(|_| ()).unwrap();
    let open = || Book::open(&folder.state(), SchoolHours::of(&configuration.document));
    let (book, mut log) = (open(), Log::new(&folder, &london()));
    let read = |book: &Book| {
        let all = book
            .incidents(&Wanted::default(), Page::first(100))
            .incidents;
        let said = all.into_iter().map(|i| (i.device.unwrap(), i.domain));
        said.collect::<Vec<_>>()
    };
    for round in 0..4_i64 {
        let rounds = usize::try_from(round + 1).unwrap();
        let at = hours_ago(2) + SignedDuration::from_mins(20 * round);
        log.visit(at, "ipad-7a-01", "games", "blockworld.example", 2);
        log.visit(at, seed::TRIED, "self_harm", seed::TRIED_SITE, 3);
        log.write(Timestamp::now());
        assert!(read(&book).contains(&(seed::TRIED.into(), seed::TRIED_SITE.into())));
        fine(&erase(&folder, &[]));
        let at = at + SignedDuration::from_mins(10);
        log.visit(at, "ipad-7a-02", "gambling", "bets.example", 1);
        log.visit(at, "ipad-7a-03", "bypass", "free-vpn.example", 1);
        log.write(Timestamp::now());
        let said = read(&book);
        assert_eq!(said, read(&open()));
        assert_eq!(said.len(), 3 * rounds, "{said:?}");
        assert!(!said.iter().any(|(device, _)| device == seed::TRIED));
    }
}

/// Notes go with the incidents they are about.
#[test]
fn notes_go_too() {
    use schoolgate::configuration::Configuration;
    use schoolgate::incidents::{book::Book, casework::Word, hours::SchoolHours};
    use schoolgate::querylog::{filter::Filter, read};

    let folder = few_rows();
    let configuration = Configuration::load(folder.path()).map_err(|_| ()).unwrap();
    let book = Book::open(&folder.state(), SchoolHours::of(&configuration.document));
    let rows = read::rows(
        &folder.state().join("querylog"),
        &london(),
        Filter::default(),
    );
    for row in rows.unwrap().map(Result::unwrap) {
        let opened = book.incident(row.time).unwrap().unwrap();
        let whose = row.device.unwrap();
        let note = Word::Note(format!("a note on {whose}, {}", row.layer.id()));
        book.casework()
            .add(&opened.incident, "d.lead", &note, Timestamp::now())
            .unwrap();
    }
    let said = fine(&erase(&folder, &[]));
    assert!(
        said.contains("4 notes, 0 alerts and their words in 0 requests"),
        "{said}"
    );
    drop(book);
    let state = folder.state();
    let gone = format!("a note on {}, category", seed::TRIED);
    assert_eq!(stands_below(&state, &gone), [""; 0]);
    let kept = format!("a note on {}, mandatory", seed::TRIED);
    assert!(!stands_below(&state, &kept).is_empty());
    assert!(!stands_below(&state, "a note on ipad-7a-01").is_empty());
}

/// Rows may be gone, by retention or with a disk; what was noted of a day that is
/// held stays, and the day is named.
#[test]
fn a_held_day_without_rows_keeps_what_was_noted_of_it() {
    use schoolgate::configuration::Configuration;
    use schoolgate::incidents::wanted::{Page, Wanted};
    use schoolgate::incidents::{book::Book, casework::Word, hours::SchoolHours};

    let folder = seed::plan().write();
    let configuration = Configuration::load(folder.path()).map_err(|_| ()).unwrap();
    let mut log = Log::new(&folder, &london());
    let day = SignedDuration::from_hours(24);
    for back in [3, 6] {
        let at = hours_ago(1) - day * back;
        log.visit(at, seed::TRIED, "self_harm", seed::TRIED_SITE, 1);
        log.write(Timestamp::now());
    }
    let book = Book::open(&folder.state(), SchoolHours::of(&configuration.document));
    let all = book
        .incidents(&Wanted::default(), Page::first(10))
        .incidents;
    // Newest first.
    let dates = [0, 1].map(|at| book.date(all[at].first).to_string());
    for (incident, date) in all.iter().zip(&dates) {
        let note = Word::Note(format!("a note on {date}"));
        let now = Timestamp::now();
        book.casework().add(incident, "d.lead", &note, now).unwrap();
    }
    drop(book);
    fine(&folder.run(&["report", "hold", "add", &dates[0], "--why", "police"]));
    for file in std::fs::read_dir(folder.state().join("querylog")).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_str().unwrap().starts_with(&dates[0]) {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    let output = erase(&folder, &[]);
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        said.contains("1 rows") && said.contains("1 notes"),
        "{said}"
    );
    let named = format!("1 days are held and were left as they are: {}.", dates[0]);
    assert!(said.contains(&named), "{said}");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stands =
        dates.map(|date| !stands_below(&folder.state(), &format!("a note on {date}")).is_empty());
    assert_eq!(stands, [true, false]);
}

/// `--until` is a day to its end, and never in the future.
#[test]
fn it_goes_up_to_the_day_that_was_said() {
    let folder = seed::plan().write();
    let mut log = Log::new(&folder, &london());
    let day = SignedDuration::from_hours(24);
    for back in 0..4 {
        let at = hours_ago(1) - day * back;
        log.visit(at, seed::TRIED, "self_harm", seed::TRIED_SITE, 1);
        // What is alike within one write is one row.
        log.write(Timestamp::now());
    }
    let last = (hours_ago(1) - day * 2)
        .to_zoned(london())
        .date()
        .to_string();
    let verb = [
        "report",
        "erase",
        "--device",
        seed::TRIED,
        "--why",
        WHY,
        "--until",
    ];
    let said = fine(&folder.run(&[&verb[..], &[&*last]].concat()));
    assert!(
        said.contains("2 rows (2 look-ups) were erased from 2 days"),
        "{said}"
    );
    assert_eq!(names(&folder, seed::TRIED).len(), 2);
}
