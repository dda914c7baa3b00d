//! DNS over TLS and HTTPS, of those who have both, from one certificate: kept
//! answers only, so that what differs is what the encryption costs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::child::free_port;
use crate::dnsperf::Found;
use crate::ground::{Ground, Started};
use crate::h2load::H2load;
use crate::peers::{self, Peer};
use crate::questions::Load;
use crate::report::{Table, median};
use crate::usage::Cpu;

/// Who speaks both. Unbound's two ways of blocking do not matter here.
const PEERS: [&str; 3] = ["schoolgate", "dnsdist", "unbound-local"];
const OURS: &str = PEERS[0];

/// Where a server speaks TLS, and what it shows.
#[derive(Debug, Clone)]
pub(crate) struct Secure {
    pub(crate) tls: u16,
    pub(crate) https: u16,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tls,
    Https,
}

/// One peer asked in one way, once.
struct Row {
    peer: &'static str,
    way: Way,
    round: u32,
    found: Found,
    cpu: Cpu,
}

impl Secure {
    /// Ports, and a certificate that nobody is asked to believe.
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()])?;
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        fs::write(&certificate, cert.pem())?;
        fs::write(&key, signing_key.serialize_pem())?;
        Ok(Self {
            tls: free_port()?,
            https: free_port()?,
            certificate,
            key,
        })
    }
}

impl Way {
    const ALL: [Self; 2] = [Self::Tls, Self::Https];

    fn name(self) -> &'static str {
        match self {
            Self::Tls => "DNS over TLS",
            Self::Https => "DNS over HTTPS",
        }
    }
}

impl Row {
    fn per_second(&self) -> f64 {
        self.found.answered as f64 / self.found.seconds
    }

    fn micros(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.found.answered as f64
    }

    fn cpu(&self) -> f64 {
        self.micros(self.cpu.user + self.cpu.system)
    }
}

/// Measures, and gives a table for each way.
pub(crate) fn tables(
    ground: &mut Ground,
    about: &str,
    out: &mut impl Write,
) -> anyhow::Result<Vec<Table>> {
    let secure = Secure::new(ground.scratch())?;
    let h2load = H2load::new(ground.scratch(), &ground.places.others)?;
    ground.school.secure = Some(secure.clone());
    let (mut rows, mut absent) = (Vec::new(), BTreeMap::new());
    for round in 1..=ground.options.rounds {
        for peer in peers::ALL.iter().filter(|peer| PEERS.contains(&peer.name)) {
            if !ground.options.wants(peer.name) || absent.contains_key(peer.name) {
                continue;
            }
            write!(out, "round {round}: {} …", peer.name)?;
            out.flush()?;
            match one(ground, peer, &secure, &h2load, round) {
                Ok(found) => {
                    for row in &found {
                        let name = row.way.name();
                        let (rate, cpu) = (row.per_second(), row.cpu());
                        write!(out, " {name} {rate:.0} q/s, {cpu:.2} µs;")?;
                    }
                    writeln!(out)?;
                    rows.extend(found);
                }
                Err(error) => {
                    writeln!(out, " {error:#}")?;
                    absent.insert(peer.name, format!("{}: {error:#}", peer.name));
                }
            }
        }
    }
    ground.school.secure = None;
    write_rows(&ground.options.out, about, &rows)?;
    let tables = Way::ALL.map(|way| {
        let mut table = table(&rows, way);
        table.remarks.extend(absent.values().cloned());
        table
    });
    Ok(tables.into())
}

fn one(
    ground: &mut Ground,
    peer: &Peer,
    secure: &Secure,
    h2load: &H2load,
    round: u32,
) -> anyhow::Result<Vec<Row>> {
    let started = ground.start(peer)?;
    ground.warm(started.port)?;
    let mut rows = Vec::new();
    for way in Way::ALL {
        let (found, cpu) = load(ground, &started, secure, h2load, way).context(way.name())?;
        let right = found.answered - found.blocked - found.failed;
        if right * 100 < found.answered * 99 || right == 0 {
            bail!("{}: {right} of {} right", way.name(), found.answered);
        }
        rows.push(Row {
            peer: peer.name,
            way,
            round,
            found,
            cpu,
        });
    }
    Ok(rows)
}

fn load(
    ground: &mut Ground,
    started: &Started,
    secure: &Secure,
    h2load: &H2load,
    way: Way,
) -> anyhow::Result<(Found, Cpu)> {
    let (pid, seconds) = (started.running.pid(), ground.options.seconds);
    let file = ground.questions.file(Load::Cached, 0)?;
    let before = Cpu::of(pid)?;
    let found = match way {
        Way::Tls => ground.dnsperf.load_tls(secure.tls, &file, seconds)?,
        Way::Https => h2load.load(secure.https, &ground.questions.names().free, seconds)?,
    };
    Ok((found, Cpu::of(pid)?.since(before)))
}

fn table(rows: &[Row], way: Way) -> Table {
    let columns = ["", "q/s", "CPU µs/q", "user", "system", "lost"];
    let mut table = Table::new(&format!("{}, cached", way.name()), &columns);
    let mut rates = BTreeMap::new();
    for peer in PEERS {
        let of = || rows.iter().filter(|row| row.way == way && row.peer == peer);
        if of().next().is_none() {
            continue;
        }
        let rate = median(of().map(Row::per_second));
        rates.insert(peer, rate);
        let lost = |row: &Row| row.found.sent.saturating_sub(row.found.answered);
        let lost: u64 = of().map(lost).sum();
        table.add([
            peer.to_owned(),
            format!("{rate:.0}"),
            format!("{:.2}", median(of().map(Row::cpu))),
            format!("{:.2}", median(of().map(|row| row.micros(row.cpu.user)))),
            format!("{:.2}", median(of().map(|row| row.micros(row.cpu.system)))),
            lost.to_string(),
        ]);
    }
    let ours = rates.remove(OURS);
    let best = rates.iter().max_by(|one, other| one.1.total_cmp(other.1));
    if let (Some(ours), Some((name, theirs))) = (ours, best) {
        let share = ours / theirs;
        let remark = format!("Questions a second of Schoolgate: {share:.2} × {name}'s");
        table.remarks.push(remark);
    }
    table
}

/// Every single measurement, beside the file of the other loads.
fn write_rows(path: &Path, date: &str, rows: &[Row]) -> anyhow::Result<()> {
    let mut text = String::from(
        "date\tpeer\tway\tround\tsent\tanswered\tseconds\tblocked\tfailed\tuser_s\tsystem_s\n",
    );
    for row in rows {
        let found = &row.found;
        writeln!(
            text,
            "{date}\t{}\t{}\t{}\t{}\t{}\t{:.3}\t{}\t{}\t{:.2}\t{:.2}",
            row.peer,
            row.way.name(),
            row.round,
            found.sent,
            found.answered,
            found.seconds,
            found.blocked,
            found.failed,
            row.cpu.user,
            row.cpu.system,
        )?;
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path.with_extension("encrypted.tsv"), text)?)
}
