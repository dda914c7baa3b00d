//! One worker and two, each on a core of its own: the pipeline with its policy,
//! cache, counters and log, and no network, so that no load wants a core too.
//!
//! Both take as many questions. Where nothing is shared they take as long as one
//! alone, and the questions a second double.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::roads::{LEG, Road, School};

const LISTED: usize = 100_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for folder in &folders {
        School::compile(folder.path(), LISTED);
    }
    let mut group = criterion.benchmark_group("workers");
    for road in [Road::Cached, Road::Blocked, Road::Miss] {
        for count in [1, 2] {
            let open = |folder: &TempDir| (School::open(folder.path()), 0);
            let mut schools: Vec<_> = folders[..count].iter().map(open).collect();
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new(road.id(), count), |b| {
                b.iter_custom(|times| together(&mut schools, road, times as usize));
            });
        }
    }
    group.finish();
}

/// How long the slowest takes for so many questions, when all begin at once.
fn together(schools: &mut [(School, usize)], road: Road, times: usize) -> Duration {
    let start = Barrier::new(schools.len());
    let taken = std::thread::scope(|scope| {
        let all: Vec<_> = schools
            .iter_mut()
            .zip(0..)
            .map(|((school, number), core)| {
                let start = &start;
                scope.spawn(move || {
                    let mut cores = CpuSet::new();
                    cores.set(core).unwrap();
                    sched_setaffinity(Pid::from_raw(0), &cores).unwrap();
                    start.wait();
                    travel(school, number, road, times)
                })
            })
            .collect();
        let taken = all.into_iter().map(|one| one.join().unwrap());
        taken.collect::<Vec<_>>()
    });
    taken.into_iter().max().unwrap_or_default()
}

/// What empties the log is not timed.
pub(crate) fn travel(
    school: &mut School,
    number: &mut usize,
    road: Road,
    times: usize,
) -> Duration {
    let (mut taken, end) = (Duration::ZERO, *number + times);
    while *number < end {
        // Seldom, for whoever has rested finds every cache cold.
        if number.is_multiple_of(LEG) {
            school.rest();
        }
        let leg = end.min((*number / LEG + 1) * LEG);
        let began = Instant::now();
        while *number < leg {
            school.travel(road, *number);
            *number += 1;
        }
        taken += began.elapsed();
    }
    taken
}
