//! One answer, however it is asked for: a thousand questions across all layers,
//! byte by byte the same over every transport.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use data_encoding::BASE64URL_NOPAD;
use quinn::Connection;
use schoolgate::policy::safe_search::{Engines, SHIPPED};

use super::has;
use super::over_quic::{Http3, ask, run};
use super::school::{Client, Plan, School};
use super::secured::{NAME, Stream, authority, config, connect_as};
use super::streams::{connect, framed};
use super::tls::next;
use super::upstream::{Say, Seen, Upstream, say};
use super::wire::{self, Reply, Rr};

const MX: u16 = 15;
const AAAA: u16 = 28;
const HTTPS: u16 = 65;
const TYPES: [u16; 5] = [wire::A, AAAA, HTTPS, wire::TXT, MX];

/// 127.0.0.1 is a pupil, held to the safe mode of search engines.
const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "pupil"
[groups.pupil]
networks = ["127.0.0.1/32"]
block = ["gambling", "social_media"]
safe_search = "strict"
log = "full"
[[exceptions]]
name = "chess.bets.example"
verdict = "allow"
groups = ["pupil"]
reason = "Chess club"
requested_by = "Ms Okafor"
[[exceptions]]
name = "essay-mill.example"
verdict = "deny"
groups = ["pupil"]
reason = "Sells coursework"
requested_by = "Ms Okafor"
"#;

const LOCAL: &str = "[local]\nrecords = [{ name = \"printer.school.internal\", \
                     addresses = [\"10.0.0.9\", \"10.0.0.10\", \"fd00::9\"] }]\n";

/// A kind of names, how many of it, and what a pupil gets who asks for the
/// address: the code, the extended errors, and how many addresses.
type Kind = (&'static str, usize, (u8, &'static [u16], usize));

const KINDS: [Kind; 14] = [
    ("n{}.vile-things.example", 15, (3, &[16], 0)),
    ("n{}.use-application-dns.net", 3, (3, &[15], 0)),
    ("n{}.chess.bets.example", 15, (0, &[], 1)),
    ("n{}.essay-mill.example", 15, (3, &[15], 0)),
    ("n{}.bets.example", 20, (3, &[15], 0)),
    ("chat{}.chat.example", 10, (3, &[15], 0)),
    ("engine {}", 30, (0, &[4], 1)),
    ("printer.school.internal", 1, (0, &[], 2)),
    ("n{}.printer.school.internal", 4, (3, &[], 0)),
    ("gone{}.example", 15, (3, &[], 0)),
    ("big{}.example", 20, (0, &[], 1)),
    ("leads-to-bets{}.example", 10, (0, &[15], 0)),
    ("private{}.example", 10, (0, &[15], 0)),
    ("n{}.Mixed.Example", 32, (0, &[], 1)),
];

/// Every name with its kind.
fn names() -> Vec<(String, Kind)> {
    let engines = Engines::read("safe-search.toml", SHIPPED).0;
    let engines: Vec<String> = engines.names().map(|(name, _)| name.to_string()).collect();
    let mut all = Vec::new();
    for kind in KINDS {
        for number in 0..kind.1 {
            let name = match kind.0 {
                "engine {}" => engines[number * engines.len() / kind.1].clone(),
                pattern => pattern.replace("{}", &number.to_string()),
            };
            all.push((name, kind));
        }
    }
    all
}

/// The world: something for every name and type.
fn world(seen: &Seen) -> Say {
    // In lower case: each worker asks for itself, and in letters of its own.
    let owner = seen.name.clone();
    let rtype = wire::asked_type(&seen.packet);
    let rr = |owner: &str, rtype, data: &[u8]| Rr {
        owner: owner.to_owned(),
        rtype,
        ttl: 300,
        data: data.to_vec(),
    };
    if seen.name.starts_with("gone") {
        return say(wire::reply(
            &seen.packet,
            0,
            3,
            &[],
            &[Rr::soa("example", 60)],
        ));
    }
    if seen.name.starts_with("big") && !seen.tcp {
        return say(wire::reply(&seen.packet, 2, 0, &[], &[]));
    }
    let mut records = Vec::new();
    let mut at = owner.clone();
    if seen.name.starts_with("leads-to-bets") {
        "bets.example".clone_into(&mut at);
        records.push(rr(&owner, 5, &wire::name(&at)));
    }
    let address = if seen.name.starts_with("private") {
        [10, 9, 8, 7]
    } else {
        [198, 51, 100, 7]
    };
    let text = b"\x0da few words. ";
    let data = match rtype {
        wire::A => address.to_vec(),
        AAAA => [&[0x20, 1, 0xd, 0xb8][..], &[0; 12]].concat(),
        // 1 . alpn=h2 ech=…: the second is taken out.
        HTTPS => b"\0\x01\0\0\x01\0\x03\x02h2\0\x05\0\x04abcd".to_vec(),
        MX => [&[0, 10][..], &wire::name(&format!("mail.{owner}"))].concat(),
        _ if seen.name.starts_with("big") => text.repeat(200),
        _ => text.to_vec(),
    };
    records.push(rr(&at, rtype, &data));
    say(wire::reply(&seen.packet, 0, 0, &records, &[]))
}

/// A client of each kind, with its connections.
struct Clients<'s> {
    school: &'s School,
    udp: Client,
    tcp: TcpStream,
    tls: Stream,
    https: Stream,
    https3: Http3,
    quic: Connection,
    retried: usize,
}

const WAYS: [&str; 7] = [
    "udp",
    "tcp",
    "tls",
    "https get",
    "https post",
    "https3",
    "quic",
];

impl<'s> Clients<'s> {
    async fn new(school: &'s School) -> Self {
        let config = config(&authority(&school.folder.state()), &["http/1.1"]);
        Self {
            school,
            udp: Client::new("127.0.0.1"),
            tcp: connect(school.dns),
            tls: school.secured(),
            https: connect_as(&config, school.https.unwrap(), NAME),
            https3: school.over_http3().await.0,
            quic: school.over_quic().await,
            retried: 0,
        }
    }

    async fn ask(&mut self, way: &str, name: &str, rtype: u16) -> Vec<u8> {
        let id = u16::from(matches!(way, "udp" | "tcp" | "tls")) * 0x7a11;
        let packet = wire::question(id, name, rtype);
        match way {
            "udp" => {
                let reply = self.udp.exchange(self.school.dns, &packet).unwrap();
                assert!(reply.len() <= 1232);
                if !Reply::read(&reply).truncated {
                    return reply;
                }
                self.retried += 1;
                self.tcp.write_all(&framed(&packet)).unwrap();
                next(&mut self.tcp).unwrap()
            }
            "tcp" => {
                self.tcp.write_all(&framed(&packet)).unwrap();
                next(&mut self.tcp).unwrap()
            }
            "tls" => {
                self.tls.write_all(&framed(&packet)).unwrap();
                next(&mut self.tls).unwrap()
            }
            "https get" => {
                let text = BASE64URL_NOPAD.encode(&packet);
                let head = format!("GET /dns-query?dns={text} HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
                http1(&mut self.https, head.as_bytes())
            }
            "https post" => {
                let head = format!(
                    "POST /dns-query HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {}\r\n\
                     Content-Type: application/dns-message\r\n\r\n",
                    packet.len()
                );
                http1(&mut self.https, &[head.as_bytes(), &packet].concat())
            }
            "https3" => self.https3.post(&packet).await.unwrap().body,
            _ => ask(&self.quic, &packet).await.unwrap(),
        }
    }
}

/// One request on a connection that stays open, and the body that comes.
fn http1(stream: &mut Stream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    body
}

/// A reply without its id and its TTLs, and the TTLs.
fn still(mut reply: Vec<u8>) -> (Vec<u8>, Vec<u32>) {
    reply[..2].fill(0);
    let places = Reply::ttl_places(&reply);
    let mut ttls = Vec::new();
    for at in places {
        let ttl = &mut reply[at..at + 4];
        ttls.push(u32::from_be_bytes(ttl.try_into().unwrap()));
        ttl.fill(0);
    }
    (reply, ttls)
}

fn plan(upstream: &Upstream) -> Plan {
    let mut plan = Plan::encrypted(&[upstream.address]);
    POLICY.clone_into(&mut plan.policy);
    LOCAL.clone_into(&mut plan.tables);
    plan
}

#[test]
fn a_thousand_questions_have_the_same_answer_over_every_transport() {
    let upstream = Upstream::new(world);
    let school = plan(&upstream).start();
    let (mut asked, mut wrong) = (0, String::new());
    let retried = run(async {
        let mut clients = Clients::new(&school).await;
        for (name, kind) in names() {
            for rtype in TYPES {
                // Whose turn it is to ask for what is not in the cache.
                let mut ways = WAYS;
                ways.rotate_left(asked % WAYS.len());
                let mut first = None;
                for way in ways {
                    let reply = clients.ask(way, &name, rtype).await;
                    if rtype == wire::A {
                        let read = Reply::read(&reply);
                        let got = (read.rcode, &*read.errors, read.addresses().len());
                        assert_eq!(got, kind.2, "{name} over {way}");
                    }
                    let (bytes, ttls) = still(reply);
                    let Some((one, wanted, at_first)) = &first else {
                        first = Some((way, bytes, ttls));
                        continue;
                    };
                    let drift = |(a, b): (&u32, &u32)| a.abs_diff(*b) <= 5;
                    let same = *wanted == bytes && at_first.iter().zip(&ttls).all(drift);
                    if !same {
                        let _ = writeln!(
                            wrong,
                            "{name} {rtype}: {one} {wanted:02x?} {way} {bytes:02x?}"
                        );
                    }
                }
                asked += 1;
            }
        }
        clients.retried
    });
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(asked, 1000);
    assert_eq!(retried, 20, "answers that no datagram holds");
    let counts: BTreeMap<&str, f64> = ["tls", "https", "https3", "quic"]
        .into_iter()
        .map(|t| {
            (
                t,
                school.metric(&format!("schoolgate_queries_total{{transport=\"{t}\"}}")),
            )
        })
        .collect();
    assert!(counts.values().all(|count| *count > 999.5), "{counts:?}");
}

#[test]
fn real_clients_see_the_same_over_every_transport() {
    if !has("kdig", "every transport by kdig") {
        return;
    }
    let upstream = Upstream::new(world);
    let school = plan(&upstream).start();
    let hostname = format!("+tls-hostname={NAME}");
    let dns = school.dns.port();
    let (tls, https) = (school.tls.unwrap().port(), school.https.unwrap().port());
    let quic = school.quic.unwrap().port();
    let ways: [(u16, &[&str]); 6] = [
        (dns, &[]),
        (dns, &["+tcp"]),
        (tls, &[&hostname, "+tls"]),
        (https, &[&hostname, "+https"]),
        (https, &[&hostname, "+https", "+https-get"]),
        (quic, &[&hostname, "+quic"]),
    ];
    let all = names();
    let mut looked_at = 0;
    for (name, _) in all.iter().step_by(17) {
        for rtype in ["A", "TYPE65", "TXT"] {
            let mut first = None;
            for (port, way) in ways {
                let words = [&["+edns", "+nopadding", "+nottl"], way, &[name, rtype]].concat();
                let said = records(&school.kdig(port, &words));
                assert!(said.contains("status:"), "{name} {rtype} {way:?}: {said}");
                let wanted = first.get_or_insert_with(|| said.clone());
                assert_eq!(said, *wanted, "{name} {rtype} {way:?}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 200, "{looked_at}");
}

/// What kdig says of a reply, and not of the way it came.
fn records(said: &str) -> String {
    const OF_WAY: [&str; 7] = [
        ";; Received",
        ";; Time",
        ";; From",
        ";; TLS",
        ";; QUIC",
        ";; HTTP",
        ";; WARNING: truncated reply",
    ];
    let is_of_reply =
        |line: &&str| !line.is_empty() && !OF_WAY.iter().any(|start| line.starts_with(start));
    let lines = said.lines().filter(is_of_reply);
    let without_id = lines.map(|line| line.split("; id: ").next().unwrap_or_default());
    without_id.collect::<Vec<_>>().join("\n")
}
