//! What hickory's proofs come to.

use hickory_net::{DnsError, NetError};
use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_proto::op::DnsResponse;
use hickory_proto::rr::{RData, Record, RecordType, SerialNumber};

use super::wildcard::is_rightly_expanded;
use crate::dns::reply::ede;

/// One response, judged.
#[derive(Debug)]
pub(super) struct Judged {
    /// What was judged.
    pub(super) response: DnsResponse,
    /// Whether all of it is signed; otherwise it need not be.
    pub(super) is_secure: bool,
}

/// Judges what hickory made of a response; an error is the EDE code of what is
/// wrong with it. `now` is in seconds, as signatures count them.
pub(super) fn judge(result: Result<DnsResponse, NetError>, now: u32) -> Result<Judged, u16> {
    match result {
        Ok(response) => {
            let answers = response.answers.iter().filter(|record| is_data(record));
            let mut about: Vec<&Record> = answers.collect();
            if about.is_empty() {
                let authorities = response.authorities.iter();
                about = authorities.filter(|record| is_data(record)).collect();
            }
            if let Some(bogus) = about.iter().find(|record| record.proof.is_bogus()) {
                return Err(what_is_wrong(bogus, &response, now));
            }
            let is_secure = !about.is_empty() && about.iter().all(|r| r.proof.is_secure());
            Ok(Judged {
                response,
                is_secure,
            })
        }
        Err(NetError::Dns(DnsError::Nsec {
            query,
            response,
            proof,
            ..
        })) => {
            let response = *response;
            let is_secure = is_rightly_expanded(&response, &query);
            if is_secure || proof == Proof::Insecure {
                return Ok(Judged {
                    response,
                    is_secure,
                });
            }
            let all = response.answers.iter().chain(&response.authorities);
            let bogus = all.into_iter().find(|r| is_data(r) && r.proof.is_bogus());
            Err(match bogus {
                Some(bogus) => what_is_wrong(bogus, &response, now),
                None if response.authorities.iter().any(is_denial) => ede::DNSSEC_BOGUS,
                None => ede::NSEC_MISSING,
            })
        }
        Err(_) => Err(ede::NO_REACHABLE_AUTHORITY),
    }
}

/// Signatures are not signed.
fn is_data(record: &Record) -> bool {
    record.record_type() != RecordType::RRSIG
}

fn is_denial(record: &Record) -> bool {
    matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
}

/// The nearest of RFC 8914's codes, where the signatures themselves tell.
fn what_is_wrong(bogus: &Record, response: &DnsResponse, now: u32) -> u16 {
    let all = response.answers.iter().chain(&response.authorities);
    let signatures = all.filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) if record.name == bogus.name => {
            Some(signature)
        }
        _ => None,
    });
    let its_own = |s: &&RRSIG| s.input().type_covered == bogus.record_type();
    let signatures: Vec<&RRSIG> = signatures.filter(its_own).collect();
    let now = SerialNumber::new(now);
    if signatures.is_empty() {
        ede::RRSIGS_MISSING
    } else if signatures.iter().all(|s| s.input().sig_expiration < now) {
        ede::SIGNATURE_EXPIRED
    } else if signatures.iter().all(|s| s.input().sig_inception > now) {
        ede::SIGNATURE_NOT_YET_VALID
    } else {
        ede::DNSSEC_BOGUS
    }
}
