//! What changes in who belongs to which group by address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::draft::Draft;
use super::ground::behind;
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
    let mut moves: BTreeMap<Move<'c>, Vec<&'c Placed<Network>>> = BTreeMap::new();
    for (network, is) in &new {
        let was = match owner(&old, network.value) {
            Some(was) if was == *is => continue,
            Some(was) => vec![was],
            None => around(&old, &new, network.value, unknown(before)),
        };
        let of = Move::Into(is, was);
        moves.entry(of).or_default().push(network);
    }
    for (network, was) in &old {
        if owner(&new, network.value).is_none() {
            let of = Move::OutOf(was, around(&new, &old, network.value, unknown(after)));
            moves.entry(of).or_default().push(network);
        }
    }
    for (of, networks) in moves {
        let words = of.words(&networks);
        steps.push(Step::new(words, move |draft| {
            for network in &networks {
                put(draft, network, of.goes_to());
            }
        }));
    }
}

/// What becomes of networks.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Move<'d> {
    /// A group has them, whose addresses were in other groups.
    Into(&'d str, Vec<&'d str>),
    /// A group has them no longer, and their addresses are in other groups.
    OutOf(&'d str, Vec<&'d str>),
}

impl<'d> Move<'d> {
    fn goes_to(&self) -> Option<&'d str> {
        match self {
            Self::Into(group, _) => Some(group),
            Self::OutOf(..) => None,
        }
    }

    fn words(&self, networks: &[&Placed<Network>]) -> String {
        let named: Vec<String> = networks.iter().map(|n| n.value.to_string()).collect();
        let named = listed(&named);
        match self {
            Self::Into(group, others) if others.iter().all(|other| other == group) => {
                format!("{group} now has {named} written down by itself")
            }
            Self::OutOf(group, others) if others.iter().all(|other| other == group) => {
                format!("{group} no longer has {named} written down by itself")
            }
            Self::Into(group, others) => {
                let was = listed(others);
                format!("devices at {named} are treated as {group} instead of {was}")
            }
            Self::OutOf(group, others) => {
                let is = listed(others);
                format!("devices at {named} are treated as {is} instead of {group}")
            }
        }
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

/// By `owners`, the groups of the addresses of `network` that no smaller network
/// of the `others`, of which it is one, has: each once.
fn around<'d>(
    owners: &Owners<'d>,
    others: &Owners<'_>,
    network: Network,
    unknown: &'d str,
) -> Vec<&'d str> {
    let inner = owners.iter().chain(others).map(|(other, _)| other.value);
    let inner = inner.filter(|other| network.contains(*other));
    let mut points: BTreeSet<IpAddr> = inner
        .flat_map(|n| [Some(n.address()), behind(n)])
        .flatten()
        .collect();
    points.insert(network.address());
    let group_of = |at: IpAddr| {
        let around = owners.iter().filter(|(other, _)| other.value.holds(at));
        let smallest = around.max_by_key(|(other, _)| other.value.prefix());
        smallest.map_or(unknown, |(_, group)| *group)
    };
    let mut found: Vec<&str> = Vec::new();
    for at in points.into_iter().filter(|at| network.holds(*at)) {
        let mut smaller = others.iter().map(|(other, _)| other.value);
        if smaller.any(|other| other.holds(at) && other.prefix() > network.prefix()) {
            continue;
        }
        let group = group_of(at);
        if !found.contains(&group) {
            found.push(group);
        }
    }
    found
}

fn put(draft: &mut Draft, network: &Placed<Network>, into: Option<&str>) {
    for group in &mut draft.document.groups {
        group.networks.retain(|here| here.value != network.value);
        if Some(group.id.value.as_str()) == into {
            group.networks.push(network.clone());
        }
    }
}
