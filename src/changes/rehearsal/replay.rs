//! The last week of the log, asked again.
//!
//! The days' files are gone through in passes: each takes every so-manieth
//! minute of the whole week, the next the minutes between. So whatever has been
//! read when time is up is a fair sample of lessons and evenings of every day,
//! and a week that is read to its end has been read once.
//!
//! Of a row only who, what and when counts; what was done about it does not. A
//! flood's rows of various names have no name and are passed over.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::policy::Policy;
use crate::querylog::day_file::{DayFile, Visit};
use crate::querylog::days::{self, Part};
use crate::querylog::read::Unreadable;

use super::Rehearsal;
use super::hours::Hours;
use super::tally::{Names, Tally, change_of};
use super::who::Everybody;

/// A prime number, so that no pass meets only the beginnings of lessons.
const PASSES: i64 = 31;
/// The passes in turn begin so many minutes apart.
const STRIDE: i64 = 12;
const MINUTE: i64 = 60_000_000;
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The number of no name.
const NONE: u32 = u32::MAX;

/// A day of the log.
struct Day {
    file: DayFile,
    /// By the file's numbers: the number of each name, and of each client.
    names: Vec<u32>,
    clients: Vec<u32>,
}

/// A week being replayed.
struct Replay<'p> {
    policies: (&'p Policy, &'p Policy),
    hours: Hours,
    everybody: Everybody<'p>,
    names: Names,
    /// Names that a mandatory list covered when they were asked.
    hidden: HashSet<u32>,
    tally: Tally,
}

/// Replays the week before `now`.
pub(super) fn replay(
    policies: (&Policy, &Policy),
    log: &Path,
    zone: &TimeZone,
    now: Timestamp,
    budget: Duration,
) -> io::Result<Rehearsal> {
    let started = Instant::now();
    let since = now.saturating_sub(WEEK).unwrap_or(Timestamp::MIN);
    let mut replay = Replay {
        policies,
        hours: Hours::between(policies, since, now),
        everybody: Everybody::under(policies),
        names: Names::default(),
        hidden: HashSet::new(),
        tally: Tally::default(),
    };
    let mut damaged = Vec::new();
    let mut week = Vec::new();
    for (part, path) in parts(log, zone, since, now)? {
        match replay.open(part, &path) {
            Ok(day) => week.extend(day),
            Err(unreadable) => damaged.push(unreadable.to_string()),
        }
    }
    let (mut done, mut longest) = (0, Duration::ZERO);
    while done < PASSES && (done == 0 || started.elapsed() + longest < budget) {
        let began = Instant::now();
        let first = done * STRIDE % PASSES;
        week.retain(|day| match replay.pass(day, first, since, now) {
            Ok(()) => true,
            Err(unreadable) => {
                damaged.push(unreadable.to_string());
                false
            }
        });
        longest = longest.max(began.elapsed());
        done += 1;
    }
    let hidden = &replay.hidden;
    let is_hidden = |name| hidden.contains(&name);
    Ok(Rehearsal {
        // A week begins and ends within a day: together those are one.
        days: week.len().min(7) as u32,
        lookups: replay.tally.lookups,
        one_in: (done < PASSES).then(|| one_in(done)),
        groups: replay.tally.by_group(policies.0, &replay.names, is_hidden),
        damaged,
        ..Rehearsal::default()
    })
}

fn one_in(done: i64) -> u32 {
    let rounded = (PASSES + done / 2) / done.max(1);
    u32::try_from(rounded).unwrap_or(1).max(2)
}

/// The files that may hold rows of the time, oldest first.
fn parts(
    log: &Path,
    zone: &TimeZone,
    since: Timestamp,
    now: Timestamp,
) -> io::Result<Vec<(Part, PathBuf)>> {
    let date = |at: Timestamp| zone.to_datetime(at).date();
    let mut parts = days::parts(log)?;
    parts.retain(|(part, path)| {
        let wanted = match part {
            Part::Rows(_) => true,
            Part::SetAside(_) => !days::is_companion(path),
            Part::Companion(_) => false,
        };
        wanted && (date(since)..=date(now)).contains(&part.date())
    });
    parts.sort_by_key(|(part, _)| part.date());
    Ok(parts)
}

impl Replay<'_> {
    /// Opens a day; none if it is only just begun.
    fn open(&mut self, part: Part, path: &Path) -> Result<Option<Day>, Unreadable> {
        if let Part::SetAside(_) = part {
            return Err(Unreadable::set_aside(path));
        }
        let Some(file) = DayFile::open(path)? else {
            return Ok(None);
        };
        file.hold_still()?;
        let mut clients = Vec::new();
        for client in file.clients(0)? {
            let number = self.everybody.number(&client);
            put(&mut clients, client.number.unsigned_abs() as usize, number);
        }
        let mut names = Vec::new();
        let known = &mut self.names;
        file.each_name(|number, wire| {
            // The root is what a flood's various names are written as.
            if wire.len() > 1 {
                put(&mut names, number as usize, known.number(wire));
            }
        })?;
        for name in file.mandatory_names()? {
            self.hidden.extend(names.get(name as usize));
        }
        Ok(Some(Day {
            file,
            names,
            clients,
        }))
    }

    /// Replays every [`PASSES`]th minute of the time, from minute `first` on.
    fn pass(
        &mut self,
        day: &Day,
        first: i64,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), Unreadable> {
        let (from, until) = day.file.ends()?;
        let from = from.max(since.as_microsecond());
        let until = until.min(now.as_microsecond()).saturating_add(1);
        // Minutes of the epoch, so that a pass takes the same ones of every day.
        let minute = from.div_euclid(MINUTE);
        let ahead = (first - minute).rem_euclid(PASSES);
        let mut start = (minute + ahead) * MINUTE;
        while start < until {
            let end = (start + MINUTE).min(until);
            let mut near = self.hours.span_at(start.max(from));
            day.file.each_visit((start.max(from), end), |visit| {
                let kind = self.hours.kind_at(visit.time, &mut near);
                self.visit(day, &visit, kind);
            })?;
            start += PASSES * MINUTE;
        }
        Ok(())
    }

    #[inline]
    fn visit(&mut self, day: &Day, visit: &Visit, kind: Option<u32>) {
        let number = |all: &[u32], at: u32| all.get(at as usize).copied().filter(|n| *n != NONE);
        let (Some(client), Some(name), Some(kind)) = (
            number(&day.clients, visit.client),
            number(&day.names, visit.name),
            kind,
        ) else {
            return;
        };
        let cell = client * self.hours.kinds() + kind;
        let (policies, names) = (self.policies, &self.names);
        let (everybody, hours) = (&self.everybody, &self.hours);
        self.tally.count(cell, name, visit.count, || {
            let (pair, kind) = (everybody.of(client)?, hours.kind(kind)?);
            change_of(policies, pair, names.name(name)?, kind)
        });
    }
}

/// Puts a number at a place; there is [`NONE`] where nothing is put.
fn put(all: &mut Vec<u32>, at: usize, number: u32) {
    /// No day's dictionary is larger; a file that says so is damaged.
    const MOST: usize = 1 << 24;
    if at >= MOST {
        return;
    }
    if all.len() <= at {
        all.resize(at + 1, NONE);
    }
    if let Some(place) = all.get_mut(at) {
        *place = number;
    }
}
