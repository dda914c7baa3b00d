//! Design, section 12: the promises that a pipeline alone can keep.

use schoolgate::policy::decision::{Layer, Verdict};

use super::bench::{Bench, Came, policy_text, wall};
use super::wire::{self, Message};

const PUPIL: &str = "10.1.0.7";
const GROUPS: [&str; 8] = [
    PUPIL,
    "10.2.0.7",
    "10.3.0.7",
    "10.4.0.7",
    "10.5.0.7",
    "10.6.0.7",
    "192.168.0.1",
    "10.1.0.77",
];

fn plain(name: &str) -> Message {
    Message::answering(&[&format!("{name} 60 A 192.0.2.1")])
}

/// Promise 2, through the pipeline: every group, every hour of a week, and a
/// clock that is not to be believed.
#[test]
fn the_mandatory_layer_holds_for_everybody_at_every_hour() {
    let mut bench = Bench::new();
    let alias = Message::answering(&["x.example 86400 CNAME illegal.example"]);
    bench.keep("x.example", "A", &alias);
    let start = wall("2026-10-20T00:00:00");
    let hours = (0..7 * 24).map(|h| start + jiff::SignedDuration::from_hours(h));
    for now in hours.chain([jiff::Timestamp::UNIX_EPOCH]) {
        bench.now.wall = now;
        for from in GROUPS {
            for name in [
                "illegal.example",
                "a.b.illegal.example",
                "hidden.arcade.example",
                "x.example",
            ] {
                let seen = bench.ask(from, name, "A", None);
                assert_eq!(
                    seen.ede.map(|e| e.0),
                    Some(16),
                    "{name} for {from} at {now}"
                );
            }
        }
    }
}

/// Promise 10: a swap is in force for the next question: a cached name, a name
/// whose cached answer leads to a blocked one, a stale answer, and a question
/// that was on its way meanwhile.
#[test]
fn a_new_policy_is_in_force_at_once() {
    let mut bench = Bench::new();
    let alias = Message::answering(&["alias.example 60 CNAME new.example"]);
    assert_eq!(
        bench
            .ask(PUPIL, "new.example", "A", Some(&plain("new.example")))
            .ede,
        None
    );
    assert_eq!(
        bench.ask(PUPIL, "alias.example", "A", Some(&alias)).ede,
        None
    );
    let late = |bench: &mut Bench, name| match bench.send(&wire::question(name, "A"), PUPIL) {
        Came::Asked(pending) => pending,
        other => panic!("{other:?}"),
    };
    let first = late(&mut bench, "late.new.example");
    let second = late(&mut bench, "later.new.example");
    let deny = "\n[[exceptions]]\nname = \"new.example\"\nverdict = \"deny\"\n\
                groups = [\"pupil\"]\nreason = \"A test\"\n";
    bench.swap(&(policy_text() + deny));
    assert_eq!(bench.ask(PUPIL, "new.example", "A", None).rcode, 3);
    let answer = wire::Message::answering(&["late.new.example 60 A 192.0.2.1"]);
    let answer = super::bench::read("late.new.example", "A", &answer).unwrap();
    assert_eq!(bench.land(&first, Ok(answer)).rcode, 3);
    // No upstream answered, but by now it is blocked, and logged as that.
    let blocked = |bench: &Bench| {
        bench
            .pipeline
            .counters()
            .decided(Layer::Exception, Verdict::Block)
    };
    let before = blocked(&bench);
    assert_eq!(bench.land(&second, Err(22)).rcode, 3);
    assert_eq!(blocked(&bench), before + 1);
    // Lists: the category is blocked from now on, for a kept chain too.
    let alias = Message::answering(&["alias2.example 60 CNAME bets.example"]);
    let staff = "10.6.0.7";
    assert_eq!(
        bench.ask(staff, "alias2.example", "A", Some(&alias)).ede,
        None
    );
    let stricter = policy_text().replace(
        "networks = [\"10.6.0.0/16\"]\nblock = [\"pornography\"]",
        "networks = [\"10.6.0.0/16\"]\nblock = [\"pornography\", \"gambling\"]",
    );
    bench.swap(&stricter);
    assert_eq!(
        bench
            .ask(staff, "alias2.example", "A", None)
            .ede
            .map(|e| e.0),
        Some(15)
    );
}

/// a stale answer is served under today's policy.
#[test]
fn yesterdays_answer_is_served_under_todays_policy() {
    let mut bench = Bench::new();
    let staff = "10.6.0.7";
    let alias = Message::answering(&[
        "old.example 60 CNAME bets.example",
        "bets.example 60 A 192.0.2.1",
    ]);
    bench.keep("old.example", "A", &alias);
    bench.wait(3600);
    let Came::Asked(pending) = bench.send(&wire::question("old.example", "A"), staff) else {
        panic!("an hour later it must be asked for again");
    };
    let seen = bench.land(&pending, Err(22));
    assert_eq!(
        (seen.ede.map(|e| e.0), &seen.ttls[..]),
        (Some(3), &[30, 30][..])
    );
    // The upstreams are known to be silent: at once.
    assert_eq!(
        bench.ask(staff, "old.example", "A", None).ede.map(|e| e.0),
        Some(3)
    );
    assert_eq!(
        bench.ask(PUPIL, "old.example", "A", None).ede.map(|e| e.0),
        Some(15)
    );
}

/// An old answer may stand in for silence, and not for an answer that came and
/// is forged: whoever can forge could else hold a name at where it once was.
#[test]
fn yesterdays_answer_does_not_stand_in_for_a_bogus_one() {
    let mut bench = Bench::new();
    bench.keep("old.example", "A", &plain("old.example"));
    bench.wait(3600);
    let Came::Asked(pending) = bench.send(&wire::question("old.example", "A"), PUPIL) else {
        panic!("an hour later it must be asked for again");
    };
    for seen in [
        bench.land(&pending, Err(6)),
        bench.ask(PUPIL, "old.example", "A", None),
    ] {
        assert_eq!((seen.rcode, seen.ede.map(|e| e.0)), (2, Some(6)));
    }
}

/// nothing may be kept past the moment at which it may change.
#[test]
fn no_answer_outlives_the_timetable() {
    // The Sundays on which the clocks change: lessons start at nine on the wall.
    for day in ["2026-09-08", "2026-03-29", "2026-10-25"] {
        let mut bench = Bench::new();
        bench.now.wall = wall(&format!("{day}T08:59:50"));
        let name = "www.arcade.example";
        let answer = Message::answering(&[&format!("{name} 3600 A 192.0.2.1")]);
        let answer = answer.with(1, &["example 3600 NS ns.example"]);
        let seen = bench.ask(PUPIL, name, "A", Some(&answer));
        assert_eq!(seen.answers.len(), 1, "{day}: {}", seen.text);
        assert!(
            seen.ttls.iter().all(|ttl| *ttl <= 10),
            "{day}: {}",
            seen.text
        );
        let any = bench.ask(PUPIL, "www.example", "ANY", None);
        assert!(any.ttls[0] <= 10, "{}", any.text);
        // A block, an hour before it ends, has its usual time; just before, less.
        bench.wait(9);
        assert_eq!(bench.ask(PUPIL, name, "A", None).rcode, 0, "{day} 08:59:59");
        bench.wait(1);
        let seen = bench.ask(PUPIL, name, "A", None);
        assert_eq!((seen.rcode, &seen.ttls[..]), (3, &[30][..]), "{day} 09:00");
        bench.now.wall = wall(&format!("{day}T15:29:55"));
        let seen = bench.ask(PUPIL, name, "A", None);
        assert!(seen.rcode == 3 && seen.ttls[0] <= 5, "{day}: {}", seen.text);
        bench.now.wall = wall(&format!("{day}T15:30:00"));
        assert_eq!(bench.ask(PUPIL, name, "A", None).rcode, 0, "{day} 15:30");
    }
}

/// Promise 5: one event for each answered question, at the group's level.
#[test]
fn each_answered_question_makes_one_event() {
    let mut bench = Bench::new();
    let mut asked = 0;
    let mut count = |bench: &Bench, what: &str| {
        asked += 1;
        assert_eq!(bench.events(), asked, "{what}");
    };
    for from in GROUPS {
        for name in [
            "adult.example",
            "illegal.example",
            "localhost",
            "open.example",
            "bets.example",
        ] {
            let answer = Message::answering(&["open.example 60 A 192.0.2.1"]);
            for rtype in ["A", "ANY", "TYPE252"] {
                let answer = if name == "bets.example" {
                    Message::answering(&["bets.example 60 A 198.18.9.9"])
                } else {
                    answer.clone()
                };
                bench.ask(from, name, rtype, Some(&answer));
                count(&bench, &format!("{from} {name} {rtype}"));
            }
        }
    }
    // Without RD; an upstream's failure.
    let mut packet = wire::question("nobody.example", "A");
    packet[2] = 0;
    let Came::Reply(_) = bench.send(&packet, PUPIL) else {
        panic!("it is refused");
    };
    count(&bench, "RD=0");
    let Came::Asked(pending) = bench.send(&wire::question("nobody.example", "A"), PUPIL) else {
        panic!("it is asked on");
    };
    assert_eq!(bench.land(&pending, Err(23)).rcode, 2);
    count(&bench, "failed");
    // What is no question of ours makes none.
    for (packet, from) in [
        (wire::question("www.example", "A"), "192.0.2.9"),
        (vec![0; 12], PUPIL),
        (vec![0x12], PUPIL),
    ] {
        bench.send(&packet, from);
    }
    assert_eq!(bench.events(), asked);
}

/// what is blocked is written in full; what is allowed, as much as the
/// group says.
#[test]
fn levels_are_for_what_is_allowed() {
    let mut bench = Bench::new();
    // full, domains, counts, off
    for from in [PUPIL, "10.3.0.7", "10.4.0.7", "10.5.0.7"] {
        bench.ask(from, "open.example", "A", Some(&plain("open.example")));
        bench.ask(from, "adult.example", "A", None);
        bench.ask(from, "illegal.example", "A", None);
    }
    let rows = bench.rows();
    let of = |group: &str, action| {
        let mut rows = rows
            .iter()
            .filter(|r| r.group == group && r.action == action);
        let ip = rows.next().map(|row| row.ip.is_some());
        (ip, rows.count())
    };
    for group in ["pupil", "nodata", "null", "page"] {
        assert_eq!(of(group, Verdict::Block), (Some(true), 1), "{group}");
    }
    assert_eq!(of("pupil", Verdict::Allow), (Some(true), 0));
    assert_eq!(of("nodata", Verdict::Allow), (Some(false), 0));
    assert_eq!(of("null", Verdict::Allow), (None, 0));
    assert_eq!(of("page", Verdict::Allow), (None, 0));
    let source = |name: &str| {
        let row = rows.iter().find(|r| r.name.trim_end_matches('.') == name);
        row.unwrap().source.clone()
    };
    assert_eq!(source("adult.example").as_deref(), Some("adult"));
}
