//! Questions over QUIC.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::VarInt;

use super::has;
use super::over_quic::{ask, closed_with, connect_from, raw, run};
use super::school::{Plan, School};
use super::secured::{LAPTOP, NAME, SECRET, records};
use super::streams::framed;
use super::upstream::{ADDRESS, Gate, Say, Upstream, plain, say};
use super::wire::{self, Reply};

/// RFC 9250 section 4.3.
const PROTOCOL_ERROR: Option<u64> = Some(2);

fn plan(upstream: &Upstream, limits: &str) -> Plan {
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = format!("[limits]\n{limits}\n");
    plan
}

fn open(school: &School) -> f64 {
    school.metric("schoolgate_connections{transport=\"quic\"}")
}

#[test]
fn kdig_is_answered_over_quic_as_over_udp() {
    if !has("kdig", "kdig over QUIC") {
        return;
    }
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let port = school.quic.unwrap().port();
    let hostname = format!("+tls-hostname={NAME}");
    for (name, wanted) in [
        ("www.example", "198.51.100.7"),
        ("bets.example", "EDE: 15"),
        ("printer.local", "NXDOMAIN"),
    ] {
        let over_udp = school.kdig(school.dns.port(), &[name, "+edns"]);
        // What it is told of TLS would make it TCP again, if it came later.
        let over_quic = school.kdig(port, &[name, "+edns", &hostname, "+quic"]);
        if over_quic.contains("unknown parameter") || over_quic.contains("invalid option") {
            eprintln!("SKIPPED: this kdig was built without QUIC");
            return;
        }
        assert!(over_quic.contains(wanted), "{over_quic}");
        assert!(over_quic.contains("QUIC"), "{over_quic}");
        assert_eq!(records(&over_quic), records(&over_udp), "{name}");
    }
    assert!(school.metric("schoolgate_queries_total{transport=\"quic\"}") > 2.5);
}

#[test]
fn two_hundred_questions_go_down_one_connection_and_the_slow_one_holds_none() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let upstream = Upstream::new(move |seen| match seen.name.as_str() {
        "slow.example" => Say::When(Arc::clone(&held), plain(seen)),
        _ => say(plain(seen)),
    });
    let school = plan(&upstream, "tcp_pipeline = 50").start();
    run(async {
        let connection = school.over_quic().await;
        let slow = connection.clone();
        let slow = tokio::spawn(async move {
            let packet = wire::question(0, "slow.example", wire::A);
            ask(&slow, &packet).await.unwrap()
        });
        let all: Vec<_> = (0..200)
            .map(|n| {
                let connection = connection.clone();
                tokio::spawn(async move {
                    let packet = wire::question(0, &format!("n{n}.example"), wire::A);
                    Reply::read(&ask(&connection, &packet).await.unwrap())
                })
            })
            .collect();
        for one in all {
            let reply = one.await.unwrap();
            assert_eq!((reply.id, reply.addresses()), (0, vec![ADDRESS]));
        }
        assert!(!slow.is_finished());
        assert!((open(&school) - 1.0).abs() < 0.1);
        gate.open();
        assert_eq!(Reply::read(&slow.await.unwrap()).addresses(), [ADDRESS]);
        connection.close(VarInt::from_u32(0), b"");
        while open(&school) > 0.5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn what_is_no_question_ends_its_connection() {
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let good = wire::question(0, "bets.example", wire::A);
    let mut answer = good.clone();
    answer[2] |= 0x80;
    let nonsense = [
        ("an id", framed(&wire::question(7, "bets.example", wire::A))),
        ("two", framed(&good).repeat(2)),
        ("one and a half", [&framed(&good)[..], &[0]].concat()),
        ("half", framed(&good)[..20].to_vec()),
        ("no length", good.clone()),
        ("nothing", Vec::new()),
        ("one octet", vec![0]),
        ("length only", vec![0, 0]),
        ("no header", framed(&[0; 11])),
        ("an answer", framed(&answer)),
        ("70 KB", vec![0; 70_000]),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    run(async {
        for (what, bytes) in nonsense {
            let connection = school.over_quic().await;
            let said = raw(&connection, &bytes).await;
            assert!(said.is_err(), "{what}: {said:?}");
            assert_eq!(closed_with(&connection).await, PROTOCOL_ERROR, "{what}");
        }
        // As long as can be, with octets behind the last record (P12).
        let mut long = good.clone();
        long.resize(65_535, 0);
        let connection = school.over_quic().await;
        let reply = ask(&connection, &long).await.unwrap();
        assert_eq!(Reply::read(&reply).errors, [15]);
        // A stream of no question's, where there is none in DoQ.
        let patience = Duration::from_millis(200);
        let one_way = tokio::time::timeout(patience, connection.open_uni()).await;
        assert!(one_way.is_err());
    });
    assert_eq!(school.ask("bets.example").errors, [15]);
    assert!(!school.stderr().contains("panicked"), "{}", school.stderr());
}

#[test]
fn streams_that_stall_or_are_taken_back_hold_nothing() {
    let upstream = Upstream::new(|seen| {
        if seen.name.starts_with("never") {
            return Say::Nothing;
        }
        say(plain(seen))
    });
    let school = plan(&upstream, "tcp_idle = 2\ntcp_pipeline = 4").start();
    let good = framed(&wire::question(0, "bets.example", wire::A));
    run(async {
        let connection = school.over_quic().await;
        // Three of four streams stall; the fourth serves on.
        let mut stalled = Vec::new();
        for length in [0, 1, 20] {
            let (mut sender, receiver) = connection.open_bi().await.unwrap();
            sender.write_all(&good[..length]).await.unwrap();
            stalled.push((sender, receiver));
        }
        let began = Instant::now();
        for _ in 0..20 {
            assert!(raw(&connection, &good).await.is_ok());
        }
        assert!(began.elapsed() < Duration::from_millis(1900));
        for (number, (_sender, receiver)) in stalled.iter_mut().enumerate().skip(1) {
            let end = receiver.read_to_end(100).await;
            assert!(end.is_err(), "{number}: {end:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(6));
        drop(stalled);
        // Taken back half-way, and after it was asked: four at a time, each of
        // which would else wait for the upstream.
        let began = Instant::now();
        for is_asked in [false, true] {
            for n in 0..20 {
                let never = framed(&wire::question(0, &format!("never{n}.example"), wire::A));
                let length = if is_asked { never.len() } else { 10 };
                let (mut sender, mut receiver) = connection.open_bi().await.unwrap();
                sender.write_all(&never[..length]).await.unwrap();
                if is_asked {
                    sender.finish().unwrap();
                    // So that it is on its way before it is taken back.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                } else {
                    sender.reset(VarInt::from_u32(3)).unwrap();
                }
                receiver.stop(VarInt::from_u32(3)).unwrap();
            }
        }
        assert!(raw(&connection, &good).await.is_ok());
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn a_connection_without_questions_ends_though_it_is_kept_alive() {
    let upstream = Upstream::new(|seen| match seen.name.as_str() {
        "late.example" => {
            std::thread::sleep(Duration::from_millis(1500));
            say(plain(seen))
        }
        _ => say(plain(seen)),
    });
    let school = plan(&upstream, "tcp_idle = 1").start();
    run(async {
        let connection = school.over_quic().await;
        // An answer that takes longer than the patience is waited for.
        let packet = wire::question(0, "late.example", wire::A);
        let reply = ask(&connection, &packet).await.unwrap();
        assert_eq!(Reply::read(&reply).addresses(), [ADDRESS]);
        let began = Instant::now();
        assert_eq!(closed_with(&connection).await, Some(0));
        assert!(began.elapsed() < Duration::from_secs(4));
    });
}

#[test]
fn nobody_holds_more_connections_than_allowed_nor_begins_more_handshakes() {
    let upstream = Upstream::plain();
    let limits = "tcp_connections = 10\ntcp_connections_per_client = 4\ntcp_idle = 2";
    let school = plan(&upstream, limits).start();
    let at = school.quic.unwrap();
    run(async {
        let mut held = Vec::new();
        for _ in 0..6 {
            let connection = connect_from("127.0.0.1", &school, at, ("doq", NAME)).await;
            held.extend(connection.ok());
        }
        assert_eq!(held.len(), 4);
        for n in 4..8 {
            for _ in 0..3 {
                let from = format!("127.0.0.{n}");
                let connection = connect_from(&from, &school, at, ("doq", NAME)).await;
                held.extend(connection.ok());
            }
        }
        assert_eq!(held.len(), 10, "in all");
        assert_eq!(school.ask("bets.example").errors, [15], "UDP is as it was");
    });
    let school = plan(&upstream, "tls_handshakes = 1").start();
    let at = school.quic.unwrap();
    let served = run(async {
        let mut served = 0;
        let mut all = Vec::new();
        for _ in 0..30 {
            let connection = connect_from("127.0.0.1", &school, at, ("doq", NAME));
            let patience = Duration::from_millis(300);
            let connection = tokio::time::timeout(patience, connection).await;
            served += usize::from(matches!(connection, Ok(Ok(_))));
            all.push(connection);
        }
        served
    });
    // Ten at once, and one for each second that it takes.
    assert!((10..20).contains(&served), "{served}");
}

/// The first datagram of a handshake, as anybody could send it from a forged
/// address.
async fn first_datagram(school: &School) -> Vec<u8> {
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let connecting = connect_from(
        "127.0.0.1",
        school,
        sink.local_addr().unwrap(),
        ("doq", NAME),
    );
    let mut packet = vec![0; 2000];
    tokio::select! {
        _ = connecting => panic!("a sink shakes no hands"),
        length = sink.recv(&mut packet) => packet.truncate(length.unwrap()),
    }
    packet
}

#[test]
fn forged_handshakes_leave_room_for_a_real_one() {
    let upstream = Upstream::plain();
    let limits = "tcp_connections = 20\ntcp_connections_per_client = 10\ntcp_idle = 10";
    let school = plan(&upstream, limits).start();
    let at = school.quic.unwrap();
    let forger = UdpSocket::bind("127.0.0.1:0").unwrap();
    run(async {
        for _ in 0..200 {
            let packet = first_datagram(&school).await;
            forger.send_to(&packet, at).unwrap();
        }
        let held = open(&school);
        assert!((4.5..5.5).contains(&held), "{held} of the ten are held");
        let connection = school.over_quic().await;
        let packet = wire::question(0, "bets.example", wire::A);
        assert_eq!(
            Reply::read(&ask(&connection, &packet).await.unwrap()).errors,
            [15]
        );
    });
    // Datagrams of no handshake.
    for length in [0, 1, 20, 1200, 1472] {
        for first in [0x00, 0x40, 0xc0, 0xff] {
            let mut junk: Vec<u8> = (0..length)
                .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect();
            if let Some(octet) = junk.first_mut() {
                *octet = first;
            }
            forger.send_to(&junk, at).unwrap();
        }
    }
    assert_eq!(school.ask("bets.example").errors, [15]);
}

#[test]
fn a_padded_question_has_a_padded_answer_and_no_word_of_keepalive() {
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    run(async {
        let connection = school.over_quic().await;
        for name in ["www.example", "bets.example"] {
            let options: [(u16, &[u8]); 2] = [(11, &[]), (12, &[0; 9])];
            let packet = wire::question_with(0, name, wire::A, &options);
            let reply = ask(&connection, &packet).await.unwrap();
            assert_eq!(reply.len(), 468, "{name}");
            assert!(!reply.windows(4).any(|w| w == [0, 11, 0, 2]), "{name}");
        }
    });
}

#[test]
fn a_device_is_known_by_its_server_name_and_another_protocol_is_refused() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    LAPTOP.clone_into(&mut plan.devices);
    let school = plan.start();
    let at = school.quic.unwrap();
    let packet = wire::question(0, "bets.example", wire::A);
    run(async {
        let named = format!("{SECRET}.{NAME}");
        let connection = connect_from("127.0.0.1", &school, at, ("doq", &named)).await;
        let reply = ask(&connection.unwrap(), &packet).await.unwrap();
        assert_eq!(Reply::read(&reply).addresses(), [ADDRESS]);
        let reply = ask(&school.over_quic().await, &packet).await.unwrap();
        assert_eq!(Reply::read(&reply).errors, [15]);
        for alpn in ["dot", "h3", "doq-i02"] {
            let connection = connect_from("127.0.0.1", &school, at, (alpn, NAME)).await;
            assert!(connection.is_err(), "{alpn}");
        }
    });
    assert!(school.metric("schoolgate_failed_handshakes_total") > 2.5);
}

#[test]
fn it_answers_over_ipv6() {
    let upstream = Upstream::plain();
    let folder = Plan::encrypted(&[upstream.address]).write();
    folder.refresh();
    let file = folder.path().join("schoolgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("quic = [\"127.0.0.1:0\"]", "quic = [\"[::1]:0\"]");
    folder.put("schoolgate.toml", &text);
    let school = School::start(folder);
    let at = school.quic.unwrap();
    assert!(at.is_ipv6());
    run(async {
        let connection = connect_from("::1", &school, at, ("doq", NAME)).await;
        let packet = wire::question(0, "www.example", wire::A);
        let reply = ask(&connection.unwrap(), &packet).await.unwrap();
        assert_eq!(Reply::read(&reply).addresses(), [ADDRESS]);
    });
}
