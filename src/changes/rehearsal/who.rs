//! Who a client of the log is under a policy and under the one that is to
//! follow.
//!
//! A row says who asked by the words of its time: a device, an address, a group.
//! A change may move the device, or the network, or rename the group; so each
//! policy is asked anew, by the inventory first, then by whatever had decided the
//! group. Rows of a group that writes no devices down have only the group.
//!
//! Only a device that some exception speaks of is told from others of its group:
//! what is decided for one of these is decided for all.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};
use crate::querylog::day_file::ClientWords;

/// Who asks, under one policy and under the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) before: Asker,
    pub(super) after: Asker,
}

/// Everybody who asked, those that are treated alike as one.
pub(super) struct Everybody<'p> {
    before: Side<'p>,
    after: Side<'p>,
    pairs: Vec<Pair>,
    numbers: HashMap<[Option<u32>; 4], u32>,
}

/// A policy, and the devices that its exceptions speak of.
struct Side<'p> {
    policy: &'p Policy,
    single: Vec<DeviceIndex>,
}

impl<'p> Everybody<'p> {
    /// Nobody has asked yet.
    pub(super) fn under((before, after): (&'p Policy, &'p Policy)) -> Self {
        Self {
            before: Side::of(before),
            after: Side::of(after),
            pairs: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// The number of a client's kind.
    pub(super) fn number(&mut self, client: &ClientWords) -> u32 {
        let pair = self.pair(client);
        let device = |asker: Asker| asker.device.map(|device| device.0);
        let group = |asker: Asker| Some(u32::from(asker.group.0));
        let (before, after) = (pair.before, pair.after);
        let key = [group(before), device(before), group(after), device(after)];
        *self.numbers.entry(key).or_insert_with(|| {
            self.pairs.push(pair);
            self.pairs.len() as u32 - 1
        })
    }

    fn pair(&self, client: &ClientWords) -> Pair {
        let (before, after) = (&self.before, &self.after);
        let address: Option<IpAddr> = client.ip.parse().ok();
        let own = before.group_of_device(client);
        let was = own
            .or_else(|| before.group_named(&client.group))
            .unwrap_or_else(|| before.group_of_address(address));
        let by_address = before.group_of_address(address) == was && address.is_some();
        let stays = || after.group_named(&before.id(was));
        let is = after.group_of_device(client).or_else(|| {
            // What it was known by is gone, or its address decided all along.
            let anew = own.is_some() || by_address;
            if anew { None } else { stays() }
        });
        Pair {
            before: before.asker(was, client),
            after: after.asker(
                is.unwrap_or_else(|| after.group_of_address(address)),
                client,
            ),
        }
    }

    /// Those of a number.
    pub(super) fn of(&self, number: u32) -> Option<Pair> {
        self.pairs.get(number as usize).copied()
    }
}

impl<'p> Side<'p> {
    fn of(policy: &'p Policy) -> Self {
        let named = policy.exceptions.iter();
        let mut single: Vec<_> = named.flat_map(|e| e.devices.iter().copied()).collect();
        single.sort_unstable();
        single.dedup();
        Self { policy, single }
    }

    fn asker(&self, group: GroupIndex, client: &ClientWords) -> Asker {
        let device = self.policy.devices.by_id(&client.device).map(DeviceIndex);
        Asker {
            group,
            device: device.filter(|device| self.single.binary_search(device).is_ok()),
        }
    }

    fn group_of_device(&self, client: &ClientWords) -> Option<GroupIndex> {
        let devices = &self.policy.devices;
        let device = devices.device(devices.by_id(&client.device)?)?;
        device.group.map(GroupIndex)
    }

    fn group_named(&self, id: &str) -> Option<GroupIndex> {
        let mut groups = self.policy.groups.iter().zip(0..);
        let found = groups.find(|(group, _)| *group.id == *id)?;
        Some(GroupIndex(found.1))
    }

    /// Whoever has no address here is known to nobody.
    fn group_of_address(&self, address: Option<IpAddr>) -> GroupIndex {
        let by_network = address.and_then(|address| self.policy.networks.group_of(address));
        by_network.unwrap_or(self.policy.unknown)
    }

    fn id(&self, group: GroupIndex) -> Box<str> {
        let group = self.policy.group(group);
        group.map(|group| group.id.clone()).unwrap_or_default()
    }
}
