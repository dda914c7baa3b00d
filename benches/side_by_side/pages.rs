//! The process of the pages killed and flooded, against the same load without.
//!
//! It is on the resolver's own core, which is the worst place for it. Who floods
//! shares the load's core, so that the load comes in smaller bursts meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::child::Running;
use crate::ground::Ground;
use crate::load;
use crate::questions::Load;
use crate::report::Table;

/// Names that are cached or blocked: what a school asks most.
const LOAD: Load = Load::Mixed;
/// Of what the server takes alone.
const SHARE: f64 = 0.4;
/// Connections that are asked over at one time.
const FLOOD: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);
const ASK: &[u8] = b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What happens to the pages meanwhile.
#[derive(Clone, Copy)]
enum Ordeal {
    Nothing,
    Killed,
    Flooded(SocketAddr),
}

pub(crate) fn table(ground: &mut Ground) -> anyhow::Result<Table> {
    let cores = ground.places.server.clone();
    let started = ground.serve(1, &[], &cores)?;
    ground.warm(started.port)?;
    let file = ground.questions.file(LOAD, 0)?;
    let seconds = ground.options.seconds;
    let found = ground.dnsperf.load(started.port, LOAD, &file, seconds)?;
    let capacity = found.answered as f64 / found.seconds;
    let rate = (capacity * SHARE) as u32;
    let time = Duration::from_secs(ground.options.swap_seconds / 2);
    let mut table = Table::new(
        &format!("the pages killed and flooded, under {rate} questions a second"),
        &[
            "the pages",
            "asked",
            "lost",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "killed",
            "flooded",
        ],
    );
    let pages = SocketAddr::from(([127, 0, 0, 1], ground.school.pages));
    for (what, ordeal) in [
        ("left alone", Ordeal::Nothing),
        ("killed each second", Ordeal::Killed),
        ("flooded", Ordeal::Flooded(pages)),
    ] {
        let mut packets = ground.questions.packets(LOAD, 0);
        let (over, met) = (AtomicBool::new(false), AtomicU64::new(0));
        let outcome = std::thread::scope(|scope| {
            let (ground, over, met) = (&*ground, &over, &met);
            let mut running = Some(start(ground)?);
            match ordeal {
                Ordeal::Nothing => {}
                Ordeal::Killed => {
                    let first = running.take();
                    scope.spawn(move || kill_and_start(ground, first, over, met));
                }
                Ordeal::Flooded(at) => {
                    for _ in 0..FLOOD {
                        scope.spawn(move || flood(at, over, met));
                    }
                }
            }
            let outcome = load::paced(started.address(), &mut packets, rate, time);
            over.store(true, Ordering::Relaxed);
            drop(running);
            outcome
        })?;
        let met = met.load(Ordering::Relaxed).to_string();
        let (killed, flooded) = match ordeal {
            Ordeal::Nothing => (String::new(), String::new()),
            Ordeal::Killed => (met, String::new()),
            Ordeal::Flooded(_) => (String::new(), met),
        };
        table.add([
            what.to_owned(),
            outcome.sent.to_string(),
            outcome.lost().to_string(),
            format!("{:.0}", outcome.percentile(0.5)),
            format!("{:.0}", outcome.percentile(0.99)),
            format!("{:.0}", outcome.percentile(0.999)),
            killed,
            flooded,
        ]);
    }
    Ok(table)
}

/// Starts the pages and waits until they are served.
fn start(ground: &Ground) -> anyhow::Result<Running> {
    let log = ground.school.folder.join("dashboard.log");
    let running = Running::start(
        &ground.school.command("dashboard"),
        &ground.places.server,
        &log,
    )?;
    let deadline = Instant::now() + PATIENCE;
    while !running.said().contains("pages on ") {
        if Instant::now() > deadline {
            bail!("the pages are not served: {}", running.complaint());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(running)
}

/// Dropping a program that runs is SIGKILL.
fn kill_and_start(
    ground: &Ground,
    mut running: Option<Running>,
    over: &AtomicBool,
    killed: &AtomicU64,
) {
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_secs(1));
        drop(running.take());
        killed.fetch_add(1, Ordering::Relaxed);
        let Ok(next) = start(ground) else {
            return;
        };
        running = Some(next);
    }
}

fn flood(at: SocketAddr, over: &AtomicBool, asked: &AtomicU64) {
    let mut answer = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_secs(1)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.write_all(ASK);
            let _ = stream.read(&mut answer);
        }
        asked.fetch_add(1, Ordering::Relaxed);
    }
}
