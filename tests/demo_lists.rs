//! Compiled lists of a few names, from a table: `name  subtree|exact  source`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use fst::MapBuilder;
use fst::raw::Fst;
use memmap2::Mmap;
use schoolgate::lists::category::Category;
use schoolgate::lists::exact::{ExactIndex, reversed_key};
use schoolgate::lists::lookup::{
    Class, Entry, Index, Lists, Mandatory, Parts, Scope, Source, keyed_hash,
};
use schoolgate::name::Name;

const KEY: [u8; 32] = [7; 32];

/// Reads `path`: lines `source ID CATEGORY CLASS`, then lines `NAME SCOPE ID`.
pub(crate) fn load(path: &Path) -> Arc<Lists> {
    let text = std::fs::read_to_string(path).unwrap();
    parse(&text)
}

/// As [`load`], from text.
pub(crate) fn parse(text: &str) -> Arc<Lists> {
    let mut sources = Vec::new();
    let mut entries: BTreeMap<Name, Vec<Entry>> = BTreeMap::new();
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["source", id, category, class] => sources.push(Source {
                id: id.into(),
                category: Category::named(category).unwrap(),
                class: match class {
                    "category" => Class::Category,
                    "mandatory" => Class::Mandatory,
                    other => panic!("{other}"),
                },
            }),
            [name, scope, source] => {
                let source = sources.iter().position(|s| *s.id == *source).unwrap();
                entries
                    .entry(Name::parse(name).unwrap())
                    .or_default()
                    .push(Entry {
                        source: source.try_into().unwrap(),
                        scope: match scope {
                            "subtree" => Scope::Subtree,
                            "exact" => Scope::Exact,
                            other => panic!("{other}"),
                        },
                    });
            }
            _ => panic!("not a line of demo lists: {line}"),
        }
    }
    let (mut names, mut hashes, mut memberships) = (Vec::new(), Vec::new(), Vec::new());
    for (name, all) in entries {
        let of = |class| {
            let all = all.iter().copied();
            let all = all.filter(|e| sources[usize::from(e.source)].class == class);
            all.collect::<Vec<_>>()
        };
        for (class, keys) in [
            (Class::Category, &mut names),
            (Class::Mandatory, &mut hashes),
        ] {
            let key = match class {
                Class::Category => reversed_key(name.as_ref()).unwrap(),
                Class::Mandatory => keyed_hash(&KEY, name.as_ref().wire()).to_vec(),
            };
            if !of(class).is_empty() {
                keys.push((key, memberships.len() as u64));
                memberships.push(of(class));
            }
        }
    }
    Arc::new(Lists::new(Parts {
        generation: "demo".into(),
        names: names.len() as u64,
        index: Index::Exact(ExactIndex::new(mapped(names))),
        mandatory: Some(Mandatory {
            hashes: mapped(hashes),
            key: KEY,
        }),
        addresses: Vec::new(),
        memberships,
        sources,
    }))
}

fn mapped(mut entries: Vec<(Vec<u8>, u64)>) -> Fst<Mmap> {
    entries.sort();
    let mut builder = MapBuilder::memory();
    builder.extend_iter(entries).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&builder.into_inner().unwrap()).unwrap();
    #[expect(unsafe_code, reason = "a temporary file that nobody else can reach")]
    let map = unsafe { Mmap::map(&file) }.unwrap();
    Fst::new(map).unwrap()
}
