//! Typed → meant: references become indices, and what contradicts itself is
//! found.
//!
//! It says everything that is wrong at once and never repairs by guessing: a
//! policy with one mistake is no policy, and the one that serves goes on
//! serving. Whether a policy is valid does not depend on the clock, so what was
//! valid yesterday starts again tomorrow; an exception that has expired is
//! silent, not wrong.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::canary::{self, Canaries};
use super::document::{PolicyDocument, TypedException, TypedGroup};
use super::group::MAX_GROUPS;
use super::meant::{Meant, always_blocked};
use super::safe_search::{self, Engines};
use super::{GroupIndex, Policy};
use crate::devices::inventory::Inventory;
use crate::document::{Complaint, Place, Placed, choices};
use crate::lists::lookup::{Lists, Scope};
use crate::name::Name;

/// What a policy adds to its lists.
pub struct Live {
    /// Counts activations.
    pub number: u64,
    /// No true clock is earlier: when the lists were compiled (R-133g).
    pub not_before: Timestamp,
    /// The compiled lists.
    pub lists: Arc<Lists>,
    /// Whether this very policy was live before. Then an exception that newer
    /// mandatory lists cover is silent rather than wrong: a list must never be
    /// kept out by what somebody wrote before it.
    pub standing: bool,
}

/// One file: its name for messages, and its text.
#[derive(Debug, Clone, Copy)]
pub struct File<'t> {
    /// As the person would name it.
    pub name: &'t str,
    /// What stands in it.
    pub text: &'t str,
}

/// The tables of names that a policy is made with: the shipped ones, or what a
/// school put in their place.
#[derive(Debug, Clone)]
pub struct Tables {
    /// The canaries.
    pub canaries: Canaries,
    /// The search engines that have a safe mode.
    pub engines: Engines,
}

impl Tables {
    /// The shipped ones.
    #[must_use]
    pub fn shipped() -> Self {
        let file = |name, text| File { name, text };
        let canaries = file("canaries.toml", canary::SHIPPED);
        let engines = file("safe-search.toml", safe_search::SHIPPED);
        Self::read(canaries, engines).0
    }

    /// Reads a `canaries.toml` and a `safe-search.toml`; with them comes all
    /// that is wrong.
    #[must_use]
    pub fn read(canaries: File<'_>, engines: File<'_>) -> (Self, Vec<Complaint>) {
        let (canaries, mut complaints) = Canaries::read(canaries.name, canaries.text);
        let (engines, found) = Engines::read(engines.name, engines.text);
        complaints.extend(found);
        (Self { canaries, engines }, complaints)
    }
}

/// Makes a policy of a `policy.toml` and a `devices.csv` with the shipped
/// tables, or says all that is wrong.
pub fn compile(policy: File<'_>, devices: File<'_>, live: Live) -> Result<Policy, Vec<Complaint>> {
    let added = File { name: "", text: "" };
    let typed = read(policy, added, devices);
    compile_with(typed, (Tables::shipped(), Vec::new()), live)
}

/// Makes a policy of what [`read`] gave and of tables of the school's own, with
/// what is wrong with either.
pub fn compile_with(
    (document, devices, mut complaints): (PolicyDocument, Inventory, Vec<Complaint>),
    (tables, found): (Tables, Vec<Complaint>),
    live: Live,
) -> Result<Policy, Vec<Complaint>> {
    complaints.extend(found);
    if !live.standing {
        complaints.extend(lifts_of_the_mandatory(&document, &live.lists));
    }
    if complaints.is_empty() {
        return Ok(meant(document, devices, tables, live));
    }
    complaints.sort();
    Err(complaints)
}

/// Reads the files, and what was `added` to the exceptions on the pages; with
/// them comes all that is wrong, lists aside.
#[must_use]
pub fn read(
    policy: File<'_>,
    added: File<'_>,
    devices: File<'_>,
) -> (PolicyDocument, Inventory, Vec<Complaint>) {
    let (mut document, mut complaints) = PolicyDocument::read(policy.name, policy.text);
    complaints.extend(document.add(added.name, added.text));
    let groups: Vec<&str> = document.group_ids().collect();
    let group_of = |id: &str| document.group_named(id).map(|group| group.0);
    let (devices, found) = Inventory::parse(devices.name, devices.text, group_of, &groups);
    complaints.extend(found);
    complaints.extend(mistakes(&document, &devices));
    (document, devices, complaints)
}

fn mistakes(document: &PolicyDocument, devices: &Inventory) -> Vec<Complaint> {
    let mut found = Vec::new();
    let whole_file = Place {
        file: document.file.clone(),
        line: 0,
    };
    match document.groups.get(MAX_GROUPS) {
        _ if document.groups.is_empty() => {
            let message = "there is no group; write at least [groups.pupil] and [groups.staff]";
            complain(&mut found, &whole_file, message.to_owned());
        }
        Some(group) => {
            let message = format!("there are more than {MAX_GROUPS} groups");
            complain(&mut found, &group.id.place, message);
        }
        None => {}
    }
    if let Some(unknown) = &document.unknown
        && let Some(index) = group_named(document, unknown, &mut found)
        && !document
            .groups
            .get(usize::from(index.0))
            .is_none_or(|g| g.enabled)
    {
        let message = format!(
            "group \"{}\" is for unknown devices and cannot be disabled",
            unknown.value
        );
        complain(&mut found, &unknown.place, message);
    }
    networks_that_meet(document, &mut found);
    for group in &document.groups {
        timetables_of(group, document, &mut found);
    }
    for exception in &document.exceptions {
        for group in &exception.groups {
            group_named(document, group, &mut found);
        }
        for device in &exception.devices {
            if devices.by_id(&device.value).is_none() {
                let ids: Vec<&str> = devices.devices().iter().map(|d| &*d.id).collect();
                let hint = near_or(&device.value, &ids, "see devices.csv");
                let message = format!("there is no device \"{}\"; {hint}", device.value);
                complain(&mut found, &device.place, message);
            }
        }
        too_wide(exception, &mut found);
    }
    contradictions(&document.exceptions, devices, &mut found);
    found
}

/// Exceptions that would open what a mandatory list covers. The message
/// does not say which list.
#[must_use]
pub fn lifts_of_the_mandatory(document: &PolicyDocument, lists: &Lists) -> Vec<Complaint> {
    let mut found = Vec::new();
    let lifting = document.exceptions.iter().filter(|e| e.allows);
    for exception in lifting {
        let name = &exception.name;
        if lists.covering(name.value.as_ref()).is_mandatory() {
            let message = format!(
                "{} is illegal content; nobody can allow it, so remove this exception",
                name.value
            );
            complain(&mut found, &name.place, message);
        }
    }
    found
}

/// What is not wrong but worth a look, for `check`.
#[must_use]
pub fn warnings(document: &PolicyDocument) -> Vec<Complaint> {
    let mut found = Vec::new();
    if document.groups.iter().filter(|g| g.enabled).count() == 1 {
        let place = Place {
            file: document.file.clone(),
            line: 0,
        };
        //
        let message = "one group for everybody; the DfE standard asks for at least a pupil \
                       and a staff profile";
        complain(&mut found, &place, message.to_owned());
    }
    for group in &document.groups {
        let blocked = group.during.iter().filter(|d| d.blocks);
        let blocked = blocked.fold(always_blocked(group), |all, d| all.union(d.categories));
        for during in group.during.iter().filter(|d| !d.blocks) {
            let closes = group.during.iter().filter(|d| d.blocks);
            for other in closes {
                if let Some(both) = other.categories.both(during.categories).first() {
                    let message = format!(
                        "group \"{}\" allows \"{both}\" during {} and blocks it during {}; \
                         where they overlap, blocking wins",
                        group.id.value, during.timetable.value, other.timetable.value
                    );
                    complain(&mut found, &during.timetable.place, message);
                }
            }
            if let Some(open) = during.categories.without(blocked).first() {
                let message = format!(
                    "group \"{}\" allows \"{open}\" during {}, but never blocks it",
                    group.id.value, during.timetable.value
                );
                complain(&mut found, &during.timetable.place, message);
            }
        }
    }
    found
}

fn complain(found: &mut Vec<Complaint>, place: &Place, message: String) {
    found.push(Complaint {
        place: place.clone(),
        message,
    });
}

/// As [`choices`], without reciting a long inventory.
fn near_or(word: &str, all: &[&str], otherwise: &str) -> String {
    crate::document::nearest(word, all.iter().copied()).map_or_else(
        || otherwise.to_owned(),
        |near| format!("did you mean \"{near}\"?"),
    )
}

fn group_named(
    document: &PolicyDocument,
    id: &Placed<String>,
    found: &mut Vec<Complaint>,
) -> Option<GroupIndex> {
    let index = document.group_named(&id.value);
    if index.is_none() {
        let hint = choices(&id.value, document.group_ids());
        let message = format!("there is no group \"{}\"; {hint}", id.value);
        complain(found, &id.place, message);
    }
    index
}

/// Equal prefixes would leave it to chance which group a device is in; a longer
/// one inside a shorter one says what it means (M8).
fn networks_that_meet(document: &PolicyDocument, found: &mut Vec<Complaint>) {
    let mut seen: HashMap<_, (&TypedGroup, &Place)> = HashMap::new();
    for group in &document.groups {
        for network in &group.networks {
            let id = &group.id.value;
            if let Some((other, place)) = seen.get(&network.value) {
                let also = if other.id.value == *id {
                    format!("stands twice in group \"{id}\"")
                } else {
                    format!("is in group \"{}\" and in group \"{id}\"", other.id.value)
                };
                let message = format!("network {} {also}; see line {}", network.value, place.line);
                complain(found, &network.place, message);
            } else {
                seen.insert(network.value, (group, &network.place));
            }
        }
    }
}

fn timetables_of(group: &TypedGroup, document: &PolicyDocument, found: &mut Vec<Complaint>) {
    let known = || document.timetables.iter().map(|t| &*t.value.id);
    for during in &group.during {
        let id = &during.timetable;
        if !known().any(|other| other == id.value) {
            let hint = choices(&id.value, known());
            let message = format!(
                "group \"{}\": there is no timetable \"{}\"; {hint}",
                group.id.value, id.value
            );
            complain(found, &id.place, message);
        }
        let opposite = |other: &&super::document::TypedDuring| {
            !during.blocks && other.blocks && other.timetable.value == id.value
        };
        let both = group.during.iter().find(opposite);
        let both = both.and_then(|other| other.categories.both(during.categories).first());
        if let Some(category) = both {
            let message = format!(
                "group \"{}\" both blocks and allows \"{category}\" during {}",
                group.id.value, id.value
            );
            complain(found, &id.place, message);
        }
    }
}

/// `co.uk` is nobody's site; to allow it would be to switch the filter off.
fn too_wide(exception: &TypedException, found: &mut Vec<Complaint>) {
    let text = exception.name.value.to_string();
    let suffix = psl::suffix(text.as_bytes());
    let public = suffix.is_some_and(|s| s.typ() == Some(psl::Type::Icann) && s == text.as_bytes());
    if exception.allows && exception.scope == Scope::Subtree && public {
        let message = format!("{text} is not one site but a whole domain of them; name the site");
        complain(found, &exception.name.place, message);
    }
}

/// One name, one reach, one group or device: one exception.
fn contradictions(all: &[TypedException], devices: &Inventory, found: &mut Vec<Complaint>) {
    let same_group = |a: &str, b: &str| a == b;
    // One device may have several spellings.
    let same_device = |a: &str, b: &str| {
        let (a, b) = (devices.by_id(a), devices.by_id(b));
        a.is_some() && a == b
    };
    let mut seen: HashMap<(&Name, Scope), Vec<&TypedException>> = HashMap::new();
    for exception in all {
        let earlier = seen
            .entry((&exception.name.value, exception.scope))
            .or_default();
        for other in earlier.iter() {
            // Whoever closes a site at once need not know what is written of it.
            let closes = |one: &TypedException| one.is_added && !one.allows;
            if closes(exception) || closes(other) {
                continue;
            }
            let group = shared(&exception.groups, &other.groups, same_group);
            let device = || shared(&exception.devices, &other.devices, same_device);
            let group = group.map(|id| format!("group \"{id}\""));
            let Some(whom) = group.or_else(|| Some(format!("device \"{}\"", device()?))) else {
                continue;
            };
            let what = if exception.allows == other.allows {
                "stands twice"
            } else {
                "is both allowed and denied"
            };
            let (name, line) = (&exception.name.value, other.name.place.line);
            let message = format!("{name} {what} for {whom}; see line {line}");
            complain(found, &exception.name.place, message);
        }
        earlier.push(exception);
    }
}

fn shared<'i>(
    ids: &'i [Placed<String>],
    others: &[Placed<String>],
    same: impl Fn(&str, &str) -> bool,
) -> Option<&'i str> {
    let both = |id: &&Placed<String>| others.iter().any(|other| same(&id.value, &other.value));
    ids.iter().find(both).map(|id| id.value.as_str())
}

/// Only called when nothing is wrong: then every reference is good.
fn meant(document: PolicyDocument, devices: Inventory, tables: Tables, live: Live) -> Policy {
    let meant = Meant::of(&document, &devices);
    Policy {
        number: live.number,
        groups: meant.groups,
        unknown: meant.unknown,
        networks: meant.networks,
        exceptions: meant.exceptions,
        canaries: tables.canaries,
        engines: tables.engines,
        devices,
        lists: live.lists,
        not_before: live.not_before,
        rule: document.rule,
        acknowledge_days: document.acknowledge_days,
        school: document.school.into(),
        zone: document.zone,
        timetables: document.timetables.into_iter().map(|t| t.value).collect(),
    }
}
