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
use schoolgate::configuration::PolicyTexts;
use schoolgate::devices::find::{Who, find};
use schoolgate::devices::identify::{How, Identity};
use schoolgate::devices::leases::{Format, Leases, read};
use schoolgate::lists::category::Category;
use schoolgate::lists::lookup::{Covering, Lists};
use schoolgate::name::Name;
use schoolgate::policy::compile::Live;
use schoolgate::policy::decide::Moment;
use schoolgate::policy::decision::{Layer, Verdict};
use schoolgate::policy::group::{Ech, SafeSearch};
use schoolgate::policy::{Asker, DeviceIndex, GroupIndex, Policy};

use super::school::{ADDRESSES, CATEGORIES, DEVICES, Edit, MACS, NAMES, SECRETS, School};
use crate::demo_lists;

/// No asker: what one packet says, and about which name, as small numbers.
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
        umbrella_device: (how & 6 == 6).then_some(0x0123_4567_89ab_cdef_u64.to_be_bytes()),
        router_name: None,
        how: How::Source,
        conflict: false,
        ignored_options: false,
        behind_router: how & 8 == 8,
        untold: how & 24 == 24,
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

/// How firmly one question is held, the higher the firmer: open, a milder safe
/// mode, a strict one, blocked, and told so as a canary.
fn firmness(policy: &Policy, ask: Ask, moment: &Moment) -> (u8, String) {
    let who = who(policy, ask);
    let asker = Asker {
        group: GroupIndex(who.group),
        device: who.device.map(DeviceIndex),
    };
    let (.., name, categories) = ask;
    let name = NAMES[usize::from(name) % NAMES.len()];
    let name = Name::parse(name).unwrap();
    let mut covering = Covering::default();
    covering.categories = CATEGORIES
        .iter()
        .enumerate()
        .filter(|(at, _)| categories >> at & 1 == 1)
        .map(|(_, id)| Category::named(id).unwrap())
        .collect();
    let decision = policy.decide(asker, name.as_ref(), &covering, moment, &mut ());
    let held = match (decision.verdict, decision.layer) {
        (Verdict::Block, Layer::Canary) => 4,
        (Verdict::Block, _) => 3,
        (Verdict::Rewrite, _) => {
            let (engine, target) = policy.safe_mode(asker.group, name.as_ref()).unwrap();
            if *target == engine.strict { 2 } else { 1 }
        }
        (Verdict::Allow, _) => 0,
    };
    let group = policy.group(asker.group).unwrap();
    (
        held,
        format!("{name} for {} ({:?}): {decision:?}", group.id, who.device),
    )
}

/// What of a group's rules no decision shows.
fn rest(policy: &Policy, ask: Ask) -> (bool, bool, SafeSearch, u8) {
    let group = policy.group(GroupIndex(who(policy, ask).group)).unwrap();
    (
        group.canaries,
        group.ech == Ech::Strip,
        group.safe_search,
        group.log as u8,
    )
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

/// The school of `made`, and as `changed` has it; none if it would not start.
fn both(made: &[Edit], changed: &[Edit]) -> Option<(PolicyTexts, PolicyTexts)> {
    let mut school = School::plain();
    made.iter().for_each(|edit| school.edit(*edit));
    let before = school.texts();
    changed.iter().for_each(|edit| school.edit(*edit));
    let after = school.texts();
    before.typed().ok()?;
    after.typed().ok()?;
    Some((before, after))
}

fn firm_enough(
    (before, after): (&Policy, &Policy),
    asks: &[Ask],
    times: &[(u8, u16)],
    alike: bool,
) -> Result<(), TestCaseError> {
    for at in times {
        let now = instant(*at);
        let moments = (before.at(now), after.at(now));
        for ask in asks {
            let (was, old) = firmness(before, *ask, &moments.0);
            let (is, new) = firmness(after, *ask, &moments.1);
            let firm = if alike { is == was } else { is >= was };
            prop_assert!(firm, "at {now}: {old}\nbut now: {new}");
        }
    }
    for ask in asks {
        let (was, is) = (rest(before, *ask), rest(after, *ask));
        prop_assert!(
            is.0 >= was.0 && is.1 >= was.1 && is.3 >= was.3,
            "{was:?} {is:?}"
        );
        let rank = |mode| match mode {
            SafeSearch::Off => 0,
            SafeSearch::Moderate => 1,
            SafeSearch::Strict => 2,
        };
        prop_assert!(rank(is.2) >= rank(was.2));
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
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&asked, |(made, changed, asks, times)| {
        let Some((before, after)) = both(&made, &changed) else {
            return Ok(());
        };
        all.set(all.get() + 1);
        let parts = between(&before.typed().unwrap(), &after.typed().unwrap());
        if parts.iter().any(|part| part.effect == Effect::Loosens) {
            return Ok(());
        }
        held.set(held.get() + usize::from(!parts.is_empty()));
        let policies = (policy(&before, &lists), policy(&after, &lists));
        firm_enough((&policies.0, &policies.1), &asks, &times, parts.is_empty()).map_err(|why| {
            match why {
                TestCaseError::Fail(why) => TestCaseError::fail(format!(
                    "{why}\n{parts:#?}\n{}\n{}\n====\n{}\n{}",
                    before.policy, before.devices, after.policy, after.devices
                )),
                reject @ TestCaseError::Reject(_) => reject,
            }
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
