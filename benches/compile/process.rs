//! The program at work, and what the kernel says that it took.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_schoolgate");
/// How often a running process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// What a refresh took; sizes in megabytes.
pub(crate) struct Compiled {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) peak: f64,
}

/// What a server holds, in megabytes.
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) anonymous: f64,
    pub(crate) file: f64,
}

/// A running `serve`; it ends when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) dns: SocketAddr,
    /// Seconds from its start to the line that says that it answers.
    pub(crate) ready: f64,
}

/// Runs `schoolgate refresh` to its end.
pub(crate) fn refresh(config: &Path) -> anyhow::Result<Compiled> {
    let (began, before) = (Instant::now(), children_cpu()?);
    let mut child = command("refresh", config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // The kernel's own high-water mark, which only grows: what is read last is
    // right to the last look.
    let mut peak = 0.0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = size(child.id(), "VmHWM:").unwrap_or(peak);
        thread::sleep(LOOK);
    };
    let wall = began.elapsed().as_secs_f64();
    // 1: some list was not taken, such as one with too few entries.
    ensure!(status.code().is_some_and(|code| code < 2), "{status}");
    Ok(Compiled {
        wall,
        cpu: children_cpu()? - before,
        peak,
    })
}

impl Server {
    /// Starts it and waits for its line.
    pub(crate) fn start(config: &Path) -> anyhow::Result<Self> {
        let began = Instant::now();
        let mut child = command("serve", config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().context("no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let ready = began.elapsed().as_secs_f64();
        let dns = line.strip_prefix("answering DNS on ");
        let dns = dns.and_then(|rest| rest.split([',', ';']).next());
        let dns = dns.with_context(|| line.clone())?.parse()?;
        Ok(Self { child, dns, ready })
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let size = |of| size(self.child.id(), of).context("it has ended");
        Ok(Memory {
            resident: size("VmRSS:")?,
            anonymous: size("RssAnon:")?,
            file: size("RssFile:")?,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(verb: &str, config: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(verb).arg("--config").arg(config);
    command.stdin(Stdio::null());
    command
}

/// One of a process's sizes, in megabytes.
fn size(pid: u32, what: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}

/// Seconds of CPU of all children that have ended.
fn children_cpu() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = usage.user_time() + usage.system_time();
    Ok(time.num_microseconds() as f64 / 1e6)
}
