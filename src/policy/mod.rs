//! The school's policy as one value, and what it decides.
//!
//! A [`Policy`] is everything a decision needs: groups, exceptions, timetables,
//! devices and the compiled lists. It is immutable and numbered; the live one
//! is replaced whole, by `changes/activation.rs` alone, and every log row
//! carries the number of the one that decided. Nothing in here opens a file,
//! reads a clock or takes a lock: same arguments, same answer.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod compile;
pub mod decide;
pub mod decision;
pub mod document;
pub mod explain;
pub mod group;
pub mod timetable;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::devices::inventory::Inventory;
use crate::lists::lookup::Lists;
use group::{Exceptions, Group, Networks};
use timetable::Timetable;

/// One policy, valid and complete.
pub struct Policy {
    /// Counts activations; 0 has never been live.
    pub number: u64,
    /// The school's name.
    pub school: Box<str>,
    /// The zone of its timetables and its log days.
    pub zone: TimeZone,
    /// Who must agree to a change of it.
    pub rule: document::ChangeRule,
    /// The groups; a device belongs to exactly one.
    pub groups: Box<[Group]>,
    /// The group of whoever is not known.
    pub unknown: GroupIndex,
    /// Which addresses belong to which group.
    pub networks: Networks,
    /// The named periods that groups refer to.
    pub timetables: Box<[Timetable]>,
    /// The school's own word on single names.
    pub exceptions: Exceptions,
    /// The school's devices.
    pub devices: Inventory,
    /// The compiled lists.
    pub lists: Arc<Lists>,
    /// No true clock can be earlier than this: when the lists were compiled. An
    /// earlier one is not trusted (R-133g).
    pub not_before: Timestamp,
}

/// Index into [`Policy::groups`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupIndex(pub u16);

/// Index into the inventory's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceIndex(pub u32);

/// Who a decision is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Its group.
    pub group: GroupIndex,
    /// Its device, if the inventory has it.
    pub device: Option<DeviceIndex>,
}
