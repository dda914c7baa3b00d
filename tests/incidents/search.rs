//! A search finds what going through all rows finds.

use proptest::prelude::*;
use schoolgate::incidents::book::Book;
use schoolgate::incidents::search::Sought;
use schoolgate::incidents::sight::Sight;
use schoolgate::incidents::wanted::Page;
use schoolgate::policy::decision::LogLevel;
use schoolgate::querylog::row::Row;
use schoolgate::querylog::told::WITHHELD;

use super::{all_rows, book, log_of, made};
use crate::querylog::{Bench, allowed, blocked, later, mandatory};

fn found(book: &Book, sought: &Sought, size: usize) -> Vec<Row> {
    let (mut page, mut all) = (Page::first(size), Vec::new());
    loop {
        let found = book.search(sought, page);
        assert_eq!(found.damaged, []);
        assert!(found.rows.len() <= size);
        all.extend(found.rows);
        page.before = found.next;
        if page.before.is_none() {
            return all;
        }
    }
}

fn sought(text: &str) -> Sought {
    Sought::new(text, Sight::Full).unwrap()
}

#[test]
fn a_search_finds_what_grep_finds() {
    let texts = [
        "tiktok",
        "e",
        "bets.example",
        "example",
        "zz",
        "b.tik",
        "co.uk",
    ];
    proptest!(ProptestConfig::with_cases(12), |(
        made in prop::collection::vec(made(), 1..100),
        text in prop::sample::select(texts.to_vec()),
        size in 1..30_usize,
        full in any::<bool>(),
    )| {
        let bench = log_of(&made);
        let book = book(&bench);
        let sight = if full { Sight::Full } else { Sight::Guarded };
        let mut dull = all_rows(&bench);
        dull.retain(|row| {
            let hidden = !full && row.is_mandatory();
            let named = row.device_name.as_ref().is_some_and(|n| n.to_lowercase().contains(text));
            named || (!hidden && row.name.contains(text))
        });
        dull.reverse();
        let dull: Vec<Row> = dull.into_iter().map(|row| sight.row(row)).collect();
        let sought = Sought::new(text, sight).unwrap();
        prop_assert_eq!(found(&book, &sought, size), dull);
    });
}

/// Far more names match than are asked for one by one.
#[test]
fn a_search_for_many_names_finds_the_newest() {
    let mut bench = Bench::with(1 << 22, |_| ());
    let all: Vec<_> = (0..1500)
        .map(|n| {
            let mut asked = blocked(&format!("n{n}.example"));
            asked.at = later(n);
            asked
        })
        .collect();
    bench.write(&all);
    let book = book(&bench);
    let rows = found(&book, &sought("example"), 400);
    let mut dull = all_rows(&bench);
    dull.reverse();
    assert_eq!(rows, dull);
    let rows = book.search(&sought("N77"), Page::first(3)).rows;
    let names: Vec<_> = rows.iter().map(|row| &*row.name).collect();
    assert_eq!(names, ["n779.example", "n778.example", "n777.example"]);
}

#[test]
fn one_box_takes_a_device_in_any_spelling_a_link_and_a_person() {
    let mut bench = Bench::new();
    let mut other = blocked("www.help.example");
    (other.device, other.device_name, other.ip) = ("pc-1", "Library PC", "2001:db8::1");
    bench.write(&[other, allowed("open.example", LogLevel::Full)]);
    let book = book(&bench);
    let count = |text: &str| found(&book, &sought(text), 10).len();
    for text in [
        "PC-1",
        "library",
        "2001:DB8:0::1",
        "https://www.help.example/a?b=c",
        "help",
    ] {
        assert_eq!(count(text), 1, "{text}");
    }
    assert_eq!(count("001A.2B3C.4D5E"), 2);
    for text in ["' OR 1=1 --", "%", "_", "<script>", "*", "10.9.9.9"] {
        assert_eq!(count(text), 0, "{text}");
    }
    let person = sought("A. Pupil").with_devices(["pc-1".to_owned()]);
    assert_eq!(found(&book, &person, 10).len(), 1);
    for text in ["", "  ", "https://", "a\nb", &"x".repeat(300)] {
        assert_eq!(Sought::new(text, Sight::Full), None, "{text:?}");
    }
}

#[test]
fn only_who_may_see_a_mandatory_host_finds_it() {
    let mut bench = Bench::new();
    let mut other = blocked("other.example");
    other.at = later(1);
    bench.write(&[mandatory("secret-host.example"), other]);
    let book = book(&bench);
    let guarded = |text: &str| Sought::new(text, Sight::Guarded).unwrap();
    assert_eq!(found(&book, &guarded("secret"), 10), []);
    assert_eq!(found(&book, &guarded("example"), 10).len(), 1);
    let by_device = found(&book, &guarded("ipad-7"), 10);
    let names: Vec<_> = by_device.iter().map(|row| &*row.name).collect();
    assert_eq!(names, ["other.example", WITHHELD]);
    assert_eq!(found(&book, &sought("secret"), 10).len(), 1);
}
