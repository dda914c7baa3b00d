//! The decision over 800,000 names: the walk of the lists, the group and its
//! timetable. Beside it a hash map that is asked for every suffix of a name.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use schoolgate::dns::question::LowerName;

use crate::names;
use crate::roads::{School, wire};

const LISTED: usize = 800_000;
/// So many different names of each kind are asked for in turn.
const NAMES: usize = 4096;

/// Every listed name in wire form, with a number as a list would have.
struct Suffixes(HashMap<Box<[u8]>, u16>);

pub(crate) fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    School::compile(folder.path(), LISTED);
    let school = School::open(folder.path());
    let suffixes = Suffixes::of(names::listed(LISTED));
    let mut group = criterion.benchmark_group("decide");
    for (kind, names) in kinds(&school) {
        let mut turn = names.iter().cycle();
        group.bench_function(BenchmarkId::new("walk", kind), |b| {
            b.iter(|| school.policy.lists.covering(turn.next().unwrap().name()));
        });
        group.bench_function(BenchmarkId::new("decision", kind), |b| {
            b.iter(|| school.decide(turn.next().unwrap()));
        });
        group.bench_function(BenchmarkId::new("hash map", kind), |b| {
            b.iter(|| suffixes.any(black_box(turn.next().unwrap().wire())));
        });
    }
    group.finish();
}

fn kinds(school: &School) -> [(&'static str, Vec<LowerName>); 4] {
    let read = |name: &String| LowerName::from_wire(&wire(name)).unwrap();
    let spread = || names::listed(LISTED).step_by(LISTED / NAMES);
    let is_free = |name: &LowerName| {
        let covering = school.policy.lists.covering(name.name());
        covering == schoolgate::lists::lookup::Covering::default()
    };
    // One letter of a listed name is another; few of those are listed too.
    let near = |mut name: String| {
        let middle = name.find('.').map_or(1, |dot| dot / 2);
        name.replace_range(middle..=middle, "x");
        name
    };
    let below = |name: String| format!("static.{name}");
    let near: Vec<_> = spread().map(near).map(|name| read(&name)).collect();
    [
        ("listed", spread().map(|name| read(&name)).collect()),
        (
            "below",
            spread().map(below).map(|name| read(&name)).collect(),
        ),
        ("near miss", near.into_iter().filter(is_free).collect()),
        (
            "miss",
            names::popular(NAMES).map(|name| read(&name)).collect(),
        ),
    ]
}

impl Suffixes {
    fn of(names: impl Iterator<Item = String>) -> Self {
        Self(names.map(|name| (wire(&name).into(), 1)).collect())
    }

    /// Looks every suffix up, as a decision must: each may be on another list.
    fn any(&self, mut wire: &[u8]) -> u32 {
        let mut found = 0;
        while let [length @ (1..=63), rest @ ..] = wire {
            found += u32::from(self.0.get(wire).copied().unwrap_or(0));
            wire = rest.get(usize::from(*length)..).unwrap_or_default();
        }
        found
    }
}
