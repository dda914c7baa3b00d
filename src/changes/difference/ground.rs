//! Where two sides of a change must be compared so that they are compared
//! everywhere.
//!
//! A timetable knows of a date only its weekday, whether it is in session, and
//! the same of the day before; of a time only which edges it has passed. An
//! exception knows of a name only which of the names written down it is or is
//! below; a network of an address only on which side of its ends it is. So a few
//! moments, names and addresses stand for all there are, and "at no time" and
//! "for no name" can be proved by asking those.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::{Date, Time, date};
use jiff::tz::TimeZone;

use super::draft::{Draft, key};
use crate::devices::inventory::Inventory;
use crate::name::{Name, NameRef};
use crate::policy::DeviceIndex;
use crate::policy::document::TypedException;
use crate::policy::group::Network;
use crate::policy::timetable::Timetable;

/// A label that no name in a policy can begin with.
const NOBODYS_LABEL: [u8; 2] = [1, b'!'];

/// A week and a day after each change of the year: every weekday with the one
/// before.
const DAYS_AFTER_AN_EDGE: usize = 8;

/// The moments, names and addresses that stand for all.
pub(super) struct Ground {
    /// Moments, as a clock on the wall would show them.
    moments: Vec<Timestamp>,
    /// The names.
    pub(super) asked: Vec<Asked>,
    /// The addresses.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Every device that an exception is for.
    pub(super) mentioned: Inventory,
    /// When a timetable holds; the same one is asked for again and again.
    kept: RefCell<Vec<(Timetable, Rc<[bool]>)>>,
}

/// One name to be asked for.
pub(super) struct Asked {
    /// The name.
    pub(super) name: Name,
    /// When: exceptions come to their ends.
    pub(super) times: Vec<Option<Timestamp>>,
    /// The devices that an exception about it is for.
    pub(super) devices: Vec<DeviceIndex>,
}

impl Ground {
    /// For what is between `before` and `after`.
    pub(super) fn of(before: &Draft, after: &Draft) -> Self {
        let exceptions: Vec<&TypedException> = [before, after]
            .into_iter()
            .flat_map(|side| &side.document.exceptions)
            .collect();
        let mentioned = mentioned(&exceptions);
        Self {
            moments: moments(before, after),
            asked: asked(&exceptions, &mentioned),
            addresses: addresses(before, after),
            mentioned,
            kept: RefCell::default(),
        }
    }

    /// Whether `timetable` holds, at each moment.
    pub(super) fn holds(&self, timetable: &Timetable) -> Rc<[bool]> {
        let mut kept = self.kept.borrow_mut();
        if let Some((_, holds)) = kept.iter().find(|(known, _)| known == timetable) {
            return Rc::clone(holds);
        }
        let moments = self.moments.iter();
        let holds = moments.map(|at| timetable.holds_at(*at, &TimeZone::UTC));
        let holds: Rc<[bool]> = holds.collect();
        kept.push((timetable.clone(), Rc::clone(&holds)));
        holds
    }

    /// How many moments there are.
    pub(super) fn moments(&self) -> usize {
        self.moments.len()
    }

    /// The device of an id, if an exception is for it.
    pub(super) fn device(&self, id: &str) -> Option<DeviceIndex> {
        self.mentioned.by_id(id).map(DeviceIndex)
    }
}

fn moments(before: &Draft, after: &Draft) -> Vec<Timestamp> {
    let sides = || [before, after].into_iter();
    let mut times = BTreeSet::from([Time::midnight()]);
    for timetable in sides().flat_map(|side| &side.document.timetables) {
        let hours = timetable.value.hours.times();
        times.extend(hours.into_iter().flat_map(|(from, to)| [from, to]));
    }
    // Any day will do before the first edge.
    let mut edges = BTreeSet::from([date(-1, 1, 1)]);
    for side in sides() {
        let year = &side.document.year;
        for dates in year.terms.iter().chain(&year.closed) {
            edges.insert(dates.first);
            edges.extend(dates.last.tomorrow().ok());
        }
    }
    let mut dates: BTreeSet<Date> = BTreeSet::new();
    for edge in edges {
        let days = std::iter::successors(Some(edge), |day| day.tomorrow().ok());
        dates.extend(days.take(DAYS_AFTER_AN_EDGE));
    }
    let walls = dates
        .iter()
        .flat_map(|day| times.iter().map(|time| day.to_datetime(*time)));
    // What no instant can show, no wall will.
    walls
        .filter_map(|wall| TimeZone::UTC.to_timestamp(wall).ok())
        .collect()
}

/// The devices, in a table of their own: their numbers are the same on both
/// sides of the change.
fn mentioned(exceptions: &[&TypedException]) -> Inventory {
    let ids = exceptions.iter().flat_map(|e| &e.devices);
    let ids: BTreeSet<String> = ids.map(|id| key(&id.value)).collect();
    // A row must not begin like a comment.
    let rows = ids
        .iter()
        .map(|id| format!("-,\"{}\"\n", id.replace('"', "\"\"")));
    let text: String = std::iter::once("kind,id\n".to_owned())
        .chain(rows)
        .collect();
    Inventory::parse("", &text, |_| None, &[]).0
}

fn asked(exceptions: &[&TypedException], mentioned: &Inventory) -> Vec<Asked> {
    let mut written: BTreeMap<&[u8], Vec<&TypedException>> = BTreeMap::new();
    for exception in exceptions {
        let name = exception.name.value.as_ref().wire();
        written.entry(name).or_default().push(exception);
    }
    let mut all = Vec::new();
    for wire in written.keys() {
        let Some(name) = NameRef::from_wire(wire) else {
            continue;
        };
        let about = name.suffixes().filter_map(|n| written.get(n.wire()));
        let about: Vec<&TypedException> = about.flatten().copied().collect();
        let mut times: BTreeSet<Option<Timestamp>> = [None, Some(Timestamp::MIN)].into();
        times.extend(about.iter().filter_map(|e| e.expires).map(Some));
        let devices = about.iter().flat_map(|e| &e.devices);
        let devices: BTreeSet<DeviceIndex> = devices
            .filter_map(|id| mentioned.by_id(&id.value).map(DeviceIndex))
            .collect();
        let below = Name::from_wire(&[&NOBODYS_LABEL, *wire].concat());
        // A name as long as names can be has nothing below it.
        for name in [Some(name.to_owned()), below].into_iter().flatten() {
            all.push(Asked {
                name,
                times: times.iter().copied().collect(),
                devices: devices.iter().copied().collect(),
            });
        }
    }
    all
}

/// Which group an address is in changes where a network begins, and behind its
/// end.
fn addresses(before: &Draft, after: &Draft) -> BTreeSet<IpAddr> {
    let groups = [before, after]
        .into_iter()
        .flat_map(|side| &side.document.groups);
    let mut all = BTreeSet::from([IpAddr::from([0; 4]), IpAddr::from([0_u16; 8])]);
    for network in groups.flat_map(|group| &group.networks) {
        all.insert(network.value.address());
        all.extend(behind(network.value));
    }
    all
}

/// The address behind the last one of `network`.
pub(super) fn behind(network: Network) -> Option<IpAddr> {
    let prefix = u32::from(network.prefix());
    match network.address() {
        IpAddr::V4(first) => {
            let size = 1_u32.checked_shl(32 - prefix)?;
            let next = first.to_bits().checked_add(size)?;
            Some(IpAddr::V4(next.into()))
        }
        IpAddr::V6(first) => {
            let size = 1_u128.checked_shl(128 - prefix)?;
            let next = first.to_bits().checked_add(size)?;
            Some(IpAddr::V6(next.into()))
        }
    }
}
