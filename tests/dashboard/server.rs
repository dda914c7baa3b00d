//! Connections to the pages: TLS, and those who hold on to what they get.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::client::{Account, Client, Pages};
use crate::serve::school::{Folder, Plan};
use crate::serve::secured::{config, connect_as};
use crate::serve::{eventually, within};

/// Connections that the pages hold at most.
const CONNECTIONS: usize = 256;

fn folder(tables: &str) -> Folder {
    let mut plan = Plan::new(&["127.0.0.1:1".parse().unwrap()]);
    tables.clone_into(&mut plan.tables);
    let folder = plan.write();
    Account::make(&folder, "head");
    folder
}

/// Asks over TLS as somebody who believes `authority`; nothing without trust.
fn ask(pages: &Pages, authority: &Path, name: &str, request: &str) -> Option<String> {
    let mut stream = connect_as(&config(authority, &["http/1.1"]), pages.address, name);
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    (!text.is_empty()).then_some(text)
}

const PAGE: &str = "GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn over_tls_sessions_are_bound_to_this_very_host() {
    let folder = folder("[dashboard]\ntls = \"always\"\n");
    let pages = Pages::start(&folder);
    let authority = folder.state().join("private-ca/localhost/ca.pem");
    let page = ask(&pages, &authority, "localhost", PAGE).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.contains("strict-transport-security: max-age="),
        "{page}"
    );
    let body =
        serde_urlencoded::to_string([("account", "head"), ("password", super::client::PASSWORD)]);
    let body = body.unwrap();
    let request = format!(
        "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let signed_in = ask(&pages, &authority, "127.0.0.1", &request).unwrap();
    let cookie = signed_in
        .lines()
        .find(|line| line.starts_with("set-cookie:"))
        .unwrap();
    assert!(
        cookie.starts_with("set-cookie: __Host-schoolgate="),
        "{cookie}"
    );
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{cookie}"
    );
    // Whoever speaks without TLS is not answered.
    let mut plain = TcpStream::connect(pages.address).unwrap();
    plain.write_all(PAGE.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // The key is the owner's alone.
    let key = folder.state().join("private-ca/localhost/pages.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&key.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let made = |folder: &Folder, believed: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["filter.school.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        folder.put(believed, &certificate);
        folder.put("pages.pem", &certificate);
        folder.put("pages.key", &key.serialize_pem());
    };
    let folder =
        folder("[dashboard]\ntls = \"always\"\ncertificate = \"pages.pem\"\nkey = \"pages.key\"\n");
    made(&folder, "first.pem");
    let pages = Pages::start(&folder);
    let is_shown = |file: &str| {
        let believed = folder.path().join(file);
        ask(&pages, &believed, "filter.school.example", PAGE).is_some()
    };
    assert!(is_shown("first.pem"));
    made(&folder, "second.pem");
    let patience = Duration::from_secs(20);
    within(patience, "the second one", || {
        is_shown("second.pem").then_some(())
    });
    assert!(!is_shown("first.pem"));
}

#[test]
fn pages_for_other_machines_are_never_without_tls() {
    let folder = folder("");
    let settings = std::fs::read_to_string(folder.path().join("schoolgate.toml")).unwrap();
    let open = settings.replace("dashboard = \"127.0.0.1:0\"", "dashboard = \"0.0.0.0:0\"");
    assert_ne!(settings, open);
    folder.put("schoolgate.toml", &open);
    let pages = Pages::start(&folder);
    let here = format!("127.0.0.1:{}", pages.address.port());
    let mut plain = TcpStream::connect(&here).unwrap();
    plain.write_all(PAGE.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let authority = folder.state().join("private-ca/localhost/ca.pem");
    let pair = config(&authority, &["http/1.1"]);
    let mut stream = connect_as(&pair, here.parse().unwrap(), "127.0.0.1");
    stream.write_all(PAGE.as_bytes()).unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[test]
fn whoever_holds_every_connection_holds_them_for_seconds() {
    let folder = folder("");
    let pages = Pages::start(&folder);
    let mut held = Vec::new();
    for at in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(pages.address).unwrap();
        // Some say nothing, some begin and never end.
        if at % 2 == 0 {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ");
        }
        held.push(stream);
    }
    // One more gets nothing, and is told so at once.
    let mut more = TcpStream::connect(pages.address).unwrap();
    more.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = more.write_all(PAGE.as_bytes());
    assert!(matches!(more.read(&mut [0; 9]), Ok(0) | Err(_)));
    let patience = Duration::from_secs(30);
    within(patience, "a place", || {
        let mut stream = TcpStream::connect(pages.address).ok()?;
        stream.write_all(PAGE.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.starts_with("HTTP/1.1 200").then_some(())
    });
    drop(held);
}

#[test]
fn the_process_gives_way_and_nonsense_does_not_end_it() {
    let folder = folder("");
    let pages = Pages::start(&folder);
    let niceness = |process: &str| -> i32 {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        // The nineteenth field of proc(5), of which two are before the bracket.
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    };
    let pid = pages.server.0.id().to_string();
    assert_eq!(niceness(&pid), (niceness("self") + 10).min(19));
    let nothing = vec![0; 40_000];
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /%00%ff/../..//etc/passwd?%zz HTTP/1.1\r\nHost: x\r\nCookie: \xff=;=;;schoolgate\r\n\r\n",
        &nothing,
    ] {
        let mut stream = TcpStream::connect(pages.address).unwrap();
        let _ = stream.write_all(nonsense);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 4096]);
    }
    eventually("a page", || {
        (Client::new(&pages).get("/sign-in").status == 200).then_some(())
    });
}
