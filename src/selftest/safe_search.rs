//! Whether each search engine is held to its safe mode, under every name.
//!
//! A must lead by a CNAME to the safe host, for apps check it, and
//! HTTPS must say nothing, or its hints would lead round. No answer at
//! all is no way round: it is told as not tested.

use super::ask::{A, Asker, HTTPS, NOERROR, NXDOMAIN, REFUSED, SERVFAIL};
use super::check::{Check, Judgement, failed, not_tested, ok};
use super::place::Place;
use crate::name::Name;
use crate::policy::decision::Verdict;

/// One engine, as this place should find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Engine {
    /// What it is called in `safe-search.toml`.
    pub id: String,
    /// Every name that is held.
    pub names: Vec<Name>,
    /// The safe hosts that are right here; none: it is not to be held.
    pub targets: Vec<Name>,
}

/// A check for each.
pub(super) fn check(place: &Place, engines: &[Engine]) -> Vec<Check> {
    engines
        .iter()
        .map(|engine| {
            let id = &engine.id;
            let judgement = judge(place, engine);
            Check::new(
                format!("safe_search:{id}"),
                format!("safe search of {id}"),
                judgement,
            )
        })
        .collect()
}

/// What one name turned out to be.
enum Found {
    Held,
    Blocked,
    /// It leads to the engine as it is.
    Open,
    /// Nothing can be said.
    Unknown,
}

fn judge(place: &Place, engine: &Engine) -> Judgement {
    if engine.targets.is_empty() {
        return not_tested(format!("safe search is off for {}", place.whose()));
    }
    let (mut held, mut blocked, mut unknown, mut open) = (0, 0, 0, Vec::new());
    for name in &engine.names {
        match look(place, name, &engine.targets) {
            Found::Held => held += 1,
            Found::Blocked => blocked += 1,
            Found::Unknown => unknown += 1,
            Found::Open => open.push(name),
        }
    }
    let target = engine.targets.first().map(Name::to_string);
    let target = target.unwrap_or_default();
    match open.split_first() {
        Some((first, [])) => failed(format!("{first} leads {OPEN}")),
        Some((first, others)) => failed(format!("{first} and {} more lead {OPEN}", others.len())),
        None if held > 0 && unknown == 0 => ok(format!("{held} names lead to {target}")),
        None if held > 0 => ok(format!(
            "{held} names lead to {target}; {unknown} have no answer"
        )),
        None if blocked > 0 => ok("blocked as a whole"),
        None => not_tested(format!(
            "no answer about {target}; does the upstream answer?"
        )),
    }
}

const OPEN: &str = "to the engine without its safe mode; see `safe_search` of the group in \
                    policy.toml, and `schoolgate why NAME`";

fn look(place: &Place, name: &Name, targets: &[Name]) -> Found {
    let asker: &Asker = &place.asker;
    let blocked = place.verdict(name) == Some(Verdict::Block);
    let (Ok(a), Ok(https)) = (asker.ask(name, A), asker.ask(name, HTTPS)) else {
        return Found::Unknown;
    };
    if !https.services.is_empty() || !https.addresses.is_empty() {
        return Found::Open;
    }
    match a.rcode {
        SERVFAIL | REFUSED => Found::Unknown,
        _ if blocked && a.aliases.is_empty() => Found::Blocked,
        NOERROR
            if a.aliases
                .first()
                .is_some_and(|alias| targets.contains(alias)) =>
        {
            Found::Held
        }
        // From another machine a block looks like this.
        NXDOMAIN | NOERROR if place.promise.is_none() && a.leads_nowhere() => Found::Blocked,
        _ => Found::Open,
    }
}
