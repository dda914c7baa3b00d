//! h2load: DNS over HTTPS, many requests of each connection at once.
//!
//! dnsperf has a mode for it too, but it stalls before some servers and so says
//! nothing about them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use data_encoding::BASE64URL_NOPAD;

use crate::child::{Cores, program, run};
use crate::dnsperf::Found;
use crate::wire;

/// An address record behind a compressed name.
const RECORD: u64 = 16;

/// How h2load is run.
pub(crate) struct H2load {
    program: PathBuf,
    folder: PathBuf,
    cores: Cores,
}

impl H2load {
    pub(crate) fn new(folder: &Path, cores: &Cores) -> anyhow::Result<Self> {
        Ok(Self {
            program: program("h2load").context("h2load (nghttp2-client) is not installed")?,
            folder: folder.to_owned(),
            cores: cores.clone(),
        })
    }

    /// Asks for these names as fast as it is answered.
    pub(crate) fn load(&self, port: u16, names: &[String], seconds: u64) -> anyhow::Result<Found> {
        let path = self.folder.join("requests");
        let mut file = BufWriter::new(File::create(&path)?);
        let (mut packet, mut octets) = (Vec::new(), 0);
        for name in names {
            wire::question(name, None, &mut packet);
            octets += packet.len() as u64 + RECORD;
            let text = BASE64URL_NOPAD.encode(&packet);
            writeln!(file, "https://127.0.0.1:{port}/dns-query?dns={text}")?;
        }
        file.flush()?;
        let mut command = Command::new(&self.program);
        command
            .args([
                "-t",
                "1",
                "-c",
                "16",
                "-m",
                "32",
                "-D",
                &seconds.to_string(),
            ])
            .args(["-H", "accept: application/dns-message", "-i"])
            .arg(&path);
        let patience = Duration::from_secs(seconds + 30);
        let log = self.folder.join("h2load.log");
        let said = run(&command, &self.cores, &log, patience)?;
        let (found, data) = read(&said).with_context(|| format!("h2load said: {said}"))?;
        // It does not look into what it gets: a failure has no address in it.
        let wanted = octets / names.len().max(1) as u64;
        if data / found.answered.max(1) < wanted {
            bail!("its answers over HTTPS are too short to be right");
        }
        Ok(found)
    }
}

/// What was found, and the octets of all answers.
fn read(said: &str) -> Option<(Found, u64)> {
    let row = |key: &str| said.lines().find_map(|line| line.strip_prefix(key));
    // "16943 total, 16943 started, …": the number before a word.
    let number = |row: &str, word: &str| {
        let part = row.split(',').find(|part| part.trim().ends_with(word))?;
        part.split_whitespace().next()?.parse::<u64>().ok()
    };
    let codes = row("status codes:")?;
    let requests = row("requests:")?;
    let seconds = row("finished in ")?.split_once("s,")?.0;
    let data = row("traffic:")?.rsplit_once('(')?.1.split_once(')')?.0;
    let found = Found {
        sent: number(requests, "done")?,
        answered: number(codes, "2xx")?,
        seconds: seconds.parse().ok()?,
        blocked: 0,
        failed: number(codes, "4xx")? + number(codes, "5xx")?,
    };
    Some((found, data.parse().ok()?))
}
