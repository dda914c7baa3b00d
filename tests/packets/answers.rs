//! The second look: what an answer leads to, for whom, through the cache.

use schoolgate::dns::answer::NoAnswer;

use super::bench::{Bench, Came, read};
use super::wire::{self, Message, Seen};

const PUPIL: &str = "10.1.0.7";
const STAFF: &str = "10.6.0.7";
const BLOCKED: Option<u16> = Some(15);
const MANDATORY: Option<u16> = Some(16);

/// What `from` gets when `answer` is what the upstream says: the EDE code.
fn fate(from: &str, name: &str, rtype: &str, answer: &Message) -> Option<u16> {
    let mut bench = Bench::new();
    let first = bench.ask(from, name, rtype, Some(answer)).ede;
    // The same from the cache.
    let again = bench.ask(from, name, rtype, Some(answer)).ede;
    assert_eq!(first, again, "{name}");
    first.map(|(code, _)| code)
}

fn chain(names: &[&str]) -> Vec<String> {
    let steps = names.windows(2);
    steps
        .map(|s| format!("{} 60 CNAME {}", s[0], s[1]))
        .collect()
}

fn answering(records: &[String]) -> Message {
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    Message::answering(&records)
}

/// A6: one hop and seven.
#[test]
fn a_chain_is_followed_to_its_end() {
    let one = chain(&["shop.example", "www.adult.example"]);
    assert_eq!(fate(PUPIL, "shop.example", "A", &answering(&one)), BLOCKED);
    let names = ["h0.example", "h1.example", "h2.example", "h3.example"];
    let more = ["h4.example", "h5.example", "h6.example"];
    for (last, expected) in [("adult.example", BLOCKED), ("fine.example", None)] {
        let mut all = chain(&[&names[..], &more, &[last]].concat());
        all.push(format!("{last} 60 A 192.0.2.1"));
        assert_eq!(fate(PUPIL, "h0.example", "A", &answering(&all)), expected);
    }
    let mut middle = chain(&["a.example", "cdn.adult.example", "b.example"]);
    middle.push("b.example 60 A 192.0.2.1".to_owned());
    assert_eq!(fate(PUPIL, "a.example", "A", &answering(&middle)), BLOCKED);
}

/// A10, and more steps than any honest chain has.
#[test]
fn a_chain_must_end() {
    let long: Vec<String> = (0..30).map(|n| format!("h{n}.example")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for names in [
        &["a.example", "a.example"][..],
        &["a.example", "b.example", "a.example"],
        &long,
    ] {
        let got = read(names[0], "A", &answering(&chain(names)));
        assert_eq!(got.unwrap_err(), NoAnswer::Malformed, "{names:?}");
    }
}

/// A7: NODATA behind the chain, A and AAAA.
#[test]
fn a_chain_to_a_blocked_name_without_data_is_blocked() {
    for rtype in ["A", "AAAA"] {
        let answer = Message::answering(&["x.example 60 CNAME adult.example"]);
        let answer = answer.with(1, &["example 900 SOA 300"]);
        assert_eq!(fate(PUPIL, "x.example", rtype, &answer), BLOCKED);
        let gone = answer.rcode(3);
        assert_eq!(fate(PUPIL, "x.example", rtype, &gone), BLOCKED);
    }
}

/// RFC 6672, RFC 9460: DNAME, and an HTTPS record's target and hints (A12).
#[test]
fn a_name_hides_in_no_other_record() {
    let fate =
        |name, rtype, records: &[&str]| fate(PUPIL, name, rtype, &Message::answering(records));
    let dname = [
        "old.example 60 DNAME adult.example",
        "w.old.example 60 CNAME w.adult.example",
    ];
    assert_eq!(fate("w.old.example", "A", &dname), BLOCKED);
    assert_eq!(
        fate(
            "x.example",
            "HTTPS",
            &["x.example 60 HTTPS 0 adult.example"]
        ),
        BLOCKED
    );
    assert_eq!(
        fate("x.example", "HTTPS", &["x.example 60 HTTPS 1 . 4=c6120701"]),
        BLOCKED
    );
    let v6 = "x.example 60 HTTPS 1 . 1=026832 6=20010db8000700000000000000000007";
    assert_eq!(fate("x.example", "HTTPS", &[v6]), BLOCKED);
    assert_eq!(
        fate("x.example", "HTTPS", &["x.example 60 HTTPS 1 . 4=c0000201"]),
        None
    );
    assert_eq!(
        fate("x.example", "HTTPS", &["x.example 60 HTTPS 1 . 4=0a000001"]),
        BLOCKED
    );
}

/// A8: the allowed asked name ends the category look, never the mandatory one.
#[test]
fn an_exception_does_not_reach_the_mandatory_layer() {
    let fate = |name, records: &[&str]| fate(PUPIL, name, "A", &Message::answering(records));
    assert_eq!(
        fate("hidden.example", &["hidden.example 60 CNAME adult.example"]),
        None
    );
    assert_eq!(
        fate("hidden.example", &["hidden.example 60 A 198.18.7.7"]),
        None
    );
    let illegal = ["hidden.example 60 CNAME img.illegal.example"];
    assert_eq!(fate("hidden.example", &illegal), MANDATORY);
    assert_eq!(
        fate("hidden.example", &["hidden.example 60 A 198.18.9.9"]),
        MANDATORY
    );
}

/// A11: addresses on a list, and on the mandatory one, for every group.
#[test]
fn addresses_are_looked_at() {
    let answer = |ip: &str| Message::answering(&[&format!("x.example 60 A {ip}")]);
    assert_eq!(
        fate(PUPIL, "x.example", "A", &answer("198.18.7.7")),
        BLOCKED
    );
    assert_eq!(fate(STAFF, "x.example", "A", &answer("198.18.7.7")), None);
    for from in [
        "10.1.0.7",
        "10.2.0.7",
        "10.3.0.7",
        "10.4.0.7",
        "10.5.0.7",
        STAFF,
        "192.168.0.1",
    ] {
        assert_eq!(
            fate(from, "x.example", "A", &answer("198.18.9.9")),
            MANDATORY
        );
    }
    let v6 = Message::answering(&["x.example 60 AAAA 2001:db8:7::7"]);
    assert_eq!(fate(PUPIL, "x.example", "AAAA", &v6), BLOCKED);
}

/// What is beside the answer is not given to the client, so need not be looked
/// at; records that are not the chain's are no answer (RFC 5452 section 6).
#[test]
fn what_was_not_asked_for_does_not_reach_the_client() {
    let answer = Message::answering(&["x.example 60 HTTPS 1 srv.example"]);
    let answer = answer.with(
        2,
        &["srv.example 60 A 198.18.9.9", "srv.example 60 A 10.0.0.1"],
    );
    let seen = Bench::new().ask(PUPIL, "x.example", "HTTPS", Some(&answer));
    assert!(seen.text.ends_with("| | opt 1232"), "{}", seen.text);
    let other = Message::answering(&["bank.example 60 A 192.0.2.66"]);
    assert_eq!(
        read("x.example", "A", &other).unwrap_err(),
        NoAnswer::Tangled
    );
}

/// P6, P8: private addresses in every dress, and who may have them.
#[test]
fn a_public_name_has_no_private_address() {
    let v4 = [
        "127.0.0.1",
        "10.9.9.9",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
    ];
    let v6 = [
        "fc00::1",
        "fe80::1",
        "::1",
        "::ffff:192.168.1.1",
        "64:ff9b::c0a8:101",
    ];
    let all = v4
        .map(|ip| ("A", ip))
        .into_iter()
        .chain(v6.map(|ip| ("AAAA", ip)));
    for (rtype, ip) in all {
        let answer = |name: &str| Message::answering(&[&format!("{name} 60 {rtype} {ip}")]);
        let seen = Bench::new().ask(STAFF, "x.example", rtype, Some(&answer("x.example")));
        let words = "A public name with a private address".to_owned();
        assert_eq!(seen.ede, Some((15, words)), "{ip}");
        let ours = answer("www.intranet.example");
        assert_eq!(
            fate(STAFF, "www.intranet.example", rtype, &ours),
            None,
            "{ip}"
        );
    }
    let public = Message::answering(&["x.example 60 AAAA 64:ff9b::c000:201"]);
    assert_eq!(fate(STAFF, "x.example", "AAAA", &public), None);
}

/// what is kept is the upstream's answer, never somebody's verdict.
#[test]
fn two_clients_get_their_own_answer_of_one_entry() {
    let mut bench = Bench::new();
    let answer = Message::answering(&[
        "x.example 60 CNAME bets.example",
        "bets.example 60 A 192.0.2.1",
    ]);
    assert_eq!(bench.ask(STAFF, "x.example", "A", Some(&answer)).ede, None);
    for _ in 0..3 {
        let pupil = bench.ask(PUPIL, "x.example", "A", None);
        assert_eq!(pupil.ede.map(|e| e.0), BLOCKED);
        assert!(pupil.answers.is_empty());
        assert_eq!(bench.ask(STAFF, "x.example", "A", None).answers.len(), 2);
        // null: the address of nobody, in place of what the chain leads to.
        let null = bench.ask("10.4.0.7", "x.example", "A", None);
        assert_eq!(null.answers, ["x.example. 30 A 0.0.0.0"]);
    }
}

/// RFC 2308 section 5: a negative answer lives as long as its SOA says, at the
/// end of a chain too.
#[test]
fn a_negative_answer_lives_as_its_soa_says() {
    let soa = |message: Message| message.with(1, &["example 900 SOA 300"]);
    let lifetime = |message| read("x.example", "A", &message).unwrap().lifetime;
    assert_eq!(lifetime(soa(Message::default())), 300);
    assert_eq!(lifetime(soa(Message::default().rcode(3))), 300);
    let alias = Message::answering(&["x.example 3600 CNAME y.example"]);
    assert_eq!(lifetime(soa(alias)), 300);
    assert_eq!(lifetime(Message::default()), 0);
    assert_eq!(lifetime(Message::default().rcode(3)), 0);
}

/// A question with an OPT record of this size, or with none.
fn question(name: &str, size: Option<u16>) -> Vec<u8> {
    let mut packet = wire::question(name, "TYPE65280");
    let opt = packet.len() - 11;
    if let Some(size) = size {
        packet[opt + 3..opt + 5].copy_from_slice(&size.to_be_bytes());
    } else {
        packet.truncate(opt);
        packet[11] = 0;
    }
    packet
}

/// R-85, RFC 6891 section 6.2.3, DNS Flag Day 2020: no datagram is longer than
/// the client takes, nor than 1232; what does not fit says TC. The EDE option
/// goes before any record does.
#[test]
fn a_reply_is_no_longer_than_the_client_takes() {
    let limits = [
        (None, 512),
        (Some(0), 512),
        (Some(512), 512),
        (Some(900), 900),
        (Some(4096), 1232),
    ];
    for (size, limit) in limits {
        let opt = if size.is_some() { 11 } else { 0 };
        let mut bench = Bench::new();
        for length in limit - 80..limit + 10 {
            let name = format!("n{length}.example");
            let record = format!("{name} 60 TYPE65280 {}", "00".repeat(length));
            bench.keep(&name, "TYPE65280", &Message::answering(&[&record]));
            // Header, question, record: the name stands twice.
            let whole = 12 + 2 * (name.len() + 2) + 4 + 10 + length + opt;
            let ask = |bench: &mut Bench| match bench.send(&question(&name, size), PUPIL) {
                Came::Reply(reply) => {
                    assert!(reply.len() <= limit, "{} over {limit}", reply.len());
                    (reply.len(), Seen::of(&reply))
                }
                other => panic!("{other:?}"),
            };
            let (got, seen) = ask(&mut bench);
            assert_eq!(seen.text.contains(" tc "), whole > limit, "{whole}");
            assert_eq!(seen.answers.len(), usize::from(whole <= limit));
            assert!(whole > limit || got == whole);
            // Stale: the EDE option needs six bytes more.
            bench.wait(61);
            let Came::Asked(pending) = bench.send(&question(&name, size), PUPIL) else {
                panic!("its time is over");
            };
            bench.land(&pending, Err(22));
            let (_, seen) = ask(&mut bench);
            assert_eq!(seen.answers.len(), usize::from(whole <= limit));
            assert_eq!(seen.ede.is_some(), opt > 0 && whole + 6 <= limit, "{whole}");
        }
    }
}
