//! Days change under a book: rows come, late ones too, days end, go, and are
//! replaced.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use schoolgate::incidents::book::Book;
use schoolgate::incidents::search::Sought;
use schoolgate::incidents::sight::Sight;
use schoolgate::incidents::wanted::{Page, Wanted};
use schoolgate::policy::decision::LogLevel;
use schoolgate::querylog::erase::erase_day;

use super::{all_rows, book, date_of, dull, listed};
use crate::querylog::{Bench, allowed, blocked, later, noon};

fn names(book: &Book, text: &str) -> Vec<String> {
    let sought = Sought::new(text, Sight::Full).unwrap();
    let found = book.search(&sought, Page::first(500));
    assert_eq!(found.damaged, []);
    found.rows.into_iter().map(|row| row.name).collect()
}

fn everything() -> Wanted {
    Wanted {
        hide_background: false,
        ..Wanted::default()
    }
}

#[test]
fn what_comes_is_seen_also_when_it_comes_late() {
    let mut bench = Bench::new();
    let book = book(&bench);
    for second in [100, 101, 900, 50, 102, 5000, 0] {
        let mut asked = blocked(&format!("n{second}.bets.example"));
        asked.at = later(second);
        bench.write(&[asked]);
        assert_eq!(
            listed(&book, &everything(), 3),
            dull(&all_rows(&bench), true)
        );
        assert_eq!(names(&book, &format!("n{second}.")).len(), 1, "{second}");
    }
}

#[test]
fn a_book_is_read_while_the_log_is_written() {
    let mut bench = Bench::new();
    bench.write(&[blocked("first.example")]);
    let book = book(&bench);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers = [0, 1].map(|_| {
            scope.spawn(|| {
                let (mut most, mut rounds) = (0, 0);
                while !done.load(Relaxed) || rounds == 0 {
                    let listing = book.incidents(&everything(), Page::first(100_000));
                    assert_eq!(listing.damaged, []);
                    assert!(listing.incidents.len() >= most, "nothing vanishes");
                    most = listing.incidents.len();
                    assert!(names(&book, "first").len() == 1);
                    assert_eq!(book.overview(later(1)).damaged, []);
                    rounds += 1;
                }
            })
        });
        for n in 0..300 {
            let mut asked = blocked(&format!("d{n}.example"));
            asked.at = later(n * 600);
            bench.write(&[asked]);
        }
        done.store(true, Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(
        listed(&book, &everything(), 50),
        dull(&all_rows(&bench), true)
    );
}

/// The writer seals the day before when the next one begins; what was kept at
/// hand of it is of the same rows.
#[test]
fn a_day_that_ends_stays_as_it_was() {
    let mut bench = Bench::new();
    let book = book(&bench);
    for day in 0..4 {
        let mut asked = blocked(&format!("day{day}.example"));
        asked.at = later(day * 86_400);
        bench.write(&[asked]);
        while book.tend() {}
        let so_far = usize::try_from(day + 1).unwrap();
        assert_eq!(listed(&book, &everything(), 10).len(), so_far);
        assert_eq!(names(&book, "day").len(), so_far);
    }
    let logs = fs::read_dir(bench.folder()).unwrap().flatten();
    let logs = logs.filter(|file| file.file_name().to_string_lossy().ends_with(".db-wal"));
    let logs = logs.filter(|file| !file.file_name().to_string_lossy().starts_with("summary"));
    assert!(
        logs.count() <= 1,
        "nobody kept the writer from sealing a day"
    );
}

#[test]
fn a_day_that_goes_is_gone_and_its_numbers_stay() {
    let mut bench = Bench::new();
    for day in 0..3 {
        let mut asked = blocked(&format!("day{day}.example"));
        asked.at = later(day * 86_400);
        asked.category = "self_harm";
        bench.write(&[asked]);
    }
    let book = book(&bench);
    let dates = book.days();
    while book.tend() {}
    let digest = book.digest(dates[0]).unwrap();
    assert_eq!(
        (digest.cells[0].incidents, digest.sensitive_devices),
        (1, 1)
    );
    assert_eq!(digest.cells[0].group, "pupils");
    fs::remove_file(bench.folder().join(format!("{}.db", dates[0]))).unwrap();
    assert_eq!(names(&book, "day"), ["day2.example", "day1.example"]);
    assert_eq!(listed(&book, &everything(), 10).len(), 2);
    assert!(!book.tend());
    assert_eq!(names(&book, "day0"), [""; 0]);
    let another = super::book(&bench);
    assert_eq!(another.digest(dates[0]), Some(digest));
    assert!(another.digest("2020-01-01".parse().unwrap()).is_none());
}

/// Erasing gives numbers of names and devices to others.
#[test]
fn what_was_erased_is_not_found() {
    let mut bench = Bench::new();
    let mut other = blocked("theirs.example");
    (other.device, other.device_name, other.ip) = ("pc-1", "Library PC", "10.1.0.9");
    bench.write(&[blocked("first.example"), other]);
    let book = book(&bench);
    assert_eq!(names(&book, "theirs").len(), 1);
    let devices = ["pc-1".to_owned()];
    erase_day(&bench.folder(), date_of(noon()), &devices, later(1)).unwrap();
    assert_eq!(names(&book, "theirs"), [""; 0]);
    bench.write(&[
        allowed("next.example", LogLevel::Full),
        blocked("more.example"),
    ]);
    assert_eq!(names(&book, "next"), ["next.example"]);
    assert_eq!(names(&book, "theirs"), [""; 0]);
    assert_eq!(
        listed(&book, &everything(), 10),
        dull(&all_rows(&bench), true)
    );
}

#[test]
fn who_asked_lately_is_known_with_how_often() {
    let mut bench = Bench::new();
    let mut other = blocked("a.example");
    (other.device, other.device_name, other.ip) = ("pc-1", "Library PC", "10.1.0.9");
    other.at = later(60);
    bench.write(&[blocked("a.example"), blocked("b.example"), other]);
    let book = book(&bench);
    let clients = book.clients(noon()).clients;
    let said: Vec<_> = clients
        .iter()
        .map(|c| (c.key().unwrap(), c.rows, c.last_seen))
        .collect();
    assert_eq!(said[0], ("pc-1".to_owned(), 1, later(60)));
    assert_eq!((&*said[1].0, said[1].1), ("ipad-7", 2));
    assert_eq!(book.clients(later(30)).clients.len(), 1);
}

#[test]
fn a_filter_takes_a_device_by_its_mac() {
    let mut bench = Bench::new();
    bench.write(&[blocked("a.example")]);
    let book = book(&bench);
    for (text, many) in [("00-1A-2B-3C-4D-5E", 1), ("10.1.0.7", 1), ("10.1.0.8", 0)] {
        let wanted = Wanted {
            device: Some(text.to_owned()),
            ..Wanted::default()
        };
        assert_eq!(listed(&book, &wanted, 5).len(), many, "{text}");
    }
}
