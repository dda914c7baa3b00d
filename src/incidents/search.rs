//! One box for everything: a domain or a part of one, a device, a person.
//!
//! A row is found if its name contains the text, or if the text is its device's
//! id, name (or part of it), MAC or address. Persons stand in the inventory, so
//! whoever asks brings the ids of their devices along.
//!
//! A mandatory hit is never found by its name unless whoever searches may see
//! the host: an empty result would say what a full one does.

use std::net::IpAddr;

use jiff::civil::Date;

use crate::mac::Mac;
use crate::querylog::read::Unreadable;
use crate::querylog::row::Row;

use super::sight::Sight;
use super::wanted::Cursor;

/// Longest text that is looked for; DNS has no longer name.
const LONGEST: usize = 255;

/// What somebody looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// In lower case.
    pub(super) text: String,
    /// As a name of DNS has it.
    pub(super) name: String,
    pub(super) devices: Vec<String>,
    pub(super) sight: Sight,
}

impl Sought {
    /// Reads what was typed, which may be a pasted link. None if that is
    /// nothing, or longer than any name.
    #[must_use]
    pub fn new(typed: &str, sight: Sight) -> Option<Self> {
        let typed = typed.trim();
        let text = match typed.split_once("://") {
            Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
            None => typed,
        };
        let text = text.trim_end_matches('/').to_lowercase();
        let fits = !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control);
        fits.then(|| Self {
            // What is no whole name stays as it was typed.
            name: if text.is_ascii() {
                text.clone()
            } else {
                idna::domain_to_ascii(&text).unwrap_or_else(|_| text.clone())
            },
            text,
            devices: Vec::new(),
            sight,
        })
    }

    /// Rows of these devices as well: those of a person who is called so.
    #[must_use]
    pub fn with_devices(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.devices.extend(ids);
        self
    }

    /// What is looked for.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a row is found.
    pub(super) fn finds(&self, row: &Row) -> bool {
        let hidden = self.sight == Sight::Guarded && row.is_mandatory();
        let text = |word: &Option<String>| word.clone().unwrap_or_default();
        let ip = row.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let device = (text(&row.device), text(&row.device_name), text(&row.mac));
        (!hidden && row.name.contains(&self.name))
            || self.is_client(&device.0, &device.1, &device.2, &ip)
    }

    /// Whether a device is.
    pub(super) fn is_client(&self, device: &str, name: &str, mac: &str, ip: &str) -> bool {
        let same = |known: &str| !known.is_empty() && known.eq_ignore_ascii_case(&self.text);
        let address = || self.text.parse::<IpAddr>().map(|ip| ip.to_canonical());
        let hardware = || self.text.parse::<Mac>();
        same(device)
            || name.to_lowercase().contains(&self.text)
            || self.devices.iter().any(|id| id == device)
            || hardware().is_ok_and(|wanted| wanted.to_string() == mac)
            || address().is_ok_and(|wanted| wanted.to_string() == ip)
    }
}

/// One page of what was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The newest first, already as the searcher may see them.
    pub rows: Vec<Row>,
    /// Where the next page begins; none if there is nothing more.
    pub next: Option<Cursor>,
    /// The oldest day that was looked at.
    pub looked_back_to: Option<Date>,
    /// The page is not full and there are days left.
    pub more_to_look: bool,
    /// Days that are not, or not all, in it.
    pub damaged: Vec<Unreadable>,
}
