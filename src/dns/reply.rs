//! Question and outcome → the bytes of a reply.
//!
//! Written straight into a buffer that the caller reuses, because this runs for
//! every packet: header, the question in the case it was asked in (0x20), the
//! records, and an OPT record if the client sent one (RFC 6891 section 6.1.1).
//! A reply that would not fit loses its EDE text first, then its records with
//! TC set, so that the client asks again over TCP.
//!
//! It must never set AA or AD on what policy made up (RFC 4035, R-95), and
//! never name a mandatory list or entry.

use std::net::IpAddr;

use super::answer::{Answer, rtype, sane_ttl};
use super::question::{HEADER, IN, OPT, Query, Rcode, Refusal};
use crate::devices::edns;
use crate::policy::decision::Layer;

mod altered;

pub use altered::{rewritten, without_ech};

/// Largest UDP reply whatever the client says (DNS Flag Day 2020).
pub const UDP_MAX: usize = 1232;
/// Largest UDP reply to a client without EDNS (RFC 1035).
const UDP_PLAIN: usize = 512;
/// What this server takes over UDP, as its OPT records say.
const OUR_UDP_SIZE: u16 = 1232;
/// The AD flag.
const AUTHENTIC: u16 = 0x20;

/// What a reply must know of the question.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'q> {
    /// The id to echo.
    pub id: u16,
    /// The question's flags; RD and CD are echoed.
    pub flags: u16,
    /// The question section in the case it was asked in.
    pub question: &'q [u8],
    /// Whether the client speaks EDNS, and with DO.
    pub edns: Option<bool>,
    /// The most bytes the reply may have.
    pub limit: usize,
    /// What the reply carries for its stream's sake.
    pub extras: Extras,
}

/// What a stream's reply carries in its OPT record, because the client asked
/// for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// Whether it is padded, so that its length says nothing of the name.
    pub padded: bool,
    /// For how long the stream may be idle, in tenths of a second (RFC 7828).
    pub keepalive: Option<u16>,
}

/// An Extended DNS Error (RFC 8914).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ede<'t> {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT; the first thing to go when space is short.
    pub text: &'t str,
}

/// The INFO-CODEs in use (RFC 8914 section 4).
pub mod ede {
    #![expect(missing_docs, reason = "the names are the RFC's own")]
    pub const OTHER: u16 = 0;
    pub const STALE_ANSWER: u16 = 3;
    pub const FORGED_ANSWER: u16 = 4;
    pub const DNSSEC_BOGUS: u16 = 6;
    pub const SIGNATURE_EXPIRED: u16 = 7;
    pub const SIGNATURE_NOT_YET_VALID: u16 = 8;
    pub const RRSIGS_MISSING: u16 = 10;
    pub const NSEC_MISSING: u16 = 12;
    pub const CACHED_ERROR: u16 = 13;
    pub const NOT_READY: u16 = 14;
    pub const BLOCKED: u16 = 15;
    pub const CENSORED: u16 = 16;
    pub const PROHIBITED: u16 = 18;
    pub const STALE_NXDOMAIN: u16 = 19;
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    pub const NETWORK_ERROR: u16 = 23;

    /// All of them, rising: what RESINFO says of us (RFC 9606).
    pub const SENT: [u16; 16] = [
        OTHER,
        STALE_ANSWER,
        FORGED_ANSWER,
        DNSSEC_BOGUS,
        SIGNATURE_EXPIRED,
        SIGNATURE_NOT_YET_VALID,
        RRSIGS_MISSING,
        NSEC_MISSING,
        CACHED_ERROR,
        NOT_READY,
        BLOCKED,
        CENSORED,
        PROHIBITED,
        STALE_NXDOMAIN,
        NO_REACHABLE_AUTHORITY,
        NETWORK_ERROR,
    ];

    /// Whether an answer came and its signatures are not in order.
    #[must_use]
    pub fn is_bogus(code: u16) -> bool {
        (DNSSEC_BOGUS..=NSEC_MISSING).contains(&code)
    }
}

/// What a blocked question gets.
#[derive(Debug, Clone, Copy)]
pub enum Blocked<'a> {
    /// "No such name", with a SOA so that routers keep it.
    Nxdomain,
    /// "No such record", with a SOA.
    Nodata,
    /// These addresses where the type fits, else as `Nodata`.
    Addresses(&'a [IpAddr]),
}

/// How TTLs are changed on their way out.
#[derive(Debug, Clone, Copy)]
pub struct Ttl {
    /// Seconds the answer has been kept.
    pub age: u32,
    /// The least a record gets: what stale ones are served with.
    pub least: u32,
    /// The most a record gets: the group's next edge.
    pub most: u32,
}

impl Ttl {
    /// What a record goes out with whose TTL was this.
    #[inline]
    fn of(self, ttl: u32) -> u32 {
        let left = sane_ttl(ttl).saturating_sub(self.age);
        left.max(self.least).min(self.most)
    }
}

impl<'q> Asked<'q> {
    /// Of a question that came over UDP, or over a stream, where a reply may
    /// have any size.
    #[must_use]
    pub fn of(query: &Query<'q>, over_udp: bool) -> Self {
        let edns = query.edns.as_ref();
        let limit = match edns {
            _ if !over_udp => usize::from(u16::MAX),
            Some(edns) => usize::from(edns.udp_size).clamp(UDP_PLAIN, UDP_MAX),
            None => UDP_PLAIN,
        };
        Self {
            id: query.id,
            flags: query.flags,
            question: query.question,
            edns: edns.map(|e| e.dnssec_ok),
            limit,
            extras: Extras::default(),
        }
    }

    /// The asked type.
    fn rtype(&self) -> u16 {
        match self.question {
            [.., a, b, _, _] => u16::from_be_bytes([*a, *b]),
            _ => 0,
        }
    }
}

/// Answers what could not be read as a question: a header alone.
pub fn refuse(refusal: Refusal, out: &mut Vec<u8>) {
    out.clear();
    let flags = 0x8000 | refusal.flags & 0x7900;
    put_header(out, refusal.id, flags, refusal.rcode as u16, [0; 4]);
    if refusal.edns {
        put_opt(out, refusal.rcode as u16, false, None);
    }
}

/// A reply with a code and no records.
pub fn error(asked: &Asked<'_>, rcode: Rcode, why: Option<Ede<'_>>, out: &mut Vec<u8>) {
    begin(asked, rcode as u16, false, out);
    finish(asked, rcode as u16, why, out);
}

/// A policy's answer instead of the name's own.
pub fn blocked(asked: &Asked<'_>, how: Blocked<'_>, ttl: u32, why: Ede<'_>, out: &mut Vec<u8>) {
    let rcode = match how {
        Blocked::Nxdomain => Rcode::NxDomain,
        Blocked::Nodata | Blocked::Addresses(_) => Rcode::NoError,
    };
    begin(asked, rcode as u16, false, out);
    let mut answers: u16 = 0;
    if let Blocked::Addresses(addresses) = how {
        for address in addresses {
            match (address, asked.rtype()) {
                (IpAddr::V4(v4), rtype::A) => put_record(out, rtype::A, ttl, &v4.octets()),
                (IpAddr::V6(v6), rtype::AAAA) => put_record(out, rtype::AAAA, ttl, &v6.octets()),
                _ => continue,
            }
            answers += 1;
        }
    }
    if answers > 0 {
        put_u16(out, 6, answers);
    } else {
        put_soa(out, ttl);
        put_u16(out, 8, 1);
    }
    finish(asked, rcode as u16, Some(why), out);
}

/// An answer that an upstream or a local zone gave.
pub fn answer(
    asked: &Asked<'_>,
    answer: &Answer,
    ttl: Ttl,
    why: Option<Ede<'_>>,
    out: &mut Vec<u8>,
) {
    begin(asked, answer.rcode, answer.authoritative, out);
    // RFC 6840 section 5.8: to those who know what AD is. A stale answer's
    // signatures may have run out.
    let knows = asked.edns == Some(true) || asked.flags & AUTHENTIC != 0;
    if answer.is_secure
        && knows
        && ttl.least == 0
        && let Some(flags) = out.get_mut(3)
    {
        *flags |= AUTHENTIC as u8;
    }
    let question = usize::from(answer.question);
    // Pointers in the records count on a question of this length.
    if question != asked.question.len() {
        return error(asked, Rcode::ServFail, None, out);
    }
    out.extend_from_slice(answer.records());
    for &at in &answer.ttls {
        let at = HEADER + usize::from(at);
        if let Some(field) = out.get_mut(at..).and_then(|t| t.first_chunk_mut::<4>()) {
            *field = ttl.of(u32::from_be_bytes(*field)).to_be_bytes();
        }
    }
    let [answers, authority] = answer.counts;
    put_u16(out, 6, answers);
    put_u16(out, 8, authority);
    finish(asked, answer.rcode, why, out);
}

/// ANY is answered with one made-up record (RFC 8482 section 4.2) that lives
/// `most` seconds or fewer.
pub fn any(asked: &Asked<'_>, most: u32, out: &mut Vec<u8>) {
    const HINFO: u16 = 13;
    begin(asked, Rcode::NoError as u16, false, out);
    put_record(out, HINFO, most.min(3600), b"\x07RFC8482\x00");
    put_u16(out, 6, 1);
    finish(asked, Rcode::NoError as u16, None, out);
}

/// Why policy blocked, in the words a technician sees in `dig`. For the
/// mandatory layer the text is fixed and says nothing of list or entry; for the
/// school's own blocks it is `words`.
#[must_use]
pub fn why_blocked(layer: Layer, words: &str) -> Ede<'_> {
    match layer {
        Layer::Mandatory => Ede {
            code: ede::CENSORED,
            text: "Blocked by law or by order",
        },
        Layer::Canary => Ede {
            code: ede::BLOCKED,
            text: "This network asks devices to use its own DNS",
        },
        Layer::Rebinding => Ede {
            code: ede::BLOCKED,
            text: "A public name with a private address",
        },
        _ => Ede {
            code: ede::BLOCKED,
            text: words,
        },
    }
}

fn begin(asked: &Asked<'_>, rcode: u16, authoritative: bool, out: &mut Vec<u8>) {
    out.clear();
    // QR and RA; RD and CD as asked; AD for what was checked alone, later.
    let mut flags = 0x8080 | asked.flags & 0x0110;
    if authoritative {
        flags |= 0x0400;
    }
    put_header(out, asked.id, flags, rcode, [1, 0, 0, 0]);
    out.extend_from_slice(asked.question);
}

/// Adds the OPT record and sees to it that the reply fits.
fn finish(asked: &Asked<'_>, rcode: u16, why: Option<Ede<'_>>, out: &mut Vec<u8>) {
    let Some(dnssec_ok) = asked.edns else {
        if out.len() > asked.limit {
            truncate(asked, out);
        }
        return;
    };
    let room = asked.limit.saturating_sub(out.len() + OPT_LENGTH);
    let why = why.and_then(|ede| match room {
        _ if room >= 6 + ede.text.len() => Some(ede),
        _ if room >= 6 => Some(Ede { text: "", ..ede }),
        _ => None,
    });
    if out.len() + OPT_LENGTH > asked.limit {
        truncate(asked, out);
    }
    let opt = out.len();
    put_opt(out, rcode, dnssec_ok, why);
    if asked.extras != Extras::default() {
        put_extras(asked, opt, out);
    }
}

const OPT_LENGTH: usize = 11;
/// What a padded reply's length is a multiple of (RFC 8467 section 4.1).
const BLOCK: usize = 468;
/// The code and the length of an option.
const OPTION_HEAD: usize = 4;

/// Adds to the OPT record that begins at `opt` and is the last thing in `out`.
#[inline(never)]
fn put_extras(asked: &Asked<'_>, opt: usize, out: &mut Vec<u8>) {
    if let Some(tenths) = asked.extras.keepalive {
        put_option(out, edns::KEEPALIVE, &tenths.to_be_bytes());
    }
    let unpadded = out.len() + OPTION_HEAD;
    if asked.extras.padded && unpadded <= asked.limit {
        let whole = unpadded.next_multiple_of(BLOCK).min(asked.limit);
        let zeros = [0; BLOCK];
        put_option(
            out,
            edns::PADDING,
            zeros.get(..whole - unpadded).unwrap_or_default(),
        );
    }
    let length = out.len() - opt - OPT_LENGTH;
    put_u16(out, opt + OPT_LENGTH - 2, length as u16);
}

fn put_option(out: &mut Vec<u8>, code: u16, data: &[u8]) {
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

fn truncate(asked: &Asked<'_>, out: &mut Vec<u8>) {
    out.truncate(HEADER + asked.question.len());
    if let Some(flags) = out.get_mut(2) {
        *flags |= 0x02;
    }
    for section in [6, 8, 10] {
        put_u16(out, section, 0);
    }
}

fn put_header(out: &mut Vec<u8>, id: u16, flags: u16, rcode: u16, counts: [u16; 4]) {
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&(flags | rcode & 0x0f).to_be_bytes());
    for count in counts {
        out.extend_from_slice(&count.to_be_bytes());
    }
}

/// The asked name: a pointer to the question.
const ASKED_NAME: [u8; 2] = [0xc0, HEADER as u8];

/// A record owned by the asked name.
fn put_record(out: &mut Vec<u8>, rtype: u16, ttl: u32, data: &[u8]) {
    put_owned(out, &ASKED_NAME, rtype, ttl, data);
}

fn put_owned(out: &mut Vec<u8>, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) {
    out.extend_from_slice(owner);
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&IN.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

/// A SOA whose MINIMUM is the TTL of the block, so that whoever keeps negative
/// answers keeps this one no longer (RFC 2308 section 5).
fn put_soa(out: &mut Vec<u8>, ttl: u32) {
    put_soa_of(out, &ASKED_NAME, ttl);
}

/// The same, owned by the name that a chain has led to.
fn put_soa_of(out: &mut Vec<u8>, owner: &[u8], ttl: u32) {
    const NAMES: &[u8] = b"\x06filter\x07invalid\x00\x0ahostmaster\x06filter\x07invalid\x00";
    let mut data = [0u8; NAMES.len() + 20];
    let (names, numbers) = data.split_at_mut(NAMES.len());
    names.copy_from_slice(NAMES);
    let values = [1, 3600, 600, 86400, ttl];
    for (slot, value) in numbers.chunks_exact_mut(4).zip(values) {
        slot.copy_from_slice(&u32::to_be_bytes(value));
    }
    put_owned(out, owner, rtype::SOA, ttl, &data);
}

fn put_opt(out: &mut Vec<u8>, rcode: u16, dnssec_ok: bool, why: Option<Ede<'_>>) {
    // It is the only additional record.
    put_u16(out, 10, 1);
    out.push(0);
    out.extend_from_slice(&OPT.to_be_bytes());
    out.extend_from_slice(&OUR_UDP_SIZE.to_be_bytes());
    let dnssec = if dnssec_ok { 0x80 } else { 0 };
    out.extend_from_slice(&[(rcode >> 4) as u8, 0, dnssec, 0]);
    let Some(ede) = why else {
        return out.extend_from_slice(&[0, 0]);
    };
    let length = ede.text.len() as u16 + 2;
    out.extend_from_slice(&(length + 4).to_be_bytes());
    out.extend_from_slice(&15u16.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&ede.code.to_be_bytes());
    out.extend_from_slice(ede.text.as_bytes());
}

fn put_u16(out: &mut [u8], at: usize, value: u16) {
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
