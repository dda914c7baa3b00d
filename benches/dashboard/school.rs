//! A school that never was: who is in it, what its devices ask on a day, and
//! the log of six months of that.
//!
//! A visit to a site asks for a few of its hosts, for what the page brings
//! along (adverts, telemetry: blocked), and comes back a little later. Sites are
//! visited by popularity (Zipf, s = 1). Some hosts have a label that nobody has
//! seen before, as content networks have. Rarely a child looks for something
//! that matters; about once a day a mandatory list is hit.
//!
//! Everything goes through the recorder and the writer that the resolver has,
//! so that the files are what they would be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use schoolgate::lists::category::{Category, CategorySet};
use schoolgate::mac::Mac;
use schoolgate::name::Name;
use schoolgate::policy::decision::{Layer, LogLevel, Verdict};
use schoolgate::querylog::event::Event;
use schoolgate::querylog::recorder::{Recorder, recorder};
use schoolgate::querylog::writer::{Settings, Writer};

use crate::names;
use crate::random::{Random, Zipf, mix};

const SITES: usize = 60_000;
const ADVERTS: usize = 4000;
/// Of those that a list of something grave has.
const GRAVE: usize = 1500;
const MANDATORY: usize = 40;
/// Sites everybody knows, and what a list says of them.
const KNOWN: [(&str, &str); 8] = [
    ("google.com", ""),
    ("gstatic.com", ""),
    ("microsoft.com", ""),
    ("youtube.com", ""),
    ("tiktok.com", "social_media"),
    ("bbc.co.uk", ""),
    ("roblox.com", "games"),
    ("snapchat.com", "messaging"),
];
const LESS_KNOWN: [(&str, u64); 6] = [
    ("games", 14),
    ("social_media", 6),
    ("messaging", 4),
    ("video", 6),
    ("shopping", 10),
    ("piracy_copyright", 2),
];
const GRAVE_CATEGORIES: [&str; 8] = [
    "pornography",
    "gambling",
    "bypass",
    "violence",
    "drugs_substance",
    "self_harm",
    "extremism",
    "hate_speech",
];
const HOSTS: [&str; 10] = [
    "", "www.", "api.", "cdn.", "static.", "img.", "login.", "assets.", "m.", "edge.",
];
/// A flush for so many look-ups: the resolver flushes more often.
const FLUSH: usize = 2000;

/// One device.
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) name: String,
    mac: Mac,
    ip: Ipv4Addr,
    group: &'static str,
}

/// One look-up to be made.
struct Asked {
    /// Milliseconds of its day.
    at: u32,
    device: u32,
    site: Site,
    host: u8,
    /// A label that nobody has seen before.
    token: u32,
}

#[derive(Clone, Copy)]
enum Site {
    Usual(u32),
    Advert(u32),
    Grave(u32),
    Mandatory(u32),
}

/// The school and its world.
pub(crate) struct School {
    pub(crate) zone: TimeZone,
    pub(crate) devices: Vec<Device>,
    sites: Vec<(String, Option<Category>)>,
    adverts: Vec<String>,
    grave: Vec<(String, Category)>,
    popular: Zipf,
    popular_adverts: Zipf,
}

impl School {
    pub(crate) fn of(devices: usize) -> Self {
        let mut names = names::popular(SITES + ADVERTS + GRAVE).map(|name| bare(&name));
        let sites = (0..SITES).map(|rank| match KNOWN.get(rank) {
            Some((name, category)) => ((*name).to_owned(), Category::named(category)),
            None => (names.next().unwrap_or_default(), category_of(rank)),
        });
        let sites: Vec<_> = sites.collect();
        let adverts = names.by_ref().take(ADVERTS).collect();
        let grave = names.enumerate().map(|(at, name)| {
            let category = GRAVE_CATEGORIES[at % GRAVE_CATEGORIES.len()];
            (name, Category::named(category).expect("in the catalogue"))
        });
        Self {
            zone: TimeZone::get("Europe/London").expect("a zone"),
            devices: (0..devices).map(device).collect(),
            grave: grave.collect(),
            adverts,
            popular: Zipf::over(SITES),
            popular_adverts: Zipf::over(ADVERTS),
            sites,
        }
    }

    /// `devices.csv`.
    pub(crate) fn inventory(&self) -> String {
        let header = "id,name,mac,ip,group,owner,kind\n".to_owned();
        let row = |device: &Device| {
            let Device {
                id,
                name,
                mac,
                group,
                ..
            } = device;
            format!("{id},{name},{mac},,{group},,\n")
        };
        header + &self.devices.iter().map(row).collect::<String>()
    }

    /// The names that lists have, by category.
    pub(crate) fn listed(&self) -> BTreeMap<&'static str, Vec<&str>> {
        let sites = self.sites.iter();
        let sites = sites.filter_map(|(name, category)| Some(((*category)?, name)));
        let grave = self.grave.iter().map(|(name, category)| (*category, name));
        let mut all: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for (category, name) in sites.chain(grave) {
            all.entry(category.id()).or_default().push(name);
        }
        let adverts = self.adverts.iter().map(String::as_str);
        all.entry("adverts").or_default().extend(adverts);
        all
    }

    /// Writes `rows` look-ups, about, of the days `first` to `last`.
    pub(crate) fn write(&self, folder: &Path, first: Date, last: Date, rows: usize) {
        let days: Vec<Date> = first
            .series(1.day())
            .take_while(|date| *date <= last)
            .collect();
        let weight = |date: &Date| if is_school_day(*date) { 20 } else { 1 };
        let whole: usize = days.iter().map(weight).sum();
        let (near, far) = recorder(64 << 20);
        let mut log = Log::new(
            near,
            Writer::new(
                Settings::new(folder.to_owned(), self.zone.clone()),
                vec![far],
            ),
        );
        for date in days {
            let share = rows * weight(&date) / whole;
            let mut random = Random(mix(date.day_of_year() as u64 + 1));
            let mut asked = self.day(share, is_school_day(date), &mut random);
            asked.sort_by_key(|asked| asked.at);
            let start = date.to_zoned(self.zone.clone()).expect("a day").timestamp();
            for asked in &asked {
                let at = start + SignedDuration::from_millis(asked.at.into());
                self.record(&mut log, asked, at);
            }
            log.flush(start);
        }
    }

    /// Writes look-ups as they come, at `rate` a second, as of `start`; calls
    /// `wait` between flushes until it says stop.
    pub(crate) fn go_on(
        &self,
        folder: &Path,
        start: Timestamp,
        rate: usize,
        mut wait: impl FnMut() -> bool,
    ) -> usize {
        let (near, far) = recorder(4 << 20);
        let mut log = Log::new(
            near,
            Writer::new(
                Settings::new(folder.to_owned(), self.zone.clone()),
                vec![far],
            ),
        );
        let mut random = Random(mix(start.as_second().unsigned_abs()));
        let (mut at, mut written) = (start, 0);
        let step = SignedDuration::from_micros(i64::try_from(1_000_000 / rate).unwrap_or(1));
        while wait() {
            let mut some = self.day(rate / 4, true, &mut random);
            some.truncate((rate / 4).max(1));
            for asked in &some {
                at = at.checked_add(step).unwrap_or(at);
                self.record(&mut log, asked, at);
            }
            written += some.len();
            log.flush(at);
        }
        written
    }

    fn day(&self, rows: usize, school: bool, random: &mut Random) -> Vec<Asked> {
        let mut all = Vec::with_capacity(rows + 16);
        while all.len() < rows {
            let device = random.below(self.devices.len()) as u32;
            let at = moment(school && random.below(10) > 0, random);
            let site = match random.below(2000) {
                0 => Site::Grave(random.below(self.grave.len()) as u32),
                _ => Site::Usual(self.popular.draw(random) as u32),
            };
            let mut add = |at: usize, site, random: &mut Random| {
                all.push(Asked {
                    at: (at % 86_400_000) as u32,
                    device,
                    site,
                    host: random.below(HOSTS.len()) as u8,
                    token: if random.below(60) == 0 {
                        random.next() as u32 | 1
                    } else {
                        0
                    },
                });
            };
            for _ in 0..=random.below(8) {
                let later = at + random.below(200_000);
                add(later, site, random);
                if matches!(site, Site::Usual(_)) && random.below(5) == 0 {
                    let advert = self.popular_adverts.draw(random) as u32;
                    add(later + random.below(3000), Site::Advert(advert), random);
                }
            }
            if random.below(60_000) == 0 {
                add(at, Site::Mandatory(random.below(MANDATORY) as u32), random);
            }
        }
        all
    }

    fn record(&self, log: &mut Log, asked: &Asked, at: Timestamp) {
        let device = &self.devices[asked.device as usize];
        let (domain, category) = match asked.site {
            Site::Usual(at) => (&*self.sites[at as usize].0, self.sites[at as usize].1),
            Site::Advert(at) => (&*self.adverts[at as usize], Category::named("adverts")),
            Site::Grave(at) => (&*self.grave[at as usize].0, Some(self.grave[at as usize].1)),
            Site::Mandatory(at) => (
                &*self.sites[SITES - 1 - at as usize].0,
                Category::named("terrorism"),
            ),
        };
        let host = HOSTS[usize::from(asked.host)];
        let name = match asked.token {
            0 => format!("{host}{domain}"),
            token => format!("e{token:x}.{host}{domain}"),
        };
        let name = Name::parse_any_depth(&name).expect("a name");
        let (action, layer) = match asked.site {
            Site::Mandatory(_) => (Verdict::Block, Layer::Mandatory),
            _ if category.is_none() => (Verdict::Allow, Layer::Allow),
            // Staff may do more.
            _ if device.group == "staff" && matches!(asked.site, Site::Usual(_)) => {
                (Verdict::Allow, Layer::Allow)
            }
            _ => (Verdict::Block, Layer::Category),
        };
        log.record(&Event {
            time: at,
            time_trusted: true,
            device: Some(&device.id),
            device_name: Some(&device.name),
            mac: Some(device.mac),
            ip: IpAddr::V4(device.ip),
            group: device.group,
            name: name.as_ref(),
            rtype: if asked.host.is_multiple_of(3) { 28 } else { 1 },
            action,
            layer,
            category: category.filter(|_| action == Verdict::Block),
            categories: category.into_iter().collect::<CategorySet>(),
            source: category.map(|_| "bench"),
            policy: 1,
            level: LogLevel::Full,
        });
    }
}

/// A worker and the writer.
struct Log {
    recorder: Recorder,
    writer: Writer,
    waiting: usize,
    /// Of the monotonic clock: far more passes than a window between two
    /// look-ups, so that each is a row.
    milliseconds: u64,
}

impl Log {
    fn new(recorder: Recorder, writer: Writer) -> Self {
        Self {
            recorder,
            writer,
            waiting: 0,
            milliseconds: 0,
        }
    }

    fn record(&mut self, event: &Event<'_>) {
        self.milliseconds += 20;
        self.recorder.tick(self.milliseconds);
        self.recorder.record(event, self.milliseconds);
        self.waiting += 1;
        if self.waiting >= FLUSH {
            self.flush(event.time);
        }
    }

    fn flush(&mut self, now: Timestamp) {
        self.recorder.flush();
        self.writer.flush(now);
        self.waiting = 0;
        let report = self.writer.health().report();
        assert!(!report.failing, "{report:?}");
    }
}

fn bare(name: &str) -> String {
    name.strip_prefix("www.").unwrap_or(name).to_owned()
}

fn category_of(rank: usize) -> Option<Category> {
    let mut at = mix(rank as u64) % 1000;
    for (category, share) in LESS_KNOWN {
        if at < share {
            return Category::named(category);
        }
        at -= share;
    }
    None
}

fn device(number: usize) -> Device {
    let (group, kind) = match number % 20 {
        0..=14 => ("pupil", "Chromebook"),
        15 | 16 => ("pupil", "iPad"),
        17 | 18 => ("staff", "Laptop"),
        _ => ("pupil", "Library PC"),
    };
    let [.., high, low] = (number as u32).to_be_bytes();
    Device {
        id: format!("d{number:04}"),
        name: format!("{kind} {number:04}"),
        mac: format!("00:1a:2b:00:{high:02x}:{low:02x}")
            .parse()
            .expect("a MAC"),
        ip: Ipv4Addr::new(10, 1, high, low),
        group,
    }
}

fn is_school_day(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// A millisecond of a day, mostly of lessons.
fn moment(lessons: bool, random: &mut Random) -> usize {
    if lessons {
        return 8 * 3_600_000 + 1_800_000 + random.below(7 * 3_600_000);
    }
    random.below(86_000_000)
}
