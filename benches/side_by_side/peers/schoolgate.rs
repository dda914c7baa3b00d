//! Schoolgate, with everything on that a school has on: the lists by category,
//! the metrics, and the log at its usual level.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, anyhow, bail};
use schoolgate::changes::ask::{Ask, Outcome, Proposed, Wanted, Wish};
use schoolgate::changes::proposal::Author;
use schoolgate::configuration::PolicyTexts;

use super::put;
use crate::child::{Cores, free_port, run};
use crate::encrypted::Secure;

/// A school's folder.
pub(crate) struct School {
    pub(crate) folder: PathBuf,
    pub(crate) program: PathBuf,
    /// Where it answers encrypted too, if at all.
    pub(crate) secure: Option<Secure>,
    /// Where its pages would be.
    pub(crate) pages: u16,
    metrics: u16,
}

impl School {
    /// A folder, still empty.
    pub(crate) fn new(folder: &Path, program: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        put(folder, "devices.csv", "id,name,mac,ip,group,owner,kind\n")?;
        Ok(Self {
            folder: folder.to_owned(),
            program: program.to_owned(),
            secure: None,
            pages: free_port()?,
            metrics: free_port()?,
        })
    }

    /// Has the lists of a folder, which stay where they are.
    pub(crate) fn take_lists(&self, lists: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(lists).with_context(|| lists.display().to_string())? {
            let entry = entry?;
            let to = self.folder.join(entry.file_name());
            // The sources are ours to add to.
            if entry.file_name() == "sources.toml" {
                fs::copy(entry.path(), to)?;
            } else {
                symlink(entry.path().canonicalize()?, to)?;
            }
        }
        Ok(())
    }

    /// Writes the policy: whoever asks is a pupil. Of a name that is listed alone
    /// it would say that there is no such record, because names below may exist
    /// (RFC 8020); here it is to say what the peers say.
    pub(crate) fn put_policy(&self, categories: &[&str], remark: &str) -> anyhow::Result<()> {
        let policy = format!(
            "# {remark}\nschool = \"Side by side\"\ntimezone = \"Europe/London\"\nunknown = \"pupil\"\n\
             [groups.pupil]\nnetworks = [\"127.0.0.0/8\"]\nblock = [{}]\n\
             answer = \"nxdomain\"\n",
            quoted(categories)
        );
        // Whoever reads it meanwhile gets the one or the other.
        fs::rename(
            put(&self.folder, "policy.new", &policy)?,
            self.folder.join("policy.toml"),
        )?;
        Ok(())
    }

    /// Proposes the policy as it was written: what decides nothing otherwise is in
    /// force at once.
    pub(crate) fn propose(&self) -> anyhow::Result<()> {
        let texts = PolicyTexts::read(&self.folder);
        let texts = texts.map_err(|wrong| anyhow!("{wrong:?}"))?;
        let proposed = Proposed {
            why: "a bench".to_owned(),
            change: Wanted::Files(Box::new(texts)),
            rehearsal: None,
            requests: Vec::new(),
        };
        let ask = Ask {
            by: Author::console(),
            from: None,
            wish: Wish::Propose(proposed),
        };
        match ask.put_to(&self.folder.join("state"))? {
            Outcome::InForce { .. } => Ok(()),
            other => bail!("the policy was not taken: {other:?}"),
        }
    }

    /// Writes the machine's settings.
    pub(crate) fn put_settings(
        &self,
        port: u16,
        upstream: u16,
        threads: u32,
        routers: &[&str],
    ) -> anyhow::Result<()> {
        let mut settings = format!(
            "state_dir = \"state\"\n[listen]\ndns = [\"127.0.0.1:{port}\"]\n\
             metrics = \"127.0.0.1:{}\"\ndashboard = \"127.0.0.1:{}\"\nthreads = {threads}\n",
            self.metrics, self.pages
        );
        if let Some(secure) = &self.secure {
            let (tls, https) = (secure.tls, secure.https);
            let (certificate, key) = (secure.certificate.display(), secure.key.display());
            writeln!(
                settings,
                "tls = [\"127.0.0.1:{tls}\"]\nhttps = [\"127.0.0.1:{https}\"]\n\
                 [tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"",
            )?;
        }
        writeln!(settings, "[clients]\nallow = [\"127.0.0.0/8\"]")?;
        writeln!(settings, "routers = [{}]", quoted(routers))?;
        writeln!(
            settings,
            "[upstream]\nservers = [\"udp://127.0.0.1:{upstream}\"]"
        )?;
        put(&self.folder, "schoolgate.toml", &settings)?;
        Ok(())
    }

    /// Compiles the lists.
    pub(crate) fn refresh(&self, cores: &Cores) -> anyhow::Result<()> {
        let log = self.folder.join("refresh.log");
        run(
            &self.command("refresh"),
            cores,
            &log,
            Duration::from_secs(300),
        )?;
        Ok(())
    }

    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).arg("--config").arg(&self.folder);
        command
    }

    /// The page of numbers.
    pub(crate) fn metrics(&self) -> anyhow::Result<Metrics> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.metrics));
        let second = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&address, second)?;
        stream.set_read_timeout(Some(second * 5))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        match page.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(Metrics(body.to_owned())),
            _ => bail!("the metrics cannot be read"),
        }
    }

    /// Which generation of lists is in force.
    pub(crate) fn generation(&self) -> io::Result<String> {
        fs::read_to_string(self.pointer())
    }

    /// Puts another in force, as `refresh` does at its end.
    pub(crate) fn put_in_force(&self, generation: &str) -> io::Result<()> {
        let new = self.pointer().with_extension("new");
        fs::write(&new, generation)?;
        fs::rename(new, self.pointer())
    }

    fn pointer(&self) -> PathBuf {
        self.folder.join("state/lists/current")
    }
}

/// The numbers of one moment.
pub(crate) struct Metrics(String);

impl Metrics {
    /// The rows that begin with `start`.
    pub(crate) fn rows(&self, start: &str) -> impl Iterator<Item = &str> {
        self.0.lines().filter(move |line| line.starts_with(start))
    }

    /// The sum of the rows that begin with `start`.
    pub(crate) fn sum(&self, start: &str) -> f64 {
        self.rows(start)
            .filter_map(|row| row.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}
