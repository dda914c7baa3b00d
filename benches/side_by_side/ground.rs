//! What all of it stands on: the upstream, the questions, the lists, and how a
//! server is started and found to be right.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::child::{Cores, Running, Scratch, free_port};
use crate::dnsperf::Dnsperf;
use crate::machine::Places;
use crate::names::{Names, asked, make_up};
use crate::options::Options;
use crate::peers::{Kind, Peer, School, Setting, in_memory};
use crate::questions::{Load, Questions};
use crate::upstream::Upstream;
use crate::wire::{self, Said};

/// How often a server is started that is quick about it. What one start takes
/// depends on what the core did before: the median is told.
const STARTS: usize = 5;
/// A server that takes longer is started once.
const QUICK: Duration = Duration::from_secs(2);
/// Unbound and Knot Resolver take long to read such a policy zone.
const START: Duration = Duration::from_secs(180);

/// Everything but the servers.
pub(crate) struct Ground {
    pub(crate) options: Options,
    pub(crate) places: Places,
    pub(crate) questions: Questions,
    pub(crate) dnsperf: Dnsperf,
    pub(crate) school: School,
    pub(crate) upstream: Upstream,
    scratch: Scratch,
    memory: Scratch,
    runs: u32,
}

/// A server that answers.
pub(crate) struct Started {
    pub(crate) running: Running,
    pub(crate) port: u16,
    /// From the start of the process to the first right answer.
    pub(crate) took: Duration,
    folder: Option<PathBuf>,
}

impl Ground {
    pub(crate) fn new(options: Options, places: Places) -> anyhow::Result<Self> {
        let scratch = Scratch::below(&std::env::temp_dir())?;
        let program = match &options.server {
            Some(program) => program.canonicalize().context("--server")?,
            None => PathBuf::from(env!("CARGO_BIN_EXE_schoolgate")),
        };
        let school = School::new(&scratch.path().join("school"), &program)?;
        if let Some(lists) = &options.lists {
            school.take_lists(lists)?;
        }
        if options.made_up() > 0 {
            make_up(&school.folder, options.made_up())?;
        }
        let names = Names::read(&school.folder, &asked(options.names.as_deref())?)?;
        let upstream = Upstream::start(&scratch.path().join("nsd"), &places.others)?;
        school.put_settings(free_port()?, upstream.port, 1, &[])?;
        school.put_policy(&names.categories, "first")?;
        school.refresh(&places.others)?;
        Ok(Self {
            questions: Questions::new(names, scratch.path()),
            dnsperf: Dnsperf::new(scratch.path(), &places.others)?,
            memory: in_memory()?,
            runs: 0,
            options,
            places,
            school,
            upstream,
            scratch,
        })
    }

    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Starts a peer on the servers' core and makes sure of it.
    pub(crate) fn start(&mut self, peer: &Peer) -> anyhow::Result<Started> {
        self.runs += 1;
        let port = free_port()?;
        let folder = self
            .scratch
            .path()
            .join(format!("{}-{}", peer.name, self.runs));
        let memory = self.memory.path().join(self.runs.to_string());
        fs::create_dir(&folder)?;
        fs::create_dir(&memory)?;
        let program = peer.installed().context("it is not installed")?;
        let cores = self.places.server.clone();
        let command = match peer.kind {
            Kind::Schoolgate => return self.serve(1, &[], &cores),
            Kind::Floor => {
                let mut command = Command::new(program);
                command.args(["--bench", "--floor", &port.to_string()]);
                command
            }
            Kind::Debian(_, prepare) => prepare(
                program,
                &Setting {
                    folder: &folder,
                    port,
                    upstream: self.upstream.port,
                    listed: &self.questions.names().in_order,
                    memory: &memory,
                    secure: self.school.secure.as_ref(),
                },
            )?,
        };
        let log = folder.join("log");
        let mut started = self.first_answer(&command, port, &cores, &log, peer.answers())?;
        started.folder = Some(folder);
        Ok(started)
    }

    /// Starts Schoolgate.
    pub(crate) fn serve(
        &mut self,
        threads: u32,
        routers: &[&str],
        cores: &Cores,
    ) -> anyhow::Result<Started> {
        let port = free_port()?;
        self.school
            .put_settings(port, self.upstream.port, threads, routers)?;
        let log = self.scratch.path().join("serve.log");
        self.first_answer(&self.school.command("serve"), port, cores, &log, true)
    }

    fn first_answer(
        &self,
        command: &Command,
        port: u16,
        cores: &Cores,
        log: &Path,
        answers: bool,
    ) -> anyhow::Result<Started> {
        let mut took = Vec::new();
        loop {
            let mut started = self.one_start(command, port, cores, log, answers)?;
            took.push(started.took);
            if took.len() == STARTS || started.took > QUICK {
                took.sort();
                started.took = took[took.len() / 2];
                return Ok(started);
            }
        }
    }

    fn one_start(
        &self,
        command: &Command,
        port: u16,
        cores: &Cores,
        log: &Path,
        answers: bool,
    ) -> anyhow::Result<Started> {
        let names = self.questions.names();
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        let right = |said: Said| !answers || said.is_blocked();
        let mut running = Running::start(command, cores, log)?;
        let (listed, millisecond) = (&names.listed[0], Duration::from_millis(1));
        let (took, said) = wire::ask_until(server, listed, millisecond, START, right, || {
            running.ended().is_none()
        })?;
        if !said.is_some_and(right) {
            bail!(
                "it does not block {listed} ({said:?}): {}",
                running.complaint()
            );
        }
        if answers {
            let below = format!("www.below.{}", names.subtree);
            if !wire::ask(server, &below, Said::is_blocked).is_some_and(Said::is_blocked) {
                bail!("it does not block {below}, below a listed name");
            }
            let free = &names.free[0];
            let said = wire::ask(server, free, Said::is_resolved);
            if !said.is_some_and(Said::is_resolved) {
                bail!(
                    "it does not resolve {free} ({said:?}): {}",
                    running.complaint()
                );
            }
        }
        Ok(Started {
            running,
            port,
            took,
            folder: None,
        })
    }

    /// What the measured Schoolgate says of itself.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let output = Command::new(&self.school.program)
            .arg("--version")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(said.trim().trim_start_matches("schoolgate ").to_owned())
    }

    /// Has the allowed names asked once, so that they are in the cache.
    pub(crate) fn warm(&mut self, port: u16) -> anyhow::Result<()> {
        let file = self.questions.file(Load::Cached, 0)?;
        self.dnsperf.warm(port, &file)
    }
}

impl Started {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Its lists in its own form: much, and never looked at again.
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}
