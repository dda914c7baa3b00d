//! From what is known of who asked to one device and its group.
//!
//! Inventory first, then leases, then the networks of the groups, then the
//! group for the unknown: there is always an answer, and no answer is "no
//! group" (M6). An address that belongs to the router, not to the device, is
//! never looked up as a device's; its network still counts, unless it is a
//! proxy's, which may stand anywhere.
//!
//! It runs for every packet: no allocation, no lock. Handles instead of
//! borrowed names, so that a question can wait for its answer; they belong to
//! the tables they were found in, and whoever keeps a [`Who`] keeps those too.

use std::net::IpAddr;

use jiff::Timestamp;

use super::identify::{How, Identity};
use super::inventory::Inventory;
use super::leases::Leases;
use crate::mac::Mac;

/// The device and the group of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    /// Its row of the inventory; see [`Inventory::device`].
    pub device: Option<u32>,
    /// The index of its group in the policy.
    pub group: u16,
    /// Why that group.
    pub grouped_by: GroupedBy,
    /// Its hardware address, from the router or from its lease.
    pub mac: Option<Mac>,
    /// Its address, or the router's.
    pub ip: IpAddr,
    /// Its DHCP lease; see [`Leases::host`].
    pub lease: Option<u32>,
    /// What it is known by.
    pub how: How,
    /// Whether two things known of it contradict each other; to be counted.
    pub conflict: bool,
}

/// What decided a device's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupedBy {
    /// Its row of the inventory.
    Device,
    /// The network its address is in.
    Network,
    /// Nothing: the group for unknown devices.
    Unknown,
}

/// Finds device and group. `networks` is the policy's longest-prefix look-up,
/// `unknown` its group for strangers.
pub fn find(
    identity: &Identity<'_>,
    inventory: &Inventory,
    leases: &Leases,
    networks: impl Fn(IpAddr) -> Option<u16>,
    unknown: u16,
    now: Timestamp,
) -> Who {
    let lease = lease_of(identity, leases, now);
    let mac = identity.mac.or_else(|| leases.mac(lease?));
    let mut conflict = identity.conflict;
    let device = device_of(identity, mac, inventory, &mut conflict);
    let row_group = device.and_then(|row| inventory.device(row)?.group);
    let network = || networks(identity.ip).filter(|_| !identity.untold);
    let (group, grouped_by) = row_group
        .map(|group| (group, GroupedBy::Device))
        .or_else(|| Some((network()?, GroupedBy::Network)))
        .unwrap_or((unknown, GroupedBy::Unknown));
    Who {
        device,
        group,
        grouped_by,
        mac,
        ip: identity.ip,
        lease,
        how: identity.how,
        conflict,
    }
}

/// The lease of the address, unless the router says another device holds it.
fn lease_of(identity: &Identity<'_>, leases: &Leases, now: Timestamp) -> Option<u32> {
    if identity.behind_router {
        return None;
    }
    let lease = leases.at(identity.ip, now)?;
    match (identity.mac, leases.mac(lease)) {
        (Some(told), Some(held)) if told != held => None,
        _ => Some(lease),
    }
}

/// What the router wrote, then what the client is called by a secret, then its
/// address, then its lease. A plain id comes last, for whoever knows it can say
/// it. Those that name another device are a conflict.
fn device_of(
    identity: &Identity<'_>,
    mac: Option<Mac>,
    inventory: &Inventory,
    conflict: &mut bool,
) -> Option<u32> {
    let by_mac = mac.and_then(|mac| inventory.by_mac(mac));
    let called = identity.client_id;
    let by_secret = called.and_then(|id| inventory.by_issued_id(id));
    let by_umbrella = identity
        .umbrella_device
        .and_then(|device| inventory.by_umbrella(device));
    let mut held = |row| unless_held_by_another(row, mac, inventory, conflict);
    let by_ip = if identity.behind_router {
        None
    } else {
        inventory.by_ip(identity.ip).and_then(&mut held)
    };
    let by_plain_id = match by_secret {
        Some(_) => None,
        None => called.and_then(|id| held(inventory.by_client_id(id)?)),
    };
    let in_order = if identity.mac.is_some() {
        [by_mac, by_secret, by_umbrella, by_ip, by_plain_id]
    } else {
        [by_secret, by_umbrella, by_ip, by_mac, by_plain_id]
    };
    let mut found = in_order.into_iter().flatten();
    let device = found.next()?;
    *conflict |= found.any(|other| other != device);
    Some(device)
}

/// A row that an address or a plain id leads to, unless the row also has
/// hardware addresses and the one that asks is none of them: then somebody else
/// holds the one now, or says the other.
fn unless_held_by_another(
    row: u32,
    mac: Option<Mac>,
    inventory: &Inventory,
    conflict: &mut bool,
) -> Option<u32> {
    let macs = &inventory.device(row)?.macs;
    if mac.is_some_and(|mac| !macs.is_empty() && !macs.contains(&mac)) {
        *conflict = true;
        return None;
    }
    Some(row)
}
