//! What is not called loosening lets nothing through: random changes, asked of
//! by random packets, against the code that decides.
//!
//! A school is made of a plain one by some edits, and changed by some more, so
//! that most changes are small and each kind is met. Then packets are asked for
//! names at times, under both; whoever was blocked must be blocked still.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use schoolgate::changes::difference::{Effect, between};
use schoolgate::configuration::{PolicyTexts, Typed};
use schoolgate::devices::find::{Who, find};
use schoolgate::devices::identify::{How, Identity};
use schoolgate::devices::leases::{Format, Leases, read};
use schoolgate::lists::category::{Category, Theme};
use schoolgate::lists::lookup::{Covering, Lists};
use schoolgate::name::Name;
use schoolgate::policy::compile::Live;
use schoolgate::policy::decide::Moment;
use schoolgate::policy::decision::{Decision, Layer, Verdict};
use schoolgate::policy::document::PolicyDocument;
use schoolgate::policy::group::{Ech, SafeSearch};
use schoolgate::policy::{Asker, DeviceIndex, GroupIndex, Policy};

use super::school::{ADDRESSES, CATEGORIES, DEVICES, Edit, MACS, NAMES, SECRETS, School};
use crate::demo_lists;

/// What one packet says, and about which name, as small numbers.
type Ask = (u8, u8, u8, u8, u8, u8, u16);

fn policy(texts: &PolicyTexts, lists: &Arc<Lists>) -> Policy {
    let live = Live {
        number: 1,
        not_before: "2026-01-01T00:00:00Z".parse().unwrap(),
        lists: Arc::clone(lists),
        standing: true,
    };
    let policy = texts.compile(live);
    policy.unwrap_or_else(|all| panic!("{all:?}"))
}

fn chosen<T: Copy>(from: &[T], by: u8) -> Option<T> {
    from.get(usize::from(by) % (from.len() + 1)).copied()
}

/// Who asks, as each policy sees it.
fn who(policy: &Policy, ask: Ask) -> Who {
    let (mac, called, ip, how, lease, ..) = ask;
    let mac = chosen(&MACS, mac).map(|mac: &str| mac.parse().unwrap());
    let ip: IpAddr = ADDRESSES[usize::from(ip) % ADDRESSES.len()]
        .parse()
        .unwrap();
    let words: Vec<&str> = DEVICES.into_iter().chain(SECRETS).collect();
    let called = chosen(&words, called);
    let identity = Identity {
        ip,
        mac: mac.filter(|_| how & 1 == 0),
        client_id: called,
        umbrella_device: (how & 0x6 == 0x6).then_some(0x0123_4567_89ab_cdef_u64.to_be_bytes()),
        router_name: None,
        how: How::Source,
        conflict: false,
        ignored_options: false,
        behind_router: how & 0x8 == 0x8,
        untold: how & 0x18 == 0x18,
    };
    let leases = match chosen(&MACS, lease) {
        Some(mac) => {
            let text = format!("0 {mac} {ip} * *\n");
            Leases::new([&read("leases", Format::Dnsmasq, &text)])
        }
        None => Leases::default(),
    };
    find(
        &identity,
        &policy.devices,
        &leases,
        |ip| policy.networks.group_of(ip).map(|group| group.0),
        policy.unknown.0,
        Timestamp::UNIX_EPOCH,
    )
}

/// An ask, as one policy sees it.
struct Asks {
    asker: Asker,
    name: Name,
    covering: Covering,
}

impl Asks {
    fn of(policy: &Policy, ask: Ask) -> Self {
        let who = who(policy, ask);
        let (.., name, categories) = ask;
        let listed = CATEGORIES.iter().enumerate();
        let listed = listed.filter(|(at, _)| categories >> at & 1 == 1);
        let mut covering = Covering::default();
        covering.categories = listed.map(|(_, id)| Category::named(id).unwrap()).collect();
        Self {
            asker: Asker {
                group: GroupIndex(who.group),
                device: who.device.map(DeviceIndex),
            },
            name: Name::parse(NAMES[usize::from(name) % NAMES.len()]).unwrap(),
            covering,
        }
    }

    /// How firmly it is held, the higher the firmer: open, a milder safe mode, a
    /// strict one, blocked, and told so as a canary.
    fn firmness(&self, policy: &Policy, moment: &Moment) -> (u8, Decision) {
        let name = self.name.as_ref();
        let decision = policy.decide(self.asker, name, &self.covering, moment, &mut ());
        let held = match (decision.verdict, decision.layer) {
            (Verdict::Block, Layer::Canary) => 4,
            (Verdict::Block, _) => 3,
            (Verdict::Rewrite, _) => {
                let (engine, target) = policy.safe_mode(self.asker.group, name).unwrap();
                if *target == engine.strict { 2 } else { 1 }
            }
            (Verdict::Allow, _) => 0,
        };
        (held, decision)
    }

    /// What of a group's rules no decision shows.
    fn rest(&self, policy: &Policy, document: &PolicyDocument) -> [u8; 5] {
        let group = policy.group(self.asker.group).unwrap();
        let search = match group.safe_search {
            SafeSearch::Off => 0,
            SafeSearch::Moderate => 1,
            SafeSearch::Strict => 2,
        };
        let strips = u8::from(group.ech == Ech::Strip);
        let rule = document.alerts.value.rule(Theme::Gambling).unwrap();
        let told = u8::from(rule.is_for(&group.id));
        [
            u8::from(group.canaries),
            strips,
            search,
            group.log as u8,
            told,
        ]
    }
}

fn instant(at: (u8, u16)) -> Timestamp {
    // Edges of terms, of timetables and of exceptions, and any minute.
    const EDGES: [&str; 12] = [
        "2026-09-01T23:30:00Z",
        "2026-10-26T09:00:00Z",
        "2026-10-30T14:20:00Z",
        "2026-11-20T14:20:00Z",
        "2026-11-20T15:10:00Z",
        "2026-11-21T10:00:00Z",
        "2026-12-18T23:30:00Z",
        "2026-12-19T01:00:00Z",
        "2027-03-25T23:59:59Z",
        "2027-03-26T00:00:00Z",
        "2027-07-20T22:59:59Z",
        "2025-06-01T12:00:00Z",
    ];
    let start: Timestamp = "2026-08-25T00:00:00Z".parse().unwrap();
    match EDGES.get(usize::from(at.0) % (2 * EDGES.len())) {
        Some(edge) => edge.parse().unwrap(),
        None => start + jiff::SignedDuration::from_mins(i64::from(at.1) * 8),
    }
}

/// The school of `made`, and as `changed` has it. Either may have mistakes.
fn both(made: &[Edit], changed: &[Edit]) -> (PolicyTexts, PolicyTexts) {
    let mut school = School::plain();
    for edit in made {
        school.edit(*edit);
    }
    let before = school.texts();
    for edit in changed {
        school.edit(*edit);
    }
    (before, school.texts())
}

fn firm_enough(
    (before, after): (&Policy, &Policy),
    (typed_before, typed_after): (&Typed, &Typed),
    asks: &[Ask],
    times: &[(u8, u16)],
    alike: bool,
) -> Result<(), TestCaseError> {
    let moments: Vec<_> = times
        .iter()
        .map(|at| instant(*at))
        .map(|now| (now, before.at(now), after.at(now)))
        .collect();
    for ask in asks {
        let (old, new) = (Asks::of(before, *ask), Asks::of(after, *ask));
        for (now, earlier, later) in &moments {
            let (was, then) = old.firmness(before, earlier);
            let (is, now_is) = new.firmness(after, later);
            let firm = if alike { is == was } else { is >= was };
            let (group, name) = (new.asker, &new.name);
            prop_assert!(
                firm,
                "at {now}: {name} for {:?}: {then:?}\nbut now, for {group:?}: {now_is:?}",
                old.asker
            );
        }
        let (was, is) = (
            old.rest(before, &typed_before.document),
            new.rest(after, &typed_after.document),
        );
        prop_assert!(
            was.iter().zip(&is).all(|(was, is)| is >= was),
            "{was:?} {is:?}"
        );
    }
    Ok(())
}

/// Promise: whatever was blocked is blocked still, unless a part is said to
/// loosen; and what is decided otherwise has a part.
#[test]
fn what_is_not_said_to_loosen_lets_nothing_through() {
    let lists = demo_lists::parse("source games games category\ngames.example subtree games\n");
    let edit = || any::<Edit>();
    let ask = || any::<Ask>();
    let asked = (
        prop::collection::vec(edit(), 0..14),
        prop::collection::vec(edit(), 1..5),
        prop::collection::vec(ask(), 60..80),
        prop::collection::vec(any::<(u8, u16)>(), 6..10),
    );
    let (held, all) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config {
        cases: 1_000,
        // A failure is read by a person; what it is about need not be the least.
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&asked, |(made, changed, asks, times)| {
        let (before, after) = both(&made, &changed);
        let (Ok(old), Ok(new)) = (before.typed(), after.typed()) else {
            return Ok(());
        };
        all.set(all.get() + 1);
        let parts = between(&old, &new);
        if parts.iter().any(|part| part.effect == Effect::Loosens) {
            return Ok(());
        }
        held.set(held.get() + usize::from(!parts.is_empty()));
        let policies = (policy(&before, &lists), policy(&after, &lists));
        let texts = (&old, &new);
        firm_enough(
            (&policies.0, &policies.1),
            texts,
            &asks,
            &times,
            parts.is_empty(),
        )
        .map_err(|why| match why {
            TestCaseError::Fail(why) => TestCaseError::fail(format!(
                "{why}\n{parts:#?}\n{}\n{}\n====\n{}\n{}",
                before.policy, before.devices, after.policy, after.devices
            )),
            reject @ TestCaseError::Reject(_) => reject,
        })
    });
    if let Err(why) = result {
        panic!("{why}");
    }
    // A test that hardly meets what it is for would hold of anything.
    assert!(
        held.get() * 8 > all.get(),
        "{} of {}",
        held.get(),
        all.get()
    );
}
