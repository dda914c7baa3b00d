//! The four loads, as files for dnsperf and as packets for our own generator.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::names::Names;
use crate::random::{Random, Zipf, mix};
use crate::wire;

/// Questions of the mixed load before it begins again.
const MIXED: usize = 1_000_000;
/// One of so many mixed questions is about a listed name.
const BLOCKED_SHARE: usize = 10;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Allowed names that were asked before
    Cached,
    /// Listed names in random order
    Blocked,
    /// 90 % cached by popularity, 10 % blocked
    Mixed,
    /// Allowed names that nobody has asked for
    Miss,
}

/// Makes the questions of one run.
pub(crate) struct Questions {
    names: Names,
    folder: PathBuf,
    /// Names of the miss load that were handed out.
    used: u64,
}

/// Packets of one load, to be asked in a circle.
pub(crate) struct Packets {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    at: usize,
}

impl Load {
    pub(crate) const ALL: [Self; 4] = [Self::Cached, Self::Blocked, Self::Mixed, Self::Miss];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Blocked => "blocked",
            Self::Mixed => "mixed",
            Self::Miss => "miss",
        }
    }

    /// The share of its replies that should say that there is no such name.
    pub(crate) fn blocked(self) -> f64 {
        match self {
            Self::Cached | Self::Miss => 0.0,
            Self::Blocked => 1.0,
            Self::Mixed => 1.0 / BLOCKED_SHARE as f64,
        }
    }
}

impl Questions {
    pub(crate) fn new(names: Names, folder: &Path) -> Self {
        Self {
            names,
            folder: folder.to_owned(),
            used: 0,
        }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// A file of a load for dnsperf. Misses are written anew, `misses` of them;
    /// the others once.
    pub(crate) fn file(&mut self, load: Load, misses: usize) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("{}.questions", load.name()));
        if load != Load::Miss && path.exists() {
            return Ok(path);
        }
        let mut file = BufWriter::new(File::create(&path)?);
        let mut result = Ok(());
        self.each(load, misses, |name| {
            if result.is_ok() {
                result = writeln!(file, "{name} A");
            }
        });
        result?;
        file.flush()?;
        Ok(path)
    }

    /// Packets of a load; `misses` of them if they are misses.
    pub(crate) fn packets(&mut self, load: Load, misses: usize) -> Packets {
        let mut packets = Packets::new();
        self.each(load, misses, |name| packets.add(name, None));
        packets
    }

    fn each(&mut self, load: Load, misses: usize, mut ask: impl FnMut(&str)) {
        let Names { listed, free, .. } = &self.names;
        let mut random = Random(4);
        match load {
            Load::Cached => {
                let mut order: Vec<&String> = free.iter().collect();
                random.shuffle(&mut order);
                for name in order {
                    ask(name);
                }
            }
            Load::Blocked => listed.iter().for_each(|name| ask(name)),
            Load::Mixed => {
                let (zipf, mut blocked) = (Zipf::over(free.len()), listed.iter().cycle());
                for _ in 0..MIXED {
                    match blocked.next() {
                        Some(name) if random.below(BLOCKED_SHARE) == 0 => ask(name),
                        _ => ask(&free[zipf.draw(&mut random)]),
                    }
                }
            }
            Load::Miss => {
                for _ in 0..misses {
                    self.used += 1;
                    // Its order is random too: nobody gains by neighbours.
                    let label = mix(self.used);
                    let below = &free[(label % free.len() as u64) as usize];
                    ask(&format!("x{label:x}.{below}"));
                }
            }
        }
    }
}

impl Packets {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            ends: vec![0],
            at: 0,
        }
    }

    pub(crate) fn add(&mut self, name: &str, option: Option<(u16, &[u8])>) {
        let mut packet = Vec::new();
        wire::question(name, option, &mut packet);
        self.bytes.extend(packet);
        self.ends.push(self.bytes.len());
    }

    /// The next packet.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.at = if self.at + 2 < self.ends.len() {
            self.at + 1
        } else {
            0
        };
        &self.bytes[self.ends[self.at]..self.ends[self.at + 1]]
    }
}
