//! The compiled form: says what the lists say, whatever the disk did.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use proptest::prelude::*;
use schoolgate::lists::category::{Category, CategorySet};
use schoolgate::lists::compile::{Compiled, Content, Contribution, compile};
use schoolgate::lists::load::{self, LoadError};
use schoolgate::lists::lookup::{Class, Scope, Source};
use schoolgate::lists::mandatory;
use schoolgate::lists::names::Names;
use schoolgate::lists::parse::Parsed;
use schoolgate::name::{Name, NameRef};

use super::support::{Place, domains, name};

/// Four sources, two of one category, one mandatory.
const SOURCES: [(&str, Class); 4] = [
    ("games", Class::Category),
    ("games", Class::Category),
    ("gambling", Class::Category),
    ("illegal", Class::Mandatory),
];

#[derive(Debug, Clone)]
struct Listed {
    source: usize,
    name: Name,
    scope: Scope,
}

fn any_name() -> impl Strategy<Value = Name> {
    // Few labels, so that names meet; some sort between a name and its children.
    let label = prop::sample::select(vec!["a", "b", "a-b", "a0", "ab", "a_b"]);
    let top = prop::sample::select(vec!["com", "test", "comb"]);
    (prop::collection::vec(label, 0..4), top)
        .prop_map(|(labels, top)| name(&[labels, vec![top]].concat().join(".")))
}

fn any_listed() -> impl Strategy<Value = Listed> {
    let scope = prop::sample::select(vec![Scope::Exact, Scope::Subtree, Scope::Below]);
    (0..SOURCES.len(), any_name(), scope).prop_map(|(source, name, scope)| Listed {
        source,
        name,
        scope,
    })
}

/// What may be asked: also more labels than any listed name has, and a label with
/// a dot inside, which is not the dot between two.
fn any_asked() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec!["a", "b", "a-b", "a0", "a.b", "b.com", "com", "\0"]);
    let top = prop::sample::select(vec!["com", "test", "a.com", "nowhere"]);
    let counts = prop_oneof![0..6_usize, Just(40)];
    let labels = counts.prop_flat_map(move |n| prop::collection::vec(label.clone(), n));
    (labels, top).prop_map(|(labels, top)| {
        let mut wire = Vec::new();
        let mut push = |label: &str| {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label.as_bytes());
        };
        labels.into_iter().for_each(&mut push);
        push(top);
        wire.push(0);
        Name::from_wire(&wire).unwrap()
    })
}

/// Makes the generation in force one as it was before there were tables.
fn take_tables_away(lists_dir: &Path) {
    let pointer = lists_dir.join("current");
    let old = lists_dir.join(fs::read_to_string(&pointer).unwrap().trim());
    let text = fs::read(old.join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let all = manifest.as_object_mut().unwrap();
    all.remove("tables").unwrap();
    if all["mandatory"].is_null() {
        all["key_check"] = serde_json::Value::Null;
    }
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let generation = format!("lists-{}", &blake3::hash(&bytes).to_hex()[..16]);
    fs::write(old.join("manifest.json"), bytes).unwrap();
    fs::remove_file(old.join("names.table")).unwrap();
    let _ = fs::remove_file(old.join("mandatory.table"));
    fs::rename(old, lists_dir.join(&generation)).unwrap();
    fs::write(pointer, generation).unwrap();
}

fn compiled(lists_dir: &Path, listed: &[Listed]) -> Compiled {
    fs::create_dir_all(lists_dir).unwrap();
    let key = mandatory::key(lists_dir).unwrap();
    let contributions: Vec<_> = SOURCES
        .iter()
        .enumerate()
        .map(|(index, (category, class))| {
            let mut names = Names::default();
            for entry in listed.iter().filter(|l| l.source == index) {
                names.push(entry.name.as_ref(), entry.scope).unwrap();
            }
            names.sort();
            let content = match class {
                Class::Category => Content::Open(names, Vec::new()),
                Class::Mandatory => {
                    let parsed = Parsed {
                        names,
                        ..Parsed::default()
                    };
                    Content::Hashed(mandatory::hashed(&parsed, &key).0)
                }
            };
            let source = Source {
                id: format!("s{index}").into(),
                category: Category::named(category).unwrap(),
                class: *class,
            };
            Contribution { source, content }
        })
        .collect();
    compile(lists_dir, &contributions, &key, &mut |_, _| ()).unwrap()
}

/// What lists say, found the slow way: every entry is held against every
/// ancestor.
fn naive(listed: &[Listed], asked: NameRef<'_>) -> (CategorySet, CategorySet, bool) {
    let (mut all, mut below, mut is_mandatory) = (CategorySet::EMPTY, CategorySet::EMPTY, false);
    for (up, suffix) in asked.suffixes().enumerate() {
        let here = listed.iter().filter(|l| l.name.as_ref() == suffix);
        let (mut found, mut deeper) = (CategorySet::EMPTY, CategorySet::EMPTY);
        for entry in here {
            let (category, class) = SOURCES[entry.source];
            let category = Category::named(category).unwrap();
            let reaches = match entry.scope {
                Scope::Exact => up == 0,
                Scope::Subtree => true,
                Scope::Below => up > 0,
            };
            match class {
                Class::Mandatory => is_mandatory |= reaches,
                Class::Category => {
                    if reaches {
                        found = found.with(category);
                    }
                    if entry.scope != Scope::Exact {
                        deeper = deeper.with(category);
                    }
                }
            }
        }
        all = all.union(found);
        below = below.union(found.both(deeper));
    }
    (all, below, is_mandatory)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_walk_finds_what_a_naive_search_finds(
        listed in prop::collection::vec(any_listed(), 0..60),
        asked in prop::collection::vec(any_name(), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        compiled(&load::lists_dir(folder.path()), &listed);
        let lists = load::open(folder.path()).unwrap();
        for name in asked.iter().chain(listed.iter().map(|l| &l.name)) {
            let got = lists.covering(name.as_ref());
            let (all, below, is_mandatory) = naive(&listed, name.as_ref());
            prop_assert_eq!(got.categories, all, "{} in {:?}", name, listed);
            prop_assert_eq!(got.subtree, below, "{} in {:?}", name, listed);
            prop_assert_eq!(got.is_mandatory(), is_mandatory, "{} in {:?}", name, listed);
        }
    }

    #[test]
    fn the_tables_say_what_the_exact_index_says(
        listed in prop::collection::vec(any_listed(), 0..60),
        asked in prop::collection::vec(any_asked(), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let lists_dir = load::lists_dir(folder.path());
        compiled(&lists_dir, &listed);
        let tables = load::open(folder.path()).unwrap();
        take_tables_away(&lists_dir);
        let exact = load::open(folder.path()).unwrap();
        prop_assert_eq!(tables.len(), exact.len());
        for name in asked.iter().chain(listed.iter().map(|l| &l.name)) {
            let (got, wanted) = (tables.covering(name.as_ref()), exact.covering(name.as_ref()));
            prop_assert_eq!(got, wanted, "{} in {:?}", name, listed);
            prop_assert_eq!(
                tables.mandatory_source(&got).map(|s| &s.id),
                exact.mandatory_source(&wanted).map(|s| &s.id)
            );
        }
    }

    #[test]
    fn no_bytes_of_a_list_make_the_reader_panic(
        bytes in prop::collection::vec(prop::sample::select(
            b"a.b#@!|^$/*[](){}<>;:%&?=\\\" \t\r\n\0\xff\xc3\xa9".to_vec()), 0..400),
        format in prop::sample::select(vec![
            "\"domains\"\nmatch = \"subtree\"", "\"hosts\"\nmatch = \"exact\"", "\"adblock\"",
            "\"rpz\"", "\"urls\"\nmatch = \"subtree\"", "\"addresses\""]),
    ) {
        let toml = format!(
            "[[source]]\nid = \"x\"\ncategory = \"games\"\nfile = \"x\"\nformat = {format}\n");
        let spec = schoolgate::lists::source::parse("s", &toml, Path::new(".")).unwrap().remove(0);
        let must = schoolgate::lists::admit::MustResolve::default();
        if let Ok(parsed) = schoolgate::lists::parse::parse(&spec, &must, &bytes[..]) {
            let tally = parsed.tally;
            prop_assert_eq!(
                tally.lines + tally.further,
                tally.comments + tally.entries + tally.duplicates + tally.complaints
                    + tally.needs_url_filter
            );
        }
    }
}

fn listed(source: usize, text: &str, scope: Scope) -> Listed {
    Listed {
        source,
        name: name(text),
        scope,
    }
}

#[test]
fn the_same_lists_are_the_same_generation() {
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\""),
    );
    place.write("one.txt", "a.example\nb.example\n");
    place.refresh();
    let first = place.report().generation;
    let written = |generation: &str| {
        let path = place.lists_dir().join(generation).join("manifest.json");
        fs::metadata(path).unwrap().modified().unwrap()
    };
    let when = written(&first);
    place.write(
        "one.txt",
        "# other order\nB.example.\na.example\na.example\n",
    );
    place.refresh();
    assert_eq!(place.report().generation, first);
    assert_eq!(written(&first), when, "what is in force is not touched");
    place.write("one.txt", "a.example\nc.example\n");
    place.refresh();
    assert_ne!(place.report().generation, first);
    // Elsewhere too, under the same key; under another the tables differ.
    for same_key in [true, false] {
        let other = Place::new();
        other.write(
            "sources.toml",
            &domains("one", "games", "file = \"one.txt\""),
        );
        other.write("one.txt", "b.example\na.example\n");
        if same_key {
            fs::create_dir_all(other.lists_dir()).unwrap();
            fs::copy(place.lists_dir().join("key"), other.lists_dir().join("key")).unwrap();
        }
        other.refresh();
        assert_eq!(other.report().generation == first, same_key);
    }
}

#[test]
fn names_under_covered_ones_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let done = compiled(
        &load::lists_dir(folder.path()),
        &[
            listed(0, "a.com", Scope::Subtree),
            listed(0, "a-b.com", Scope::Exact),
            listed(0, "x.a.com", Scope::Exact),
            listed(1, "y.a.com", Scope::Subtree),
            listed(0, "y.a.com", Scope::Below),
            listed(0, "b.com", Scope::Exact),
            listed(0, "b.com", Scope::Below),
            listed(0, "z.b.com", Scope::Subtree),
        ],
    );
    assert_eq!((done.names, done.redundant), (4, 2));
}

#[test]
fn three_generations_are_kept() {
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\""),
    );
    for n in 0..6 {
        place.write("one.txt", &format!("n{n}.example\n"));
        place.refresh();
        assert!(place.is_listed(&format!("n{n}.example")));
    }
    let kept = fs::read_dir(place.lists_dir()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("lists-")
    });
    assert_eq!(kept.count(), 3);
}

#[test]
fn whatever_a_crash_left_the_old_generation_loads() {
    // R10: the pointer is the last thing to change.
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\""),
    );
    place.write("one.txt", "one.example\n");
    place.refresh();
    let dir = place.lists_dir();
    let building = dir.join(".building");
    fs::create_dir(&building).unwrap();
    fs::write(building.join("names.fst"), b"half").unwrap();
    fs::create_dir(dir.join("lists-0123456789abcdef")).unwrap();
    fs::write(dir.join("current.new"), b"lists-01").unwrap();
    fs::write(dir.join("sources/one/list.gz.new"), b"half").unwrap();
    assert!(place.is_listed("one.example"));
    place.write("one.txt", "one.example\ntwo.example\n");
    place.refresh();
    assert!(place.is_listed("two.example"));
    assert!(!building.exists());
}

fn refuses_damage(place: &Place, folder: &Path, file: &str) {
    let whole = fs::read(folder.join(file)).unwrap();
    for cut in [0, 1, 8, whole.len() / 2, whole.len() - 1] {
        fs::write(folder.join(file), &whole[..cut]).unwrap();
        assert!(load::open(place.state()).is_err(), "{file} cut to {cut}");
    }
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(folder.join(file), flipped).unwrap();
        assert!(load::open(place.state()).is_err(), "{file} flipped at {at}");
    }
}

#[test]
fn a_damaged_generation_is_refused_and_the_next_refresh_mends_it() {
    let place = Place::new();
    place.write(
        "sources.toml",
        &domains("one", "games", "file = \"one.txt\""),
    );
    place.write("one.txt", "one.example\ntwo.example\nthree.example\n");
    place.refresh();
    let folder = place.lists_dir().join(place.report().generation);
    for file in ["names.table", "manifest.json"] {
        refuses_damage(&place, &folder, file);
        place.refresh();
        assert!(place.is_listed("one.example"), "{file}");
    }
    // What is not asked is not read, but mended all the same.
    fs::write(folder.join("names.fst"), b"").unwrap();
    assert!(place.is_listed("one.example"));
    place.refresh();
    take_tables_away(&place.lists_dir());
    assert!(place.is_listed("one.example"));
    let old = place.lists_dir().join(place.report().generation);
    refuses_damage(&place, &old, "names.fst");
    place.refresh();
    assert!(place.is_listed("one.example"));
    for pointer in ["", "lists-", "../../etc", "lists-0123456789abcdef\n"] {
        fs::write(place.lists_dir().join("current"), pointer).unwrap();
        assert!(load::open(place.state()).is_err(), "{pointer}");
    }
    place.refresh();
    assert!(place.is_listed("one.example"));
    let nothing = tempfile::tempdir().unwrap();
    assert!(matches!(
        load::open(nothing.path()),
        Err(LoadError::None(_))
    ));
}

#[test]
fn another_key_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let lists_dir = load::lists_dir(folder.path());
    compiled(&lists_dir, &[listed(3, "a.com", Scope::Subtree)]);
    assert!(load::open(folder.path()).is_ok());
    fs::write(lists_dir.join("key"), [0; 32]).unwrap();
    assert!(matches!(load::open(folder.path()), Err(LoadError::Key(_))));
    fs::remove_file(lists_dir.join("key")).unwrap();
    assert!(load::open(folder.path()).is_err());
}

#[test]
fn without_the_key_open_names_are_walked() {
    let folder = tempfile::tempdir().unwrap();
    let lists_dir = load::lists_dir(folder.path());
    compiled(&lists_dir, &[listed(0, "a.com", Scope::Subtree)]);
    let is_listed = || {
        let lists = load::open(folder.path()).unwrap();
        !lists.covering(name("x.a.com").as_ref()).is_empty()
    };
    assert!(is_listed());
    fs::write(lists_dir.join("key"), [0; 32]).unwrap();
    assert!(is_listed());
    fs::remove_file(lists_dir.join("key")).unwrap();
    assert!(is_listed());
}

#[test]
fn a_generation_nobody_asks_any_more_leaves_nothing_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let lists_dir = load::lists_dir(folder.path());
    let mapped = || {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let here = folder.path().to_str().unwrap();
        maps.lines().filter(|line| line.contains(here)).count()
    };
    compiled(
        &lists_dir,
        &[
            listed(0, "a.com", Scope::Subtree),
            listed(3, "b.com", Scope::Subtree),
        ],
    );
    // Of the open names there is only what was read; of the mandatory a file.
    let lists = load::open(folder.path()).unwrap();
    assert_eq!(mapped(), 1);
    drop(lists);
    assert_eq!(mapped(), 0);
    take_tables_away(&lists_dir);
    let lists = load::open(folder.path()).unwrap();
    assert_eq!(mapped(), 2);
    drop(lists);
    assert_eq!(mapped(), 0);
}

#[test]
fn addresses_are_found_in_ranges_inside_ranges() {
    let place = Place::new();
    let addresses = |id: &str, category: &str, class: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\ncategory = \"{category}\"\nclass = \"{class}\"\n\
         format = \"addresses\"\nfile = \"{id}.txt\"\n"
        )
    };
    let sources = addresses("wide", "games", "category")
        + &addresses("narrow", "gambling", "category")
        + &addresses("secret", "illegal", "mandatory");
    place.write("sources.toml", &sources);
    place.write("wide.txt", "10.0.0.0/8\n2001:db8::/32\n");
    place.write("narrow.txt", "10.1.0.0/16\n10.1.1.1\n192.0.2.1\n");
    place.write("secret.txt", "198.51.100.0/30\n203.0.112.0/20\n");
    place.refresh();
    let lists = place.lists();
    let check = |address: &str, expected: &[&str]| {
        let covering = lists.covering_address(address.parse::<IpAddr>().unwrap());
        let mut got: Vec<_> = covering.categories.iter().map(Category::id).collect();
        got.sort_unstable();
        if covering.is_mandatory() {
            got.push("mandatory");
        }
        assert_eq!(got, expected, "{address}");
    };
    check("9.255.255.255", &[]);
    check("10.0.0.0", &["games"]);
    check("10.1.0.5", &["gambling", "games"]);
    check("10.1.1.1", &["gambling", "games"]);
    check("10.255.255.255", &["games"]);
    check("11.0.0.0", &[]);
    check("192.0.2.1", &["gambling"]);
    check("192.0.2.2", &[]);
    check("2001:db8::5", &["games"]);
    check("2001:db9::", &[]);
    check("198.51.100.3", &["mandatory"]);
    check("198.51.100.4", &[]);
    // Too wide to be hashed one by one; not in force, and said to be not.
    check("203.0.113.1", &[]);
    assert_eq!(
        place.report().sources[2].tally.complaints_by_reason["prefix too wide"],
        1
    );
}
