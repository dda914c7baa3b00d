//! What it costs to try a change on the last week of a school of a thousand
//! devices, five million look-ups.
//!
//! ```text
//! cargo bench --bench rehearsal -- --data FOLDER [--check]
//! ```
//!
//! The school and its log are those of the bench of the dashboard: written once,
//! through the recorder and the writer that the resolver has (some minutes,
//! 0.5 GB), and used again if the folder is there.

#![expect(
    clippy::disallowed_macros,
    reason = "a bench speaks to whoever runs it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use jiff::civil::{Date, date};
use schoolgate::changes::rehearsal::check::{Musts, check};
use schoolgate::changes::rehearsal::{GroupChange, Rehearsal, rehearse};
use schoolgate::lists::lookup::Lists;
use schoolgate::lists::sample;
use schoolgate::policy::Policy;
use schoolgate::policy::compile::{File, Live, compile};

#[path = "../names.rs"]
mod names;
#[path = "../side_by_side/random.rs"]
#[expect(dead_code, reason = "this bench needs a part of it")]
mod random;
#[path = "../dashboard/school.rs"]
#[expect(dead_code, reason = "this bench needs a part of it")]
mod school;

use school::School;

const FIRST: Date = date(2026, 11, 14);
const LAST: Date = date(2026, 11, 20);
/// The midnight behind them.
const NOW: &str = "2026-11-21T00:00:00Z";
/// What all of it may take.
const BOUND: Duration = Duration::from_secs(10);

const BEFORE: &str = r#"
school = "Bench"
timezone = "Europe/London"
unknown = "guest"
[timetables.lessons]
days = ["mon", "tue", "wed", "thu", "fri"]
from = "08:45"
to = "15:30"
[timetables.lunch]
days = ["mon", "tue", "wed", "thu", "fri"]
from = "12:10"
to = "13:00"
[groups.pupil]
networks = ["10.1.0.0/16"]
block = ["pornography", "gambling", "bypass", "adverts", "social_media"]
block_during = { lessons = ["games"] }
log = "full"
[groups.staff]
networks = ["10.2.0.0/16"]
block = ["pornography", "bypass"]
log = "full"
[groups.guest]
block = ["pornography", "gambling", "bypass", "games", "social_media"]
[[exceptions]]
name = "roblox.com"
verdict = "allow"
devices = ["d0003", "d0004", "d0005"]
reason = "Club"
"#;

/// What the school means to change: social media at lunch, no messengers, staff
/// without adverts, one site closed.
fn after() -> String {
    let lunch = "block_during = { lessons = [\"games\", \"messaging\"] }\nallow_during = { lunch = [\"social_media\"] }";
    let text = BEFORE.replace("block_during = { lessons = [\"games\"] }", lunch);
    let staff = "block = [\"pornography\", \"bypass\"]";
    let text = text.replace(staff, "block = [\"pornography\", \"bypass\", \"adverts\"]");
    text + "[[exceptions]]\nname = \"bbc.co.uk\"\nverdict = \"deny\"\ngroups = [\"pupil\"]\nreason = \"Bench\"\n"
}

/// What it costs to try a change on a week's log
#[derive(Parser)]
#[command(name = "cargo bench --bench rehearsal --")]
struct Options {
    /// Where the log is, or is written first
    #[arg(long, value_name = "FOLDER", default_value = "target/rehearsal-bench")]
    data: PathBuf,
    /// How many look-ups, about
    #[arg(long, default_value_t = 5_000_000)]
    rows: usize,
    /// How many devices
    #[arg(long, default_value_t = 1000)]
    devices: usize,
    /// How many names the lists have besides
    #[arg(long, default_value_t = 800_000)]
    listed: usize,
    /// How often
    #[arg(long, default_value_t = 3)]
    times: usize,
    /// Fail if it takes over 10 s
    #[arg(long)]
    check: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let school = School::of(options.devices);
    let log = options.data.join("querylog");
    if !log.exists() {
        let started = Instant::now();
        school.write(&log, FIRST, LAST, options.rows);
        println!("written in {:.0} s", started.elapsed().as_secs_f64());
    }
    let lists = lists(&options, &school);
    let policy = |text: &str| policy(text, &school.inventory(), Arc::clone(&lists));
    let (before, after) = (policy(BEFORE), policy(&after()));
    let now: Timestamp = NOW.parse().expect("a time");
    let musts = Musts::of_school(&options.data).expect("the shipped names");
    let started = Instant::now();
    let refusals = check(&after, &musts, now);
    println!(
        "checked in {:.1} ms: {refusals:?}",
        1000.0 * started.elapsed().as_secs_f64()
    );
    let mut passed = false;
    for budget in [Duration::MAX, BOUND, Duration::from_secs(1)] {
        for _ in 0..options.times {
            let started = Instant::now();
            let zone = &school.zone;
            let found = rehearse(&before, &after, &musts, &log, zone, now, budget);
            let took = started.elapsed();
            tell(&found.expect("a log"), budget, took);
            passed |= budget == Duration::MAX && took > BOUND;
        }
    }
    println!("{} MB resident", memory());
    if options.check && passed {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn tell(found: &Rehearsal, budget: Duration, took: Duration) {
    let budget = match budget {
        Duration::MAX => "as long as it takes".to_owned(),
        budget => format!("at most {} s", budget.as_secs()),
    };
    let of = found
        .one_in
        .map_or("all".to_owned(), |n| format!("one in {n}"));
    println!(
        "{budget}: {:.2} s, {of}: {} look-ups of {} days",
        took.as_secs_f64(),
        found.lookups,
        found.days
    );
    for words in found.groups.iter().filter_map(GroupChange::words) {
        println!("    {words}");
    }
}

/// What the school's lists have, and many names that nobody asks for.
fn lists(options: &Options, school: &School) -> Arc<Lists> {
    let more: Vec<String> = names::listed(options.listed).collect();
    let mut by_category = school.listed();
    let pornography = by_category.entry("pornography").or_default();
    pornography.extend(more.iter().map(String::as_str));
    let lists: Vec<(&str, &[&str])> = by_category
        .iter()
        .map(|(category, names)| (*category, &**names))
        .collect();
    let folder = options.data.join("lists-of-bench");
    fs::create_dir_all(&folder).expect("a folder");
    sample::of_names(&folder, &lists).expect("lists")
}

fn policy(text: &str, devices: &str, lists: Arc<Lists>) -> Policy {
    let file = |name, text| File { name, text };
    let live = Live {
        number: 1,
        not_before: NOW.parse().expect("a time"),
        lists,
        standing: true,
    };
    let made = compile(
        file("policy.toml", text),
        file("devices.csv", devices),
        live,
    );
    made.unwrap_or_else(|all| panic!("{all:?}"))
}

/// Most memory that was resident, in megabytes.
fn memory() -> u64 {
    let text = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
