//! What the other end may do, and what comes of it.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use schoolgate::lists::fetch::{
    Downloader, FetchError, FetchOptions, Fetched, Fresh, Validators, text,
};
use schoolgate::lists::source::{self, SourceSpec};

use super::support::{Reply, Server, domains, gzip};

fn spec(url: &str, more: &str) -> SourceSpec {
    let text = domains("list", "games", &format!("url = \"{url}\"\n{more}"));
    source::parse("s", &text, std::path::Path::new("."))
        .unwrap()
        .remove(0)
}

fn options(server: &Server) -> FetchOptions {
    FetchOptions {
        extra_ca: Some(server.ca.clone()),
        resolvers: Vec::new(),
        total_timeout: Duration::from_secs(20),
    }
}

fn fetch(server: &Server, more: &str, have: Option<&Validators>) -> Result<Fetched, FetchError> {
    let downloader = Downloader::new(&options(server)).unwrap();
    downloader.fetch(&spec(&server.url("list"), more), have)
}

fn list(fetched: Fetched) -> Fresh {
    match fetched {
        Fetched::List(fresh) => *fresh,
        Fetched::NotModified => panic!("a list was expected"),
    }
}

fn unpacked(fresh: &Fresh) -> String {
    std::io::read_to_string(text(&fresh.bytes)).unwrap()
}

fn failing(answer: impl Fn(&str) -> Reply + Send + 'static) -> String {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), answer);
    fetch(&server, "max_bytes = 1000", None)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_list_comes_with_what_it_takes_to_ask_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), |head| {
        if head.contains("if-none-match: \"v1\"") && head.contains("if-modified-since: yesterday") {
            Reply::of("304 Not Modified", "", b"")
        } else {
            Reply::of(
                "200 OK",
                "ETag: \"v1\"\r\nLast-Modified: yesterday\r\n",
                b"a.example\n",
            )
        }
    });
    let fresh = list(fetch(&server, "", None).unwrap());
    assert_eq!(fresh.bytes, b"a.example\n");
    assert_eq!(fresh.validators.etag.as_deref(), Some("\"v1\""));
    assert!(server.last_request().contains("user-agent: schoolgate/"));
    let again = fetch(&server, "", Some(&fresh.validators)).unwrap();
    assert!(matches!(again, Fetched::NotModified));
}

#[test]
fn gzip_is_known_by_its_first_bytes_however_it_travels() {
    let packed = gzip(b"a.example\n");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), move |head| {
        if head.contains("accept-encoding: gzip") {
            Reply::of("200 OK", "Content-Encoding: gzip\r\n", &packed)
        } else {
            Reply::ok("a.example\n")
        }
    });
    assert_eq!(
        unpacked(&list(fetch(&server, "", None).unwrap())),
        "a.example\n"
    );
    // A hash is of the file, so it must not be packed for the journey.
    let hash = format!("sha256 = \"{}\"", "0".repeat(64));
    assert_eq!(
        list(fetch(&server, &hash, None).unwrap()).bytes,
        b"a.example\n"
    );
}

#[test]
fn a_signature_is_fetched_from_beside_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), |head| {
        Reply::ok(if head.starts_with("GET /list.minisig ") {
            "signature"
        } else {
            "a.example"
        })
    });
    let key = "minisign_key = \"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"";
    let fresh = list(fetch(&server, key, None).unwrap());
    assert_eq!(fresh.signature.as_deref(), Some("signature"));
}

#[test]
fn a_server_that_says_no_is_quoted() {
    assert_eq!(
        failing(|_| Reply::of("404 Not Found", "", b"gone")),
        "the server answered 404"
    );
    assert_eq!(
        failing(|_| Reply::of("503 Busy", "", b"")),
        "the server answered 503"
    );
    assert_eq!(
        failing(|_| Reply::of("204 No Content", "", b"")),
        "the server answered 204"
    );
    // "As it was" to somebody who has nothing.
    assert_eq!(
        failing(|_| Reply::of("304 Not Modified", "", b"")),
        "the server answered 304"
    );
}

#[test]
fn a_list_that_ends_early_is_no_list() {
    let cut = |_: &str| {
        Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\na.example\n".to_vec())
    };
    let why = failing(cut);
    assert!(!why.is_empty(), "{why}");
    let cut_chunk = |_: &str| {
        Reply::Bytes(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\na.example\n".to_vec(),
        )
    };
    let why = failing(cut_chunk);
    assert!(!why.is_empty(), "{why}");
}

#[test]
fn a_list_over_the_limit_is_not_read_to_its_end() {
    let long = "a.example\n".repeat(101);
    let declared = long.clone();
    assert_eq!(
        failing(move |_| Reply::ok(&declared)),
        "it has over 1000 bytes"
    );
    let undeclared = move |_: &str| {
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{long}").into_bytes())
    };
    assert_eq!(failing(undeclared), "it has over 1000 bytes");
}

#[test]
fn a_redirect_may_not_leave_https() {
    let to_http = |_: &str| Reply::of("302 Found", "Location: http://127.0.0.1:1/list\r\n", b"");
    assert_eq!(failing(to_http), "it redirects away from https");
    let round = |_: &str| Reply::of("302 Found", "Location: /list\r\n", b"");
    assert!(failing(round).contains("redirect"));
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), |head| {
        if head.starts_with("GET /list ") {
            Reply::of("301 Moved Permanently", "Location: /moved\r\n", b"")
        } else {
            Reply::ok("a.example\n")
        }
    });
    assert_eq!(
        list(fetch(&server, "", None).unwrap()).bytes,
        b"a.example\n"
    );
}

#[test]
fn a_slow_server_is_given_up() {
    // R12: a byte now and then keeps every time-out but the total one happy.
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), |_| {
        Reply::Drip(
            b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n".to_vec(),
            vec![b'a'; 900],
        )
    });
    let mut options = options(&server);
    options.total_timeout = Duration::from_millis(500);
    let began = Instant::now();
    let downloader = Downloader::new(&options).unwrap();
    let why = downloader
        .fetch(&spec(&server.url("list"), ""), None)
        .unwrap_err();
    assert!(matches!(why, FetchError::TooSlow(_)), "{why}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_unknown_authority_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), |_| Reply::ok("a.example\n"));
    let downloader = Downloader::new(&FetchOptions::default()).unwrap();
    assert!(
        downloader
            .fetch(&spec(&server.url("list"), ""), None)
            .is_err()
    );
}

#[test]
fn the_host_is_asked_of_the_servers_given() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), |_| Reply::ok("a.example\n"));
    let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dns_address = dns.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = dns.recv_from(&mut buffer) {
            let mut message = Message::from_vec(&buffer[..length]).unwrap();
            message.metadata.message_type = MessageType::Response;
            let query = message.queries[0].clone();
            if query.query_type() == RecordType::A && query.name().to_ascii() == "lists.example." {
                let data = RData::A(A::new(127, 0, 0, 1));
                message.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
            dns.send_to(&message.to_vec().unwrap(), from).unwrap();
        }
    });
    let mut options = options(&server);
    // The first one answers with what is no answer.
    let babbler = UdpSocket::bind("127.0.0.1:0").unwrap();
    let babbler_address = babbler.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((_, from)) = babbler.recv_from(&mut buffer) {
            babbler.send_to(b"\x00\x01\xff", from).unwrap();
        }
    });
    options.resolvers = vec![babbler_address, dns_address];
    let downloader = Downloader::new(&options).unwrap();
    let port = server.address.port();
    let found = downloader.fetch(
        &spec(&format!("https://lists.example:{port}/list"), ""),
        None,
    );
    assert_eq!(list(found.unwrap()).bytes, b"a.example\n");
    let lost = downloader.fetch(&spec("https://elsewhere.example/list", ""), None);
    assert!(matches!(lost.unwrap_err(), FetchError::NotFound));
}

#[test]
fn a_file_is_named_when_it_is_missing() {
    let mut spec = spec("https://lists.example/", "");
    spec.origin = source::Origin::File("/nonexistent/list.txt".into());
    let downloader = Downloader::new(&FetchOptions::default()).unwrap();
    let why = downloader.fetch(&spec, None).unwrap_err().to_string();
    assert!(why.starts_with("/nonexistent/list.txt: "), "{why}");
}
