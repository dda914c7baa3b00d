//! `sources.toml` → what to take, from where, and what it means.
//!
//! What a line means is declared, not guessed: the same text is a subtree in
//! one product and a single name in another, so `match` must be written where
//! the format leaves it open. A school that has no `sources.toml` gets the one
//! that was compiled in.
//!
//! It only reads text. It never takes part of a file that has mistakes: a
//! source that silently went missing would be a hole in the filter.

use std::path::{Path, PathBuf};

use super::category::Category;
use super::lookup::{Class, Scope};
use crate::document::{Complaint, Document, Place, Placed, Table, choices};
use crate::name::Name;

/// The sources a school has that names none of its own.
pub const SHIPPED: &str = include_str!("../../blocklists/sources.toml");

/// The lists that come with the program, by the names `shipped` calls them:
/// in force where nothing can be fetched, and as new as the program.
const SHIPPED_LISTS: [(&str, &str); 2] = [
    ("bypass.txt", include_str!("../../blocklists/bypass.txt")),
    (
        "search-no-safesearch.txt",
        include_str!("../../blocklists/search-no-safesearch.txt"),
    ),
];

/// Most sources one file may name: entries point to them with 16 bits, and a
/// thousand is already more than anyone keeps an eye on.
const MOST_SOURCES: usize = 1000;
const LONGEST_ID: usize = 64;
const DEFAULT_MAX_BYTES: u64 = 256 << 20;
const DEFAULT_MAX_LINES: u64 = 10_000_000;

/// One `[[source]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSpec {
    /// Its name in reports and on disk.
    pub id: String,
    /// What its names are listed for.
    pub category: Category,
    /// Whether anybody may lift it.
    pub class: Class,
    /// How its lines are read.
    pub format: Format,
    /// Where it comes from.
    pub origin: Origin,
    /// Under which terms it is published.
    pub licence: Option<String>,
    /// How far a plain name reaches.
    pub reach: Scope,
    /// Fewer entries than this are no list.
    pub min_entries: u64,
    /// The share of its entries it may lose from one refresh to the next.
    pub max_shrink: f64,
    /// The SHA-256 the file must have.
    pub sha256: Option<[u8; 32]>,
    /// The minisign public key that must have signed it; the signature stands
    /// beside it as `.minisig`.
    pub minisign_key: Option<String>,
    /// The list's own name for testing that it is live.
    pub test_host: Option<Name>,
    /// Whether `||zip^` and `*.zip` may cover a whole top-level domain.
    pub allow_tld: bool,
    /// Whether a line of a `domains` list may hold several names.
    pub several_a_line: bool,
    /// Most bytes, after decompression (R-133e).
    pub max_bytes: u64,
    /// Most lines (R-133e).
    pub max_lines: u64,
}

/// How the lines of a list are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One name a line.
    Domains,
    /// An address, then names.
    Hosts,
    /// `||name^` rules.
    Adblock,
    /// A response policy zone.
    Rpz,
    /// URLs; those of a whole host can be enforced by name.
    Urls,
    /// One address or prefix a line.
    Addresses,
}

/// Where a list comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An `https://` address.
    Url(String),
    /// A file on this machine.
    File(PathBuf),
    /// A list that comes with the program.
    Shipped {
        /// How it is called.
        name: &'static str,
        /// What stands in it.
        text: &'static str,
    },
}

impl Format {
    const ALL: [(&'static str, Self); 6] = [
        ("domains", Self::Domains),
        ("hosts", Self::Hosts),
        ("adblock", Self::Adblock),
        ("rpz", Self::Rpz),
        ("urls", Self::Urls),
        ("addresses", Self::Addresses),
    ];

    /// Whether a plain name may mean two things, so that `match` must say which.
    #[must_use]
    pub fn leaves_reach_open(self) -> bool {
        matches!(self, Self::Domains | Self::Hosts | Self::Urls)
    }
}

/// The file of the sources.
const SOURCES: &str = "sources.toml";
/// Where the resolver writes down those in force, below the state folder.
pub const IN_FORCE: &str = "changes/sources.toml";

/// Reads the sources of a configuration folder, or the shipped ones if it has
/// no `sources.toml`.
pub fn read(config_dir: &Path) -> Result<Vec<SourceSpec>, Vec<Complaint>> {
    match std::fs::read_to_string(config_dir.join(SOURCES)) {
        Ok(text) => parse(SOURCES, &text, config_dir),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            parse("blocklists/sources.toml", SHIPPED, config_dir)
        }
        Err(error) => Err(vec![Complaint {
            place: Place {
                file: SOURCES.to_owned(),
                line: 0,
            },
            message: format!("cannot be read: {error}"),
        }]),
    }
}

/// The sources that are in force, as the resolver wrote them down below
/// `state_dir`; before it ever did, those of the configuration folder. Says also
/// whether the folder's own file is another: which lists there are is the
/// school's policy, and an edit of it waits to be proposed.
pub fn standing(
    config_dir: &Path,
    state_dir: &Path,
) -> Result<(Vec<SourceSpec>, bool), Vec<Complaint>> {
    let path = state_dir.join(IN_FORCE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return read(config_dir).map(|specs| (specs, false));
        }
        Err(error) => {
            let place = Place {
                file: path.display().to_string(),
                line: 0,
            };
            let message = format!("cannot be read: {error}");
            return Err(vec![Complaint { place, message }]);
        }
    };
    let own = std::fs::read_to_string(config_dir.join(SOURCES)).ok();
    let edited = own.is_some_and(|own| own.trim_start_matches('\u{feff}') != text);
    Ok((parse(SOURCES, &text, config_dir)?, edited))
}

/// Reads `text`; a relative `file` is looked for under `base`. Every mistake is
/// reported, and with any mistake there are no sources.
pub fn parse(file: &str, text: &str, base: &Path) -> Result<Vec<SourceSpec>, Vec<Complaint>> {
    let document = Document::parse(file, text);
    let root = document.root();
    let tables = root.tables("source");
    if tables.is_empty() {
        root.complain("names no list; it needs at least one [[source]]");
    }
    if tables.len() > MOST_SOURCES {
        root.complain(format!("names over {MOST_SOURCES} lists"));
    }
    let mut ids: Vec<Placed<String>> = Vec::new();
    let mut specs = Vec::with_capacity(tables.len());
    for table in tables {
        specs.extend(source(&table, base, &mut ids));
        table.finish();
    }
    root.finish();
    let complaints = document.into_complaints();
    if complaints.is_empty() {
        Ok(specs)
    } else {
        Err(complaints)
    }
}

fn source(table: &Table<'_>, base: &Path, ids: &mut Vec<Placed<String>>) -> Option<SourceSpec> {
    // Everything is read before anything is judged: one run shows it all.
    let id = id(table, ids);
    let category = category(table);
    let class = class(table);
    let format = format(table);
    let reach = reach(table, format);
    let origin = origin(table, base);
    let max_shrink = table
        .number("max_shrink", 0.0..=1.0)
        .map_or(0.2, |n| n.value);
    let limit = |key, most, default| table.integer(key, 1..=most).map_or(default, |n| n.value);
    // 0 is for a list that may rightly be empty.
    let min_entries = table
        .integer("min_entries", 0..=1 << 32)
        .map_or(1, |n| n.value);
    let max_bytes = limit("max_bytes", 4 << 30, DEFAULT_MAX_BYTES);
    let max_lines = limit("max_lines", 1 << 32, DEFAULT_MAX_LINES);
    let flag = |key| table.boolean(key).is_some_and(|b| b.value);
    let (allow_tld, several_a_line) = (flag("allow_tld"), flag("several_a_line"));
    let licence = table.string("licence").map(|l| l.value);
    let sha256 = sha256(table);
    let minisign_key = minisign_key(table);
    let test_host = test_host(table);
    Some(SourceSpec {
        id: id?,
        category: category?,
        class,
        format: format?,
        origin: origin?,
        licence,
        reach: reach?,
        min_entries,
        max_shrink,
        sha256,
        minisign_key,
        test_host,
        allow_tld,
        several_a_line,
        max_bytes,
        max_lines,
    })
}

/// An id is a folder's name on disk too.
fn id(table: &Table<'_>, ids: &mut Vec<Placed<String>>) -> Option<String> {
    let Some(id) = table.string("id") else {
        table.missing("id");
        return None;
    };
    let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if id.value.is_empty() || id.value.len() > LONGEST_ID || !id.value.chars().all(safe) {
        table.complain_at(
            &id.place,
            format!(
                "id \"{}\" must be 1 to {LONGEST_ID} of a-z 0-9 - _",
                id.value
            ),
        );
        return None;
    }
    if let Some(first) = ids.iter().find(|other| other.value == id.value) {
        let line = first.place.line;
        table.complain_at(
            &id.place,
            format!("id \"{}\" stands already in line {line}", id.value),
        );
        return None;
    }
    ids.push(id.clone());
    Some(id.value)
}

fn category(table: &Table<'_>) -> Option<Category> {
    let Some(word) = table.string("category") else {
        table.missing("category");
        return None;
    };
    let found = Category::named(&word.value);
    if found.is_none() {
        let hint = choices(&word.value, Category::all().map(Category::id));
        table.complain_at(
            &word.place,
            format!("unknown category \"{}\"; {hint}", word.value),
        );
    }
    found
}

fn class(table: &Table<'_>) -> Class {
    let all = [
        ("category", Class::Category),
        ("mandatory", Class::Mandatory),
    ];
    one_of(table, "class", &all).unwrap_or(Class::Category)
}

fn format(table: &Table<'_>) -> Option<Format> {
    let format = one_of(table, "format", &Format::ALL);
    if format.is_none() && table.string("format").is_none() {
        table.missing("format");
    }
    format
}

fn reach(table: &Table<'_>, format: Option<Format>) -> Option<Scope> {
    let all = [("subtree", Scope::Subtree), ("exact", Scope::Exact)];
    let written = table.string("match");
    let chosen = one_of(table, "match", &all);
    let Some(format) = format else {
        return chosen;
    };
    match (format.leaves_reach_open(), written) {
        (true, Some(_)) => chosen,
        (true, None) => {
            table.complain(
                "[source] needs `match`: \"subtree\" if a name means everything below it too, \
                 \"exact\" if it means itself alone",
            );
            None
        }
        // A plain name between `||…^` rules is that name alone.
        (false, None) => Some(Scope::Exact),
        (false, Some(word)) => {
            table.complain_at(
                &word.place,
                "this format says itself how far an entry reaches; leave `match` out",
            );
            None
        }
    }
}

fn origin(table: &Table<'_>, base: &Path) -> Option<Origin> {
    let written = [
        table.string("url"),
        table.string("file"),
        table.string("shipped"),
    ];
    let mut written = written
        .into_iter()
        .enumerate()
        .filter_map(|(i, w)| Some((i, w?)));
    let Some((which, origin)) = written.next() else {
        table.complain("[source] needs `url`, `file` or `shipped`");
        return None;
    };
    if let Some((_, second)) = written.next() {
        let message = "a list comes from one of `url`, `file` and `shipped`";
        table.complain_at(&second.place, message);
        return None;
    }
    match which {
        0 => url(table, origin).map(Origin::Url),
        1 if origin.value.is_empty() => {
            table.complain_at(&origin.place, "`file` is empty");
            None
        }
        1 => Some(Origin::File(base.join(origin.value))),
        _ => one_of(table, "shipped", &SHIPPED_LISTS.map(|list| (list.0, list)))
            .map(|(name, text)| Origin::Shipped { name, text }),
    }
}

fn url(table: &Table<'_>, url: Placed<String>) -> Option<String> {
    let host = url.value.strip_prefix("https://").unwrap_or_default();
    if host.is_empty() || host.starts_with('/') || url.value.contains(char::is_whitespace) {
        table.complain_at(&url.place, "`url` must begin with https:// and a host");
        return None;
    }
    Some(url.value)
}

fn sha256(table: &Table<'_>) -> Option<[u8; 32]> {
    let text = table.string("sha256")?;
    let hash = unhex(&text.value);
    if hash.is_none() {
        table.complain_at(&text.place, "`sha256` must be 64 hexadecimal digits");
    }
    hash
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(hash)
}

fn minisign_key(table: &Table<'_>) -> Option<String> {
    let key = table.string("minisign_key")?;
    if minisign_verify::PublicKey::from_base64(&key.value).is_err() {
        table.complain_at(&key.place, "`minisign_key` is not a minisign public key");
        return None;
    }
    Some(key.value)
}

fn test_host(table: &Table<'_>) -> Option<Name> {
    let text = table.string("test_host")?;
    Name::parse(&text.value)
        .map_err(|why| table.complain_at(&text.place, format!("`test_host`: {why}")))
        .ok()
}

/// The choice that `key` names; a wrong word is complained about.
fn one_of<T: Copy>(table: &Table<'_>, key: &'static str, all: &[(&str, T)]) -> Option<T> {
    let word = table.string(key)?;
    let found = all
        .iter()
        .find(|(name, _)| *name == word.value)
        .map(|(_, value)| *value);
    if found.is_none() {
        let hint = choices(&word.value, all.iter().map(|(name, _)| *name));
        table.complain_at(
            &word.place,
            format!("unknown {key} \"{}\"; {hint}", word.value),
        );
    }
    found
}
