//! Decisions, as tables that a school could read: `tests/decisions/*.txt`.
//!
//! `at WHEN   WHO   NAME   VERDICT   WHY`, two spaces or more in between. WHEN is
//! a day and time of the week named above, a date and time on the wall, an
//! instant (with Z), or `no clock`. WHO is an address, `device ID` or `group ID`;
//! what is in brackets is for the reader. WHY holds words that must all be true:
//! the layer, a category, `list:ID`, what is sent, `to NAME` (the safe mode),
//! `edge` (when it may change) or `ttl` (seconds until then).

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use schoolgate::lists::lookup::Lists;
use schoolgate::name::Name;
use schoolgate::policy::compile::{File, Live, compile};
use schoolgate::policy::decision::{Layer, Verdict};
use schoolgate::policy::explain::{Asked, Explanation, explain};
use schoolgate::policy::{Asker, DeviceIndex, Policy};

use crate::demo_lists;

mod engines;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions")
}

/// When the lists of these tests were compiled.
fn not_before() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// One device: id, address, group.
type Device = (&'static str, &'static str, &'static str);

const DEVICES: [Device; 4] = [
    ("ipad-7", "10.7.1.77", "year7"),
    ("senco-laptop", "10.2.0.9", "staff"),
    ("old-tablet", "10.8.0.5", "year8"),
    ("exam-pc", "10.7.1.99", "year7"),
];

struct School {
    policy: Policy,
    week: Date,
}

impl School {
    fn load(policy: &str, lists: Arc<Lists>, week: Date) -> Self {
        let text = std::fs::read_to_string(folder().join(policy)).unwrap();
        let devices = DEVICES.map(|(id, ip, group)| {
            format!(
                "{id},,,{ip},{group},,
"
            )
        });
        let devices = format!(
            "id,name,mac,ip,group,owner,kind
{}",
            devices.concat()
        );
        let live = Live {
            number: 1,
            not_before: not_before(),
            lists,
            standing: false,
        };
        let file = |name, text| File { name, text };
        let policy = compile(file(policy, &text), file("devices.csv", &devices), live)
            .unwrap_or_else(|all| panic!("{}", lines(&all)));
        Self { policy, week }
    }

    fn instant(&self, when: &str) -> Timestamp {
        if when == "no clock" {
            return Timestamp::UNIX_EPOCH;
        }
        if let Ok(instant) = when.parse() {
            return instant;
        }
        let (day, time) = when.split_once(' ').unwrap();
        let time: Time = time.parse().unwrap();
        let date = day.parse().unwrap_or_else(|_| {
            let days = self.week.series(jiff::Span::new().days(1)).take(7);
            let mut days = days.filter(|d| d.strftime("%a").to_string() == day);
            days.next().unwrap_or_else(|| panic!("no day {day}"))
        });
        let wall = DateTime::from_parts(date, time);
        self.policy.zone.to_timestamp(wall).unwrap()
    }

    /// Device by address or id, then networks, then the unknown.
    fn who(&self, who: &str) -> (Asker, Option<&'static str>, Option<IpAddr>) {
        let who = who.split(" (").next().unwrap();
        let group = |id: &str| {
            let index = self.policy.groups.iter().position(|g| *g.id == *id);
            schoolgate::policy::GroupIndex(index.unwrap().try_into().unwrap())
        };
        if let Some(id) = who.strip_prefix("group ") {
            let asker = Asker {
                group: group(id),
                device: None,
            };
            return (asker, None, None);
        }
        let id = who.strip_prefix("device ").unwrap_or_default();
        let device = DEVICES.iter().zip(0..);
        let device = device
            .into_iter()
            .find(|((i, ip, _), _)| *i == id || *ip == who);
        // M10: a zone says on which wire, not who.
        let ip = who.split('%').next().unwrap().parse().ok();
        let by_network = || ip.and_then(|ip| self.policy.networks.group_of(ip));
        let asker = Asker {
            group: match device {
                Some(((_, _, g), _)) => group(g),
                None => by_network().unwrap_or(self.policy.unknown),
            },
            device: device.map(|(_, index)| DeviceIndex(index)),
        };
        (asker, device.map(|((id, ..), _)| *id), ip)
    }

    fn explain(&self, when: &str, who: &str, name: &str) -> Explanation {
        let name = Name::parse(name).unwrap();
        let (by, device, ip) = self.who(who);
        let asked = Asked {
            name: name.as_ref(),
            rtype: "A",
            asker: by,
            device,
            ip,
            local: false,
        };
        explain(&self.policy, &asked, self.instant(when))
    }

    /// Everything that is true of one row, as words.
    fn words(&self, when: &str, who: &str, name: &str) -> (Verdict, Vec<String>) {
        let explained = self.explain(when, who, name);
        let now = self.instant(when);
        let moment = self.policy.at(now);
        let edge = moment.edge(self.who(who).0.group);
        let wall = edge.to_zoned(self.policy.zone.clone());
        let mut words = vec![
            explained.layer.id().to_owned(),
            explained.answer.to_owned(),
            format!("edge {}", wall.strftime("%Y-%m-%d %H:%M")),
            format!("ttl {}", edge.duration_since(now).as_secs()),
        ];
        words.extend(explained.categories.iter().map(ToString::to_string));
        words.extend(explained.source.map(|id| format!("list:{id}")));
        let held = explained.trace.iter().filter(|s| s.layer == "safe_search");
        let target = held.filter_map(|said| said.said.rsplit_once(": "));
        words.extend(target.map(|(_, target)| format!("to {target}")));
        (explained.verdict, words)
    }
}

fn lines<T: ToString>(all: &[T]) -> String {
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    all.join("\n")
}

#[test]
fn every_table_holds() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "txt") {
            rows += check(&path, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "\n{}", lines(&wrong));
    assert!(rows > 100, "only {rows} rows were read");
}

fn check(path: &Path, wrong: &mut Vec<String>) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let header = |key: &str| {
        let mut values = text
            .lines()
            .filter_map(|l| l.strip_prefix(key)?.strip_prefix(' '));
        let value = values.next();
        value
            .unwrap_or_else(|| panic!("{} names no {key}", path.display()))
            .trim()
    };
    let lists = demo_lists::load(&folder().join(header("lists")));
    let school = School::load(header("policy"), lists, header("week").parse().unwrap());
    let file = path.file_name().unwrap().to_string_lossy();
    let rows = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.starts_with("at "));
    let mut count = 0;
    for (line, number) in rows {
        let columns = line[3..]
            .split("  ")
            .map(str::trim)
            .filter(|c| !c.is_empty());
        let columns: Vec<_> = columns.collect();
        let [when, who, name, verdict, why @ ..] = &columns[..] else {
            panic!("{file}:{number}: too few columns");
        };
        let (got, words) = school.words(when, who, name);
        let mut expected = why.iter().flat_map(|w| w.split(", "));
        if got.id() != *verdict || !expected.all(|w| words.iter().any(|word| word == w)) {
            wrong.push(format!(
                "{file}:{number}: {line}\n    got {got}, {}",
                words.join(", ")
            ));
        }
        count += 1;
    }
    count
}

fn school() -> School {
    let lists = demo_lists::load(&folder().join("demo.lists"));
    School::load("school.toml", lists, "2026-09-07".parse().unwrap())
}

/// at every hour of a year, for every group and device, clock or not.
#[test]
fn nothing_lifts_the_mandatory_layer() {
    let school = school();
    let name = Name::parse("deep.csam.example").unwrap();
    let covering = school.policy.lists.covering(name.as_ref());
    let start: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
    let hours = (0..24 * 365).map(|h| start + jiff::SignedDuration::from_hours(h));
    for now in hours.chain([Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX]) {
        let moment = school.policy.at(now);
        for group in 0..school.policy.groups.len() {
            for device in [None, Some(DeviceIndex(0)), Some(DeviceIndex(3))] {
                let asker = Asker {
                    group: schoolgate::policy::GroupIndex(group.try_into().unwrap()),
                    device,
                };
                let decision =
                    school
                        .policy
                        .decide(asker, name.as_ref(), &covering, &moment, &mut ());
                assert_eq!(decision.verdict, Verdict::Block, "{now}");
                assert_eq!(decision.layer, Layer::Mandatory, "{now}");
            }
        }
    }
}

/// R-98, A7, A8: what an answer leads to is looked at again.
#[test]
fn an_exception_ends_the_category_look_but_not_the_mandatory_one() {
    let school = school();
    let policy = &school.policy;
    let moment = policy.at(school.instant("Tue 10:00"));
    let (asker, ..) = school.who("10.7.1.22");
    let look = |name: &str, target: &str, rebinds: bool| {
        let covering = |name: &str| policy.lists.covering(Name::parse(name).unwrap().as_ref());
        let parsed = Name::parse(name).unwrap();
        let first = policy.decide(asker, parsed.as_ref(), &covering(name), &moment, &mut ());
        assert_eq!(first.verdict, Verdict::Allow, "{name}");
        let again = policy.decide_again(first, asker, &covering(target), rebinds, &moment);
        assert!(
            !again.below_too || again == first,
            "{name} is all that was asked"
        );
        (again.verdict, again.layer)
    };
    assert_eq!(
        look("open.example", "games.example", false),
        (Verdict::Block, Layer::Category)
    );
    assert_eq!(
        look("chess.games.example", "games.example", false),
        (Verdict::Allow, Layer::Exception)
    );
    assert_eq!(
        look("chess.games.example", "csam.example", false),
        (Verdict::Block, Layer::Mandatory)
    );
    assert_eq!(
        look("chess.games.example", "open.example", true),
        (Verdict::Block, Layer::Rebinding)
    );
    assert_eq!(
        look("open.example", "other.example", false),
        (Verdict::Allow, Layer::Allow)
    );
}

/// A moment says itself until when it holds, and not before it was made.
#[test]
fn a_moment_ends_at_its_edge() {
    let school = school();
    let now = school.instant("Tue 10:00");
    let moment = school.policy.at(now);
    let second = jiff::SignedDuration::from_secs(1);
    assert!(moment.holds_at(now) && moment.holds_at(moment.until - second));
    assert!(!moment.holds_at(moment.until) && !moment.holds_at(now - second));
    let untrusted = school.policy.at(Timestamp::UNIX_EPOCH);
    assert!(!untrusted.is_trusted());
    assert_eq!(untrusted.until, not_before());
}

/// The interface contract: these keys, no others.
#[test]
fn an_explanation_is_one_json_object() {
    let explained = school().explain("Tue 10:00", "10.7.1.77", "www.games.example");
    let json: serde_json::Value = serde_json::to_value(&explained).unwrap();
    let expected = serde_json::json!({
        "name": "www.games.example",
        "type": "A",
        "group": "year7",
        "device": "ipad-7",
        "verdict": "block",
        "layer": "category",
        "categories": ["games"],
        "source": "demo-games",
        "answer": "nxdomain",
        "policy": 1,
        "trace": [
            {"layer": "identity", "said": "device ipad-7 of the inventory is in group year7"},
            {"layer": "mandatory", "said": "on no mandatory list"},
            {"layer": "canary", "said": "no canary"},
            {"layer": "exception", "said": "no exception"},
            {"layer": "category", "said": "year7 blocks games at this time"},
        ],
    });
    assert_eq!(json, expected);
}

#[test]
fn an_explanation_can_be_read_out() {
    let explained = school().explain("Tue 10:00", "10.7.1.22", "www.games.example");
    let expected = "\
www.games.example (A) is blocked
  for group year7
  on Tue 8 Sep 2026 10:00; what the group may do next changes at Tue 8 Sep 2026 12:00
  because: year7 blocks games at this time
  listed as: games, by list demo-games
  what is sent: \"no such name\" (NXDOMAIN)
Asked in this order (policy 1):
  identity     10.7.1.22 is in 10.7.0.0/16, a network of group year7
  mandatory    on no mandatory list
  canary       no canary
  exception    no exception
  category     year7 blocks games at this time
";
    assert_eq!(explained.to_string(), expected);
}

/// not even `why` says which list.
#[test]
fn a_mandatory_hit_names_no_list() {
    let explained = school().explain("Tue 10:00", "10.7.1.22", "csam.example");
    assert_eq!(explained.source, None);
    let said = format!("{explained}{}", serde_json::to_string(&explained).unwrap());
    assert!(!said.contains("demo-iwf"), "{said}");
}

/// M14.
#[test]
fn a_disabled_group_is_shown_as_treated_like_the_unknown() {
    let explained = school().explain("Tue 10:00", "10.8.0.5", "www.games.example");
    assert_eq!(
        explained.trace.first().unwrap().said,
        "device old-tablet of the inventory is in group year8, which is disabled: \
         it is treated as guest"
    );
}
