//! One worker thread and two. The load generator has no core to itself here, so
//! the figures of this table stand for nothing but each other.

use crate::dnsperf::Dnsperf;
use crate::ground::Ground;
use crate::questions::Load;
use crate::report::{Table, median};
use crate::usage::Cpu;

pub(crate) fn table(ground: &mut Ground) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "worker threads, sharing both cores with the load",
        &["load", "threads", "q/s", "CPU µs/q"],
    );
    let both = ground.places.both.clone();
    let dnsperf = Dnsperf::new(ground.scratch(), &both)?;
    for load in [Load::Cached, Load::Blocked] {
        let mut found: [Vec<(f64, f64)>; 2] = Default::default();
        for _ in 0..ground.options.rounds {
            for (threads, found) in (1..).zip(&mut found) {
                let started = ground.serve(threads, &[], &both)?;
                ground.warm(started.port)?;
                let file = ground.questions.file(load, 0)?;
                let pid = started.running.pid();
                let before = Cpu::of(pid)?;
                let seconds = ground.options.seconds;
                let result = dnsperf.load(started.port, load, &file, seconds)?;
                let cpu = Cpu::of(pid)?.since(before);
                let answered = result.answered as f64;
                found.push((
                    answered / result.seconds,
                    (cpu.user + cpu.system) * 1e6 / answered,
                ));
            }
        }
        for (threads, found) in (1..).zip(&found) {
            table.add([
                load.name().to_owned(),
                threads.to_string(),
                format!("{:.0}", median(found.iter().map(|one| one.0))),
                format!("{:.2}", median(found.iter().map(|one| one.1))),
            ]);
        }
    }
    Ok(table)
}
