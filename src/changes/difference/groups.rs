//! What changes in the rules of groups.

use super::draft::Draft;
use super::step::Step;
use super::strictness::depth;
use super::words::{category, category_is, listed};
use super::{Effect, Part};
use crate::lists::category::{Category, CategorySet};
use crate::policy::decision::LogLevel;
use crate::policy::document::{PolicyDocument, TypedDuring, TypedGroup};
use crate::policy::group::{BlockedAnswer, Ech, SafeSearch};

/// New groups, and rules that come, go or change.
pub(super) fn steps<'c>(
    before: &'c PolicyDocument,
    after: &'c PolicyDocument,
    steps: &mut Vec<Step<'c>>,
) {
    for new in &after.groups {
        match named(before, &new.id.value) {
            Some(old) => {
                switched(old, new, after, steps);
                always(old, new, steps);
                at_times(old, new, steps);
                held(old, new, steps);
            }
            None => steps.push(Step::new(introduced(new), move |draft| {
                // Its addresses are spoken of by themselves.
                draft.document.groups.push(TypedGroup {
                    networks: Vec::new(),
                    ..new.clone()
                });
            })),
        }
    }
}

/// Groups that are no more.
pub(super) fn endings<'c>(
    before: &'c PolicyDocument,
    after: &PolicyDocument,
    steps: &mut Vec<Step<'c>>,
) {
    let gone = before
        .groups
        .iter()
        .filter(|g| named(after, &g.id.value).is_none());
    for old in gone {
        let id = old.id.value.as_str();
        steps.push(Step::when(
            format!("the group {id} is no more"),
            move |draft| {
                let is_empty = is_empty(draft, id);
                draft.document.groups.retain(|group| group.id.value != id);
                is_empty
            },
        ));
    }
}

/// What changes in the rules and decides nothing, or is about what is kept.
pub(super) fn remarks(before: &PolicyDocument, after: &PolicyDocument, parts: &mut Vec<Part>) {
    for new in &after.groups {
        let Some(old) = named(before, &new.id.value) else {
            continue;
        };
        let id = &new.id.value;
        if old.answer.value != new.answer.value {
            let (was, is) = (answer(old.answer.value), answer(new.answer.value));
            let words = format!("what {id} get for a blocked site is {is} instead of {was}");
            parts.push(Part::new(Effect::Neither, words));
        }
        let (was, is) = (old.override_minutes, new.override_minutes);
        if was != is {
            let effect = if is > was {
                Effect::Loosens
            } else {
                Effect::Tightens
            };
            let words = match is {
                0 => format!("a device of {id} can no longer open a blocked site for itself"),
                _ => format!(
                    "a device of {id} can open a blocked site for itself for {is} minutes \
                     instead of {was}"
                ),
            };
            parts.push(Part::new(effect, words));
        }
        if old.log != new.log {
            let why = if depth(new.log) < depth(old.log) {
                "less is written down than before"
            } else {
                // Nobody is to be watched more closely on one person's word.
                "more is written down about people than before"
            };
            let words = format!(
                "the log keeps {} of what {id} may reach, instead of {}: {why}",
                kept(new.log),
                kept(old.log)
            );
            parts.push(Part::new(Effect::Loosens, words));
        }
    }
}

fn named<'d>(document: &'d PolicyDocument, id: &str) -> Option<&'d TypedGroup> {
    document.groups.iter().find(|group| group.id.value == id)
}

/// The same group of a draft, for a step to change.
fn change(draft: &mut Draft, id: &str, to: impl FnOnce(&mut TypedGroup)) {
    let mut groups = draft.document.groups.iter_mut();
    if let Some(group) = groups.find(|group| group.id.value == id) {
        to(group);
    }
}

fn is_empty(draft: &Draft, id: &str) -> bool {
    let addresses = named(&draft.document, id).is_none_or(|group| group.networks.is_empty());
    let mut rows = draft.rows.values();
    let unknown = draft.document.unknown.as_ref();
    addresses
        && unknown.is_none_or(|unknown| unknown.value != id)
        && !rows.any(|row| row.group.as_deref() == Some(id))
}

fn introduced(new: &TypedGroup) -> String {
    let blocked: Vec<String> = new.block.iter().map(category).collect();
    let blocked = match blocked.as_slice() {
        [] => "nothing but what is illegal".to_owned(),
        some => listed(some),
    };
    let during = new.during.iter().map(|during| {
        let categories: Vec<String> = during.categories.iter().map(category).collect();
        let (what, when) = (listed(&categories), &during.timetable.value);
        if during.blocks {
            format!(", and during {when} also {what}")
        } else {
            format!(", but not {what} during {when}")
        }
    });
    let during: String = during.collect();
    let off = if new.enabled { "" } else { ", switched off" };
    format!(
        "there is a new group, {}{off}, which blocks {blocked}{during}; {}",
        new.id.value,
        searches(new.safe_search)
    )
}

fn switched<'c>(
    old: &TypedGroup,
    new: &'c TypedGroup,
    after: &PolicyDocument,
    steps: &mut Vec<Step<'c>>,
) {
    if old.enabled == new.enabled {
        return;
    }
    let id = &new.id.value;
    let words = if new.enabled {
        format!("the group {id} is switched on again, and its own rules hold")
    } else {
        let unknown = after.unknown.as_ref().map_or("", |unknown| &unknown.value);
        format!("the group {id} is switched off: its devices are treated as {unknown}")
    };
    steps.push(Step::new(words, move |draft| {
        change(draft, &new.id.value, |group| group.enabled = new.enabled);
    }));
}

fn always<'c>(old: &TypedGroup, new: &'c TypedGroup, steps: &mut Vec<Step<'c>>) {
    let id = &new.id.value;
    for added in new.block.without(old.block).iter() {
        let is = category_is(added);
        let words = if added.is_illegal() {
            format!("{is} named among what is blocked for {id}, and is blocked anyway as illegal")
        } else {
            format!("{is} blocked for {id}")
        };
        steps.push(Step::new(words, move |draft| {
            change(draft, &new.id.value, |g| g.block = g.block.with(added));
        }));
    }
    for removed in old.block.without(new.block).iter() {
        let still = still_blocked(new, removed);
        let is = category_is(removed);
        let words = match still.as_slice() {
            _ if removed.is_illegal() => format!(
                "{is} no longer named among what is blocked for {id}, and is blocked anyway as illegal"
            ),
            [] => format!("{is} no longer blocked for {id}"),
            some => format!(
                "{is} no longer blocked for {id} at every hour, and only during {}",
                listed(some)
            ),
        };
        steps.push(Step::new(words, move |draft| {
            change(draft, &new.id.value, |group| {
                group.block = group.block.without(CategorySet::EMPTY.with(removed));
            });
        }));
    }
}

fn still_blocked(group: &TypedGroup, category: Category) -> Vec<&str> {
    let during = group
        .during
        .iter()
        .filter(|d| d.blocks && d.categories.has(category));
    during
        .map(|during| during.timetable.value.as_str())
        .collect()
}

fn at_times<'c>(old: &'c TypedGroup, new: &'c TypedGroup, steps: &mut Vec<Step<'c>>) {
    let mut entries: Vec<(&str, bool)> = Vec::new();
    for during in new.during.iter().chain(&old.during) {
        let entry = (during.timetable.value.as_str(), during.blocks);
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let id = &new.id.value;
    for (when, blocks) in entries {
        let (was, is) = (during(old, when, blocks), during(new, when, blocks));
        for added in is.without(was).iter() {
            let verb = if blocks { "also blocked" } else { "allowed" };
            let words = format!("{} {verb} for {id} during {when}", category_is(added));
            steps.push(Step::new(words, move |draft| {
                change(draft, &new.id.value, |group| {
                    let template = new.during.iter().find(|d| is_entry(d, when, blocks));
                    add(group, template, added);
                });
            }));
        }
        for removed in was.without(is).iter() {
            let verb = if blocks { "blocked" } else { "allowed" };
            let words = format!(
                "{} no longer {verb} for {id} during {when}",
                category_is(removed)
            );
            steps.push(Step::new(words, move |draft| {
                change(draft, &new.id.value, |group| {
                    for during in group
                        .during
                        .iter_mut()
                        .filter(|d| is_entry(d, when, blocks))
                    {
                        let gone = CategorySet::EMPTY.with(removed);
                        during.categories = during.categories.without(gone);
                    }
                });
            }));
        }
    }
}

fn is_entry(during: &TypedDuring, when: &str, blocks: bool) -> bool {
    during.timetable.value == when && during.blocks == blocks
}

fn during(group: &TypedGroup, when: &str, blocks: bool) -> CategorySet {
    let entries = group.during.iter().filter(|d| is_entry(d, when, blocks));
    entries.fold(CategorySet::EMPTY, |all, d| all.union(d.categories))
}

fn add(group: &mut TypedGroup, template: Option<&TypedDuring>, category: Category) {
    group.during.extend(template.map(|template| TypedDuring {
        categories: CategorySet::EMPTY.with(category),
        ..template.clone()
    }));
}

/// Search, canaries, hidden names.
fn held<'c>(old: &TypedGroup, new: &'c TypedGroup, steps: &mut Vec<Step<'c>>) {
    let id = &new.id.value;
    if old.safe_search != new.safe_search {
        let (was, is) = (mode(old.safe_search), mode(new.safe_search));
        let words = format!("safe search for {id} is {is} instead of {was}");
        steps.push(Step::new(words, move |draft| {
            change(draft, &new.id.value, |g| g.safe_search = new.safe_search);
        }));
    }
    if old.canaries != new.canaries {
        let words = if new.canaries {
            format!("browsers and phones of {id} are told not to use a DNS of their own")
        } else {
            format!("browsers and phones of {id} may use a DNS of their own, past the filter")
        };
        steps.push(Step::new(words, move |draft| {
            change(draft, &new.id.value, |g| g.canaries = new.canaries);
        }));
    }
    if old.ech != new.ech {
        let words = match new.ech {
            Ech::Strip => format!("devices of {id} can no longer hide which site they visit"),
            Ech::Keep => format!("devices of {id} can hide from the network which site they visit"),
        };
        steps.push(Step::new(words, move |draft| {
            change(draft, &new.id.value, |g| g.ech = new.ech);
        }));
    }
}

fn mode(mode: SafeSearch) -> &'static str {
    match mode {
        SafeSearch::Off => "off",
        SafeSearch::Moderate => "moderate",
        SafeSearch::Strict => "strict",
    }
}

fn searches(mode: SafeSearch) -> &'static str {
    match mode {
        SafeSearch::Off => "its searches are not held to a safe mode",
        SafeSearch::Moderate => "its safe search is moderate",
        SafeSearch::Strict => "its safe search is strict",
    }
}

fn answer(answer: BlockedAnswer) -> &'static str {
    match answer {
        BlockedAnswer::Default => "the usual answer",
        BlockedAnswer::Nxdomain => "“no such name”",
        BlockedAnswer::Nodata => "“no such record”",
        BlockedAnswer::Null => "an address that leads nowhere",
        BlockedAnswer::Page => "the page of blocked sites",
    }
}

fn kept(log: LogLevel) -> &'static str {
    match log {
        LogLevel::Off => "nothing",
        LogLevel::Counts => "only how much",
        LogLevel::Domains => "the sites",
        LogLevel::Full => "the sites and the devices",
    }
}
