//! What all sources hold → one generation: `lists-<hash>/`.
//!
//! Every source comes sorted, so compiling is one merge: a name at a time, with
//! the set of sources that list it. Few different sets exist, so a name's value
//! is the number of its set. A name that some ancestor already covers for all
//! its sources adds nothing and is left out. The mandatory class is merged the
//! same way, by hash.
//!
//! The same input must give the same bytes, and so the same name of the
//! generation: nothing here depends on time or on the order of a hash map.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::Ipv6Addr;
use std::path::Path;

use fst::raw::Builder;

use super::addresses::AddressRange;
use super::durable;
use super::generation::{
    self, FORMAT, FileFacts, MANDATORY_FILE, MANDATORY_TABLE, Manifest, NAMES_FILE, NAMES_TABLE,
    SourceFacts, TableFacts, TablesFacts,
};
use super::lookup::{Entry, Scope, Source};
use super::mandatory::{Hashed, HashedEntry, Key, key_check};
use super::names::{self, Names};
use super::table::{self, LabelCounts, NameHash};

const PROGRESS_EVERY: u64 = 1 << 16;

/// What one source brings.
pub struct Contribution {
    /// Which source.
    pub source: Source,
    /// Its entries.
    pub content: Content,
}

/// The entries of one source.
pub enum Content {
    /// Names and addresses that anyone may read, sorted.
    Open(Names, Vec<AddressRange>),
    /// The hashed form of a mandatory list.
    Hashed(Hashed),
    /// It has never come.
    Nothing,
}

/// What was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The generation's name, `lists-…`.
    pub generation: String,
    /// How many names the index has.
    pub names: u64,
    /// How many entries the mandatory index has.
    pub mandatory: u64,
    /// How many names were left out because an ancestor covers them.
    pub redundant: u64,
    /// How many bytes the index of names has.
    pub bytes: u64,
}

/// Why nothing was compiled; the old generation stays.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The disk.
    #[error("cannot write the compiled lists: {0}")]
    Io(#[from] io::Error),
    /// The index.
    #[error("cannot build the index: {0}")]
    Index(#[from] fst::Error),
    /// More different sets of sources than a value can tell apart.
    #[error("over 65,536 different sets of sources; leave out the least useful lists")]
    TooManySets,
}

/// Compiles a generation and puts it in force. `progress` hears how many
/// entries are done, of how many.
pub fn compile(
    lists_dir: &Path,
    contributions: &[Contribution],
    key: &Key,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Compiled, CompileError> {
    let building = generation::begin(lists_dir)?;
    let hash = NameHash::of_installation(key);
    let mut sets = Sets::default();
    let names = merge_names(&building, contributions, hash, &mut sets, progress)?;
    let addresses = merge_addresses(contributions, &mut sets)?;
    let (mandatory, mandatory_table) = merge_hashes(&building, contributions, &mut sets)?.unzip();
    let manifest = Manifest {
        format: FORMAT,
        key_check: Some(key_check(key)),
        names: names.index.clone(),
        mandatory: mandatory.clone(),
        tables: names.table.map(|names| TablesFacts {
            names,
            mandatory: mandatory_table.flatten(),
        }),
        redundant: names.redundant,
        sources: contributions.iter().map(|c| facts_of(&c.source)).collect(),
        memberships: sets.all,
        addresses,
    };
    let generation = generation::publish(lists_dir, &building, &manifest)?;
    Ok(Compiled {
        generation,
        names: names.index.entries,
        mandatory: mandatory.map_or(0, |facts| facts.entries),
        redundant: names.redundant,
        bytes: names.index.bytes,
    })
}

/// The distinct sets of entries, numbered in the order they are met.
#[derive(Default)]
struct Sets {
    all: Vec<Vec<Entry>>,
    numbers: HashMap<Vec<Entry>, u16>,
}

impl Sets {
    fn number(&mut self, set: Vec<Entry>) -> Result<u16, CompileError> {
        if let Some(number) = self.numbers.get(&set) {
            return Ok(*number);
        }
        let number = u16::try_from(self.all.len()).map_err(|_| CompileError::TooManySets)?;
        self.all.push(set.clone());
        self.numbers.insert(set, number);
        Ok(number)
    }
}

/// One entry a source at most: a name alone and everything below it are
/// together the subtree.
fn tidy(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_unstable();
    entries.dedup();
    entries
        .chunk_by(|a, b| a.source == b.source)
        .filter_map(|same| {
            let (first, rest) = same.split_first()?;
            let scope = if rest.is_empty() {
                first.scope
            } else {
                Scope::Subtree
            };
            Some(Entry {
                source: first.source,
                scope,
            })
        })
        .collect()
}

fn number_of(index: usize) -> u16 {
    // sources.toml names at most a thousand.
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// The names of all sources, merged.
struct MergedNames {
    index: FileFacts,
    table: Option<TableFacts>,
    redundant: u64,
}

fn merge_names(
    building: &Path,
    contributions: &[Contribution],
    hash: NameHash,
    sets: &mut Sets,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<MergedNames, CompileError> {
    let lists: Vec<_> = contributions
        .iter()
        .map(|c| match &c.content {
            Content::Open(names, _) => Some(names),
            _ => None,
        })
        .collect();
    let total: usize = lists.iter().flatten().map(|names| names.len()).sum();
    let mut heads: BinaryHeap<_> = BinaryHeap::new();
    let head = |source: usize, at: usize| {
        let (key, scope) = lists.get(source).copied().flatten()?.entry(at)?;
        Some(Reverse((key, source, scope, at)))
    };
    heads.extend((0..lists.len()).filter_map(|source| head(source, 0)));
    let path = building.join(NAMES_FILE);
    let mut index = Builder::new(BufWriter::new(durable::create(&path)?))?;
    let mut table = table::Builder::with_capacity(total);
    let (mut wire, mut labels) = (Vec::new(), LabelCounts::default());
    let mut above = Ancestors::default();
    let (mut done, mut kept, mut redundant) = (0, 0, 0);
    while let Some(Reverse((key, ..))) = heads.peek() {
        let key = *key;
        let mut entries = Vec::new();
        while let Some(Reverse((_, source, scope, at))) =
            heads.peek().copied().filter(|h| h.0.0 == key)
        {
            heads.pop();
            heads.extend(head(source, at + 1));
            entries.push(Entry {
                source: number_of(source),
                scope,
            });
            done += 1;
            if done % PROGRESS_EVERY == 0 {
                progress(done, total as u64);
            }
        }
        let entries = tidy(entries);
        if above.cover(key, &entries) {
            redundant += 1;
            continue;
        }
        above.push(key, &entries);
        let number = sets.number(entries)?;
        index.insert(key, u64::from(number))?;
        labels = labels.with(names::wire_form(key, &mut wire));
        table.push(hash.of(&wire), number);
        kept += 1;
    }
    finish(index.into_inner()?)?;
    Ok(MergedNames {
        index: FileFacts::of(&path, kept)?,
        table: write_table(&building.join(NAMES_TABLE), table, labels, kept)?,
        redundant,
    })
}

/// The listed names on the way from the root to the name at hand.
#[derive(Default)]
struct Ancestors(Vec<(Vec<u8>, Vec<u16>)>);

impl Ancestors {
    /// Whether names above `key` cover it for every source of `entries`.
    fn cover(&mut self, key: &[u8], entries: &[Entry]) -> bool {
        // Keys come sorted by bytes, and `com.a-b` stands between `com.a` and
        // `com.a.b`: only what is no prefix at all can be forgotten.
        while self
            .0
            .last()
            .is_some_and(|(above, _)| !key.starts_with(above))
        {
            self.0.pop();
        }
        entries.iter().all(|entry| {
            self.0.iter().any(|(above, reaching)| {
                key.get(above.len()) == Some(&b'.') && reaching.contains(&entry.source)
            })
        })
    }

    fn push(&mut self, key: &[u8], entries: &[Entry]) {
        let reaching: Vec<_> = entries
            .iter()
            .filter(|entry| entry.scope.reaches(false))
            .map(|entry| entry.source)
            .collect();
        if !reaching.is_empty() {
            self.0.push((key.to_vec(), reaching));
        }
    }
}

fn merge_addresses(
    contributions: &[Contribution],
    sets: &mut Sets,
) -> Result<Vec<(Ipv6Addr, Ipv6Addr, u16)>, CompileError> {
    let mut all = Vec::new();
    for (source, contribution) in contributions.iter().enumerate() {
        if let Content::Open(_, ranges) = &contribution.content {
            let entry = Entry {
                source: number_of(source),
                scope: Scope::Exact,
            };
            all.extend(ranges.iter().map(|range| (*range, entry)));
        }
    }
    all.sort_unstable();
    all.chunk_by(|a, b| a.0 == b.0)
        .filter_map(|same| {
            let (range, _) = same.first()?;
            let entries = tidy(same.iter().map(|(_, entry)| *entry).collect());
            let (first, last) = (
                Ipv6Addr::from_bits(range.first),
                Ipv6Addr::from_bits(range.last),
            );
            Some(sets.number(entries).map(|number| (first, last, number)))
        })
        .collect()
}

/// The index of the mandatory class and its table; none if there is no entry.
type MergedHashes = Option<(FileFacts, Option<TableFacts>)>;

fn merge_hashes(
    building: &Path,
    contributions: &[Contribution],
    sets: &mut Sets,
) -> Result<MergedHashes, CompileError> {
    let mut all: Vec<(HashedEntry, u16)> = Vec::new();
    let mut labels = LabelCounts::default();
    for (source, contribution) in contributions.iter().enumerate() {
        if let Content::Hashed(list) = &contribution.content {
            let source = number_of(source);
            all.extend(list.entries.iter().map(|entry| (*entry, source)));
            labels = labels.union(list.labels);
        }
    }
    if all.is_empty() {
        return Ok(None);
    }
    all.sort_unstable();
    let path = building.join(MANDATORY_FILE);
    let mut index = Builder::new(BufWriter::new(durable::create(&path)?))?;
    let (mut table, mut kept) = (table::Builder::default(), 0);
    for same in all.chunk_by(|a, b| a.0.hash == b.0.hash) {
        let Some((first, _)) = same.first() else {
            continue;
        };
        let entries = same.iter().map(|(entry, source)| Entry {
            source: *source,
            scope: entry.scope,
        });
        let number = sets.number(tidy(entries.collect()))?;
        index.insert(first.hash, u64::from(number))?;
        table.push(first.quick, number);
        kept += 1;
    }
    finish(index.into_inner()?)?;
    let index = FileFacts::of(&path, kept)?;
    let table = write_table(&building.join(MANDATORY_TABLE), table, labels, kept)?;
    Ok(Some((index, table)))
}

/// Writes a table, if its names can be told apart.
fn write_table(
    path: &Path,
    table: table::Builder,
    labels: LabelCounts,
    entries: u64,
) -> Result<Option<TableFacts>, CompileError> {
    let mut out = BufWriter::new(durable::create(path)?);
    let shape = table.write(labels, &mut out)?;
    finish(out)?;
    let Some(shape) = shape else {
        durable::remove_if_any(path)?;
        return Ok(None);
    };
    let file = FileFacts::of(path, entries)?;
    Ok(Some(TableFacts { file, shape }))
}

fn finish(out: BufWriter<File>) -> io::Result<()> {
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

fn facts_of(source: &Source) -> SourceFacts {
    SourceFacts {
        id: source.id.to_string(),
        category: source.category.id().to_owned(),
        class: source.class,
    }
}
