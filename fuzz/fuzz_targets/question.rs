//! Any bytes as a client's packet, through the whole pipeline, from a pupil, a
//! router and a stranger.
//!
//! Beside not panicking: no reply is longer than 1232 bytes, it echoes the id, it
//! is a reply, and the same question in the plain shape gets the same.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use schoolgate::dns::pipeline::{From, Now, Step};
use schoolgate::dns::question::{Read, plain_form, read};
use schoolgate::metrics::Transport;
use schoolgate_fuzz::with_pipeline;

fuzz_target!(|packet: &[u8]| {
    with_pipeline(|pipeline| {
        let mut send = |packet: &[u8], ip: [u8; 4]| {
            let from = From {
                address: SocketAddr::new(IpAddr::from(ip), 53),
                transport: Transport::Udp,
                route: 0,
                local: None,
                origin: None,
            };
            let now = Now {
                ms: 0,
                wall: "2026-09-08T09:00:00Z".parse().unwrap(),
            };
            let mut out = Vec::new();
            match pipeline.begin(packet, &from, now, &mut out) {
                Step::Reply | Step::ReplyAndRefresh(_) => Some(out),
                Step::Ask(_) | Step::Ignore => None,
            }
        };
        for ip in [[10, 1, 0, 7], [10, 0, 0, 1], [192, 0, 2, 1]] {
            let reply = send(packet, ip);
            if let Some(reply) = &reply {
                assert!((12..=1232).contains(&reply.len()));
                assert!(reply[..2] == packet[..2] && reply[2] & 0x80 != 0);
            }
            if let (Read::Plain(_), Ok(normal)) = (read(packet), plain_form(packet)) {
                assert_eq!(reply, send(&normal, ip));
            }
        }
    });
});
