//! The names everybody loads and everybody is asked for.
//!
//! The peers get what Schoolgate admits: its own reader goes over the same
//! files, so that nobody is asked for a name that another does not have. Names
//! under listed names stay in; to drop them or not is each peer's matter.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use schoolgate::lists::admit::MustResolve;
use schoolgate::lists::fetch::text;
use schoolgate::lists::lookup::Scope;
use schoolgate::lists::names::readable;
use schoolgate::lists::parse::parse;
use schoolgate::lists::source::{self, Origin};

use crate::random::Random;

/// Names that are asked for and not listed.
pub(crate) const FREE: usize = 5000;

/// What is listed and what is not.
pub(crate) struct Names {
    /// All listed names, in random order.
    pub(crate) listed: Vec<String>,
    /// The same as a tree has them, top-level label first: dnsdist starts three
    /// times as fast by this order, and nobody slower.
    pub(crate) in_order: Vec<String>,
    /// One of them that stands for what is below it too.
    pub(crate) subtree: String,
    /// Names that nothing covers, the most popular first.
    pub(crate) free: Vec<String>,
    /// The categories of the lists.
    pub(crate) categories: Vec<&'static str>,
}

impl Names {
    /// Reads the lists of a configuration folder, and takes from `asked` what
    /// they leave free.
    pub(crate) fn read(config: &Path, asked: &[String]) -> anyhow::Result<Self> {
        let complaints = |all: Vec<schoolgate::document::Complaint>| {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(all.join("\n"))
        };
        let specs = source::read(config).map_err(complaints)?;
        let must_resolve = MustResolve::of_school(config).map_err(complaints)?;
        let (mut listed, mut subtree) = (HashSet::new(), None);
        let mut categories: Vec<&str> = Vec::new();
        for spec in &specs {
            let Origin::File(file) = &spec.origin else {
                bail!("list {} is not a file", spec.id);
            };
            let bytes = fs::read(config.join(file)).with_context(|| file.display().to_string())?;
            let parsed = parse(spec, &must_resolve, text(&bytes))?;
            for (key, scope) in parsed.names.iter() {
                let name = readable(key);
                if scope == Scope::Subtree && subtree.is_none() {
                    subtree = Some(name.clone());
                }
                listed.insert(name);
            }
            if !spec.category.is_illegal() && !categories.contains(&spec.category.id()) {
                categories.push(spec.category.id());
            }
        }
        let free = free(asked, &listed)?;
        let mut listed: Vec<String> = listed.into_iter().collect();
        listed.sort_unstable_by(|one, other| one.rsplit('.').cmp(other.rsplit('.')));
        let in_order = listed.clone();
        Random(1).shuffle(&mut listed);
        let subtree = subtree.context("no list stands for what is below its names")?;
        Ok(Self {
            listed,
            in_order,
            subtree,
            free,
            categories,
        })
    }
}

/// The first of `asked` that no listed name covers.
fn free(asked: &[String], listed: &HashSet<String>) -> anyhow::Result<Vec<String>> {
    let is_free = |name: &&String| {
        let mut rest = Some(name.as_str());
        while let Some(suffix) = rest {
            if listed.contains(suffix) {
                return false;
            }
            rest = suffix.split_once('.').map(|(_, rest)| rest);
        }
        name.contains('.')
    };
    let free: Vec<String> = asked.iter().filter(is_free).take(FREE).cloned().collect();
    if free.len() < FREE {
        bail!(
            "only {} names are not listed; {FREE} are needed",
            free.len()
        );
    }
    Ok(free)
}

/// Names that people ask for: those of the file, else made up ones.
pub(crate) fn asked(file: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let Some(file) = file else {
        let mut random = Random(2);
        return Ok((0..2 * FREE).map(|_| made_up(&mut random)).collect());
    };
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    let mut all = String::new();
    if file.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(opened).read_to_string(&mut all)?;
    } else {
        BufReader::new(opened).read_to_string(&mut all)?;
    }
    let names = all.lines().map(|line| line.trim().to_lowercase());
    Ok(names.filter(|name| !name.is_empty()).collect())
}

/// Adds lists as real ones are, some large, some small, of so many names, no
/// two the same.
pub(crate) fn make_up(folder: &Path, count: usize) -> anyhow::Result<()> {
    const SHARES: [(&str, usize); 6] = [
        ("pornography", 40),
        ("malware_hacking", 25),
        ("adverts", 20),
        ("bypass", 8),
        ("gambling", 5),
        ("games", 2),
    ];
    let (mut random, mut seen) = (Random(3), HashSet::new());
    let mut sources = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("sources.toml"))?;
    for (category, percent) in SHARES {
        let file = format!("made-up-{category}.txt");
        let mut list = BufWriter::new(File::create(folder.join(&file))?);
        let mut left = count * percent / 100;
        while left > 0 {
            let name = made_up(&mut random);
            if !seen.contains(&name) {
                writeln!(list, "{name}")?;
                seen.insert(name);
                left -= 1;
            }
        }
        list.flush()?;
        writeln!(
            sources,
            "\n[[source]]\nid = \"made-up-{category}\"\ncategory = \"{category}\"\n\
             format = \"domains\"\nmatch = \"subtree\"\nfile = \"{file}\"\nlicence = \"CC0-1.0\""
        )?;
    }
    Ok(())
}

/// A name as they stand on real lists: mean length 19, 60 % of two labels, a
/// third of three.
fn made_up(random: &mut Random) -> String {
    const SYLLABLES: [&str; 24] = [
        "ba", "ri", "to", "ne", "lu", "ka", "mi", "so", "ver", "tan", "gol", "pix", "web", "shop",
        "my", "on", "line", "free", "net", "ster", "cam", "bet", "ly", "zo",
    ];
    const ENDS: [&str; 12] = [
        "com", "com", "com", "com", "net", "org", "ru", "info", "de", "co.uk", "xyz", "top",
    ];
    const HOSTS: [&str; 8] = ["www", "m", "cdn", "ads", "img", "login", "track", "static"];
    let mut name = String::new();
    if random.below(10) < 4 {
        name += random.one_of(&HOSTS);
        name.push('.');
    }
    for _ in 0..2 + random.below(4) {
        name += random.one_of(&SYLLABLES);
    }
    if random.below(3) == 0 {
        let _ = write!(name, "{}", random.below(1000));
    }
    name.push('.');
    name + random.one_of(&ENDS)
}
