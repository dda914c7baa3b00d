//! A flood: devices without number behind one router, each asking for another
//! blocked name. Answers must keep coming, and neither memory nor the log's
//! queue may grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use schoolgate::devices::edns::MAC;

use crate::ground::Ground;
use crate::load;
use crate::peers::Metrics;
use crate::questions::Packets;
use crate::random::Random;
use crate::report::Table;
use crate::usage::Memory;

const RATE: u32 = 200_000;
const TIME: Duration = Duration::from_secs(10);
/// How long the log is looked at after the flood.
const AFTER: Duration = Duration::from_secs(5);
/// Questions before they begin again: each has its own device.
const QUESTIONS: usize = 1_000_000;

struct Sample {
    second: f64,
    memory: Memory,
    metrics: Option<Metrics>,
}

pub(crate) fn table(ground: &mut Ground) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "a flood of blocked questions from random devices",
        &[
            "second",
            "answered",
            "RSS MB",
            "anonymous",
            "rows waiting",
            "KB waiting",
            "look-ups written",
            "lost, counted",
        ],
    );
    let cores = ground.places.server.clone();
    let started = ground.serve(1, &["127.0.0.1"], &cores)?;
    let mut packets = questions(&ground.questions.names().listed);
    let over = Arc::new(AtomicBool::new(false));
    let pid = started.running.pid();
    let (outcome, samples) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (began, mut samples) = (Instant::now(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                samples.push(Sample {
                    second: began.elapsed().as_secs_f64(),
                    memory: Memory::of(pid),
                    metrics: ground.school.metrics().ok(),
                });
                std::thread::sleep(Duration::from_secs(1));
            }
            samples
        });
        let outcome = load::paced(started.address(), &mut packets, RATE, TIME);
        std::thread::sleep(AFTER);
        over.store(true, Ordering::Relaxed);
        (outcome, watch.join())
    });
    let (outcome, samples) = (outcome?, samples.unwrap_or_default());
    for sample in &samples {
        let metric = |start: &str| {
            let sum = sample.metrics.as_ref().map(|metrics| metrics.sum(start));
            sum.map_or("no answer".to_owned(), |sum| format!("{sum:.0}"))
        };
        table.add([
            format!("{:.0}", sample.second),
            metric("schoolgate_replies_total"),
            format!("{:.1}", sample.memory.whole as f64 / 1024.0),
            format!("{:.1}", sample.memory.anonymous as f64 / 1024.0),
            metric("schoolgate_querylog_pending_rows"),
            sample.metrics.as_ref().map_or(String::new(), |metrics| {
                format!(
                    "{:.0}",
                    metrics.sum("schoolgate_querylog_pending_bytes") / 1024.0
                )
            }),
            metric("schoolgate_querylog_written_total"),
            metric("schoolgate_querylog_lost_total"),
        ]);
    }
    table.remarks.push(format!(
        "asked {} in {} s, answered {}, lost {}; p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs",
        outcome.sent,
        TIME.as_secs(),
        outcome.delays.len(),
        outcome.lost(),
        outcome.percentile(0.5),
        outcome.percentile(0.99),
        outcome.percentile(0.999),
    ));
    let last = samples.iter().rev().find_map(|s| s.metrics.as_ref());
    let log = last.map(|metrics| metrics.rows("schoolgate_querylog_").collect::<Vec<_>>());
    table.remarks.push(format!(
        "at the end: {}",
        log.unwrap_or_default().join(", ")
    ));
    Ok(table)
}

/// Each with the hardware address of another device, as dnsmasq's `add-mac`
/// hands it on.
fn questions(listed: &[String]) -> Packets {
    let (mut packets, mut random) = (Packets::new(), Random(5));
    for _ in 0..QUESTIONS {
        let bytes = random.next().to_be_bytes();
        // A vendor's address: neither of a group nor made up by the device.
        let mac = [
            bytes[0] & 0xfc,
            bytes[1],
            bytes[2],
            bytes[3],
            bytes[4],
            bytes[5],
        ];
        packets.add(random.one_of(listed), Some((MAC, &mac)));
    }
    packets
}
