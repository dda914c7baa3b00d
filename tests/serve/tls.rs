//! Questions over TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::school::Plan;
use super::secured::{NAME, authority, config, connect_as, records};
use super::streams::framed;
use super::upstream::{Gate, Say, Upstream, plain, say};
use super::wire::{self, Reply};
use super::{eventually, has};

/// The next reply's bytes, if one comes.
pub(crate) fn next(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut packet).ok()?;
    Some(packet)
}

#[test]
fn kdig_is_answered_over_tls_as_over_udp() {
    if !has("kdig", "kdig over TLS") {
        return;
    }
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let port = school.tls.unwrap().port();
    let hostname = format!("+tls-hostname={NAME}");
    for (name, wanted) in [
        ("www.example", "198.51.100.7"),
        ("bets.example", "EDE: 15"),
        ("printer.local", "NXDOMAIN"),
    ] {
        let over_udp = school.kdig(school.dns.port(), &[name, "+edns"]);
        let over_tls = school.kdig(port, &[name, "+edns", "+tls", &hostname]);
        assert!(over_tls.contains(wanted), "{over_tls}");
        assert!(over_tls.contains("TLS1.3"), "{over_tls}");
        assert_eq!(records(&over_tls), records(&over_udp), "{name}");
    }
    let wrong = school.kdig(
        port,
        &["www.example", "+tls", "+tls-hostname=dns.other.example"],
    );
    assert!(!wrong.contains("198.51.100.7"), "{wrong}");
    let tls12 = std::process::Command::new("openssl")
        .args(["s_client", "-tls1_2", "-alpn", "dot", "-connect"])
        .arg(school.tls.unwrap().to_string())
        .arg("-CAfile")
        .arg(authority(&school.folder.state()))
        .args(["-verify_hostname", NAME, "-verify_return_error"])
        .stdin(std::process::Stdio::null())
        .output();
    if let Ok(tls12) = tls12 {
        let said = String::from_utf8_lossy(&tls12.stdout);
        assert!(said.contains("Verify return code: 0"), "{said}");
        assert!(said.contains("ALPN protocol: dot"), "{said}");
    }
    assert!(school.metric("schoolgate_queries_total{transport=\"tls\"}") > 2.5);
    assert!(school.metric("schoolgate_certificate_ok") > 0.5);
    assert!(school.metric("schoolgate_certificate_expiry_seconds") > 1e9);
}

#[test]
fn a_hundred_questions_on_one_connection_are_answered_out_of_order() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let upstream = Upstream::new(move |seen| match seen.name.as_str() {
        "slow.example" => Say::When(Arc::clone(&held), plain(seen)),
        _ => say(plain(seen)),
    });
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = "[limits]\ntcp_pipeline = 200\n".to_owned();
    let school = plan.start();
    let mut stream = school.secured();
    let mut all = framed(&wire::question(0, "slow.example", wire::A));
    for id in 1..100 {
        all.extend(framed(&wire::question(
            id,
            &format!("n{id}.example"),
            wire::A,
        )));
    }
    stream.write_all(&all).unwrap();
    let mut ids: Vec<u16> = (1..100)
        .map(|_| Reply::read(&next(&mut stream).unwrap()).id)
        .collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1..100));
    gate.open();
    assert_eq!(Reply::read(&next(&mut stream).unwrap()).id, 0);
    let open = school.metric("schoolgate_connections{transport=\"tls\"}");
    assert!((open - 1.0).abs() < 0.1, "{open}");
    drop(stream);
    eventually("the connection to be closed", || {
        (school.metric("schoolgate_connections{transport=\"tls\"}") < 0.5).then_some(())
    });
}

#[test]
fn one_that_stalls_a_handshake_holds_nobody_else() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 1\n".to_owned();
    let school = plan.start();
    let address = school.tls.unwrap();
    let mut stalled: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for (number, stream) in stalled.iter_mut().enumerate() {
        // Nothing, half a record's head, half a hello.
        let bytes = [&[][..], &[0x16, 3], &[0x16, 3, 1, 2, 0, 1, 0, 1]][number % 3];
        stream.write_all(bytes).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(8)))
            .unwrap();
    }
    let began = Instant::now();
    let mut stream = school.secured();
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    stream.write_all(&packet).unwrap();
    assert_eq!(Reply::read(&next(&mut stream).unwrap()).errors, [15]);
    assert!(
        began.elapsed() < Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    for stream in &mut stalled {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(school.metric("schoolgate_failed_handshakes_total") > 19.5);
}

#[test]
fn nonsense_instead_of_a_handshake_is_closed_at_once() {
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let plain = framed(&wire::question(1, "bets.example", wire::A));
    let nonsense: [&[u8]; 4] = [
        &plain,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\0\x07\x7f\0\0\x01\0\x50\x03\x55",
        &vec![0xff; 70_000],
    ];
    for address in [school.tls.unwrap(), school.https.unwrap()] {
        for bytes in nonsense {
            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let began = Instant::now();
            let _ = stream.write_all(bytes);
            let _ = stream.read_to_end(&mut Vec::new());
            assert!(began.elapsed() < Duration::from_secs(3), "{bytes:?}");
        }
    }
    assert_eq!(school.ask("bets.example").errors, [15]);
}

#[test]
fn a_flood_of_handshakes_is_held_to_its_rate() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = "[limits]\ntls_handshakes = 1\n".to_owned();
    let school = plan.start();
    let config = config(&authority(&school.folder.state()), &["dot"]);
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    let mut served = 0;
    for _ in 0..40 {
        let mut stream = connect_as(&config, school.tls.unwrap(), NAME);
        let asked = stream.write_all(&packet).is_ok();
        served += usize::from(asked && next(&mut stream).is_some());
    }
    assert!((10..20).contains(&served), "{served}");
}

#[test]
fn a_padded_question_has_a_padded_answer_and_a_patient_one_is_told_how_long() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 7\n".to_owned();
    let school = plan.start();
    let keepalive = |reply: &[u8]| reply.windows(6).any(|w| w == [0, 11, 0, 2, 0, 70]);
    let ask = |options: &[(u16, &[u8])], name: &str| {
        let packet = framed(&wire::question_with(1, name, wire::A, options));
        let mut over_tls = school.secured();
        over_tls.write_all(&packet).unwrap();
        let mut over_tcp = super::streams::connect(school.dns);
        over_tcp.write_all(&packet).unwrap();
        [next(&mut over_tls).unwrap(), next(&mut over_tcp).unwrap()]
    };
    for name in [
        "www.example",
        "bets.example",
        "a-longer-name.of-some.labels.example",
    ] {
        let [over_tls, over_tcp] = ask(&[], name);
        assert_eq!(over_tls.len(), over_tcp.len());
        let [padded, bare] = ask(&[(12, &[0; 40])], name);
        assert_eq!(padded.len(), 468, "{name}");
        assert_eq!(bare.len(), over_tcp.len(), "nothing to hide");
        let (a, b) = (Reply::read(&padded), Reply::read(&bare));
        assert_eq!(
            (a.rcode, a.addresses(), a.errors),
            (b.rcode, b.addresses(), b.errors)
        );
        let both = ask(&[(11, &[]), (12, &[])], name);
        assert_eq!(both[0].len(), 468);
        assert!(both.iter().all(|reply| keepalive(reply)));
        let _ = Reply::read(&both[1]);
        assert!(!keepalive(&over_tls) && !keepalive(&over_tcp));
    }
    // Over UDP neither means anything.
    let packet = wire::question_with(1, "www.example", wire::A, &[(11, &[]), (12, &[0; 9])]);
    let client = super::school::Client::new("127.0.0.1");
    let reply = client.exchange(school.dns, &packet).unwrap();
    assert!(!keepalive(&reply) && reply.len() < 100);
}
