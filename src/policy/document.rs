//! `policy.toml` as it was typed: every value parsed, every reference still a
//! word with its place.
//!
//! Two types for one thing, on purpose. Here a group is what a person wrote, so
//! that a change can be shown and a mistake pointed at; `compile.rs` makes of it
//! what is meant. A part that cannot be read is a complaint and is left at its
//! default, so that what refers to it is still checked; a document with
//! complaints never becomes a policy.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneName};
use serde::{Deserialize, Serialize};

use super::GroupIndex;
use super::alerts::AlertRules;
use super::decision::LogLevel;
use super::group::{BlockedAnswer, Ech, Network, SafeSearch};
use super::timetable::{SchoolYear, Timetable};
use crate::document::{Complaint, Document, Placed, Table, choices, nearest};
use crate::lists::category::{Category, CategorySet};
use crate::lists::lookup::Scope;
use crate::name::{Name, NameError};

mod alerts;
mod calendar;

/// Longest id of a group or timetable.
const MAX_ID: usize = 40;
/// Days within which a change that acted at once is to be acknowledged.
const ACKNOWLEDGE_DAYS: u32 = 7;
/// Longest that somebody may open a site for their own device by themselves.
const MOST_MINUTES: u64 = 240;

/// A policy as it was typed.
#[derive(Debug, Clone)]
pub struct PolicyDocument {
    /// The file, as complaints name it.
    pub file: String,
    /// The school's name.
    pub school: String,
    /// The zone of timetables, expiries and log days.
    pub zone: TimeZone,
    /// The group of whoever is not known.
    pub unknown: Option<Placed<String>>,
    /// Who must agree to a change.
    pub rule: ChangeRule,
    /// Within how many days a change that acted at once is to be acknowledged.
    pub acknowledge_days: u32,
    /// When the school is in session.
    pub year: SchoolYear,
    /// The named periods, in the order of the file.
    pub timetables: Vec<Placed<Timetable>>,
    /// The groups, in the order of the file.
    pub groups: Vec<TypedGroup>,
    /// The exceptions, in the order of the file.
    pub exceptions: Vec<TypedException>,
    /// Who is told of what.
    pub alerts: Placed<AlertRules>,
}

/// Who must agree before a change that loosens acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeRule {
    /// A second person approves first.
    TwoPerson,
    /// A second person is told.
    Notify,
}

/// A group as it was typed.
#[derive(Debug, Clone)]
pub struct TypedGroup {
    /// Its id.
    pub id: Placed<String>,
    /// Whether it is in force.
    pub enabled: bool,
    /// The addresses of its devices.
    pub networks: Vec<Placed<Network>>,
    /// Blocked at every hour.
    pub block: CategorySet,
    /// What timetables add or remove.
    pub during: Vec<TypedDuring>,
    /// How far search engines are held to their safe mode.
    pub safe_search: SafeSearch,
    /// Whether canaries are answered with "no".
    pub canaries: bool,
    /// What becomes of the keys for encrypting a server's name.
    pub ech: Ech,
    /// What a blocked question gets.
    pub answer: Placed<BlockedAnswer>,
    /// How much of its allowed look-ups is written down.
    pub log: LogLevel,
    /// For how many minutes one of its devices may open a blocked site for
    /// itself; 0: it may not.
    pub override_minutes: u32,
}

/// One entry of `block_during` or `allow_during`.
#[derive(Debug, Clone)]
pub struct TypedDuring {
    /// The timetable's id.
    pub timetable: Placed<String>,
    /// Blocked as well while it holds, or not blocked.
    pub blocks: bool,
    /// Which.
    pub categories: CategorySet,
}

/// An exception as it was typed.
#[derive(Debug, Clone)]
pub struct TypedException {
    /// The name it is about.
    pub name: Placed<Name>,
    /// Whether names below are meant too.
    pub scope: Scope,
    /// Whether it opens or closes.
    pub allows: bool,
    /// For whom: groups.
    pub groups: Vec<Placed<String>>,
    /// For whom: single devices.
    pub devices: Vec<Placed<String>>,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub requested_by: Option<String>,
    /// From when on it no longer counts.
    pub expires: Option<Timestamp>,
    /// Whether it was agreed on the pages and stands in no file.
    pub is_added: bool,
}

impl PolicyDocument {
    /// Reads the text of a `policy.toml`.
    #[must_use]
    pub fn read(file: &str, text: &str) -> (Self, Vec<Complaint>) {
        let document = Document::parse(file, text);
        let root = document.root();
        let school = root.string("school").map(|s| s.value);
        if school.as_ref().is_none_or(|s| s.trim().is_empty()) {
            root.missing("school");
        }
        let zone = zone(&root);
        let unknown = root.string("unknown");
        if unknown.is_none() {
            root.complain("`unknown` is missing: which group is a device in that nobody knows?");
        }
        let changes = root.table("changes");
        let rule = changes
            .as_ref()
            .and_then(|changes| changes.choice("rule", &CHANGE_RULES));
        let days = changes
            .as_ref()
            .and_then(|changes| changes.integer("acknowledge_days", 1..=60));
        if let Some(changes) = changes {
            changes.finish();
        }
        let year = calendar::year(&root);
        let timetables = calendar::timetables(&root, &year);
        let groups: Vec<TypedGroup> = named(&root, "groups", "group")
            .into_iter()
            .map(|(id, table)| group(id, table))
            .collect();
        let ids: Vec<&str> = groups.iter().map(|group| &*group.id.value).collect();
        let alerts = alerts::alerts(&root, &ids);
        let exceptions = root.tables("exceptions").into_iter();
        let exceptions = exceptions.filter_map(|e| exception(e, &zone)).collect();
        root.finish();
        let typed = Self {
            file: file.to_owned(),
            school: school.unwrap_or_default(),
            zone,
            unknown,
            rule: rule.map_or(ChangeRule::TwoPerson, |r| r.value),
            acknowledge_days: days.map_or(ACKNOWLEDGE_DAYS, |days| days.value as u32),
            year,
            timetables,
            groups,
            exceptions,
            alerts,
        };
        (typed, document.into_complaints())
    }

    /// Adds the exceptions of another text, which has nothing else in it.
    pub fn add(&mut self, file: &str, text: &str) -> Vec<Complaint> {
        let document = Document::parse(file, text);
        let root = document.root();
        let exceptions = root.tables("exceptions").into_iter();
        let exceptions = exceptions.filter_map(|e| exception(e, &self.zone));
        self.exceptions
            .extend(exceptions.map(|exception| TypedException {
                is_added: true,
                ..exception
            }));
        root.finish();
        document.into_complaints()
    }

    /// The group of this id, for the inventory.
    #[must_use]
    pub fn group_named(&self, id: &str) -> Option<GroupIndex> {
        let found = self.groups.iter().position(|g| g.id.value == id)?;
        u16::try_from(found).ok().map(GroupIndex)
    }

    /// The groups' ids.
    pub fn group_ids(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|g| g.id.value.as_str())
    }
}

const CHANGE_RULES: [(&str, ChangeRule); 2] = [
    ("two-person", ChangeRule::TwoPerson),
    ("notify", ChangeRule::Notify),
];
const SAFE_SEARCH: [(&str, SafeSearch); 3] = [
    ("off", SafeSearch::Off),
    ("moderate", SafeSearch::Moderate),
    ("strict", SafeSearch::Strict),
];
const ECH: [(&str, Ech); 2] = [("strip", Ech::Strip), ("keep", Ech::Keep)];
const ANSWERS: [(&str, BlockedAnswer); 5] = [
    ("default", BlockedAnswer::Default),
    ("nxdomain", BlockedAnswer::Nxdomain),
    ("nodata", BlockedAnswer::Nodata),
    ("null", BlockedAnswer::Null),
    ("page", BlockedAnswer::Page),
];
const LOG_LEVELS: [(&str, LogLevel); 4] = [
    ("off", LogLevel::Off),
    ("counts", LogLevel::Counts),
    ("domains", LogLevel::Domains),
    ("full", LogLevel::Full),
];

/// The tables below `[key]`, whose names the school chose.
fn named<'d>(root: &Table<'d>, key: &'static str, what: &str) -> Vec<(Placed<String>, Table<'d>)> {
    let all = root.table(key).map_or_else(Vec::new, |t| t.named_tables());
    for (id, _) in &all {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if id.value.is_empty() || id.value.len() > MAX_ID || !id.value.chars().all(fits) {
            let message = format!(
                "\"{}\" cannot be the id of a {what}; use up to {MAX_ID} letters, digits, _ and -",
                id.value
            );
            root.complain_at(&id.place, message);
        }
    }
    all
}

fn zone(root: &Table<'_>) -> TimeZone {
    let Some(name) = root.string("timezone") else {
        root.missing("timezone");
        return TimeZone::UTC;
    };
    TimeZone::get(&name.value).unwrap_or_else(|_| {
        let all: Vec<_> = jiff::tz::db().available().collect();
        let hint = nearest(&name.value, all.iter().map(TimeZoneName::as_str)).map_or_else(
            || "write one of the IANA list, like \"Europe/London\"".to_owned(),
            |zone| format!("did you mean \"{zone}\"?"),
        );
        let message = format!("there is no time zone \"{}\"; {hint}", name.value);
        root.complain_at(&name.place, message);
        TimeZone::UTC
    })
}

fn group(id: Placed<String>, table: Table<'_>) -> TypedGroup {
    let networks = table.parsed_list("networks", Network::parse);
    let block = table.strings("block");
    let during = [("block_during", true), ("allow_during", false)]
        .into_iter()
        .flat_map(|(key, blocks)| during(&table, key, blocks))
        .collect();
    let answer = table.choice("answer", &ANSWERS).unwrap_or(Placed {
        value: BlockedAnswer::Default,
        place: table.place(),
    });
    let safe_search = table.choice("safe_search", &SAFE_SEARCH);
    let typed = TypedGroup {
        enabled: table.boolean("enabled").is_none_or(|e| e.value),
        networks: networks.unwrap_or_default(),
        block: categories(&table, &block),
        during,
        // Whoever forgets the key gets the safer search, not the freer one.
        safe_search: safe_search.map_or(SafeSearch::Strict, |s| s.value),
        canaries: table.boolean("canaries").is_none_or(|c| c.value),
        ech: table.choice("ech", &ECH).map_or(Ech::Strip, |e| e.value),
        answer,
        log: table
            .choice("log", &LOG_LEVELS)
            .map_or(LogLevel::Domains, |l| l.value),
        override_minutes: table
            .integer("override_minutes", 0..=MOST_MINUTES)
            .map_or(0, |minutes| minutes.value as u32),
        id,
    };
    table.finish();
    typed
}

fn during(table: &Table<'_>, key: &'static str, blocks: bool) -> Vec<TypedDuring> {
    let all = table.table(key).map(|t| t.named_strings());
    let all = all.unwrap_or_default().into_iter();
    all.map(|(timetable, words)| {
        let categories = categories(table, &words);
        // a policy that tries is a mistake, not a wish.
        if !blocks && let Some(illegal) = categories.both(illegal()).first() {
            let message = format!("\"{illegal}\" is illegal content; no timetable can allow it");
            table.complain_at(&timetable.place, message);
        }
        TypedDuring {
            timetable,
            blocks,
            categories,
        }
    })
    .collect()
}

fn categories(table: &Table<'_>, words: &[Placed<String>]) -> CategorySet {
    let known = |word: &Placed<String>| {
        let found = Category::named(&word.value);
        if found.is_none() {
            let hint = choices(&word.value, Category::all().map(Category::id));
            let title = table.title();
            let message = format!("{title}: unknown category \"{}\"; {hint}", word.value);
            table.complain_at(&word.place, message);
        }
        found
    };
    words.iter().filter_map(known).collect()
}

/// The categories of illegal content.
pub(super) fn illegal() -> CategorySet {
    Category::all().filter(|c| c.is_illegal()).collect()
}

fn exception(table: Table<'_>, zone: &TimeZone) -> Option<TypedException> {
    let name = table.parsed("name", exception_name);
    let verdict = table.choice("verdict", &[("allow", true), ("deny", false)]);
    let scope = table.choice(
        "match",
        &[("subtree", Scope::Subtree), ("exact", Scope::Exact)],
    );
    let (groups, devices) = (table.strings("groups"), table.strings("devices"));
    let reason = table.string("reason").map(|r| r.value);
    let requested_by = table.string("requested_by").map(|r| r.value);
    let expires = table.date_text("expires").and_then(|text| {
        let expires = expiry(&text.value, zone);
        if expires.is_none() {
            let message = format!(
                "\"{}\" is not a date; write it like 2027-07-20 or 2027-07-20T15:30:00Z",
                text.value
            );
            table.complain_at(&text.place, message);
        }
        expires
    });
    for key in ["name", "verdict"] {
        if !table.has(key) {
            table.missing(key);
        }
    }
    if reason.as_ref().is_none_or(|r| r.trim().is_empty()) {
        table.complain("an exception needs its `reason`: someone will ask for it");
    }
    if groups.is_empty() && devices.is_empty() {
        table.complain("an exception needs `groups` or `devices`: for whom is it?");
    }
    table.finish();
    Some(TypedException {
        name: name?,
        scope: scope.map_or(Scope::Subtree, |s| s.value),
        allows: verdict?.value,
        groups,
        devices,
        reason: reason.unwrap_or_default(),
        requested_by,
        expires,
        is_added: false,
    })
}

fn exception_name(text: &str) -> Result<Name, String> {
    let below = text.strip_prefix("*.");
    Name::parse(text).map_err(|why| match (why, below) {
        (NameError::Wildcard, Some(name)) => {
            format!("write \"{name}\" instead of \"{text}\": names below are meant anyway")
        }
        (why, _) => format!("\"{text}\" is not a name: {why}"),
    })
}

/// A date lasts to its end on the school's wall.
fn expiry(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    // A date that parses out of a longer text would drop what was meant.
    let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    let end = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(end.timestamp())
}
