//! Programs that are started, pinned, and gone when this one is.
//!
//! Each gets a process group of its own, so that its children end with it, and
//! is ended when its value is dropped, be that by a panic. A signal drops
//! nothing; so a thread waits for it and ends them first. Nothing is ever ended
//! that was not started here.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// The groups that run, and the folders to remove.
static STARTED: Mutex<(Vec<Pid>, Vec<PathBuf>)> = Mutex::new((Vec::new(), Vec::new()));

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

/// The cores a program may use, as taskset writes them.
#[derive(Debug, Clone)]
pub(crate) struct Cores(pub(crate) String);

/// A folder that is removed with its value.
pub(crate) struct Scratch(tempfile::TempDir);

impl Running {
    /// Starts `command` on `cores`; what it says goes to a file beside `log`.
    pub(crate) fn start(command: &Command, cores: &Cores, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        let mut pinned = Command::new("taskset");
        pinned
            .args(["-c", &cores.0])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0);
        if let Some(folder) = command.get_current_dir() {
            pinned.current_dir(folder);
        }
        let child = pinned.spawn().context("taskset (util-linux)")?;
        let running = Self {
            child,
            log: log.to_owned(),
        };
        started().0.push(running.group());
        Ok(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("it did not end within {patience:?}")
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The line that tells best why it failed.
    pub(crate) fn complaint(&self) -> String {
        let said = self.said();
        let mut lines = said.lines().rev().filter(|line| !line.trim().is_empty());
        let telling = |line: &&str| {
            let line = line.to_lowercase();
            ["error", "fatal", "cannot", "failed"]
                .iter()
                .any(|word| line.contains(word))
        };
        let line = lines.clone().find(telling).or(lines.next());
        line.unwrap_or("it said nothing").trim().to_owned()
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = self.group();
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        started().0.retain(|other| *other != group);
    }
}

impl Scratch {
    /// A new folder below `place`.
    pub(crate) fn below(place: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("side-by-side-")
            .tempdir_in(place)?;
        started().1.push(folder.path().to_owned());
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Runs `command` to its end and gives what it said.
pub(crate) fn run(
    command: &Command,
    cores: &Cores,
    log: &Path,
    patience: Duration,
) -> anyhow::Result<String> {
    let program = command.get_program().display().to_string();
    let mut running = Running::start(command, cores, log)?;
    let status = running.wait(patience).with_context(|| program.clone())?;
    if !status.success() {
        bail!("{program}: {status}: {}", running.complaint());
    }
    Ok(running.said())
}

/// Ends everything that was started before a signal ends this program. The
/// signals are caught, not blocked: what is blocked here would be blocked in
/// every program that is started.
pub(crate) fn end_with_signals() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        let started = started();
        for group in &started.0 {
            let _ = killpg(*group, Signal::SIGKILL);
        }
        for folder in &started.1 {
            let _ = fs::remove_dir_all(folder);
        }
        std::process::exit(130);
    });
    Ok(())
}

/// A port that is free for UDP and TCP on loopback.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address.port());
        }
    }
    bail!("no port is free for both UDP and TCP")
}

/// Where a program is; Debian keeps servers out of people's way.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path =
        std::env::split_paths("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    path.into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn started() -> std::sync::MutexGuard<'static, (Vec<Pid>, Vec<PathBuf>)> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}
