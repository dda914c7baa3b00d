//! Every peer under every load, round by round, so that a machine that grows
//! slower or faster meanwhile does so for all.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::bail;

use crate::dnsperf::Found;
use crate::ground::{Ground, Started};
use crate::load;
use crate::peers::{self, Peer};
use crate::questions::Load;
use crate::report;
use crate::usage::{Cpu, Memory};

/// The fastest that a miss is thought to be answered, for the length of its
/// file.
const MOST_MISSES: u64 = 250_000;

/// One peer under one load, once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) peer: &'static str,
    pub(crate) load: Load,
    pub(crate) round: u32,
    pub(crate) found: Found,
    pub(crate) cpu: Cpu,
    pub(crate) memory: Memory,
    pub(crate) start: Duration,
    /// p50, p99 and p99.9 in µs, and how many of how many were lost.
    pub(crate) delays: Option<Delays>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Delays {
    pub(crate) percentiles: [f64; 3],
    pub(crate) lost: u64,
    pub(crate) sent: u64,
}

/// All that was measured, and who could not be.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) rows: Vec<Row>,
    pub(crate) absent: BTreeMap<&'static str, String>,
}

impl Row {
    pub(crate) fn per_second(&self) -> f64 {
        self.found.answered as f64 / self.found.seconds
    }

    /// CPU of the server, µs a query.
    pub(crate) fn user(&self) -> f64 {
        self.cpu.user * 1e6 / self.found.answered as f64
    }

    pub(crate) fn system(&self) -> f64 {
        self.cpu.system * 1e6 / self.found.answered as f64
    }

    pub(crate) fn lost(&self) -> u64 {
        self.found.sent.saturating_sub(self.found.answered)
    }
}

/// Measures all that the options want, and tells on `out` how far it is. The
/// rows are written after each round: a run is long and may be cut short.
pub(crate) fn peers(
    ground: &mut Ground,
    about: &str,
    out: &mut impl Write,
) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    for round in 1..=ground.options.rounds {
        for peer in &peers::ALL {
            if !ground.options.wants(peer.name) || measured.absent.contains_key(peer.name) {
                continue;
            }
            write!(out, "round {round}: {} …", peer.name)?;
            out.flush()?;
            match one(ground, peer, round, &mut measured.rows, out) {
                Ok(()) => writeln!(out)?,
                Err(error) => {
                    writeln!(out, " {error:#}")?;
                    measured.absent.insert(peer.name, format!("{error:#}"));
                }
            }
        }
        report::write_rows(&ground.options.out, about, &measured)?;
    }
    Ok(measured)
}

fn one(
    ground: &mut Ground,
    peer: &Peer,
    round: u32,
    rows: &mut Vec<Row>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let started = ground.start(peer)?;
    write!(out, " up in {} ms;", started.took.as_millis())?;
    out.flush()?;
    for load in ground.options.loads() {
        if load == Load::Miss && !peer.answers() {
            continue;
        }
        let row = row(ground, peer, &started, load, round)?;
        write!(
            out,
            " {} {:.0} q/s, {:.2} µs;",
            load.name(),
            row.per_second(),
            row.user() + row.system()
        )?;
        out.flush()?;
        rows.push(row);
    }
    Ok(())
}

fn row(
    ground: &mut Ground,
    peer: &Peer,
    started: &Started,
    load: Load,
    round: u32,
) -> anyhow::Result<Row> {
    let pid = started.running.pid();
    let seconds = ground.options.seconds;
    if matches!(load, Load::Cached | Load::Mixed) {
        ground.warm(started.port)?;
    }
    let misses = (seconds * MOST_MISSES) as usize;
    let file = ground.questions.file(load, misses)?;
    let before = Cpu::of(pid)?;
    let found = ground.dnsperf.load(started.port, load, &file, seconds)?;
    let cpu = Cpu::of(pid)?.since(before);
    let memory = Memory::of(pid);
    if peer.answers() {
        check(load, &found)?;
    }
    Ok(Row {
        peer: peer.name,
        load,
        round,
        found,
        cpu,
        memory,
        start: started.took,
        delays: delays(ground, started, load)?,
    })
}

/// A server that answers fast but wrongly is not fast.
fn check(load: Load, found: &Found) -> anyhow::Result<()> {
    let answered = found.answered as f64;
    let (blocked, failed) = (
        found.blocked as f64 / answered,
        found.failed as f64 / answered,
    );
    if (blocked - load.blocked()).abs() > 0.01 || failed > 0.01 {
        bail!(
            "it answers {} wrongly: {:.1} % no such name, {:.1} % failures",
            load.name(),
            blocked * 100.0,
            failed * 100.0
        );
    }
    Ok(())
}

fn delays(ground: &mut Ground, started: &Started, load: Load) -> anyhow::Result<Option<Delays>> {
    let seconds = ground.options.paced_seconds;
    if seconds == 0 {
        return Ok(None);
    }
    let rate = match load {
        Load::Miss => ground.options.rate / 2,
        _ => ground.options.rate,
    };
    let misses = (u64::from(rate) * (seconds + 1)) as usize;
    let mut packets = ground.questions.packets(load, misses);
    let time = Duration::from_secs(seconds);
    let outcome = load::paced(started.address(), &mut packets, rate, time)?;
    Ok(Some(Delays {
        percentiles: [0.5, 0.99, 0.999].map(|share| outcome.percentile(share)),
        lost: outcome.lost(),
        sent: outcome.sent,
    }))
}
