//! Everything that can be wished for, in every shape that could open a site.

use std::time::Instant;

use schoolgate::changes::ask::{Outcome, Wanted, Wish};
use schoolgate::changes::change::{Addition, Exceptions, Reach, Verdict};
use schoolgate::changes::proposal::Author;
use schoolgate::configuration::PolicyTexts;
use schoolgate::people::role::Role;

use super::{Taken, adding, claims, files, minutes, propose, site, technician};
use crate::changes::Person;
use crate::serve::school::PATIENCE;

/// Asks for each change in everybody's name; what comes about may tighten.
fn all_in_vain(taken: &Taken, wanted: Vec<(&str, Wanted)>) {
    for (what, change) in wanted {
        for by in [technician(), Author::console(), Author::new("a.head", "")] {
            let _ = taken.asks(&by, propose(change.clone()));
        }
        taken.holds(what);
    }
}

/// What is agreed on the pages, as it stands.
fn closed() -> Addition {
    site(
        "closed.example",
        Verdict::Deny,
        &["pupil", "staff", "guest"],
    )
}

fn sites() -> Vec<(&'static str, Wanted)> {
    let allow = |name: &str| site(name, Verdict::Allow, &["pupil", "staff", "guest"]);
    let bets = || allow("bets.example");
    let own = |device: &str| Addition {
        groups: Vec::new(),
        devices: vec![device.to_owned()],
        ..bets()
    };
    let until = |expires: String| Addition {
        expires: Some(expires),
        ..closed()
    };
    let both = |add: Addition, remove: Addition| {
        Wanted::Exceptions(Exceptions {
            add: vec![add],
            remove: vec![remove],
        })
    };
    let mut all = vec![
        ("allowing a site", adding(bets())),
        ("allowing it to a device", adding(own("ipad-1"))),
        ("allowing it to an address", adding(own("127.0.0.1"))),
        (
            "allowing what is below it",
            adding(allow("www.bets.example")),
        ),
        ("allowing it in capitals", adding(allow("BETS.Example."))),
        ("allowing by a star", adding(allow("*.bets.example"))),
        ("allowing a whole domain", adding(allow("example"))),
        ("allowing everything", adding(allow("."))),
        (
            "allowing illegal content",
            adding(allow("vile-things.example")),
        ),
        (
            "allowing what the school closed",
            adding(allow("closed.example")),
        ),
        (
            "allowing below what it closed",
            adding(allow("www.closed.example")),
        ),
        ("closing until just now", adding(until(minutes(-1)))),
        ("closing until soon", adding(until(minutes(1)))),
        (
            "closing until today",
            adding(until("2020-01-01".to_owned())),
        ),
        (
            "closing for one group",
            both(site("closed.example", Verdict::Deny, &["guest"]), closed()),
        ),
        (
            "closing and allowing",
            both(allow("closed.example"), closed()),
        ),
        (
            "closing for a while instead",
            both(until(minutes(1)), closed()),
        ),
    ];
    let exact = Addition {
        reach: Some(Reach::Exact),
        ..closed()
    };
    all.push(("closing the name alone", both(exact, closed())));
    let gone = Exceptions {
        add: Vec::new(),
        remove: vec![closed()],
    };
    all.push(("taking an exception back", Wanted::Exceptions(gone)));
    // What one pair of an add and a remove might hide.
    let many = Exceptions {
        add: vec![
            site("other.example", Verdict::Deny, &["pupil"]),
            bets(),
            closed(),
        ],
        remove: vec![closed()],
    };
    all.push(("hiding it among others", Wanted::Exceptions(many)));
    all
}

fn policies(taken: &Taken) -> Vec<(&'static str, Wanted)> {
    let policy = |from: &'static str, to: &'static str| {
        files(taken, |texts| {
            texts.policy = texts.policy.replacen(from, to, 1);
        })
    };
    let more = |more: &str| files(taken, |texts| texts.policy.push_str(more));
    vec![
        ("the other rule", policy("two-person", "notify")),
        (
            "no rule",
            policy(
                "rule = \"two-person\"",
                "rule = \"notify\"\nacknowledge_days = 30",
            ),
        ),
        (
            "overrides for pupils",
            policy("log =", "override_minutes = 60\nlog ="),
        ),
        (
            "blocking less",
            policy("\"gambling\", \"games\"", "\"games\""),
        ),
        (
            "another group for whoever is unknown",
            policy("unknown = \"guest\"", "unknown = \"staff\""),
        ),
        (
            "the pupils' network for staff",
            policy("127.0.0.1/32", "127.0.0.77/32"),
        ),
        (
            "a disabled group",
            policy("log =", "enabled = false\nlog ="),
        ),
        (
            "allowing by the hour",
            policy("log =", "allow_during = { day = [\"gambling\"] }\nlog ="),
        ),
        (
            "an exception in the file",
            more(
                "[[exceptions]]\nname = \"bets.example\"\nverdict = \"allow\"\ngroups = [\"pupil\"]\nreason = \"x\"\n",
            ),
        ),
        (
            "a device of the pupils for staff",
            files(taken, |texts| {
                texts.devices = texts.devices.replacen("pupil", "staff", 1);
            }),
        ),
        (
            "an address of the pupils for staff",
            files(taken, |texts| {
                texts.devices = texts.devices.replacen("127.0.0.3", "127.0.0.1", 1);
            }),
        ),
        (
            "no exceptions of the pages, and a new file",
            files(taken, |texts| {
                texts.added = String::new();
                texts.policy.push_str("# a remark\n");
            }),
        ),
        (
            "exceptions of the pages, smuggled in",
            files(taken, |texts| {
                "[[exceptions]]\nname = \"bets.example\"\nverdict = \"allow\"\n\
                               groups = [\"pupil\"]\nreason = \"x\"\n"
                    .clone_into(&mut texts.added);
            }),
        ),
        ("no lists", files(taken, |texts| texts.sources.clear())),
        (
            "another category for a list",
            files(taken, |texts| {
                texts.sources = texts.sources.replace("gambling\"", "adverts\"");
            }),
        ),
        (
            "no canaries",
            files(taken, |texts| {
                "[canaries]\n".clone_into(&mut texts.canaries);
            }),
        ),
        (
            "no safe modes",
            files(taken, |texts| texts.safe_search.clear()),
        ),
        ("nothing at all", Wanted::Files(Box::default())),
        ("back to before it was closed", Wanted::Back(1)),
        ("back to nothing", Wanted::Back(0)),
        ("back to what never was", Wanted::Back(u64::MAX)),
    ]
}

fn overrides() -> Vec<(&'static str, Wanted)> {
    let own = |device: &str, name: &str, expires: Option<String>| Addition {
        groups: Vec::new(),
        devices: vec![device.to_owned()],
        expires,
        ..site(name, Verdict::Allow, &[])
    };
    let soon = || Some(minutes(20));
    let wide = |groups: &[&str]| Addition {
        expires: soon(),
        ..site("bets.example", Verdict::Allow, groups)
    };
    let two = Addition {
        devices: vec!["laptop-1".to_owned(), "ipad-1".to_owned()],
        ..own("", "bets.example", soon())
    };
    let mixed = Addition {
        devices: vec!["laptop-1".to_owned()],
        ..wide(&["pupil"])
    };
    let mut all = vec![
        (
            "an override for a pupil",
            own("ipad-1", "bets.example", soon()),
        ),
        ("one for two devices", two),
        ("one for no device", wide(&[])),
        ("one for a group", wide(&["pupil"])),
        ("one for a device and a group", mixed),
        ("one that never ends", own("laptop-1", "bets.example", None)),
        (
            "one that ends late",
            own("laptop-1", "casino.example", Some(minutes(120))),
        ),
        (
            "one that ends by a day",
            own("laptop-1", "casino.example", Some("2099-01-01".to_owned())),
        ),
        (
            "one that ends in another zone",
            own(
                "laptop-1",
                "casino.example",
                Some("2099-01-01T00:00:00+14:00".to_owned()),
            ),
        ),
        (
            "one of what the school closed",
            own("laptop-1", "closed.example", soon()),
        ),
        (
            "one below what the school closed",
            own("laptop-1", "www.closed.example", soon()),
        ),
        (
            "one of illegal content",
            own("laptop-1", "vile-things.example", soon()),
        ),
        ("one of everything", own("laptop-1", ".", soon())),
        (
            "one of a device in capitals",
            own("IPAD-1", "bets.example", soon()),
        ),
        (
            "one of an address",
            own("127.0.0.1", "bets.example", soon()),
        ),
    ];
    let closing = Addition {
        verdict: Verdict::Deny,
        ..own("laptop-1", "school.example", soon())
    };
    all.push(("one that closes", closing));
    let all = all.into_iter();
    all.map(|(what, addition)| (what, Wanted::Override(addition)))
        .collect()
}

#[test]
fn no_wish_opens_a_site_alone() {
    let mut taken = Taken::new();
    // So much is heard of one process; another has more patience.
    for wanted in [sites(), policies(&taken), overrides()] {
        all_in_vain(&taken, wanted);
        taken = taken.restart();
        taken.holds("a restart");
    }
    // Of what was asked for, something waits.
    assert!(taken.ledger().waiting.len() > 10, "were they no wishes?");
    // The one with a password can; so what is above was in order but for that.
    // One of the wishes has tightened: pupils are treated as guests.
    let open = site("bets.example", Verdict::Allow, &["guest"]);
    let outcome = taken.must(&technician(), propose(adding(open)));
    let Outcome::Waits { proposal, .. } = outcome else {
        panic!("{outcome:?}");
    };
    let wish = taken.approved_by(&taken.head, proposal);
    taken.must(&taken.head.author(), wish);
    assert_eq!(taken.school.ask("bets.example").errors, [0_u16; 0]);
}

/// A device of staff may; its own site, for itself.
#[test]
fn an_override_opens_no_more_than_it_says() {
    let taken = Taken::new();
    let own = Addition {
        devices: vec!["laptop-1".to_owned()],
        expires: Some(minutes(20)),
        ..site("bets.example", Verdict::Allow, &[])
    };
    let outcome = taken.must(&technician(), propose(Wanted::Override(own.clone())));
    assert!(matches!(outcome, Outcome::InForce { .. }), "{outcome:?}");
    assert_eq!(
        taken.school.ask_from("127.0.0.3", "bets.example").errors,
        [0_u16; 0]
    );
    taken.holds("an override");
    // An exception for good is not made of it.
    let lasting = Addition {
        expires: None,
        ..own
    };
    let outcome = taken.must(&technician(), propose(adding(lasting)));
    assert!(matches!(outcome, Outcome::Waits { .. }), "{outcome:?}");
    taken.restart().holds("an override and a restart");
}

#[test]
fn what_is_odd_or_too_much_is_turned_away_and_a_site_is_still_closed_at_once() {
    let taken = Taken::new();
    let deep = "[".repeat(200_000);
    let good = serde_json::json!({
        "by": { "account": "t.tech" },
        "wish": { "remove": { "account": "nobody" } }
    });
    let good = good.to_string();
    let mut odd: Vec<Vec<u8>> = [
        "", "null", "{}", "[]", "\u{0}", "{\"by\":1}", &deep,
        "{\"by\":{\"account\":\"\"},\"wish\":{\"remove\":{\"account\":\"a.head\"}}}",
        "{\"by\":{\"account\":\"schoolgate\"},\"wish\":{\"remove\":{\"account\":\"a.head\"}}}",
        "{\"by\":{\"account\":\"a\\nb\"},\"wish\":{\"remove\":{\"account\":\"a.head\"}}}",
        "{\"by\":{\"account\":\"t\"},\"wish\":{\"remove\":{},\"remove\":{}}}",
        "{\"by\":{\"account\":\"t\"},\"wish\":{\"founded\":{}}}",
        "{\"by\":{\"account\":\"t\"},\"wish\":{\"propose\":{\"why\":\"x\",\"change\":{\"back\":-1}}}}",
        "{\"by\":{\"account\":\"t\"},\"wish\":{\"approve\":{\"proposal\":1e99,\"signature\":\"\"}}}",
    ]
    .map(|text: &str| text.as_bytes().to_vec())
    .into();
    odd.push(vec![0xff; 4096]);
    odd.push([good.as_bytes(), &vec![b' '; 33 << 20]].concat());
    for body in odd {
        let said = taken.sends(&body).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("outcome"), "{said}");
    }
    taken.holds("odd words");
    assert_eq!(taken.ledger().signatories.len(), 2);
    // More than anybody reads.
    let mut taken = taken;
    for round in 0..2 {
        for n in 0..130 {
            let name = format!("n{n}.r{round}.bets.example");
            let wanted = adding(site(&name, Verdict::Allow, &["pupil"]));
            let _ = taken.asks(&technician(), propose(wanted));
        }
        taken = taken.restart();
        taken.holds("hundreds of proposals");
    }
    assert_eq!(taken.ledger().waiting.len(), 200);
    for n in 0..40 {
        let remark = format!("# {n}\n");
        let change = files(&taken, |texts: &mut PolicyTexts| {
            texts.policy.push_str(&remark);
        });
        let _ = taken.asks(&technician(), propose(change));
    }
    taken = taken.restart();
    let began = Instant::now();
    let deny = site("news.example", Verdict::Deny, &["pupil"]);
    let outcome = taken.must(&taken.dsl.author(), propose(adding(deny)));
    assert!(matches!(outcome, Outcome::InForce { .. }), "{outcome:?}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!(taken.school.ask("news.example").errors, [15]);
    taken.restart().holds("hundreds of proposals and a restart");
}

/// Everybody is taken away who can be; then nobody can be put in their place.
#[test]
fn taking_everybody_away_lets_nobody_in() {
    let taken = Taken::new();
    for by in claims() {
        for account in ["a.head", "d.lead", "m.allory", ""] {
            let account = account.to_owned();
            let console = None;
            let _ = taken.asks(&by, Wish::Remove { account, console });
        }
    }
    assert_eq!(taken.ledger().signatories.len(), 1, "the last one stays");
    let own = Person::new("x.tra", "", Role::Dsl);
    for by in claims() {
        let _ = taken.asks(&by, super::enrol(&own, None));
        let _ = taken.asks(&by, super::enrol(&taken.own, None));
    }
    let ledger = taken.ledger();
    assert_eq!(ledger.signatories.len(), 1);
    assert!(ledger.wanting.contains_key("x.tra"), "it waits");
    let open = site("bets.example", Verdict::Allow, &["pupil"]);
    let outcome = taken.must(&technician(), propose(adding(open)));
    let Outcome::Waits { proposal, .. } = outcome else {
        panic!("{outcome:?}");
    };
    // One who was taken away approves nothing, password or not.
    for by in [&taken.head, &own, &taken.own] {
        let wish = taken.approved_by(by, proposal);
        taken.asks(&by.author(), wish).unwrap_err();
    }
    taken.holds("nobody left");
    taken.restart().holds("nobody left and a restart");
}
