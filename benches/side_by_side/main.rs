//! Schoolgate and its peers, side by side: one command, one run, one machine.
//!
//! A figure of a resolver says little by itself: it is the machine's as much as
//! the program's. So each peer is started here in turn, with the same lists, the
//! same upstream and the same core to itself, and is asked the same questions;
//! the floor, a loop that answers without looking, says what of it is the
//! kernel's. `benches/README.md` tells how to read it and what it does not show.
//!
//! It must never ask anybody outside this machine, leave a process behind, or
//! favour anybody: a peer that could be set up better should be.

mod child;
mod dnsperf;
mod encrypted;
mod flood;
mod floor;
mod ground;
mod h2load;
mod load;
mod machine;
mod measure;
mod names;
mod options;
mod pages;
mod peers;
mod questions;
mod random;
mod report;
mod swap;
mod threads;
mod upstream;
mod usage;
mod wire;

use std::fs;
use std::io::{self, Write};

use clap::Parser;

use crate::ground::Ground;
use crate::options::{Options, What};

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(port) = options.floor {
        return floor::answer(port);
    }
    let out = &mut io::stdout().lock();
    if !options.bench {
        // `cargo test --benches` runs it too.
        writeln!(out, "to measure: cargo bench --bench side_by_side")?;
        return Ok(());
    }
    let places = machine::settle(&options.cores)?;
    child::end_with_signals()?;
    let mut ground = Ground::new(options, places)?;
    run(&mut ground, out)
}

fn run(ground: &mut Ground, out: &mut impl Write) -> anyhow::Result<()> {
    let about = machine::description(&ground.version()?);
    let names = ground.questions.names();
    let listed = format!(
        "{} listed names, {} free ones",
        names.listed.len(),
        names.free.len()
    );
    for line in about.iter().chain([&listed]) {
        writeln!(out, "{line}")?;
    }
    let mut tables = Vec::new();
    if ground.options.shows(What::Peers) {
        let measured = measure::peers(ground, &about[0], out)?;
        tables.extend(report::tables(&measured));
    }
    if ground.options.shows(What::Threads) {
        tables.push(threads::table(ground)?);
    }
    if ground.options.shows(What::Flood) {
        tables.push(flood::table(ground)?);
    }
    if ground.options.shows(What::Swap) {
        tables.push(swap::table(ground)?);
    }
    if ground.options.shows(What::Pages) {
        tables.push(pages::table(ground)?);
    }
    if ground.options.shows(What::Encrypted) {
        tables.extend(encrypted::tables(ground, &about[0], out)?);
    }
    for table in &tables {
        table.print(out)?;
    }
    if let Some(path) = &ground.options.markdown {
        let head = about.iter().chain([&listed]).map(String::as_str);
        let head: Vec<&str> = head.collect();
        let tables: Vec<_> = tables.iter().map(report::Table::markdown).collect();
        fs::write(
            path,
            format!("{}\n\n{}", head.join("  \n"), tables.join("\n")),
        )?;
    }
    Ok(())
}
