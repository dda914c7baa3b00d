//! Which incidents somebody wants to read.
//!
//! Filters apply to finished incidents, never to the rows they are made of: an
//! incident has the same count whichever filter found it.

use jiff::Timestamp;

use crate::lists::category::{Category, Theme};
use crate::policy::decision::Verdict;
use crate::querylog::visits::Incident;

use super::hours::SchoolHours;

/// Which incidents. The default is all of them but background traffic.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Begun from this instant on.
    pub since: Option<Timestamp>,
    /// Begun before this instant.
    pub until: Option<Timestamp>,
    /// Of this group.
    pub group: Option<String>,
    /// Of the device with this id, name (in any case), MAC or address.
    pub device: Option<String>,
    /// With this category among theirs.
    pub category: Option<Category>,
    /// Of this theme.
    pub theme: Option<Theme>,
    /// Of any theme of [`super::interest::SENSITIVE`], or mandatory.
    pub sensitive_only: bool,
    /// With this outcome. What is plainly allowed is no incident: see
    /// [`super::interest`].
    pub action: Option<Verdict>,
    /// Mandatory hits alone.
    pub mandatory_only: bool,
    /// Begun in school hours, or out of them.
    pub school_hours: Option<bool>,
    /// Without what pages and devices ask by themselves. A mandatory hit is
    /// never background.
    pub hide_background: bool,
    /// Reviewed by somebody, or by nobody yet.
    pub reviewed: Option<bool>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            group: None,
            device: None,
            category: None,
            theme: None,
            sensitive_only: false,
            action: None,
            mandatory_only: false,
            school_hours: None,
            hide_background: true,
            reviewed: None,
        }
    }
}

impl Wanted {
    /// Whether this incident is wanted, as far as it can say that itself:
    /// whether it was reviewed is asked of the casework.
    #[must_use]
    pub fn wants(&self, incident: &Incident, hours: &SchoolHours) -> bool {
        let device = |wanted: &String| {
            incident.device.as_ref() == Some(wanted)
                || incident
                    .device_name
                    .as_ref()
                    .is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        };
        let category = |wanted: Category| {
            let mut ids = incident.categories.iter();
            ids.any(|id| Category::named(id) == Some(wanted))
        };
        self.since.is_none_or(|since| incident.first >= since)
            && self.until.is_none_or(|until| incident.first < until)
            && self.group.as_ref().is_none_or(|g| *g == incident.group)
            && self.device.as_ref().is_none_or(device)
            && self.category.is_none_or(category)
            && self.theme.is_none_or(|theme| theme == incident.theme)
            && (!self.sensitive_only || super::interest::is_sensitive(incident))
            && self.action.is_none_or(|action| action == incident.action)
            && (!self.mandatory_only || incident.mandatory)
            && !(self.hide_background && incident.background)
            && self
                .school_hours
                .is_none_or(|within| hours.has(incident.first) == within)
    }
}

/// Which part of a long list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What comes after the part before; none for the newest.
    pub before: Option<Cursor>,
    /// At most so many.
    pub size: usize,
}

impl Page {
    /// The newest `size`.
    #[must_use]
    pub fn first(size: usize) -> Self {
        Self { before: None, size }
    }

    /// Where the page ends, in microseconds, not included.
    pub(super) fn end(self) -> i64 {
        self.before.map_or(i64::MAX, |cursor| cursor.0)
    }
}

/// Where to go on: a time in microseconds, which may stand in a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);
