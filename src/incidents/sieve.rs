//! What somebody wants, put in the numbers of one day, so that months are gone
//! through in milliseconds. It says of each incident what [`Wanted::wants`]
//! says; a test holds the two together.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::lists::category::Category;

use super::collapse::Short;
use super::hours::SchoolHours;
use super::wanted::Wanted;
use super::words::{Ids, Words};

/// A filter over one day.
pub(super) struct Sieve<'w> {
    wanted: &'w Wanted,
    hours: &'w SchoolHours,
    since: i64,
    until: i64,
    /// Whose; none for anybody's.
    clients: Option<BTreeSet<u32>>,
    /// Any of these.
    ids: Option<Ids>,
}

impl<'w> Sieve<'w> {
    /// `devices` are what incidents call those with the wanted MAC or address.
    pub(super) fn new(
        wanted: &'w Wanted,
        devices: &[String],
        hours: &'w SchoolHours,
        words: &Words,
    ) -> Self {
        let text = |number| words.texts().text(number);
        let is_device = |device: u32, name: u32| {
            let wanted = wanted.device.as_deref();
            wanted.is_none_or(|wanted| {
                text(device) == wanted
                    || text(name).eq_ignore_ascii_case(wanted)
                    || devices.iter().any(|known| known == text(device))
            })
        };
        let is_group = |group: u32| wanted.group.as_deref().is_none_or(|g| g == text(group));
        let some = wanted.device.is_some() || wanted.group.is_some();
        let clients = some
            .then(|| words.clients(|who| is_device(who.device, who.name) && is_group(who.group)));
        let ids = wanted
            .category
            .map(|category| words.set_of(|id| Category::named(id) == Some(category)));
        Self {
            wanted,
            hours,
            since: wanted.since.map_or(i64::MIN, Timestamp::as_microsecond),
            until: wanted.until.map_or(i64::MAX, Timestamp::as_microsecond),
            clients: clients.map(|all| all.into_iter().collect()),
            ids,
        }
    }

    /// Whether the incident is wanted.
    pub(super) fn lets_through(&self, incident: &Short) -> bool {
        let Wanted {
            theme,
            sensitive_only,
            action,
            mandatory_only,
            school_hours,
            hide_background,
            ..
        } = *self.wanted;
        (self.since..self.until).contains(&incident.first)
            && !(hide_background && incident.background)
            && (!mandatory_only || incident.mandatory)
            && (!sensitive_only || incident.is_sensitive())
            && theme.is_none_or(|theme| theme == incident.theme)
            && action.is_none_or(|action| action == incident.action)
            && self.ids.is_none_or(|ids| ids & incident.ids != 0)
            && self
                .clients
                .as_ref()
                .is_none_or(|all| all.contains(&incident.client))
            && school_hours.is_none_or(|within| self.is_in_hours(incident) == within)
    }

    fn is_in_hours(&self, incident: &Short) -> bool {
        let first = Timestamp::from_microsecond(incident.first).unwrap_or_default();
        self.hours.has(first)
    }
}
