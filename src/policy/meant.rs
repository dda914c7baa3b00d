//! Groups and exceptions as meant: every reference an index, every rule said
//! that goes without saying.
//!
//! Apart from `compile.rs`, which also says what is wrong, because a change is
//! judged by what both its sides mean and has no lists for either.

use super::document::{PolicyDocument, TypedException, TypedGroup, illegal};
use super::group::{During, Exception, Exceptions, Group, Networks, SafeSearch};
use super::{DeviceIndex, GroupIndex};
use crate::devices::inventory::Inventory;
use crate::document::Placed;
use crate::lists::category::{Category, CategorySet};

/// What the groups of a document and its exceptions mean.
pub struct Meant {
    /// The groups, in the order of the document.
    pub groups: Box<[Group]>,
    /// The group of whoever is not known.
    pub unknown: GroupIndex,
    /// Which addresses belong to which group.
    pub networks: Networks,
    /// The exceptions.
    pub exceptions: Exceptions,
}

impl Meant {
    /// Only for what has no mistakes: then every reference is good.
    #[must_use]
    pub fn of(document: &PolicyDocument, devices: &Inventory) -> Self {
        let unknown = document.unknown.as_ref();
        let unknown = unknown.and_then(|id| document.group_named(&id.value));
        let unknown = unknown.unwrap_or(GroupIndex(0));
        let groups = document.groups.iter().map(|g| group(g, unknown, document));
        let networks = document.groups.iter().zip(0..).flat_map(|(group, index)| {
            let networks = group.networks.iter();
            networks.map(move |network| (network.value, GroupIndex(index)))
        });
        let exceptions = document.exceptions.iter();
        let exceptions = exceptions.map(|e| exception(e, unknown, document, devices));
        Self {
            groups: groups.collect(),
            unknown,
            networks: Networks::new(networks.collect()),
            exceptions: Exceptions::new(exceptions.collect()),
        }
    }
}

/// What a group blocks at every hour, said or not.
pub(super) fn always_blocked(group: &TypedGroup) -> CategorySet {
    // Nobody needs to say it of illegal content, nor can leave it out.
    let blocked = group.block.union(illegal());
    match (group.safe_search, Category::named("search_no_safesearch")) {
        // an engine that cannot be held to a safe mode is a way round it.
        (SafeSearch::Strict, Some(without)) => blocked.with(without),
        _ => blocked,
    }
}

/// The rules of a disabled group are those of the unknown (M14).
fn group(typed: &TypedGroup, unknown: GroupIndex, document: &PolicyDocument) -> Group {
    let stand_in = document.groups.get(usize::from(unknown.0));
    let rules = match stand_in {
        Some(stand_in) if !typed.enabled => stand_in,
        _ => typed,
    };
    let during = rules.during.iter().filter_map(|during| {
        let id = &during.timetable.value;
        let mut timetables = document.timetables.iter();
        let timetable = timetables.position(|t| *t.value.id == **id)?;
        let (add, remove) = if during.blocks {
            (during.categories, CategorySet::EMPTY)
        } else {
            (CategorySet::EMPTY, during.categories)
        };
        Some(During {
            timetable,
            add,
            remove,
        })
    });
    Group {
        id: typed.id.value.as_str().into(),
        enabled: typed.enabled,
        block: always_blocked(rules),
        during: during.collect(),
        safe_search: rules.safe_search,
        canaries: rules.canaries,
        ech: rules.ech,
        answer: rules.answer.value,
        log: rules.log,
        override_minutes: rules.override_minutes,
    }
}

fn exception(
    typed: &TypedException,
    unknown: GroupIndex,
    document: &PolicyDocument,
    devices: &Inventory,
) -> Exception {
    let named = |group: GroupIndex| {
        let id = document
            .groups
            .get(usize::from(group.0))
            .map(|g| &g.id.value);
        typed.groups.iter().any(|named| Some(&named.value) == id)
    };
    let bits = document.groups.iter().zip(0..).filter(|(group, index)| {
        let rules = if group.enabled {
            GroupIndex(*index)
        } else {
            unknown
        };
        named(rules)
    });
    let index = |id: &Placed<String>| devices.by_id(&id.value).map(DeviceIndex);
    let place = &typed.name.place;
    Exception {
        name: typed.name.value.clone(),
        scope: typed.scope,
        allows: typed.allows,
        groups: bits.fold(0, |all, (_, index)| all | 1 << index),
        devices: typed.devices.iter().filter_map(index).collect(),
        expires: typed.expires,
        reason: typed.reason.as_str().into(),
        requested_by: typed.requested_by.as_deref().map(Into::into),
        place: format!("{}:{}", place.file, place.line).into(),
    }
}
