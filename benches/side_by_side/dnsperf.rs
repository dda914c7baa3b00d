//! dnsperf: as many questions as the server can take.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::child::{Cores, program, run};
use crate::questions::Load;

/// How dnsperf is run.
pub(crate) struct Dnsperf {
    program: PathBuf,
    log: PathBuf,
    cores: Cores,
}

/// What it found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) seconds: f64,
    /// Replies that say that there is no such name.
    pub(crate) blocked: u64,
    /// Replies that say neither that nor that all is well.
    pub(crate) failed: u64,
}

impl Dnsperf {
    pub(crate) fn new(folder: &Path, cores: &Cores) -> anyhow::Result<Self> {
        Ok(Self {
            program: program("dnsperf").context("dnsperf is not installed")?,
            log: folder.join("dnsperf.log"),
            cores: cores.clone(),
        })
    }

    /// Asks every question of the file once, without haste.
    pub(crate) fn warm(&self, port: u16, questions: &Path) -> anyhow::Result<()> {
        let args = ["-c", "4", "-q", "50", "-n", "1"].map(str::to_owned);
        self.run(port, questions, &args, 30).map(|_| ())
    }

    /// Asks as fast as it is answered.
    pub(crate) fn load(
        &self,
        port: u16,
        load: Load,
        questions: &Path,
        seconds: u64,
    ) -> anyhow::Result<Found> {
        let mut args = vec!["-l".to_owned(), seconds.to_string()];
        // A miss must not be asked again, and a resolver that has to ask others
        // is not to be judged by how it drops what is too much.
        args.extend(match load {
            Load::Miss => ["-c", "16", "-q", "200", "-n", "1"]
                .map(str::to_owned)
                .to_vec(),
            _ => ["-c", "32", "-q", "1000"].map(str::to_owned).to_vec(),
        });
        self.run(port, questions, &args, seconds + 30)
    }

    /// Asks over TLS as fast as it is answered.
    pub(crate) fn load_tls(
        &self,
        port: u16,
        questions: &Path,
        seconds: u64,
    ) -> anyhow::Result<Found> {
        let mut args = vec!["-l".to_owned(), seconds.to_string()];
        args.extend(["-m", "dot", "-c", "16", "-q", "500"].map(str::to_owned));
        self.run(port, questions, &args, seconds + 30)
    }

    fn run(
        &self,
        port: u16,
        questions: &Path,
        args: &[String],
        patience: u64,
    ) -> anyhow::Result<Found> {
        let mut command = Command::new(&self.program);
        command
            .args(["-s", "127.0.0.1", "-p", &port.to_string(), "-T", "1", "-e"])
            .args(args)
            .arg("-d")
            .arg(questions);
        let patience = Duration::from_secs(patience);
        let said = run(&command, &self.cores, &self.log, patience)?;
        read(&said).with_context(|| format!("dnsperf said: {said}"))
    }
}

fn read(said: &str) -> Option<Found> {
    let row = |key: &str| {
        let row = said.lines().find_map(|line| line.trim().strip_prefix(key));
        row.map(str::trim)
    };
    let number = |key: &str| row(key)?.split_whitespace().next()?.parse().ok();
    let codes = row("Response codes:").unwrap_or_default();
    let replies = |code: &str| -> u64 {
        let codes = codes
            .split(',')
            .filter_map(|part| part.trim().split_once(' '));
        codes
            .filter(|(name, _)| *name == code)
            .filter_map(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok())
            .sum()
    };
    let answered = number("Queries completed:")?;
    let (well, blocked) = (replies("NOERROR"), replies("NXDOMAIN"));
    Some(Found {
        sent: number("Queries sent:")?,
        answered,
        seconds: row("Run time (s):")?.parse().ok()?,
        blocked,
        failed: answered.saturating_sub(well + blocked),
    })
}
