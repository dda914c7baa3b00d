//! Upstreams over TLS, HTTPS and QUIC: Unbound and peers of our own, with good
//! certificates and bad ones, good manners and bad ones.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::peer::{Authority, Certificate, Manners, Peer};
use super::peers::unbound;
use super::school::{Client, Folder, Plan, Running, School};
use super::upstream::{ADDRESS, Upstream};
use super::wire::{self, Reply};
use super::{eventually, has, within};

/// A school that asks only these, and believes this authority.
fn plan(ways: &[&str], authority: &Authority) -> Plan {
    let mut plan = Plan::new(&[]);
    plan.ways = ways.iter().map(ToString::to_string).collect();
    plan.upstream += "ca_file = \"ca.pem\"";
    plan.tables += "[refresh]\nresolvers = [\"127.0.0.1\"]\n";
    plan.files = vec![("ca.pem".to_owned(), authority.pem.clone())];
    plan
}

/// Asks for so many names, some at a time, and says how many were answered.
fn load(school: &School, run: &str, count: u16) -> usize {
    const AT_ONCE: u16 = 50;
    let client = Client::new("127.0.0.1");
    let mut answered = HashSet::new();
    for first in (0..count).step_by(usize::from(AT_ONCE)) {
        let last = (first + AT_ONCE).min(count);
        for id in first..last {
            let packet = wire::question(id, &format!("n{id}.{run}.example"), wire::A);
            client.0.send_to(&packet, school.dns).unwrap();
        }
        for _ in first..last {
            let Some(reply) = client.receive() else { break };
            let reply = Reply::read(&reply);
            if reply.rcode == 0 && reply.addresses() == [ADDRESS] {
                answered.insert(reply.id);
            }
        }
    }
    answered.len()
}

/// How the machine's log and the numbers have it.
fn failures_told(school: &School) -> usize {
    school.stderr().matches("the upstream fails").count()
}

/// An Unbound that speaks TLS and HTTPS.
fn secure_unbound(folder: &Folder, certificate: &Certificate, ports: [u16; 2]) -> Running {
    certificate.write(folder.path());
    let [tls, https] = ports;
    let folder_name = folder.path().display();
    let listen = format!(
        " interface: 127.0.0.1@{tls}\n interface: 127.0.0.1@{https}\n tls-port: {tls}\n \
         https-port: {https}\n tls-service-key: \"{folder_name}/server.key\"\n \
         tls-service-pem: \"{folder_name}/server.pem\"\n"
    );
    unbound(folder, &listen)
}

/// Two ports on which nobody listens.
fn ports() -> [u16; 2] {
    let [one, two] = [Upstream::plain(), Upstream::plain()];
    [one.address.port(), two.address.port()]
}

#[test]
fn a_thousand_misses_over_each_way_lose_nothing() {
    let authority = Authority::new();
    let certificate = authority.sign();
    let quic = Peer::quic(&certificate);
    let mut ways = vec![format!("quic://{}#dns.test", quic.address)];
    let [tls, https] = ports();
    let real = has("unbound", "DNS over TLS and HTTPS to a real server");
    if real {
        ways.push(format!("tls://127.0.0.1:{tls}#dns.test"));
        ways.push(format!("https://127.0.0.1:{https}/dns-query"));
    }
    let folder = Plan::new(&[]).write();
    let _unbound = real.then(|| secure_unbound(&folder, &certificate, [tls, https]));
    for way in ways {
        let school = plan(&[&way], &authority).start();
        eventually("the upstream to be up", || {
            (school.ask("first.example").rcode == 0).then_some(())
        });
        assert_eq!(load(&school, "run", 1000), 1000, "{way}");
        assert!(school.metric("schoolgate_upstream_up") > 0.9, "{way}");
    }
    assert!(quic.connections() <= 2, "{}", quic.connections());
}

#[test]
fn an_encrypted_question_is_padded_and_says_nothing_of_the_client() {
    let authority = Authority::new();
    let peer = Peer::tls(&authority.sign(), Manners::Good);
    let mut plan = plan(&[&format!("tls://{}", peer.address)], &authority);
    plan.tables += "[clients]\nrouters = [\"127.0.0.1\"]\n";
    let school = plan.start();
    for name in ["a.example", "a-much-longer-name-than-the-other.example"] {
        let options: [(u16, &[u8]); 3] = [
            (65001, &[2, 0, 0, 0, 0, 1]),
            (8, &[0, 1, 32, 0, 10, 9, 8, 7]),
            (10, &[1; 8]),
        ];
        let packet = wire::question_with(1, name, wire::A, &options);
        let reply = Client::new("127.0.0.1").exchange(school.dns, &packet);
        assert_eq!(Reply::read(&reply.unwrap()).addresses(), [ADDRESS]);
    }
    let packets = peer.packets();
    assert_eq!(packets.len(), 2);
    for packet in packets {
        assert_eq!(packet.len(), 128);
        let options = &packet[wire::question_end(&packet) + 11..];
        assert_eq!(options[..2], [0, 12], "padding and nothing else");
        assert!(options[4..].iter().all(|octet| *octet == 0));
    }
}

#[test]
fn a_certificate_that_is_not_in_order_is_refused_and_the_next_server_asked() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = Peer::tls(&authority.sign(), Manners::Good);
    let expired = Peer::tls(&authority.sign_until(2021), Manners::Good);
    let unknown = Peer::tls(&stranger.sign(), Manners::Good);
    let quic = Peer::quic(&authority.sign_until(2021));
    let cases = [
        format!("tls://{}#dns.test", expired.address),
        format!("tls://{}#other.test", good.address),
        format!("tls://{}#dns.test", unknown.address),
        format!("quic://{}#dns.test", quic.address),
    ];
    for bad in cases {
        let school = plan(&[&bad], &authority).start();
        for number in 0..20 {
            let reply = school.ask(&format!("n{number}.example"));
            assert_eq!(reply.rcode, 2, "{bad}");
            let told = |code: &u16| [22, 23].contains(code);
            assert!(
                reply.errors.iter().all(told) && !reply.errors.is_empty(),
                "{reply:?}"
            );
        }
        // Told by the thread that holds the line, not by the one that answers.
        eventually("the failure to be told", || {
            (failures_told(&school) > 0).then_some(())
        });
        assert_eq!(failures_told(&school), 1, "{}", school.stderr());
        assert!(school.metric("schoolgate_upstream_up") < 0.1);
        drop(school);
        let next = format!("tls://{}#dns.test", good.address);
        let school = plan(&[&bad, &next], &authority).start();
        for number in 0..20 {
            let reply = school.ask(&format!("n{number}.example"));
            assert_eq!(reply.addresses(), [ADDRESS], "{bad}");
        }
    }
    // Twenty questions and more for each: no handshake for every one.
    for peer in [&expired, &unknown] {
        assert!(peer.connections() <= 12, "{}", peer.connections());
        assert!(peer.packets().is_empty(), "it was asked all the same");
    }
    assert!(quic.packets().is_empty());
}

#[test]
fn a_server_that_takes_questions_and_answers_none_is_passed_over() {
    let authority = Authority::new();
    let certificate = authority.sign();
    let stalls = Peer::tls(&certificate, Manners::Stalls);
    let good = Peer::tls(&certificate, Manners::Good);
    let ways = [&stalls, &good].map(|peer| format!("tls://{}#dns.test", peer.address));
    let [stalling, answering] = &ways;
    let school = plan(&[stalling, answering], &authority).start();
    for number in 0..50 {
        let began = Instant::now();
        let reply = school.ask(&format!("n{number}.example"));
        assert_eq!(reply.addresses(), [ADDRESS]);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    let alone = plan(&[stalling], &authority).start();
    let reply = alone.ask("alone.example");
    assert_eq!((reply.rcode, reply.errors), (2, vec![22]));
    let down = || (alone.metric("schoolgate_upstream_up") < 0.1).then_some(());
    eventually("the stalled one to be told of", down);
}

#[test]
fn a_server_that_closes_after_each_answer_is_of_use_all_the_same() {
    let authority = Authority::new();
    let peer = Peer::tls(&authority.sign(), Manners::OneAnswer);
    let school = plan(&[&format!("tls://{}#dns.test", peer.address)], &authority).start();
    for number in 0..30 {
        let reply = school.ask(&format!("n{number}.example"));
        assert_eq!(reply.addresses(), [ADDRESS], "{number}");
    }
    assert_eq!(failures_told(&school), 0, "{}", school.stderr());
}

#[test]
fn after_a_restart_of_the_upstream_answers_resume_within_seconds() {
    if !has("unbound", "a restart of a real encrypted upstream") {
        return;
    }
    let authority = Authority::new();
    let certificate = authority.sign();
    let ports = ports();
    let folder = Plan::new(&[]).write();
    for (index, scheme) in ["tls", "https"].into_iter().enumerate() {
        let first = secure_unbound(&folder, &certificate, ports);
        let way = format!("{scheme}://127.0.0.1:{}#dns.test", ports[index]);
        let school = plan(&[&way], &authority).start();
        let mut number = 0;
        let mut ask = || {
            number += 1;
            school.ask(&format!("n{number}.{scheme}.example")).rcode
        };
        eventually("the first answer", || (ask() == 0).then_some(()));
        drop(first);
        // A small load while it is down.
        for _ in 0..40 {
            assert_eq!(ask(), 2);
        }
        assert_eq!(failures_told(&school), 1, "{}", school.stderr());
        let _second = secure_unbound(&folder, &certificate, ports);
        let patience = Duration::from_secs(8);
        within(patience, "answers again", || (ask() == 0).then_some(()));
        eventually("the machine's log to say so", || {
            let told = school.stderr().contains("the upstream answers again");
            told.then_some(())
        });
        assert!(school.metric("schoolgate_upstream_up") > 0.9);
    }
}

#[test]
fn a_bad_file_of_authorities_is_told_at_the_start() {
    let mut plan = plan(&["tls://127.0.0.1:1"], &Authority::new());
    plan.files = vec![("ca.pem".to_owned(), "no certificate\n".to_owned())];
    let folder = plan.write();
    folder.refresh();
    let output = folder.run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("upstream.ca_file") && said.contains("no certificate in it"),
        "{said}"
    );
}
