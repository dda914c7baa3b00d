//! What is missing: a group that asks, or is blocked, far less than it always
//! does at this hour.
//!
//! Who gets around a filter is not blocked by it any more: a browser with a DNS
//! of its own, an unfiltered network next door. So each full hour of each group
//! is held against the same hour of the same weekday in the last four weeks. A
//! drop is told once and is over when half of the usual is back.
//!
//! Days on which the school is closed say nothing and are not judged.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan};
use rusqlite::Transaction;

use super::alert::{Alert, Kind};
use super::desk::Desk;
use super::store::{self, StoreError};
use crate::policy::alerts::DropRule;
use crate::policy::timetable::SchoolYear;
use crate::querylog::summary::{HourCount, hours};

/// Rows of an hour are all counted so long after its end.
const SETTLED: SignedDuration = SignedDuration::from_mins(3);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const WEEKS: i64 = 4;
/// One week proves nothing.
const LEAST_WEEKS: usize = 2;
/// Per cent of the usual at which a drop is over.
const OVER: u64 = 50;
/// The hour that was judged last.
const JUDGED: &str = "drop judged";

/// What is counted of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Queries,
    Blocks,
}

/// What an hour comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// Too little is known, or expected.
    Nothing,
    /// It dropped: so many are usual, so many came.
    Dropped(u64, u64),
    /// It is as usual.
    Usual,
}

/// Judges the last full hour, once.
pub(super) fn look(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    groups: &[&str],
    year: &SchoolYear,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rule = desk.rules.drop;
    let settled = now.saturating_sub(SETTLED).unwrap_or(now).as_second();
    let hour = settled - settled.rem_euclid(HOUR.as_secs()) - HOUR.as_secs();
    let Ok(hour) = Timestamp::from_second(hour) else {
        return Ok(());
    };
    let judged = store::note(tx, JUDGED)?;
    if rule.below_percent == 0 || judged.as_deref() == Some(&*hour.to_string()) {
        return Ok(());
    }
    store::set_note(tx, JUDGED, &hour.to_string())?;
    let wall = desk.zone.to_datetime(hour);
    if !year.is_open(wall.date()) {
        return Ok(());
    }
    let folder = desk.settings.state_dir.join("querylog");
    let count = |at: Timestamp| {
        let until = at.saturating_add(HOUR).unwrap_or(at);
        // A summary that cannot be read is the log's trouble, told elsewhere.
        hours(&folder, at, until).unwrap_or_default()
    };
    let current = count(hour);
    let earlier: Vec<Vec<HourCount>> = same_hours(wall, year)
        .filter_map(|wall| desk.zone.to_timestamp(wall).ok())
        .map(count)
        // An hour without a single look-up was one without us.
        .filter(|counts| !counts.is_empty())
        .collect();
    for group in groups {
        for measure in [Measure::Queries, Measure::Blocks] {
            let usual = earlier.iter().map(|hour| measure.of(hour, group));
            let finding = judge(measure, rule, usual.collect(), measure.of(&current, group));
            note(tx, desk, (group, measure), finding, (hour, now))?;
        }
    }
    Ok(())
}

/// The same hour on the wall in the weeks before, where the school was open.
fn same_hours(wall: DateTime, year: &SchoolYear) -> impl Iterator<Item = DateTime> {
    let weeks = (1..=WEEKS).filter_map(move |week| wall.checked_sub((7 * week).days()).ok());
    weeks.filter(|wall| year.is_open(wall.date()))
}

fn judge(measure: Measure, rule: DropRule, mut usual: Vec<u64>, now: u64) -> Finding {
    if usual.len() < LEAST_WEEKS {
        return Finding::Nothing;
    }
    usual.sort_unstable();
    // The lower one of two in the middle: no alarm for one odd week.
    let median = usual.get((usual.len() - 1) / 2).copied().unwrap_or(0);
    let least = match measure {
        Measure::Queries => rule.least_queries,
        Measure::Blocks => rule.least_blocks,
    };
    match now.saturating_mul(100) {
        _ if median < u64::from(least) => Finding::Nothing,
        now_100 if now_100 < median.saturating_mul(rule.below_percent.into()) => {
            Finding::Dropped(median, now)
        }
        now_100 if now_100 >= median.saturating_mul(OVER) => Finding::Usual,
        _ => Finding::Nothing,
    }
}

/// Raises a drop that has just begun, and forgets one that is over.
fn note(
    tx: &Transaction<'_>,
    desk: &Desk<'_>,
    (group, measure): (&str, Measure),
    finding: Finding,
    (hour, now): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let key = format!("drop of {} {group}", measure.id());
    let goes_on = store::note(tx, &key)?.is_some();
    match finding {
        Finding::Dropped(usual, now_many) if !goes_on => {
            store::set_note(tx, &key, &hour.to_string())?;
            let alert = Alert {
                group: group.to_owned(),
                first: hour,
                last: hour,
                ..Alert::of_appliance(
                    Kind::Drop,
                    format!("{key} {hour}"),
                    measure.title(),
                    measure.says(group, usual, now_many),
                    now,
                )
            };
            desk.raise(tx, &alert, &desk.rules.appliance_to)?;
        }
        Finding::Usual if goes_on => store::drop_note(tx, &key)?,
        _ => {}
    }
    Ok(())
}

impl Measure {
    fn id(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Blocks => "blocks",
        }
    }

    fn of(self, hour: &[HourCount], group: &str) -> u64 {
        let counts = hour.iter().filter(|count| count.group == group);
        let counts = counts.filter(|count| self == Self::Queries || count.action == "block");
        counts.map(|count| count.count).sum()
    }

    fn title(self) -> &'static str {
        match self {
            Self::Queries => "A group asks far less than usual",
            Self::Blocks => "Far less is blocked than usual",
        }
    }

    fn says(self, group: &str, usual: u64, now: u64) -> String {
        let (what, why) = match self {
            Self::Queries => (
                "look-ups",
                "Has the network changed, or do its devices ask another resolver?",
            ),
            Self::Blocks => (
                "blocked look-ups",
                "Do its devices get around the filter, or has a list been lost?",
            ),
        };
        format!(
            "Group {group} had {now} {what} in this hour, where about {usual} are usual. {why} \
             `schoolgate selftest` on one of its devices says what gets through."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: DropRule = DropRule {
        below_percent: 20,
        least_queries: 500,
        least_blocks: 50,
    };

    #[test]
    fn a_drop_is_less_than_a_fifth_of_what_is_usual() {
        let check = |usual: &[u64], now, finding| {
            let found = judge(Measure::Queries, RULE, usual.to_vec(), now);
            assert_eq!(found, finding, "{usual:?} {now}");
        };
        check(&[1000, 1100, 900, 1000], 199, Finding::Dropped(1000, 199));
        check(&[1000, 1100, 900, 1000], 200, Finding::Nothing);
        check(&[1000, 1100, 900, 1000], 500, Finding::Usual);
        check(&[1000], 0, Finding::Nothing);
        check(&[], 0, Finding::Nothing);
        check(&[400, 450], 0, Finding::Nothing);
        // One week of an outing is no yardstick, nor is one of an exam.
        check(&[9000, 400, 450], 0, Finding::Nothing);
        check(&[0, 1000, 1000, 1000], 0, Finding::Dropped(1000, 0));
        check(&[u64::MAX, u64::MAX], 1, Finding::Dropped(u64::MAX, 1));
    }

    #[test]
    fn the_same_hour_is_the_one_on_the_wall_of_school_days() {
        let wall: DateTime = "2026-11-02T09:00".parse().unwrap();
        let closed = crate::policy::timetable::Dates {
            first: "2026-10-26".parse().unwrap(),
            last: "2026-10-30".parse().unwrap(),
        };
        let year = SchoolYear {
            terms: [].into(),
            closed: [closed].into(),
        };
        let hours: Vec<_> = same_hours(wall, &year).map(|at| at.to_string()).collect();
        assert_eq!(
            hours,
            [
                "2026-10-19T09:00:00",
                "2026-10-12T09:00:00",
                "2026-10-05T09:00:00"
            ]
        );
    }
}
