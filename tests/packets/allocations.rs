//! What is asked all day costs no allocation: whatever the cache holds, whatever
//! is blocked, and whoever is turned away.
//!
//! Counted, not timed, so that one that creeps in fails here on any machine.

use allocation_counter::measure;
use schoolgate::dns::pipeline::{Now, Step};
use schoolgate::limiter::Limiter;
use schoolgate::querylog::recorder::{PATIENT, Rank};

use super::bench::{Bench, sender};
use super::wire::{self, Message, Seen};

const PUPIL: &str = "10.1.0.7";
const ROUNDS: u64 = 50;

/// A question that must not allocate, and the reply that shows that it took the
/// road it is here for.
struct Case {
    what: &'static str,
    from: &'static str,
    packet: Vec<u8>,
    reply: &'static str,
}

fn case(what: &'static str, from: &'static str, name: &str, reply: &'static str) -> Case {
    Case {
        what,
        from,
        packet: wire::question(name, "A"),
        reply,
    }
}

/// The roads that most questions take.
fn roads() -> Vec<Case> {
    let mut plain = case("cached, without EDNS", PUPIL, "open.example", "192.0.2.1");
    plain.packet.truncate(plain.packet.len() - 11);
    plain.packet[11] = 0;
    let mut odd = case("a type nobody takes", PUPIL, "open.example", "REFUSED");
    let at = odd.packet.len() - 11 - 4;
    odd.packet[at + 1] = 252;
    vec![
        plain,
        odd,
        case("cached", PUPIL, "open.example", "192.0.2.1"),
        case("cached, in capitals", PUPIL, "OPEN.eXample", "192.0.2.1"),
        case(
            "cached, a registered device",
            "10.1.0.77",
            "open.example",
            "192.0.2.1",
        ),
        case("blocked", PUPIL, "a.adult.example", "NXDOMAIN"),
        case(
            "blocked, not cached, twice listed",
            PUPIL,
            "both.example",
            "ede 15",
        ),
        case("blocked: NXDOMAIN", "10.2.0.7", "adult.example", "NXDOMAIN"),
        case("blocked: no data", "10.3.0.7", "adult.example", "SOA"),
        case(
            "blocked: null address",
            "10.4.0.7",
            "adult.example",
            "0.0.0.0",
        ),
        case("blocked: page", "10.5.0.7", "adult.example", "10.0.0.80"),
        case("blocked by timetable", PUPIL, "arcade.example", "ede 15"),
        case(
            "blocked by exception",
            "10.1.0.77",
            "denied.example",
            "ede 15",
        ),
        case(
            "blocked by the second look",
            PUPIL,
            "alias.example",
            "ede 15",
        ),
        case(
            "allowed, the same kept answer",
            "10.6.0.7",
            "alias.example",
            "CNAME",
        ),
        case("mandatory", PUPIL, "x.illegal.example", "ede 16"),
        case("a canary", PUPIL, "mask.icloud.com", "NXDOMAIN"),
        case(
            "held to a safe mode",
            PUPIL,
            "www.google.com",
            "forcesafesearch",
        ),
        case("a stranger", "192.0.2.9", "open.example", "ede 18"),
    ]
}

fn fill(bench: &mut Bench) {
    let plain = Message::answering(&["open.example 60 A 192.0.2.1"]);
    bench.keep("open.example", "A", &plain);
    let alias = Message::answering(&[
        "alias.example 60 CNAME bets.example",
        "bets.example 60 A 192.0.2.1",
    ]);
    bench.keep("alias.example", "A", &alias);
    let safe = "forcesafesearch.google.com";
    let answer = Message::answering(&[&format!("{safe} 60 A 192.0.2.9")]);
    bench.keep(safe, "A", &answer);
}

/// Asks again and again; gives the last reply in words and how often memory was
/// asked for.
fn count(bench: &mut Bench, case: &Case) -> (String, u64) {
    let (from, now) = (sender(case.from), bench.now);
    let mut out = Vec::with_capacity(512);
    let mut ask = |out: &mut Vec<u8>| {
        let step = bench.pipeline.begin(&case.packet, &from, now, out);
        matches!(step, Step::Reply)
    };
    // Policy, moment and memo are worked out for the first.
    let mut replied = ask(&mut out);
    let allocated = measure(|| {
        for _ in 0..ROUNDS {
            replied &= ask(&mut out);
        }
    });
    assert!(replied, "{}: no reply", case.what);
    (Seen::of(&out).text, allocated.count_total)
}

fn check(bench: &mut Bench, case: &Case) {
    let (reply, allocations) = count(bench, case);
    let what = case.what;
    assert!(reply.contains(case.reply), "{what}: {reply}");
    assert_eq!(allocations, 0, "{what}: {ROUNDS} questions allocated");
}

#[test]
fn no_common_road_allocates() {
    let mut bench = Bench::new();
    fill(&mut bench);
    for case in roads() {
        check(&mut bench, &case);
    }
}

#[test]
fn nor_does_it_when_the_log_ring_is_full() {
    let mut bench = Bench::with(Limiter::new(0, 0), 0);
    // Different names, for the same again is a count in the worker's own table.
    for number in 0..1000 {
        let name = format!("n{number}.open.example");
        let plain = Message::answering(&[&format!("{name} 60 A 192.0.2.1")]);
        bench.keep(&name, "A", &plain);
        for name in [
            name,
            format!("n{number}.adult.example"),
            format!("n{number}.illegal.example"),
        ] {
            bench.send(&wire::question(&name, "A"), PUPIL);
        }
    }
    let ms = bench.now.ms + PATIENT;
    bench.pipeline.tick(ms);
    bench.now = Now { ms, ..bench.now };
    for rank in Rank::ALL {
        assert!(
            bench.shortfall.lost.of(rank) > 0,
            "the ring is not full: {rank:?}"
        );
    }
    fill(&mut bench);
    for case in roads() {
        check(&mut bench, &case);
    }
}

#[test]
fn nor_for_a_device_over_its_limit() {
    let mut bench = Bench::with(Limiter::new(1, 1), 1 << 24);
    fill(&mut bench);
    for name in ["open.example", "adult.example", "illegal.example"] {
        check(&mut bench, &case("over its limit", PUPIL, name, "REFUSED"));
    }
}

/// The counter counts: a miss does allocate.
#[test]
fn a_miss_is_seen_to_allocate() {
    let mut bench = Bench::new();
    let (packet, now) = (wire::question("new.example", "A"), bench.now);
    let mut out = Vec::with_capacity(512);
    let mut asked = false;
    let allocated = measure(|| {
        let step = bench.pipeline.begin(&packet, &sender(PUPIL), now, &mut out);
        asked = matches!(step, Step::Ask(_));
    });
    assert!(asked && allocated.count_total > 0);
}
