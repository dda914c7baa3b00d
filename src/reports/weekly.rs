//! The safeguarding lead's week on one page: what is new, where, which way it
//! goes, who keeps trying, what nobody has looked at yet.
//!
//! A week is the school's, Monday to Sunday, compared with the one before; one
//! that is not over, up to the same day and hour. It names devices, for its
//! reader must act, and no site: it goes by e-mail and lies on desks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use crate::incidents::book::Book;
use crate::incidents::casework::Case;
use crate::incidents::overview::REPEATED;
use crate::incidents::wanted::{Page, Wanted};
use crate::lists::category::Theme;
use crate::querylog::visits::Incident;

use super::governors::made;
use super::period::{Period, written};
use super::sheet::{Part, Sheet};

/// Devices named at most.
const MOST_DEVICES: usize = 20;
/// Incidents counted at most; a school with more has another trouble first.
const MOST_INCIDENTS: usize = 50_000;
/// Incidents asked for at a time.
const PAGE: usize = 2000;

/// A week in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weekly {
    /// The school.
    pub school: String,
    /// `2026-W47`.
    pub week: String,
    /// Its Monday.
    pub first: Date,
    /// Its Sunday.
    pub last: Date,
    /// Whether it is over.
    pub over: bool,
    /// Sensitive incidents, of this week and the one before.
    pub incidents: Pair,
    /// Mandatory hits among them.
    pub mandatory: Pair,
    /// In school hours.
    pub school_hours: Pair,
    /// By theme, the gravest first.
    pub themes: Vec<(Theme, Pair)>,
    /// By group, most first.
    pub groups: Vec<(String, Pair)>,
    /// The devices with most incidents.
    pub devices: Vec<DeviceLine>,
    /// Incidents that nobody has reviewed.
    pub unreviewed: u64,
    /// What cannot be read.
    pub damaged: Vec<String>,
    /// What other parts of the appliance have to say.
    pub further: Vec<Further>,
    /// When it was made.
    pub made: Timestamp,
}

/// A number of this week and of the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pair {
    /// Of this week.
    pub now: u64,
    /// Of the week before.
    pub before: u64,
}

/// A device and its incidents of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceLine {
    /// Its id, MAC or address.
    pub device: String,
    /// What it was called.
    pub name: Option<String>,
    /// Its group.
    pub group: String,
    /// How many incidents.
    pub incidents: u64,
    /// On how many days.
    pub days: u64,
    /// Their themes, the gravest first.
    pub themes: Vec<Theme>,
    /// Whether it keeps trying.
    pub repeated: bool,
}

/// A heading and what stands below it, from elsewhere: requests, health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Further {
    /// The heading.
    pub heading: String,
    /// The sentences.
    pub says: Vec<String>,
}

impl Weekly {
    /// Counts the week `week`.
    #[must_use]
    pub fn of(
        book: &Book,
        school: &str,
        week: Period,
        further: Vec<Further>,
        now: Timestamp,
    ) -> Self {
        let zone = book.zone();
        let (start, end) = week.ends(zone);
        let until = end.min(now.max(start));
        let week_ago = until.to_zoned(zone.clone()).saturating_sub(7.days());
        let mut damaged = Vec::new();
        let this = sensitive(book, start, until, &mut damaged);
        let (start_before, _) = week.week_before().ends(zone);
        let before = sensitive(book, start_before, week_ago.timestamp(), &mut damaged);
        damaged.sort();
        damaged.dedup();
        let pair = |counts: &dyn Fn(&Incident) -> bool| Pair {
            now: this.iter().filter(|i| counts(i)).count() as u64,
            before: before.iter().filter(|i| counts(i)).count() as u64,
        };
        let themes = Theme::ALL.into_iter().map(|t| (t, pair(&|i| i.theme == t)));
        let mut names: Vec<&String> = this.iter().chain(&before).map(|i| &i.group).collect();
        names.sort();
        names.dedup();
        let groups = names.into_iter();
        let groups = groups.map(|group| (group.clone(), pair(&|i| i.group == *group)));
        let mut groups: Vec<(String, Pair)> = groups.collect();
        groups.sort_by_key(|(_, pair)| Reverse(*pair));
        let reviewed = book.casework().cases(&this).unwrap_or_default();
        let reviewed = reviewed.iter().filter_map(Case::reviewed).count();
        Self {
            school: school.to_owned(),
            week: week.week_name(),
            first: week.first,
            last: week.last,
            over: end <= now,
            incidents: pair(&|_| true),
            mandatory: pair(&|i| i.mandatory),
            school_hours: pair(&|i| book.hours().has(i.first)),
            themes: themes
                .filter(|(_, pair)| *pair != Pair::default())
                .collect(),
            groups,
            devices: devices(&this, book),
            unreviewed: (this.len() - reviewed.min(this.len())) as u64,
            damaged,
            further,
            made: now,
        }
    }

    /// As it is read.
    #[must_use]
    pub fn sheet(&self, book: &Book) -> Sheet {
        let zone = book.zone();
        let before = if self.over {
            "Week before"
        } else {
            "Week before, so far"
        };
        let pairs = |pair: &Pair| [pair.now.to_string(), pair.before.to_string()];
        let line = |name: &str, pair: &Pair| {
            let cells = std::iter::once(name.to_owned()).chain(pairs(pair));
            cells.collect::<Vec<String>>()
        };
        let themes = self.themes.iter().map(|(theme, p)| line(theme.name(), p));
        let groups = self.groups.iter().map(|(group, p)| line(group, p));
        let in_all = vec![
            line("Sensitive incidents", &self.incidents),
            line("of these in school hours", &self.school_hours),
            line("of these on a list of illegal content", &self.mandatory),
        ];
        let mut parts = vec![
            Part::table(
                "In all",
                "Sensitive incidents in all",
                &["", "This week", before],
                in_all,
            )
            .and(self.trend())
            .and(match self.unreviewed {
                0 => "All of them have been reviewed.".to_owned(),
                1 => "1 of them has not been reviewed yet.".to_owned(),
                many => format!("{many} of them have not been reviewed yet."),
            }),
            Part::table(
                "By theme",
                "Sensitive incidents by theme",
                &["Theme", "This week", before],
                themes.collect(),
            ),
            Part::table(
                "By group",
                "Sensitive incidents by group",
                &["Group", "This week", before],
                groups.collect(),
            ),
            self.devices_part(),
        ];
        // Whatever else there is, this comes first.
        if self.mandatory.now > 0 {
            parts.insert(0, Part::saying("Illegal content", vec![ILLEGAL.to_owned()]));
        }
        let further = self.further.iter();
        parts.extend(further.map(|f| Part::saying(&f.heading, f.says.clone())));
        if !self.damaged.is_empty() {
            parts.push(Part::saying("Not counted", self.damaged.clone()));
        }
        let so_far = if self.over { "" } else { ", so far" };
        Sheet {
            title: format!("Safeguarding digest, week of {}", written(self.first)),
            about: vec![
                self.school.clone(),
                format!(
                    "Monday {} to Sunday {}{so_far}",
                    written(self.first),
                    written(self.last)
                ),
                made(self.made, zone),
            ],
            parts,
        }
    }

    fn trend(&self) -> String {
        let Pair { now, before } = self.incidents;
        match (now, before) {
            (0, 0) => "None in either week.".to_owned(),
            (now, before) if now == before => "As many as in the week before.".to_owned(),
            (now, before) if now > before => {
                format!("{} more than in the week before.", now - before)
            }
            (now, before) => format!("{} fewer than in the week before.", before - now),
        }
    }

    fn devices_part(&self) -> Part {
        let rows = self.devices.iter().map(|device| {
            let themes: Vec<&str> = device.themes.iter().map(|theme| theme.name()).collect();
            let name = device.name.as_ref().filter(|name| **name != device.device);
            vec![
                match name {
                    Some(name) => format!("{name} ({})", device.device),
                    None => device.device.clone(),
                },
                device.group.clone(),
                device.incidents.to_string(),
                device.days.to_string(),
                if device.repeated { "yes" } else { "" }.to_owned(),
                themes.join(", "),
            ]
        });
        Part::table(
            "Devices",
            "Devices with most sensitive incidents this week",
            &["Device", "Group", "Incidents", "Days", "Repeated", "Themes"],
            rows.collect(),
        )
        .and(format!(
            "Repeated: {REPEATED} or more sensitive incidents in the week."
        ))
    }
}

const ILLEGAL: &str = "A device asked for a host on a list of illegal content. Do not visit it or \
    look for it, keep the log (place a hold on the day), and follow the school's procedure for \
    telling the police or the IWF.";

/// The sensitive incidents from `since` until `until`, oldest first.
fn sensitive(
    book: &Book,
    since: Timestamp,
    until: Timestamp,
    damaged: &mut Vec<String>,
) -> Vec<Incident> {
    let wanted = Wanted {
        since: Some(since),
        until: Some(until),
        sensitive_only: true,
        ..Wanted::default()
    };
    let mut all = Vec::new();
    let mut page = Page::first(PAGE);
    loop {
        let listing = book.incidents(&wanted, page);
        all.extend(listing.incidents);
        damaged.extend(listing.damaged.iter().map(ToString::to_string));
        match listing.next {
            Some(next) if all.len() < MOST_INCIDENTS && page.before != Some(next) => {
                page.before = Some(next);
            }
            _ => break,
        }
    }
    all.reverse();
    all
}

fn devices(incidents: &[Incident], book: &Book) -> Vec<DeviceLine> {
    let mut by_device: BTreeMap<&str, Vec<&Incident>> = BTreeMap::new();
    for incident in incidents {
        if let Some(device) = incident.device.as_deref() {
            by_device.entry(device).or_default().push(incident);
        }
    }
    let lines = by_device.into_iter().filter_map(|(device, all)| {
        let last = all.last()?;
        let mut days: Vec<Date> = all.iter().map(|i| book.date(i.first)).collect();
        days.dedup();
        let mut themes: Vec<Theme> = all.iter().map(|i| i.theme).collect();
        themes.sort_by_key(|theme| Theme::ALL.iter().position(|other| other == theme));
        themes.dedup();
        Some(DeviceLine {
            device: device.to_owned(),
            name: last.device_name.clone(),
            group: last.group.clone(),
            incidents: all.len() as u64,
            days: days.len() as u64,
            themes,
            repeated: all.len() as u64 >= REPEATED,
        })
    });
    let mut lines: Vec<DeviceLine> = lines.collect();
    lines.sort_by_key(|line| Reverse(line.incidents));
    lines.truncate(MOST_DEVICES);
    lines
}
