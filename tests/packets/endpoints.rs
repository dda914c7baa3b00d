//! What is said of our own encrypted listeners (RFC 9461, 9462, 9606), read by
//! hickory as a client would.

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::svcb::SvcParamKey;
use hickory_proto::rr::{RData, RecordType};
use schoolgate::dns::local::endpoints::{Doh, Endpoints};
use schoolgate::dns::local::{Local, LocalRecord};
use schoolgate::dns::question::{Read, read};
use schoolgate::dns::reply::{self, Asked, Ttl};
use schoolgate::name::Name;

use crate::serve::wire;

const SVCB: u16 = 64;
const HTTPS: u16 = 65;
const RESINFO: u16 = 261;

fn name(text: &str) -> Name {
    Name::parse_any_depth(text).unwrap()
}

fn all() -> Endpoints {
    Endpoints {
        name: Some(name("dns.school.example")),
        addresses: ["10.0.0.2", "fd00::2"].map(|ip| ip.parse().unwrap()).into(),
        dot: Some(853),
        doh: Some(Doh {
            port: 8443,
            path: "/dns-query".to_owned(),
            http3: true,
        }),
        doq: Some(853),
        minimises: false,
        info_url: "https://www.school.example/filtering".to_owned(),
    }
}

fn local(endpoints: &Endpoints, records: &[LocalRecord], forwarded: &[&str]) -> Local {
    let forwarded = forwarded.iter().map(|zone| name(zone)).collect();
    let local = Local::new(records, &[], forwarded).unwrap();
    local.with_endpoints(endpoints).unwrap()
}

/// The reply, as a client's library reads it; none: it is asked on.
fn ask(local: &Local, asked: &str, rtype: u16) -> Option<Message> {
    let packet = wire::question(1, asked, rtype);
    let Read::Plain(query) = read(&packet) else {
        panic!("{asked}");
    };
    let answer = local.answer(&query)?;
    assert!(local.holds(query.name.name(), rtype), "{asked}");
    let ttl = Ttl {
        age: 0,
        least: 0,
        most: 86_400,
    };
    let mut out = Vec::new();
    reply::answer(&Asked::of(&query, false), &answer, ttl, None, &mut out);
    Some(Message::from_vec(&out).unwrap())
}

/// The answer section, a record a line.
fn said(local: &Local, asked: &str, rtype: u16) -> Vec<String> {
    let message = ask(local, asked, rtype).unwrap_or_else(|| panic!("{asked} is asked on"));
    assert_eq!(u16::from(message.metadata.response_code), 0, "{asked}");
    let records = message.answers.iter().map(|record| match &record.data {
        RData::SVCB(svcb) => {
            let keys = svcb.svc_params.iter();
            let params = keys.map(|(key, value)| format!("{}={value}", u16::from(*key)));
            let params: Vec<_> = params.collect();
            format!(
                "{} {} {}",
                svcb.svc_priority,
                svcb.target_name,
                params.join(" ")
            )
        }
        other => other.to_string(),
    });
    records.collect()
}

#[test]
fn each_protocol_is_one_record_in_our_order() {
    let local = local(&all(), &[], &[]);
    let hints = "4=10.0.0.2, 6=fd00::2,";
    for asked in [
        "_dns.resolver.arpa",
        "_DNS.Resolver.Arpa",
        "_dns.dns.school.example",
    ] {
        assert_eq!(
            said(&local, asked, SVCB),
            [
                format!("1 dns.school.example. 1=dot, 3=853 {hints}")
                    .trim()
                    .to_owned(),
                format!("2 dns.school.example. 1=h2,h3, 3=8443 {hints} 7=\"/dns-query{{?dns}}\","),
                format!("3 dns.school.example. 1=doq, 3=853 {hints}")
                    .trim()
                    .to_owned(),
            ],
            "{asked}"
        );
    }
}

#[test]
fn everything_beside_stays_nodata_and_at_home() {
    // Whatever a school forwards, this is not forwarded.
    for endpoints in [all(), Endpoints::default()] {
        let local = local(
            &endpoints,
            &[],
            &["resolver.arpa", "arpa", "dns.school.example"],
        );
        for (asked, rtype) in [
            ("resolver.arpa", 1),
            ("resolver.arpa", SVCB),
            ("_dns.resolver.arpa", 1),
            ("_dns.resolver.arpa", 28),
            ("_dns.resolver.arpa", HTTPS),
            ("x._dns.resolver.arpa", SVCB),
            ("foo.bar.resolver.arpa", HTTPS),
            ("_dns.foo.resolver.arpa", SVCB),
        ] {
            assert_eq!(said(&local, asked, rtype), Vec::<String>::new(), "{asked}");
        }
    }
    let local = local(&Endpoints::default(), &[], &[]);
    assert_eq!(
        said(&local, "_dns.resolver.arpa", SVCB),
        Vec::<String>::new()
    );
}

#[test]
fn of_our_name_only_what_we_know_is_answered_here() {
    let ours = local(&all(), &[], &[]);
    assert_eq!(said(&ours, "dns.school.example", 1), ["10.0.0.2"]);
    assert_eq!(said(&ours, "dns.school.example", 28), ["fd00::2"]);
    assert_eq!(
        said(&ours, "dns.school.example", HTTPS),
        Vec::<String>::new()
    );
    // A certificate is proved by names beside ours (RFC 8555 section 8.4).
    for (asked, rtype) in [
        ("_acme-challenge.dns.school.example", 16),
        ("dns.school.example", 16),
        ("dns.school.example", 257),
        ("www.school.example", 1),
    ] {
        assert!(ask(&ours, asked, rtype).is_none(), "{asked}");
    }
    // Where the school knows the name itself, that counts.
    let record = LocalRecord {
        name: name("dns.school.example"),
        addresses: vec!["10.9.9.9".parse().unwrap()],
        ttl: 60,
    };
    let theirs = local(&all(), &[record], &[]);
    assert_eq!(said(&theirs, "dns.school.example", 1), ["10.9.9.9"]);
    assert_eq!(said(&theirs, "_dns.dns.school.example", SVCB).len(), 3);
    let forwarded = local(&all(), &[], &["school.example"]);
    assert!(ask(&forwarded, "dns.school.example", 1).is_none());
    assert_eq!(said(&forwarded, "_dns.dns.school.example", SVCB).len(), 3);
    // And where our addresses are not known, nothing is made up.
    let unknown = Endpoints {
        addresses: Vec::new(),
        ..all()
    };
    let unknown = local(&unknown, &[], &[]);
    assert!(ask(&unknown, "dns.school.example", 1).is_none());
    let message = ask(&unknown, "_dns.resolver.arpa", SVCB).unwrap();
    for record in &message.answers {
        let RData::SVCB(svcb) = &record.data else {
            panic!("{record}");
        };
        let mut keys = svcb.svc_params.iter().map(|(key, _)| *key);
        assert!(!keys.any(|key| matches!(key, SvcParamKey::Ipv4Hint | SvcParamKey::Ipv6Hint)));
    }
}

#[test]
fn it_says_what_kind_of_resolver_it_is() {
    let texts = |endpoints: &Endpoints, asked: &str| {
        let message = ask(&local(endpoints, &[], &[]), asked, RESINFO).unwrap();
        let [record] = &message.answers[..] else {
            panic!("{message}");
        };
        assert_eq!(record.record_type(), RecordType::Unknown(RESINFO));
        let RData::Unknown { rdata, .. } = &record.data else {
            panic!("{record}");
        };
        let (mut rest, mut texts) = (&rdata.anything[..], Vec::new());
        while let [length, tail @ ..] = rest {
            let (text, after) = tail.split_at(usize::from(*length));
            texts.push(String::from_utf8(text.to_vec()).unwrap());
            rest = after;
        }
        texts
    };
    let url = "infourl=https://www.school.example/filtering";
    for asked in ["resolver.arpa", "dns.school.example"] {
        let told = texts(&all(), asked);
        assert!(told[0].starts_with("exterr=0,3"), "{told:?}");
        assert_eq!(told[1], url);
    }
    let minimal = Endpoints {
        minimises: true,
        ..Endpoints::default()
    };
    let told = texts(&minimal, "resolver.arpa");
    assert_eq!(told[0], "qnamemin");
    assert_eq!(told.len(), 2);
}
