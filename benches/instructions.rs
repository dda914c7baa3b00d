//! Instructions a road takes, counted by callgrind: the same on every machine of
//! one kind, however busy it is.
//!
//! ```text
//! cargo bench --bench instructions                    the table
//! cargo bench --bench instructions -- --check         fails above a bound
//! cargo bench --bench instructions -- --top cached    where they go
//! ```
//!
//! This program runs itself under valgrind, once a road. Callgrind counts only
//! inside [`the_road_itself`], so that start-up, warming up and the log's writer
//! are left out. A bound is about a tenth above what was measured; one that is
//! passed on purpose is stated anew here, in the commit that passes it.

#![expect(
    clippy::disallowed_macros,
    reason = "a bench speaks to whoever runs it"
)]

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;

mod names;
mod roads;

use roads::{LEG, Road, School};

/// The most instructions an operation may take.
const BOUNDS: [(Road, u64); 7] = [
    (Road::Question, 410),
    (Road::Free, 1120),
    (Road::Listed, 940),
    (Road::Cached, 3220),
    (Road::Blocked, 3850),
    (Road::Answer, 2650),
    (Road::Miss, 11_800),
];

/// As many as a list of a few categories has. More of them make a walk no
/// longer, but valgrind has to read them all.
const LISTED: usize = 100_000;
/// How many lines `--top` shows.
const TOP: usize = 20;

/// Instructions a road takes, counted by callgrind
#[derive(Parser)]
#[command(name = "cargo bench --bench instructions --")]
struct Options {
    /// Fail if a road takes more than its bound
    #[arg(long)]
    check: bool,
    /// Show the functions of one road, by what they take themselves
    #[arg(long, value_name = "ROAD", value_parser = road)]
    top: Option<Road>,
    /// Be what is counted: travel this road
    #[arg(long, hide = true, num_args = 2, value_names = ["ROAD", "FOLDER"])]
    travel: Option<Vec<String>>,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some([id, folder]) = options.travel.as_deref() {
        travel(road(id).unwrap(), Path::new(folder));
        return ExitCode::SUCCESS;
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    let Ok(version) = valgrind else {
        println!("SKIPPED: valgrind is not installed, so nothing was counted");
        return ExitCode::SUCCESS;
    };
    let folder = tempfile::tempdir().unwrap();
    School::compile(folder.path(), LISTED);
    if let Some(road) = options.top {
        count(road, folder.path());
        show(&profile(folder.path()));
        return ExitCode::SUCCESS;
    }
    println!("{}", String::from_utf8_lossy(&version.stdout).trim());
    println!("{:<10} {:>12} {:>8}", "road", "instructions", "bound");
    let mut above = 0;
    for (road, bound) in BOUNDS {
        let (found, id) = (count(road, folder.path()), road.id());
        let word = if found > bound { "  ABOVE" } else { "" };
        println!("{id:<10} {found:>12} {bound:>8}{word}");
        above += u32::from(found > bound);
    }
    ExitCode::from(u8::from(options.check && above > 0))
}

/// Instructions of one operation.
fn count(road: Road, folder: &Path) -> u64 {
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=*the_road_itself*")
        .arg(format!("--callgrind-out-file={}", profile(folder)))
        .arg(std::env::current_exe().unwrap())
        .args(["--travel", road.id()])
        .arg(folder)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{}: {status}", road.id());
    let profile = std::fs::read_to_string(profile(folder)).unwrap();
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    total.unwrap().trim().parse::<u64>().unwrap() / LEG as u64
}

fn profile(folder: &Path) -> String {
    folder.join("callgrind.out").display().to_string()
}

/// The functions of a profile: what they take themselves, and with all that they
/// call. What is inlined counts for the function it is inlined into.
fn show(profile: &str) {
    let (own, with_callees) = (functions(profile, "no"), functions(profile, "yes"));
    let mut all: Vec<_> = own.iter().collect();
    all.sort_by_key(|(name, own)| (Reverse(**own), *name));
    println!("{:>8} {:>10}", "itself", "with calls");
    for (name, own) in all.into_iter().take(TOP) {
        let with_callees = with_callees.get(name).copied().unwrap_or(0);
        println!(
            "{:>8} {:>10}  {name}",
            own / LEG as u64,
            with_callees / LEG as u64
        );
    }
}

/// Callgrind's own reader has a line for each file that a function is made of;
/// one of them has what all calls of it took.
fn functions(profile: &str, inclusive: &str) -> HashMap<String, u64> {
    let output = Command::new("callgrind_annotate")
        .args(["--auto=no", "--threshold=100"])
        .arg(format!("--inclusive={inclusive}"))
        .arg(profile)
        .output()
        .unwrap();
    let mut all = HashMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((count, (_, place))) = line
            .split_once(" (")
            .and_then(|(count, rest)| Some((count, rest.split_once(")  ")?)))
        else {
            continue;
        };
        let ends = [".rs:", ".S:", ".c:", "???:"];
        let name = ends.iter().find_map(|end| Some(place.split_once(end)?.1));
        let name = name.and_then(|name| name.split(" [").next());
        let count = count.trim().replace(',', "").parse::<u64>();
        if let (Some(name), Ok(count)) = (name, count) {
            let sum: &mut u64 = all.entry(name.to_owned()).or_default();
            *sum = if inclusive == "yes" {
                count.max(*sum)
            } else {
                *sum + count
            };
        }
    }
    all
}

/// What runs under valgrind.
fn travel(road: Road, folder: &Path) {
    let mut school = School::open(folder);
    the_way_there(&mut school, road);
    school.rest();
    the_road_itself(&mut school, road);
}

fn the_way_there(school: &mut School, road: Road) {
    for number in 0..LEG {
        school.travel(road, number);
    }
}

/// Callgrind knows it by its name.
#[inline(never)]
fn the_road_itself(school: &mut School, road: Road) {
    for number in LEG..2 * LEG {
        school.travel(road, number);
    }
}

fn road(id: &str) -> Result<Road, String> {
    let found = Road::ALL.into_iter().find(|road| road.id() == id);
    found.ok_or_else(|| format!("there are {}", Road::ALL.map(Road::id).join(", ")))
}
