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
use schoolgate::policy::safe_search::{Engines, SHIPPED};
use schoolgate::policy::{Asker, DeviceIndex, GroupIndex, Policy};

use super::{School, demo_lists, folder, not_before};

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

/// which engine, which mode, which name.
#[test]
fn a_rewrite_says_which_engine_is_held_to_which_mode() {
    let lists = demo_lists::load(&folder().join("demo.lists"));
    let school = School::load("search.toml", lists, "2026-09-07".parse().unwrap());
    let explained = school.explain("Tue 18:00", "10.2.0.7", "www.youtube.com");
    let json = serde_json::to_value(&explained).unwrap();
    let expected = serde_json::json!({
        "name": "www.youtube.com",
        "type": "A",
        "group": "staff",
        "device": null,
        "verdict": "rewrite",
        "layer": "safe_search",
        "categories": ["video"],
        "source": null,
        "answer": "rewrite",
        "policy": 1,
        "trace": [
            {"layer": "identity", "said": "10.2.0.7 is in 10.2.0.0/16, a network of group staff"},
            {"layer": "mandatory", "said": "on no mandatory list"},
            {"layer": "canary", "said": "no canary"},
            {"layer": "exception", "said": "no exception"},
            {"layer": "category", "said": "listed as video, which staff does not block at this time"},
            {
                "layer": "safe_search",
                "said": "staff holds youtube to its moderate mode: restrictmoderate.youtube.com",
            },
        ],
    });
    assert_eq!(json, expected);
    let said = explained.to_string();
    for line in [
        "www.youtube.com (A) is held to its safe mode",
        "  because: staff holds youtube to its moderate mode: restrictmoderate.youtube.com",
        "  what is sent: the addresses of its safe mode",
    ] {
        assert!(said.lines().any(|l| l == line), "{said}");
    }
    // What opened a name is why it is open, though safe search was asked last.
    let said = school
        .explain("Tue 10:00", "10.1.0.7", "maps.bing.com")
        .to_string();
    assert!(said.contains("because: search.toml:"), "{said}");
    let said = school
        .explain("Tue 10:00", "10.1.0.7", "mask.icloud.com")
        .to_string();
    assert!(said.contains("because: Apple devices ask it"), "{said}");
}

/// The list of engines without a safe mode: names, none of which is an engine
/// with one or above it, nor something that must resolve.
#[test]
fn the_list_of_engines_without_a_safe_mode_covers_no_other() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let (text, must_resolve) = (read("search-no-safesearch.txt"), read("must-resolve.txt"));
    let names = |text: &str| -> Vec<Name> {
        let lines = text.lines().map(|l| l.split('#').next().unwrap().trim());
        let words = lines.filter(|l| !l.is_empty());
        words
            .map(|name| Name::parse(name).unwrap_or_else(|e| panic!("{name}: {e}")))
            .collect()
    };
    let listed = names(&text);
    assert!(listed.len() > 60, "{}", listed.len());
    let (engines, _) = Engines::read("safe-search.toml", SHIPPED);
    let own = engines.names().map(|(name, _)| name.clone());
    let others: Vec<Name> = own.chain(engines.targets().cloned()).collect();
    for name in others.iter().chain(&names(&must_resolve)) {
        let above = listed.iter().find(|l| name.as_ref().is_within(l.as_ref()));
        assert_eq!(above, None, "{name}");
    }
}
