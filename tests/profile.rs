//! What is written for a device's own management: golden files, and readers that
//! are not ours.
//!
//! Run with `SCHOOLGATE_WRITE_GOLDEN=1` to write the golden files anew, and read
//! the difference.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use schoolgate::name::Name;
use schoolgate::profile::dnr;
use schoolgate::profile::documents::{Format, Lacking};
use schoolgate::profile::endpoint::{Endpoint, Subject};

use crate::serve::has;

fn endpoint() -> Endpoint {
    Endpoint {
        name: "dns.school.example".to_owned(),
        path: "/dns-query".to_owned(),
        https: Some(443),
        tls: Some(853),
        quic: None,
        addresses: vec![
            "203.0.113.2".parse().unwrap(),
            "2001:db8::2".parse().unwrap(),
        ],
    }
}

/// A device and a school whose names are full of what formats take for theirs.
fn subject() -> Subject {
    Subject {
        id: "ipad-01".to_owned(),
        name: "Class 3 <iPad> & 'pencil' \"1\"\u{1}".to_owned(),
        client_id: "k3v9x2qm7w4tz5b6n2ch".to_owned(),
        school: "St Peter & Paul's ]]> <Primary>".to_owned(),
    }
}

fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/profile")
        .join(file);
    if std::env::var_os("SCHOOLGATE_WRITE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

/// What Python's own reader makes of a text, as JSON.
fn read_by_python(program: &str, text: &str) -> serde_json::Value {
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn each_format_is_as_its_golden_file() {
    for format in Format::All.each() {
        for document in format.documents(&endpoint(), &subject()).unwrap() {
            check(document.ending, &document.text);
            assert!(!document.note.is_empty());
            if Path::new(document.ending)
                .extension()
                .is_some_and(|e| e == "json")
            {
                let _: serde_json::Value = serde_json::from_str(&document.text).unwrap();
            }
        }
    }
    let only_tls = Endpoint {
        https: None,
        addresses: Vec::new(),
        ..endpoint()
    };
    let apple = Format::Apple.documents(&only_tls, &subject()).unwrap();
    check("apple-tls.mobileconfig", &apple[0].text);
}

#[test]
fn a_profile_for_apple_is_a_property_list_that_says_what_was_meant() {
    if !has("python3", "a property list read by Python") {
        return;
    }
    let program = "import json, plistlib, sys\n\
        print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
    let read = |endpoint: &Endpoint, subject: &Subject| {
        let documents = Format::Apple.documents(endpoint, subject).unwrap();
        read_by_python(program, &documents[0].text)
    };
    let subject = subject();
    let plist = read(&endpoint(), &subject);
    assert_eq!(plist["PayloadOrganization"], subject.school);
    let title = plist["PayloadDisplayName"].as_str().unwrap();
    let without_control = subject.name.replace('\u{1}', "");
    assert!(title.ends_with(&without_control), "{title}");
    let payload = &plist["PayloadContent"][0];
    assert_eq!(payload["ProhibitDisablement"], true);
    let dns = &payload["DNSSettings"];
    assert_eq!(dns["DNSProtocol"], "HTTPS");
    let url = "https://dns.school.example/dns-query/k3v9x2qm7w4tz5b6n2ch";
    assert_eq!(dns["ServerURL"], url);
    assert_eq!(dns["ServerAddresses"].as_array().unwrap().len(), 2);
    // A new secret replaces the old profile: its identifiers stay. Another
    // device has others.
    let renewed = Subject {
        client_id: "another-secret-of-it".to_owned(),
        ..subject.clone()
    };
    let other = Subject {
        id: "ipad-02".to_owned(),
        ..subject
    };
    let again = read(&endpoint(), &renewed);
    let other = read(&endpoint(), &other);
    for key in ["PayloadUUID", "PayloadIdentifier"] {
        assert_eq!(plist[key], again[key]);
        assert_ne!(plist[key], other[key]);
        assert_ne!(plist[key], payload[key]);
    }
    let uuid = plist["PayloadUUID"].as_str().unwrap();
    let program = "import json, sys, uuid\n\
        u = uuid.UUID(sys.stdin.read()); print(json.dumps([u.version, u.variant]))";
    let said = read_by_python(program, uuid);
    assert_eq!(said, serde_json::json!([8, "specified in RFC 4122"]));
}

#[test]
fn a_format_says_what_it_lacks() {
    let bare = Endpoint {
        https: None,
        tls: Some(8853),
        addresses: Vec::new(),
        ..endpoint()
    };
    let lacks =
        |endpoint: &Endpoint, format: Format| format.documents(endpoint, &subject()).unwrap_err();
    assert_eq!(lacks(&bare, Format::Apple), Lacking::Either);
    assert_eq!(lacks(&bare, Format::Windows), Lacking::Https);
    assert_eq!(lacks(&bare, Format::Android), Lacking::Tls);
    assert_eq!(lacks(&bare, Format::Chrome), Lacking::Https);
    assert_eq!(lacks(&bare, Format::Firefox), Lacking::Https);
    let nowhere = Endpoint {
        addresses: Vec::new(),
        ..endpoint()
    };
    assert_eq!(lacks(&nowhere, Format::Windows), Lacking::Address);
}

#[test]
fn another_port_stands_in_the_address() {
    let endpoint = Endpoint {
        https: Some(8443),
        path: "/dns-query/".to_owned(),
        ..endpoint()
    };
    let url = endpoint.url("abc").unwrap();
    assert_eq!(url, "https://dns.school.example:8443/dns-query/abc");
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

/// RFC 9463, by hand: each part with the section that says so.
#[test]
fn the_options_of_dhcp_and_router_advertisements_are_as_the_rfc_has_them() {
    let name = Name::parse("dns.school.example").unwrap();
    let adn = "03646e73067363686f6f6c076578616d706c6500";
    // alpn = dot; alpn = h2, dohpath = /dns-query{?dns} (RFC 9461 section 5).
    let dot = "0001000403646f74";
    let doh = "00010003026832000700102f646e732d71756572797b3f646e737d";
    let v4 = "cb007102";
    let v6 = "20010db8000000000000000000000002";
    let options = dnr::options(&endpoint(), &name, 1800);
    // Section 5.1: instance length, priority, name, addresses; one option.
    let expected = format!("0024000114{adn}04{v4}{dot}0037000214{adn}04{v4}{doh}");
    assert_eq!(hex(&options.dhcpv4.unwrap()), expected);
    // Section 4.1: an option each.
    let expected = [
        format!("00010014{adn}0010{v6}{dot}"),
        format!("00020014{adn}0010{v6}{doh}"),
    ];
    let got: Vec<_> = options.dhcpv6.iter().map(|option| hex(option)).collect();
    assert_eq!(got, expected);
    // Section 6.1: type 144, length in units of 8 bytes, lifetime, padding.
    let expected = [
        format!("90080001000007080014{adn}0010{v6}0008{dot}000000000000"),
        format!("900a0002000007080014{adn}0010{v6}001b{doh}000000"),
    ];
    let got: Vec<_> = options.router.iter().map(|option| hex(option)).collect();
    assert_eq!(got, expected);
    // Other ports are said; without an address there is no option.
    let elsewhere = Endpoint {
        tls: Some(8853),
        https: None,
        addresses: vec!["203.0.113.2".parse().unwrap()],
        ..endpoint()
    };
    let options = dnr::options(&elsewhere, &name, 1800);
    let expected = format!("002a000114{adn}04{v4}{dot}000300022295");
    assert_eq!(hex(&options.dhcpv4.unwrap()), expected);
    assert!(options.dhcpv6.is_empty() && options.router.is_empty());
}
