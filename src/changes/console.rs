//! Somebody at the machine itself, as the resolver knows them: whoever can read a
//! file that the resolver makes and the process of the pages may not open.
//!
//! The command line runs as root or as the service's own account and reads it; in
//! the unit of the pages the folder is not there.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use crate::lists::durable;

/// Bytes of the token.
const BYTES: usize = 32;

/// What somebody at the machine can read.
#[derive(Debug, Clone)]
pub struct Console {
    token: String,
}

impl Console {
    /// Reads the token below `state_dir`, or makes it.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        if let Some(token) = Self::read(state_dir)? {
            return Ok(Self { token });
        }
        let mut random = [0; BYTES];
        rand::fill(&mut random);
        let token = HEXLOWER.encode(&random);
        let path = path(state_dir);
        if let Some(folder) = path.parent() {
            durable::create_folder(folder)?;
        }
        durable::write(&path, token.as_bytes())?;
        Ok(Self { token })
    }

    /// What nobody can read, where none could be written.
    #[must_use]
    pub fn of_nobody() -> Self {
        let mut random = [0; BYTES];
        rand::fill(&mut random);
        Self {
            token: HEXLOWER.encode(&random),
        }
    }

    /// The token, for whoever can read it; none if no resolver has made one.
    pub fn read(state_dir: &Path) -> io::Result<Option<String>> {
        let bytes = durable::read_if_any(&path(state_dir))?;
        let token = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(token.filter(|token| token.len() == 2 * BYTES))
    }

    /// Notes that there is a record of changes: one that is empty later was
    /// emptied.
    pub fn note_record(state_dir: &Path) -> io::Result<()> {
        if has_record(state_dir) {
            return Ok(());
        }
        durable::write(&marker(state_dir), b"The record of changes has begun.\n")
    }

    /// Whether that is it.
    #[must_use]
    pub fn is(&self, token: Option<&str>) -> bool {
        // By their hashes: how long it takes says nothing of either.
        let hash = |text: &str| blake3::hash(text.as_bytes());
        token.is_some_and(|token| hash(token) == hash(&self.token))
    }
}

/// Whether there has been a record of changes.
#[must_use]
pub fn has_record(state_dir: &Path) -> bool {
    marker(state_dir).exists()
}

fn marker(state_dir: &Path) -> PathBuf {
    state_dir.join("console").join("record-has-begun")
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("console").join("token")
}
