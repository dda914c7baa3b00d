//! The way to an upstream and back, when all is well or somebody lies.

use std::collections::HashSet;
use std::sync::Arc;

use super::eventually;
use super::school::{Client, Plan};
use super::upstream::{ADDRESS, Gate, Say, Upstream, plain, say};
use super::wire::{self, Reply, Rr};

#[test]
fn an_answer_passes_and_is_kept() {
    let upstream = Upstream::plain();
    let school = Plan::new(&[upstream.address]).start();
    // One client has one worker, and so one cache.
    let client = Client::new("127.0.0.1");
    for id in 1..=5 {
        let packet = wire::question(id, "www.school.example", wire::A);
        let reply = Reply::read(&client.exchange(school.dns, &packet).unwrap());
        assert_eq!((reply.rcode, reply.addresses()), (0, vec![ADDRESS]));
        assert!(reply.answer[0].1 <= 300);
    }
    assert_eq!(upstream.count("www.school.example"), 1);
    assert!(school.metric("schoolgate_cache_lookups_total") >= 5.0);
}

#[test]
fn a_hundred_same_questions_are_one_to_the_upstream() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let upstream = Upstream::new(move |seen| Say::When(Arc::clone(&held), plain(seen)));
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    for id in 0..100 {
        let packet = wire::question(id, "popular.example", wire::A);
        client.0.send_to(&packet, school.dns).unwrap();
    }
    let shared = || (school.metric("schoolgate_upstream_shared_total") >= 99.0).then_some(());
    eventually("all to wait for one answer", shared);
    gate.open();
    let ids: HashSet<u16> = (0..100)
        .map(|_| Reply::read(&client.receive().expect("a reply for everybody")))
        .inspect(|reply| assert_eq!(reply.addresses(), [ADDRESS]))
        .map(|reply| reply.id)
        .collect();
    assert_eq!(ids.len(), 100);
    // A round of patience may have asked once more, never a hundred times.
    assert!(
        upstream.count("popular.example") <= 2,
        "{:?}",
        upstream.seen().len()
    );
    assert!(school.metric("schoolgate_upstream_waiting") < 1.0);
}

/// Questions leave and answers come in batches: none may get another's.
#[test]
fn in_a_burst_of_questions_each_gets_its_own_answer() {
    let address = |number: u16| {
        let [high, low] = number.to_be_bytes();
        [198, 51, high, low]
    };
    let upstream = Upstream::new(move |seen| {
        let number = seen
            .name
            .strip_prefix('n')
            .and_then(|n| n.split('.').next());
        let number = number.and_then(|n| n.parse().ok()).expect("a number");
        let records = [Rr::a(&wire::asked_name(&seen.packet), 300, address(number))];
        say(wire::reply(&seen.packet, 0, 0, &records, &[]))
    });
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    for burst in 0..5 {
        for number in burst * 100..(burst + 1) * 100 {
            let packet = wire::question(number, &format!("n{number}.example"), wire::A);
            client.0.send_to(&packet, school.dns).unwrap();
        }
        for _ in 0..100 {
            let reply = Reply::read(&client.receive().expect("a reply to each"));
            assert_eq!(reply.addresses(), [address(reply.id)], "{}", reply.id);
        }
    }
    let ports: HashSet<u16> = upstream.seen().iter().map(|s| s.from.port()).collect();
    assert!(ports.len() > 1, "all by one port");
}

#[test]
fn a_truncated_answer_is_fetched_over_tcp() {
    let upstream = Upstream::new(|seen| {
        if seen.tcp {
            let name = wire::asked_name(&seen.packet);
            let records: Vec<_> = (0..200)
                .map(|n| Rr::a(&name, 60, [198, 51, 100, n]))
                .collect();
            return say(wire::reply(&seen.packet, 0, 0, &records, &[]));
        }
        say(wire::reply(&seen.packet, 2, 0, &[], &[]))
    });
    let school = Plan::new(&[upstream.address]).start();
    // It does not fit the client's datagram either, so that is told to come by
    // TCP as well.
    let reply = school.ask("long.example");
    assert!(reply.truncated && reply.rcode == 0);
    let ways: Vec<bool> = upstream.seen().iter().map(|seen| seen.tcp).collect();
    assert_eq!(ways, [false, true]);
    let over_tcp = super::streams::ask(school.dns, &[wire::question(7, "long.example", wire::A)]);
    assert_eq!(over_tcp[0].answer.len(), 200);
}

#[test]
fn an_upstream_cannot_foretell_a_question_and_learns_nothing_of_the_client() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.tables = "[clients]\nrouters = [\"127.0.0.1\"]\n".to_owned();
    let school = plan.start();
    let client = Client::new("127.0.0.1");
    for id in 0..120 {
        let name = format!("a-rather-long-name-{id}.example");
        // A MAC, a client subnet and a cookie.
        let options: [(u16, &[u8]); 3] = [
            (65001, &[2, 0, 0, 0, 0, 1]),
            (8, &[0, 1, 32, 0, 10, 9, 8, 7]),
            (10, &[1; 8]),
        ];
        let packet = wire::question_with(id, &name, wire::A, &options);
        assert_eq!(
            Reply::read(&client.exchange(school.dns, &packet).unwrap()).rcode,
            0
        );
    }
    let seen = upstream.seen();
    let ids: HashSet<&[u8]> = seen.iter().map(|seen| &seen.packet[..2]).collect();
    assert!(ids.len() > 110, "{} ids", ids.len());
    let ports: HashSet<u16> = seen.iter().map(|seen| seen.from.port()).collect();
    assert!(ports.len() > 8, "{} ports", ports.len());
    let mixed = seen
        .iter()
        .filter(|seen| wire::asked_name(&seen.packet) != seen.name);
    assert!(mixed.count() > 110);
    for seen in &seen {
        let rest = &seen.packet[wire::question_end(&seen.packet)..];
        assert_eq!(
            rest,
            [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0],
            "an OPT record and nothing in it"
        );
    }
}

#[test]
fn what_was_not_asked_is_not_believed() {
    const FORGED: [u8; 4] = [198, 51, 100, 66];
    let upstream = Upstream::new(|seen| {
        let name = wire::asked_name(&seen.packet);
        let forged = |question: &[u8], name: &str| {
            wire::reply(question, 0, 0, &[Rr::a(name, 300, FORGED)], &[])
        };
        let honest = plain(seen);
        if seen.tcp {
            return say(honest);
        }
        match seen.name.split('.').next().unwrap() {
            "wrong-id" => {
                let mut packet = forged(&seen.packet, &name);
                packet[0] ^= 0xff;
                Say::All(vec![packet, honest])
            }
            "wrong-question" => {
                let other = wire::question(0, "other.example", wire::A);
                let mut packet = forged(&other, "other.example");
                packet[..2].copy_from_slice(&seen.packet[..2]);
                Say::All(vec![packet, honest])
            }
            "wrong-case" => {
                let mut question = seen.packet.clone();
                for octet in &mut question[13..] {
                    if octet.is_ascii_alphabetic() {
                        *octet ^= 0x20;
                    }
                }
                Say::All(vec![forged(&question, &name)])
            }
            "short" => Say::All(vec![seen.packet[..5].to_vec(), vec![], honest]),
            // The question itself, sent back.
            "mirror" => Say::All(vec![seen.packet.clone()]),
            // The right answer and one about a name of somebody else.
            "more" => {
                let records = [
                    Rr::a(&name, 300, ADDRESS),
                    Rr::a("bank.example", 300, FORGED),
                ];
                say(wire::reply(&seen.packet, 0, 0, &records, &[]))
            }
            _ => say(honest),
        }
    });
    let school = Plan::new(&[upstream.address]).start();
    for case in ["wrong-id", "wrong-question", "wrong-case", "short", "more"] {
        let reply = school.ask(&format!("{case}.example"));
        assert_eq!(
            (reply.rcode, reply.addresses()),
            (0, vec![ADDRESS]),
            "{case}"
        );
    }
    assert_eq!(school.ask("bank.example").addresses(), [ADDRESS]);
    assert_eq!(school.ask("other.example").addresses(), [ADDRESS]);
    assert!(school.metric("schoolgate_upstream_mismatches_total") >= 3.0);
    let mirrored = school.ask("mirror.example");
    assert_eq!(mirrored.rcode, 2, "{mirrored:?}");
}

#[test]
fn a_server_that_folds_case_is_still_of_use() {
    let upstream = Upstream::new(|seen| {
        let mut packet = plain(seen);
        let end = wire::question_end(&packet);
        packet[12..end].make_ascii_lowercase();
        say(packet)
    });
    let school = Plan::new(&[upstream.address]).start();
    for number in 0..10 {
        let reply = school.ask(&format!("folded-to-lower-case-{number}.example"));
        assert_eq!(reply.addresses(), [ADDRESS]);
    }
}

#[test]
fn what_does_not_exist_is_kept_as_long_as_its_zone_says() {
    let upstream = Upstream::new(|seen| {
        let ttl = if seen.name.starts_with("short") {
            1
        } else {
            600
        };
        say(wire::reply(
            &seen.packet,
            0,
            3,
            &[],
            &[Rr::soa("example", ttl)],
        ))
    });
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    let ask = |name: &str| {
        let packet = wire::question(9, name, wire::A);
        let reply = Reply::read(&client.exchange(school.dns, &packet).unwrap());
        assert_eq!(reply.rcode, 3);
    };
    ask("long.example");
    ask("short.example");
    let again = || {
        ask("short.example");
        (upstream.count("short.example") > 1).then_some(())
    };
    eventually("the short one to run out", again);
    ask("long.example");
    assert_eq!(upstream.count("long.example"), 1);
}

#[test]
fn a_zone_of_the_schools_own_goes_to_its_own_server() {
    let (world, own) = (Upstream::plain(), Upstream::plain());
    let mut plan = Plan::new(&[world.address]);
    plan.upstream = format!(
        "zones = [{{ name = \"school.example\", servers = [\"udp://{}\"] }}]",
        own.address
    );
    let school = plan.start();
    for name in [
        "server.school.example",
        "school.example",
        "preschool.example",
    ] {
        assert_eq!(school.ask(name).addresses(), [ADDRESS], "{name}");
    }
    let names = |upstream: &Upstream| -> HashSet<String> {
        upstream.seen().into_iter().map(|seen| seen.name).collect()
    };
    assert_eq!(
        names(&own),
        HashSet::from(["server.school.example".into(), "school.example".into()])
    );
    assert_eq!(names(&world), HashSet::from(["preschool.example".into()]));
}

#[test]
fn an_answer_in_demand_is_fetched_before_it_runs_out() {
    let upstream = Upstream::new(|seen| {
        let record = Rr::a(&wire::asked_name(&seen.packet), 10, ADDRESS);
        say(wire::reply(&seen.packet, 0, 0, &[record], &[]))
    });
    let school = Plan::new(&[upstream.address]).start();
    let client = Client::new("127.0.0.1");
    let mut least = 10;
    let look = || {
        let packet = wire::question(3, "busy.example", wire::A);
        let reply = Reply::read(&client.exchange(school.dns, &packet).unwrap());
        assert_eq!(reply.addresses(), [ADDRESS]);
        least = least.min(reply.answer[0].1);
        (upstream.count("busy.example") >= 2).then_some(())
    };
    let began = std::time::Instant::now();
    super::within(std::time::Duration::from_secs(15), "a second fetch", look);
    // Nobody waited for it: it was still good for a second.
    assert!(least >= 1, "{least}");
    assert!(began.elapsed().as_secs() >= 8);
}
