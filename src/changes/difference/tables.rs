//! What changes in the tables of names: canaries, and search engines with a safe
//! mode.
//!
//! A canary's answer is read by browsers and phones, each in its own way, so that
//! any other answer may be a weaker one. A search engine's name is answered with
//! another's addresses: only those that were already given stand in for a safe
//! mode that somebody has approved.

use std::collections::{BTreeMap, BTreeSet};

use super::words::listed;
use super::{Effect, Part};
use crate::lists::lookup::Scope;
use crate::name::Name;
use crate::policy::canary::{Canaries, Canary};
use crate::policy::compile::Tables;
use crate::policy::safe_search::{Engine, Engines};

/// The parts that are about the tables.
pub(super) fn parts(before: &Tables, after: &Tables, parts: &mut Vec<Part>) {
    canaries(&before.canaries, &after.canaries, parts);
    engines(&before.engines, &after.engines, parts);
}

fn canaries(old: &Canaries, new: &Canaries, parts: &mut Vec<Part>) {
    let had = parts.len();
    // Which canary covers a name depends on their order, so all are asked.
    let is_weaker = is_weaker(old, new);
    let tightens = if is_weaker {
        Effect::Loosens
    } else {
        Effect::Tightens
    };
    for canary in new.iter() {
        let name = &canary.name;
        let Some(was) = old.iter().find(|was| was.name == canary.name) else {
            let words = format!(
                "devices that ask for {name} are told not to use a DNS of their own ({})",
                canary.says
            );
            parts.push(Part::new(tightens, words));
            continue;
        };
        altered(was, canary, tightens, parts);
    }
    for gone in old.iter() {
        if new.iter().all(|canary| canary.name != gone.name) {
            let words = format!(
                "devices that ask for {} are no longer told not to use a DNS of their own ({})",
                gone.name, gone.says
            );
            parts.push(Part::new(Effect::Loosens, words));
        }
    }
    let waits = parts
        .iter()
        .skip(had)
        .any(|part| part.effect == Effect::Loosens);
    if is_weaker && !waits {
        let words = "the names by which devices ask for a DNS of their own stand in another order, \
                     and some get another answer";
        parts.push(Part::new(Effect::Loosens, words));
    }
}

fn altered(was: &Canary, is: &Canary, tightens: Effect, parts: &mut Vec<Part>) {
    let Canary {
        name,
        scope,
        nxdomain,
        says,
    } = is;
    if was.scope != *scope {
        let (effect, reach) = match scope {
            Scope::Subtree => (tightens, "and everything below it"),
            _ => (Effect::Loosens, "and nothing below it"),
        };
        let words = format!("devices are told not to use a DNS of their own by {name} {reach}");
        parts.push(Part::new(effect, words));
    }
    if was.nxdomain != *nxdomain {
        let answer = |nxdomain| {
            if nxdomain {
                "no such name"
            } else {
                "no such record"
            }
        };
        let words = format!(
            "devices that ask for {name} are told “{}” instead of “{}”",
            answer(*nxdomain),
            answer(was.nxdomain)
        );
        parts.push(Part::new(Effect::Loosens, words));
    }
    if was.says != *says {
        let words = format!("{name} is described as “{says}” instead of “{}”", was.says);
        parts.push(Part::new(Effect::Neither, words));
    }
}

/// Whether a name gets no canary's answer that did, or another.
fn is_weaker(old: &Canaries, new: &Canaries) -> bool {
    let names = old.iter().chain(new.iter()).map(|canary| &canary.name);
    let below = |name: &Name| Name::from_wire(&[&[1, b'!'], name.as_ref().wire()].concat());
    let mut asked = names
        .flat_map(|name| [Some(name.clone()), below(name)])
        .flatten();
    let answer = |canaries: &Canaries, name: &Name| {
        let found = canaries.covering(name.as_ref());
        found.map(|canary| canary.nxdomain)
    };
    asked.any(|name| {
        let was = answer(old, &name);
        was.is_some() && was != answer(new, &name)
    })
}

/// An engine's safe modes: strict, and what moderate comes to.
type Modes<'e> = (&'e Name, &'e Name);

fn modes(engine: &Engine) -> Modes<'_> {
    let moderate = engine.moderate.as_ref().unwrap_or(&engine.strict);
    (&engine.strict, moderate)
}

fn engines(old: &Engines, new: &Engines, parts: &mut Vec<Part>) {
    let (was, is) = (names(old), names(new));
    let (mut gone, mut come, mut other) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (name, engine) in &was {
        match is.get(name) {
            None => push(&mut gone, (&*engine.id, engine.strict.to_string()), name),
            Some(now) if modes(now) != modes(engine) => {
                let (strict, moderate) = modes(now);
                push(&mut other, (&*now.id, both(strict, moderate)), name);
            }
            Some(_) => {}
        }
    }
    for (name, engine) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
        push(&mut come, (&*engine.id, engine.strict.to_string()), name);
    }
    let strict: BTreeSet<&Name> = was.values().map(|engine| modes(engine).0).collect();
    let moderate: BTreeSet<&Name> = was.values().map(|engine| modes(engine).1).collect();
    for ((id, target), names) in come {
        // Of any other target nobody knows what it leads to.
        let known = names.iter().filter_map(|name| is.get(name.as_str()));
        let mut known = known.map(|engine| modes(engine));
        let is_known =
            known.all(|(s, m)| strict.contains(s) && (strict.contains(m) || moderate.contains(m)));
        let (effect, why) = if is_known {
            (Effect::Tightens, "")
        } else {
            (Effect::Loosens, ", which is not a safe mode known before")
        };
        let words = format!(
            "{} held to the safe mode of {id}: {target}{why}",
            are(&names)
        );
        parts.push(Part::new(effect, words));
    }
    for ((id, targets), names) in other {
        let words = format!(
            "{} answered with another safe mode of {id}: {targets}",
            are(&names)
        );
        parts.push(Part::new(Effect::Loosens, words));
    }
    for ((id, _), names) in gone {
        let words = format!("{} no longer held to the safe mode of {id}", are(&names));
        parts.push(Part::new(Effect::Loosens, words));
    }
    let ids = |engines: &BTreeMap<String, &Engine>| -> BTreeSet<(String, String)> {
        let all = engines.iter();
        all.map(|(name, engine)| (name.clone(), engine.id.to_string()))
            .collect()
    };
    if ids(&was) != ids(&is) && was.keys().eq(is.keys()) {
        let words = "some search engines are called otherwise";
        parts.push(Part::new(Effect::Neither, words));
    }
}

fn names(engines: &Engines) -> BTreeMap<String, &Engine> {
    engines
        .names()
        .map(|(name, engine)| (name.to_string(), engine))
        .collect()
}

fn push<'e>(
    into: &mut BTreeMap<(&'e str, String), Vec<String>>,
    engine: (&'e str, String),
    name: &str,
) {
    into.entry(engine).or_default().push(name.to_owned());
}

fn both(strict: &Name, moderate: &Name) -> String {
    if strict == moderate {
        strict.to_string()
    } else {
        format!("{strict}, or {moderate} for the milder one")
    }
}

/// Few names are named; an engine may have hundreds.
fn are(names: &[String]) -> String {
    const MOST: usize = 5;
    let verb = if names.len() == 1 { "is" } else { "are" };
    let more = names.len().saturating_sub(MOST);
    if more == 0 {
        return format!("{} {verb}", listed(names));
    }
    let first: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    format!("{} and {more} more names {verb}", first.join(", "))
}
