//! The questions, each asked many times, and how long the answers took.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use schoolgate::incidents::book::Book;
use schoolgate::incidents::search::Sought;
use schoolgate::incidents::sight::Sight;
use schoolgate::incidents::wanted::{Page, Wanted};
use schoolgate::lists::category::Category;

use crate::random::Random;
use crate::school::School;

const PAGE: usize = 25;

/// A question with what was found out.
pub(crate) struct Measured {
    pub(crate) what: String,
    pub(crate) p50: Duration,
    pub(crate) p95: Duration,
    /// What p95 may be.
    pub(crate) bound: Option<Duration>,
    /// What came of the last one.
    pub(crate) found: String,
}

/// Whoever asks.
pub(crate) struct Asker<'a> {
    pub(crate) book: &'a Book,
    pub(crate) school: &'a School,
    pub(crate) now: Timestamp,
    pub(crate) days: Vec<Date>,
    pub(crate) times: usize,
    pub(crate) random: Random,
    pub(crate) all: Vec<Measured>,
}

impl Asker<'_> {
    /// Asks everything.
    pub(crate) fn ask_all(&mut self) {
        let (book, now) = (self.book, self.now);
        self.ask("home", Some(150), |_| {
            let overview = book.overview(now);
            format!("{} today, {} this week", overview.today, overview.this_week)
        });
        self.searches();
        self.ask("a device's day", Some(50), |asker| {
            let device = asker.device();
            let date = asker.days[asker.random.below(asker.days.len())];
            let day = book.device_day(&device, date, Page::first(100));
            let day = day.expect("a day");
            format!(
                "{} incidents, {} rows shown",
                day.incidents.len(),
                day.rows.len()
            )
        });
        self.listings();
        let newest = book
            .incidents(&Wanted::default(), Page::first(200))
            .incidents;
        self.ask("an incident opened", None, |asker| {
            let incident = &newest[asker.random.below(newest.len())];
            let opened = book.incident(incident.first).expect("a day");
            format!("{} rows", opened.expect("an incident").all_rows)
        });
        let midnight = book.date(now).saturating_sub(1.day());
        let since = midnight.to_zoned(self.school.zone.clone()).expect("a day");
        self.ask("devices of today and yesterday", Some(100), |_| {
            format!("{} clients", book.clients(since.timestamp()).clients.len())
        });
        self.ask("a term's digests", None, |asker| {
            let days = asker.days.iter().rev().take(75);
            let cells = days
                .filter_map(|date| book.digest(*date))
                .map(|d| d.cells.len());
            format!("{} cells", cells.sum::<usize>())
        });
    }

    fn searches(&mut self) {
        let (book, rare) = (self.book, self.rare_names());
        let mut search = |what: &str, text: &dyn Fn(&mut Random) -> String| {
            self.ask(&format!("search: {what}"), Some(100), |asker| {
                let text = text(&mut asker.random);
                let sought = Sought::new(&text, Sight::Full).expect("a text");
                let found = book.search(&sought, Page::first(PAGE));
                let so_far = if found.more_to_look { " so far" } else { "" };
                format!("\"{text}\": {} rows{so_far}", found.rows.len())
            });
        };
        search("a site everybody visits", &|_| "tiktok".to_owned());
        search("a part of most names", &|_| "com".to_owned());
        search("a part of some names", &|random| {
            ["kan", "bel", "zor", "mip"][random.below(4)].to_owned()
        });
        search("a whole name", &|random| {
            rare[random.below(rare.len())].clone()
        });
        search("what is not there", &|random| {
            format!("no-{:x}", random.next())
        });
        search("a device by name", &|random| {
            format!("Chromebook {:04}", random.below(15))
        });
        search("a device by MAC", &|random| {
            format!("00-1A-2B-00-00-{:02X}", random.below(250))
        });
        self.ask("search: a person", Some(100), |asker| {
            let devices = [asker.device(), asker.device()];
            let sought = Sought::new("a. pupil", Sight::Full).expect("a text");
            let found = book.search(&sought.with_devices(devices), Page::first(PAGE));
            format!("{} rows", found.rows.len())
        });
    }

    fn listings(&mut self) {
        let book = self.book;
        let mut list = |what: &str, wanted: &dyn Fn(&mut Self) -> Wanted| {
            self.ask(&format!("incidents: {what}"), None, |asker| {
                let listing = book.incidents(&wanted(asker), Page::first(PAGE));
                let so_far = if listing.more_to_look { " so far" } else { "" };
                let back = listing.looked_back_to.map(|date| date.to_string());
                let back = back.unwrap_or_default();
                format!("{} back to {back}{so_far}", listing.incidents.len())
            });
        };
        list("the newest", &|_| Wanted::default());
        list("with background", &|_| Wanted {
            hide_background: false,
            ..Wanted::default()
        });
        list("one device's of self-harm, six months", &|asker| Wanted {
            device: Some(asker.device()),
            category: Category::named("self_harm"),
            ..Wanted::default()
        });
        list("out of school hours, sensitive", &|_| Wanted {
            school_hours: Some(false),
            sensitive_only: true,
            ..Wanted::default()
        });
        list("nobody's, six months", &|_| Wanted {
            device: Some("nobody".to_owned()),
            ..Wanted::default()
        });
    }

    /// Whole names, mostly with a label that nobody has seen before.
    fn rare_names(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while names.len() < 20 {
            let date = self.days[self.random.below(self.days.len())];
            let day = self.book.device_day(&self.device(), date, Page::first(500));
            let rows = day.map(|day| day.rows).unwrap_or_default();
            let rare = |name: &String| name.len() > 9 && name.starts_with('e');
            names.extend(rows.into_iter().map(|row| row.name).find(rare));
        }
        names
    }

    fn device(&mut self) -> String {
        let at = self.random.below(self.school.devices.len());
        self.school.devices[at].id.clone()
    }

    fn ask(&mut self, what: &str, bound: Option<u64>, mut ask: impl FnMut(&mut Self) -> String) {
        let mut took = Vec::with_capacity(self.times);
        let mut found = String::new();
        for _ in 0..self.times {
            let started = Instant::now();
            found = black_box(ask(self));
            took.push(started.elapsed());
        }
        took.sort_unstable();
        let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
        self.all.push(Measured {
            what: what.to_owned(),
            p50: at(50),
            p95: at(95),
            bound: bound.map(Duration::from_millis),
            found,
        });
    }
}

/// Resident memory, in megabytes.
pub(crate) fn memory() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
