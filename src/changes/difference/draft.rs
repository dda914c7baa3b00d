//! A policy on its way from before to after, one part of the change at a time.
//!
//! It is what was typed, and not what is meant, because a part is about what
//! somebody typed. Exceptions are taken apart, one for each group or device:
//! that decides nothing otherwise, and each can then come and go by itself.
//! Devices name their group by its id, for groups come and go too.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use jiff::tz::TimeZone;

use crate::configuration::Typed;
use crate::devices::inventory::Device;
use crate::mac::Mac;
use crate::policy::document::{PolicyDocument, TypedException};

/// A policy on its way.
#[derive(Clone)]
pub(super) struct Draft {
    /// What is typed; its zone is UTC, so that an instant is a wall's time.
    pub(super) document: PolicyDocument,
    /// The devices, by id in lower case.
    pub(super) rows: Rc<Rows>,
}

/// Devices by their ids in lower case.
pub(super) type Rows = BTreeMap<String, Row>;

/// By what a device is known, and what it is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its hardware addresses, in order.
    pub(super) macs: Vec<Mac>,
    /// Its fixed addresses, in order.
    pub(super) ips: Vec<IpAddr>,
    /// The secret it names itself by, in lower case.
    pub(super) client_id: Option<String>,
    /// The id of its group; without one its network decides.
    pub(super) group: Option<String>,
}

impl Draft {
    /// What is typed on one side of a change.
    pub(super) fn of(typed: &Typed) -> Self {
        let mut document = typed.document.clone();
        document.exceptions = typed.document.exceptions.iter().flat_map(atoms).collect();
        document.zone = TimeZone::UTC;
        let devices = typed.devices.devices().iter();
        let rows = devices.map(|device| (key(&device.id), Row::of(device, &typed.document)));
        Self {
            document,
            rows: Rc::new(rows.collect()),
        }
    }
}

impl Row {
    /// The row of a device whose group is one of `document`.
    pub(super) fn of(device: &Device, document: &PolicyDocument) -> Self {
        let group = device
            .group
            .and_then(|g| document.groups.get(usize::from(g)));
        let (mut macs, mut ips) = (device.macs.clone(), device.ips.clone());
        macs.sort_unstable();
        ips.sort_unstable();
        Self {
            macs,
            ips,
            client_id: device.client_id.as_deref().map(str::to_ascii_lowercase),
            group: group.map(|group| group.id.value.clone()),
        }
    }
}

/// A device's id as it is compared (D20).
pub(super) fn key(id: &str) -> String {
    id.to_ascii_lowercase()
}

/// An exception for several, as one for each.
pub(super) fn atoms(exception: &TypedException) -> Vec<TypedException> {
    let for_group = exception.groups.iter().map(|group| TypedException {
        groups: vec![group.clone()],
        devices: Vec::new(),
        ..exception.clone()
    });
    let for_device = exception.devices.iter().map(|device| TypedException {
        groups: Vec::new(),
        devices: vec![device.clone()],
        ..exception.clone()
    });
    for_group.chain(for_device).collect()
}
