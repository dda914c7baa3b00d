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

pub mod alerts;
pub mod canary;
pub mod compile;
pub mod decide;
pub mod decision;
pub mod document;
pub mod explain;
pub mod group;
pub mod meant;
pub mod safe_search;
mod sieve;
pub mod timetable;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::devices::inventory::Inventory;
use crate::document::Table;
use crate::lists::lookup::Lists;
use crate::name::Name;
use canary::Canaries;
use group::{Exceptions, Group, Networks};
use safe_search::Engines;
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
    /// Within how many days a change that acted at once is to be acknowledged.
    pub acknowledge_days: u32,
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
    /// The names by which devices ask whether they may use their own DNS.
    pub canaries: Canaries,
    /// The search engines that have a safe mode.
    pub engines: Engines,
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

/// The date that a table of names says it is of.
fn dated(table: &Table<'_>) {
    let Some(date) = table.date_text("updated") else {
        if !table.has("updated") {
            table.missing("updated");
        }
        return;
    };
    if date.value.parse::<Date>().is_err() {
        let message = format!("\"{}\" is not a date; write it like 2026-11-21", date.value);
        table.complain_at(&date.place, message);
    }
}

/// A name in a table of names.
fn plain_name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|why| format!("\"{text}\" is not a name: {why}"))
}
