//! Policies that a school may have before and after a change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use schoolgate::policy::Policy;

use super::{DEVICES, policy};

const CATEGORIES: [&str; 4] = ["gambling", "games", "social_media", "self_harm"];
const SITES: [&str; 5] = [
    "bets.example",
    "games.example",
    "cdn.games.example",
    "free.example",
    "www.google.com",
];
const GROUPS: [&str; 3] = ["pupils", "staff", "guest"];
/// One has ended, one has not.
const ENDS: [&str; 2] = ["2026-11-20", "2026-12-20"];

/// An exception: whether it allows, for which group or device, until when.
type Exception = (bool, String, Option<&'static str>);

/// A policy in the making.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    block: BTreeMap<&'static str, Vec<&'static str>>,
    networks: BTreeMap<&'static str, &'static str>,
    lessons: Option<(bool, &'static str)>,
    devices: BTreeMap<&'static str, &'static str>,
    exceptions: BTreeMap<&'static str, Exception>,
    safe_search: &'static str,
    /// What the pupils' group is called.
    pupils: &'static str,
}

impl Edit {
    /// Nobody is blocked anything that they need not be.
    pub(super) fn plain() -> Self {
        Self {
            block: BTreeMap::new(),
            networks: BTreeMap::from([("pupils", "10.1.0.0/16"), ("staff", "10.2.0.0/16")]),
            lessons: None,
            devices: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            safe_search: "off",
            pupils: "pupils",
        }
    }

    pub(super) fn blocking(mut self, group: &'static str, categories: &[&'static str]) -> Self {
        self.block.insert(group, categories.to_vec());
        self
    }

    pub(super) fn network(mut self, group: &'static str, network: &'static str) -> Self {
        self.networks.insert(group, network);
        self
    }

    pub(super) fn device(mut self, id: &'static str, group: &'static str) -> Self {
        self.devices.insert(id, group);
        self
    }

    pub(super) fn exception(
        mut self,
        name: &'static str,
        allows: bool,
        whom: &str,
        until: Option<&'static str>,
    ) -> Self {
        self.exceptions
            .insert(name, (allows, whom.to_owned(), until));
        self
    }

    pub(super) fn policy(&self) -> Policy {
        policy(&self.text(), &self.inventory())
    }

    pub(super) fn text(&self) -> String {
        let mut text = "school = \"Test\"\ntimezone = \"Europe/London\"\nunknown = \"guest\"\n\
             [timetables.lessons]\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\n\
             from = \"08:45\"\nto = \"15:30\"\n"
            .to_owned();
        for group in GROUPS {
            let id = if group == "pupils" {
                self.pupils
            } else {
                group
            };
            let block = self.block.get(group).cloned().unwrap_or_default();
            let safe = self.safe_search;
            write!(
                text,
                "[groups.{id}]\nblock = {block:?}\nsafe_search = \"{safe}\"\n"
            )
            .unwrap();
            if let Some(network) = self.networks.get(group) {
                writeln!(text, "networks = [\"{network}\"]").unwrap();
            }
            if let (Some((blocks, category)), "pupils") = (self.lessons, group) {
                let key = if blocks {
                    "block_during"
                } else {
                    "allow_during"
                };
                writeln!(text, "{key} = {{ lessons = [\"{category}\"] }}").unwrap();
            }
        }
        for (name, (allows, whom, until)) in &self.exceptions {
            let verdict = if *allows { "allow" } else { "deny" };
            let whom = if whom == "pupils" { self.pupils } else { whom };
            let key = if self.devices.contains_key(whom) {
                "devices"
            } else {
                "groups"
            };
            write!(
                text,
                "[[exceptions]]\nname = \"{name}\"\nverdict = \"{verdict}\"\n\
                 {key} = [\"{whom}\"]\nreason = \"a test\"\n"
            )
            .unwrap();
            if let Some(until) = until {
                writeln!(text, "expires = \"{until}\"").unwrap();
            }
        }
        text
    }

    fn inventory(&self) -> String {
        let mut text = "id,name,mac,ip,group,owner,kind\n".to_owned();
        for (id, group) in &self.devices {
            let group = if *group == "pupils" {
                self.pupils
            } else {
                group
            };
            writeln!(text, "{id},,,,{group},,").unwrap();
        }
        text
    }
}

pub(super) fn edit() -> impl Strategy<Value = Edit> {
    let some = || prop::sample::subsequence(&CATEGORIES[..], 0..=CATEGORIES.len());
    let lessons = prop::option::of((any::<bool>(), prop::sample::select(&CATEGORIES[..])));
    let group = || prop::sample::select(vec!["pupils", "staff", ""]);
    let device = |at: usize| prop::option::of(group()).prop_map(move |g| Some((DEVICES[at].0, g?)));
    let whom = prop::sample::select(vec!["pupils", "staff", "guest", "ipad-7", "pc-1"]);
    let exception = (
        prop::sample::select(&SITES[..]),
        any::<bool>(),
        whom,
        prop::option::of(prop::sample::select(&ENDS[..])),
    );
    let networks = prop::sample::select(vec![
        ("10.1.0.0/16", "10.2.0.0/16"),
        ("10.2.0.0/16", "10.1.0.0/16"),
        ("10.1.0.0/16", "2001:db8::/32"),
    ]);
    (
        (some(), some(), some()),
        lessons,
        (device(0), device(1), device(2)),
        prop::collection::vec(exception, 0..4),
        networks,
        prop::sample::select(vec!["off", "strict"]),
        prop::sample::select(vec!["pupils", "pupils", "students"]),
    )
        .prop_map(
            |((a, b, c), lessons, devices, exceptions, networks, safe_search, pupils)| {
                let devices = [devices.0, devices.1, devices.2];
                let devices: BTreeMap<_, _> = devices.into_iter().flatten().collect();
                let known = |whom: &str| GROUPS.contains(&whom) || devices.contains_key(whom);
                let exceptions = exceptions.into_iter().filter(|e| known(e.2));
                let exceptions = exceptions.map(|e| (e.0, (e.1, e.2.to_owned(), e.3)));
                Edit {
                    block: BTreeMap::from([("pupils", a), ("staff", b), ("guest", c)]),
                    networks: BTreeMap::from([("pupils", networks.0), ("staff", networks.1)]),
                    lessons,
                    exceptions: exceptions.collect(),
                    devices,
                    safe_search,
                    pupils,
                }
            },
        )
}
