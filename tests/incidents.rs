//! The log as people read it, held against a version of it that is dull and
//! obviously right: every row of every day, one after the other.

use std::collections::BTreeMap;
use std::fs;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use schoolgate::incidents::book::Book;
use schoolgate::incidents::hours::SchoolHours;
use schoolgate::incidents::interest::{is_of_interest, is_sensitive};
use schoolgate::incidents::wanted::{Page, Wanted};
use schoolgate::lists::category::{Category, Theme};
use schoolgate::policy::decision::{Layer, LogLevel, Verdict};
use schoolgate::policy::document::PolicyDocument;
use schoolgate::querylog::filter::Filter;
use schoolgate::querylog::row::Row;
use schoolgate::querylog::visits::{self, Incident};

use crate::querylog::{Asked, Bench, blocked, later, london, mandatory, noon, read_all};

mod casework;
mod days;
mod search;

const DEVICES: [(&str, &str, &str); 4] = [
    ("ipad-7", "iPad 7", "10.1.0.7"),
    ("ipad-8", "iPad 8", "10.1.0.8"),
    ("pc-1", "Library PC", "2001:db8::1"),
    ("pc-2", "Library PC", "10.1.0.9"),
];
const DOMAINS: [&str; 6] = [
    "www.bets.example",
    "cdn.bets.example",
    "games.example.co.uk",
    "help.example.org",
    "tiktok.com",
    "a.b.tiktok.com",
];
const CATEGORIES: [&str; 7] = [
    "",
    "gambling",
    "adverts",
    "telemetry",
    "games",
    "self_harm",
    "social_media",
];

/// What a made-up look-up is made of.
type Made = (u32, usize, usize, usize, usize, bool);

fn made() -> impl Strategy<Value = Made> {
    // Seconds over two days and a half, in bunches that collapse.
    let second = (0..40_u32, 0..400_u32).prop_map(|(bunch, within)| bunch * 5000 + within);
    let (devices, domains) = (0..DEVICES.len(), 0..DOMAINS.len());
    (
        second,
        devices,
        domains,
        0..CATEGORIES.len(),
        0..5_usize,
        any::<bool>(),
    )
}

fn asked((second, device, domain, category, fate, staff): Made) -> Asked {
    let (action, layer) = match fate {
        0 => (Verdict::Allow, Layer::Allow),
        1 => (Verdict::Rewrite, Layer::SafeSearch),
        2 => (Verdict::Block, Layer::Mandatory),
        3 => (Verdict::Block, Layer::Exception),
        _ => (Verdict::Block, Layer::Category),
    };
    let (device, device_name, ip) = DEVICES[device];
    Asked {
        at: noon() + SignedDuration::from_secs(second.into()),
        device,
        device_name,
        ip,
        group: if staff { "staff" } else { "pupils" },
        action,
        layer,
        category: CATEGORIES[category],
        level: if staff {
            LogLevel::Domains
        } else {
            LogLevel::Full
        },
        ..blocked(DOMAINS[domain])
    }
}

/// Writes them through the real log, some at a time.
fn log_of(all: &[Made]) -> Bench {
    let mut bench = Bench::new();
    let mut all: Vec<Asked> = all.iter().copied().map(asked).collect();
    all.sort_by_key(|asked| asked.at);
    for some in all.chunks(7) {
        bench.write(some);
    }
    bench
}

fn hours() -> SchoolHours {
    let text = "school = \"A\"\ntimezone = \"Europe/London\"\nunknown = \"guest\"\n";
    SchoolHours::of(&PolicyDocument::read("policy.toml", text).0)
}

fn book(bench: &Bench) -> Book {
    Book::open(bench.state.path(), hours())
}

fn all_rows(bench: &Bench) -> Vec<Row> {
    read_all(&bench.folder(), Filter::default()).0
}

fn date_of(at: Timestamp) -> Date {
    at.to_zoned(london()).date()
}

/// Day by day, what is of interest and what is plain apart; the newest first.
fn dull(rows: &[Row], of_interest: bool) -> Vec<Incident> {
    let mut days: BTreeMap<Date, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_of_interest(row) == of_interest) {
        days.entry(date_of(row.time)).or_default().push(row);
    }
    let mut all: Vec<Incident> = days.into_values().flat_map(visits::incidents).collect();
    all.sort_by_key(|incident| std::cmp::Reverse(incident.first));
    all
}

/// Every page, one after the other.
fn listed(book: &Book, wanted: &Wanted, size: usize) -> Vec<Incident> {
    let (mut page, mut all) = (Page::first(size), Vec::new());
    loop {
        let listing = book.incidents(wanted, page);
        assert_eq!(listing.damaged, []);
        assert!(listing.incidents.len() <= size);
        all.extend(listing.incidents);
        page.before = listing.next;
        if page.before.is_none() {
            return all;
        }
    }
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let device = prop::sample::select(vec!["ipad-7", "library pc", "pc-2", "nobody"]);
    let category = prop::sample::select(vec!["gambling", "adverts", "self_harm", "games"]);
    let theme = prop::sample::select(vec![
        Theme::Gambling,
        Theme::SuicideSelfHarm,
        Theme::Unsorted,
    ]);
    let moment = (0..200_000_i64).prop_map(later);
    (
        (prop::option::of(moment.clone()), prop::option::of(moment)),
        prop::option::of(Just("staff".to_owned())),
        prop::option::of(device),
        (prop::option::of(category), prop::option::of(theme)),
        prop::option::of(prop::sample::select(Verdict::ALL.to_vec())),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        prop::option::of(any::<bool>()),
    )
        .prop_map(
            |((since, until), group, device, (category, theme), action, flags, school)| {
                let (sensitive_only, mandatory_only, hide_background) = flags;
                Wanted {
                    since,
                    until,
                    group,
                    device: device.map(str::to_owned),
                    category: category.and_then(Category::named),
                    theme,
                    action,
                    sensitive_only: sensitive_only && mandatory_only,
                    mandatory_only: mandatory_only && hide_background,
                    hide_background,
                    school_hours: school,
                    reviewed: None,
                }
            },
        )
}

#[test]
fn a_listing_is_what_a_dull_one_is() {
    proptest!(ProptestConfig::with_cases(24), |(
        made in prop::collection::vec(made(), 1..120),
        wanted in prop::collection::vec(wanted(), 12),
        size in 1..30_usize,
    )| {
        let bench = log_of(&made);
        let book = book(&bench);
        let dull = dull(&all_rows(&bench), true);
        let everything = Wanted { hide_background: false, ..Wanted::default() };
        prop_assert_eq!(&listed(&book, &everything, size), &dull);
        for wanted in wanted {
            let mut expected = dull.clone();
            expected.retain(|incident| wanted.wants(incident, &book.hours()));
            prop_assert_eq!(listed(&book, &wanted, size), expected, "{:?}", wanted);
        }
    });
}

/// Whichever of its rows somebody follows, it is the incident of the listing.
#[test]
fn an_incident_is_the_same_from_each_of_its_rows() {
    proptest!(ProptestConfig::with_cases(12), |(made in prop::collection::vec(made(), 1..60))| {
        let bench = log_of(&made);
        let book = book(&bench);
        let rows = all_rows(&bench);
        let all: Vec<Incident> = [dull(&rows, true), dull(&rows, false)].concat();
        let mut found = 0;
        for row in &rows {
            let opened = book.incident(row.time).unwrap().unwrap();
            prop_assert!(all.contains(&opened.incident), "{:?}", opened.incident);
            prop_assert!(opened.rows.contains(row));
            prop_assert_eq!(opened.rows.len(), opened.all_rows);
            let count: u64 = opened.rows.iter().map(|row| row.count).sum();
            prop_assert_eq!(count, opened.incident.count);
            prop_assert_eq!(&opened.policies, &[7]);
            found += usize::from(opened.incident.first == row.time);
        }
        prop_assert_eq!(found, all.len());
        prop_assert!(book.incident(later(-5)).unwrap().is_none());
    });
}

#[test]
fn a_devices_day_has_everything_of_it() {
    proptest!(ProptestConfig::with_cases(12), |(
        made in prop::collection::vec(made(), 1..100),
        size in 1..40_usize,
    )| {
        let bench = log_of(&made);
        let book = book(&bench);
        for (device, _, _) in DEVICES {
            for date in book.days() {
                let mut rows = all_rows(&bench);
                rows.retain(|row| {
                    visits::device_of(row).as_deref() == Some(device) && date_of(row.time) == date
                });
                let (mut page, mut found) = (Page::first(size), Vec::new());
                loop {
                    let day = book.device_day(device, date, page).unwrap();
                    let oldest_first = |mut all: Vec<Incident>| { all.reverse(); all };
                    prop_assert_eq!(day.incidents, oldest_first(dull(&rows, true)));
                    prop_assert_eq!(day.plain, oldest_first(dull(&rows, false)));
                    found.extend(day.rows);
                    page.before = day.next;
                    if page.before.is_none() {
                        break;
                    }
                }
                found.reverse();
                prop_assert_eq!(found, rows);
            }
        }
    });
}

#[test]
fn the_overview_counts_what_is_sensitive() {
    proptest!(ProptestConfig::with_cases(12), |(made in prop::collection::vec(made(), 1..100))| {
        let bench = log_of(&made);
        let book = book(&bench);
        // Monday: the rows are of Saturday, Sunday and this day.
        let now = later(2 * 86_400 + 3600);
        let mut all = dull(&all_rows(&bench), true);
        all.retain(is_sensitive);
        let on = |date: Date| all.iter().filter(|i| date_of(i.first) == date).count() as u64;
        let overview = book.overview(now);
        let today = date_of(now);
        prop_assert_eq!(overview.today, on(today));
        prop_assert_eq!(overview.yesterday, on(today.yesterday().unwrap()));
        prop_assert_eq!(overview.this_week, on(today));
        prop_assert_eq!(overview.last_week, all.len() as u64 - on(today));
        // Saturday and Sunday are later in their week than Monday noon.
        prop_assert_eq!(overview.last_week_so_far, 0);
        prop_assert_eq!(overview.trend.len(), 28);
        let newest: Vec<&Incident> = all.iter().take(10).collect();
        prop_assert_eq!(overview.newest.iter().collect::<Vec<_>>(), newest);
        let mut devices: BTreeMap<&str, u64> = BTreeMap::new();
        for device in all.iter().filter_map(|i| i.device.as_deref()) {
            *devices.entry(device).or_default() += 1;
        }
        let repeated = devices.values().filter(|count| **count >= 3).count();
        prop_assert_eq!(overview.repeated.len(), repeated);
    });
}

#[test]
fn a_damaged_day_costs_that_day() {
    let mut bench = Bench::new();
    for day in 0..3 {
        let mut asked = blocked("www.bets.example");
        asked.at = later(day * 86_400);
        bench.write(&[asked]);
    }
    let book = book(&bench);
    let dates = book.days();
    let spoilt = bench.folder().join(format!("{}.db", dates[1]));
    let mut bytes = fs::read(&spoilt).unwrap();
    bytes[..2000].fill(0xa5);
    fs::write(&spoilt, bytes).unwrap();
    let listing = book.incidents(&Wanted::default(), Page::first(10));
    assert_eq!(listing.incidents.len(), 2);
    assert_eq!(listing.damaged.len(), 1);
    assert!(listing.damaged[0].file.starts_with(&dates[1].to_string()));
    let overview = book.overview(later(2 * 86_400));
    assert_eq!((overview.today, overview.damaged.len()), (1, 1));
    assert!(book.device_day("ipad-7", dates[1], Page::first(5)).is_err());
    assert_eq!(book.digest(dates[1]), None);
    while book.tend() {}
    // Set aside by the writer, as it does when it meets such a day.
    fs::rename(&spoilt, spoilt.with_extension("db.damaged")).unwrap();
    let listing = book.incidents(&Wanted::default(), Page::first(10));
    assert_eq!((listing.incidents.len(), listing.damaged.len()), (2, 1));
}

/// Also the numbers that were kept of a day that is over.
#[test]
fn a_book_goes_by_the_hours_it_was_last_told() {
    let mut bench = Bench::new();
    // A Saturday noon, and another one that ends its day.
    let mut next = blocked("www.bets.example");
    next.at = later(7 * 86_400);
    bench.write(&[blocked("www.bets.example")]);
    bench.write(&[next]);
    let book = book(&bench);
    let in_hours = Wanted {
        school_hours: Some(true),
        ..Wanted::default()
    };
    let look = |counts: [usize; 2]| {
        while book.tend() {}
        let digest = book.digest(date_of(noon())).unwrap();
        let kept = digest.cells.iter().filter(|cell| cell.school_hours);
        let listed = listed(&book, &in_hours, 10);
        assert_eq!([listed.len(), kept.count()], counts);
    };
    look([0, 0]);
    assert!(bench.state.path().join("incidents/digests.db").exists());
    let policy = |zone: &str| {
        let text = format!(
            "school = \"A\"\ntimezone = \"{zone}\"\nunknown = \"guest\"\n\
             [timetables.school_hours]\ndays = [\"sat\"]\nfrom = \"11:30\"\nto = \"12:30\"\n\
             outside_terms = true\n"
        );
        PolicyDocument::read("policy.toml", &text).0
    };
    book.go_by(&policy("Europe/London"));
    look([2, 1]);
    // The days are those of the zone that the log was begun in.
    book.go_by(&policy("Europe/Athens"));
    look([2, 1]);
    assert_eq!(*book.zone(), london());
}

#[test]
fn a_book_without_a_log_is_empty() {
    let state = tempfile::tempdir().unwrap();
    let book = Book::open(state.path(), hours());
    assert!(!book.tend());
    let listing = book.incidents(&Wanted::default(), Page::first(10));
    assert!(listing.incidents.is_empty() && listing.next.is_none());
    assert_eq!(book.overview(noon()).today, 0);
    assert!(book.incident(noon()).unwrap().is_none());
    assert!(book.clients(noon()).clients.is_empty());
    assert!(!state.path().join("casework.db").exists());
}

/// A mandatory hit is never background, whatever else the name is listed for.
#[test]
fn a_mandatory_hit_is_always_listed() {
    let mut bench = Bench::new();
    let mut hit = mandatory("x.ads.example");
    hit.category = "adverts";
    bench.write(&[hit]);
    let listing = book(&bench).incidents(&Wanted::default(), Page::first(10));
    assert!(listing.incidents[0].mandatory && !listing.incidents[0].background);
    assert_eq!(book(&bench).overview(later(60)).mandatory_seven_days, 1);
}
