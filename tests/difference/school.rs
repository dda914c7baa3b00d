//! A small school that can be changed in every way there is, one edit at a time.

use std::collections::BTreeMap;
use std::fmt::Write;

use schoolgate::configuration::PolicyTexts;

/// What is changed, and three numbers that say to what.
pub(super) type Edit = (u8, u8, u8, u8);

pub(super) const CATEGORIES: [&str; 6] = [
    "gambling",
    "games",
    "video",
    "social_media",
    "search_no_safesearch",
    "terrorism",
];
const GROUPS: [&str; 4] = ["pupil", "staff", "guest", "club"];
const TIMETABLES: [&str; 3] = ["lessons", "nights", "treat"];
const NETWORKS: [&str; 6] = [
    "10.1.0.0/16",
    "10.1.8.0/24",
    "10.2.0.0/16",
    "10.2.0.0/17",
    "10.2.128.0/17",
    "fd00::/8",
];
pub(super) const DEVICES: [&str; 4] = ["ipad", "pc", "lap", "0123456789abcdef"];
pub(super) const MACS: [&str; 4] = [
    "00:00:00:00:00:10",
    "00:00:00:00:00:20",
    "00:00:00:00:00:30",
    "00:00:00:00:00:40",
];
pub(super) const SECRETS: [&str; 2] = ["k3p9x7w2m5q8r4t6", "z3p9x7w2m5q8r4t7"];
pub(super) const ADDRESSES: [&str; 7] = [
    "10.1.0.7",
    "10.1.8.9",
    "10.2.0.9",
    "10.2.200.3",
    "10.9.0.1",
    "fd00::7",
    "2001:db8::1",
];
pub(super) const NAMES: [&str; 10] = [
    "a.example",
    "b.a.example",
    "c.b.a.example",
    "z.c.b.a.example",
    "z.a.example",
    "other.example",
    "www.google.com",
    "www.youtube.com",
    "mask.icloud.com",
    "x.mask.icloud.com",
];
const ENDS: [&str; 4] = ["", "2027-03-25", "2027-07-20", "2026-11-20T15:00:00Z"];
const HOURS: [&str; 5] = [
    "",
    "from = \"08:45\"\nto = \"15:30\"\n",
    "from = \"09:00\"\nto = \"15:00\"\n",
    "from = \"20:00\"\nto = \"06:00\"\n",
    "from = \"14:15\"\nto = \"15:00\"\n",
];
const DAYS: [&str; 4] = [
    "",
    "days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\n",
    "days = [\"fri\"]\n",
    "days = [\"mon\", \"fri\", \"sat\"]\n",
];
const TERMS: [&str; 4] = [
    "",
    "dates = [{ from = 2026-09-02, to = 2026-12-18 }]\n",
    "dates = [{ from = 2026-09-02, to = 2026-12-18 }, { from = 2027-01-04, to = 2027-07-20 }]\n",
    "dates = [{ from = 2026-09-03, to = 2026-12-18 }]\n",
];
const CLOSED: [&str; 3] = [
    "",
    "closed = [{ from = 2026-10-26, to = 2026-10-30 }]\n",
    "closed = [{ on = 2026-11-20 }]\n",
];

#[derive(Clone, Default)]
struct Group {
    off: bool,
    blocks: u8,
    during: [[u8; 2]; 3],
    search: u8,
    no_canaries: bool,
    keeps_ech: bool,
    log: u8,
}

#[derive(Clone, Default)]
struct Timetable {
    days: usize,
    hours: usize,
    outside: bool,
}

#[derive(Clone, PartialEq)]
struct Exception {
    name: usize,
    exact: bool,
    denies: bool,
    whom: usize,
    end: usize,
    added: bool,
}

#[derive(Clone, Default)]
struct Device {
    group: Option<usize>,
    secret: Option<usize>,
}

#[derive(Clone)]
pub(super) struct School {
    unknown: usize,
    terms: usize,
    closed: usize,
    timetables: [Timetable; 3],
    groups: BTreeMap<usize, Group>,
    networks: [Option<usize>; 6],
    exceptions: Vec<Exception>,
    devices: BTreeMap<usize, Device>,
    macs: [Option<usize>; 4],
    ips: [Option<usize>; 7],
    canaries: u8,
    engines: u8,
    /// Whose look-ups may raise an alert; none: everybody's.
    told: u8,
}

impl School {
    /// Pupils are held more firmly than guests, and guests than staff.
    pub(super) fn plain() -> Self {
        let group = |blocks, search| Group {
            blocks,
            search,
            log: 2,
            ..Group::default()
        };
        let device = |group| Device {
            group,
            secret: None,
        };
        Self {
            unknown: 2,
            terms: 1,
            closed: 1,
            timetables: [(1, 1), (0, 3), (2, 4)].map(|(days, hours)| Timetable {
                days,
                hours,
                outside: hours == 3,
            }),
            groups: [group(0b11111, 2), group(0b1, 1), group(0b11, 2)]
                .into_iter()
                .enumerate()
                .collect(),
            networks: [Some(0), None, Some(1), None, None, None],
            exceptions: Vec::new(),
            devices: [
                (0, device(Some(0))),
                (1, device(Some(1))),
                (2, device(None)),
            ]
            .into(),
            macs: [Some(0), Some(1), None, None],
            ips: [None; 7],
            canaries: 1,
            engines: 3,
            told: 0,
        }
    }

    /// Makes one edit; some come to nothing.
    pub(super) fn edit(&mut self, (what, a, b, c): Edit) {
        let [a, b, c] = [a, b, c].map(usize::from);
        let group = b % GROUPS.len();
        match what % 12 {
            0..=2 => self.edit_group(group, what, a, c),
            3 => {
                let owner = (c % 5 < 4).then_some(group);
                self.networks[a % NETWORKS.len()] = owner;
            }
            4 => match c % 3 {
                0 => self.unknown = group,
                1 => self.terms = a % TERMS.len(),
                _ => self.closed = a % CLOSED.len(),
            },
            5 => {
                let timetable = &mut self.timetables[a % TIMETABLES.len()];
                match c % 3 {
                    0 => timetable.days = b % DAYS.len(),
                    1 => timetable.hours = b % HOURS.len(),
                    _ => timetable.outside = !timetable.outside,
                }
            }
            6 | 7 => self.exceptions.push(Exception {
                name: a % 3,
                exact: c & 1 == 1,
                denies: c & 6 != 0,
                whom: b % (GROUPS.len() + DEVICES.len()),
                end: (c >> 3) % ENDS.len(),
                added: c & 64 != 0,
            }),
            8 => self.edit_exception(a, b, c),
            9 | 10 => self.edit_device(a, b, c),
            _ if c.is_multiple_of(4) => self.told ^= 1 << group,
            _ if c & 1 == 0 => self.canaries ^= 1 << (a % 3),
            _ => self.engines ^= 1 << (a % 3),
        }
    }

    fn edit_group(&mut self, group: usize, what: u8, a: usize, c: usize) {
        let known = self.groups.contains_key(&group);
        if what == 2 && c.is_multiple_of(5) {
            if known {
                self.groups.remove(&group);
            } else {
                self.groups.insert(group, Group::default());
            }
            return;
        }
        let Some(group) = self.groups.get_mut(&group) else {
            return;
        };
        let category = 1 << (a % CATEGORIES.len());
        match c % 10 {
            0 | 1 => group.blocks ^= category,
            2 => group.blocks |= category,
            3 | 4 => group.during[c % 3][0] ^= category,
            5 => group.during[c % 3][1] ^= category,
            6 => group.search = a as u8 % 3,
            7 => group.no_canaries = !group.no_canaries,
            8 => group.keeps_ech = !group.keeps_ech,
            _ if a.is_multiple_of(3) => group.log = a as u8 % 4,
            _ => group.off = !group.off,
        }
    }

    fn edit_exception(&mut self, a: usize, b: usize, c: usize) {
        if self.exceptions.is_empty() {
            return;
        }
        let at = a % self.exceptions.len();
        match c % 4 {
            0 => _ = self.exceptions.remove(at),
            1 => self.exceptions[at].end = b % ENDS.len(),
            2 => self.exceptions[at].exact ^= true,
            _ => self.exceptions[at].added ^= true,
        }
    }

    fn edit_device(&mut self, a: usize, b: usize, c: usize) {
        let device = a % DEVICES.len();
        let of = (b % 5 < 4).then_some(device);
        match c % 6 {
            0 => self.macs[b % MACS.len()] = of,
            1 => self.ips[b % ADDRESSES.len()] = of,
            2 if self.devices.contains_key(&device) => _ = self.devices.remove(&device),
            2 | 3 => {
                let group = (b % 5 < 4).then_some(b % GROUPS.len());
                self.devices.entry(device).or_default().group = group;
            }
            4 => {
                let secret = (b % 3 < 2).then_some(b % SECRETS.len());
                self.devices.entry(device).or_default().secret = secret;
            }
            _ => {
                self.devices.entry(device).or_default();
            }
        }
    }

    /// As it is typed.
    pub(super) fn texts(&self) -> PolicyTexts {
        let mut policy = format!(
            "school = \"A\"\ntimezone = \"Europe/London\"\nunknown = \"{}\"\n[terms]\n{}{}",
            GROUPS[self.unknown], TERMS[self.terms], CLOSED[self.closed]
        );
        for (id, timetable) in TIMETABLES.iter().zip(&self.timetables) {
            let (days, hours) = (DAYS[timetable.days], HOURS[timetable.hours]);
            let outside = timetable.outside;
            let _ = write!(
                policy,
                "[timetables.{id}]\n{days}{hours}outside_terms = {outside}\n"
            );
        }
        for (index, group) in &self.groups {
            self.group(*index, group, &mut policy);
        }
        let told = GROUPS.iter().enumerate();
        let told = told.filter(|(at, _)| self.told >> at & 1 == 1);
        let told: Vec<&str> = told.map(|(_, id)| *id).collect();
        let _ = writeln!(policy, "[alerts.themes.gambling]\ngroups = {told:?}");
        let mut added = String::new();
        for exception in &self.exceptions {
            let text = if exception.added {
                &mut added
            } else {
                &mut policy
            };
            write_exception(exception, text);
        }
        PolicyTexts {
            policy,
            added,
            devices: self.inventory(),
            canaries: table(self.canaries, &CANARIES),
            safe_search: table(self.engines, &ENGINES),
            sources: SOURCES.to_owned(),
        }
    }

    fn group(&self, index: usize, group: &Group, text: &mut String) {
        let networks = NETWORKS.iter().zip(&self.networks);
        let networks = networks.filter(|(_, owner)| **owner == Some(index));
        let networks: Vec<&str> = networks.map(|(network, _)| *network).collect();
        let during = |which: usize| -> String {
            let all = TIMETABLES.iter().zip(&group.during);
            let all = all.map(|(id, sets)| format!("{id} = {:?}", categories(sets[which])));
            all.collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(
            text,
            "[groups.{}]\nenabled = {}\nnetworks = {networks:?}\nblock = {:?}\n\
             block_during = {{ {} }}\nallow_during = {{ {} }}\nsafe_search = \"{}\"\n\
             canaries = {}\nech = \"{}\"\nlog = \"{}\"",
            GROUPS[index],
            !group.off,
            categories(group.blocks),
            during(0),
            during(1),
            ["off", "moderate", "strict"][usize::from(group.search)],
            !group.no_canaries,
            if group.keeps_ech { "keep" } else { "strip" },
            ["off", "counts", "domains", "full"][usize::from(group.log)],
        );
    }

    fn inventory(&self) -> String {
        let mut text = "id,mac,ip,group,client_id\n".to_owned();
        for (index, device) in &self.devices {
            let own = |all: &[Option<usize>], words: &[&str]| {
                let all = all.iter().zip(words);
                let own = all.filter(|(owner, _)| **owner == Some(*index));
                own.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
            };
            let _ = writeln!(
                text,
                "{},{},{},{},{}",
                DEVICES[*index],
                own(&self.macs, &MACS),
                own(&self.ips, &ADDRESSES),
                device.group.map_or("", |group| GROUPS[group]),
                device.secret.map_or("", |secret| SECRETS[secret]),
            );
        }
        text
    }
}

fn categories(bits: u8) -> Vec<&'static str> {
    let all = CATEGORIES.iter().enumerate();
    all.filter(|(at, _)| bits >> at & 1 == 1)
        .map(|(_, id)| *id)
        .collect()
}

fn write_exception(exception: &Exception, text: &mut String) {
    let whom = match exception.whom.checked_sub(GROUPS.len()) {
        None => format!("groups = [\"{}\"]", GROUPS[exception.whom]),
        Some(device) => format!("devices = [\"{}\"]", DEVICES[device]),
    };
    let end = match ENDS[exception.end] {
        "" => String::new(),
        end => format!("expires = {end}\n"),
    };
    let _ = writeln!(
        text,
        "[[exceptions]]\nname = \"{}\"\nmatch = \"{}\"\nverdict = \"{}\"\n{whom}\n\
         reason = \"r\"\n{end}",
        NAMES[exception.name],
        if exception.exact { "exact" } else { "subtree" },
        if exception.denies { "deny" } else { "allow" },
    );
}

const SOURCES: &str = "[[source]]\nid = \"games\"\ncategory = \"games\"\nformat = \"domains\"\n\
                       match = \"subtree\"\nfile = \"games.txt\"\n";
const CANARIES: [&str; 3] = [
    "[[canaries]]\nname = \"mask.icloud.com\"\nmatch = \"subtree\"\nanswer = \"nxdomain\"\n\
     says = \"x\"\nsource = \"y\"\n",
    "[[canaries]]\nname = \"x.mask.icloud.com\"\nmatch = \"exact\"\nanswer = \"nodata\"\n\
     says = \"x\"\nsource = \"y\"\n",
    "[[canaries]]\nname = \"other.example\"\nmatch = \"exact\"\nanswer = \"nodata\"\n\
     says = \"x\"\nsource = \"y\"\n",
];
const ENGINES: [&str; 3] = [
    "[[engines]]\nid = \"google\"\nnames = [\"www.google.com\"]\n\
     strict = \"forcesafesearch.google.com\"\nsource = \"s\"\n",
    "[[engines]]\nid = \"youtube\"\nnames = [\"www.youtube.com\"]\n\
     strict = \"restrict.youtube.com\"\nmoderate = \"restrictmoderate.youtube.com\"\n\
     source = \"s\"\n",
    "[[engines]]\nid = \"other\"\nnames = [\"other.example\"]\n\
     strict = \"forcesafesearch.google.com\"\nsource = \"s\"\n",
];

fn table(on: u8, all: &[&str; 3]) -> String {
    let on = all.iter().enumerate().filter(|(at, _)| on >> at & 1 == 1);
    let on: String = on.map(|(_, text)| *text).collect();
    format!("updated = 2026-11-21\n{on}")
}
