//! Any bytes as the RDATA of an OPT record, from a router and from a stranger.
//!
//! Beside not panicking: a stranger's bytes never change who it is, and cutting
//! options out loses and invents none.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use schoolgate::devices::edns::{self, Options};
use schoolgate::devices::identify::identify;

fuzz_target!(|rdata: &[u8]| {
    let from = IpAddr::from([10, 0, 0, 1]);
    let told = identify(from, true, rdata, None, None);
    assert!(!told.router_hides() || (told.ip == from && told.mac.is_none()));
    let stranger = identify(from, false, rdata, None, None);
    assert_eq!((stranger.ip, stranger.mac), (from, None));

    let options: Vec<_> = Options::new(rdata).collect();
    let is_whole = options.iter().all(Result::is_ok);
    let length: usize = options
        .iter()
        .flatten()
        .map(|(_, data)| 4 + data.len())
        .sum();
    assert_eq!(is_whole, length == rdata.len());
    assert!(is_whole || edns::check(rdata).is_err());
});
