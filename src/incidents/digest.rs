//! What is left of a day for good: numbers without a name and without a device.
//!
//! Rows go at the end of their retention, and a termly report must not need
//! them. A digest counts a finished day's incidents by theme, group, outcome and
//! hours; it stands in `state/incidents/` and is made again from the day as long
//! as that is there.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::lists::category::Theme;
use crate::policy::decision::Verdict;
use crate::querylog::visits::Incident;

use super::hours::SchoolHours;

/// A day in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayDigest {
    /// Which day.
    pub date: Date,
    /// Whether school was in session at some time of it.
    pub school_day: bool,
    /// The cells that are not empty, in order.
    pub cells: Vec<Cell>,
    /// How many devices had a sensitive incident.
    pub sensitive_devices: u64,
    /// How many devices had an incident that is not background.
    pub devices: u64,
}

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The theme.
    pub theme: Theme,
    /// The group.
    pub group: String,
    /// The outcome.
    pub action: Verdict,
    /// In school hours.
    pub school_hours: bool,
    /// Mandatory hits.
    pub mandatory: bool,
    /// What pages and devices do by themselves.
    pub background: bool,
    /// How many incidents.
    pub incidents: u64,
    /// How many look-ups.
    pub lookups: u64,
    /// How many devices.
    pub devices: u64,
}

impl DayDigest {
    /// Counts a day.
    #[must_use]
    pub fn of(date: Date, incidents: &[Incident], hours: &SchoolHours) -> Self {
        use std::collections::{BTreeMap, BTreeSet};
        type Key<'i> = (Theme, &'i str, &'static str, bool, bool, bool);
        let mut cells: BTreeMap<Key<'_>, (u64, u64, BTreeSet<&str>, Verdict)> = BTreeMap::new();
        let (mut sensitive, mut all) = (BTreeSet::new(), BTreeSet::new());
        for incident in incidents {
            let key = (
                incident.theme,
                &*incident.group,
                incident.action.id(),
                hours.has(incident.first),
                incident.mandatory,
                incident.background,
            );
            let cell = cells
                .entry(key)
                .or_insert((0, 0, BTreeSet::new(), incident.action));
            cell.0 += 1;
            cell.1 += incident.count;
            let Some(device) = incident.device.as_deref() else {
                continue;
            };
            cell.2.insert(device);
            if !incident.background {
                all.insert(device);
            }
            if super::interest::is_sensitive(incident) {
                sensitive.insert(device);
            }
        }
        let cells = cells.into_iter().map(|(key, cell)| Cell {
            theme: key.0,
            group: key.1.to_owned(),
            action: cell.3,
            school_hours: key.3,
            mandatory: key.4,
            background: key.5,
            incidents: cell.0,
            lookups: cell.1,
            devices: cell.2.len() as u64,
        });
        Self {
            date,
            school_day: hours.has_some_of(date),
            cells: cells.collect(),
            sensitive_devices: sensitive.len() as u64,
            devices: all.len() as u64,
        }
    }
}
