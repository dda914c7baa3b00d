//! A compiled generation → [`Lists`], ready to be asked.
//!
//! Every byte that is used is checked once against the hashes in the manifest
//! before the first question, because a look-up trusts its file.
//!
//! A flat table is read into memory: it is asked at every question and in no
//! order, so a page of it that the system had dropped would make a question wait
//! for the disk, and a worker with it. What is seldom asked is mapped: the exact
//! index of names only where there is no table, and the mandatory one. Both are
//! checked by reading, which leaves nothing of them in memory that is not used.
//! On a box with too little memory for the table the system swaps or kills; it
//! takes 12 bytes a name.
//!
//! There is no empty generation to fall back to: without lists the appliance
//! gives no answers, rather than unfiltered ones.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fst::raw::Fst;
use jiff::Timestamp;
use memmap2::{Advice, Mmap, MmapMut};

use super::addresses::{AddressRange, address_number};
use super::category::Category;
use super::durable;
use super::exact::ExactIndex;
use super::generation::{
    CURRENT, FORMAT, FileFacts, MANDATORY_FILE, MANDATORY_TABLE, MANIFEST_FILE, Manifest,
    NAMES_FILE, NAMES_TABLE, TableFacts, generation_name,
};
use super::lookup::{Index, Lists, Mandatory, Parts, Source, Tables};
use super::mandatory::{Key, hex, key_check};
use super::table::{NameHash, Table};

/// So much of a table is read before it is hashed: it is still in the cache then.
const PIECE: usize = 256 << 10;

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
    let key = key(&lists_dir, manifest.key_check.as_deref());
    let index = names(&folder, &manifest, key.as_ref().ok())?;
    let mandatory = match &manifest.mandatory {
        Some(facts) => Some(Mandatory {
            hashes: mapped(&folder.join(MANDATORY_FILE), facts)?,
            key: key?,
        }),
        None => None,
    };
    let parts = Parts {
        generation: generation.as_ref().into(),
        names: manifest.names.entries,
        index,
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

/// The tables, or the exact index where there are none or they have been made
/// with a key that is no more.
fn names(folder: &Path, manifest: &Manifest, key: Option<&Key>) -> Result<Index, LoadError> {
    let (Some(facts), Some(key)) = (&manifest.tables, key) else {
        return mapped(&folder.join(NAMES_FILE), &manifest.names)
            .map(|names| Index::Exact(ExactIndex::new(names)));
    };
    let mandatory = facts.mandatory.as_ref();
    let mandatory = mandatory.map(|facts| table(&folder.join(MANDATORY_TABLE), facts));
    Ok(Index::Tables(Tables {
        hash: NameHash::of_installation(key),
        names: table(&folder.join(NAMES_TABLE), &facts.names)?,
        mandatory: mandatory.transpose()?,
    }))
}

fn table(path: &Path, facts: &TableFacts) -> Result<Table, LoadError> {
    let io = |error| LoadError::Io(path.to_owned(), error);
    let damaged = || LoadError::Damaged(path.to_owned());
    let mut file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() != facts.file.bytes {
        return Err(damaged());
    }
    let bytes = usize::try_from(facts.file.bytes).map_err(|_| damaged())?;
    let mut slots = MmapMut::map_anon(bytes).map_err(io)?;
    // Every look is at another page. Where there are no large ones it does
    // without.
    let _ = slots.advise(Advice::HugePage);
    let mut hasher = blake3::Hasher::new();
    for piece in slots.chunks_mut(PIECE) {
        file.read_exact(piece).map_err(io)?;
        hasher.update(piece);
    }
    if hex(hasher.finalize().as_bytes()) != facts.file.blake3 {
        return Err(damaged());
    }
    let slots = slots.make_read_only().map_err(io)?;
    Table::new(slots, facts.shape).ok_or_else(damaged)
}

fn mapped(path: &Path, facts: &FileFacts) -> Result<Fst<Mmap>, LoadError> {
    let io = |error| LoadError::Io(path.to_owned(), error);
    let damaged = || LoadError::Damaged(path.to_owned());
    let file = File::open(path).map_err(io)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file).map_err(io)?;
    if hex(hasher.finalize().as_bytes()) != facts.blake3 {
        return Err(damaged());
    }
    #[expect(
        unsafe_code,
        reason = "the file is written once under a name of its own, only unlinked \
                  afterwards, and readable by its owner alone: nobody changes it under us"
    )]
    let map = unsafe { Mmap::map(&file) }.map_err(io)?;
    Fst::new(map).map_err(|_| damaged())
}

fn key(lists_dir: &Path, expected: Option<&str>) -> Result<Key, LoadError> {
    let path = lists_dir.join("key");
    let bytes = std::fs::read(&path).map_err(|e| LoadError::Io(path.clone(), e))?;
    match Key::try_from(bytes.as_slice()) {
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
