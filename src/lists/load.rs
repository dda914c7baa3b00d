//! A compiled generation → [`Lists`], ready to be asked.
//!
//! The files are mapped, not read: the index is shared with the page cache and
//! a start takes milliseconds. Every byte is checked once against the hashes in
//! the manifest before the first question, because the index trusts its file.
//!
//! There is no empty generation to fall back to: without lists the appliance
//! gives no answers, rather than unfiltered ones.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fst::raw::Fst;
use jiff::Timestamp;
use memmap2::Mmap;

use super::category::Category;
use super::durable;
use super::generation::{
    CURRENT, FORMAT, FileFacts, MANDATORY_FILE, MANIFEST_FILE, Manifest, NAMES_FILE,
    generation_name,
};
use super::lookup::{AddressRange, Lists, Mandatory, Parts, Source, address_number};
use super::mandatory::{hex, key_check};

/// Why there are no lists.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing was ever compiled.
    #[error("there are no compiled lists in {}; run `schoolgate refresh`", .0.display())]
    None(PathBuf),
    /// A file is not what was written.
    #[error("{} is damaged; run `schoolgate refresh`", .0.display())]
    Damaged(PathBuf),
    /// A later version of this program wrote them.
    #[error("{} is of format {}, which this version does not read", .0.display(), .1)]
    Format(PathBuf, u32),
    /// The key of the mandatory lists is not the one they were hashed with.
    #[error("{} is not the key of the compiled lists; run `schoolgate refresh`", .0.display())]
    Key(PathBuf),
    /// A category that this version does not have.
    #[error("unknown category \"{0}\" in the compiled lists; run `schoolgate refresh`")]
    Category(String),
    /// The disk.
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

/// The folder of a state folder that all of this is in.
#[must_use]
pub fn lists_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("lists")
}

/// Loads the generation in force.
pub fn open(state_dir: &Path) -> Result<Arc<Lists>, LoadError> {
    let lists_dir = lists_dir(state_dir);
    let (folder, manifest) = manifest(&lists_dir)?;
    let generation = folder.file_name().unwrap_or_default().to_string_lossy();
    let names = index(&folder.join(NAMES_FILE), &manifest.names)?;
    let mandatory = match &manifest.mandatory {
        Some(facts) => Some(Mandatory {
            hashes: index(&folder.join(MANDATORY_FILE), facts)?,
            key: key(&lists_dir, manifest.key_check.as_deref())?,
        }),
        None => None,
    };
    let parts = Parts {
        generation: generation.as_ref().into(),
        names,
        mandatory,
        addresses: manifest
            .addresses
            .iter()
            .map(|(first, last, membership)| {
                let number = |address| address_number(IpAddr::V6(address));
                let range = AddressRange {
                    first: number(*first),
                    last: number(*last),
                };
                (range, *membership)
            })
            .collect(),
        memberships: manifest.memberships,
        sources: sources(manifest.sources)?,
    };
    Ok(Arc::new(Lists::new(parts)))
}

/// When the generation in force was put there, as an instant that no true clock
/// can be earlier than (R-133g); 1970 if that cannot be known.
#[must_use]
pub fn put_in_force(state_dir: &Path) -> Timestamp {
    pointer_changed(state_dir)
        .and_then(|changed| Timestamp::try_from(changed).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// When the generation in force was put there. It changes whenever there is a
/// new one, so it tells whether to load again.
#[must_use]
pub fn pointer_changed(state_dir: &Path) -> Option<SystemTime> {
    let pointer = lists_dir(state_dir).join(CURRENT);
    std::fs::metadata(pointer).ok()?.modified().ok()
}

/// Whether `lists` are the generation in force.
#[must_use]
pub fn is_current(lists: &Lists, state_dir: &Path) -> bool {
    let pointer = lists_dir(state_dir).join(CURRENT);
    std::fs::read_to_string(pointer).is_ok_and(|name| name.trim() == lists.generation.as_ref())
}

/// The manifest of the generation in force, and its folder.
pub(super) fn manifest(lists_dir: &Path) -> Result<(PathBuf, Manifest), LoadError> {
    let pointer = lists_dir.join(CURRENT);
    let text = durable::read_if_any(&pointer).map_err(|e| LoadError::Io(pointer.clone(), e))?;
    let Some(text) = text else {
        return Err(LoadError::None(lists_dir.to_owned()));
    };
    let name = String::from_utf8_lossy(&text).trim().to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.starts_with("lists-") || !name.chars().all(plain) {
        return Err(LoadError::Damaged(pointer));
    }
    let folder = lists_dir.join(&name);
    let path = folder.join(MANIFEST_FILE);
    let bytes = std::fs::read(&path).map_err(|e| LoadError::Io(path.clone(), e))?;
    if generation_name(&bytes) != name {
        return Err(LoadError::Damaged(path));
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
        return Err(LoadError::Damaged(path));
    };
    if manifest.format != FORMAT {
        return Err(LoadError::Format(path, manifest.format));
    }
    Ok((folder, manifest))
}

fn index(path: &Path, facts: &FileFacts) -> Result<Fst<Mmap>, LoadError> {
    let io = |error| LoadError::Io(path.to_owned(), error);
    let damaged = || LoadError::Damaged(path.to_owned());
    let file = File::open(path).map_err(io)?;
    #[expect(
        unsafe_code,
        reason = "the file is written once under a name of its own, only unlinked \
                  afterwards, and readable by its owner alone: nobody changes it under us"
    )]
    let map = unsafe { Mmap::map(&file) }.map_err(io)?;
    if hex(blake3::hash(&map).as_bytes()) != facts.blake3 {
        return Err(damaged());
    }
    let fst = Fst::new(map).map_err(|_| damaged())?;
    fst.verify().map_err(|_| damaged())?;
    Ok(fst)
}

fn key(lists_dir: &Path, expected: Option<&str>) -> Result<[u8; 32], LoadError> {
    let path = lists_dir.join("key");
    let bytes = std::fs::read(&path).map_err(|e| LoadError::Io(path.clone(), e))?;
    match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(key) if expected == Some(&key_check(&key)) => Ok(key),
        _ => Err(LoadError::Key(path)),
    }
}

fn sources(all: Vec<super::generation::SourceFacts>) -> Result<Vec<Source>, LoadError> {
    let source = |facts: super::generation::SourceFacts| {
        let category = Category::named(&facts.category);
        Ok(Source {
            id: facts.id.into(),
            category: category.ok_or(LoadError::Category(facts.category))?,
            class: facts.class,
        })
    };
    all.into_iter().map(source).collect()
}
