//! Every name and client of the whole retention, each once, in memory, and which
//! day has which.
//!
//! Six months of a school have some hundred thousand different names in a dozen
//! megabytes of text: a part of a name is found in all of it in milliseconds,
//! and then each day's own index has the rows. A day being written only ever
//! adds words; what has come since is learnt when somebody searches.
//!
//! A flood of invented names must not become a flood of memory: over a bound a
//! day is not learnt but looked through when it is asked.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use jiff::civil::Date;
use memchr::memmem::Finder;

use crate::mac::Mac;
use crate::querylog::day_file::ClientWords;

use super::files::Stamp;
use super::search::Sought;

/// Different names that are learnt at most: a very large school has a million.
pub(super) const MOST_NAMES: usize = 4_000_000;
/// Of one day. A day with more was flooded.
pub(super) const MOST_OF_A_DAY: usize = 1_000_000;

/// In place of a number that a day has not given.
const NOBODY: u32 = u32::MAX;

/// All words.
#[derive(Default)]
pub(super) struct Lexicon {
    names: Names,
    clients: Vec<ClientWords>,
    client_numbers: HashMap<[String; 5], u32, RandomState>,
    days: BTreeMap<Date, Numbers>,
}

/// One day's own numbers, in their order from 1 on → those of the lexicon.
struct Numbers {
    stamp: Stamp,
    names: Vec<u32>,
    clients: Vec<u32>,
}

/// How many words of a day are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The greatest number of a name.
    pub(super) names: usize,
    /// How many names had one.
    pub(super) counted: usize,
    pub(super) clients: usize,
}

/// What a day has learnt since.
pub(super) struct News {
    pub(super) from: Known,
    pub(super) names: Vec<(i64, String)>,
    pub(super) clients: Vec<ClientWords>,
}

/// Texts, each once, one behind the other.
#[derive(Default)]
struct Names {
    /// Each ends with a line feed, which no printed name contains.
    text: String,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
}

/// The words that somebody looks for, as far as the lexicon has been searched.
#[derive(Default)]
pub(super) struct Matches {
    /// Bit n for the n-th name.
    names: Vec<u64>,
    searched: usize,
    any_name: bool,
    clients: Vec<bool>,
}

impl Known {
    pub(super) const NOTHING: Self = Self {
        names: 0,
        counted: 0,
        clients: 0,
    };
}

impl Lexicon {
    /// From where on the day's words have to be learnt; none if all are known.
    pub(super) fn due(&self, date: Date, stamp: Stamp) -> Option<Known> {
        match self.days.get(&date) {
            Some(day) if day.stamp == stamp => None,
            // A finished day changes only where something is erased.
            Some(day) if day.stamp.is_open() && day.stamp.is_same_file(stamp) => Some(Known {
                names: day.names.len(),
                counted: day.names.iter().filter(|name| **name != NOBODY).count(),
                clients: day.clients.len(),
            }),
            _ => Some(Known::NOTHING),
        }
    }

    /// Whether there is room for another `names` of a day that has `already`.
    pub(super) fn has_room(&self, already: usize, names: usize) -> bool {
        self.names.ends.len() + names <= MOST_NAMES && already + names <= MOST_OF_A_DAY
    }

    /// Learns a day's words. Does nothing if somebody else just did.
    pub(super) fn learn(&mut self, date: Date, stamp: Stamp, news: News) {
        if news.from == Known::NOTHING {
            self.days.remove(&date);
        } else if self.due(date, stamp) != Some(news.from) {
            return;
        }
        let mut day = self.days.remove(&date).unwrap_or(Numbers {
            stamp,
            names: Vec::with_capacity(news.names.len()),
            clients: Vec::new(),
        });
        day.stamp = stamp;
        for (number, name) in news.names {
            put(&mut day.names, number, self.names.number(&name));
        }
        for client in news.clients {
            let number = client.number;
            let global = self.client(client);
            put(&mut day.clients, number, global);
        }
        self.days.insert(date, day);
    }

    /// A day's own numbers of the names and of the clients that match.
    pub(super) fn local(&self, date: Date, matches: &Matches) -> (Vec<u32>, Vec<u32>) {
        let Some(day) = self.days.get(&date) else {
            return (Vec::new(), Vec::new());
        };
        let names = (1..).zip(&day.names);
        let names = names.filter(|(_, name)| matches.any_name && matches.has_name(**name));
        let clients = (1..).zip(&day.clients);
        let clients = clients.filter(|(_, client)| matches.has_client(**client));
        (
            names.map(|(local, _)| local).collect(),
            clients.map(|(local, _)| local).collect(),
        )
    }

    /// What incidents call the clients with this MAC or address, in any spelling.
    pub(super) fn devices_called(&self, text: &str) -> Vec<String> {
        let mac = text.parse::<Mac>().map(|mac| mac.to_string());
        let ip = text
            .parse::<IpAddr>()
            .map(|ip| ip.to_canonical().to_string());
        let is_it = |c: &&ClientWords| mac.as_ref() == Ok(&c.mac) || ip.as_ref() == Ok(&c.ip);
        let found = self.clients.iter().filter(is_it);
        let keys = found.filter_map(|c| {
            let names = [&c.device, &c.mac, &c.ip];
            names.into_iter().find(|text| !text.is_empty()).cloned()
        });
        let mut keys: Vec<String> = keys.collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Lets go of the days that `is_there` does not know, and of the words that
    /// nobody else has: what is past its retention is gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(Date) -> bool) {
        let before = self.days.len();
        self.days.retain(|date, _| is_there(*date));
        if self.days.len() == before {
            return;
        }
        let (names, clients) = (
            std::mem::take(&mut self.names),
            std::mem::take(&mut self.clients),
        );
        self.client_numbers.clear();
        let mut days = std::mem::take(&mut self.days);
        for day in days.values_mut() {
            let given = day.names.iter_mut().filter(|name| **name != NOBODY);
            for name in given {
                *name = self.names.number(names.get(*name));
            }
            for number in &mut day.clients {
                if let Some(client) = clients.get(*number as usize) {
                    *number = self.client(client.clone());
                }
            }
        }
        self.days = days;
    }

    fn client(&mut self, client: ClientWords) -> u32 {
        let ClientWords {
            device,
            name,
            mac,
            ip,
            group,
            ..
        } = &client;
        let key = [device, name, mac, ip, group].map(String::clone);
        let next = self.clients.len() as u32;
        let number = *self.client_numbers.entry(key).or_insert(next);
        if number == next {
            self.clients.push(client);
        }
        number
    }
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash_one(name);
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        let same = |number: &u32| of(text, ends, *number) == name;
        if let Some(number) = self.table.find(hash, same) {
            return *number;
        }
        let number = self.ends.len() as u32;
        let rehash = |number: &u32| hasher.hash_one(of(text, ends, *number));
        self.table.insert_unique(hash, number, rehash);
        self.text.push_str(name);
        self.text.push('\n');
        self.ends.push(self.text.len() as u32);
        number
    }

    fn get(&self, number: u32) -> &str {
        of(&self.text, &self.ends, number)
    }
}

/// Whether a text is a MAC or an address, rather than a device's id or name.
pub(super) fn is_address(text: &str) -> bool {
    text.parse::<Mac>().is_ok() || text.parse::<IpAddr>().is_ok()
}

fn of<'t>(text: &'t str, ends: &[u32], number: u32) -> &'t str {
    let at = number as usize;
    let end = |at: usize| ends.get(at).map_or(0, |end| *end as usize);
    let start = at.checked_sub(1).map_or(0, end);
    text.get(start..end(at).saturating_sub(1))
        .unwrap_or_default()
}

impl Matches {
    /// Searches what the lexicon has learnt since.
    pub(super) fn extend(&mut self, lexicon: &Lexicon, sought: &Sought) {
        let clients = lexicon.clients.iter().skip(self.clients.len());
        let clients = clients.map(|c| sought.is_client(&c.device, &c.name, &c.mac, &c.ip));
        self.clients.extend(clients);
        let Names { text, ends, .. } = &lexicon.names;
        let finder = Finder::new(&sought.name);
        self.names.resize(ends.len().div_ceil(64), 0);
        let mut name = ends.partition_point(|end| *end as usize <= self.searched);
        while let Some(rest) = text.as_bytes().get(self.searched..)
            && let Some(found) = finder.find(rest)
        {
            let at = self.searched + found;
            name = ahead(ends, name, at);
            self.add(lexicon, name as u32);
            self.searched = ends.get(name).map_or(text.len(), |end| *end as usize);
        }
        self.searched = text.len();
    }

    fn add(&mut self, lexicon: &Lexicon, name: u32) {
        // The root stands for various names.
        if lexicon.names.get(name) == "." {
            return;
        }
        if let Some(word) = self.names.get_mut(name as usize / 64) {
            *word |= 1 << (name % 64);
            self.any_name = true;
        }
    }

    fn has_name(&self, name: u32) -> bool {
        let word = self.names.get(name as usize / 64);
        word.is_some_and(|word| word >> (name % 64) & 1 == 1)
    }

    fn has_client(&self, client: u32) -> bool {
        self.clients.get(client as usize).copied().unwrap_or(false)
    }
}

/// The number of the name that byte `at` belongs to, which is `from` or a later
/// one. Matches may be many and near to each other, or few and far.
fn ahead(ends: &[u32], from: usize, at: usize) -> usize {
    let mut step = 1;
    while ends.get(from + step).is_some_and(|end| *end as usize <= at) {
        step *= 2;
    }
    let near = ends.get(from..(from + step + 1).min(ends.len()));
    from + near.map_or(0, |near| near.partition_point(|end| *end as usize <= at))
}

/// Puts `global` at its day's own number, which begin at 1.
fn put(all: &mut Vec<u32>, local: i64, global: u32) {
    let Ok(local) = usize::try_from(local) else {
        return;
    };
    // A number that was never given is nobody's.
    while all.len() + 1 < local && all.len() < MOST_OF_A_DAY {
        all.push(NOBODY);
    }
    all.push(global);
}
