//! What a list of so many names costs: time and memory to compile it, bytes on
//! disk, and the memory of a server that has it loaded and 5,000 answers kept.
//!
//! ```text
//! cargo bench --bench compile
//! cargo bench --bench compile -- --sizes 1000000 --lists FOLDER
//! ```
//!
//! The program itself is measured, as it is shipped: `refresh` and `serve` run
//! as processes, and the kernel says what they took. Sizes of a server count
//! the mapped index too; those pages are the page cache's and can be dropped.

#![expect(
    clippy::disallowed_macros,
    reason = "a bench speaks to whoever runs it"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

mod folder;
#[path = "../names.rs"]
mod names;
mod process;
mod upstream;

use folder::Folder;
use process::Server;

const ANSWERS: usize = 5000;
/// Names, and what must hold for so many: seconds and megabytes to compile,
/// megabytes to serve.
const BOUNDS: [(usize, Bound); 2] = [
    (
        800_000,
        Bound {
            seconds: 20.0,
            compile: 400.0,
            serve: 40.0,
        },
    ),
    (
        5_000_000,
        Bound {
            seconds: 20.0,
            compile: 400.0,
            serve: 120.0,
        },
    ),
];

struct Bound {
    seconds: f64,
    compile: f64,
    serve: f64,
}

/// What lists of some sizes cost to compile and to serve
#[derive(Parser)]
#[command(name = "cargo bench --bench compile --")]
struct Options {
    /// How many names are made up
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "250000,800000,1000000,5000000",
        value_name = "COUNT"
    )]
    sizes: Vec<usize>,
    /// A folder with a sources.toml and its lists, which are loaded as well
    #[arg(long, value_name = "FOLDER")]
    lists: Option<PathBuf>,
    /// Fail if a bound is passed
    #[arg(long)]
    check: bool,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    println!(
        "{:>8} {:>8} {:>7} {:>7} {:>7} {:>8} {:>6}   {:>7} {:>7} {:>7} {:>7}",
        "made up",
        "names",
        "wall s",
        "cpu s",
        "peak MB",
        "disk MB",
        "B/name",
        "ready s",
        "RSS MB",
        "anon",
        "file"
    );
    let mut passed = 0;
    for &size in &options.sizes {
        passed += row(size, &options)?;
    }
    Ok(ExitCode::from(u8::from(options.check && passed > 0)))
}

/// Measures one size and says how many bounds it passes.
fn row(size: usize, options: &Options) -> anyhow::Result<usize> {
    let upstream = upstream::start()?;
    let folder = Folder::write(size, options.lists.as_deref(), upstream)?;
    let compiled = process::refresh(folder.path()).context("refresh")?;
    let (generation, names) = folder.generation()?;
    print!(
        "{size:>8} {names:>8} {:>7.2} {:>7.2} {:>7.1} {:>8.1} {:>6.2} ",
        compiled.wall,
        compiled.cpu,
        compiled.peak,
        generation as f64 / 1e6,
        generation as f64 / names as f64,
    );
    let server = Server::start(folder.path())?;
    upstream::ask(server.dns, names::popular(ANSWERS))?;
    let memory = server.memory()?;
    println!(
        "  {:>7.3} {:>7.1} {:>7.1} {:>7.1}",
        server.ready, memory.resident, memory.anonymous, memory.file
    );
    let Some((_, bound)) = BOUNDS.iter().find(|(names, _)| *names == size) else {
        return Ok(0);
    };
    let found = [
        ("seconds to compile", compiled.wall, bound.seconds),
        ("MB to compile", compiled.peak, bound.compile),
        ("MB to serve", memory.resident, bound.serve),
    ];
    let passed = found.iter().filter(|(_, found, bound)| found > bound);
    for (what, found, bound) in passed.clone() {
        println!("ABOVE the bound: {found:.1} {what}; {bound} are allowed");
    }
    Ok(passed.count())
}
