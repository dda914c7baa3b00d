//! The numbers of the first page: what is new, where, and which way it goes.
//!
//! Only sensitive incidents count (see [`super::interest`]). A school's week is
//! compared with the last one up to the same hour, because on a Tuesday every
//! week looks quieter than the one before.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::lists::category::Theme;
use crate::querylog::read::Unreadable;
use crate::querylog::visits::Incident;

use super::interest::is_sensitive;

/// Days of the trend.
pub const TREND_DAYS: i64 = 28;
/// So many sensitive incidents in a week are repeated attempts.
pub const REPEATED: u64 = 3;
/// Devices shown at most.
pub const MOST_DEVICES: usize = 10;

/// What the first page says.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Sensitive incidents of today.
    pub today: u64,
    /// Of yesterday.
    pub yesterday: u64,
    /// Of this week, Monday to now.
    pub this_week: u64,
    /// Of last week up to the same day and hour.
    pub last_week_so_far: u64,
    /// Of last week in full.
    pub last_week: u64,
    /// Mandatory hits of the last seven days: one of a Sunday evening is still to
    /// be seen on Monday.
    pub mandatory_seven_days: u64,
    /// This week's devices, most incidents first, at most [`MOST_DEVICES`].
    pub devices: Vec<DeviceCount>,
    /// This week's and last week's (to the same hour) by group, most first.
    pub groups: Vec<(String, Compared)>,
    /// The same by theme, gravest first.
    pub themes: Vec<(Theme, Compared)>,
    /// The last [`TREND_DAYS`] days with today, oldest first.
    pub trend: Vec<DayCount>,
    /// Devices with [`REPEATED`] or more sensitive incidents in the last seven
    /// days, most first, at most [`MOST_DEVICES`].
    pub repeated: Vec<DeviceCount>,
    /// The newest sensitive incidents, newest first, at most
    /// [`MOST_DEVICES`].
    pub newest: Vec<Incident>,
    /// Days of the trend that cannot be read.
    pub damaged: Vec<Unreadable>,
}

/// A number of this week and of the last up to the same hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Compared {
    /// Of this week.
    pub now: u64,
    /// Of last week up to the same day and hour.
    pub before: u64,
}

/// A device and its incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCount {
    /// As [`Incident::device`]; none for the look-ups of groups whose log
    /// leaves devices out.
    pub device: Option<String>,
    /// What it was called last.
    pub name: Option<String>,
    /// Its group.
    pub group: String,
    /// How many incidents.
    pub incidents: u64,
    /// The last one.
    pub last: Timestamp,
    /// By theme, gravest first.
    pub themes: Vec<(Theme, u64)>,
}

/// A day of the trend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCount {
    /// Which.
    pub date: Date,
    /// Sensitive incidents.
    pub incidents: u64,
    /// How many devices had one.
    pub devices: u64,
    /// By theme, gravest first.
    pub themes: Vec<(Theme, u64)>,
}

impl Overview {
    /// Counts the incidents of `days`, oldest first, the last of which is today.
    pub(super) fn of(days: &[(Date, Vec<Incident>)], now: Timestamp, zone: &TimeZone) -> Self {
        let weeks = Weeks::around(now, zone);
        let mut overview = Self::default();
        let (mut this_week, mut seven_days) = (ByDevice::default(), ByDevice::default());
        let mut groups: BTreeMap<String, Compared> = BTreeMap::new();
        let mut themes: BTreeMap<Theme, Compared> = BTreeMap::new();
        for (date, incidents) in days {
            let mut of_day = ByDevice::default();
            for incident in incidents.iter().filter(|i| is_sensitive(i)) {
                let first = incident.first;
                of_day.add(incident);
                if first > weeks.seven_days_ago {
                    seven_days.add(incident);
                    overview.mandatory_seven_days += u64::from(incident.mandatory);
                }
                let week = (weeks.this <= first, weeks.last <= first);
                let so_far = week == (false, true) && first <= weeks.last_so_far;
                overview.last_week += u64::from(week == (false, true));
                overview.last_week_so_far += u64::from(so_far);
                if week.0 {
                    overview.this_week += 1;
                    this_week.add(incident);
                }
                if week.0 || so_far {
                    let group = groups.entry(incident.group.clone()).or_default();
                    group.add(week.0);
                    themes.entry(incident.theme).or_default().add(week.0);
                }
            }
            overview.trend.push(of_day.into_day(*date));
        }
        let mut newest_days = overview.trend.iter().rev().map(|day| day.incidents);
        overview.today = newest_days.next().unwrap_or_default();
        overview.yesterday = newest_days.next().unwrap_or_default();
        overview.devices = this_week.most_first(1);
        seven_days.0.retain(|(device, _), _| device.is_some());
        overview.repeated = seven_days.most_first(REPEATED);
        overview.groups = groups.into_iter().collect();
        overview
            .groups
            .sort_by_key(|(_, compared)| Reverse(*compared));
        overview.themes = themes.into_iter().collect();
        let newest = days.iter().rev().flat_map(|(_, all)| all.iter().rev());
        let newest = newest.filter(|i| is_sensitive(i)).take(MOST_DEVICES);
        overview.newest = newest.cloned().collect();
        overview
    }
}

impl Compared {
    fn add(&mut self, this_week: bool) {
        if this_week {
            self.now += 1;
        } else {
            self.before += 1;
        }
    }
}

/// Where the weeks begin.
struct Weeks {
    this: Timestamp,
    last: Timestamp,
    /// Now, a week ago by the wall.
    last_so_far: Timestamp,
    seven_days_ago: Timestamp,
}

impl Weeks {
    fn around(now: Timestamp, zone: &TimeZone) -> Self {
        let wall = now.to_zoned(zone.clone());
        let since_monday = i64::from(wall.weekday().to_monday_zero_offset());
        let start = |days: i64| {
            let day = wall.date().saturating_sub(days.days());
            let start = day.to_zoned(zone.clone());
            start.map_or(Timestamp::MIN, |start| start.timestamp())
        };
        let week_ago = wall.saturating_sub(7.days()).timestamp();
        Self {
            this: start(since_monday),
            last: start(since_monday + 7),
            last_so_far: week_ago,
            seven_days_ago: week_ago,
        }
    }
}

/// Incidents by device.
#[derive(Default)]
struct ByDevice<'i>(BTreeMap<(Option<&'i str>, &'i str), Vec<&'i Incident>>);

impl<'i> ByDevice<'i> {
    fn add(&mut self, incident: &'i Incident) {
        // Where the log leaves devices out there is the group alone.
        let group = match incident.device {
            Some(_) => "",
            None => &incident.group,
        };
        let key = (incident.device.as_deref(), group);
        self.0.entry(key).or_default().push(incident);
    }

    /// Those with at least `least`.
    fn most_first(&self, least: u64) -> Vec<DeviceCount> {
        let all = self.0.values().filter_map(|all| DeviceCount::of(all));
        let mut all: Vec<DeviceCount> = all.filter(|d| d.incidents >= least).collect();
        all.sort_by_key(|device| Reverse((device.incidents, device.last)));
        all.truncate(MOST_DEVICES);
        all
    }

    fn into_day(self, date: Date) -> DayCount {
        let all = || self.0.values().flatten().copied();
        let devices = self.0.keys().filter(|(device, _)| device.is_some());
        DayCount {
            date,
            incidents: all().count() as u64,
            devices: devices.count() as u64,
            themes: by_theme(all()),
        }
    }
}

impl DeviceCount {
    fn of(incidents: &[&Incident]) -> Option<Self> {
        let last = incidents.iter().max_by_key(|incident| incident.first)?;
        Some(Self {
            device: last.device.clone(),
            name: last.device_name.clone(),
            group: last.group.clone(),
            incidents: incidents.len() as u64,
            last: last.first,
            themes: by_theme(incidents.iter().copied()),
        })
    }
}

fn by_theme<'i>(incidents: impl Iterator<Item = &'i Incident>) -> Vec<(Theme, u64)> {
    let mut themes = BTreeMap::new();
    for incident in incidents {
        *themes.entry(incident.theme).or_default() += 1;
    }
    themes.into_iter().collect()
}
