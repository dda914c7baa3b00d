//! Rows → the tables, for people and for `benches/README.md`, and the file of
//! all single measurements.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::Path;

use crate::measure::{Measured, Row};
use crate::peers;
use crate::questions::Load;

/// One table: its title, its columns, its rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// What is said below it.
    pub(crate) remarks: Vec<String>,
}

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// In columns of one width, the first to the left.
    pub(crate) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let all = || std::iter::once(&self.columns).chain(&self.rows);
        let width = |column: usize| {
            let cells = all().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        writeln!(out, "\n{}", self.title)?;
        for row in all() {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                if column == 0 {
                    write!(out, "{cell:<width$}")?;
                } else {
                    write!(out, "  {cell:>width$}")?;
                }
            }
            writeln!(out)?;
        }
        self.remarks
            .iter()
            .try_for_each(|line| writeln!(out, "{line}"))
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> = (0..self.columns.len())
            .map(|column| if column == 0 { "---" } else { "---:" }.to_owned())
            .collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!(
            "**{}**\n\n{}{}{rows}\n{}\n",
            self.title,
            line(&self.columns),
            line(&rule),
            self.remarks.join("  \n")
        )
    }
}

/// The tables of the peers: one a load, and one of memory and starts.
pub(crate) fn tables(measured: &Measured) -> Vec<Table> {
    let mut tables: Vec<Table> = Load::ALL
        .into_iter()
        .filter(|load| measured.rows.iter().any(|row| row.load == *load))
        .map(|load| load_table(measured, load))
        .collect();
    tables.push(size_table(measured));
    tables
}

fn load_table(measured: &Measured, load: Load) -> Table {
    let mut table = Table::new(
        load.name(),
        &[
            "",
            "q/s",
            "CPU µs/q",
            "user",
            "system",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "lost",
            "lost at pace",
        ],
    );
    let of = |peer| rows_of(measured, peer, load);
    for peer in &peers::ALL {
        let rows = of(peer.name);
        if rows.is_empty() {
            continue;
        }
        let delay = |at: usize| {
            median(
                rows.iter()
                    .filter_map(|row| Some(row.delays?.percentiles[at])),
            )
        };
        let paced: Vec<_> = rows.iter().filter_map(|row| row.delays).collect();
        let lost: u64 = rows.iter().map(|row| row.lost()).sum();
        let sent: u64 = rows.iter().map(|row| row.found.sent).sum();
        table.add([
            peer.name.to_owned(),
            format!("{:.0}", median(rows.iter().map(|row| row.per_second()))),
            format!("{:.2}", cpu(&rows)),
            format!("{:.2}", median(rows.iter().map(|row| row.user()))),
            format!("{:.2}", median(rows.iter().map(|row| row.system()))),
            figure(delay(0)),
            figure(delay(1)),
            figure(delay(2)),
            share(lost, sent),
            share(
                paced.iter().map(|delays| delays.lost).sum(),
                paced.iter().map(|delays| delays.sent).sum(),
            ),
        ]);
    }
    table.remarks = ratios(measured, load);
    absent(measured, &mut table);
    table
}

/// What the figures to reach are about.
fn ratios(measured: &Measured, load: Load) -> Vec<String> {
    let of = |peer: &'static str| {
        let rows = rows_of(measured, peer, load);
        (!rows.is_empty()).then(|| cpu(&rows))
    };
    let Some(ours) = of("schoolgate") else {
        return Vec::new();
    };
    let theirs = peers::ALL.iter().filter(|peer| peer.is_theirs());
    let best = theirs
        .filter_map(|peer| Some((of(peer.name)?, peer.name)))
        .min_by(|one, other| one.0.total_cmp(&other.0));
    let mut remarks = Vec::new();
    if let Some((theirs, name)) = best {
        remarks.push(format!(
            "CPU of Schoolgate: {:.2} × {name}'s",
            ours / theirs
        ));
    }
    if let Some(floor) = of("floor") {
        remarks.push(format!(
            "CPU of Schoolgate: {:.2} × the floor's",
            ours / floor
        ));
    }
    remarks
}

fn size_table(measured: &Measured) -> Table {
    let mut table = Table::new(
        "memory and start",
        &[
            "",
            "MB after the first load",
            "anonymous",
            "file",
            "MB after the last",
            "start to first answer, ms",
        ],
    );
    for peer in &peers::ALL {
        let loads = Load::ALL.into_iter();
        let by_load: Vec<_> = loads
            .map(|load| rows_of(measured, peer.name, load))
            .filter(|rows| !rows.is_empty())
            .collect();
        let (Some(first), Some(last)) = (by_load.first(), by_load.last()) else {
            continue;
        };
        let mega = |rows: &[&Row], of: fn(&Row) -> u64| {
            let all = rows.iter().map(|row| of(row) as f64 / 1024.0);
            format!("{:.1}", median(all))
        };
        let starts = first.iter().map(|row| row.start.as_secs_f64() * 1000.0);
        table.add([
            peer.name.to_owned(),
            mega(first, |row| row.memory.whole),
            mega(first, |row| row.memory.anonymous),
            mega(first, |row| row.memory.file),
            mega(last, |row| row.memory.whole),
            format!("{:.0}", median(starts)),
        ]);
    }
    absent(measured, &mut table);
    table
}

/// Who is missing, and why.
fn absent(measured: &Measured, table: &mut Table) {
    let lines = measured.absent.iter();
    table
        .remarks
        .extend(lines.map(|(peer, why)| format!("{peer}: {why}")));
}

fn rows_of<'a>(measured: &'a Measured, peer: &str, load: Load) -> Vec<&'a Row> {
    let rows = measured.rows.iter();
    rows.filter(|row| row.peer == peer && row.load == load)
        .collect()
}

fn cpu(rows: &[&Row]) -> f64 {
    median(rows.iter().map(|row| row.user() + row.system()))
}

pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.get(middle) {
        None => f64::NAN,
        Some(upper) if numbers.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(numbers[middle - 1], *upper),
    }
}

fn figure(number: f64) -> String {
    if number.is_nan() {
        "–".to_owned()
    } else {
        format!("{number:.0}")
    }
}

fn share(part: u64, whole: u64) -> String {
    if part == 0 {
        "0".to_owned()
    } else {
        format!("{part} ({:.3} %)", part as f64 * 100.0 / whole as f64)
    }
}

/// Writes every single measurement, a row each.
pub(crate) fn write_rows(path: &Path, date: &str, measured: &Measured) -> anyhow::Result<()> {
    let mut text = String::from(
        "date\tpeer\tload\tround\tsent\tanswered\tseconds\tblocked\tfailed\tuser_s\tsystem_s\t\
         rss_kb\tanon_kb\tfile_kb\tstart_ms\tpaced_sent\tpaced_lost\tp50_us\tp99_us\tp999_us\n",
    );
    for row in &measured.rows {
        let (found, memory) = (&row.found, &row.memory);
        let delays = row.delays.map_or_else(
            || "\t\t\t\t".to_owned(),
            |delays| {
                let [p50, p99, p999] = delays.percentiles;
                format!(
                    "{}\t{}\t{p50:.1}\t{p99:.1}\t{p999:.1}",
                    delays.sent, delays.lost
                )
            },
        );
        writeln!(
            text,
            "{date}\t{}\t{}\t{}\t{}\t{}\t{:.3}\t{}\t{}\t{:.2}\t{:.2}\t{}\t{}\t{}\t{:.1}\t{delays}",
            row.peer,
            row.load.name(),
            row.round,
            found.sent,
            found.answered,
            found.seconds,
            found.blocked,
            found.failed,
            row.cpu.user,
            row.cpu.system,
            memory.whole,
            memory.anonymous,
            memory.file,
            row.start.as_secs_f64() * 1000.0,
        )?;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, text)?)
}
