//! A school that has been there for a fortnight: its folder, its lists, a policy
//! that was activated by the real server, and a log that the real writer wrote.
//!
//! The same numbers come out of every run (a small generator of our own), and
//! what a safeguarding lead should find is always yesterday's and today's.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use schoolgate::lists::category::{Category, CategorySet};
use schoolgate::name::Name;
use schoolgate::policy::decision::{Layer, LogLevel, Verdict};
use schoolgate::querylog::event::Event;
use schoolgate::querylog::recorder::{Recorder, recorder};
use schoolgate::querylog::writer::{Settings, Writer};
use schoolgate::record::Record;

use crate::serve::school::{Folder, Plan};

/// How many days the log goes back.
const DAYS: i32 = 14;
const RING: usize = 1 << 22;

/// The device that tried self-harm sites yesterday.
pub(crate) const TRIED: &str = "ipad-9b-07";
/// What it is called.
pub(crate) const TRIED_NAME: &str = "Year 9 iPad 7";
/// A site it tried.
pub(crate) const TRIED_SITE: &str = "hurt-diary.example";
/// A host of a mandatory list, which nobody but the safeguarding lead may see.
pub(crate) const MANDATORY: &str = "vile-things.example";
/// The device that met it.
pub(crate) const MANDATORY_DEVICE: &str = "lab2-14";

const POLICY: &str = r#"
school = "Meadowbrook School"
timezone = "Europe/London"
unknown = "guest"
[timetables.lessons]
days = ["mon", "tue", "wed", "thu", "fri"]
from = "08:50"
to = "15:20"
outside_terms = true
[groups.year-7]
networks = ["10.1.0.0/24"]
block = ["self_harm", "extremism", "pornography", "gambling", "bypass", "social_media", "adverts"]
block_during = { lessons = ["games"] }
log = "full"
[groups.year-9]
networks = ["10.1.1.0/24"]
block = ["self_harm", "extremism", "pornography", "gambling", "bypass", "social_media", "adverts"]
block_during = { lessons = ["games"] }
log = "full"
[groups.sixth-form]
networks = ["10.1.2.0/24"]
block = ["self_harm", "extremism", "pornography", "gambling", "bypass"]
log = "full"
[groups.staff]
networks = ["10.2.0.0/24"]
block = ["extremism", "pornography", "bypass"]
log = "counts"
[groups.guest]
block = ["self_harm", "extremism", "pornography", "gambling", "bypass", "games", "social_media"]
log = "domains"
"#;

/// A category and the names its list has.
const LISTS: [(&str, &[&str]); 8] = [
    (
        "self_harm",
        &[
            "hurt-diary.example",
            "quiet-exit.example",
            "thin-goals.example",
        ],
    ),
    (
        "extremism",
        &["pure-nation.example", "the-caliphate.example"],
    ),
    ("pornography", &["adult-tube.example", "xxx-clips.example"]),
    (
        "gambling",
        &["bets.example", "casino.example", "slots4u.example"],
    ),
    ("bypass", &["free-vpn.example", "proxy-hop.example"]),
    (
        "games",
        &["blockworld.example", "xn--bcherspiele-thb.example"],
    ),
    ("social_media", &["chatter.example", "snapshare.example"]),
    (
        "adverts",
        &[
            "ads.trackers.example",
            "pixel.metrics.example",
            "banners.example",
        ],
    ),
];

/// Devices by group: the beginnings of ids and names, and how many there are.
const DEVICES: [(&str, &str, &str, u8); 4] = [
    ("year-7", "ipad-7a", "Year 7 iPad", 12),
    ("year-9", "ipad-9b", "Year 9 iPad", 12),
    ("sixth-form", "lab2", "Lab 2 PC", 16),
    ("staff", "staff", "Staff laptop", 6),
];

struct Device {
    id: String,
    name: String,
    group: &'static str,
    ip: IpAddr,
    mac: String,
}

fn devices() -> Vec<Device> {
    let mut all = Vec::new();
    for (net, (group, id, name, count)) in (0_u8..).zip(DEVICES) {
        for number in 1..=count {
            let ip = match group {
                "staff" => [10, 2, 0, number],
                _ => [10, 1, net, number],
            };
            all.push(Device {
                id: format!("{id}-{number:02}"),
                name: format!("{name} {number}"),
                group,
                ip: ip.into(),
                mac: format!("00:1a:2b:{net:02x}:00:{number:02x}"),
            });
        }
    }
    all
}

/// A school with its folder and lists; nothing has been asked yet.
pub(crate) fn plan() -> Plan {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let mut plan = Plan::new(&[nowhere]);
    POLICY.clone_into(&mut plan.policy);
    "id,name,mac,ip,group,owner,kind\n".clone_into(&mut plan.devices);
    for (at, device) in devices().iter().enumerate() {
        let owner = ["A. Khan", "B. Owen", "C. Price", ""][at % 4];
        let Device {
            id,
            name,
            group,
            mac,
            ..
        } = device;
        writeln!(plan.devices, "{id},{name},{mac},,{group},{owner},tablet").unwrap();
    }
    let mut sources = String::new();
    for (category, names) in LISTS {
        let file = format!("{category}.txt");
        write!(
            sources,
            "[[source]]\nid = \"test-{category}\"\ncategory = \"{category}\"\nmatch = \"subtree\"\n\
             format = \"domains\"\nfile = \"{file}\"\nlicence = \"CC0-1.0\"\n"
        )
        .unwrap();
        plan.files.push((file, names.join("\n") + "\n"));
    }
    sources += "[[source]]\nid = \"test-illegal\"\ncategory = \"illegal\"\nclass = \"mandatory\"\n\
         match = \"subtree\"\nformat = \"urls\"\nfile = \"illegal.txt\"\nlicence = \"CC0-1.0\"\n";
    plan.files
        .push(("illegal.txt".to_owned(), format!("http://{MANDATORY}/\n")));
    plan.files.push(("sources.toml".to_owned(), sources));
    "[dashboard]\n".clone_into(&mut plan.tables);
    plan
}

/// That school a fortnight later.
pub(crate) fn fortnight(plan: &Plan, now: Timestamp) -> Folder {
    // The server has served once: its policy has a number and its texts are kept.
    let folder = plan.start().stop();
    has_served_since(&folder, now - SignedDuration::from_hours(24 * 30));
    let zone = TimeZone::get("Europe/London").unwrap();
    let mut log = Log::new(&folder, &zone);
    let today = now.to_zoned(zone.clone()).date();
    for back in (0..DAYS).rev() {
        let date = today.saturating_sub(back.days());
        usual_day(&mut log, date, now);
        match back {
            0 => todays(&mut log, now),
            1 => yesterdays(&mut log, date),
            2 | 5 | 8 => log.visit(
                at(&log.zone, date, 13, 5),
                TRIED,
                "bypass",
                "free-vpn.example",
                3,
            ),
            _ => {}
        }
        log.write(now);
    }
    folder
}

/// Says in the record of what was in force that it was so since then.
fn has_served_since(folder: &Folder, then: Timestamp) {
    let record = Record::of_changes(&folder.state());
    let entries = record.entries().unwrap();
    for file in ["record.jsonl", "head.json"] {
        std::fs::remove_file(folder.state().join("changes").join(file)).unwrap();
    }
    for mut entry in entries {
        if let Some(activation) = entry.deed.about.get_mut("activation") {
            activation["time"] = then.to_string().into();
        }
        record.add(entry.deed, then).unwrap();
    }
}

/// What everybody does: adverts, games, chats, and lessons that are let through.
fn usual_day(log: &mut Log, date: Date, now: Timestamp) {
    let weekend = matches!(date.weekday().to_monday_one_offset(), 6 | 7);
    let (visits, first_hour, hours) = if weekend { (12, 10, 10) } else { (240, 8, 9) };
    for _ in 0..visits {
        let device = log.some(40);
        let minute = log.some(hours * 60);
        let minutes = SignedDuration::from_mins(i64::try_from(minute).unwrap());
        let when = at(&log.zone, date, first_hour, 0) + minutes;
        if when > now {
            continue;
        }
        let (category, names) = match log.some(100) {
            0..45 => LISTS[7],
            45..60 => LISTS[5],
            60..72 => LISTS[6],
            72..74 => LISTS[3],
            74 => LISTS[2],
            75 => LISTS[4],
            _ => (
                "",
                &[
                    "maps.lessons.example",
                    "bbc-bitesize.example",
                    "wiki.example",
                ][..],
            ),
        };
        let name = names[log.some(names.len())];
        let times = log.some(6) + 1;
        let id = log.devices[device].id.clone();
        log.visit(when, &id, category, name, times);
    }
}

fn yesterdays(log: &mut Log, date: Date) {
    for (hour, minute, name, times) in [
        (10, 12, "hurt-diary.example", 7),
        (10, 21, "quiet-exit.example", 2),
        (14, 40, "forum.hurt-diary.example", 4),
    ] {
        log.visit(
            at(&log.zone, date, hour, minute),
            TRIED,
            "self_harm",
            name,
            times,
        );
    }
    log.visit(
        at(&log.zone, date, 11, 3),
        "ipad-7a-03",
        "extremism",
        "pure-nation.example",
        2,
    );
    log.visit(
        at(&log.zone, date, 21, 47),
        "lab2-05",
        "pornography",
        "adult-tube.example",
        5,
    );
    log.mandatory(at(&log.zone, date, 12, 31), MANDATORY_DEVICE, MANDATORY);
}

fn todays(log: &mut Log, now: Timestamp) {
    let soon = |minutes: i64| now - SignedDuration::from_mins(minutes);
    log.visit(soon(4), "lab2-09", "bypass", "proxy-hop.example", 3);
    log.visit(soon(2), "ipad-7a-11", "gambling", "slots4u.example", 2);
}

/// A time of a day on the school's wall.
fn at(zone: &TimeZone, date: Date, hour: i8, minute: i8) -> Timestamp {
    let local = date.at(hour, minute, 17, 0);
    local.to_zoned(zone.clone()).unwrap().timestamp()
}

/// One look-up that is to be written down.
struct Asked {
    time: Timestamp,
    device: String,
    name: String,
    category: &'static str,
    action: Verdict,
    layer: Layer,
}

/// The real log, and the numbers that everything is drawn from.
pub(crate) struct Log {
    recorder: Recorder,
    writer: Writer,
    devices: Vec<Device>,
    zone: TimeZone,
    state: u64,
    pending: Vec<Asked>,
    /// Milliseconds of the recorder's clock, which only goes on.
    clock: u64,
}

impl Log {
    /// The log of a folder, to be gone on with.
    pub(crate) fn new(folder: &Folder, zone: &TimeZone) -> Self {
        let (recorder, outlet) = recorder(RING);
        let settings = Settings::new(folder.state().join("querylog"), zone.clone());
        Self {
            recorder,
            writer: Writer::new(settings, vec![outlet]),
            devices: devices(),
            zone: zone.clone(),
            state: 20_261_121,
            pending: Vec::new(),
            clock: 0,
        }
    }

    /// One more device, called as somebody pleased.
    pub(crate) fn device(&mut self, id: &str, name: &str) {
        self.devices.push(Device {
            id: id.to_owned(),
            name: name.to_owned(),
            group: "year-9",
            ip: [10, 1, 1, 200].into(),
            mac: "02:00:00:00:00:c8".to_owned(),
        });
    }

    /// A number below `limit`, by chance but always the same (a 64-bit LCG).
    fn some(&mut self, limit: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % limit
    }

    /// `times` look-ups of names below `name`, some seconds apart.
    pub(crate) fn visit(
        &mut self,
        at: Timestamp,
        device: &str,
        category: &'static str,
        name: &str,
        times: usize,
    ) {
        let (action, layer) = match category {
            "" => (Verdict::Allow, Layer::Allow),
            _ => (Verdict::Block, Layer::Category),
        };
        for (time, label) in (0..times).zip(["www", "cdn", "img", "api", "m", "static", "go"]) {
            self.pending.push(Asked {
                time: at + SignedDuration::from_secs(7 * i64::try_from(time).unwrap()),
                device: device.to_owned(),
                name: format!("{label}.{name}"),
                category,
                action,
                layer,
            });
        }
    }

    /// A mandatory hit.
    pub(crate) fn mandatory(&mut self, at: Timestamp, device: &str, name: &str) {
        self.pending.push(Asked {
            time: at,
            device: device.to_owned(),
            name: name.to_owned(),
            category: "illegal",
            action: Verdict::Block,
            layer: Layer::Mandatory,
        });
    }

    /// Writes what there is, each look-up as a row of its own.
    pub(crate) fn write(&mut self, now: Timestamp) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_key(|asked| asked.time);
        for asked in pending.iter().filter(|asked| asked.time <= now) {
            self.record(asked);
        }
        self.writer.flush(now);
    }

    fn record(&mut self, asked: &Asked) {
        let known = |device: &&Device| device.id == asked.device;
        let device = self.devices.iter().find(known).unwrap();
        let name = Name::parse_any_depth(&asked.name).unwrap();
        let category = Category::named(asked.category);
        let source = category.map(|category| format!("test-{category}"));
        let event = Event {
            time: asked.time,
            time_trusted: true,
            device: Some(&device.id),
            device_name: Some(&device.name),
            mac: device.mac.parse().ok(),
            ip: device.ip,
            group: device.group,
            name: name.as_ref(),
            rtype: 1,
            action: asked.action,
            layer: asked.layer,
            category,
            categories: category.into_iter().collect::<CategorySet>(),
            source: source.as_deref(),
            policy: 1,
            level: LogLevel::Full,
        };
        self.clock += 1000;
        self.recorder.record(&event, self.clock);
        self.recorder.flush();
    }
}
