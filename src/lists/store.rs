//! The last good list of each source, on disk, with what is known of it.
//!
//! One folder a source: the list as published (gzip), or for a mandatory one
//! its hashed form only, and `state.json`. A refresh that brings nothing usable
//! changes the record and leaves the list, so that one publisher's bad day costs
//! nobody else's entries and not even his own (R4).
//!
//! No mandatory name may be in any file written here.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::durable;
use super::fetch::{Validators, is_gzip};
use super::lookup::Class;
use super::mandatory::{Hashed, Key, from_bytes, to_bytes};
use super::parse::{LineComplaint, Quarantined, Tally};

/// How it went with a source the last time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It came and was taken, or is as it was.
    Fresh,
    /// As fresh, but that was long ago: refreshes do not run.
    Stale,
    /// It came and was not fit to be taken.
    Refused,
    /// It did not come.
    Failed,
    /// Nobody has asked for it yet.
    #[default]
    Never,
}

/// What is known of one source: `state.json`.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// How it went the last time.
    pub state: Health,
    /// When a list was last taken, or found to be as it was.
    pub last_success: Option<Timestamp>,
    /// When it was last tried.
    pub last_attempt: Option<Timestamp>,
    /// Why it was not taken.
    pub last_error: Option<String>,
    /// By what to ask for a newer one.
    pub validators: Validators,
    /// A hash of the address it came from: another address, another version.
    pub origin: String,
    /// A hash of the bytes of the last good list.
    pub digest: String,
    /// Where every line of the last good list went.
    #[serde(flatten)]
    pub tally: Tally,
    /// Its first complaints.
    #[serde(rename = "first_complaints")]
    pub complaints: Vec<LineComplaint>,
    /// Its first entries in quarantine.
    pub quarantine: Vec<Quarantined>,
}

/// The folder of one source.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of source `id`, made if there is none.
    pub fn open(lists_dir: &Path, id: &str) -> io::Result<Self> {
        let path = lists_dir.join("sources").join(id);
        durable::create_folder(&path)?;
        Ok(Self { path })
    }

    /// What is known of the source; a damaged record is as good as none.
    #[must_use]
    pub fn record(&self) -> Record {
        read_record(&self.path)
    }

    /// Writes down what is known.
    pub fn save(&self, record: &Record) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        durable::write(&self.path.join("state.json"), &bytes)
    }

    /// Keeps a list as the last good one.
    pub fn keep_text(&self, bytes: &[u8]) -> io::Result<()> {
        if is_gzip(bytes) {
            durable::write(&self.text_path(), bytes)?;
        } else {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(bytes)?;
            durable::write(&self.text_path(), &gzip.finish()?)?;
        }
        durable::remove_if_any(&self.hashed_path())
    }

    /// Keeps the hashed form of a mandatory list as the last good one. If the
    /// source was of another class before, its text goes.
    pub fn keep_hashed(&self, list: &Hashed, key: &Key) -> io::Result<()> {
        durable::write(&self.hashed_path(), &to_bytes(list, key))?;
        durable::remove_if_any(&self.text_path())
    }

    /// The last good list.
    #[must_use]
    pub fn text(&self) -> Option<Vec<u8>> {
        durable::read_if_any(&self.text_path()).ok().flatten()
    }

    /// The hashed form of the last good mandatory list.
    #[must_use]
    pub fn hashed(&self, key: &Key) -> Option<Hashed> {
        let bytes = durable::read_if_any(&self.hashed_path()).ok().flatten()?;
        from_bytes(&bytes, key)
    }

    /// Whether there is a last good list, so that the server need not send it
    /// again (R1).
    #[must_use]
    pub fn has_last_good(&self, class: Class, key: &Key) -> bool {
        match class {
            Class::Category => self.text_path().exists(),
            Class::Mandatory => self.hashed(key).is_some(),
        }
    }

    /// Removes what a source of this class must not leave lying in the clear.
    pub fn clear_of(&self, class: Class) -> io::Result<()> {
        match class {
            Class::Category => Ok(()),
            Class::Mandatory => durable::remove_if_any(&self.text_path()),
        }
    }

    fn text_path(&self) -> PathBuf {
        self.path.join("list.gz")
    }

    fn hashed_path(&self) -> PathBuf {
        self.path.join("hashed")
    }
}

/// What is known of source `id`, without making its folder.
#[must_use]
pub fn record_of(lists_dir: &Path, id: &str) -> Record {
    read_record(&lists_dir.join("sources").join(id))
}

fn read_record(folder: &Path) -> Record {
    let bytes = durable::read_if_any(&folder.join("state.json"))
        .ok()
        .flatten();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}
