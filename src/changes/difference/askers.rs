//! Whoever asks, before and after a change: is everybody held at least as
//! strictly?
//!
//! Somebody who asks is a packet: an address, and perhaps a hardware address, a
//! name that the device gives itself, a number. `devices/find.rs` makes a device
//! and a group of it, by whatever comes first. When a row of the inventory
//! comes, goes or is known by something else, the same packet may be somebody
//! else's. So for each thing that means another device than before, everybody
//! whom such a packet could have been before is compared with everybody whom it
//! may be after. Too many rather than too few: what is compared in vain makes a
//! change wait, what is not compared could let it through.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::draft::Row;
use super::ground::Ground;
use super::strictness::{Side, Treated, at_least, rules_at_least, stance_at_least};
use crate::mac::Mac;
use crate::policy::{DeviceIndex, GroupIndex};

/// What a device is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Its hardware address.
    Mac(Mac),
    /// Its fixed address.
    Ip(IpAddr),
    /// What it calls itself: its secret, or its id if it has none.
    Called(String),
    /// Its id as Cisco Umbrella writes it.
    Umbrella(String),
}

/// A device, as far as it matters who it may be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a row each by itself, and no states of one thing"
)]
struct Known {
    group: Option<GroupIndex>,
    device: Option<DeviceIndex>,
    has_secret: bool,
    has_number: bool,
    has_macs: bool,
    has_ips: bool,
}

/// Where an address belongs, before and after.
type Place = (GroupIndex, GroupIndex);

/// Whether everybody is held at least as strictly by `new` as by `old`.
pub(super) fn all_at_least(new: &Side, old: &Side, ground: &Ground) -> bool {
    if !same_askers_at_least(new, old, ground) {
        return false;
    }
    let Some(others) = other_askers(new, old, ground) else {
        return false;
    };
    let mut others = others.into_iter();
    others.all(|(was, is)| at_least((new, is), (old, was), ground))
}

/// Of those who are in the same group as before. One that is on one side alone
/// has nobody in it there, or they are others.
fn same_askers_at_least(new: &Side, old: &Side, ground: &Ground) -> bool {
    let both = new.groups();
    let both: Vec<_> = both
        .filter_map(|(is, group)| Some((old.group(&group.id)?, is)))
        .collect();
    let mut of_rules = both.iter();
    let mut of_names = ground.asked.iter();
    of_rules.all(|(was, is)| rules_at_least((new, *is), (old, *was)))
        && of_names.all(|asked| {
            let devices = || asked.devices.iter().copied().map(Some).chain([None]);
            let mut pairs = both
                .iter()
                .flat_map(|pair| devices().map(move |d| (*pair, d)));
            pairs.all(|((was, is), device)| {
                let treated = |group| Treated { group, device };
                stance_at_least((new, treated(is)), (old, treated(was)), asked)
            })
        })
}

/// Those who are in another group, or another device. None: nothing can be said.
fn other_askers(new: &Side, old: &Side, ground: &Ground) -> Option<BTreeSet<(Treated, Treated)>> {
    let addresses = ground.addresses.iter();
    let mut places: BTreeSet<Place> = addresses.map(|at| place(new, old, *at)).collect();
    places.insert((old.meant.unknown, new.meant.unknown));
    let mut found = BTreeSet::new();
    let nobody = Known::nobody();
    found.extend(meeting(nobody, nobody, &places));
    for device in ground.mentioned.devices() {
        let rows = [old.rows.get(&device.id), new.rows.get(&device.id)];
        if rows
            .iter()
            .all(|row| row.is_some_and(|row| row.group.is_some()))
        {
            continue;
        }
        let device = ground.device(&device.id);
        let known = Known { device, ..nobody };
        found.extend(meeting(known, known, &places));
    }
    if Rc::ptr_eq(&old.rows, &new.rows) {
        return Some(found);
    }
    for (id, row) in new.rows.iter() {
        if let Some(before) = old.rows.get(id)
            && before.group != row.group
        {
            let was = Known::of(id, before, old, ground)?;
            found.extend(meeting(was, Known::of(id, row, new, ground)?, &places));
        }
    }
    other_keys(new, old, ground, &places, &mut found)?;
    Some(found)
}

/// For each key that means another device than before: whom it meant, or
/// whoever was found without it; and whom it means.
fn other_keys(
    new: &Side,
    old: &Side,
    ground: &Ground,
    all_places: &BTreeSet<Place>,
    found: &mut BTreeSet<(Treated, Treated)>,
) -> Option<()> {
    let (kinds_before, kinds_after) = (kinds(old, ground)?, kinds(new, ground)?);
    let (before, after) = (keys(old), keys(new));
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (was, is) = (before.get(key), after.get(key));
        if is_the_same(was.copied(), is.copied(), old, new, key) {
            continue;
        }
        let known = |id: Option<&&str>, side: &Side| match id {
            None => Some(None),
            Some(id) => Known::of(id, side.rows.get(*id)?, side, ground).map(Some),
        };
        let (was, is) = (known(was, old)?, known(is, new)?);
        let here;
        let places = match key {
            // Only then is an address somebody's, and so its network known.
            Key::Ip(ip) => {
                here = BTreeSet::from([place(new, old, *ip)]);
                &here
            }
            _ => all_places,
        };
        if let (Some(was), Some(is)) = (was, is) {
            found.extend(meeting(was, is, places));
        }
        if let Some(is) = is {
            let others = kinds_before
                .iter()
                .filter(|other| key.gives_way(is, **other));
            let others = others.copied().chain([Known::nobody()]);
            found.extend(others.flat_map(|other| meeting(other, is, places)));
        }
        if let Some(was) = was {
            let others = kinds_after
                .iter()
                .filter(|other| key.gives_way(was, **other));
            let others = others.copied().chain([Known::nobody()]);
            found.extend(others.flat_map(|other| meeting(was, other, places)));
        }
    }
    Some(())
}

/// Whether a key means the same device on both sides, whatever else is known.
fn is_the_same(was: Option<&str>, is: Option<&str>, old: &Side, new: &Side, key: &Key) -> bool {
    let (Some(was), Some(is)) = (was, is) else {
        return was == is;
    };
    let (Some(before), Some(after)) = (old.rows.get(was), new.rows.get(is)) else {
        return false;
    };
    // An address and a plain id count only with the right hardware address.
    let is_held = matches!(key, Key::Ip(_) | Key::Called(_));
    was == is
        && (!is_held || before.macs == after.macs)
        && before.client_id.is_some() == after.client_id.is_some()
}

fn place(new: &Side, old: &Side, at: IpAddr) -> Place {
    let of = |side: &Side| {
        side.meant
            .networks
            .group_of(at)
            .unwrap_or(side.meant.unknown)
    };
    (of(old), of(new))
}

/// Whom the one is and the other becomes, wherever they are.
fn meeting(was: Known, is: Known, places: &BTreeSet<Place>) -> Vec<(Treated, Treated)> {
    let treated = |known: Known, place: GroupIndex| Treated {
        group: known.group.unwrap_or(place),
        device: known.device,
    };
    let places = places.iter();
    places
        .map(|(old, new)| (treated(was, *old), treated(is, *new)))
        .collect()
}

fn keys(side: &Side) -> BTreeMap<Key, &str> {
    let mut all = BTreeMap::new();
    for (id, row) in side.rows.iter() {
        all.extend(row.macs.iter().map(|mac| (Key::Mac(*mac), id.as_str())));
        all.extend(row.ips.iter().map(|ip| (Key::Ip(*ip), id.as_str())));
        let called = row.client_id.as_ref().unwrap_or(id);
        all.insert(Key::Called(called.clone()), id.as_str());
        if is_number(id) {
            all.insert(Key::Umbrella(id.clone()), id.as_str());
        }
    }
    all
}

fn kinds(side: &Side, ground: &Ground) -> Option<BTreeSet<Known>> {
    let rows = side.rows.iter();
    rows.map(|(id, row)| Known::of(id, row, side, ground))
        .collect()
}

fn is_number(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Known {
    fn nobody() -> Self {
        Self {
            group: None,
            device: None,
            has_secret: false,
            has_number: false,
            has_macs: false,
            has_ips: false,
        }
    }

    fn of(id: &str, row: &Row, side: &Side, ground: &Ground) -> Option<Self> {
        let group = match &row.group {
            Some(group) => Some(side.group(group)?),
            None => None,
        };
        Some(Self {
            group,
            device: ground.device(id),
            has_secret: row.client_id.is_some(),
            has_number: is_number(id),
            has_macs: !row.macs.is_empty(),
            has_ips: !row.ips.is_empty(),
        })
    }
}

impl Key {
    /// Whether a packet by which `owner` is found could, were this key nobody's,
    /// be `other`'s: what else it says comes later in the order of
    /// `devices/find.rs`.
    fn gives_way(&self, owner: Known, other: Known) -> bool {
        match self {
            // An address and a plain id are not believed of a device that has
            // other hardware addresses.
            Self::Mac(_) => other.has_secret || other.has_number || !other.has_macs,
            Self::Called(_) if !owner.has_secret => false,
            Self::Called(_) => other.has_number || other.has_ips || other.has_macs,
            Self::Umbrella(_) => true,
            Self::Ip(_) => !other.has_secret || (!owner.has_macs && other.has_macs),
        }
    }
}
