//! Questions over HTTPS.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;

use super::has;
use super::school::{Plan, School};
use super::secured::{NAME, authority, config, connect_as};
use super::upstream::{Upstream, say};
use super::wire::{self, Reply, Rr};

/// What curl got: status, version, headers in lower case, body.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl School {
    pub(crate) fn fetch(&self, words: &[&str]) -> Got {
        let output = self.curl(&[&["-i"][..], words].concat());
        let end = output.stdout.windows(4).rposition(|w| w == b"\r\n\r\n");
        // Of a body that holds an empty line there is none here.
        let end = end.unwrap_or_else(|| panic!("{words:?}: {output:?}"));
        let head = String::from_utf8_lossy(&output.stdout[..end]).to_lowercase();
        let head = head.rsplit("\r\n\r\n").next().unwrap().to_owned();
        let mut words = head.split_whitespace();
        Got {
            version: words.next().unwrap().to_owned(),
            status: words.next().unwrap().parse().unwrap(),
            headers: head.clone(),
            body: output.stdout[end + 4..].to_vec(),
        }
    }

    fn get(&self, query: &[u8], more: &[&str]) -> Got {
        let url = format!("{}?dns={}", self.url(), BASE64URL_NOPAD.encode(query));
        self.fetch(&[more, &[&url]].concat())
    }

    fn post(&self, body: &[u8], more: &[&str]) -> Got {
        std::fs::write(self.folder.path().join("body"), body).unwrap();
        let body = format!("@{}", self.folder.path().join("body").display());
        let url = self.url();
        self.fetch(&[&["--data-binary", &body, &url], more].concat())
    }
}

const MESSAGE: &str = "content-type: application/dns-message";

#[test]
fn get_and_post_over_both_versions_are_answered() {
    if !has("curl", "DNS over HTTPS by curl") {
        return;
    }
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    for (version, flag) in [("http/1.1", "--http1.1"), ("http/2", "--http2")] {
        for (name, code) in [("www.example", 0), ("bets.example", 3)] {
            let packet = wire::question(0, name, wire::A);
            let get = school.get(&packet, &[flag]);
            let post = school.post(&packet, &[flag, "-H", MESSAGE]);
            for got in [get, post] {
                assert_eq!(
                    (got.status, got.version.as_str()),
                    (200, version),
                    "{}",
                    got.headers
                );
                assert!(got.headers.contains(MESSAGE), "{}", got.headers);
                let reply = Reply::read(&got.body);
                assert_eq!((reply.id, u16::from(reply.rcode)), (0, code));
                assert!(got.headers.contains("cache-control: private, max-age="));
            }
        }
    }
    assert!(school.metric("schoolgate_queries_total{transport=\"https\"}") > 7.5);
}

#[test]
fn kdig_is_answered_over_https() {
    if !has("kdig", "kdig over HTTPS") {
        return;
    }
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let port = school.https.unwrap().port();
    let hostname = format!("+tls-hostname={NAME}");
    for way in [&["+https"][..], &["+https", "+https-get"]] {
        let words = [way, &[&hostname, "www.example", "+padding"]].concat();
        let said = school.kdig(port, &words);
        assert!(
            said.contains("198.51.100.7") && said.contains("HTTP/2"),
            "{said}"
        );
    }
}

#[test]
fn what_is_no_question_gets_the_status_it_deserves() {
    if !has("curl", "bad requests by curl") {
        return;
    }
    let upstream = Upstream::plain();
    let school = Plan::encrypted(&[upstream.address]).start();
    let url = school.url();
    let packet = wire::question(0, "bets.example", wire::A);
    let text = BASE64URL_NOPAD.encode(&packet);
    for version in ["--http1.1", "--http2"] {
        let status = |words: &[&str]| school.fetch(&[&[version], words].concat()).status;
        for query in [
            "",
            "?",
            "?dns",
            "?dns=",
            "?dns=AB%20",
            "?dns=A",
            "?name=x",
            "?dns=AAAA",
        ] {
            assert_eq!(status(&[&format!("{url}{query}")]), 400, "{query}");
        }
        assert_eq!(status(&[&format!("{url}?dns={text}=")]), 400, "padding");
        assert_eq!(status(&[&format!("{url}?dns={text}")]), 200);
        assert_eq!(status(&[&format!("{url}?x=1&dns={text}")]), 200);
        for elsewhere in ["x", "/a/b", "/../other"] {
            assert_eq!(
                status(&["--path-as-is", &format!("{url}{elsewhere}?dns={text}")]),
                404
            );
        }
        assert_eq!(
            status(&[&format!("{url}/!!!?dns={text}")]),
            400,
            "an impossible id"
        );
        for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
            let got = school.fetch(&[version, "-X", method, &url]);
            assert_eq!(got.status, 405, "{method}");
            assert!(got.headers.contains("allow: get, post"), "{}", got.headers);
        }
        let post = |body: &[u8], header: &str| school.post(body, &[version, "-H", header]).status;
        assert_eq!(post(&packet, "content-type: application/json"), 415);
        assert_eq!(post(&packet, "content-type:"), 415);
        assert_eq!(
            post(&packet, "Content-Type: Application/DNS-Message; q=1"),
            200
        );
        assert_eq!(post(&vec![0; 70_000], MESSAGE), 413);
        assert_eq!(post(&vec![0; 200_000], MESSAGE), 413);
        assert_eq!(post(&[], MESSAGE), 400);
        assert_eq!(post(&packet[..11], MESSAGE), 400);
        // P12: bytes behind the last record mean nothing, up to the longest.
        for length in [513, 4096, 65_535] {
            let mut long = packet.clone();
            long.resize(length, 0);
            assert_eq!(post(&long, MESSAGE), 200, "{length}");
        }
        // Without a length, too.
        let chunked = [version, "-H", MESSAGE, "-H", "Transfer-Encoding: chunked"];
        if version == "--http1.1" {
            assert_eq!(school.post(&vec![0; 70_000], &chunked).status, 413);
        }
    }
    assert_eq!(school.ask("bets.example").errors, [15]);
}

#[test]
fn an_answer_says_how_long_it_may_be_kept() {
    if !has("curl", "cache times by curl") {
        return;
    }
    let upstream = Upstream::new(|seen| {
        let owner = wire::asked_name(&seen.packet);
        let name = owner.to_lowercase();
        let rr = |ttl| Rr::a(&owner, ttl, [198, 51, 100, 7]);
        say(match name.as_str() {
            "two.example" => wire::reply(&seen.packet, 0, 0, &[rr(90), rr(40)], &[]),
            "none.example" => {
                let mut soa = Rr::soa("example", 25);
                soa.ttl = 500;
                wire::reply(&seen.packet, 0, 3, &[], &[soa])
            }
            _ => wire::reply(&seen.packet, 0, 2, &[], &[]),
        })
    });
    let school = Plan::encrypted(&[upstream.address]).start();
    for (name, least, most) in [
        ("two.example", 38, 40),
        ("none.example", 23, 25),
        ("broken.example", 0, 0),
        ("bets.example", 1, 10),
    ] {
        let got = school.get(&wire::question(0, name, wire::A), &[]);
        let kept = got.headers.split("max-age=").nth(1).unwrap();
        let kept: u32 = kept.split_whitespace().next().unwrap().parse().unwrap();
        assert!((least..=most).contains(&kept), "{name}: {kept}");
    }
}

/// What the server says to `bytes` until it closes, and how long that takes.
fn raw(school: &School, alpn: &[&str], bytes: &[u8]) -> (String, Duration) {
    let config = config(&authority(&school.folder.state()), alpn);
    let mut stream = connect_as(&config, school.https.unwrap(), NAME);
    let began = Instant::now();
    let _ = stream.write_all(bytes);
    let _ = stream.flush();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    (String::from_utf8_lossy(&said).into_owned(), began.elapsed())
}

#[test]
fn half_a_request_and_garbage_end_by_themselves() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = "[limits]\ntcp_idle = 1\n".to_owned();
    let school = plan.start();
    let post = "POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: application/dns-message\r\n";
    let headers = |count: u32, length: usize| {
        let mut many = String::from("GET /dns-query HTTP/1.1\r\n");
        for number in 0..count {
            write!(many, "x-{number}: {}\r\n", "y".repeat(length)).unwrap();
        }
        many.into_bytes()
    };
    let cases: [(&[&str], Vec<u8>); 10] = [
        (&["http/1.1"], Vec::new()),
        (&["http/1.1"], b"GET /dns-".to_vec()),
        (
            &["http/1.1"],
            format!("{post}Content-Length: 30\r\n\r\nabc").into_bytes(),
        ),
        (&["http/1.1"], b"\0\x1f no http at all\r\n\r\n".to_vec()),
        (&["http/1.1"], [headers(200, 10), b"\r\n".to_vec()].concat()),
        (&["h2"], Vec::new()),
        (&["h2"], b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (
            &["h2"],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        ),
        (&[], b"GET /dns-query HTTP/1.0\r\n\r\n".to_vec()),
        (&["http/1.1"], headers(5000, 100)),
    ];
    let said = std::thread::scope(|scope| {
        let school = &school;
        let mut all = Vec::new();
        for (alpn, bytes) in &cases {
            all.push(scope.spawn(move || raw(school, alpn, bytes)));
        }
        // While they dawdle, others are answered.
        let packet = wire::question(1, "bets.example", wire::A);
        let url = format!(
            "GET /dns-query?dns={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            BASE64URL_NOPAD.encode(&packet)
        );
        let (fine, took) = raw(school, &[], url.as_bytes());
        assert!(fine.starts_with("HTTP/1.1 200"), "{fine}");
        assert!(took < Duration::from_millis(900), "{took:?}");
        all.into_iter()
            .map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    for ((alpn, bytes), (said, took)) in cases.iter().zip(&said) {
        assert!(
            *took < Duration::from_secs(5),
            "{alpn:?} {bytes:?}: {took:?} {said}"
        );
    }
    assert!(said[2].0.starts_with("HTTP/1.1 408"), "{}", said[2].0);
    assert!(said[3].0.starts_with("HTTP/1.1 400"), "{}", said[3].0);
    assert!(said[4].0.starts_with("HTTP/1.1 431"), "{}", said[4].0);
    assert!(said[8].0.starts_with("HTTP/1.0 400"), "{}", said[8].0);
    // What is still unread when the stream is closed cuts the answer short.
    let cut = &said[9].0;
    assert!(cut.is_empty() || cut.starts_with("HTTP/1.1 431"), "{cut}");
}
