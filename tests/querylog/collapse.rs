//! Counting in the worker, and what a flood may cost: no look-up is lost over
//! it, and nobody else's row.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schoolgate::policy::decision::{LogLevel, Verdict};
use schoolgate::querylog::filter::Filter;
use schoolgate::querylog::log::{LogArgs, log};
use schoolgate::querylog::recorder::{PATIENT, PROMPT, Rank};
use schoolgate::querylog::row::Row;

use super::{Asked, Bench, allowed, blocked, later, london, mandatory, noon, record};

const DEVICES: [&str; 3] = ["ipad-1", "ipad-2", "ipad-3"];

fn asked(kind: u8, device: usize, name: u32) -> Asked {
    let name = format!("n{name}.example");
    let mut asked = match kind {
        0 => allowed(&name, LogLevel::Full),
        1 => blocked(&name),
        _ => mandatory(&name),
    };
    asked.device = DEVICES[device];
    asked
}

/// Who, what became of it.
type Line = (String, Rank);

fn line_of(row: &Row) -> Line {
    let device = row.device.clone().unwrap_or_default();
    (device, Rank::of(row.action, row.layer))
}

fn counts(rows: &[Row], of: impl Fn(&Row) -> bool) -> BTreeMap<Line, u64> {
    let mut counts = BTreeMap::new();
    for row in rows.iter().filter(|row| of(row)) {
        *counts.entry(line_of(row)).or_default() += row.count;
    }
    counts
}

/// How much is asked in one go: now and then a flood of new names.
fn bursts() -> impl Strategy<Value = Vec<(u8, usize, u32, u32, u64)>> {
    let much = prop_oneof![3 => 1..30_u32, 1 => 4000..9000_u32];
    let burst = (0..3_u8, 0..3_usize, 0..20_u32, much, 0..900_u64);
    prop::collection::vec(burst, 1..12)
}

/// The dull version counts every look-up by client, ruling and name.
#[test]
fn the_log_counts_what_a_dull_one_counts() {
    proptest!(ProptestConfig::with_cases(8), |(bursts in bursts())| {
        let mut bench = Bench::with(1 << 24, |_| ());
        let mut dull: BTreeMap<Line, u64> = BTreeMap::new();
        let mut mandatory_names: BTreeMap<String, u64> = BTreeMap::new();
        let mut now = 0;
        for (kind, device, first, many, pause) in bursts {
            for name in first..first + many {
                let asked = asked(kind, device, if many < 1000 { name % 20 } else { name });
                record(&mut bench.recorder, &asked, now);
                let rank = Rank::of(asked.action, asked.layer);
                *dull.entry((asked.device.to_owned(), rank)).or_default() += 1;
                if rank == Rank::Mandatory {
                    *mandatory_names.entry(asked.name).or_default() += 1;
                }
            }
            now += pause;
            bench.recorder.tick(now);
            bench.writer.flush(noon());
        }
        bench.flush(noon());
        let rows = bench.rows(Filter::default());
        prop_assert_eq!(counts(&rows, |_| true), dull);
        let health = bench.writer.health();
        let various = counts(&rows, Row::is_various);
        for rank in Rank::ALL {
            prop_assert_eq!(health.lost(rank), 0);
            let various = various.iter().filter(|((_, of), _)| *of == rank);
            let various: u64 = various.map(|(_, count)| count).sum();
            prop_assert_eq!(various, health.collapsed(rank));
        }
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.is_mandatory()) {
            *found.entry(row.name.clone()).or_default() += row.count;
        }
        prop_assert_eq!(found, mandatory_names, "never collapsed");
    });
}

#[test]
fn a_flood_hides_no_other_childs_rows() {
    let mut bench = Bench::with(1 << 24, |_| ());
    let mut name = 0;
    for ms in 0..2000 {
        for _ in 0..50 {
            name += 1;
            record(&mut bench.recorder, &asked(1, 0, name), ms);
        }
        record(&mut bench.recorder, &asked(2, 0, name), ms);
        if ms % 100 == 0 {
            record(&mut bench.recorder, &asked(1, 1, name), ms);
        }
        bench.recorder.tick(ms);
        bench.writer.flush(noon());
    }
    bench.flush(noon());
    let rows = bench.rows(Filter::default());
    let all = counts(&rows, |_| true);
    let various = counts(&rows, Row::is_various);
    let of = |device: &str, rank| (device.to_owned(), rank);
    assert_eq!(all[&of("ipad-1", Rank::Blocked)], 100_000);
    assert_eq!(all[&of("ipad-1", Rank::Mandatory)], 2000);
    assert_eq!(all[&of("ipad-2", Rank::Blocked)], 20);
    // At once, and two thousand in each of two seconds.
    let in_full = 100_000 - various[&of("ipad-1", Rank::Blocked)];
    assert!((13_900..14_100).contains(&in_full), "{in_full}");
    assert_eq!(various.len(), 1, "nobody else's, and no mandatory one");
}

/// Behind addresses that somebody makes up, a row each is too much as well.
#[test]
fn addresses_without_number_become_a_count_of_their_group() {
    let mut bench = Bench::with(1 << 24, |_| ());
    let device = |n: u32| -> &'static str { Box::leak(format!("forged-{n}").into_boxed_str()) };
    for n in 0..60_000 {
        let mut forged = blocked(&format!("n{n}.example"));
        forged.device = device(n);
        bench.record(&forged);
        if n % 3000 == 0 {
            bench.flush(noon());
        }
    }
    bench.flush(noon());
    let rows = bench.rows(Filter::default());
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 60_000);
    let nobody: Vec<&Row> = rows.iter().filter(|row| row.device.is_none()).collect();
    assert!(
        nobody
            .iter()
            .all(|row| row.is_various() && row.ip.is_none())
    );
    assert!(nobody.iter().map(|row| row.count).sum::<u64>() > 30_000);
    assert!(rows.len() < 25_000, "{}", rows.len());
}

#[test]
fn a_window_ends_by_itself() {
    let mut bench = Bench::new();
    assert_eq!(bench.recorder.due(), None);
    let waiting = |bench: &mut Bench| {
        bench.writer.flush(noon());
        let rows = bench.rows(Filter::default());
        rows.iter().map(|row| row.action).collect::<Vec<_>>()
    };
    record(&mut bench.recorder, &asked(0, 0, 1), 1000);
    assert_eq!(bench.recorder.due(), Some(1000 + PATIENT));
    record(&mut bench.recorder, &asked(1, 0, 1), 1100);
    record(&mut bench.recorder, &asked(1, 0, 1), 1200);
    assert_eq!(bench.recorder.due(), Some(1100 + PROMPT));
    bench.recorder.tick(1099 + PROMPT);
    assert_eq!(waiting(&mut bench), []);
    bench.recorder.tick(1100 + PROMPT);
    assert_eq!(waiting(&mut bench), [Verdict::Block]);
    bench.recorder.tick(1000 + PATIENT);
    let mut all = waiting(&mut bench);
    all.sort_by_key(|action| *action == Verdict::Block);
    assert_eq!(all, [Verdict::Allow, Verdict::Block]);
    assert_eq!(bench.recorder.due(), None);
}

#[test]
fn the_log_says_that_names_are_various() {
    let mut bench = Bench::with(1 << 24, |_| ());
    for n in 0..12_000 {
        bench.record(&asked(1, 0, n));
    }
    bench.flush(noon());
    let printed = |json| {
        let args = LogArgs {
            json,
            ..LogArgs::default()
        };
        let mut out = Vec::new();
        log(&args, &bench.folder(), &london(), later(1), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().filter(|line| line.contains("(various)"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        printed(false),
        [
            "2026-11-21 12:00:00  iPad 7                 pupils       block    gambling             \
             -       2000  (various)"
        ]
    );
    let json = printed(true).remove(0);
    assert!(
        json.contains("\"name\":\"(various)\",\"type\":\"-\""),
        "{json}"
    );
    assert!(json.contains("\"count\":2000"), "{json}");
    let report = bench.writer.health().report();
    assert_eq!((report.written, report.collapsed_blocked), (12_000, 2000));
}
