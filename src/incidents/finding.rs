//! How what somebody looks for is found.
//!
//! The lexicon says which of a day's names and clients match. Few of them are
//! asked for one by one, each by its index; where there are many, the day's
//! rows are gone through from the newest, because one of them soon matches.
//! Either way a day gives no more rows than the page has room for.

use std::collections::BTreeSet;

use jiff::civil::Date;
use memchr::memmem::Finder;

use crate::querylog::day_file::{By, DayFile, Lookup};
use crate::querylog::read::Unreadable;
use crate::querylog::row::Row;

use super::book::{Book, Patience, told};
use super::files::Found as Day;
use super::lexicon::{Known, Matches, News};
use super::search::{Found, Sought};
use super::sight::Sight;
use super::wanted::{Cursor, Page};

/// So many words of a day are asked for one by one.
const FEW: usize = 400;

/// A day's own numbers of what is looked for.
struct Local {
    names: Vec<u32>,
    clients: Vec<u32>,
}

impl Book {
    /// One page of what somebody looks for, newest first.
    #[must_use]
    pub fn search(&self, sought: &Sought, page: Page) -> Found {
        let mut found = Found::default();
        let mut matches = Matches::default();
        let patience = Patience::new();
        for day in self.back(None, None, page, &mut found.damaged) {
            let date = day.date();
            if found.looked_back_to.is_some() && patience.is_over() {
                found.more_to_look = true;
                found.next = found.looked_back_to.and_then(|date| self.start_of(date));
                return found;
            }
            found.looked_back_to = Some(date);
            let room = page.size + 1 - found.rows.len();
            let rows = match day {
                Day::Rows(date) => self.search_day(date, sought, &mut matches, (page.end(), room)),
                Day::SetAside(_, unreadable) => Err(unreadable),
            };
            let rows = told(rows.map(Some), &mut found.damaged);
            found.rows.extend(rows.unwrap_or_default());
            if found.rows.len() > page.size {
                found.rows.truncate(page.size);
                let last = found.rows.last();
                found.next = last.map(|row| Cursor(row.time.as_microsecond()));
                return found;
            }
        }
        found
    }

    fn search_day(
        &self,
        date: Date,
        sought: &Sought,
        matches: &mut Matches,
        (before, limit): (i64, usize),
    ) -> Result<Vec<Row>, Unreadable> {
        let learnt = self.learn(date)?;
        let lexicon = self.lexicon();
        matches.extend(&lexicon, sought);
        let (names, clients) = lexicon.local(date, matches);
        drop(lexicon);
        if learnt && names.is_empty() && clients.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.files().ask(date, |file| {
            file.at_one_moment(|file| {
                let local = if learnt {
                    Local { names, clients }
                } else {
                    Local::looked_through(file, sought)?
                };
                let hidden = match sought.sight {
                    Sight::Full => Vec::new(),
                    Sight::Guarded => file.mandatory_rulings()?,
                };
                let newest = local.newest(file, before, limit, &hidden)?;
                file.rows(newest.iter().map(|row| row.time))
            })
        })?;
        // Between learning and asking an erasure may have given numbers to others.
        let rows = rows.unwrap_or_default().into_iter();
        let rows = rows.filter(|row| sought.finds(row));
        Ok(rows.map(|row| sought.sight.row(row)).collect())
    }

    /// Learns what is new of a day's words. False if there are too many of them.
    pub(super) fn learn(&self, date: Date) -> Result<bool, Unreadable> {
        let Some(stamp) = self.files().stamp(date) else {
            return Ok(true);
        };
        let Some(from) = self.lexicon().due(date, stamp) else {
            return Ok(true);
        };
        let news = self.files().ask(date, |file| {
            file.at_one_moment(|file| {
                let newer = file.count_names(from.names + 1)?;
                // Something was erased, and numbers may have been given again.
                let from = match file.count_names(0)?.checked_sub(newer) {
                    Some(before) if before == from.counted => from,
                    _ => Known::NOTHING,
                };
                if !self.lexicon().has_room(from.names, newer) {
                    return Ok(None);
                }
                Ok(Some(News {
                    from,
                    names: file.names(from.names + 1)?,
                    clients: file.clients(from.clients + 1)?,
                }))
            })
        })?;
        match news {
            Some(Some(news)) => {
                self.lexicon_mut().learn(date, stamp, news);
                Ok(true)
            }
            Some(None) => Ok(false),
            None => Ok(true),
        }
    }
}

impl Local {
    /// Of a day that the lexicon has no room for.
    fn looked_through(file: &DayFile, sought: &Sought) -> Result<Self, Unreadable> {
        let finder = Finder::new(&sought.name);
        let clients = file.clients(0)?.into_iter();
        let clients = clients.filter(|c| sought.is_client(&c.device, &c.name, &c.mac, &c.ip));
        Ok(Self {
            names: file.names_that(|name| name != "." && finder.find(name.as_bytes()).is_some())?,
            clients: clients.map(|client| client.number as u32).collect(),
        })
    }

    /// The newest rows of any of them, at most `limit`. A name does not find a
    /// row with a hidden ruling.
    fn newest(
        &self,
        file: &DayFile,
        before: i64,
        limit: usize,
        hidden: &[u32],
    ) -> Result<Vec<Lookup>, Unreadable> {
        if self.names.len() + self.clients.len() > FEW {
            let names: BTreeSet<u32> = self.names.iter().copied().collect();
            let clients: BTreeSet<u32> = self.clients.iter().copied().collect();
            return file.newest_wanted(before, limit, |row| {
                clients.contains(&row.client)
                    || (names.contains(&row.name) && !hidden.contains(&row.ruling))
            });
        }
        let names = self.names.iter().map(|name| (By::Name(*name), hidden));
        let clients = self
            .clients
            .iter()
            .map(|client| (By::Client(*client), &[][..]));
        let (mut newest, mut after) = (Vec::new(), i64::MIN);
        for (by, without) in names.chain(clients) {
            newest.extend(file.newest(by, (after, before), limit, without)?);
            if newest.len() >= 4 * limit {
                after = best(&mut newest, limit);
            }
        }
        best(&mut newest, limit);
        Ok(newest)
    }
}

/// Keeps the newest `limit`; says when the oldest of them was.
fn best(rows: &mut Vec<Lookup>, limit: usize) -> i64 {
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.time));
    rows.dedup_by_key(|row| row.time);
    rows.truncate(limit);
    let full = rows.last().filter(|_| rows.len() == limit);
    full.map_or(i64::MIN, |row| row.time)
}
