//! Rows in numbers → incidents in numbers.
//!
//! The rule is that of [`visits`], and a test holds the two together; here it
//! costs some nanoseconds a row, because today is collapsed anew whenever
//! somebody looks. What is of interest and what is plain never merge.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::lists::category::Theme;
use crate::policy::decision::Verdict;
use crate::querylog::day_file::Lookup;
use crate::querylog::visits::{self, Incident};

use super::interest;
use super::words::{Ids, Who, Words};

/// An incident; its numbers are those of its day's [`Words`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    /// In microseconds.
    pub(super) first: i64,
    pub(super) count: u64,
    pub(super) ids: Ids,
    /// From the first look-up to the last, in microseconds.
    lasted: u32,
    /// Whose first look-up it is.
    pub(super) client: u32,
    pub(super) domain: u32,
    pub(super) theme: Theme,
    pub(super) action: Verdict,
    pub(super) mandatory: bool,
    pub(super) background: bool,
    pub(super) of_interest: bool,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    device: u32,
    group: u32,
    domain: u32,
    action: Verdict,
    mandatory: bool,
    of_interest: bool,
}

/// Collapses rows in the order of time to incidents in the order of their
/// first look-ups.
pub(super) fn collapse(rows: &[Lookup], words: &Words) -> Vec<Short> {
    let most = visits::LENGTH.as_micros() as i64;
    let mut all: Vec<Short> = Vec::new();
    let mut latest: HashMap<Key, usize, RandomState> = HashMap::default();
    for row in rows {
        let begun = Short::begun(row, words);
        let key = begun.key(words);
        let current = latest.get(&key).and_then(|at| all.get_mut(*at));
        if let Some(incident) = current.filter(|i| row.time - i.first < most) {
            incident.merge(&begun);
        } else {
            latest.insert(key, all.len());
            all.push(begun);
        }
    }
    for incident in &mut all {
        incident.theme = words.theme(incident.ids, incident.mandatory);
    }
    all
}

impl Short {
    /// The incident that a row begins.
    pub(super) fn begun(row: &Lookup, words: &Words) -> Self {
        let facts = words.ruling(row.ruling);
        Self {
            first: row.time,
            count: row.count,
            ids: facts.ids,
            lasted: 0,
            client: row.client,
            domain: words.domain(row),
            theme: Theme::Unsorted,
            action: facts.action,
            mandatory: facts.mandatory,
            background: facts.background && !facts.mandatory,
            of_interest: facts.of_interest,
        }
    }

    fn key(&self, words: &Words) -> Key {
        let Who { device, group, .. } = words.client(self.client);
        Key {
            device,
            group,
            domain: self.domain,
            action: self.action,
            mandatory: self.mandatory,
            of_interest: self.of_interest,
        }
    }

    fn merge(&mut self, later: &Self) {
        self.count += later.count;
        self.ids |= later.ids;
        self.lasted = u32::try_from(later.first - self.first).unwrap_or(self.lasted);
        self.background &= later.background;
    }

    /// Whether `other` could be a part of the same incident but for its time.
    pub(super) fn is_like(&self, other: &Self, words: &Words) -> bool {
        self.key(words) == other.key(words)
    }

    /// The time of its last row.
    pub(super) fn last(&self) -> i64 {
        self.first.saturating_add(self.lasted.into())
    }

    /// As [`interest::is_sensitive`].
    pub(super) fn is_sensitive(&self) -> bool {
        self.mandatory || (!self.background && interest::is_sensitive_theme(self.theme))
    }

    /// In words.
    pub(super) fn told(&self, words: &Words) -> Incident {
        let who = words.client(self.client);
        let text = |number| words.texts().text(number).to_owned();
        let instant = |time| Timestamp::from_microsecond(time).unwrap_or_default();
        let some = |number: u32| Some(text(number)).filter(|text| !text.is_empty());
        Incident {
            first: instant(self.first),
            last: instant(self.last()),
            count: self.count,
            device: some(who.device),
            device_name: some(who.name),
            group: text(who.group),
            domain: text(self.domain),
            categories: words.ids(self.ids).map(str::to_owned).collect(),
            theme: self.theme,
            action: self.action,
            mandatory: self.mandatory,
            background: self.background,
        }
    }
}
