//! What the command line may say.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::questions::Load;

/// Schoolgate and its peers, side by side on this machine
#[derive(Parser, Debug)]
#[command(name = "cargo bench --bench side_by_side --")]
pub(crate) struct Options {
    /// What to show
    #[arg(value_enum, default_value = "peers")]
    pub(crate) what: What,
    /// Only these, such as schoolgate,dnsdist; the floor is a peer too
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Only these loads
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LOAD")]
    pub(crate) loads: Vec<Load>,
    /// Seconds of one load by dnsperf
    #[arg(long, default_value_t = 8)]
    pub(crate) seconds: u64,
    /// How often everything is measured; the table has the medians
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Questions a second while delays are measured; half of it for misses
    #[arg(long, default_value_t = 20_000)]
    pub(crate) rate: u32,
    /// Seconds of one load at that rate; 0 for none
    #[arg(long, default_value_t = 4)]
    pub(crate) paced_seconds: u64,
    /// Seconds of the load that lists are swapped under
    #[arg(long, default_value_t = 60)]
    pub(crate) swap_seconds: u64,
    /// A folder with a sources.toml and the lists it names
    #[arg(long, value_name = "FOLDER")]
    pub(crate) lists: Option<PathBuf>,
    /// How many listed names are made up; 800,000 if there are no lists, else none
    #[arg(long, value_name = "COUNT")]
    pub(crate) made_up: Option<usize>,
    /// Names one a line, text or gzip, that people ask for; else made up ones
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Another Schoolgate than the one built with this
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) server: Option<PathBuf>,
    /// The core of the servers and that of everything else
    #[arg(
        long,
        value_delimiter = ',',
        num_args = 2,
        default_value = "0,1",
        value_name = "CORE,CORE"
    )]
    pub(crate) cores: Vec<usize>,
    /// Where the single measurements go
    #[arg(long, default_value = "target/side_by_side.tsv", value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Where the tables go as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Be the floor on this port
    #[arg(long, hide = true, value_name = "PORT")]
    pub(crate) floor: Option<u16>,
    /// Cargo says so
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// All of it
    All,
    /// Every peer under every load
    Peers,
    /// Lists and policy swapped under load
    Swap,
    /// A flood of blocked questions from random devices
    Flood,
    /// The process of the pages killed and flooded
    Pages,
    /// One worker thread and two
    Threads,
    /// DNS over TLS and HTTPS, of those who have both
    Encrypted,
}

impl Options {
    pub(crate) fn shows(&self, what: What) -> bool {
        self.what == What::All || self.what == what
    }

    pub(crate) fn made_up(&self) -> usize {
        let usual = if self.lists.is_some() { 0 } else { 800_000 };
        self.made_up.unwrap_or(usual)
    }

    pub(crate) fn loads(&self) -> Vec<Load> {
        if self.loads.is_empty() {
            Load::ALL.to_vec()
        } else {
            self.loads.clone()
        }
    }

    pub(crate) fn wants(&self, peer: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == peer)
    }
}
