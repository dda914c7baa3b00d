//! A ZIP file that shows by itself that nobody has changed it.
//!
//! `manifest.json` has the SHA-256 of each other file and says who took it out,
//! when and why; `signature.ed25519` is the appliance's signature over it. So the
//! contents can be checked with nothing but `sha256sum` and OpenSSL, also when
//! somebody has unpacked them. The comment of the ZIP file is a second signature,
//! over every byte before it: it shows a change where no content is, too.
//!
//! All names are flat and plain, times are left out, and the order is that of
//! adding: what a bundle is depends on its contents alone.

use std::io::{Cursor, Write};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::ReportError;
use super::key::{Key, PublicKey, SIGNATURE};

/// The name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// The name of its signature.
pub const SIGNED: &str = "signature.ed25519";
/// The name of the key that made it.
pub const PUBLIC_KEY: &str = "public-key.pem";
/// The version of what follows.
pub const FORMAT: u32 = 1;
/// What the comment of the file begins with; 128 hexadecimal digits follow.
pub const SEAL: &str = "schoolgate bundle, ed25519 over all before these digits: ";
/// Bytes of the digits.
pub const SEAL_DIGITS: usize = 2 * SIGNATURE;

/// What a bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// For the police, the local authority, or the school's own file.
    Evidence,
    /// For the person it is about.
    SubjectAccess,
}

/// What the manifest says, the files aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What it is for.
    pub kind: Kind,
    /// The school.
    pub school: String,
    /// Who took it out: an account, or `console`.
    pub exported_by: String,
    /// When.
    pub exported_at: Timestamp,
    /// Why.
    pub why: String,
    /// Whose rows.
    pub devices: Vec<String>,
    /// Of whom, if a person was asked for.
    pub person: Option<String>,
    /// Of which incident, if one was asked for.
    pub incident: Option<i64>,
    /// From when on; none: from the first row kept.
    pub since: Option<Timestamp>,
    /// Up to when.
    pub until: Timestamp,
    /// How many rows.
    pub rows: usize,
    /// Whether the hosts of mandatory hits are in it.
    pub mandatory_hosts: bool,
    /// Days that could not be read.
    pub unreadable: Vec<String>,
    /// The head of the record of accesses before this export was added to it.
    pub record_before: Option<Head>,
    /// The program.
    pub schoolgate: String,
}

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of its last entry.
    pub number: u64,
    /// That entry's digest.
    pub digest: String,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What it says.
    #[serde(flatten)]
    pub facts: Facts,
    /// The key that made it.
    pub key: KeyFacts,
    /// Each other file but the signature.
    pub files: Vec<FileFacts>,
}

/// A key, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    /// `Ed25519`.
    pub algorithm: String,
    /// The public key in hexadecimal.
    pub public: String,
    /// What people compare.
    pub fingerprint: String,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its name.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// Its hash.
    pub sha256: String,
}

/// A bundle being filled.
pub struct Bundle {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    files: Vec<FileFacts>,
}

impl Bundle {
    /// With nothing in it yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            zip: ZipWriter::new(Cursor::new(Vec::new())),
            files: Vec::new(),
        }
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        self.put(name, bytes)?;
        self.files.push(FileFacts {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: HEXLOWER.encode(&Sha256::digest(bytes)),
        });
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o600);
        self.zip.start_file(name, options)?;
        Ok(self.zip.write_all(bytes)?)
    }

    /// Signs it; gives the bytes of the file.
    pub fn seal(mut self, facts: Facts, key: &Key) -> Result<Vec<u8>, ReportError> {
        let public = key.public();
        self.add(PUBLIC_KEY, public.pem().as_bytes())?;
        let manifest = Manifest {
            format: FORMAT,
            facts,
            key: KeyFacts::of(&public),
            files: std::mem::take(&mut self.files),
        };
        let mut manifest = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other)?;
        manifest.push(b'\n');
        self.put(MANIFEST, &manifest)?;
        self.put(SIGNED, &key.sign(&manifest))?;
        self.zip
            .set_comment(format!("{SEAL}{}", "0".repeat(SEAL_DIGITS)))?;
        let mut bytes = self.zip.finish()?.into_inner();
        bytes.truncate(bytes.len().saturating_sub(SEAL_DIGITS));
        let seal = key.sign(&bytes);
        bytes.extend(HEXLOWER.encode(&seal).into_bytes());
        Ok(bytes)
    }
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyFacts {
    fn of(key: &PublicKey) -> Self {
        Self {
            algorithm: "Ed25519".to_owned(),
            public: key.hex(),
            fingerprint: key.fingerprint(),
        }
    }
}
