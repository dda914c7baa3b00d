//! Whether somebody else's name for himself makes another device of him.
//!
//! A router may say which of its devices asked; a device may not, and a
//! router must take away what a device says of itself. So the same
//! question is asked plainly and with another's identity, on a name that the
//! two groups are answered differently about.

use std::net::{IpAddr, Ipv4Addr};

use super::ask::{A, EdnsData, Way};
use super::check::{Check, Judgement, failed, not_tested, ok};
use super::place::{Place, Promise};
use crate::mac::Mac;
use crate::name::Name;
use crate::policy::decision::Verdict;
use crate::policy::{Asker as Who, DeviceIndex, GroupIndex};

/// The option by which dnsmasq and others pass a hardware address on.
const MAC_OPTION: u16 = 65001;
/// The client's network (RFC 7871); whole addresses name a device.
const SUBNET_OPTION: u16 = 8;
/// Nobody's: the locally administered bit is set.
const MADE_UP: Mac = Mac([0x02, 0x53, 0x47, 0x00, 0x00, 0x01]);
/// Nobody's either (RFC 5737).
const DOCUMENTATION: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Somebody else's identity.
struct Pose {
    option: EdnsData,
    who: Who,
}

/// What the check needs beside the place.
pub(super) struct Inputs<'a> {
    /// Names that groups may be answered differently about.
    pub names: &'a [Name],
    /// A device of another group, if somebody gave one.
    pub posing_as: Option<Mac>,
    /// Whether this place's word on who asked is believed.
    pub is_router: bool,
}

/// The one check.
pub(super) fn check(place: &Place, inputs: &Inputs<'_>) -> Check {
    let judgement = match &place.promise {
        _ if inputs.is_router => not_tested(
            "this address is listed in `clients.routers`, so its word on who asked counts; \
             test from a device behind it",
        ),
        Some(promise) => here(place, promise, inputs),
        None => elsewhere(place, inputs),
    };
    Check::new("identity", "another's identity", judgement)
}

/// One device's hardware address and one network's, where there are such.
fn here(place: &Place, promise: &Promise, inputs: &Inputs<'_>) -> Judgement {
    let mut tried = Vec::new();
    for pose in poses(promise, inputs.posing_as) {
        let code = pose.option.0;
        let differs = |name: &&Name| differs(promise, pose.who, name);
        let Some(name) = inputs.names.iter().find(differs) else {
            continue;
        };
        if tried.contains(&code) {
            continue;
        }
        tried.push(code);
        if let Some(judgement) = compare(place, &[name], &[pose.option]) {
            return judgement;
        }
    }
    if tried.is_empty() {
        return not_tested("no other group is answered differently about any name that was tried");
    }
    ok("claimed, and not believed")
}

fn differs(promise: &Promise, who: Who, name: &Name) -> bool {
    let (mine, theirs) = (promise.decision(name), promise.decision_for(who, name));
    let mode = |who: Who| promise.policy.group(who.group).map(|g| g.safe_search);
    let other_mode = mode(promise.who) != mode(who);
    mine.verdict != theirs.verdict || (mine.verdict == Verdict::Rewrite && other_mode)
}

fn elsewhere(place: &Place, inputs: &Inputs<'_>) -> Judgement {
    let mac = inputs.posing_as.unwrap_or(MADE_UP);
    let names: Vec<&Name> = inputs.names.iter().collect();
    let options = [mac_option(mac), subnet_option(DOCUMENTATION)];
    let found = compare(place, &names, &options);
    found.unwrap_or_else(|| match inputs.posing_as {
        Some(_) => ok("claimed, and not believed"),
        None => not_tested(
            "a made-up hardware address changes nothing, which may be chance; name that of a \
             device of another group with --posing-as",
        ),
    })
}

/// Asks plainly and with the options; a failure if they differ.
fn compare(place: &Place, names: &[&Name], options: &[EdnsData]) -> Option<Judgement> {
    for name in names {
        let ask = |options| place.asker.ask_with(Way::Udp, *name, A, options);
        let (plain, posing) = match (ask(&[]), ask(options)) {
            (Ok(plain), Ok(posing)) => (plain, posing),
            (Err(silence), _) => return Some(not_tested(silence.in_words())),
            (_, Err(silence)) => {
                let said = format!("with EDNS options, {}", silence.in_words());
                return Some(failed(said));
            }
        };
        if plain.kind() != posing.kind() {
            return Some(failed(
                "whoever sends another's hardware or network address is taken for him; the \
                 router must strip them (dnsmasq: strip-mac, strip-subnet), and `clients.routers` \
                 must list routers only",
            ));
        }
    }
    None
}

/// Devices and networks of other groups.
fn poses(promise: &Promise, posing_as: Option<Mac>) -> Vec<Pose> {
    let policy = &promise.policy;
    let mut poses = Vec::new();
    let group = |group: Option<u16>| group.map_or(policy.unknown, GroupIndex);
    for (row, device) in (0..).zip(policy.devices.devices()) {
        let wanted = posing_as.is_none_or(|mac| device.macs.contains(&mac));
        let who = Who {
            group: group(device.group),
            device: Some(DeviceIndex(row)),
        };
        if let Some(mac) = device.macs.first().filter(|_| wanted && who != promise.who) {
            poses.push(Pose {
                option: mac_option(*mac),
                who,
            });
        }
    }
    for (network, group) in policy.networks.iter() {
        let who = Who {
            group,
            device: None,
        };
        if posing_as.is_none() && group != promise.who.group {
            poses.push(Pose {
                option: subnet_option(network.address()),
                who,
            });
        }
    }
    poses
}

fn mac_option(mac: Mac) -> EdnsData {
    (MAC_OPTION, mac.0.to_vec())
}

/// The whole address (RFC 7871 section 6).
fn subnet_option(address: IpAddr) -> EdnsData {
    let mut value = match address {
        IpAddr::V4(_) => vec![0, 1, 32, 0],
        IpAddr::V6(_) => vec![0, 2, 128, 0],
    };
    match address {
        IpAddr::V4(v4) => value.extend(v4.octets()),
        IpAddr::V6(v6) => value.extend(v6.octets()),
    }
    (SUBNET_OPTION, value)
}
