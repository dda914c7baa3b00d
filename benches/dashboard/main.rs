//! What the dashboard's questions cost on six months of a school of a thousand
//! devices, about 40 million rows, while the resolver writes.
//!
//! ```text
//! cargo bench --bench dashboard -- --data FOLDER
//! ```
//!
//! The log is written once, through the recorder and the writer that the
//! resolver has (some minutes, 4 GB), and used again if the folder is there.

#![expect(
    clippy::disallowed_macros,
    reason = "a bench speaks to whoever runs it"
)]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::civil::{Date, date};
use jiff::{SignedDuration, ToSpan};
use schoolgate::incidents::book::Book;
use schoolgate::incidents::hours::SchoolHours;
use schoolgate::policy::document::PolicyDocument;

mod measure;
#[path = "../names.rs"]
#[expect(dead_code, reason = "this bench needs a part of it")]
mod names;
#[path = "../side_by_side/random.rs"]
#[expect(dead_code, reason = "this bench needs a part of it")]
mod random;
#[expect(dead_code, reason = "this bench needs a part of it")]
mod school;

use measure::{Asker, Measured, memory};
use random::Random;
use school::School;

/// The last whole day of the log.
const LAST: Date = date(2026, 11, 19);

/// What the dashboard's questions cost on a large log
#[derive(Parser)]
#[command(name = "cargo bench --bench dashboard --")]
struct Options {
    /// Where the log is, or is written first
    #[arg(long, value_name = "FOLDER", default_value = "target/dashboard-bench")]
    data: PathBuf,
    /// How many look-ups, about
    #[arg(long, default_value_t = 45_500_000)]
    rows: usize,
    /// How many days
    #[arg(long, default_value_t = 183)]
    days: i64,
    /// How many devices
    #[arg(long, default_value_t = 1000)]
    devices: usize,
    /// How often each question is asked
    #[arg(long, default_value_t = 60)]
    times: usize,
    /// Rows a second that the writer adds meanwhile
    #[arg(long, default_value_t = 40)]
    rate: usize,
    /// Fail if a bound is passed
    #[arg(long)]
    check: bool,
    /// Write the log and stop
    #[arg(long)]
    write_only: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let school = School::of(options.devices);
    let folder = options.data.join("querylog");
    if !folder.exists() {
        let started = Instant::now();
        let first = LAST.saturating_sub((options.days - 1).days());
        school.write(&folder, first, LAST, options.rows);
        println!("written in {:.0} s", started.elapsed().as_secs_f64());
    }
    if options.write_only {
        return ExitCode::SUCCESS;
    }
    // Today until four, anew for each run.
    let today = LAST.saturating_add(1.day());
    for tail in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.join(format!("{today}.db{tail}")));
    }
    school.write(&folder, today, today, 200_000);
    let all = measure(&options, &school, today);
    let passed = all.iter().filter(|m| m.bound.is_some_and(|b| m.p95 > b));
    let passed = passed.count();
    println!("\n{passed} bounds were passed");
    if options.check && passed > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options, school: &School, today: Date) -> Vec<Measured> {
    let text = "school = \"A\"\ntimezone = \"Europe/London\"\nunknown = \"guest\"\n";
    let hours = SchoolHours::of(&PolicyDocument::read("policy.toml", text).0);
    let book = Book::open(&options.data, hours);
    let start = today
        .to_zoned(school.zone.clone())
        .expect("a day")
        .timestamp();
    let four = start + SignedDuration::from_hours(16);
    println!("memory before: {} MB", memory());
    let started = Instant::now();
    let overview = book.overview(four);
    println!(
        "first home page, nothing at hand: {:.2} s ({} today)",
        started.elapsed().as_secs_f64(),
        overview.today
    );
    while book.tend() {}
    println!(
        "every day read once: {:.1} s, {} MB",
        started.elapsed().as_secs_f64(),
        memory()
    );
    let (folder, stop) = (options.data.join("querylog"), AtomicBool::new(false));
    let all = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            school.go_on(&folder, four, options.rate, || {
                thread::sleep(Duration::from_millis(250));
                !stop.load(Relaxed)
            })
        });
        let mut asker = Asker {
            book: &book,
            school,
            now: four + SignedDuration::from_hours(1),
            days: book.days(),
            times: options.times,
            random: Random(1),
            all: Vec::new(),
        };
        asker.ask_all();
        let all = asker.all;
        stop.store(true, Relaxed);
        let written = writer.join().expect("the writer");
        println!(
            "the writer added {written} rows meanwhile; {} MB\n",
            memory()
        );
        all
    });
    print(&all);
    all
}

fn print(all: &[Measured]) {
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    println!("| question | p50 ms | p95 ms | bound | the last answer |\n|---|---:|---:|---:|---|");
    for measured in all {
        let bound = measured.bound.map(ms).unwrap_or_default();
        println!(
            "| {} | {} | {} | {bound} | {} |",
            measured.what,
            ms(measured.p50),
            ms(measured.p95),
            measured.found
        );
    }
}
