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
        let here: Vec<Record> = here;
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
