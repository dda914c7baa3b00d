//! Putting an answer straight: the records of the chain, in its order, and no
//! others.
//!
//! Some servers send the CNAME behind the address, and a hostile one sends
//! records nobody asked for. hickory-proto reads and writes the message here,
//! because pointers make cutting records out by hand unsafe. It is rare.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, Record, RecordType};

/// Most steps of a chain.
const MAX_CHAIN: usize = 16;

/// The same message with only the chain in its answer section.
#[must_use]
pub(super) fn untangle(message: &[u8]) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(message).ok()?;
    let mut current = message.queries.first()?.name().clone();
    let mut rest = std::mem::take(&mut message.answers);
    let mut chain: Vec<Record> = Vec::new();
    for _ in 0..MAX_CHAIN {
        let (here, others) = rest
            .into_iter()
            .partition(|record: &Record| owns(record, &current));
        rest = others;
        let mut here: Vec<Record> = here;
        // The CNAME leads away, so it comes last; a DNAME stands before the
        // CNAME that was made of it (RFC 6672 section 3.1).
        here.sort_by_key(|record| target(record).is_some());
        let next = here.iter().find_map(target);
        chain.extend(here);
        match next {
            Some(name) => current = name,
            None => break,
        }
    }
    message.answers = chain;
    message.to_vec().ok()
}

fn owns(record: &Record, name: &Name) -> bool {
    record.name == *name
        || (record.record_type() == RecordType::from(39) && record.name.zone_of(name))
}

fn target(record: &Record) -> Option<Name> {
    match &record.data {
        hickory_proto::rr::RData::CNAME(cname) => Some(cname.0.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::super::answer::{Answer, NoAnswer};
    use super::super::read;

    const QUESTION: &[u8] = b"\x01w\x01a\x04test\x00\x00\x01\x00\x01";

    /// A message of records (owner, type, data), TTL 60.
    fn message(records: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let header = [0, 0, 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
        let mut bytes = [&header[..], QUESTION].concat();
        for (owner, rtype, data) in records {
            let fixed = [0, *rtype, 0, 1, 0, 0, 0, 60, 0, data.len() as u8];
            bytes.extend([owner, &fixed[..], data].concat());
        }
        bytes
    }

    #[test]
    fn what_is_out_of_order_is_put_straight_and_strangers_are_left_out() {
        let (www, end) = (
            &b"\x01w\x01a\x04test\x00"[..],
            &b"\x01w\x01b\x04test\x00"[..],
        );
        let cname = (www, 5, end);
        let dname = (&b"\x01a\x04test\x00"[..], 39, &b"\x01b\x04test\x00"[..]);
        let address = (end, 1, &[192, 0, 2, 1][..]);
        let stranger = (&b"\x04bank\x04test\x00"[..], 1, &[192, 0, 2, 66][..]);
        let straight = message(&[dname, cname, address]);
        let types = |answer: &Answer| answer.answers().map(|r| r.rtype).collect::<Vec<_>>();
        let expected = types(&Answer::read(&straight, QUESTION).unwrap());
        for records in [
            [address, stranger, cname, dname],
            [stranger, cname, dname, address],
        ] {
            let tangled = message(&records);
            let refused = Answer::read(&tangled, QUESTION);
            assert_eq!(refused.unwrap_err(), NoAnswer::Tangled);
            let answer = read(&tangled, QUESTION).unwrap();
            assert_eq!(types(&answer), expected);
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_refused(body in vec(any::<u8>(), 0..200), counts: [u8; 3]) {
            let [an, ns, ar] = counts.map(|count| count % 4);
            let header = [0, 0, 0x81, 0x80, 0, 1, 0, an, 0, ns, 0, ar];
            let message = [&header[..], QUESTION, &body].concat();
            let _ = read(&message, QUESTION);
            let _ = super::untangle(&message);
            let _ = super::untangle(&body);
        }
    }
}
