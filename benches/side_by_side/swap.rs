//! Lists and policy swapped under load, against the same load without.
//!
//! Both generations are compiled beforehand, and the swap puts the pointer from
//! one to the other as `refresh` does at its end: what is shown is the server's
//! part, loading and taking up. Every other swap is a changed policy that is
//! proposed and acts at once. The load is at 60 % of what the server took just before.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::ground::{Ground, Started};
use crate::load::{self, Outcome};
use crate::peers::School;
use crate::questions::{Load, Packets};
use crate::report::Table;

const LOAD: Load = Load::Mixed;
const SHARE: f64 = 0.6;
/// 100 a minute.
const EVERY: Duration = Duration::from_millis(600);

pub(crate) fn table(ground: &mut Ground) -> anyhow::Result<Table> {
    let generations = two_generations(ground)?;
    let cores = ground.places.server.clone();
    let started = ground.serve(1, &[], &cores)?;
    ground.warm(started.port)?;
    let file = ground.questions.file(LOAD, 0)?;
    let found = ground
        .dnsperf
        .load(started.port, LOAD, &file, ground.options.seconds)?;
    let capacity = found.answered as f64 / found.seconds;
    let rate = (capacity * SHARE) as u32;
    let mut packets = ground.questions.packets(LOAD, 0);
    let time = Duration::from_secs(ground.options.swap_seconds);
    let mut table = Table::new(
        &format!("swaps under {rate} questions a second, 60 % of {capacity:.0}"),
        &[
            "",
            "asked",
            "lost",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "longest µs",
            "activations",
            "new policies",
            "refused",
        ],
    );
    let mut run = |swapping: bool, what: &str| -> anyhow::Result<f64> {
        let (before, activated) = (ground.school.metrics()?, activations(&started));
        let outcome = under_load(
            ground,
            &started,
            &mut packets,
            rate,
            time,
            swapping.then_some(&generations),
        )?;
        let after = ground.school.metrics()?;
        let grown = |row: &str| format!("{:.0}", after.sum(row) - before.sum(row));
        table.add([
            what.to_owned(),
            outcome.sent.to_string(),
            outcome.lost().to_string(),
            format!("{:.0}", outcome.percentile(0.5)),
            format!("{:.0}", outcome.percentile(0.99)),
            format!("{:.0}", outcome.percentile(0.999)),
            format!("{:.0}", outcome.percentile(1.0)),
            (activations(&started) - activated).to_string(),
            grown("schoolgate_policy_number"),
            grown("schoolgate_policy_reload_failures_total"),
        ]);
        Ok(outcome.percentile(0.999))
    };
    let without = run(false, "without")?;
    let with = run(true, "with a swap each 0.6 s")?;
    table.remarks.push(format!(
        "p99.9 with swaps: {:.2} × without. The lists were compiled beforehand.",
        with / without
    ));
    Ok(table)
}

/// How often the server has said that it activated a policy. One that is the
/// same as before is built and taken up anew, but keeps its number.
fn activations(started: &Started) -> usize {
    let said = started.running.said();
    said.lines()
        .filter(|line| line.contains(" activated "))
        .count()
}

fn under_load(
    ground: &Ground,
    started: &Started,
    packets: &mut Packets,
    rate: u32,
    time: Duration,
    generations: Option<&[String; 2]>,
) -> anyhow::Result<Outcome> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swaps = generations.map(|generations| {
            scope.spawn(|| {
                swap(
                    &ground.school,
                    ground.questions.names().categories.as_slice(),
                    generations,
                    &over,
                )
            })
        });
        let outcome = load::paced(started.address(), packets, rate, time);
        over.store(true, Ordering::Relaxed);
        if let Some(Ok(result)) = swaps.map(std::thread::ScopedJoinHandle::join) {
            result?;
        }
        outcome
    })
}

/// In turn other lists, which the server notices within a second, and another
/// policy.
fn swap(
    school: &School,
    categories: &[&str],
    generations: &[String; 2],
    over: &AtomicBool,
) -> anyhow::Result<()> {
    let began = Instant::now();
    for count in 1_u32.. {
        while began.elapsed() < EVERY * count {
            if over.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let pair = (count / 2) as usize;
        if count % 2 == 1 {
            school.put_in_force(&generations[pair % 2])?;
        } else {
            school.put_policy(categories, &format!("swap {pair}"))?;
            school.propose()?;
        }
    }
    Ok(())
}

/// The lists as they are, and with one more.
fn two_generations(ground: &Ground) -> anyhow::Result<[String; 2]> {
    let school = &ground.school;
    let first = school.generation()?;
    let path = school.folder.join("sources.toml");
    let before = fs::read_to_string(&path)?;
    let mut names = String::new();
    for number in 0..1000 {
        writeln!(names, "another-{number}.example")?;
    }
    fs::write(school.folder.join("another.txt"), names)?;
    let source = "\n[[source]]\nid = \"another\"\ncategory = \"gambling\"\nformat = \"domains\"\n\
        match = \"subtree\"\nfile = \"another.txt\"\nlicence = \"CC0-1.0\"\n";
    OpenOptions::new()
        .append(true)
        .open(&path)?
        .write_all(source.as_bytes())?;
    // What an earlier show had in force would be fetched again.
    let _ = fs::remove_file(school.folder.join("state/changes/sources.toml"));
    school.refresh(&ground.places.others)?;
    let second = school.generation()?;
    fs::write(path, before)?;
    // The first was put in force last: so the first swap is to the second.
    school.put_in_force(&first)?;
    Ok([second, first])
}
