//! Load balancers that say whom they speak for, and strangers that say the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::has;
use super::school::{Plan, School};
use super::secured::{NAME, authority, config, secure};
use super::streams::framed;
use super::tls::next;
use super::upstream::{ADDRESS, Upstream};
use super::wire::{self, Reply};

/// The listed one.
const ROUTER: &str = "127.0.0.2";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header with this command, family and contents.
fn header(command: u8, family: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, contents].concat()
}

/// A header that speaks for an IPv4 address.
fn speaks_for(source: [u8; 4]) -> Vec<u8> {
    let addresses = [&source[..], &[127, 0, 0, 1], &[0x10, 0, 3, 0x55]].concat();
    header(0x21, 0x11, &addresses)
}

const STAFF: [u8; 4] = [127, 0, 0, 3];

fn start() -> (School, Upstream) {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = format!(
        "[clients]\nrouters = [\"{ROUTER}\"]\n[limits]\ntcp_idle = 1\ntcp_connections_per_client = 3\n"
    );
    (plan.start(), upstream)
}

fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::new(from.parse().unwrap(), 0).into())
        .unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A pupil's blocked name, asked behind `header` over TCP.
fn over_tcp(school: &School, from: &str, header: &[u8]) -> Option<Reply> {
    let mut stream = connect(from, school.dns);
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    stream.write_all(&[header, &packet].concat()).ok()?;
    Some(Reply::read(&next(&mut stream)?))
}

fn over_tls(school: &School, from: &str, header: &[u8]) -> Option<Reply> {
    let mut stream = connect(from, school.tls.unwrap());
    stream.write_all(header).ok()?;
    let config = config(&authority(&school.folder.state()), &["dot"]);
    let mut stream = secure(&config, stream, NAME);
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    stream.write_all(&packet).ok()?;
    Some(Reply::read(&next(&mut stream)?))
}

fn over_https(school: &School, from: &str, header: &[u8]) -> Option<String> {
    let mut stream = connect(from, school.https.unwrap());
    stream.write_all(header).ok()?;
    let config = config(&authority(&school.folder.state()), &["http/1.1"]);
    let mut stream = secure(&config, stream, NAME);
    let packet = BASE64URL_NOPAD.encode(&wire::question(1, "bets.example", wire::A));
    let text =
        format!("GET /dns-query?dns={packet} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).ok()?;
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    Some(String::from_utf8_lossy(&said).into_owned()).filter(|said| !said.is_empty())
}

#[test]
fn a_listed_router_is_believed_about_whom_it_speaks_for() {
    let (school, _upstream) = start();
    let for_staff = speaks_for(STAFF);
    let for_pupil = speaks_for([127, 0, 0, 1]);
    let mut padded = for_staff.clone();
    padded[15] += 40;
    padded.extend([4; 40]);
    let mut mapped = [&[0; 10][..], &[0xff, 0xff], &STAFF].concat();
    mapped.extend([0; 20]);
    let in_ipv6 = header(0x21, 0x21, &mapped);
    for header in [&for_staff, &padded, &in_ipv6] {
        let reply = over_tcp(&school, ROUTER, header).expect("a reply");
        assert_eq!(reply.addresses(), [ADDRESS], "{header:?}");
        let reply = over_tls(&school, ROUTER, header).expect("a reply");
        assert_eq!(reply.addresses(), [ADDRESS], "{header:?}");
    }
    assert_eq!(over_tcp(&school, ROUTER, &for_pupil).unwrap().rcode, 3);
    assert_eq!(over_tls(&school, ROUTER, &for_pupil).unwrap().rcode, 3);
    let said = over_https(&school, ROUTER, &for_staff).unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    // Without a header, for itself, or for somebody unknown it is nobody.
    for header in [
        Vec::new(),
        header(0x20, 0, &[]),
        header(0x21, 0, &[1, 2, 3]),
    ] {
        let reply = over_tcp(&school, ROUTER, &header).expect("a reply");
        assert_eq!(reply.rcode, 3, "{header:?}");
    }
    let folder = school.stop();
    let rows = folder.log();
    let has = |ip: &str, action: &str| {
        rows.iter()
            .any(|row| row["ip"] == ip && row["action"] == action)
    };
    assert!(
        has("127.0.0.3", "allow") && has("127.0.0.1", "block"),
        "{rows:?}"
    );
    assert!(has("127.0.0.2", "block"), "{rows:?}");
}

#[test]
fn what_is_in_the_questions_behind_a_proxy_is_not_its_word() {
    let (school, _upstream) = start();
    let options: [(u16, &[u8]); 1] = [(8, &[0, 1, 32, 0, 127, 0, 0, 3])];
    let packet = framed(&wire::question_with(1, "bets.example", wire::A, &options));
    for (header, ignored) in [
        (speaks_for([127, 0, 0, 1]), 1.0),
        (header(0x21, 0, &[]), 2.0),
    ] {
        let mut stream = connect(ROUTER, school.dns);
        stream.write_all(&[&header[..], &packet].concat()).unwrap();
        let reply = Reply::read(&next(&mut stream).unwrap());
        assert_eq!(reply.rcode, 3, "no teacher");
        let counted = school.metric("schoolgate_untrusted_identities_total");
        assert!((counted - ignored).abs() < 0.1, "{counted}");
    }
}

#[test]
fn from_a_stranger_a_header_is_garbage() {
    let (school, _upstream) = start();
    let header = speaks_for(STAFF);
    for from in ["127.0.0.1", "127.0.0.9"] {
        assert!(over_tcp(&school, from, &header).is_none());
        assert!(over_tls(&school, from, &header).is_none());
        assert!(over_https(&school, from, &header).is_none());
    }
    assert_eq!(over_tcp(&school, "127.0.0.1", &[]).unwrap().errors, [15]);
}

#[test]
fn a_header_that_is_none_is_closed_and_one_in_pieces_is_read() {
    let (school, _upstream) = start();
    let good = speaks_for(STAFF);
    let mut wrong_version = good.clone();
    wrong_version[12] = 0x31;
    let bad = [
        wrong_version,
        header(0x21, 0x11, &[1, 2, 3]),
        header(0x21, 0x51, &[0; 12]),
        header(0x22, 0x11, &[0; 12]),
        header(0x21, 0x11, &[0; 4000]),
        b"PROXY TCP4 127.0.0.3 127.0.0.1 4096 853\r\n".to_vec(),
        good[..14].to_vec(),
    ];
    for header in bad {
        assert!(over_tcp(&school, ROUTER, &header).is_none(), "{header:?}");
        assert!(over_tls(&school, ROUTER, &header).is_none(), "{header:?}");
    }
    let mut stream = connect(ROUTER, school.dns);
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    for byte in [&good[..], &packet].concat() {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    let reply = Reply::read(&next(&mut stream).unwrap());
    assert_eq!(reply.addresses(), [ADDRESS]);
}

#[test]
fn a_limit_counts_for_whom_a_router_speaks() {
    let (school, _upstream) = start();
    let packet = framed(&wire::question(1, "bets.example", wire::A));
    let open = |source: [u8; 4]| {
        let mut stream = connect(ROUTER, school.dns);
        let bytes = [&speaks_for(source)[..], &packet].concat();
        let _ = stream.write_all(&bytes);
        next(&mut stream).map(|_| stream)
    };
    let held: Vec<_> = (0..5).filter_map(|_| open(STAFF)).collect();
    assert_eq!(held.len(), 3);
    assert!(open([127, 0, 0, 4]).is_some(), "another has its own");
}

/// A client that writes headers of its own, so that a proxy's word cannot be
/// found among them, must not get what the proxy itself may.
#[test]
fn whoever_hides_behind_a_proxy_is_not_the_proxy() {
    let upstream = Upstream::plain();
    let mut plan = Plan::encrypted(&[upstream.address]);
    plan.tables = format!("[clients]\nrouters = [\"{ROUTER}\"]\n");
    plan.policy = plan.policy.replace("127.0.0.3/32", "127.0.0.2/31");
    plan.devices += "proxy,,,127.0.0.2,staff,,\nloan,,,,,,\n";
    let school = plan.start();
    let asked = |path: &str, headers: &[&[u8]]| {
        let stream = connect(ROUTER, school.https.unwrap());
        let config = config(&authority(&school.folder.state()), &["http/1.1"]);
        let mut stream = secure(&config, stream, NAME);
        let packet = BASE64URL_NOPAD.encode(&wire::question(1, "bets.example", wire::A));
        let line = format!("GET /dns-query{path}?dns={packet} HTTP/1.1\r\nHost: x\r\n");
        let headers = headers.concat();
        stream.write_all(line.as_bytes()).unwrap();
        stream.write_all(&headers).unwrap();
        stream.write_all(b"Connection: close\r\n\r\n").unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let at = said
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        Reply::read(&said[at + 4..]).rcode
    };
    let (pupil, staff) = (
        b"X-Forwarded-For: 127.0.0.1\r\n",
        b"X-Forwarded-For: 127.0.0.3\r\n",
    );
    assert_eq!(asked("", &[staff]), 0);
    for (line, path) in [
        (&b"Forwarded: for=unknown\r\n"[..], ""),
        (b"Forwarded: for=127.0.0.3\r\n", ""),
        (b"Forwarded: for=127.0.0.3\r\n", "/loan"),
    ] {
        assert_eq!(asked(path, &[pupil, line]), 3, "{}", line.escape_ascii());
    }
    assert_eq!(asked("", &[b"X-Forwarded-For: \xff, 127.0.0.1\r\n"]), 3);
    assert_eq!(asked("", &[b"X-Forwarded-For: \xff, 127.0.0.3\r\n"]), 0);
    let somebody = header(0x21, 0, &[]);
    assert_eq!(over_tcp(&school, ROUTER, &somebody).unwrap().rcode, 3);
    // For itself it is the device that it is.
    assert_eq!(
        over_tcp(&school, ROUTER, &header(0x20, 0, &[]))
            .unwrap()
            .rcode,
        0
    );
}

#[test]
fn http_headers_count_from_a_listed_router_only() {
    if !has("curl", "forwarded requests by curl") {
        return;
    }
    let (school, _upstream) = start();
    let packet = BASE64URL_NOPAD.encode(&wire::question(1, "bets.example", wire::A));
    let url = format!("{}?dns={packet}", school.url());
    let ask = |from: &str, headers: &[&str]| {
        let mut words = vec!["--interface", from];
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        words.push(&url);
        Reply::read(&school.fetch(&words).body).rcode
    };
    let staff = ["X-Forwarded-For: 127.0.0.3"];
    assert_eq!(ask(ROUTER, &staff), 0);
    assert_eq!(
        ask(ROUTER, &["Forwarded: for=\"127.0.0.3:4711\";proto=https"]),
        0
    );
    assert_eq!(ask(ROUTER, &["X-Forwarded-For: 127.0.0.1, 127.0.0.3"]), 0);
    // D24: what the client wrote, the proxy wrote behind.
    assert_eq!(ask(ROUTER, &["X-Forwarded-For: 127.0.0.3, 127.0.0.1"]), 3);
    for nobody in [
        "Forwarded: for=unknown",
        "Forwarded: for=_obf",
        "X-Forwarded-For: me",
    ] {
        assert_eq!(ask(ROUTER, &[nobody]), 3, "{nobody}");
    }
    let both = ["X-Forwarded-For: 127.0.0.3", "Forwarded: for=127.0.0.1"];
    assert_eq!(ask(ROUTER, &both), 3);
    assert_eq!(ask("127.0.0.1", &staff), 3);
    assert_eq!(ask("127.0.0.9", &staff), 3);
}
