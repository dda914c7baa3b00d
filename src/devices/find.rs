//! From what is known of who asked to one device and its group.
//!
//! Inventory first, then leases, then the networks of the groups, then the
//! group for the unknown: there is always an answer, and no answer is "no
//! group" (M6). An address that belongs to the router, not to the device, is
//! never looked up as a device's; its network still counts.
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
    let (group, grouped_by) = row_group
        .map(|group| (group, GroupedBy::Device))
        .or_else(|| Some((networks(identity.ip)?, GroupedBy::Network)))
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

/// What the router wrote, then what the client is called, then its address,
/// then its lease. Those that name another device are a conflict.
fn device_of(
    identity: &Identity<'_>,
    mac: Option<Mac>,
    inventory: &Inventory,
    conflict: &mut bool,
) -> Option<u32> {
    let by_mac = mac.and_then(|mac| inventory.by_mac(mac));
    let called = identity.client_id.and_then(|id| inventory.by_client_id(id));
    let by_umbrella = identity
        .umbrella_device
        .and_then(|device| inventory.by_umbrella(device));
    let by_ip = if identity.behind_router {
        None
    } else {
        by_address(identity.ip, mac, inventory, conflict)
    };
    let in_order = if identity.mac.is_some() {
        [by_mac, called, by_umbrella, by_ip]
    } else {
        [called, by_umbrella, by_ip, by_mac]
    };
    let mut found = in_order.into_iter().flatten();
    let device = found.next()?;
    *conflict |= found.any(|other| other != device);
    Some(device)
}

/// The row that has this address, unless the row also has hardware addresses
/// and the one that asks is none of them: then somebody else holds it now.
fn by_address(
    ip: IpAddr,
    mac: Option<Mac>,
    inventory: &Inventory,
    conflict: &mut bool,
) -> Option<u32> {
    let row = inventory.by_ip(ip)?;
    let macs = &inventory.device(row)?.macs;
    if mac.is_some_and(|mac| !macs.is_empty() && !macs.contains(&mac)) {
        *conflict = true;
        return None;
    }
    Some(row)
}
