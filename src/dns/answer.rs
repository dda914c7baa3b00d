//! An upstream's answer, read once and kept ready to be sent.
//!
//! Replies are made by copying: the sections behind the question stay as they
//! came, so that unknown types pass through untouched (RFC 3597) and nothing is
//! decoded twice. What is needed later is found in one pass when the answer
//! arrives: where the TTLs stand, how long it may be kept, and which records
//! belong to the chain that leads from the question (RFC 5452 section 6:
//! whatever does not is not answered).
//!
//! The question is stored in front in lower case, so that every compression
//! pointer still points where it did: offset 12 is byte 0 of `bytes`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::question::{HEADER, IN, LowerName, OPT, Rcode};
use crate::name::MAX_WIRE;

/// The types a reader of answers must know (RFC 1035, 3596, 6672, 9460).
pub mod rtype {
    #![expect(missing_docs, reason = "the names are the RFCs' own")]
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const AAAA: u16 = 28;
    pub const DNAME: u16 = 39;
    pub const RRSIG: u16 = 46;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
    pub const ANY: u16 = 255;
}

/// Most CNAME and DNAME steps that are followed; a longer chain is an error.
const MAX_CHAIN: usize = 16;
/// Most records one answer may hold.
const MAX_RECORDS: usize = 2048;

/// An answer, without id, flags and OPT.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Question (lower case), then the records.
    pub bytes: Box<[u8]>,
    /// Length of the question within `bytes`.
    pub question: u16,
    /// The response code.
    pub rcode: u16,
    /// AA, for local records only.
    pub authoritative: bool,
    /// Whether every record of it was checked and is signed.
    pub is_secure: bool,
    /// Records per section: answer, authority.
    pub counts: [u16; 2],
    /// Where in `bytes` each TTL stands.
    pub ttls: Box<[u16]>,
    /// For how many seconds it may be kept (RFC 2308 for negative ones).
    pub lifetime: u32,
    /// What went wrong, for the EDE option (RFC 8914).
    pub error: Option<u16>,
}

/// Why a message is no answer to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Not a whole DNS message.
    Malformed,
    /// TC: ask again over TCP.
    Truncated,
    /// Records that do not belong to the chain, or out of its order.
    Tangled,
    /// A code that says more about the server than about the name.
    Failed(u16),
}

/// One record of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where its owner name begins, as an offset into the answer's bytes.
    pub owner: usize,
    /// Its type.
    pub rtype: u16,
    /// Its class.
    pub class: u16,
    /// Where its TTL stands.
    pub ttl_at: usize,
    /// Its TTL.
    pub ttl: u32,
    /// Where its data begins.
    pub data_at: usize,
    /// Its data.
    pub data: &'a [u8],
    /// Where it ends.
    pub end: usize,
}

impl Answer {
    /// Reads `message`, whose id and question have been compared with what was
    /// asked; `question` is that question.
    pub fn read(message: &[u8], question: &[u8]) -> Result<Self, NoAnswer> {
        let header = message.first_chunk::<HEADER>().ok_or(NoAnswer::Malformed)?;
        let [_, _, f1, f2, q1, q2, an1, an2, ns1, ns2, ar1, ar2] = *header;
        if f1 & 0x80 == 0 || f1 & 0x78 != 0 || [q1, q2] != [0, 1] {
            return Err(NoAnswer::Malformed);
        }
        if f1 & 0x02 != 0 {
            return Err(NoAnswer::Truncated);
        }
        let counts = [[an1, an2], [ns1, ns2], [ar1, ar2]].map(u16::from_be_bytes);
        let bytes = message.get(HEADER..).ok_or(NoAnswer::Malformed)?;
        let mut reader = Reader::new(bytes, question.len());
        let rcode = u16::from(f2 & 0x0f) | reader.read_sections(counts)?;
        reader.check_chain()?;
        if rcode != Rcode::NoError as u16 && rcode != Rcode::NxDomain as u16 {
            return Err(NoAnswer::Failed(rcode));
        }
        reader
            .into_answer(question, rcode)
            .ok_or(NoAnswer::Malformed)
    }

    /// An answer that only says what went wrong; kept for `lifetime` seconds,
    /// so that a line that is down is not asked for every look-up (RFC 9520).
    #[must_use]
    pub fn failure(question: &[u8], error: u16, lifetime: u32) -> Self {
        let mut bytes = question.to_vec();
        lower_name(&mut bytes);
        Self {
            bytes: bytes.into_boxed_slice(),
            question: question.len() as u16,
            rcode: Rcode::ServFail as u16,
            authoritative: false,
            is_secure: false,
            counts: [0; 2],
            ttls: Box::default(),
            lifetime,
            error: Some(error),
        }
    }

    /// Whether it only says what went wrong.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.error.is_some()
    }

    /// The records behind the question.
    #[must_use]
    pub fn records(&self) -> &[u8] {
        self.bytes
            .get(usize::from(self.question)..)
            .unwrap_or_default()
    }

    /// The records of the answer section.
    pub fn answers(&self) -> impl Iterator<Item = Record<'_>> {
        let mut at = usize::from(self.question);
        (0..self.counts[0]).map_while(move |_| {
            let record = Record::read(&self.bytes, at)?;
            at = record.end;
            Some(record)
        })
    }

    /// Whether it has an address, of either kind.
    #[must_use]
    pub fn has_address(&self) -> bool {
        self.answers()
            .any(|record| matches!(record.rtype, rtype::A | rtype::AAAA))
    }

    /// The name that stands at `at`, decompressed and in lower case.
    #[must_use]
    pub fn name_at(&self, at: usize) -> Option<LowerName> {
        name_at(&self.bytes, at)
    }
}

impl<'a> Record<'a> {
    /// The record that begins at `owner`.
    #[must_use]
    pub fn read(bytes: &'a [u8], owner: usize) -> Option<Self> {
        let fixed = skip_name(bytes, owner)?;
        let (head, _) = bytes.get(fixed..)?.split_first_chunk::<10>()?;
        let [t1, t2, c1, c2, l1, l2, l3, l4, d1, d2] = *head;
        let data_at = fixed + 10;
        let end = data_at + usize::from(u16::from_be_bytes([d1, d2]));
        Some(Self {
            owner,
            rtype: u16::from_be_bytes([t1, t2]),
            class: u16::from_be_bytes([c1, c2]),
            ttl_at: fixed + 4,
            ttl: u32::from_be_bytes([l1, l2, l3, l4]),
            data_at,
            data: bytes.get(data_at..end)?,
            end,
        })
    }

    /// The address of an A or AAAA record.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            rtype::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.data).ok()?).into()),
            rtype::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(self.data).ok()?).into()),
            _ => None,
        }
    }
}

/// One pass over a message.
struct Reader<'m> {
    /// Everything behind the header.
    bytes: &'m [u8],
    question: usize,
    counts: [u16; 2],
    ttls: Vec<u16>,
    /// The shortest TTL met so far.
    least: u32,
    /// TTL and MINIMUM of the SOA in the authority section, the smaller one.
    negative: Option<u32>,
    /// Where what is kept ends.
    end: usize,
}

impl<'m> Reader<'m> {
    fn new(bytes: &'m [u8], question: usize) -> Self {
        Self {
            bytes,
            question,
            counts: [0; 2],
            ttls: Vec::new(),
            least: u32::MAX,
            negative: None,
            end: question,
        }
    }

    /// Walks all sections and returns the extended part of the response code.
    /// The additional section is left out: nobody asked for it, nobody checked
    /// it, and an address in it would pass the second look by. Pointers only
    /// lead back, so a cut tail harms nothing.
    fn read_sections(&mut self, counts: [u16; 3]) -> Result<u16, NoAnswer> {
        if counts.iter().map(|c| usize::from(*c)).sum::<usize>() > MAX_RECORDS {
            return Err(NoAnswer::Malformed);
        }
        let (mut at, mut extended) = (self.question, 0);
        let [answers, authority, _] = counts.map(usize::from);
        self.ttls.reserve_exact(answers + authority);
        for (section, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                let record = Record::read(self.bytes, at).ok_or(NoAnswer::Malformed)?;
                at = record.end;
                if record.rtype == OPT {
                    if section != 2 {
                        return Err(NoAnswer::Malformed);
                    }
                    extended = (record.ttl >> 24) as u16;
                } else if section != 2 {
                    let (ttl_at, ttl) = (record.ttl_at, sane_ttl(record.ttl));
                    if section == 1 && record.rtype == rtype::SOA {
                        let minimum = record.data.last_chunk::<4>().copied();
                        let minimum = minimum.map_or(0, u32::from_be_bytes);
                        self.negative = Some(ttl.min(sane_ttl(minimum)));
                    }
                    let ttl_at = u16::try_from(ttl_at).map_err(|_| NoAnswer::Malformed)?;
                    self.ttls.push(ttl_at);
                    self.least = self.least.min(ttl);
                    self.end = at;
                    if let Some(kept) = self.counts.get_mut(section) {
                        *kept += 1;
                    }
                }
            }
        }
        Ok(extended << 4)
    }

    /// Every record of the answer section must be owned by the asked name or
    /// by a name that its CNAMEs and DNAMEs lead to.
    fn check_chain(&self) -> Result<(), NoAnswer> {
        let mut current = name_at(self.bytes, 0).ok_or(NoAnswer::Malformed)?;
        // The names that led here.
        let mut met = Vec::new();
        let (mut at, mut current_at) = (self.question, 0);
        for _ in 0..self.counts[0] {
            let record = Record::read(self.bytes, at).ok_or(NoAnswer::Malformed)?;
            at = record.end;
            // Nearly every owner is a pointer to the name it must be.
            let is_current = pointer_at(self.bytes, record.owner) == Some(current_at);
            if !is_current {
                let owner = name_at(self.bytes, record.owner).ok_or(NoAnswer::Malformed)?;
                let belongs = match record.rtype {
                    rtype::DNAME => current.name().is_within(owner.name()),
                    // Signatures of a DNAME are owned by it.
                    rtype::RRSIG => current.name().is_within(owner.name()) || !met.is_empty(),
                    _ => owner.wire() == current.wire(),
                };
                if !belongs {
                    return Err(NoAnswer::Tangled);
                }
            }
            if record.class != IN {
                return Err(NoAnswer::Tangled);
            }
            if record.rtype == rtype::CNAME {
                let next = name_at(self.bytes, record.data_at).ok_or(NoAnswer::Malformed)?;
                met.push(std::mem::replace(&mut current, next));
                current_at = record.data_at;
                let loops = met.iter().any(|name| name.wire() == current.wire());
                if loops || met.len() > MAX_CHAIN {
                    return Err(NoAnswer::Malformed);
                }
            }
        }
        Ok(())
    }

    /// The answer, with `question` in place of its echo.
    fn into_answer(self, question: &[u8], rcode: u16) -> Option<Answer> {
        let mut bytes: Box<[u8]> = self.bytes.get(..self.end)?.into();
        let asked = bytes.get_mut(..question.len())?;
        asked.copy_from_slice(question);
        lower_name(asked);
        // RFC 2308 section 5: a negative answer lives as long as its SOA says,
        // and without one it is not kept. A SOA behind a chain says that the
        // chain ends in nothing.
        let negative = rcode == Rcode::NxDomain as u16 || self.counts[0] == 0;
        let lifetime = match (negative, self.negative) {
            (_, Some(soa)) => soa.min(self.least),
            (true, None) => 0,
            (false, None) => self.least,
        };
        Some(Answer {
            bytes,
            question: self.question as u16,
            rcode,
            authoritative: false,
            is_secure: false,
            counts: self.counts,
            ttls: self.ttls.into_boxed_slice(),
            lifetime,
            error: None,
        })
    }
}

/// Puts a question's name in lower case, and not the type behind it: that of an
/// HTTPS record is a capital A.
pub(super) fn lower_name(question: &mut [u8]) {
    let end = question.len().saturating_sub(4);
    if let Some(name) = question.get_mut(..end) {
        name.make_ascii_lowercase();
    }
}

/// RFC 2181 section 8: a TTL with the top bit set means zero.
pub(super) fn sane_ttl(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

/// Where the name at `at` ends in place.
pub(super) fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + length,
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// Where the compression pointer at `at` leads, if one stands there.
fn pointer_at(bytes: &[u8], at: usize) -> Option<usize> {
    let word = u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
    (word >= 0xc000).then(|| usize::from(word & 0x3fff).checked_sub(HEADER))?
}

/// The whole name at `at`, pointers followed. Each pointer must lead further
/// back than the last, which ends every loop.
fn name_at(bytes: &[u8], at: usize) -> Option<LowerName> {
    let mut wire = [0u8; MAX_WIRE];
    let (mut length, mut at, mut limit) = (0, at, at);
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => break,
            label @ 1..=63 => {
                let part = bytes.get(at..=at + label)?;
                wire.get_mut(length..)?
                    .get_mut(..part.len())?
                    .copy_from_slice(part);
                length += part.len();
                at += part.len();
            }
            0xc0.. => {
                let target = pointer_at(bytes, at)?;
                if target >= limit {
                    return None;
                }
                (at, limit) = (target, target);
            }
            _ => return None,
        }
    }
    LowerName::from_wire(wire.get(..=length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_kept_under_the_type_that_was_asked() {
        // HTTPS is 65, an A; lower-cased it would be type 97.
        let failure = Answer::failure(b"\x03WWW\x04Test\x00\x00\x41\x00\x01", 22, 5);
        assert_eq!(&*failure.bytes, b"\x03www\x04test\x00\x00\x41\x00\x01");
    }
}
