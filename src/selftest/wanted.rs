//! Which names are to be denied and which held to a safe mode, here.
//!
//! On the resolver's own machine the school's tables count; from elsewhere the
//! shipped ones, and for an engine either of its safe modes is right.

use std::collections::BTreeMap;

use super::place::Promise;
use super::safe_search::Engine;
use crate::name::Name;
use crate::policy::canary::{self, Canaries};
use crate::policy::group::SafeSearch;
use crate::policy::safe_search::{self, Engines};

/// The canaries.
pub(super) fn canaries(promise: Option<&Promise>) -> Vec<Name> {
    let names = |canaries: &Canaries| canaries.iter().map(|c| c.name.clone()).collect();
    match promise {
        Some(promise) => names(&promise.policy.canaries),
        None => names(&Canaries::read("canaries.toml", canary::SHIPPED).0),
    }
}

/// The search engines, each with all its names.
pub(super) fn engines(promise: Option<&Promise>) -> Vec<Engine> {
    let Some(promise) = promise else {
        let (shipped, _) = Engines::read("safe-search.toml", safe_search::SHIPPED);
        return grouped(&shipped, &[SafeSearch::Strict, SafeSearch::Moderate]);
    };
    let group = promise.group();
    let mode = group.map_or(SafeSearch::Strict, |group| group.safe_search);
    grouped(&promise.policy.engines, &[mode])
}

fn grouped(engines: &Engines, modes: &[SafeSearch]) -> Vec<Engine> {
    let mut found: BTreeMap<&str, Engine> = BTreeMap::new();
    for (name, engine) in engines.names() {
        let targets = || modes.iter().filter_map(|mode| engine.target(*mode));
        let entry = found.entry(&engine.id).or_insert_with(|| Engine {
            id: engine.id.to_string(),
            names: Vec::new(),
            targets: targets().cloned().collect(),
        });
        entry.names.push(name.clone());
    }
    let sorted = |mut engine: Engine| {
        // The plainest name first: it stands for the others where one is enough.
        engine
            .names
            .sort_by_key(|name| (name.as_ref().wire().len(), name.clone()));
        engine
    };
    found.into_values().map(sorted).collect()
}
