//! Any bytes as what stands around a question: a PROXY header, HTTP's path,
//! parameters and headers, a TLS server name, and a reply whose times are read.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use schoolgate::devices::client_id::ClientId;
use schoolgate::dns::streams::proxy::{self, HEAD};
use schoolgate::dns::streams::request;

fuzz_target!(|bytes: &[u8]| {
    if let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() {
        if proxy::read(head, rest).is_ok() {
            assert_eq!(proxy::length(head), Ok(rest.len()));
        }
    }
    let _ = request::freshness(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = request::message(Some(text));
    if let Ok(message) = request::message(Some(&format!("dns={text}"))) {
        let end = text.find('&').unwrap_or(text.len());
        assert_eq!(message.len(), end * 3 / 4);
    }
    let ids = [
        request::client_id(text, "/dns-query").ok().flatten(),
        ClientId::from_server_name(text, "dns.example")
            .ok()
            .flatten(),
    ];
    for id in ids.into_iter().flatten() {
        assert!((1..=63).contains(&id.as_str().len()));
    }
    let (plain, standard) = text.split_once('\n').unwrap_or((text, ""));
    let is_router = |ip: IpAddr| ip.is_loopback();
    assert!(request::spoken_for([plain].into_iter(), [standard].into_iter(), is_router).is_some());
});
