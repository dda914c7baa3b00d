//! What holds for any bytes: both readers agree, and nothing panics.

use hickory_proto::op::Message;
use proptest::collection::vec;
use proptest::prelude::*;
use schoolgate::dns::answer::Answer;
use schoolgate::dns::question::{Read, plain_form, read};

use super::bench::{Bench, Came};
use super::wire;

/// Option codes that say who asks, and any others.
fn code() -> impl Strategy<Value = u16> {
    prop_oneof![
        prop::sample::select(vec![3, 5, 8, 10, 12, 15, 20292, 65001, 65073, 65074]),
        any::<u16>()
    ]
}

/// Options that are whole, with any contents.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let option = (code(), vec(any::<u8>(), 0..24)).prop_map(|(code, data)| {
        let length = u16::try_from(data.len()).unwrap();
        [&code.to_be_bytes()[..], &length.to_be_bytes(), &data].concat()
    });
    vec(option, 0..4).prop_map(|options| options.concat())
}

/// A name of a few labels of any bytes; some are listed.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let label = vec(any::<u8>(), 1..20).prop_map(|label| {
        let length = u8::try_from(label.len()).unwrap();
        [&[length][..], &label].concat()
    });
    let listed = [
        "adult.example",
        "bets.example",
        "localhost",
        "illegal.example",
    ];
    let end = prop::sample::select(listed.to_vec()).prop_map(wire::name);
    let end = prop_oneof![end, Just(vec![0])];
    (vec(label, 0..6), end).prop_map(|(labels, end)| [labels.concat(), end].concat())
}

/// A question in the plain shape.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let opt = (
        any::<u16>(),
        prop::sample::select(vec![0, 0, 0, 1]),
        any::<u8>(),
        options(),
    );
    let opt = opt.prop_map(|(size, version, flags, options)| {
        let length = u16::try_from(options.len()).unwrap();
        let head = [
            &[0, 0, 41][..],
            &size.to_be_bytes(),
            &[0, version, flags, 0],
        ]
        .concat();
        [head, length.to_be_bytes().to_vec(), options].concat()
    });
    let rtype = prop_oneof![prop::sample::select(vec![1, 28, 65, 255]), any::<u16>()];
    let class = prop::sample::select(vec![1, 1, 1, 3]);
    let head = (0u8..8, any::<u8>(), name(), rtype, class);
    (head, prop::option::of(opt)).prop_map(|((f1, f2, name, rtype, class), opt)| {
        let count = u8::from(opt.is_some());
        let header = [0x12, 0x34, f1, f2, 0, 1, 0, 0, 0, 0, 0, count];
        let tail = [rtype.to_be_bytes(), u16::to_be_bytes(class)].concat();
        [&header[..], &name, &tail, &opt.unwrap_or_default()].concat()
    })
}

fn reply(bench: &mut Bench, packet: &[u8], from: &str) -> Option<Vec<u8>> {
    match bench.send(packet, from) {
        Came::Reply(reply) => Some(reply),
        Came::Asked(pending) => Some(format!("{:?}", pending.wanted()).into_bytes()),
        Came::Silence => None,
    }
}

/// The same packet made unusual: bytes behind its end.
fn unusual(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet.extend([0xff, 0, 41]);
    packet
}

/// Promise 8: the same bytes get the same answer by both roads; and an
/// independent reader, hickory's, sees the same question in them.
#[test]
fn both_readers_agree() {
    let bench = std::cell::RefCell::new(Bench::new());
    proptest!(ProptestConfig::with_cases(2000), |(packet in plain())| {
        let normal = plain_form(&packet).unwrap();
        prop_assert_eq!(format!("{:?}", read(&packet)), format!("{:?}", read(&normal)));
        let mut bench = bench.borrow_mut();
        for from in ["10.1.0.7", "10.0.0.1"] {
            let first = reply(&mut bench, &packet, from);
            prop_assert_eq!(&first, &reply(&mut bench, &normal, from));
            prop_assert_eq!(&first, &reply(&mut bench, &unusual(&packet), from));
        }
        if let (Read::Plain(query), Ok(other)) = (read(&packet), Message::from_vec(&packet)) {
            let question = &other.queries[0];
            prop_assert_eq!(query.id, other.metadata.id);
            prop_assert_eq!(query.rtype, u16::from(question.query_type()));
            prop_assert_eq!(query.class, u16::from(question.query_class()));
            let labels: Vec<u8> = question.name().iter().flatten().copied().collect();
            let ours: Vec<u8> = query.name.name().labels().flatten().copied().collect();
            prop_assert_eq!(labels.to_ascii_lowercase(), ours);
            let edns = other.edns.as_ref();
            prop_assert_eq!(query.edns.is_some(), edns.is_some());
            prop_assert_eq!(query.dnssec_ok(), edns.is_some_and(|e| e.flags().dnssec_ok));
        }
    });
}

/// Promise 9: any bytes, from a client or a router; what looks like a question
/// gets a whole reply or is asked on.
#[test]
fn no_packet_makes_it_panic() {
    let bench = std::cell::RefCell::new(Bench::new());
    let headed =
        (vec(any::<u8>(), 4), vec(any::<u8>(), 0..80), 0u8..3).prop_map(|(ids, rest, n)| {
            [&ids[..2], &[1, 0, 0, 1, 0, 0, 0, n & 1, 0, n], &rest].concat()
        });
    // A plain question, with some bytes changed or cut.
    let bent = (
        plain(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        any::<bool>(),
    )
        .prop_map(|(mut packet, at, byte, cut)| {
            let at = at.index(packet.len());
            packet[at] = byte;
            packet.truncate(if cut { at } else { packet.len() });
            packet
        });
    let any_bytes = prop_oneof![vec(any::<u8>(), 0..600), headed, bent];
    proptest!(ProptestConfig::with_cases(4000), |(packet in any_bytes)| {
        let mut bench = bench.borrow_mut();
        for from in ["10.1.0.7", "10.0.0.1", "192.0.2.1"] {
            if let Came::Reply(reply) = bench.send(&packet, from) {
                prop_assert!(reply.len() >= 12 && reply.len() <= 1232);
                prop_assert_eq!(&reply[..2], &packet[..2]);
                prop_assert_eq!(reply[2] & 0x80, 0x80);
            }
        }
    });
}

/// Any bytes as an upstream's message: read, looked at, kept and sent.
#[test]
fn no_answer_makes_it_panic() {
    let bench = std::cell::RefCell::new(Bench::new());
    let pointer = (0u8..0x40, any::<u8>()).prop_map(|(high, low)| vec![0xc0 | (high % 2), low]);
    let owner = prop_oneof![Just(vec![0xc0, 12]), pointer, name()];
    let rtype = prop::sample::select(vec![1u16, 5, 6, 28, 39, 41, 46, 64, 65, 65280]);
    let data = prop_oneof![vec(any::<u8>(), 0..40), name(), Just(vec![192, 0, 2, 1])];
    let record = (owner, rtype, any::<u32>(), data).prop_map(|(owner, rtype, ttl, data)| {
        let length = u16::try_from(data.len()).unwrap();
        let fixed = [&rtype.to_be_bytes()[..], &[0, 1], &ttl.to_be_bytes()].concat();
        [&owner[..], &fixed, &length.to_be_bytes(), &data].concat()
    });
    let records = vec(record, 0..6).prop_map(|records| (records.len(), records.concat()));
    let bytes = vec(any::<u8>(), 0..120).prop_map(|bytes| (3, bytes));
    let body = prop_oneof![records, bytes];
    let head = (0u8..16, 0u8..8, 0u8..4, 0u8..3);
    proptest!(ProptestConfig::with_cases(4000), |((rcode, an, ns, ar) in head, (count, body) in body)| {
        let mut bench = bench.borrow_mut();
        let question = wire::question_section("x.example", "A");
        let an = if rcode < 4 { count as u8 } else { an };
        let header = [0, 0, 0x81, 0x80 | (rcode % 6), 0, 1, 0, an, 0, ns, 0, ar];
        let message = [&header[..], &question, &body].concat();
        let Came::Asked(pending) = bench.send(&wire::question("x.example", "A"), "10.1.0.7") else {
            bench.wait(90_000);
            return Ok(());
        };
        let _ = Answer::read(&body, &question);
        if let Ok(answer) = Answer::read(&message, &question) {
            for record in answer.answers() {
                prop_assert!(answer.name_at(record.owner).is_some());
            }
            let mut out = Vec::new();
            let outcome = schoolgate::dns::pipeline::Outcome::Answered(&answer, None);
            let now = bench.now;
            bench.pipeline.finish(&pending, &outcome, now, &mut out);
            prop_assert!(out.len() >= 12 && out.len() <= 1232);
            bench.pipeline.keep(&pending.wanted(), Ok(answer), None, now);
        }
    });
}
