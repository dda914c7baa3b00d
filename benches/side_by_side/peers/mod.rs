//! Who is compared, and how each is set up.
//!
//! Each is set up as well as its makers would for this work: one thread, caches
//! larger than the load, large socket buffers where it has such a setting, no
//! signatures to check, logs off. None reads the files that Debian put in /etc
//! or knows of anybody but the upstream on loopback.

mod dnsdist;
mod dnsmasq;
mod knot;
mod recursor;
mod schoolgate;
mod unbound;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use schoolgate::{Metrics, School};

use crate::child::{Scratch, program};
use crate::encrypted::Secure;

/// What a peer is set up for.
pub(crate) struct Setting<'a> {
    /// An own folder, empty.
    pub(crate) folder: &'a Path,
    /// Where it is to answer, on 127.0.0.1.
    pub(crate) port: u16,
    /// Where it is to ask, on 127.0.0.1.
    pub(crate) upstream: u16,
    /// What it is to block, with all below, top-level label first.
    pub(crate) listed: &'a [String],
    /// A folder in memory, for a cache that is a file.
    pub(crate) memory: &'a Path,
    /// Where it is to answer encrypted too, if at all.
    pub(crate) secure: Option<&'a Secure>,
}

/// One of those who are compared.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// How it comes to run.
pub(crate) enum Kind {
    /// A program of Debian's, and what makes its command.
    Debian(&'static str, Prepare),
    /// Ours.
    Schoolgate,
    /// A loop that answers without looking.
    Floor,
}

type Prepare = fn(PathBuf, &Setting<'_>) -> anyhow::Result<Command>;

/// Everybody, in the order of the table.
pub(crate) const ALL: [Peer; 9] = [
    Peer {
        name: "floor",
        kind: Kind::Floor,
    },
    Peer {
        name: "schoolgate",
        kind: Kind::Schoolgate,
    },
    Peer {
        name: "dnsdist",
        kind: Kind::Debian("dnsdist", dnsdist::prepare),
    },
    Peer {
        name: "recursor-rpz",
        kind: Kind::Debian("pdns_recursor", recursor::prepare),
    },
    Peer {
        name: "unbound-local",
        kind: Kind::Debian("unbound", unbound::local_zones),
    },
    Peer {
        name: "unbound-rpz",
        kind: Kind::Debian("unbound", unbound::policy_zone),
    },
    Peer {
        name: "dnsmasq",
        kind: Kind::Debian("dnsmasq", dnsmasq::prepare),
    },
    Peer {
        name: "knot-rpz",
        kind: Kind::Debian("kresd", knot::prepare),
    },
    Peer {
        name: "dnsdist-batch",
        kind: Kind::Debian("dnsdist", dnsdist::in_batches),
    },
];

impl Peer {
    /// The program, if it is installed.
    pub(crate) fn installed(&self) -> Option<PathBuf> {
        match self.kind {
            Kind::Debian(name, _) => program(name),
            Kind::Schoolgate | Kind::Floor => std::env::current_exe().ok(),
        }
    }

    /// Whether what it answers means anything.
    pub(crate) fn answers(&self) -> bool {
        !matches!(self.kind, Kind::Floor)
    }

    /// Whether it is a product of others.
    pub(crate) fn is_theirs(&self) -> bool {
        matches!(self.kind, Kind::Debian(..))
    }
}

/// Somewhere in memory, else in the usual place.
pub(crate) fn in_memory() -> anyhow::Result<Scratch> {
    Scratch::below(Path::new("/dev/shm")).or_else(|_| Scratch::below(&std::env::temp_dir()))
}

/// Writes one or more lines a name.
fn write_names(
    path: &Path,
    head: &str,
    names: &[String],
    line: impl Fn(&mut BufWriter<File>, &str) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(head.as_bytes())?;
    for name in names {
        line(&mut file, name)?;
    }
    Ok(file.flush()?)
}

/// Writes a response policy zone, `rpz.blocked`, that denies the names and all
/// below them.
fn write_policy_zone(path: &Path, names: &[String]) -> anyhow::Result<()> {
    let head = "$ORIGIN rpz.blocked.\n$TTL 300\n\
        @ SOA localhost. root.localhost. 1 3600 600 86400 300\n@ NS localhost.\n";
    write_names(path, head, names, |file, name| {
        writeln!(file, "{name} CNAME .\n*.{name} CNAME .")
    })
}

fn put(folder: &Path, file: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(file);
    fs::write(&path, text)?;
    Ok(path)
}
