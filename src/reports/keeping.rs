//! How long things are kept, what is there, and what goes next.

use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::querylog::days;
use crate::querylog::hold::Holds;

use super::period::written;
use super::{ReportError, holds};

/// What retention does here.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// For how many days rows are kept.
    pub keep_days: u32,
    /// The oldest day there is.
    pub oldest: Option<Date>,
    /// The newest.
    pub newest: Option<Date>,
    /// How many days there are, damaged ones among them.
    pub days: usize,
    /// When the next day goes: the oldest that is not held is dropped then.
    pub next_drop: Option<(Date, Date)>,
    /// Days that would have gone and are held.
    pub held_beyond: usize,
    /// What is held; an error if the file cannot be read, and then everything is.
    pub holds: Result<Holds, String>,
}

impl Keeping {
    /// Looks at the log below `state_dir`.
    pub fn of(
        state_dir: &Path,
        keep_days: u32,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Result<Self, ReportError> {
        let mut dates: Vec<Date> = days::parts(&state_dir.join("querylog"))?
            .into_iter()
            .map(|(part, _)| part.date())
            .collect();
        dates.sort_unstable();
        dates.dedup();
        let holds = match holds::list(state_dir) {
            Ok(holds) => Ok(holds),
            Err(ReportError::Refused(why)) => Err(why),
            Err(error) => return Err(error),
        };
        let is_held = |date: Date| holds.as_ref().map_or(true, |holds| holds.cover(date));
        let today = now.to_zoned(zone.clone()).date();
        // Retention drops what is before this day.
        let due = today.saturating_sub(i64::from(keep_days).days());
        let next = dates.iter().copied().find(|date| !is_held(*date));
        let next_drop = next.map(|date| {
            let at = date.saturating_add((i64::from(keep_days) + 1).days());
            (date, at.max(today))
        });
        Ok(Self {
            keep_days,
            oldest: dates.first().copied(),
            newest: dates.last().copied(),
            days: dates.len(),
            next_drop,
            held_beyond: dates.iter().filter(|d| **d < due && is_held(**d)).count(),
            holds,
        })
    }

    /// In sentences.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let mut says = vec![format!(
            "Rows of the query log are kept for {} days and then dropped, a whole day at a time.",
            self.keep_days
        )];
        says.push(match (self.oldest, self.newest) {
            (Some(oldest), Some(newest)) => {
                let many = self.days;
                let days = if many == 1 { "day is" } else { "days are" };
                format!(
                    "{many} {days} there, from {} to {}.",
                    written(oldest),
                    written(newest)
                )
            }
            _ => "There is no day in the log yet.".to_owned(),
        });
        if let Some((day, at)) = self.next_drop {
            says.push(format!(
                "The next to go is {}, on {}.",
                written(day),
                written(at)
            ));
        }
        match &self.holds {
            Err(why) => says.push(format!("Everything is held, because of a mistake: {why}")),
            Ok(_) if self.held_beyond > 0 => says.push(format!(
                "{} days are older than that and are held.",
                self.held_beyond
            )),
            Ok(_) => {}
        }
        says
    }
}
