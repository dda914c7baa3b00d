//! `schoolgate report verify`: whether a bundle is what an appliance made.
//!
//! It needs no configuration and no state, for whoever asks is elsewhere: the
//! police, a parent's lawyer. It unpacks nothing to the disk, reads no more than
//! the manifest promises, and takes every byte for hostile until it has been
//! signed for. A good signature proves that one key made it; whose key that is,
//! only a comparison with what the school says can tell, and it says so.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::bundle::{FORMAT, MANIFEST, Manifest, PUBLIC_KEY, SEAL, SEAL_DIGITS, SIGNED};
use super::key::{PublicKey, SIGNATURE};

/// Longest bundle that is looked at.
pub const MOST_BYTES: u64 = 1 << 30;
/// Most that it may unpack to.
const MOST_UNPACKED: u64 = 2 << 30;
/// Longest manifest.
const MOST_MANIFEST: u64 = 1 << 20;
/// Most files.
const MOST_FILES: usize = 200;

/// Which key is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whichever; the reader compares.
    Any,
    /// That of this fingerprint.
    Fingerprint(String),
    /// This one.
    Key(PublicKey),
}

/// What came of it.
#[derive(Debug)]
pub struct Verdict {
    /// The manifest, if it can be read; believe it only without faults.
    pub manifest: Option<Manifest>,
    /// The key that it names.
    pub key: Option<PublicKey>,
    /// All that is wrong.
    pub faults: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Looks at a bundle.
#[must_use]
pub fn verify(bytes: &[u8], expected: &Expected) -> Verdict {
    let mut verdict = Verdict {
        manifest: None,
        key: None,
        faults: Vec::new(),
    };
    if let Err(fault) = look(bytes, expected, &mut verdict) {
        verdict.faults.push(fault);
    }
    verdict
}

/// Gives the fault after which nothing more can be said.
fn look(bytes: &[u8], expected: &Expected, verdict: &mut Verdict) -> Result<(), String> {
    let broken = |error| format!("this is no whole ZIP file: {error}");
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let names = names(&mut zip)?;
    let text = unpack(&mut zip, MANIFEST, MOST_MANIFEST)?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| format!("{MANIFEST} cannot be read: {error}"))?;
    if manifest.format != FORMAT {
        let other = manifest.format;
        return Err(format!(
            "it is of format {other}, which this version does not know"
        ));
    }
    let key = PublicKey::from_hex(&manifest.key.public)
        .ok_or_else(|| format!("{MANIFEST} names no key"))?;
    verdict.key = Some(key);
    if !manifest.key.fingerprint.is_empty() && !key.has_fingerprint(&manifest.key.fingerprint) {
        let fault = format!("{MANIFEST} gives its key a false fingerprint");
        verdict.faults.push(fault);
    }
    let signature = unpack(&mut zip, SIGNED, SIGNATURE as u64)?;
    if !key.has_signed(&text, &signature) {
        let fault = format!(
            "{MANIFEST} has been changed: the signature does not fit it, so nothing it says counts"
        );
        verdict.faults.push(fault);
    }
    verdict.faults.extend(unexpected(expected, &key));
    verdict.faults.extend(files(&mut zip, &manifest, &names));
    verdict.manifest = Some(manifest);
    verdict
        .faults
        .extend(seal(bytes, &key, verdict.faults.is_empty()));
    Ok(())
}

/// The names, if they are such as a bundle has.
fn names(zip: &mut ZipArchive<Cursor<&[u8]>>) -> Result<BTreeSet<String>, String> {
    if zip.len() > MOST_FILES {
        return Err(format!("it has {} files; no bundle has so many", zip.len()));
    }
    if zip.has_duplicate_names() {
        return Err("two of its files have one name".to_owned());
    }
    if zip.has_overlapping_entries().unwrap_or(true) {
        return Err("its files lie over one another, as in a ZIP bomb".to_owned());
    }
    let mut names = BTreeSet::new();
    for name in zip.file_names_raw() {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        if name.is_empty() || name.first() == Some(&b'.') || !name.iter().all(plain) {
            let name = name.escape_ascii();
            return Err(format!("it has a file \"{name}\"; no bundle has"));
        }
        names.insert(String::from_utf8_lossy(name).into_owned());
    }
    if zip
        .decompressed_size()
        .is_none_or(|size| size > u128::from(MOST_UNPACKED))
    {
        return Err("it unpacks to more than any bundle, as a ZIP bomb does".to_owned());
    }
    Ok(names)
}

/// A whole file, if it has no more than `most` bytes.
fn unpack(zip: &mut ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let file = zip
        .by_name(name)
        .map_err(|error| format!("{name} is missing or broken: {error}"))?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{name} is broken: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("{name} is longer than it may be"));
    }
    Ok(bytes)
}

fn unexpected(expected: &Expected, key: &PublicKey) -> Option<String> {
    let is_it = match expected {
        Expected::Any => true,
        Expected::Fingerprint(text) => key.has_fingerprint(text),
        Expected::Key(wanted) => wanted == key,
    };
    (!is_it).then(|| {
        let found = key.fingerprint();
        format!("it was signed by another key than the one you named: {found}")
    })
}

/// What is wrong with the files the manifest has, lacks, or does not know.
fn files(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    manifest: &Manifest,
    names: &BTreeSet<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known = BTreeSet::from([MANIFEST, SIGNED]);
    for file in &manifest.files {
        let name = file.name.escape_debug();
        if !known.insert(&file.name) {
            faults.push(format!("{MANIFEST} names {name} twice"));
        } else if !names.contains(&file.name) {
            faults.push(format!("{name} is missing"));
        } else {
            match hash(zip, &file.name, file.bytes) {
                Ok(found) if found == file.sha256 => {}
                Ok(_) => faults.push(format!("{name} has been changed")),
                Err(why) => faults.push(format!("{name} has been changed: {why}")),
            }
        }
    }
    if !known.contains(PUBLIC_KEY) {
        faults.push(format!("{PUBLIC_KEY} is missing"));
    }
    let extra = names.iter().filter(|name| !known.contains(name.as_str()));
    faults.extend(extra.map(|name| format!("{name} was not in it when it was signed")));
    faults
}

/// The SHA-256 of a file, which must be `length` long.
fn hash(zip: &mut ZipArchive<Cursor<&[u8]>>, name: &str, length: u64) -> Result<String, String> {
    if length > MOST_UNPACKED {
        return Err("it is longer than any bundle".to_owned());
    }
    let file = zip.by_name(name).map_err(|error| error.to_string())?;
    let mut file = file.take(length + 1);
    let mut hasher = Sha256::new();
    let mut buffer = [0; 1 << 14];
    let mut read = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(error.to_string()),
        };
        hasher.update(buffer.get(..count).unwrap_or_default());
        read += count as u64;
    }
    if read != length {
        return Err(format!("it is not {length} bytes long"));
    }
    Ok(HEXLOWER.encode(&hasher.finalize()))
}

/// What is wrong with the signature over the whole file.
fn seal(bytes: &[u8], key: &PublicKey, contents_are_sound: bool) -> Option<String> {
    let sealed = || {
        let (before, digits) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_DIGITS)?)?;
        let signature = HEXLOWER.decode(digits).ok()?;
        let is_one = before.ends_with(SEAL.as_bytes());
        Some(is_one && key.has_signed(before, &signature))
    };
    if sealed() == Some(true) {
        return None;
    }
    let fault = if contents_are_sound {
        "every file in it is as it was signed, but the ZIP file around them has been changed or \
         packed anew: ask for the file as it was exported"
    } else {
        "the seal over the whole file does not fit"
    };
    Some(fault.to_owned())
}
