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

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use jiff::ToSpan;
use jiff::civil::{Date, date};

#[path = "../names.rs"]
mod names;
#[path = "../side_by_side/random.rs"]
mod random;
mod school;

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
    #[arg(long, default_value_t = 41_000_000)]
    rows: usize,
    /// How many days
    #[arg(long, default_value_t = 183)]
    days: i64,
    /// How many devices
    #[arg(long, default_value_t = 1000)]
    devices: usize,
    /// Write the log and stop
    #[arg(long)]
    write_only: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
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
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::SUCCESS)
}
