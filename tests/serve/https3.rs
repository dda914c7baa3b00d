//! Questions over HTTP/3.

use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use quinn::VarInt;

use super::has;
use super::over_quic::{MESSAGE, run};
use super::school::{Plan, School};
use super::secured::{LAPTOP, SECRET};
use super::upstream::{ADDRESS, Upstream};
use super::wire::{self, Reply};

fn target(packet: &[u8]) -> String {
    format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(packet))
}

#[test]
fn get_and_post_are_answered() {
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    run(async {
        let (mut client, _connection) = school.over_http3().await;
        for (name, code) in [("www.example", 0), ("bets.example", 3)] {
            let packet = wire::question(0, name, wire::A);
            let get = client.get(&target(&packet)).await.unwrap();
            let post = client.post(&packet).await.unwrap();
            for got in [get, post] {
                assert_eq!((got.status, got.header(MESSAGE.0)), (200, MESSAGE.1));
                assert!(got.header("cache-control").starts_with("private, max-age="));
                let reply = Reply::read(&got.body);
                assert_eq!((reply.id, u16::from(reply.rcode)), (0, code));
            }
        }
        let padded = wire::question_with(0, "www.example", wire::A, &[(12, &[0; 9])]);
        assert_eq!(client.post(&padded).await.unwrap().body.len(), 468);
    });
    assert!(school.metric("schoolgate_queries_total{transport=\"https3\"}") > 4.5);
    assert!(school.metric("schoolgate_connections{transport=\"https3\"}") > 0.5);
}

#[test]
fn what_is_no_question_gets_the_status_it_deserves() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    LAPTOP.clone_into(&mut plan.devices);
    let school = plan.start();
    let packet = wire::question(0, "bets.example", wire::A);
    let text = BASE64URL_NOPAD.encode(&packet);
    run(async {
        let (mut client, _connection) = school.over_http3().await;
        for query in [
            "",
            "?",
            "?dns",
            "?dns=",
            "?dns=AB%20",
            "?dns=A",
            "?dns=AAAA",
        ] {
            let got = client.get(&format!("/dns-query{query}")).await.unwrap();
            assert_eq!(got.status, 400, "{query}");
        }
        for (path, status) in [
            ("/dns-query", 200),
            ("/dns-query/", 200),
            ("/dns-queryx", 404),
            ("/dns-query/a/b", 404),
            ("/", 404),
            ("/dns-query/!!!", 400),
        ] {
            let got = client.get(&format!("{path}?dns={text}")).await.unwrap();
            assert_eq!(got.status, status, "{path}");
        }
        let by_id = format!("/dns-query/{SECRET}?dns={text}");
        let got = client.get(&by_id).await.unwrap();
        assert_eq!(Reply::read(&got.body).addresses(), [ADDRESS]);
        for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"] {
            let got = client.fetch(method, "/dns-query", &[], &[]).await.unwrap();
            assert_eq!(
                (got.status, got.header("allow")),
                (405, "GET, POST"),
                "{method}"
            );
        }
        let json = [(MESSAGE.0, "application/json")];
        let got = client.fetch("POST", "/dns-query", &json, &packet).await;
        assert_eq!(got.unwrap().status, 415);
        for (length, status) in [(0, 400), (11, 400), (70_000, 413), (200_000, 413)] {
            let body: Vec<u8> = packet.iter().copied().cycle().take(length).collect();
            assert_eq!(client.post(&body).await.unwrap().status, status, "{length}");
        }
        let mut long = packet.clone();
        long.resize(65_535, 0);
        assert_eq!(client.post(&long).await.unwrap().status, 200);
        let big = [("x-big", &*"y".repeat(120_000))];
        let got = client.fetch("GET", "/dns-query", &big, &[]).await;
        assert!(got.is_err() || got.unwrap().status == 431);
    });
    assert_eq!(school.ask("bets.example").errors, [15]);
}

#[test]
fn two_hundred_requests_go_down_one_connection() {
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    run(async {
        let (client, _connection) = school.over_http3().await;
        let all: Vec<_> = (0..200)
            .map(|n| {
                let mut client = client.clone();
                tokio::spawn(async move {
                    let packet = wire::question(0, &format!("n{n}.example"), wire::A);
                    let got = client.get(&target(&packet)).await.unwrap();
                    Reply::read(&got.body).addresses()
                })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap(), [ADDRESS]);
        }
    });
}

/// Frames as RFC 9114 section 7 writes them, made badly.
fn bad_frames() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![
        // HEADERS of a gigabyte, and of the longest length there is.
        [&[1, 0xc0, 0, 0, 0, 0x40, 0, 0, 0][..], &[0x51; 1000]].concat(),
        [&[1][..], &[0xff; 8], &[0; 1000]].concat(),
        // An unknown frame of that kind.
        [&[0x21][..], &[0xff; 8], &[0; 1000]].concat(),
        // DATA first, SETTINGS, GOAWAY, PUSH_PROMISE, a frame of HTTP/2.
        vec![0, 1, 0],
        vec![4, 0],
        vec![7, 1, 0],
        vec![5, 2, 0, 0],
        vec![2, 1, 0],
        // Headers that refer to what was never said, and none.
        vec![1, 3, 0xff, 0xff, 0xff],
        vec![1, 2, 0, 0],
        vec![1, 0],
        // A literal whose length runs off, and a Huffman one.
        vec![1, 5, 0, 0, 0x27, 0xff, 0xff],
        vec![1, 6, 0, 0, 0x2f, 0xff, 0xff, 0x7f],
    ];
    let mut octet = octets();
    for length in 1..100 {
        all.push((0..length).map(|_| octet()).collect());
    }
    all
}

/// Octets without rhyme, the same each time.
fn octets() -> impl FnMut() -> u8 {
    let mut seed = 1_u32;
    move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    }
}

/// A request as good as any, but for some octets of its header block.
fn almost(octet: &mut impl FnMut() -> u8) -> Vec<u8> {
    // GET https, authority and path as literals, and a header of our own.
    let mut block = b"\0\0\xd1\xd7\x50\x01x\x51\x0a/dns-query\x27\x00x-header\x05value".to_vec();
    for _ in 0..=octet() % 4 {
        let at = usize::from(octet()) % block.len();
        block[at] = octet();
    }
    [&[1, block.len() as u8][..], &block, &[0, 1, 0]].concat()
}

#[test]
fn bad_frames_end_a_stream_or_a_connection_and_nothing_else() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 1\ntls_handshakes = 10000\n".to_owned();
    let school = plan.start();
    let packet = wire::question(0, "bets.example", wire::A);
    run(async {
        for bytes in bad_frames() {
            let (_client, connection) = school.over_http3().await;
            let (mut both, _receiver) = connection.open_bi().await.unwrap();
            let _ = both.write_all(&bytes).await;
            let _ = both.finish();
            let mut one_way = connection.open_uni().await.unwrap();
            let _ = one_way.write_all(&bytes).await;
            tokio::task::yield_now().await;
        }
        let mut octet = octets();
        let (mut _client, mut connection) = school.over_http3().await;
        for _ in 0..3000 {
            let Ok((mut both, mut receiver)) = connection.open_bi().await else {
                (_client, connection) = school.over_http3().await;
                continue;
            };
            let _ = both.write_all(&almost(&mut octet)).await;
            let _ = both.finish();
            let _ = receiver.read_to_end(4096).await;
        }
        let (mut client, _connection) = school.over_http3().await;
        assert_eq!(client.post(&packet).await.unwrap().status, 200);
    });
    assert_eq!(school.ask("bets.example").errors, [15]);
    // One that is released would have ended.
    assert!(!school.stderr().contains("panicked"), "{}", school.stderr());
}

#[test]
fn a_header_without_end_is_cut_off() {
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    run(async {
        let (_client, connection) = school.over_http3().await;
        let (mut sender, _receiver) = connection.open_bi().await.unwrap();
        // HEADERS of a gigabyte.
        sender
            .write_all(&[1, 0xc0, 0, 0, 0, 0x40, 0, 0, 0])
            .await
            .unwrap();
        let mut taken = 0;
        while sender.write_all(&[0x51; 4096]).await.is_ok() {
            taken += 4096;
            assert!(taken < 2 << 20, "it takes a header of {taken} octets");
        }
    });
    assert!(memory(&school) < 200 << 20);
}

/// Octets of memory that the server holds.
fn memory(school: &School) -> usize {
    let path = format!("/proc/{}/statm", school.server.0.id());
    let text = std::fs::read_to_string(path).unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn half_a_request_ends_by_itself() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 2\ntcp_pipeline = 4\n".to_owned();
    let school = plan.start();
    let packet = wire::question(0, "bets.example", wire::A);
    run(async {
        let (mut client, connection) = school.over_http3().await;
        let mut stalled = Vec::new();
        for bytes in [&[][..], &[1], &[1, 40, 0, 0]] {
            let (mut sender, receiver) = connection.open_bi().await.unwrap();
            sender.write_all(bytes).await.unwrap();
            stalled.push((sender, receiver));
        }
        let began = Instant::now();
        for _ in 0..20 {
            assert_eq!(client.post(&packet).await.unwrap().status, 200);
        }
        assert!(began.elapsed() < Duration::from_millis(1900));
        // Those that were sent something of were seen, and are let go.
        for (sender, _receiver) in stalled.iter().skip(1) {
            let stopped = sender.stopped();
            let limit = Duration::from_secs(6);
            assert!(tokio::time::timeout(limit, stopped).await.is_ok());
        }
        drop(stalled);
        for _ in 0..40 {
            let (mut sender, mut receiver) = connection.open_bi().await.unwrap();
            let _ = sender.write_all(&[1, 40, 0]).await;
            let _ = sender.reset(VarInt::from_u32(0x10c));
            let _ = receiver.stop(VarInt::from_u32(0x10c));
        }
        let (mut client, connection) = school.over_http3().await;
        assert_eq!(client.post(&packet).await.unwrap().status, 200);
        let began = Instant::now();
        let _ = connection.closed().await;
        assert!(began.elapsed() < Duration::from_secs(8));
    });
}

#[test]
fn those_who_come_by_https_are_told() {
    if !has("curl", "Alt-Svc by curl") {
        return;
    }
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let packet = BASE64URL_NOPAD.encode(&wire::question(0, "www.example", wire::A));
    let got = school.fetch(&[&format!("{}?dns={packet}", school.url())]);
    let port = school.https3.unwrap().port();
    let told = format!("alt-svc: h3=\":{port}\"; ma=3600");
    assert!(got.headers.contains(&told), "{}", got.headers);
}
