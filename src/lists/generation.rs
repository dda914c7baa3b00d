//! One compiled generation on disk: `lists-<hash>/` with its manifest, and the
//! pointer to the one in force.
//!
//! The folder appears whole under its name or not at all, and the old
//! generation stays until the pointer to the new one is on the disk, so a power
//! cut at any point leaves one that loads (R10). The name is a hash of the
//! manifest and the manifest has the hashes of the files: who knows the name can
//! tell whether a byte has changed.

use std::fs::{self, File};
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::durable;
use super::lookup::{Class, Entry};
use super::mandatory::hex;
use super::table::Shape;

/// The pointer to the generation in force.
pub(super) const CURRENT: &str = "current";
pub(super) const NAMES_FILE: &str = "names.fst";
pub(super) const MANDATORY_FILE: &str = "mandatory.fst";
pub(super) const NAMES_TABLE: &str = "names.table";
pub(super) const MANDATORY_TABLE: &str = "mandatory.table";
pub(super) const MANIFEST_FILE: &str = "manifest.json";
pub(super) const FORMAT: u32 = 1;
const BUILDING: &str = ".building";
const KEPT_GENERATIONS: usize = 3;

/// What a generation says of itself; its hash is the generation's name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) names: FileFacts,
    pub(super) mandatory: Option<FileFacts>,
    /// The same as flat tables. They are an addition: a generation may have none,
    /// and a version that does not know them reads the rest.
    #[serde(default)]
    pub(super) tables: Option<TablesFacts>,
    /// By which the key of the hashes is known again.
    pub(super) key_check: Option<String>,
    pub(super) redundant: u64,
    pub(super) sources: Vec<SourceFacts>,
    pub(super) memberships: Vec<Vec<Entry>>,
    /// First and last address in IPv6 form, and the membership.
    pub(super) addresses: Vec<(Ipv6Addr, Ipv6Addr, u16)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileFacts {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TablesFacts {
    pub(super) names: TableFacts,
    pub(super) mandatory: Option<TableFacts>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TableFacts {
    pub(super) file: FileFacts,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SourceFacts {
    pub(super) id: String,
    pub(super) category: String,
    pub(super) class: Class,
}

impl Manifest {
    /// Every file of the generation beside the manifest.
    fn files(&self) -> impl Iterator<Item = (&'static str, &FileFacts)> {
        let tables = self.tables.as_ref();
        let mandatory_table = tables.and_then(|t| t.mandatory.as_ref());
        [
            (NAMES_FILE, Some(&self.names)),
            (MANDATORY_FILE, self.mandatory.as_ref()),
            (NAMES_TABLE, tables.map(|t| &t.names.file)),
            (MANDATORY_TABLE, mandatory_table.map(|t| &t.file)),
        ]
        .into_iter()
        .filter_map(|(name, facts)| Some((name, facts?)))
    }
}

impl FileFacts {
    /// The facts of a file that was written and will not change.
    pub(super) fn of(path: &Path, entries: u64) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(Self {
            entries,
            bytes: fs::metadata(path)?.len(),
            blake3: hex(hasher.finalize().as_bytes()),
        })
    }
}

/// An empty folder to build in; what a crash left in it goes.
pub(super) fn begin(lists_dir: &Path) -> io::Result<PathBuf> {
    let building = lists_dir.join(BUILDING);
    remove_folder(&building)?;
    durable::create_folder(&building)?;
    Ok(building)
}

/// The name of the generation that has this manifest.
pub(super) fn generation_name(manifest: &[u8]) -> String {
    let hash = hex(blake3::hash(manifest).as_bytes());
    format!("lists-{}", hash.get(..16).unwrap_or(&hash))
}

/// Gives the folder its name and points to it; each step is on the disk before
/// the next begins (R10).
pub(super) fn publish(
    lists_dir: &Path,
    building: &Path,
    manifest: &Manifest,
) -> io::Result<String> {
    let bytes = serde_json::to_vec(manifest).map_err(io::Error::other)?;
    let generation = generation_name(&bytes);
    durable::write(&building.join(MANIFEST_FILE), &bytes)?;
    let folder = lists_dir.join(&generation);
    if is_whole(&folder, manifest) {
        // The same lists as once before, perhaps those in force: touching them
        // would leave a moment without any.
        remove_folder(building)?;
    } else {
        remove_folder(&folder)?;
        fs::rename(building, &folder)?;
        durable::sync_folder(lists_dir)?;
    }
    durable::write(
        &lists_dir.join(CURRENT),
        format!("{generation}\n").as_bytes(),
    )?;
    prune(lists_dir, &generation, manifest)?;
    Ok(generation)
}

/// Whether a folder holds undamaged what the manifest says.
fn is_whole(folder: &Path, manifest: &Manifest) -> bool {
    let same = |name: &str, facts: &FileFacts| {
        FileFacts::of(&folder.join(name), facts.entries).is_ok_and(|found| found == *facts)
    };
    let wanted = serde_json::to_vec(manifest).unwrap_or_default();
    fs::read(folder.join(MANIFEST_FILE)).is_ok_and(|found| found == wanted)
        && manifest.files().all(|(name, facts)| same(name, facts))
}

/// Keeps the newest generations. One that holds in the clear what has become
/// mandatory goes at once.
fn prune(lists_dir: &Path, current: &str, manifest: &Manifest) -> io::Result<()> {
    let mut old: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(lists_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_old = name
            .to_str()
            .is_some_and(|n| n.starts_with("lists-") && n != current);
        if !is_old {
            continue;
        }
        if tells_mandatory(&entry.path(), manifest) {
            remove_folder(&entry.path())?;
        } else {
            old.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    old.sort_unstable();
    let surplus = (old.len() + 1).saturating_sub(KEPT_GENERATIONS);
    for (_, path) in old.iter().take(surplus) {
        remove_folder(path)?;
    }
    Ok(())
}

fn tells_mandatory(folder: &Path, now: &Manifest) -> bool {
    let bytes = fs::read(folder.join(MANIFEST_FILE)).unwrap_or_default();
    let Ok(then) = serde_json::from_slice::<Manifest>(&bytes) else {
        return true;
    };
    then.sources.iter().any(|old| {
        old.class == Class::Category
            && now
                .sources
                .iter()
                .any(|s| s.id == old.id && s.class == Class::Mandatory)
    })
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
