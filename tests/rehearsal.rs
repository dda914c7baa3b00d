//! Rehearsals: held against a version that is dull and obviously right, every
//! row of the log one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use schoolgate::changes::rehearsal::check::Musts;
use schoolgate::changes::rehearsal::{GroupChange, Rehearsal, rehearse};
use schoolgate::lists::lookup::Lists;
use schoolgate::name::Name;
use schoolgate::policy::compile::{File, Live, compile};
use schoolgate::policy::decision::{LogLevel, Verdict};
use schoolgate::policy::{Asker, DeviceIndex, GroupIndex, Policy};
use schoolgate::querylog::filter::Filter;
use schoolgate::querylog::row::Row;

use crate::demo_lists;
use crate::querylog::{Asked, Bench, allowed, blocked, london, mandatory, read_all};

mod checks;
mod edits;
mod verb;

use edits::{Edit, edit};

const DEVICES: [(&str, &str, &str); 4] = [
    ("ipad-7", "iPad 7", "10.1.0.7"),
    ("pc-1", "Library PC", "10.1.0.8"),
    ("laptop-3", "Laptop 3", "10.2.0.9"),
    ("", "", "2001:db8::1"),
];
const NAMES: [&str; 12] = [
    "www.bets.example",
    "games.example",
    "cdn.games.example",
    "social.example",
    "both.example",
    "adult.example",
    "www.free.example",
    "free.example",
    "csam.example",
    "www.google.com",
    "use-application-dns.net",
    "a_b.free.example",
];
const GROUPS: [&str; 4] = ["pupils", "staff", "guest", "gone"];

/// Monday, half past four in the afternoon.
fn now() -> Timestamp {
    "2026-11-23T16:30:00Z".parse().unwrap()
}

/// One generation: a change of the policy is none of the lists.
fn lists() -> Arc<Lists> {
    static LISTS: OnceLock<Arc<Lists>> = OnceLock::new();
    let compiled = || demo_lists::parse(include_str!("decisions/demo.lists"));
    Arc::clone(LISTS.get_or_init(compiled))
}

fn policy(text: &str, devices: &str) -> Policy {
    let live = Live {
        number: 1,
        // Newer than the log: what is replayed was not by a wrong clock.
        not_before: now(),
        lists: lists(),
        standing: true,
    };
    let file = |name, text| File { name, text };
    let made = compile(
        file("policy.toml", text),
        file("devices.csv", devices),
        live,
    );
    made.unwrap_or_else(|all| panic!("{all:?}\n{text}\n{devices}"))
}

fn replayed(bench: &Bench, before: &Policy, after: &Policy, budget: Duration) -> Rehearsal {
    let musts = Musts::default();
    let folder = bench.folder();
    rehearse(before, after, &musts, &folder, &london(), now(), budget).unwrap()
}

/// Row by row: who would newly be blocked what, or be let through what.
type Dull = BTreeMap<(String, bool, String), u64>;

fn dull(days: &[Row], before: &Policy, after: &Policy) -> Dull {
    let secret: BTreeSet<&str> = days
        .iter()
        .filter(|r| r.is_mandatory())
        .map(|r| &*r.name)
        .collect();
    let mut found = Dull::new();
    let week = days.iter().filter(|row| row.time >= since());
    for row in week.filter(|row| !secret.contains(&*row.name)) {
        let (was, is) = askers(row, before, after);
        let name = Name::parse_any_depth(&row.name).unwrap();
        let blocks = |policy: &Policy, asker: Asker| {
            let covering = policy.lists.covering(name.as_ref());
            let moment = policy.at_the_hours_of(row.time, now());
            let decision = policy.decide(asker, name.as_ref(), &covering, &moment, &mut ());
            decision.verdict == Verdict::Block
        };
        if blocks(before, was) != blocks(after, is) {
            let group = before.groups[usize::from(was.group.0)].id.to_string();
            let key = (group, blocks(after, is), row.name.clone());
            *found.entry(key).or_default() += row.count;
        }
    }
    found
}

/// Who asked, by either policy: the inventory, then the group of the row, but
/// for one whose place the change has taken away.
fn askers(row: &Row, before: &Policy, after: &Policy) -> (Asker, Asker) {
    let device = |policy: &Policy| policy.devices.by_id(row.device.as_deref().unwrap_or(""));
    let own = |policy: &Policy| {
        let device = policy.devices.device(device(policy)?)?;
        device.group.map(GroupIndex)
    };
    let network = |policy: &Policy| {
        let found = row.ip.and_then(|ip| policy.networks.group_of(ip));
        found.unwrap_or(policy.unknown)
    };
    let named = |policy: &Policy, id: &str| {
        let found = policy.groups.iter().position(|group| *group.id == *id);
        found.map(|at| GroupIndex(at as u16))
    };
    let was = own(before)
        .or_else(|| named(before, &row.group))
        .unwrap_or_else(|| network(before));
    let id = before.groups[usize::from(was.0)].id.to_string();
    let by_address = row.ip.is_some() && network(before) == was;
    let is = match own(after) {
        Some(group) => group,
        None if own(before).is_some() || by_address => network(after),
        None => named(after, &id).unwrap_or_else(|| network(after)),
    };
    let asker = |policy: &Policy, group| Asker {
        group,
        device: device(policy).map(DeviceIndex),
    };
    (asker(before, was), asker(after, is))
}

fn told(rehearsal: &Rehearsal) -> Dull {
    let mut all = Dull::new();
    for change in &rehearsal.groups {
        for (blocked, names, lookups, told) in [
            (
                true,
                change.newly_blocked,
                change.blocked_lookups,
                &change.blocked_names,
            ),
            (
                false,
                change.newly_allowed,
                change.allowed_lookups,
                &change.allowed_names,
            ),
        ] {
            assert_eq!(names, told.len() as u64);
            assert_eq!(lookups, told.iter().map(|name| name.lookups).sum::<u64>());
            for name in told {
                let key = (change.group.clone(), blocked, name.name.clone());
                assert_eq!(all.insert(key, name.lookups), None);
            }
        }
    }
    all
}

/// What a made-up look-up is made of: minutes before now, device, name, group,
/// whether the group writes devices down, whether a list of then was mandatory.
type Made = (i64, usize, usize, usize, bool, u8);

fn made() -> impl Strategy<Value = Made> {
    // Nine days: two of them are too old.
    let minutes = 0..9 * 1440_i64;
    let (devices, names) = (0..DEVICES.len(), 0..NAMES.len());
    (
        minutes,
        devices,
        names,
        0..GROUPS.len(),
        any::<bool>(),
        0..60_u8,
    )
}

fn asked((minutes, device, name, group, full, fate): Made) -> Asked {
    let (device, device_name, ip) = DEVICES[device];
    let level = if full {
        LogLevel::Full
    } else {
        LogLevel::Domains
    };
    let base = match fate {
        0 => mandatory(NAMES[name]),
        1..30 => blocked(NAMES[name]),
        _ => allowed(NAMES[name], level),
    };
    Asked {
        at: now() - SignedDuration::from_secs(minutes * 60 + i64::from(fate)),
        device,
        device_name,
        ip,
        group: GROUPS[group],
        level,
        ..base
    }
}

fn log_of(all: &[Made]) -> Bench {
    let mut bench = Bench::new();
    let mut all: Vec<Asked> = all.iter().copied().map(asked).collect();
    all.sort_by_key(|asked| asked.at);
    for some in all.chunks(200) {
        bench.write(some);
    }
    bench
}

fn since() -> Timestamp {
    now() - SignedDuration::from_hours(7 * 24)
}

/// The days that the last week touches.
fn days(bench: &Bench) -> Vec<Row> {
    let filter = Filter {
        since: Some("2026-11-16T00:00:00Z".parse().unwrap()),
        ..Filter::default()
    };
    read_all(&bench.folder(), filter).0
}

#[test]
fn a_replay_is_what_a_dull_one_is() {
    let changed = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(8), |(
        made in prop::collection::vec(made(), 1..300),
        edits in prop::collection::vec((edit(), edit()), 12),
    )| {
        let bench = log_of(&made);
        let days = days(&bench);
        let week: u64 = days.iter().filter(|row| row.time >= since()).map(|row| row.count).sum();
        for (before, after) in edits {
            let (old, new) = (before.policy(), after.policy());
            let rehearsal = replayed(&bench, &old, &new, Duration::MAX);
            let dull = dull(&days, &old, &new);
            changed.set(changed.get() + dull.len());
            prop_assert_eq!(told(&rehearsal), dull, "{:?} {:?}", before, after);
            prop_assert_eq!((rehearsal.lookups, rehearsal.one_in), (week, None));
            prop_assert_eq!(rehearsal.damaged, [""; 0]);
            // Nothing changes without a change.
            prop_assert_eq!(replayed(&bench, &old, &old, Duration::MAX).groups, []);
        }
    });
    assert!(changed.get() > 500, "{} changes are few", changed.get());
}

/// A sample is of every day and hour alike.
#[test]
fn a_sample_is_spread_over_the_week() {
    let mut bench = Bench::new();
    // No more than the log takes at once; each a row of its own.
    let minutes = (0..7 * 1440_i64).step_by(2);
    let mut all: Vec<Asked> = minutes
        .map(|minutes| Asked {
            at: now() - SignedDuration::from_mins(minutes),
            device: "",
            // The last four days are of one group.
            group: if minutes < 4 * 1440 {
                "pupils"
            } else {
                "staff"
            },
            ..blocked(&format!("n{minutes}.bets.example"))
        })
        .collect();
    all.reverse();
    for some in all.chunks(200) {
        bench.write(some);
    }
    let before = Edit::plain().network("pupils", "10.9.0.0/16");
    let after = before.clone().blocking("pupils", &["gambling"]);
    let after = after.blocking("staff", &["gambling"]).policy();
    let before = before.policy();
    let whole = replayed(&bench, &before, &after, Duration::MAX);
    assert_eq!(
        (whole.one_in, whole.lookups, whole.days),
        (None, 7 * 720, 7)
    );
    assert_eq!(whole.groups[0].newly_blocked, 4 * 720);
    let sample = replayed(&bench, &before, &after, Duration::ZERO);
    assert_eq!((sample.one_in, sample.days), (Some(31), 7));
    let fair = |days: u64, count: u64| count.abs_diff(days * 720 / 31) <= 1;
    assert!(fair(7, sample.lookups), "{}", sample.lookups);
    let by_group = [&sample.groups[0], &sample.groups[1]].map(|group| group.newly_blocked);
    assert!(fair(4, by_group[0]) && fair(3, by_group[1]), "{by_group:?}");
    assert_eq!(sample.groups[0].blocked_names.len(), 50);
    let words = sample.words();
    assert!(words[0].contains("about one in 31"), "{words:?}");
}

/// A name that a mandatory list has, now or when it was asked, is no part of
/// what is told, be it in whatever other list.
#[test]
fn a_mandatory_name_is_never_told() {
    let mut bench = Bench::new();
    let at = now() - SignedDuration::from_hours(1);
    let mut of_then = mandatory("www.bets.example");
    let mut of_now = blocked("games.terror.example");
    let mut other = blocked("bets.example");
    let mut earlier = blocked("www.bets.example");
    (of_then.at, of_now.at, other.at) = (at, at, at);
    earlier.at = at - SignedDuration::from_hours(48);
    bench.write(&[earlier]);
    bench.write(&[of_then, of_now, other]);
    let closed = Edit::plain()
        .blocking("pupils", &["gambling", "games"])
        .policy();
    let open = Edit::plain().policy();
    for (before, after) in [(&closed, &open), (&open, &closed)] {
        let rehearsal = replayed(&bench, before, after, Duration::MAX);
        let names: Vec<String> = told(&rehearsal)
            .into_keys()
            .map(|(_, _, name)| name)
            .collect();
        assert_eq!(names, ["bets.example"]);
        assert_eq!(rehearsal.lookups, 4);
    }
}

#[test]
fn a_damaged_day_costs_that_day_and_is_said() {
    let mut bench = Bench::new();
    for day in 0..3 {
        let mut asked = blocked("www.bets.example");
        asked.at = now() - SignedDuration::from_hours(24 * day + 1);
        bench.write(&[asked]);
    }
    let before = Edit::plain().policy();
    let after = Edit::plain().blocking("pupils", &["gambling"]).policy();
    let of = || replayed(&bench, &before, &after, Duration::MAX);
    assert_eq!((of().days, of().groups[0].blocked_lookups), (3, 3));
    // Torn in the middle.
    let torn = bench.folder().join("2026-11-22.db");
    let mut bytes = fs::read(&torn).unwrap();
    bytes[..3000].fill(0xa5);
    fs::write(&torn, bytes).unwrap();
    let check = |says: &str| {
        let rehearsal = of();
        assert_eq!(
            (rehearsal.days, rehearsal.groups[0].blocked_lookups),
            (2, 2)
        );
        assert_eq!(rehearsal.damaged.len(), 1);
        assert!(
            rehearsal.damaged[0].starts_with("2026-11-22.db"),
            "{rehearsal:?}"
        );
        let words = rehearsal.words();
        assert!(words.iter().any(|line| line.contains(says)), "{words:?}");
    };
    check("2026-11-22.db");
    fs::rename(&torn, torn.with_extension("db.damaged")).unwrap();
    check("set aside");
    let nothing = tempfile::tempdir().unwrap();
    let musts = Musts::default();
    let folder = nothing.path().join("querylog");
    let none = rehearse(
        &before,
        &after,
        &musts,
        &folder,
        &london(),
        now(),
        Duration::MAX,
    )
    .unwrap();
    assert_eq!((none.days, none.lookups), (0, 0));
    assert!(
        none.words()[0].contains("no look-ups"),
        "{:?}",
        none.words()
    );
}

/// What a change reaches is who has moved, and nobody else.
#[test]
fn a_moved_device_shows() {
    let mut bench = Bench::new();
    let of = |device: usize| {
        let (device, device_name, ip) = DEVICES[device];
        Asked {
            at: now() - SignedDuration::from_hours(2),
            device,
            device_name,
            ip,
            ..blocked("www.bets.example")
        }
    };
    bench.write(&[of(0), of(1)]);
    let base = || Edit::plain().blocking("pupils", &["gambling"]);
    let before = base()
        .device("ipad-7", "pupils")
        .device("pc-1", "pupils")
        .policy();
    let moved = base()
        .device("ipad-7", "staff")
        .device("pc-1", "pupils")
        .policy();
    let rehearsal = replayed(&bench, &before, &moved, Duration::MAX);
    let change = GroupChange {
        group: "pupils".to_owned(),
        newly_allowed: 1,
        allowed_lookups: 1,
        ..rehearsal.groups[0].clone()
    };
    assert_eq!(rehearsal.groups, [change]);
    // Out of the inventory, its network decides.
    let gone = base()
        .device("pc-1", "pupils")
        .network("pupils", "10.9.0.0/16")
        .policy();
    let rehearsal = replayed(&bench, &before, &gone, Duration::MAX);
    assert_eq!(rehearsal.groups[0].newly_allowed, 1);
    assert_eq!(rehearsal.groups[0].allowed_lookups, 1);
}

/// An exception that has ended is no part of either policy any more.
#[test]
fn an_ended_exception_is_not_the_doing_of_who_removes_it() {
    let mut bench = Bench::new();
    let mut asked = allowed("www.bets.example", LogLevel::Full);
    asked.at = now() - SignedDuration::from_hours(80);
    bench.write(&[asked]);
    let base = || Edit::plain().blocking("pupils", &["gambling"]);
    let ended = base()
        .exception("bets.example", true, "pupils", Some("2026-11-21"))
        .policy();
    let lasting = base()
        .exception("bets.example", true, "pupils", Some("2026-12-21"))
        .policy();
    let without = base().policy();
    assert_eq!(replayed(&bench, &ended, &without, Duration::MAX).groups, []);
    let changes = replayed(&bench, &lasting, &without, Duration::MAX).groups;
    assert_eq!(changes[0].newly_blocked, 1);
}
