//! The query log from the outside: events go in at one end, rows come out at
//! the other.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schoolgate::lists::category::{Category, CategorySet};
use schoolgate::name::Name;
use schoolgate::policy::decision::{Layer, LogLevel, Verdict};
use schoolgate::querylog::event::Event;
use schoolgate::querylog::log::{LogArgs, LogError, log};
use schoolgate::querylog::read::{Filter, rows};
use schoolgate::querylog::recorder::{Rank, Recorder, recorder};
use schoolgate::querylog::retention::sweep;
use schoolgate::querylog::row::Row;
use schoolgate::querylog::summary::hours;
use schoolgate::querylog::writer::{Settings, Writer};
use tempfile::TempDir;

const RING: usize = 1 << 16;

/// A log in a fresh folder, with one worker.
struct Bench {
    state: TempDir,
    recorder: Recorder,
    writer: Writer,
}

/// What a test varies of an event.
#[derive(Clone)]
struct Asked {
    at: Timestamp,
    device: &'static str,
    device_name: &'static str,
    ip: &'static str,
    name: String,
    action: Verdict,
    layer: Layer,
    category: &'static str,
    level: LogLevel,
}

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

fn later(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

fn blocked(name: &str) -> Asked {
    Asked {
        at: noon(),
        device: "ipad-7",
        device_name: "iPad 7",
        ip: "10.1.0.7",
        name: name.to_owned(),
        action: Verdict::Block,
        layer: Layer::Category,
        category: "gambling",
        level: LogLevel::Full,
    }
}

fn allowed(name: &str, level: LogLevel) -> Asked {
    Asked {
        action: Verdict::Allow,
        layer: Layer::Allow,
        category: "",
        level,
        ..blocked(name)
    }
}

fn mandatory(name: &str) -> Asked {
    Asked {
        layer: Layer::Mandatory,
        category: "terrorism",
        ..blocked(name)
    }
}

fn record(recorder: &mut Recorder, asked: &Asked) {
    let name = Name::parse_any_depth(&asked.name).unwrap();
    let category = Category::named(asked.category);
    recorder.record(&Event {
        time: asked.at,
        time_trusted: true,
        device: Some(asked.device),
        device_name: Some(asked.device_name),
        mac: Some("00:1a:2b:3c:4d:5e".parse().unwrap()),
        ip: asked.ip.parse::<IpAddr>().unwrap(),
        group: "pupils",
        name: name.as_ref(),
        rtype: 1,
        action: asked.action,
        layer: asked.layer,
        category,
        categories: category.into_iter().collect::<CategorySet>(),
        source: category.map(|_| "list-a"),
        policy: 7,
        level: asked.level,
    });
}

impl Bench {
    fn new() -> Self {
        Self::with(RING, |_| ())
    }

    fn with(ring: usize, adjust: impl Fn(&mut Settings)) -> Self {
        let state = TempDir::new().unwrap();
        let (recorder, outlet) = recorder(ring);
        let mut settings = Settings::new(state.path().join("querylog"), london());
        adjust(&mut settings);
        let writer = Writer::new(settings, vec![outlet]);
        Self {
            state,
            recorder,
            writer,
        }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.state.path().join("querylog")
    }

    fn record(&mut self, asked: &Asked) {
        record(&mut self.recorder, asked);
    }

    fn write(&mut self, all: &[Asked]) {
        for asked in all {
            self.record(asked);
        }
        self.writer.flush(noon());
    }

    fn rows(&self, filter: Filter) -> Vec<Row> {
        read_all(&self.folder(), filter).0
    }

    fn log(&self, args: &LogArgs) -> String {
        let mut out = Vec::new();
        log(args, &self.folder(), &london(), later(3600), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}

fn read_all(folder: &Path, filter: Filter) -> (Vec<Row>, Vec<String>) {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for row in rows(folder, &london(), filter).unwrap() {
        match row {
            Ok(row) => found.push(row),
            Err(e) => warnings.push(e.to_string()),
        }
    }
    (found, warnings)
}

#[test]
fn a_row_says_everything_of_its_moment() {
    let mut bench = Bench::new();
    bench.write(&[blocked("www.bets.example")]);
    let row = bench.rows(Filter::default()).remove(0);
    assert_eq!(
        row,
        Row {
            time: noon(),
            time_trusted: true,
            device: Some("ipad-7".into()),
            device_name: Some("iPad 7".into()),
            mac: Some("00:1a:2b:3c:4d:5e".into()),
            ip: Some("10.1.0.7".parse().unwrap()),
            group: "pupils".into(),
            name: "www.bets.example".into(),
            rtype: 1,
            action: Verdict::Block,
            layer: Layer::Category,
            category: Some("gambling".into()),
            categories: vec!["gambling".into()],
            source: Some("list-a".into()),
            policy: 7,
            count: 1,
        }
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.folder()), 0o700);
    for file in fs::read_dir(bench.folder()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// Case D28: an address is given to another device.
#[test]
fn rows_keep_the_name_of_their_time() {
    let mut bench = Bench::new();
    let before = blocked("a.example");
    let mut after = before.clone();
    (after.device, after.device_name, after.at) = ("laptop-2", "Laptop 2", later(60));
    bench.write(&[before]);
    bench.write(&[after]);
    let names: Vec<_> = bench
        .rows(Filter::default())
        .into_iter()
        .map(|row| (row.ip.unwrap().to_string(), row.device_name.unwrap()))
        .collect();
    let ip = || "10.1.0.7".to_owned();
    assert_eq!(names, [(ip(), "iPad 7".into()), (ip(), "Laptop 2".into())]);
}

///
#[test]
fn the_level_is_about_allowed_lookups_only() {
    let mut bench = Bench::new();
    let mut rewritten = blocked("search.example");
    (rewritten.action, rewritten.layer) = (Verdict::Rewrite, Layer::SafeSearch);
    for level in [
        LogLevel::Off,
        LogLevel::Counts,
        LogLevel::Domains,
        LogLevel::Full,
    ] {
        bench.record(&allowed(
            &format!("{level:?}.example").to_lowercase(),
            level,
        ));
        for mut other in [
            blocked("b.example"),
            mandatory("m.example"),
            rewritten.clone(),
        ] {
            other.level = level;
            bench.record(&other);
        }
    }
    bench.writer.flush(noon());
    let all = bench.rows(Filter::default());
    let said: BTreeMap<_, _> = all
        .iter()
        .map(|r| {
            (
                &*r.name,
                (r.device.is_some(), r.mac.is_some(), r.ip.is_some(), r.count),
            )
        })
        .collect();
    let whole = (true, true, true);
    let expected = [
        ("b.example", (whole.0, whole.1, whole.2, 4)),
        ("domains.example", (false, false, false, 1)),
        ("full.example", (true, true, true, 1)),
        ("m.example", (true, true, true, 4)),
        ("search.example", (true, true, true, 4)),
    ];
    assert_eq!(said, expected.into_iter().collect());
    assert!(
        all.iter()
            .all(|row| row.name != "domains.example" || row.device_name.is_none())
    );
    let charts: Vec<_> = hours(&bench.folder(), noon(), later(1))
        .unwrap()
        .into_iter()
        .map(|h| (h.action, h.category, h.count))
        .collect();
    let bar = |action: &str, category: &str, count| (action.into(), category.into(), count);
    assert_eq!(
        charts,
        [
            bar("allow", "", 3),
            bar("block", "gambling", 4),
            bar("block", "terrorism", 4),
            bar("rewrite", "gambling", 4),
        ],
        "off counts nothing, the others count"
    );
}

#[test]
fn what_is_the_same_in_one_flush_is_one_row() {
    let mut bench = Bench::new();
    let asked = blocked("a.example");
    let mut other_device = asked.clone();
    other_device.ip = "10.1.0.8";
    bench.write(&[asked.clone(), asked.clone(), other_device, asked.clone()]);
    bench.write(&[asked]);
    let counts: Vec<u64> = bench
        .rows(Filter::default())
        .iter()
        .map(|r| r.count)
        .collect();
    assert_eq!(counts, [3, 1, 1]);
}

#[test]
fn a_full_ring_loses_allowed_rows_first_and_mandatory_ones_last() {
    let mut bench = Bench::new();
    let fill = |bench: &mut Bench, asked: &Asked| {
        for n in 0..2000 {
            let mut asked = asked.clone();
            asked.name = format!("n{n}.{}", asked.name);
            bench.record(&asked);
        }
    };
    fill(&mut bench, &allowed("a.example", LogLevel::Full));
    fill(&mut bench, &blocked("b.example"));
    fill(&mut bench, &mandatory("m.example"));
    bench.writer.flush(noon());
    let rows = bench.rows(Filter::default());
    let health = bench.writer.health();
    let mut kept = [0; 3];
    for row in &rows {
        kept[Rank::of(row.action, row.layer) as usize] += 1;
    }
    for rank in Rank::ALL {
        assert_eq!(kept[rank as usize] + bench.recorder.drops().of(rank), 2000);
        assert_eq!(health.lost(rank), bench.recorder.drops().of(rank));
    }
    let [a, b, m] = kept.map(|n| n as usize);
    let whole = a + b + m;
    assert!(
        a.abs_diff(whole / 2) < whole / 20,
        "allowed rows had half the ring: {kept:?}"
    );
    assert!(
        m > whole / 10,
        "an eighth was left for the mandatory ones: {kept:?}"
    );
    assert!(b > whole / 4, "{kept:?}");
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

/// Case R10. What a flush has returned from survives a `kill -9` of the writer.
#[test]
fn kill_nine_loses_nothing_that_was_flushed() {
    const FOLDER: &str = "SCHOOLGATE_TEST_QUERYLOG";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let (mut recorder, outlet) = recorder(1 << 20);
        let mut writer = Writer::new(Settings::new(folder.into(), london()), vec![outlet]);
        for n in 0.. {
            record(&mut recorder, &blocked(&format!("n{n}.example")));
            writer.flush(noon());
            if n == 50 {
                eprintln!("fifty");
            }
        }
    }
    let state = TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "querylog::kill_nine_loses_nothing_that_was_flushed",
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
    record(&mut recorder, &blocked("a.example"));
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
        settings.day_bytes = 40 << 12;
        settings.spool_bytes = 100_000;
    });
    let mut recorded = 0;
    for round in 0..20 {
        for n in 0..200 {
            bench.record(&allowed(&format!("r{round}n{n}.example"), LogLevel::Full));
        }
        bench.record(&mandatory("m.example"));
        recorded += 1;
        bench.writer.flush(later(round));
    }
    let report = bench.writer.health().report();
    assert!(report.failing);
    assert!(report.last_error.unwrap().contains("full"));
    assert!(report.pending_rows > 0 && report.pending_bytes <= 100_000);
    assert!(report.lost_allowed > 1000 && report.lost_mandatory == 0);
    // The next day has a file of its own: everything that waits for it is
    // written, and the disk's trouble did not stop the rings being emptied.
    bench.record(&Asked {
        at: later(86_400),
        ..blocked("next.example")
    });
    for _ in 0..200 {
        bench.writer.flush(later(86_400));
    }
    assert_eq!(
        bench.rows(Filter::default()).last().unwrap().name,
        "next.example"
    );
    let written: u64 = bench
        .rows(Filter::default())
        .iter()
        .filter(|row| row.name == "m.example")
        .map(|row| row.count)
        .sum();
    assert!(written <= recorded);
    assert_eq!(bench.recorder.drops().of(Rank::Allowed), 0);
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
        let words = |days: &std::collections::BTreeSet<jiff::civil::Date>| {
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
    let lines = bench.log(&json);
    assert_eq!(
        lines.lines().next().unwrap(),
        "{\"time\":\"2026-07-20T08:00:00.250Z\",\"local\":\"2026-07-20T09:00:00.250+01:00\",\
         \"device\":\"ipad-7\",\"name_of_device\":\"iPad 7\",\"mac\":\"00:1a:2b:3c:4d:5e\",\
         \"ip\":\"10.1.0.7\",\"group\":\"pupils\",\"name\":\"(withheld)\",\"type\":\"A\",\
         \"action\":\"block\",\"layer\":\"mandatory\",\"categories\":[\"terrorism\"],\
         \"source\":\"list-a\",\"policy\":7,\"count\":1,\"category\":\"terrorism\",\
         \"time_trusted\":true}"
    );
    let table = bench.log(&LogArgs::default());
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
    assert_eq!(bench.log(&since).lines().count(), 1);
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
    assert_eq!(bench.log(&LogArgs::default()).lines().count(), 1);
}

#[test]
fn stopping_writes_what_is_left() {
    let mut bench = Bench::new();
    bench.record(&blocked("a.example"));
    let (stop, stopped) = std::sync::mpsc::channel();
    drop(stop);
    let Bench { state, writer, .. } = bench;
    writer.run(&stopped, noon);
    let (found, _) = read_all(&state.path().join("querylog"), Filter::default());
    assert_eq!(found.len(), 1);
}
