//! One day's dictionaries, as collapsing needs them: for each number of a row
//! what it says about incidents, so that a row is collapsed without a word of it
//! being copied.
//!
//! They are learnt from the day's file as far as rows ask for them. A day being
//! written only ever adds numbers.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::lists::category::{Category, Theme};
use crate::policy::decision::{Layer, Verdict};
use crate::querylog::day_file::{ClientWords, DayFile, Lookup, RulingWords};
use crate::querylog::read::Unreadable;
use crate::querylog::row::VARIOUS;
use crate::querylog::visits;

use super::collapse::Short;
use super::interest;

/// Ids of categories that a day can tell apart. The catalogue has fewer, and those
/// that earlier ones had are few.
const MOST_IDS: usize = 64;
/// No day's dictionary is larger; a file that says so is damaged.
const MOST_NUMBERS: usize = 1 << 24;

/// A set of category ids, bit n for the n-th the day has met.
pub(super) type Ids = u64;

/// A day's words.
#[derive(Clone, Default)]
pub(super) struct Words {
    clients: Vec<Who>,
    rulings: Vec<Facts>,
    /// Name → domain.
    domains: HashMap<u32, u32, RandomState>,
    /// The name that stands for various ones in some rows.
    root: Option<u32>,
    various: u32,
    texts: Texts,
    ids: Vec<(String, Option<Category>)>,
}

/// What rows say of one client, as numbers of [`Texts`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Who {
    /// As [`visits::device_of`]; 0, the empty text, for none.
    pub(super) device: u32,
    pub(super) name: u32,
    pub(super) group: u32,
}

/// What incidents know of one ruling.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) action: Verdict,
    pub(super) mandatory: bool,
    pub(super) of_interest: bool,
    pub(super) background: bool,
    pub(super) ids: Ids,
    pub(super) policy: u64,
}

/// Texts, each once, by number.
#[derive(Clone)]
pub(super) struct Texts {
    all: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32, RandomState>,
}

impl Words {
    /// Learns the clients and rulings that have come since.
    pub(super) fn learn(&mut self, file: &DayFile) -> Result<(), Unreadable> {
        for client in file.clients(self.clients.len())? {
            let who = self.who(&client);
            put(&mut self.clients, client.number, who, Who::default());
        }
        for ruling in file.rulings(self.rulings.len())? {
            let facts = self.facts(&ruling);
            put(&mut self.rulings, ruling.number, facts, Facts::NONE);
        }
        Ok(())
    }

    /// Learns the domains of these rows' names.
    pub(super) fn learn_domains(
        &mut self,
        file: &DayFile,
        rows: &[Lookup],
    ) -> Result<(), Unreadable> {
        for row in rows {
            if !self.domains.contains_key(&row.name) {
                let name = file.name(row.name)?;
                if name == "." {
                    self.root = Some(row.name);
                    self.various = self.texts.number(VARIOUS);
                }
                let domain = self.texts.number(&visits::registrable(&name));
                self.domains.insert(row.name, domain);
            }
        }
        Ok(())
    }

    /// The rulings of interest, or the others.
    pub(super) fn rulings(&self, of_interest: bool) -> Vec<u32> {
        let all = (0..).zip(&self.rulings);
        let wanted = all.filter(|(_, facts)| facts.of_interest == of_interest);
        wanted.map(|(number, _)| number).collect()
    }

    /// The numbers of the clients that are wanted.
    pub(super) fn clients(&self, wanted: impl Fn(Who) -> bool) -> Vec<u32> {
        let all = (0..).zip(&self.clients);
        let found = all.filter(|(_, who)| wanted(**who) && who.group != 0);
        found.map(|(number, _)| number).collect()
    }

    pub(super) fn client(&self, number: u32) -> Who {
        self.clients
            .get(number as usize)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn ruling(&self, number: u32) -> Facts {
        let facts = self.rulings.get(number as usize);
        facts.copied().unwrap_or(Facts::NONE)
    }

    pub(super) fn domain(&self, row: &Lookup) -> u32 {
        if row.rtype == 0 && self.root == Some(row.name) {
            return self.various;
        }
        self.domains.get(&row.name).copied().unwrap_or_default()
    }

    pub(super) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The set's ids.
    pub(super) fn ids(&self, set: Ids) -> impl Iterator<Item = &str> {
        self.known(set).map(|(id, _)| &**id)
    }

    /// The set of what `wanted` wants.
    pub(super) fn set_of(&self, wanted: impl Fn(&str) -> bool) -> Ids {
        let all = self.ids.iter().enumerate();
        all.filter(|(_, (id, _))| wanted(id))
            .fold(0, |set, (at, _)| set | 1 << at)
    }

    /// The theme of the gravest category, as [`visits`] has it.
    pub(super) fn theme(&self, set: Ids, mandatory: bool) -> Theme {
        let gravest = self.known(set).filter_map(|(_, category)| *category).min();
        match gravest.and_then(Category::facts) {
            Some(facts) => facts.theme,
            None if mandatory => Theme::Illegal,
            None => Theme::Unsorted,
        }
    }

    /// About how many bytes they hold.
    pub(super) fn bytes(&self) -> usize {
        let each = if self.texts.numbers.is_empty() {
            32
        } else {
            96
        };
        self.texts
            .all
            .iter()
            .map(|text| text.len() + each)
            .sum::<usize>()
            + self.clients.len() * size_of::<Who>()
            + self.rulings.len() * size_of::<Facts>()
            + self.domains.len() * 10
    }

    /// The words of these incidents alone, which get their numbers anew.
    pub(super) fn of_these(&self, incidents: &mut [Short]) -> Self {
        let mut words = Self {
            clients: vec![Who::default(); self.clients.len()],
            ids: self.ids.clone(),
            ..Self::default()
        };
        for incident in incidents {
            let who = self.client(incident.client);
            let mut again = |number| words.texts.number(self.texts.text(number));
            incident.domain = again(incident.domain);
            let who = Who {
                device: again(who.device),
                name: again(who.name),
                group: again(who.group),
            };
            put(&mut words.clients, incident.client.into(), who, who);
        }
        words.texts.numbers = HashMap::default();
        words.texts.all.shrink_to_fit();
        words
    }

    fn known(&self, set: Ids) -> impl Iterator<Item = &(String, Option<Category>)> {
        let all = self.ids.iter().enumerate();
        all.filter(move |(at, _)| set >> at & 1 == 1)
            .map(|(_, known)| known)
    }

    fn who(&mut self, client: &ClientWords) -> Who {
        let names = [&client.device, &client.mac, &client.ip];
        let device = names.into_iter().find(|text| !text.is_empty());
        Who {
            device: device.map_or(0, |device| self.texts.number(device)),
            name: self.texts.number(&client.name),
            group: self.texts.number(&client.group),
        }
    }

    fn facts(&mut self, ruling: &RulingWords) -> Facts {
        let categories = || ruling.categories.iter().map(String::as_str);
        let mandatory = ruling.layer == Layer::Mandatory;
        Facts {
            action: ruling.action,
            mandatory,
            of_interest: interest::concerns(ruling.action, ruling.layer, categories()),
            background: visits::is_background(ruling.layer, categories()),
            ids: categories().fold(0, |set, id| set | self.id(id)),
            policy: ruling.policy,
        }
    }

    fn id(&mut self, id: &str) -> Ids {
        let known = self.ids.iter().position(|(known, _)| known == id);
        let at = known.unwrap_or_else(|| {
            self.ids.push((id.to_owned(), Category::named(id)));
            self.ids.len() - 1
        });
        if at < MOST_IDS { 1 << at } else { 0 }
    }
}

impl Facts {
    /// Of a ruling that is not in the dictionary.
    const NONE: Self = Self {
        action: Verdict::Allow,
        mandatory: false,
        of_interest: false,
        background: false,
        ids: 0,
        policy: 0,
    };
}

impl Default for Texts {
    fn default() -> Self {
        let mut texts = Self {
            all: Vec::new(),
            numbers: HashMap::default(),
        };
        texts.number("");
        texts
    }
}

impl Texts {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.all.len() as u32;
        self.all.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.all.get(number as usize).map_or("", |text| text)
    }
}

/// Puts `value` at its number; what was left out before it is `none`.
fn put<T: Copy>(all: &mut Vec<T>, number: i64, value: T, none: T) {
    let Some(at) = usize::try_from(number).ok().filter(|at| *at < MOST_NUMBERS) else {
        return;
    };
    while all.len() <= at {
        all.push(none);
    }
    if let Some(place) = all.get_mut(at) {
        *place = value;
    }
}
