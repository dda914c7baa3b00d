//! Who asked lately, as the log knows them: for the page of devices.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::querylog::day_file::{ClientWords, DayFile};
use crate::querylog::read::Unreadable;

use super::book::{Book, told};
use super::files::Found;
use super::wanted::Page;

/// One device as one day's log has it. One that changed its address or group
/// comes once for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id in the inventory.
    pub device: Option<String>,
    /// What it was called.
    pub name: Option<String>,
    /// Its hardware address.
    pub mac: Option<String>,
    /// Its address.
    pub ip: Option<IpAddr>,
    /// Its group.
    pub group: String,
    /// Its last row.
    pub last_seen: Timestamp,
    /// Rows since then; a row may stand for several look-ups.
    pub rows: u64,
}

impl Client {
    /// What incidents call it: the id, else the MAC, else the address.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        let key = self.device.as_ref().or(self.mac.as_ref()).cloned();
        key.or_else(|| self.ip.map(|ip| ip.to_string()))
    }
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// The last seen first.
    pub clients: Vec<Client>,
    /// Days that cannot be read.
    pub damaged: Vec<Unreadable>,
}

/// What tells one client of the log from another.
type Who = [String; 5];

impl Book {
    /// Who has asked since then. It reads an index over each day, so ask for few.
    #[must_use]
    pub fn clients(&self, since: Timestamp) -> Clients {
        let mut all = Clients::default();
        let mut seen: HashMap<Who, (i64, u64)> = HashMap::new();
        for found in self.back(Some(since), None, Page::first(0), &mut all.damaged) {
            let day = match found {
                Found::Rows(date) => self.files().ask(date, |file| {
                    file.at_one_moment(|file| of_day(file, since.as_microsecond()))
                }),
                Found::SetAside(_, unreadable) => Err(unreadable),
            };
            for (who, last, rows) in told(day, &mut all.damaged).unwrap_or_default() {
                let client = seen.entry(who).or_default();
                client.0 = client.0.max(last);
                client.1 += rows;
            }
        }
        let clients = seen.into_iter();
        all.clients = clients.map(|(who, seen)| Client::of(who, seen)).collect();
        all.clients.sort_by_key(|client| Reverse(client.last_seen));
        all
    }
}

fn of_day(file: &DayFile, since: i64) -> Result<Vec<(Who, i64, u64)>, Unreadable> {
    let seen = file.last_seen(since)?;
    let seen: HashMap<i64, (i64, u64)> = seen
        .into_iter()
        .map(|(client, last, rows)| (client.into(), (last, rows)))
        .collect();
    let clients = file.clients(0)?.into_iter();
    let known = clients.filter_map(|client| {
        let (last, rows) = *seen.get(&client.number)?;
        let ClientWords {
            device,
            name,
            mac,
            ip,
            group,
            ..
        } = client;
        Some(([device, name, mac, ip, group], last, rows))
    });
    Ok(known.collect())
}

impl Client {
    fn of([device, name, mac, ip, group]: Who, (last, rows): (i64, u64)) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            device: some(device),
            name: some(name),
            mac: some(mac),
            ip: ip.parse().ok(),
            group,
            last_seen: Timestamp::from_microsecond(last).unwrap_or_default(),
            rows,
        }
    }
}
