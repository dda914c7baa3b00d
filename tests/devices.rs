//! Who asks: options on the wire, the inventory, lease files.
//!
//! The cases are rows in `tests/devices/`; each file says its own notation.

use std::fmt::Write as _;
use std::net::IpAddr;

use proptest::prelude::*;
use schoolgate::devices::edns::{self, Options};
use schoolgate::devices::identify::{Identity, identify};

mod inventory;
mod leases;

/// Meaningful lines of a table, with their numbers.
fn rows(table: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(table.lines());
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn identity_is_what_the_table_says() {
    let mut wrong = String::new();
    for (line, row) in rows(include_str!("devices/identity.txt")) {
        let (question, wanted) = row.split_once(" ->").expect("an arrow");
        let (sender, options) = question.split_once('|').expect("a bar");
        let got = said(sender, &wire(options));
        if got != wanted.trim() {
            writeln!(wrong, "identity.txt:{line}: wanted {wanted}, got {got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn said(sender: &str, options: &[u8]) -> String {
    let words: Vec<&str> = sender.split_whitespace().collect();
    let from: IpAddr = words[0].parse().expect("an address first");
    let after = |mark| {
        let at = words.iter().position(|word| *word == mark)?;
        words.get(at + 1).copied()
    };
    let proxied = after("proxied").map(|ip| ip.parse().expect("an address"));
    let is_router = words.contains(&"router");
    let identity = identify(from, is_router, options, after("id"), proxied);
    match edns::check(options) {
        Ok(()) => shown(&identity),
        Err(_) => "malformed".to_owned(),
    }
}

fn shown(identity: &Identity<'_>) -> String {
    let mut text = format!("{} {}", identity.how.id(), identity.ip);
    if let Some(mac) = identity.mac {
        write!(text, " mac={mac}").unwrap();
    }
    if let Some(id) = identity.client_id {
        write!(text, " id={id}").unwrap();
    }
    if let Some(device) = identity.umbrella_device {
        write!(text, " umbrella={:016x}", u64::from_be_bytes(device)).unwrap();
    }
    if let Some(name) = identity.router_name {
        write!(text, " router={}", String::from_utf8_lossy(name)).unwrap();
    }
    for (flag, is_set) in [
        ("conflict", identity.conflict),
        ("ignored", identity.ignored_options),
        ("behind", identity.behind_router),
        ("hides", identity.router_hides()),
    ] {
        if is_set {
            write!(text, " {flag}").unwrap();
        }
    }
    text
}

/// The options of a row as RDATA.
fn wire(options: &str) -> Vec<u8> {
    let mut rdata = Vec::new();
    for option in options.split_whitespace() {
        let (code, data) = option.split_once('=').expect("CODE=DATA");
        let (code, excess) = code.split_once('+').unwrap_or((code, "0"));
        let data = match data.strip_prefix('\'') {
            Some(text) => text.trim_end_matches('\'').as_bytes().to_vec(),
            None => unhex(data),
        };
        let excess: usize = excess.parse().expect("a number");
        let length = u16::try_from(data.len() + excess).unwrap();
        rdata.extend(code.parse::<u16>().expect("a code").to_be_bytes());
        rdata.extend(length.to_be_bytes());
        rdata.extend(data);
    }
    rdata
}

fn unhex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "half an octet: {digits}");
    let octet = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
    (0..digits.len()).step_by(2).map(octet).collect()
}

/// Codes that are looked into, and some that are not.
fn code() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(edns::CLIENT_SUBNET),
        Just(edns::MAC),
        Just(edns::DEVICE_ID),
        Just(edns::CPE_ID),
        Just(edns::UMBRELLA),
        any::<u16>(),
    ]
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let umbrella = prop::collection::vec(any::<u8>(), 0..40)
        .prop_map(|rest| [&b"ODNS\x01\x00\x00"[..], &rest].concat());
    prop_oneof![umbrella, prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let from = IpAddr::from([10, 0, 0, 1]);
        let identity = identify(from, true, &bytes, None, None);
        prop_assert_eq!(identity.ip, identity.ip.to_canonical());
        let stranger = identify(from, false, &bytes, None, None);
        prop_assert_eq!((stranger.ip, stranger.mac), (from, None));
        let _ = edns::check(&bytes);
    }

    #[test]
    fn options_come_out_as_they_went_in(
        options in prop::collection::vec((code(), contents()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut rdata = Vec::new();
        let mut ends = vec![0];
        for (code, data) in &options {
            rdata.extend(code.to_be_bytes());
            rdata.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            rdata.extend(data);
            ends.push(rdata.len());
        }
        let read: Vec<_> = Options::new(&rdata).map(Result::unwrap).collect();
        let wanted: Vec<_> = options.iter().map(|(code, data)| (*code, data.as_slice())).collect();
        prop_assert_eq!(read, wanted);
        let _ = identify([10, 0, 0, 1].into(), true, &rdata, None, None);
        // Cut anywhere but between two options, it ends with the marker.
        let cut = cut.index(rdata.len() + 1);
        let is_whole = Options::new(&rdata[..cut]).all(|option| option.is_ok());
        prop_assert_eq!(is_whole, ends.contains(&cut));
    }
}
