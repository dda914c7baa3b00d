//! What strangers write into streams before and around a question, with random
//! bytes: PROXY headers, HTTP's words, server names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use schoolgate::devices::client_id::ClientId;
use schoolgate::dns::streams::proxy::{self, HEAD, Header, SIGNATURE};
use schoolgate::dns::streams::request;

/// Octets that mean something in a PROXY header, and others.
fn head() -> impl Strategy<Value = [u8; HEAD]> {
    let end = (
        prop_oneof![Just(0x20), Just(0x21), any::<u8>()],
        prop_oneof![Just(0x11), Just(0x21), Just(0), Just(0x31), any::<u8>()],
        0..40_u16,
    );
    end.prop_map(|(command, family, length)| {
        let mut head = [0; HEAD];
        head[..12].copy_from_slice(&SIGNATURE);
        (head[12], head[13]) = (command, family);
        head[14..].copy_from_slice(&length.to_be_bytes());
        head
    })
}

proptest! {
    #[test]
    fn any_proxy_header_is_read_or_refused(
        head in head(),
        rest in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let length = proxy::length(&head);
        let fitting = rest.get(..length.unwrap_or(0)).unwrap_or(&rest);
        match proxy::read(&head, fitting) {
            Ok(Header::For(IpAddr::V4(source))) if head[13] >> 4 == 1 => {
                prop_assert_eq!(&source.octets()[..], &fitting[..4]);
            }
            Ok(Header::For(source)) => {
                let octets: [u8; 16] = fitting[..16].try_into().unwrap();
                prop_assert_eq!(source, IpAddr::from(Ipv6Addr::from(octets)).to_canonical());
                prop_assert_eq!(head[12..14].to_vec(), vec![0x21, head[13] & 0x0f | 0x20]);
            }
            Ok(Header::Local) => prop_assert_eq!(head[12], 0x20),
            Ok(Header::ForSomebody) => prop_assert!(head[13] >> 4 == 0 || head[13] >> 4 == 3),
            Err(_) => (),
        }
        if rest.len() != length.unwrap_or(usize::MAX) {
            prop_assert!(proxy::read(&head, &rest).is_err());
        }
    }

    #[test]
    fn each_message_has_one_spelling(text in "[A-Za-z0-9_=+/-]{1,24}") {
        if let Ok(bytes) = request::message(Some(&format!("dns={text}"))) {
            prop_assert_eq!(BASE64URL_NOPAD.encode(&bytes), text);
        }
    }

    #[test]
    fn any_text_around_a_question_is_read_without_panic(
        path in "(/dns-query)?[ -~é/]{0,80}",
        query in "(dns=)?[ -~é&=]{0,80}",
        name in "[ -~é.]{0,80}(dns\\.school\\.example)?",
        header in "(for=|\")?[ -~é,;\\[\\]:]{0,60}",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(Some(id)) = request::client_id(&path, "/dns-query") {
            prop_assert!(path.ends_with(&path[path.len() - id.as_str().len()..]));
            prop_assert!(id.as_str().len() <= 63);
        }
        let _ = request::message(Some(&query));
        if let Ok(Some(id)) = ClientId::from_server_name(&name, "dns.school.example") {
            let shown = format!("{}.dns.school.example", id.as_str());
            prop_assert_eq!(name.trim_end_matches('.').to_ascii_lowercase(), shown);
        }
        let nobody = |_: IpAddr| false;
        let one = || [header.as_str()].into_iter();
        let told = request::spoken_for(one(), one(), nobody);
        prop_assert!(told.is_some());
        let _ = request::freshness(&bytes);
    }

    #[test]
    fn the_last_who_was_forwarded_is_found_behind_anything(
        before in "[ -~]{0,40}",
        ip in any::<u32>().prop_map(Ipv4Addr::from),
    ) {
        let line = format!("{before}, {ip}");
        let told = request::spoken_for([line.as_str()].into_iter(), std::iter::empty(), |_| false);
        prop_assert_eq!(told, Some(Some(IpAddr::from(ip))));
    }
}
