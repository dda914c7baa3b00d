//! One case: the answer is checked link by link, as a chain of CNAMEs leads.
//!
//! Each link is a question of its own, because hickory proves what a response
//! says about the asked name only, and not that a chain ends in nothing. The
//! answer is put together from what was checked.

use hickory_net::dnssec::DnssecDnsHandle;
use hickory_net::runtime::{Time, TokioTime};
use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_proto::op::{DnsRequestOptions, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::inquirer::Inquirer;
use super::judge::{Judged, judge};
use super::{Examined, Verdict};
use crate::dns::pipeline::Wanted;
use crate::dns::reply::ede;

/// Most steps of a chain.
const MAX_CHAIN: usize = 16;

type Handle = DnssecDnsHandle<Inquirer>;

/// Asks, checks, and puts the answer together.
pub(super) async fn examine(handle: &Handle, inquirer: &Inquirer, wanted: &Wanted) -> Verdict {
    let before = inquirer.failures();
    let verdict = follow(handle, inquirer, wanted).await;
    match verdict {
        // What could not be fetched proves nothing.
        Err(code) if ede::is_bogus(code) && inquirer.failures() != before => {
            Err(ede::NO_REACHABLE_AUTHORITY)
        }
        verdict => verdict,
    }
}

async fn follow(handle: &Handle, inquirer: &Inquirer, wanted: &Wanted) -> Verdict {
    let mut name = read_name(wanted.name()).ok_or(ede::OTHER)?;
    let rtype = RecordType::from(wanted.rtype());
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.add_query(Query::query(name.clone(), rtype));
    let mut is_secure = true;
    for _ in 0..MAX_CHAIN {
        let raw = inquirer.ask(&name, rtype).await?;
        let Some(link) = Link::of(&raw.answers, &name, rtype) else {
            let last = check(handle, &name, rtype).await?;
            is_secure &= last.is_secure;
            let mut response = last.response.into_message();
            message.metadata.response_code = response.metadata.response_code;
            message.answers.append(&mut response.answers);
            message.authorities.append(&mut response.authorities);
            let message = finish(message, wanted).ok_or(ede::OTHER)?;
            return Ok(Examined { message, is_secure });
        };
        let (owner, kind) = match &link {
            Link::Alias => (name.clone(), RecordType::CNAME),
            Link::Subtree(owner) => (owner.clone(), RecordType::DNAME),
        };
        let checked = check(handle, &owner, kind).await?;
        is_secure &= checked.is_secure;
        let mut response = checked.response.into_message();
        let next = link.target(&response.answers, &name).ok_or(ede::OTHER)?;
        // The proof that a wildcard was rightly used goes with it.
        message.authorities.append(&mut response.authorities);
        let ttl = response.answers.iter().map(|r| r.ttl).min().unwrap_or(0);
        message.answers.append(&mut response.answers);
        if let Link::Subtree(_) = link {
            // Made of the DNAME, and so not signed (RFC 6672 section 5.3.1).
            let alias = RData::CNAME(CNAME(next.clone()));
            message.add_answer(Record::from_rdata(name, ttl, alias));
        }
        name = next;
    }
    Err(ede::OTHER)
}

async fn check(handle: &Handle, name: &Name, rtype: RecordType) -> Result<Judged, u16> {
    let query = Query::query(name.clone(), rtype);
    let result = handle.lookup(query, DnsRequestOptions::default());
    judge(
        result.first_answer().await,
        TokioTime::current_time() as u32,
    )
}

/// How an answer leads on from a name.
enum Link {
    /// By the CNAME it has.
    Alias,
    /// By the DNAME of a name above.
    Subtree(Name),
}

impl Link {
    fn of(answers: &[Record], name: &Name, rtype: RecordType) -> Option<Self> {
        if matches!(rtype, RecordType::CNAME | RecordType::ANY) {
            return None;
        }
        let above = answers.iter().find(|record| {
            record.record_type() == RecordType::DNAME
                && record.name != *name
                && record.name.zone_of(name)
        });
        if let Some(above) = above.filter(|_| rtype != RecordType::DNAME) {
            return Some(Self::Subtree(above.name.clone()));
        }
        let has_alias = answers
            .iter()
            .any(|record| record.record_type() == RecordType::CNAME && record.name == *name);
        has_alias.then_some(Self::Alias)
    }

    /// Where it leads, by what was checked.
    fn target(&self, answers: &[Record], name: &Name) -> Option<Name> {
        match self {
            Self::Alias => answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == *name => Some(target.0.clone()),
                _ => None,
            }),
            Self::Subtree(owner) => {
                let found = answers.iter().find_map(|record| match &record.data {
                    RData::Unknown { code, rdata }
                        if *code == RecordType::DNAME && record.name == *owner =>
                    {
                        read_name(&rdata.anything)
                    }
                    _ => None,
                })?;
                let kept = usize::from(name.num_labels() - owner.num_labels());
                let labels = name.iter().take(kept).chain(found.iter());
                Name::from_labels(labels).ok()
            }
        }
    }
}

/// The message for whoever asked: without signatures and proofs if they were
/// not wanted (RFC 4035 section 3.2.1).
fn finish(mut message: Message, wanted: &Wanted) -> Option<Vec<u8>> {
    let asked = RecordType::from(wanted.rtype());
    let is_proof = |kind| {
        matches!(
            kind,
            RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3
        )
    };
    if !wanted.dnssec_ok {
        let stays = |record: &Record| {
            let kind = record.record_type();
            kind == asked || !is_proof(kind)
        };
        message.answers.retain(stays);
        message.authorities.retain(stays);
    }
    message.to_vec().ok()
}

fn read_name(wire: &[u8]) -> Option<Name> {
    Name::read(&mut BinDecoder::new(wire)).ok()
}
