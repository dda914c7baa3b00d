//! Rows are found again: by day, by filter, by `log`.

use schoolgate::lists::category::Category;
use schoolgate::policy::decision::{Layer, LogLevel, Verdict};
use schoolgate::querylog::filter::Filter;
use schoolgate::querylog::log::{LogArgs, LogError, log};
use schoolgate::querylog::read::rows;

use super::{Asked, Bench, allowed, blocked, later, london, mandatory, noon};

fn printed(bench: &Bench, args: &LogArgs) -> String {
    let mut out = Vec::new();
    log(args, &bench.folder(), &london(), later(3600), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The school's day, not the day of UTC; and a day is found by its own rows.
#[test]
fn a_day_is_a_file_and_a_filter_reads_over_days() {
    let mut bench = Bench::new();
    let mut all = Vec::new();
    for (at, name) in [
        ("2026-07-19T22:30:00Z", "sunday.example"),
        ("2026-07-19T23:30:00Z", "monday.example"),
        ("2026-07-20T23:30:00Z", "tuesday.example"),
    ] {
        all.push(Asked {
            at: at.parse().unwrap(),
            ..blocked(name)
        });
    }
    bench.write(&all);
    for day in ["2026-07-19", "2026-07-20", "2026-07-21"] {
        assert!(bench.folder().join(format!("{day}.db")).exists(), "{day}");
    }
    let names =
        |filter| -> Vec<String> { bench.rows(filter).into_iter().map(|r| r.name).collect() };
    let monday = Filter {
        since: Some("2026-07-19T23:00:00Z".parse().unwrap()),
        until: Some("2026-07-20T23:00:00Z".parse().unwrap()),
        ..Filter::default()
    };
    assert_eq!(names(monday), ["monday.example"]);
    let newest = Filter {
        newest_first: true,
        limit: Some(2),
        ..Filter::default()
    };
    assert_eq!(names(newest), ["tuesday.example", "monday.example"]);
}

#[test]
fn filters_find_what_they_say() {
    let mut bench = Bench::new();
    let mut other = blocked("deep.www.games.example");
    (other.device, other.device_name, other.ip) = ("pc-1", "Library PC", "2001:db8::1");
    other.category = "games";
    bench.write(&[
        blocked("bets.example"),
        blocked("notgames.example"),
        other,
        allowed("games.example", LogLevel::Full),
        mandatory("x.example"),
    ]);
    let count = |filter| bench.rows(filter).len();
    let device = |text: &str| {
        count(Filter {
            device: Some(text.to_owned()),
            ..Filter::default()
        })
    };
    assert_eq!(device("pc-1"), 1);
    assert_eq!(device("library pc"), 1);
    assert_eq!(device("2001:DB8:0::1"), 1);
    assert_eq!(device("10.1.0.7"), 4);
    assert_eq!(device("001A.2B3C.4D5E"), 5);
    assert_eq!(device("' OR 1=1 --"), 0);
    let name = |text: &str| {
        count(Filter {
            name: Some(text.to_owned()),
            ..Filter::default()
        })
    };
    assert_eq!(
        name("games.example"),
        2,
        "itself and below, not look-alikes"
    );
    assert_eq!(name("example"), 5);
    let category = Category::named("gambling");
    assert_eq!(
        count(Filter {
            category,
            ..Filter::default()
        }),
        2
    );
    let action = Some(Verdict::Allow);
    assert_eq!(
        count(Filter {
            action,
            ..Filter::default()
        }),
        1
    );
    let layer = Some(Layer::Mandatory);
    assert_eq!(
        count(Filter {
            layer,
            ..Filter::default()
        }),
        1
    );
    let group = Some("staff".to_owned());
    assert_eq!(
        count(Filter {
            group,
            ..Filter::default()
        }),
        0
    );
}

#[test]
fn more_rows_than_a_page_come_in_order_whichever_way() {
    let mut bench = Bench::with(1 << 22, |_| ());
    // One instant: the microseconds are moved on, none is lost.
    let all: Vec<Asked> = (0..5000)
        .map(|n| blocked(&format!("n{n}.example")))
        .collect();
    bench.write(&all);
    bench.write(&all[..10]);
    let oldest = bench.rows(Filter::default());
    let mut newest = bench.rows(Filter {
        newest_first: true,
        ..Filter::default()
    });
    assert_eq!(oldest.len(), 5010);
    assert!(oldest.is_sorted_by_key(|row| row.time));
    newest.reverse();
    assert_eq!(newest, oldest);
}

#[test]
fn reading_goes_on_while_the_writer_writes() {
    let mut bench = Bench::new();
    bench.write(&[blocked("a.example")]);
    let folder = bench.folder();
    let mut reading = rows(&folder, &london(), Filter::default()).unwrap();
    let first = reading.next().unwrap().unwrap();
    bench.write(&[blocked("b.example")]);
    assert!(!bench.writer.health().report().failing);
    assert_eq!(first.name, "a.example");
    assert_eq!(bench.rows(Filter::default()).len(), 2);
}

#[test]
fn the_log_prints_the_contract() {
    let mut bench = Bench::new();
    let mut summer = mandatory("secret-host.example");
    summer.at = "2026-07-20T08:00:00.25Z".parse().unwrap();
    let mut steering = allowed("open.example", LogLevel::Full);
    steering.device_name = "a\u{1b}[2Jb";
    bench.write(&[summer, steering]);
    let json = LogArgs {
        json: true,
        ..LogArgs::default()
    };
    let lines = printed(&bench, &json);
    assert_eq!(
        lines.lines().next().unwrap(),
        "{\"time\":\"2026-07-20T08:00:00.250Z\",\"local\":\"2026-07-20T09:00:00.250+01:00\",\
         \"device\":\"ipad-7\",\"name_of_device\":\"iPad 7\",\"mac\":\"00:1a:2b:3c:4d:5e\",\
         \"ip\":\"10.1.0.7\",\"group\":\"pupils\",\"name\":\"(withheld)\",\"type\":\"A\",\
         \"action\":\"block\",\"layer\":\"mandatory\",\"categories\":[\"terrorism\"],\
         \"source\":null,\"policy\":7,\"count\":1,\"category\":\"terrorism\",\
         \"time_trusted\":true}"
    );
    let table = printed(&bench, &LogArgs::default());
    assert_eq!(
        table,
        "TIME                 DEVICE                 GROUP        ACTION   WHY                  \
         TYPE   COUNT  NAME\n\
         2026-07-20 09:00:00  iPad 7                 pupils       block    terrorism            \
         A          1  (withheld)\n\
         2026-11-21 12:00:00  a\u{fffd}[2Jb                 pupils       allow    allow                \
         A          1  open.example\n"
    );
    let since = LogArgs {
        since: Some("2h".into()),
        ..json
    };
    assert_eq!(printed(&bench, &since).lines().count(), 1);
}

#[test]
fn the_log_names_every_mistake_and_the_choices() {
    let bench = Bench::new();
    let args = LogArgs {
        since: Some("soon".into()),
        category: Some("gamblng".into()),
        action: Some("deny".into()),
        ..LogArgs::default()
    };
    let said = log(&args, &bench.folder(), &london(), noon(), &mut Vec::new());
    let Err(LogError::Arguments(mistakes)) = said else {
        panic!("{said:?}");
    };
    assert_eq!(
        mistakes[1..],
        [
            "--category: no category \"gamblng\"; did you mean \"gambling\"?",
            "--action: no action \"deny\"; choose from: allow, block, rewrite",
        ]
    );
    assert!(mistakes[0].starts_with("--since: \"soon\" is no moment; write 2h"));
    // No log yet is no rows.
    assert_eq!(printed(&bench, &LogArgs::default()).lines().count(), 1);
}
