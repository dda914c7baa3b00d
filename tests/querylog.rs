//! The query log from the outside: events go in at one end, rows come out at
//! the other.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schoolgate::lists::category::{Category, CategorySet};
use schoolgate::name::Name;
use schoolgate::policy::decision::{Layer, LogLevel, Verdict};
use schoolgate::querylog::event::Event;
use schoolgate::querylog::filter::Filter;
use schoolgate::querylog::read::rows;
use schoolgate::querylog::recorder::{Rank, Recorder, recorder};
use schoolgate::querylog::row::Row;
use schoolgate::querylog::summary::hours;
use schoolgate::querylog::writer::{Settings, Writer};
use tempfile::TempDir;

mod collapse;
mod durability;
mod reading;

const RING: usize = 1 << 16;

/// A log in a fresh folder, with one worker.
pub(crate) struct Bench {
    pub(crate) state: TempDir,
    pub(crate) recorder: Recorder,
    pub(crate) writer: Writer,
}

/// What a test varies of an event.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) at: Timestamp,
    pub(crate) device: &'static str,
    pub(crate) device_name: &'static str,
    pub(crate) ip: &'static str,
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) action: Verdict,
    pub(crate) layer: Layer,
    pub(crate) category: &'static str,
    pub(crate) level: LogLevel,
}

pub(crate) fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(crate) fn london() -> TimeZone {
    TimeZone::get("Europe/London").unwrap()
}

pub(crate) fn later(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

pub(crate) fn blocked(name: &str) -> Asked {
    Asked {
        at: noon(),
        device: "ipad-7",
        device_name: "iPad 7",
        ip: "10.1.0.7",
        group: "pupils",
        name: name.to_owned(),
        action: Verdict::Block,
        layer: Layer::Category,
        category: "gambling",
        level: LogLevel::Full,
    }
}

pub(crate) fn allowed(name: &str, level: LogLevel) -> Asked {
    Asked {
        action: Verdict::Allow,
        layer: Layer::Allow,
        category: "",
        level,
        ..blocked(name)
    }
}

pub(crate) fn mandatory(name: &str) -> Asked {
    Asked {
        layer: Layer::Mandatory,
        category: "terrorism",
        ..blocked(name)
    }
}

fn record(recorder: &mut Recorder, asked: &Asked, now: u64) {
    let name = Name::parse_any_depth(&asked.name).unwrap();
    let category = Category::named(asked.category);
    let event = Event {
        time: asked.at,
        time_trusted: true,
        device: Some(asked.device),
        device_name: Some(asked.device_name),
        mac: Some("00:1a:2b:3c:4d:5e".parse().unwrap()),
        ip: asked.ip.parse::<IpAddr>().unwrap(),
        group: asked.group,
        name: name.as_ref(),
        rtype: 1,
        action: asked.action,
        layer: asked.layer,
        category,
        categories: category.into_iter().collect::<CategorySet>(),
        source: category.map(|_| "list-a"),
        policy: 7,
        level: asked.level,
    };
    recorder.record(&event, now);
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(RING, |_| ())
    }

    pub(crate) fn with(ring: usize, adjust: impl Fn(&mut Settings)) -> Self {
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

    pub(crate) fn folder(&self) -> std::path::PathBuf {
        self.state.path().join("querylog")
    }

    pub(crate) fn record(&mut self, asked: &Asked) {
        record(&mut self.recorder, asked, 0);
    }

    pub(crate) fn write(&mut self, all: &[Asked]) {
        for asked in all {
            self.record(asked);
        }
        self.flush(noon());
    }

    /// What a worker does at the end of its windows, and then the writer.
    pub(crate) fn flush(&mut self, now: Timestamp) {
        self.recorder.flush();
        self.writer.flush(now);
    }

    pub(crate) fn rows(&self, filter: Filter) -> Vec<Row> {
        read_all(&self.folder(), filter).0
    }
}

pub(crate) fn read_all(folder: &Path, filter: Filter) -> (Vec<Row>, Vec<String>) {
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
    bench.flush(noon());
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
        bench.recorder.flush();
    };
    fill(&mut bench, &allowed("a.example", LogLevel::Full));
    fill(&mut bench, &blocked("b.example"));
    fill(&mut bench, &mandatory("m.example"));
    bench.flush(noon());
    let rows = bench.rows(Filter::default());
    let health = bench.writer.health();
    let lost = &bench.recorder.shortfall().lost;
    let mut kept = [0; 3];
    for row in &rows {
        kept[Rank::of(row.action, row.layer) as usize] += 1;
    }
    for rank in Rank::ALL {
        assert_eq!(kept[rank as usize] + lost.of(rank), 2000);
        assert_eq!(health.lost(rank), lost.of(rank));
    }
    let [a, b, m] = kept;
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
