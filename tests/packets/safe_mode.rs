//! Safe search when things go wrong, or change on the way: it is the safe
//! answer or none.

use schoolgate::dns::answer::Answer;
use schoolgate::policy::decision::{Layer, Verdict};

use super::bench::{Bench, Came, policy_text, sender};
use super::wire::{self, Message, Seen};

const PUPIL: &str = "10.1.0.7";
const STAFF: &str = "10.6.0.7";
const SAFE: &str = "forcesafesearch.google.com";
const UNSAFE: &str = "192.0.2.66";

fn safe() -> Message {
    Message::answering(&[&format!("{SAFE} 60 A 192.0.2.120")])
}

fn unsafe_answer(name: &str) -> Message {
    Message::answering(&[&format!("{name} 60 A {UNSAFE}")])
}

/// NODATA with a SOA.
fn nothing() -> Message {
    Message::default().with(1, &["google.com 60 SOA 60"])
}

fn is_lost(seen: &Seen) {
    assert_eq!(seen.rcode, 2, "{}", seen.text);
    assert_eq!(seen.ede.as_ref().map(|e| e.0), Some(22), "{}", seen.text);
    assert!(seen.answers.is_empty(), "{}", seen.text);
}

fn asked(bench: &mut Bench, from: &str, name: &str) -> schoolgate::dns::pipeline::Pending {
    match bench.send(&wire::question(name, "A"), from) {
        Came::Asked(pending) => pending,
        other => panic!("{name}: {other:?}"),
    }
}

/// R-137, S13: whatever becomes of the safe mode's name, and whatever the cache
/// has of the engine's own, fresh or stale.
#[test]
fn a_lost_safe_mode_is_an_error_and_never_the_engine() {
    let gone = Message::default()
        .rcode(3)
        .with(1, &["google.com 60 SOA 60"]);
    for (what, answer) in [
        ("gone", Some(gone)),
        ("without an address", Some(nothing())),
        ("silent", None),
    ] {
        let mut bench = Bench::new();
        for name in ["www.google.com", "google.de"] {
            bench.keep(name, "A", &unsafe_answer(name));
        }
        for name in ["www.google.com", "google.de"] {
            let seen = if let Some(answer) = &answer {
                bench.ask(PUPIL, name, "A", Some(answer))
            } else {
                bench.wait(6);
                let pending = asked(&mut bench, PUPIL, name);
                bench.land(&pending, Err(22))
            };
            is_lost(&seen);
            // From the cache, where the failure is kept for a while.
            is_lost(&bench.ask(PUPIL, name, "A", None));
            assert!(!seen.text.contains(UNSAFE), "{what}: {}", seen.text);
        }
        // The engine's own answer is past its time: for those who may have it.
        bench.wait(120);
        let pending = asked(&mut bench, PUPIL, "www.google.com");
        is_lost(&bench.land(&pending, Err(23)));
        let pending = asked(&mut bench, STAFF, "www.google.com");
        assert!(bench.land(&pending, Err(23)).text.contains(UNSAFE));
    }
}

/// RFC 8767: yesterday's safe answer is better than none.
#[test]
fn a_stale_answer_of_the_safe_mode_serves() {
    let mut bench = Bench::new();
    bench.ask(PUPIL, "www.google.com", "A", Some(&safe()));
    bench.wait(3600);
    let pending = asked(&mut bench, PUPIL, "www.google.de");
    let seen = bench.land(&pending, Err(22));
    let expected = [
        format!("www.google.de. 30 CNAME {SAFE}."),
        format!("{SAFE}. 30 A 192.0.2.120"),
    ];
    assert_eq!(seen.answers, expected);
    // And the next without waiting.
    let seen = bench.ask(PUPIL, "www.google.fr", "A", None);
    assert_eq!(seen.answers[1], expected[1]);
}

/// R-136, S6; with neither kind of address there is no safe mode.
#[test]
fn a_safe_mode_without_one_kind_of_address_has_no_data_of_it() {
    let target = "familysearch.yandex.ru";
    let v4 = Message::answering(&[&format!("{target} 60 A 192.0.2.56")]);
    for first_v4 in [true, false] {
        let mut bench = Bench::new();
        if first_v4 {
            bench.ask(PUPIL, "yandex.ru", "A", Some(&v4));
        }
        let seen = bench.ask(PUPIL, "ya.ru", "AAAA", Some(&nothing()));
        assert_eq!(
            seen.text,
            format!(
                "NOERROR rd ra | ya.ru. AAAA | ya.ru. 60 CNAME {target}.; | {target}. 60 SOA \
                 filter.invalid. minimum 60; | opt 1232 ede 4 \"Held to its safe mode by school \
                 policy\""
            )
        );
    }
    let mut bench = Bench::new();
    is_lost(&bench.ask(PUPIL, "yandex.ru", "A", Some(&nothing())));
    is_lost(&bench.ask(PUPIL, "yandex.ru", "AAAA", Some(&nothing())));
    is_lost(&bench.ask(PUPIL, "yandex.ru", "AAAA", None));
    // An IPv6 address alone will do.
    let mut bench = Bench::new();
    let v6 = Message::answering(&[&format!("{target} 60 AAAA 2001:db8::56")]);
    bench.ask(PUPIL, "yandex.ru", "AAAA", Some(&v6));
    let seen = bench.ask(PUPIL, "yandex.ru", "A", Some(&nothing()));
    assert_eq!((seen.rcode, seen.answers.len()), (0, 1), "{}", seen.text);
}

/// One question to an upstream serves all names of an engine, with or without
/// DO, and whoever asks for the safe mode by its own name.
#[test]
fn all_names_of_an_engine_share_one_answer() {
    let mut bench = Bench::new();
    let wanted = asked(&mut bench, PUPIL, "www.google.com").wanted();
    assert_eq!(wanted.question, wire::question_section(SAFE, "A"));
    assert_eq!(asked(&mut bench, PUPIL, "GOOGLE.fr").wanted(), wanted);
    assert_eq!(asked(&mut bench, STAFF, SAFE).wanted(), wanted);
    let mut signed = wire::question("www.google.it", "A");
    let dnssec_ok = signed.len() - 4;
    signed[dnssec_ok] = 0x80;
    let Came::Asked(pending) = bench.send(&signed, PUPIL) else {
        panic!("nothing is kept");
    };
    assert_eq!(pending.wanted(), wanted);
    bench.ask(PUPIL, "www.google.com", "A", Some(&safe()));
    for name in ["google.com", "images.google.es", "ipv6.google.com"] {
        assert_eq!(bench.ask(PUPIL, name, "A", None).answers.len(), 2, "{name}");
    }
    assert_eq!(bench.ask(STAFF, SAFE, "A", None).answers.len(), 1);
}

/// Promise 10, when the policy changes while an upstream is being asked.
#[test]
fn a_policy_that_changes_on_the_way_is_in_force() {
    let strict = policy_text().replace("safe_search = \"off\"", "safe_search = \"strict\"");
    let mut bench = Bench::new();
    let pending = asked(&mut bench, STAFF, "www.google.com");
    bench.swap(&strict);
    let question = wire::question_section("www.google.com", "A");
    let own = Answer::read(&unsafe_answer("www.google.com").to(&question), &question);
    is_lost(&bench.land(&pending, own.map_err(|_| 22)));
    // The engine's answer came after all, and is kept: for nobody here.
    let late = asked(&mut bench, STAFF, "www.google.com");
    // The other way round: what comes is not what was asked for.
    bench.swap(&policy_text());
    let question = wire::question_section(SAFE, "A");
    let answer = Answer::read(&safe().to(&question), &question).unwrap();
    let seen = bench.land(&late, Ok(answer));
    assert!(seen.text.contains(UNSAFE), "{}", seen.text);
    let other = asked(&mut bench, PUPIL, "www.youtube.com");
    bench.swap(&policy_text().replace("[groups.pupil]", "[groups.pupil]\nsafe_search = \"off\""));
    assert_eq!(bench.land(&other, Err(22)).rcode, 2);
    bench.wait(6);
    // From one mode to another: the answer of the first will not do.
    bench.swap(&policy_text());
    let pending = asked(&mut bench, PUPIL, "www.youtube.com");
    bench.swap(&policy_text().replace(
        "[groups.pupil]",
        "[groups.pupil]\nsafe_search = \"moderate\"",
    ));
    let question = wire::question_section("restrict.youtube.com", "A");
    let answer = Message::answering(&["restrict.youtube.com 60 A 192.0.2.119"]).to(&question);
    let answer = Answer::read(&answer, &question).map_err(|_| 22);
    is_lost(&bench.land(&pending, answer));
    // Blocked meanwhile.
    let pending = asked(&mut bench, PUPIL, "www.bing.com");
    let deny = "\n[[exceptions]]\nname = \"bing.com\"\nverdict = \"deny\"\n\
                groups = [\"pupil\"]\nreason = \"A test\"\n";
    bench.swap(&(policy_text() + deny));
    assert_eq!(bench.land(&pending, Err(22)).rcode, 3);
}

/// The second look: the law and the school's own network come first, and the
/// lists that the engine itself is on do not count.
#[test]
fn the_safe_modes_answer_is_looked_at() {
    let code = |ip: &str| {
        let mut bench = Bench::new();
        let answer = Message::answering(&[&format!("{SAFE} 60 A {ip}")]);
        let first = bench.ask(PUPIL, "www.google.com", "A", Some(&answer)).ede;
        let again = bench.ask(PUPIL, "www.google.com", "A", None).ede;
        assert_eq!(first, again);
        first.map(|(code, _)| code)
    };
    assert_eq!(code("192.0.2.120"), Some(4));
    assert_eq!(code("198.18.9.9"), Some(16));
    assert_eq!(code("10.0.0.1"), Some(15));
    // An address on a list of bets, which this group blocks.
    assert_eq!(code("198.18.7.7"), Some(4));
}

/// each is one event with the action `rewrite`, whatever came of it.
#[test]
fn each_is_logged_as_a_rewrite() {
    let mut bench = Bench::new();
    bench.ask(PUPIL, "www.google.com", "A", Some(&safe()));
    bench.ask(PUPIL, "www.google.com", "A", None);
    bench.ask(PUPIL, "www.google.com", "HTTPS", None);
    let pending = asked(&mut bench, PUPIL, "www.bing.com");
    is_lost(&bench.land(&pending, Err(22)));
    let counters = bench.pipeline.counters();
    assert_eq!(counters.decided(Layer::SafeSearch, Verdict::Rewrite), 4);
    assert_eq!(bench.events(), 4);
    let rows = bench.rows();
    let seen: u64 = rows.iter().map(|row| row.count).sum();
    assert_eq!(seen, 4, "{rows:?}");
    for row in &rows {
        assert_eq!(
            (row.action, row.layer),
            (Verdict::Rewrite, Layer::SafeSearch)
        );
        assert!(
            row.name == "www.google.com" || row.name == "www.bing.com",
            "{}",
            row.name
        );
    }
}

/// What is popular is asked for ahead of time under the safe mode's own name.
#[test]
fn a_popular_one_is_refreshed_by_its_own_name() {
    use schoolgate::dns::pipeline::Step;

    let mut bench = Bench::prefetching();
    bench.ask(PUPIL, "www.google.com", "A", Some(&safe()));
    bench.wait(55);
    let mut out = Vec::new();
    let packet = wire::question("www.google.de", "A");
    let step = (0..3).map(|_| {
        bench
            .pipeline
            .begin(&packet, &sender(PUPIL), bench.now, &mut out)
    });
    let Some(Step::ReplyAndRefresh(wanted)) = step.last() else {
        panic!("it is popular and nearly over");
    };
    assert_eq!(wanted.question, wire::question_section(SAFE, "A"));
}
