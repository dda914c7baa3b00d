//! Whatever a school writes, a strict group is never given an engine's own
//! search.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use schoolgate::lists::lookup::Lists;
use schoolgate::name::Name;
use schoolgate::policy::compile::{File, Live, compile};
use schoolgate::policy::decision::{Layer, Verdict};
use schoolgate::policy::{Asker, DeviceIndex, GroupIndex, Policy};

use super::{demo_lists, folder, not_before};

/// Engines' own names, and what is above and beside them.
const NAMES: [&str; 10] = [
    "www.google.com",
    "google.com",
    "images.google.co.uk",
    "www.youtube.com",
    "youtube.com",
    "bing.com",
    "www.bing.com",
    "html.duckduckgo.com",
    "yandex.com.tr",
    "api.qwant.com",
];
const ABOVE: [&str; 6] = [
    "google.co.uk",
    "duckduckgo.com",
    "qwant.com",
    "com.tr",
    "forcesafesearch.google.com",
    "googleapis.com",
];
const CATEGORIES: [&str; 4] = ["video", "search_no_safesearch", "games", "bypass"];

/// One exception, as it is written.
fn exception() -> impl Strategy<Value = String> {
    let names = [&NAMES[..], &ABOVE].concat();
    let name = prop::sample::select(names);
    let verdict = prop::sample::select(vec!["allow", "allow", "deny"]);
    let scope = prop::sample::select(vec!["subtree", "exact"]);
    let whom = prop::sample::select(vec![
        "groups = [\"pupil\"]",
        "groups = [\"staff\", \"pupil\"]",
        "devices = [\"ipad\"]",
        "groups = [\"staff\"]",
    ]);
    let expires = prop::sample::select(vec!["", "expires = 2026-09-09", "expires = 2027-01-01"]);
    (name, verdict, scope, whom, expires).prop_map(|(name, verdict, scope, whom, expires)| {
        format!(
            "[[exceptions]]\nname = \"{name}\"\nverdict = \"{verdict}\"\nmatch = \"{scope}\"\n\
             {whom}\nreason = \"r\"\n{expires}\n"
        )
    })
}

/// One timetable and what it opens or closes.
fn during() -> impl Strategy<Value = (u8, u8, bool, &'static str)> {
    (
        0..12u8,
        12..24u8,
        any::<bool>(),
        prop::sample::select(CATEGORIES.to_vec()),
    )
}

fn written(exceptions: &[String], during: &[(u8, u8, bool, &str)]) -> String {
    let mut text = "school = \"S\"\ntimezone = \"Europe/London\"\nunknown = \"pupil\"\n".to_owned();
    let (mut blocks, mut allows) = (String::new(), String::new());
    for (n, (from, to, closes, category)) in during.iter().enumerate() {
        let _ = write!(
            text,
            "[timetables.t{n}]\nfrom = \"{from:02}:00\"\nto = \"{to:02}:00\"\noutside_terms = true\n"
        );
        let list = if *closes { &mut blocks } else { &mut allows };
        let _ = write!(list, "t{n} = [\"{category}\"], ");
    }
    let _ = write!(
        text,
        "[groups.staff]\nsafe_search = \"off\"\n[groups.pupil]\nsafe_search = \"strict\"\n\
         block_during = {{ {} }}\nallow_during = {{ {} }}\n",
        blocks.trim_end_matches(", "),
        allows.trim_end_matches(", ")
    );
    text + &exceptions.concat()
}

fn policy(text: &str, lists: &Arc<Lists>) -> Option<Policy> {
    let file = |name, text| File { name, text };
    let devices = "id,name,mac,ip,group,owner,kind\nipad,,,10.1.0.7,pupil,,\n";
    let live = Live {
        number: 1,
        not_before: not_before(),
        lists: Arc::clone(lists),
        standing: false,
    };
    // What contradicts itself is no policy.
    compile(
        file("policy.toml", text),
        file("devices.csv", devices),
        live,
    )
    .ok()
}

#[test]
fn nothing_opens_an_engine_to_a_strict_group() {
    let lists = demo_lists::load(&folder().join("demo.lists"));
    let (policies, rewrites) = (Cell::new(0), Cell::new(0));
    let cases = ProptestConfig::with_cases(300);
    proptest!(cases, |(
        exceptions in vec(exception(), 0..6),
        during in vec(during(), 0..4),
        hours in vec(0..24 * 400i64, 8),
    )| {
        let text = written(&exceptions, &during);
        let Some(policy) = policy(&text, &lists) else {
            return Ok(());
        };
        policies.set(policies.get() + 1);
        for hour in hours {
            let now = not_before() + jiff::SignedDuration::from_hours(hour - 24);
            let moment = policy.at(now);
            for (name, device) in NAMES.iter().flat_map(|n| [(n, None), (n, Some(DeviceIndex(0)))]) {
                let name = Name::parse(name).unwrap();
                let covering = policy.lists.covering(name.as_ref());
                let asker = Asker { group: GroupIndex(1), device };
                let decision = policy.decide(asker, name.as_ref(), &covering, &moment, &mut ());
                prop_assert_ne!(decision.verdict, Verdict::Allow, "{} at {}\n{}", name, now, text);
                if decision.verdict == Verdict::Rewrite {
                    rewrites.set(rewrites.get() + 1);
                    prop_assert_eq!(decision.layer, Layer::SafeSearch);
                    // And no answer opens it either.
                    let again = policy.decide_again(decision, asker, &covering, false, &moment);
                    prop_assert_eq!(again, decision);
                }
            }
        }
    });
    let met = (policies.get(), rewrites.get());
    assert!(met.0 > 100 && met.1 > 1000, "{met:?}");
}
