//! One worker thread and two. There is no core left over for the load here, so
//! each core carries its own: one core with a worker and a dnsperf, then two
//! cores with a worker and a dnsperf each. Twice the questions is then what
//! twice the cores should give.

use anyhow::Context;

use crate::child::Cores;
use crate::dnsperf::{Dnsperf, Found};
use crate::ground::Ground;
use crate::questions::Load;
use crate::report::{Table, median};
use crate::usage::Cpu;

pub(crate) fn table(ground: &mut Ground) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "worker threads, each core with its share of the load",
        &["load", "threads", "q/s", "of one", "CPU µs/q"],
    );
    let places = &ground.places;
    let set_ups = [
        (places.server.clone(), vec![places.server.clone()]),
        (
            places.both.clone(),
            vec![places.server.clone(), places.others.clone()],
        ),
    ];
    for load in [Load::Cached, Load::Blocked] {
        let mut found: [Vec<(f64, f64)>; 2] = Default::default();
        for _ in 0..ground.options.rounds {
            for ((cores, loads), found) in set_ups.iter().zip(&mut found) {
                found.push(one(ground, load, cores, loads)?);
            }
        }
        let rate = |found: &[(f64, f64)]| median(found.iter().map(|one| one.0));
        for (threads, here) in (1..).zip(&found) {
            table.add([
                load.name().to_owned(),
                threads.to_string(),
                format!("{:.0}", rate(here)),
                format!("{:.2}", rate(here) / rate(&found[0])),
                format!("{:.2}", median(here.iter().map(|one| one.1))),
            ]);
        }
    }
    Ok(table)
}

/// Questions a second and CPU a question of a server on `cores` with as many
/// workers as there are `loads`.
fn one(
    ground: &mut Ground,
    load: Load,
    cores: &Cores,
    loads: &[Cores],
) -> anyhow::Result<(f64, f64)> {
    let started = ground.serve(loads.len() as u32, &[], cores)?;
    ground.warm(started.port)?;
    let file = ground.questions.file(load, 0)?;
    let seconds = ground.options.seconds;
    let dnsperfs: anyhow::Result<Vec<_>> = (0..)
        .zip(loads)
        .map(|(number, cores)| {
            let folder = ground.scratch().join(format!("load-{number}"));
            std::fs::create_dir_all(&folder)?;
            Dnsperf::new(&folder, cores)
        })
        .collect();
    let pid = started.running.pid();
    let before = Cpu::of(pid)?;
    let found: anyhow::Result<Vec<Found>> = std::thread::scope(|scope| {
        let running: Vec<_> = dnsperfs?
            .into_iter()
            .map(|dnsperf| {
                let file = &file;
                scope.spawn(move || dnsperf.load(started.port, load, file, seconds))
            })
            .collect();
        let ended = running.into_iter().map(|load| {
            let ended = load.join().ok();
            ended.context("a load ended with a panic")?
        });
        ended.collect()
    });
    let found = found?;
    let cpu = Cpu::of(pid)?.since(before);
    let answered: u64 = found.iter().map(|one| one.answered).sum();
    let rate = found.iter().map(|one| one.answered as f64 / one.seconds);
    Ok((rate.sum(), (cpu.user + cpu.system) * 1e6 / answered as f64))
}
