//! A configuration folder with lists of as many names as wanted.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use crate::names;
use crate::process::PROGRAM;

/// Categories and their hundredth parts: some lists are large, some small.
const SHARES: [(&str, usize); 6] = [
    ("pornography", 40),
    ("malware_hacking", 25),
    ("adverts", 20),
    ("bypass", 8),
    ("gambling", 5),
    ("games", 2),
];

const POLICY: &str = r#"
school = "Bench"
timezone = "Europe/London"
unknown = "pupil"
[groups.pupil]
block = ["pornography", "malware_hacking", "adverts", "bypass", "gambling"]
"#;

/// It is removed when dropped.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Writes everything; nothing is compiled yet.
    pub(crate) fn write(
        size: usize,
        lists: Option<&Path>,
        upstream: SocketAddr,
    ) -> anyhow::Result<Self> {
        let folder = Self(tempfile::tempdir()?);
        let mut sources = match lists {
            Some(lists) => folder.link(lists)?,
            None => String::new(),
        };
        let mut all = names::listed(size);
        for (category, share) in SHARES {
            let file = File::create(folder.path().join(format!("{category}.txt")))?;
            let mut file = BufWriter::new(file);
            for name in all.by_ref().take(size * share / 100) {
                writeln!(file, "{name}")?;
            }
            file.flush()?;
            writeln!(
                sources,
                "[[source]]\nid = \"made-up-{category}\"\ncategory = \"{category}\"\n\
                 format = \"domains\"\nmatch = \"subtree\"\nfile = \"{category}.txt\"\n\
                 licence = \"CC0-1.0\"\n"
            )?;
        }
        let settings = format!(
            "state_dir = \"state\"\n[listen]\ndns = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\n\
             [upstream]\nservers = [\"udp://{upstream}\"]\n"
        );
        fs::write(folder.path().join("schoolgate.toml"), settings)?;
        fs::write(folder.path().join("policy.toml"), POLICY)?;
        let devices = "id,name,mac,ip,group,owner,kind\n";
        fs::write(folder.path().join("devices.csv"), devices)?;
        fs::write(folder.path().join("sources.toml"), sources)?;
        Ok(folder)
    }

    /// Makes the lists of another folder part of this one.
    fn link(&self, lists: &Path) -> anyhow::Result<String> {
        let lists = fs::canonicalize(lists)?;
        for entry in fs::read_dir(&lists)? {
            let entry = entry?;
            if entry.file_name() != "sources.toml" {
                std::os::unix::fs::symlink(entry.path(), self.path().join(entry.file_name()))?;
            }
        }
        let sources = lists.join("sources.toml");
        let text = fs::read_to_string(&sources).with_context(|| sources.display().to_string())?;
        Ok(text + "\n")
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// How many bytes the compiled lists have on disk, and how many names.
    pub(crate) fn generation(&self) -> anyhow::Result<(u64, u64)> {
        let output = Command::new(PROGRAM)
            .args(["lists", "--json", "--config"])
            .arg(self.path())
            .output()?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let generation = report["generation"].as_str().context("no generation")?;
        let folder = self.path().join("state/lists").join(generation);
        let mut bytes = 0;
        for entry in fs::read_dir(folder)? {
            bytes += entry?.metadata()?.len();
        }
        Ok((bytes, report["names"].as_u64().context("no names")?))
    }
}
