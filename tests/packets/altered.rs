//! Replies that are written anew, against a dull way to the same: hickory reads
//! what the upstream said, and what must not be told is taken out of that.

use std::fmt::Write;

use hickory_proto::op::Message as Parsed;
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::{RData, Record, RecordType};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use schoolgate::dns::answer::Answer;
use schoolgate::dns::pipeline::Wanted;

use super::bench::{Bench, Came};
use super::wire::{self, Message};

const PUPIL: &str = "10.1.0.7";
const STAFF: &str = "10.6.0.7";

/// A chain from `from` over up to three names, as records, and where it ends.
fn chain(from: &'static str) -> impl Strategy<Value = (Vec<String>, String)> {
    let name = prop::sample::select(vec![
        "a.example",
        "edge.a.example",
        "b.cdn.example",
        "xn--e1a.org",
    ]);
    prop::sample::subsequence(vec![0, 1, 2], 0..=3)
        .prop_flat_map(move |steps| vec((name.clone(), 1..400u32), steps.len()))
        .prop_map(move |steps| {
            let (mut here, mut records) = (from.to_owned(), Vec::new());
            for (n, (name, ttl)) in steps.into_iter().enumerate() {
                // Each name once, or the chain would be a loop.
                let next = format!("s{n}.{name}");
                records.push(format!("{here} {ttl} CNAME {next}"));
                here = next;
            }
            (records, here)
        })
}

/// The parameters of one record, as `KEY=HEX`; all are well formed.
fn parameters() -> impl Strategy<Value = String> {
    let mandatory = prop::sample::select(vec!["0001", "0005", "00010005", "00010004"]);
    let unknown = vec(any::<u8>(), 0..8).prop_map(|bytes| hex(&bytes));
    let one = prop_oneof![
        mandatory.prop_map(|keys| (0, keys.to_owned())),
        Just((1, "026832".to_owned())),
        Just((3, "01bb".to_owned())),
        Just((4, "c0000201c0000202".to_owned())),
        Just((5, "0004abcdef01".to_owned())),
        Just((6, "20010db8000000000000000000000001".to_owned())),
        (prop::sample::select(vec![7, 21, 65280, 65400]), unknown),
    ];
    let written = |(key, value): (u16, String)| format!("{key}={value}");
    vec(one, 0..6).prop_map(move |all| {
        // In the order of keys, each once (RFC 9460 section 2.2).
        let all: std::collections::BTreeMap<u16, String> = all.into_iter().collect();
        all.into_iter().map(written).collect::<Vec<_>>().join(" ")
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A signature over `covered`, as hex.
fn signature(covered: u16) -> String {
    let signer = wire::name("example");
    let fixed = [
        &covered.to_be_bytes()[..],
        &[13, 2, 0, 0, 1, 44, 1, 2, 3, 4, 1, 2, 3, 0, 7, 7],
    ];
    hex(&[&fixed.concat()[..], &signer, &[9; 32]].concat())
}

/// The same message with every name that can be compressed.
fn compressed(message: &Message, question: &[u8]) -> (Parsed, Vec<u8>) {
    let parsed = Parsed::from_vec(&message.to(question)).unwrap();
    let bytes = parsed.to_vec().unwrap();
    (parsed, bytes)
}

/// Keeps `bytes`, then asks for `name` as `from`.
fn answered(
    bench: &mut Bench,
    (kept, bytes): (&[u8], &[u8]),
    (from, name, rtype): (&str, &str, &str),
) -> Parsed {
    let wanted = Wanted {
        question: kept.to_vec(),
        ..Wanted::default()
    };
    let answer = Answer::read(bytes, kept).unwrap();
    let now = bench.now;
    bench.pipeline.keep(&wanted, Ok(answer), None, now);
    let Came::Reply(reply) = bench.send(&wire::question(name, rtype), from) else {
        panic!("{name} is kept");
    };
    let reply = Parsed::from_vec(&reply).unwrap();
    assert!(!reply.metadata.truncation && !reply.metadata.authentic_data);
    reply
}

/// The record without its keys; none if it means nothing without them.
fn without_ech(record: &Record) -> Option<Record> {
    let (RData::HTTPS(hickory_proto::rr::rdata::HTTPS(svcb)) | RData::SVCB(svcb)) = &record.data
    else {
        return Some(record.clone());
    };
    let needs = |(_, value): &(SvcParamKey, SvcParamValue)| match value {
        SvcParamValue::Mandatory(keys) => keys.0.contains(&SvcParamKey::EchConfigList),
        _ => false,
    };
    if svcb.svc_params.iter().any(needs) {
        return None;
    }
    let rest = svcb.svc_params.iter();
    let rest = rest.filter(|(key, _)| *key != SvcParamKey::EchConfigList);
    let svcb = SVCB::new(
        svcb.svc_priority,
        svcb.target_name.clone(),
        rest.cloned().collect(),
    );
    let mut record = record.clone();
    record.data = match record.record_type() {
        RecordType::SVCB => RData::SVCB(svcb),
        _ => RData::HTTPS(hickory_proto::rr::rdata::HTTPS(svcb)),
    };
    Some(record)
}

fn is_signature_of_services(record: &Record) -> bool {
    // HTTPS is 65; the type covered stands first.
    let mut bytes = Vec::new();
    let mut encoder = hickory_proto::serialize::binary::BinEncoder::new(&mut bytes);
    hickory_proto::serialize::binary::BinEncodable::emit(&record.data, &mut encoder).unwrap();
    record.record_type() == RecordType::RRSIG && bytes[..2] == [0, 65]
}

///
#[test]
fn keys_are_taken_out_as_a_dull_reader_would() {
    let bench = std::cell::RefCell::new(Bench::new());
    let services = vec(
        (
            parameters(),
            prop::sample::select(vec![".", "t.example", "s.a.example"]),
        ),
        1..4,
    );
    let stripped = std::cell::Cell::new(0);
    let cases = ProptestConfig::with_cases(1000);
    proptest!(cases, |((steps, end) in chain("shop.example"), services in services, signed: bool)| {
        let mut records = steps;
        let signatures = [(5, "shop.example"), (65, &end)];
        for (priority, (parameters, target)) in services.iter().enumerate() {
            // Like records are one record.
            let priority = priority + 1;
            records.push(format!("{end} 300 HTTPS {priority} {target} {parameters}"));
        }
        if signed {
            let rrsig = |(of, owner): &(u16, &str)| format!("{owner} 300 RRSIG {}", signature(*of));
            if records.len() > services.len() {
                records.insert(1, rrsig(&signatures[0]));
            }
            records.push(rrsig(&signatures[1]));
        }
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let message = Message::answering(&records).with(1, &["example 60 NS ns.example"]);
        let question = wire::question_section("shop.example", "HTTPS");
        let (said, bytes) = compressed(&message, &question);
        let dull: Vec<Record> = said.answers.iter().filter_map(without_ech).collect();
        let mut bench = bench.borrow_mut();
        let kept = (&question[..], &bytes[..]);
        let reply = answered(&mut bench, kept, (PUPIL, "shop.example", "HTTPS"));
        if dull == said.answers {
            prop_assert_eq!(&reply.answers, &said.answers);
            prop_assert_eq!(&reply.authorities, &said.authorities);
        } else {
            stripped.set(stripped.get() + 1);
            let unsigned = dull.into_iter().filter(|r| !is_signature_of_services(r));
            let unsigned: Vec<Record> = unsigned.collect();
            let is_left = unsigned.iter().any(|r| r.record_type() == RecordType::HTTPS);
            prop_assert_eq!(&reply.answers, &unsigned);
            prop_assert_eq!(reply.authorities.len(), usize::from(!is_left));
        }
        // Whoever keeps them gets them, of the same kept answer.
        let reply = answered(&mut bench, kept, (STAFF, "shop.example", "HTTPS"));
        prop_assert_eq!(&reply.answers, &said.answers);
    });
    let stripped = stripped.get();
    assert!(stripped > 300, "{stripped}");
    let counted = bench.borrow().pipeline.counters().ech_stripped.value();
    assert!(counted >= stripped, "{counted} {stripped}");
}

/// the asked name, then whatever the safe mode's answer says.
#[test]
fn a_rewritten_answer_is_the_safe_modes_own() {
    const SAFE: &str = "restrict.youtube.com";
    let bench = std::cell::RefCell::new(Bench::new());
    let addresses = btree_map(any::<[u8; 4]>(), 1..400u32, 1..5);
    let name = prop::sample::select(vec!["www.YouTube.com", "m.youtube.com", "youtube.COM"]);
    let cases = ProptestConfig::with_cases(500);
    proptest!(cases, |((steps, end) in chain(SAFE), addresses in addresses, name in name)| {
        let mut records = steps;
        for ([_, b, c, d], ttl) in &addresses {
            records.push(format!("{end} {ttl} A 203.{b}.{c}.{d}"));
        }
        let signed = format!("{end} 60 RRSIG {}", signature(1));
        records.push(signed);
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let message = Message::answering(&records).with(1, &["example 60 NS ns.example"]);
        let question = wire::question_section(SAFE, "A");
        let (said, bytes) = compressed(&message, &question);
        let least = said.answers.iter().map(|r| r.ttl).min().unwrap();
        let mut bench = bench.borrow_mut();
        let reply = answered(&mut bench, (&question, &bytes), (PUPIL, name, "A"));
        let (first, rest) = reply.answers.split_first().unwrap();
        let words = first.to_string();
        let words: Vec<&str> = words.split_whitespace().collect();
        let expected = format!("{name}. {least} IN CNAME {SAFE}.");
        prop_assert_eq!(words.join(" "), expected);
        let unsigned = said.answers.iter().filter(|r| r.record_type() != RecordType::RRSIG);
        let unsigned: Vec<Record> = unsigned.cloned().collect();
        prop_assert_eq!(rest, &unsigned[..]);
        prop_assert!(reply.authorities.is_empty());
    });
}
