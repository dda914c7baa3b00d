//! What changes in who belongs to which group by address.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::step::Step;
use super::words::listed;
use crate::document::Placed;
use crate::policy::document::PolicyDocument;
use crate::policy::group::Network;

/// Networks by what groups have them, in the order of the file.
type Owners<'d> = Vec<(&'d Placed<Network>, &'d str)>;

/// Networks that come, go or move, and another group for the unknown.
pub(super) fn steps<'c>(
    before: &'c PolicyDocument,
    after: &'c PolicyDocument,
    steps: &mut Vec<Step<'c>>,
) {
    let unknown = |document: &'c PolicyDocument| {
        let unknown = document.unknown.as_ref();
        unknown.map_or("", |unknown| &unknown.value)
    };
    if unknown(before) != unknown(after) {
        let (was, is) = (unknown(before), unknown(after));
        let words = format!("devices that nobody knows are treated as {is} instead of {was}");
        steps.push(Step::new(words, |draft| {
            draft.document.unknown.clone_from(&after.unknown);
        }));
    }
    let (old, new) = (owners(before), owners(after));
    // From where to where, and which.
    let mut moves: BTreeMap<(bool, &str, &str), Vec<&Placed<Network>>> = BTreeMap::new();
    for (network, is) in &new {
        match owner(&old, network.value) {
            Some(was) if was == *is => {}
            Some(was) => moves.entry((true, was, is)).or_default().push(network),
            None => {
                let was = around(&old, network.value).unwrap_or(unknown(before));
                moves.entry((true, was, is)).or_default().push(network);
            }
        }
    }
    for (network, was) in &old {
        if owner(&new, network.value).is_none() {
            let is = around(&new, network.value).unwrap_or(unknown(after));
            moves.entry((false, was, is)).or_default().push(network);
        }
    }
    for ((stays, was, is), networks) in moves {
        let named: Vec<String> = networks.iter().map(|n| n.value.to_string()).collect();
        let named = listed(&named);
        let words = match (stays, was == is) {
            (true, true) => format!("{is} has {named} as a network of its own"),
            (false, true) => format!("{is} no longer has {named} as a network of its own"),
            _ => format!("devices at {named} are treated as {is} instead of {was}"),
        };
        steps.push(Step::new(words, move |draft| {
            for network in &networks {
                put(draft, network, stays.then_some(is));
            }
        }));
    }
}

fn owners(document: &PolicyDocument) -> Owners<'_> {
    let groups = document.groups.iter();
    let all = groups.flat_map(|g| g.networks.iter().map(|n| (n, g.id.value.as_str())));
    all.collect()
}

fn owner<'d>(owners: &Owners<'d>, network: Network) -> Option<&'d str> {
    let found = owners.iter().find(|(other, _)| other.value == network);
    found.map(|(_, group)| *group)
}

/// The group of the smallest network around `network`.
fn around<'d>(owners: &Owners<'d>, network: Network) -> Option<&'d str> {
    let around = owners
        .iter()
        .filter(|(other, _)| other.value.contains(network));
    let smallest = around.max_by_key(|(other, _)| other.value.prefix());
    smallest.map(|(_, group)| *group)
}

fn put(draft: &mut Draft, network: &Placed<Network>, into: Option<&str>) {
    for group in &mut draft.document.groups {
        group.networks.retain(|here| here.value != network.value);
        if Some(group.id.value.as_str()) == into {
            group.networks.push(network.clone());
        }
    }
}
