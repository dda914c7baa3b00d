//! Whether an answer was rightly made of a wildcard (RFC 4035 section 5.3.4).
//!
//! hickory takes a true one for bogus where the proof is the wildcard's own
//! NSEC record, which is the common case: it looks for a proof that the
//! wildcard does not exist. So what it refuses is looked at once more here, by
//! its own word on which records are signed.

use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, RRSIG};
use hickory_proto::op::{DnsResponse, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Whether every record answers `query`, is signed as part of a wildcard, and
/// nothing nearer to the asked name exists.
pub(super) fn is_rightly_expanded(response: &DnsResponse, query: &Query) -> bool {
    let name = query.name();
    let answers = response.answers.iter();
    let mut data = answers.filter(|r| r.record_type() != RecordType::RRSIG);
    let is_answer = |record: &Record| {
        let kind = record.record_type();
        let answers = kind == query.query_type() || kind == RecordType::CNAME;
        answers && record.name == *name && record.proof.is_secure()
    };
    if response.metadata.response_code != ResponseCode::NoError || !data.all(is_answer) {
        return false;
    }
    response
        .answers
        .iter()
        .filter_map(signature)
        .any(|signature| is_proved(name, signature, response))
}

/// The signature by which a record was found to be signed.
fn signature(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) if record.proof.is_secure() => Some(signature),
        _ => None,
    }
}

/// Whether an NSEC record of the same zone stands around the name, and shares
/// no more of it than the wildcard does.
fn is_proved(name: &Name, signature: &RRSIG, response: &DnsResponse) -> bool {
    let (zone, shared) = (
        &signature.input().signer_name,
        usize::from(signature.input().num_labels),
    );
    shared < usize::from(name.num_labels())
        && response.authorities.iter().any(|record| {
            let RData::DNSSEC(DNSSECRData::NSEC(nsec)) = &record.data else {
                return false;
            };
            let next = nsec.next_domain_name();
            record.proof.is_secure()
                && zone.zone_of(&record.name)
                && stands_around(name, &record.name, nsec)
                && in_common(name, &record.name) <= shared
                && in_common(name, next) <= shared
        })
}

fn stands_around(name: &Name, owner: &Name, nsec: &NSEC) -> bool {
    // RFC 6840 section 4.1: that of a delegation says nothing of what is below.
    let types = nsec.type_set();
    let delegates = types.contains(RecordType::NS) && !types.contains(RecordType::SOA);
    if owner.zone_of(name) && (delegates || types.contains(RecordType::DNAME)) {
        return false;
    }
    let next = nsec.next_domain_name();
    let is_last = next <= owner;
    name > owner && (name < next || is_last && next.zone_of(name))
}

/// How many labels two names share, counted from the root.
fn in_common(one: &Name, other: &Name) -> usize {
    let labels = one.iter().rev().zip(other.iter().rev());
    labels
        .take_while(|(one, other)| one.eq_ignore_ascii_case(other))
        .count()
}
