//! Bytes → question.
//!
//! [`read`] takes only the plain shape that practically every client sends: one
//! question, no compression in it, at most one OPT record and nothing else.
//! Whatever may be well formed but is not plain is [`Read::Unusual`];
//! [`plain_form`] walks its records and writes the same question in the plain
//! shape, so that there is one reader, one meaning and one answer for both
//! roads.
//!
//! It must never answer a reply (two servers would talk for ever), never panic,
//! and never read past what the packet holds.

use super::answer::Record;
use crate::devices::edns;
use crate::name::{MAX_WIRE, NameRef};

/// Length of a DNS header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;
/// The type of an OPT record (RFC 6891).
pub const OPT: u16 = 41;
/// The class Internet.
pub const IN: u16 = 1;

/// What became of a packet.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack; a box would be an allocation a question"
)]
pub enum Read<'p> {
    /// A question in the plain shape.
    Plain(Query<'p>),
    /// Well formed as far as seen, but not plain: see [`plain_form`].
    Unusual,
    /// To be answered with an error.
    Refuse(Refusal),
    /// To be met with silence: not a question at all.
    Ignore,
}

/// What an error reply to an unreadable question needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The question's id.
    pub id: u16,
    /// The question's flags word; opcode and RD are echoed.
    pub flags: u16,
    /// The response code, extended ones included.
    pub rcode: Rcode,
    /// Whether the reply carries an OPT record.
    pub edns: bool,
}

/// Response codes in use here (RFC 1035, 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

/// One question, read.
#[derive(Debug, Clone)]
pub struct Query<'p> {
    /// The id to echo.
    pub id: u16,
    /// The flags word.
    pub flags: u16,
    /// The question section as it stood: name in the asked case, type, class.
    pub question: &'p [u8],
    /// The asked name in lower case.
    pub name: LowerName,
    /// The asked type.
    pub rtype: u16,
    /// The asked class.
    pub class: u16,
    /// EDNS, if the client speaks it.
    pub edns: Option<Edns<'p>>,
}

/// The OPT record of a question (RFC 6891 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns<'p> {
    /// The largest UDP reply the client takes.
    pub udp_size: u16,
    /// DO: signatures are wanted (RFC 3225).
    pub dnssec_ok: bool,
    /// The options, checked to be whole, not decoded.
    pub options: &'p [u8],
}

/// A name in lower case that needs no allocation.
#[derive(Clone, Copy)]
pub struct LowerName {
    length: u8,
    bytes: [u8; MAX_WIRE],
}

impl LowerName {
    /// Copies the name that begins at `at` and is not compressed.
    fn read(packet: &[u8], at: usize) -> Result<Self, Misread> {
        let mut bytes = [0; MAX_WIRE];
        let mut end = at;
        loop {
            let length = usize::from(*packet.get(end).ok_or(Misread::Malformed)?);
            match length {
                0 => break,
                1..=63 => end += 1 + length,
                // A pointer, which a question may hold by the letter of RFC 1035.
                0xc0.. => return Err(Misread::Compressed),
                _ => return Err(Misread::Malformed),
            }
            if end - at >= MAX_WIRE {
                return Err(Misread::Malformed);
            }
        }
        let raw = packet.get(at..=end).ok_or(Misread::Malformed)?;
        let target = bytes.get_mut(..raw.len()).ok_or(Misread::Malformed)?;
        // Length octets are below 64 and so are never mistaken for letters.
        for (to, from) in target.iter_mut().zip(raw) {
            *to = from.to_ascii_lowercase();
        }
        let length = u8::try_from(raw.len()).map_err(|_| Misread::Malformed)?;
        Ok(Self { length, bytes })
    }

    /// The name of wire bytes, put in lower case; `None` if they are not one.
    #[must_use]
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let name = Self::read(wire, 0).ok()?;
        (usize::from(name.length) == wire.len()).then_some(name)
    }

    /// The wire bytes.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[0])
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> NameRef<'_> {
        NameRef::from_lower_wire(self.wire())
    }
}

impl std::fmt::Debug for LowerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name().fmt(f)
    }
}

enum Misread {
    Malformed,
    Compressed,
}

/// Reads a packet in the plain shape.
#[must_use]
pub fn read(packet: &[u8]) -> Read<'_> {
    let Some(header) = packet.first_chunk::<HEADER>() else {
        return Read::Ignore;
    };
    let [a, b, c, d, q1, q2, an1, an2, ns1, ns2, ar1, ar2] = *header;
    let (id, flags) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if flags & 0x8000 != 0 {
        return Read::Ignore;
    }
    let refuse = |rcode, edns| {
        Read::Refuse(Refusal {
            id,
            flags,
            rcode,
            edns,
        })
    };
    if flags & 0x7800 != 0 {
        return refuse(Rcode::NotImp, false);
    }
    // RFC 9619: a query has one question, no more and no fewer.
    if [q1, q2] != [0, 1] {
        return refuse(Rcode::FormErr, false);
    }
    if [an1, an2, ns1, ns2, ar1] != [0; 5] || ar2 > 1 {
        return Read::Unusual;
    }
    let name = match LowerName::read(packet, HEADER) {
        Ok(name) => name,
        Err(Misread::Compressed) => return Read::Unusual,
        Err(Misread::Malformed) => return refuse(Rcode::FormErr, false),
    };
    let end = HEADER + name.wire().len() + 4;
    let (Some(question), Some(&[.., t1, t2, c1, c2])) =
        (packet.get(HEADER..end), packet.get(..end))
    else {
        return refuse(Rcode::FormErr, false);
    };
    let rest = packet.get(end..).unwrap_or_default();
    let edns = match (ar2, rest) {
        (0, []) => None,
        (1, [0, 0, 41, s1, s2, _, version, z1, _, l1, l2, options @ ..])
            if options.len() == usize::from(u16::from_be_bytes([*l1, *l2])) =>
        {
            // RFC 6891 section 6.1.3: any version but 0 is answered BADVERS.
            if *version != 0 {
                return refuse(Rcode::BadVers, true);
            }
            if edns::check(options).is_err() {
                return refuse(Rcode::FormErr, true);
            }
            Some(Edns {
                udp_size: u16::from_be_bytes([*s1, *s2]),
                dnssec_ok: z1 & 0x80 != 0,
                options,
            })
        }
        _ => return Read::Unusual,
    };
    Read::Plain(Query {
        id,
        flags,
        question,
        name,
        rtype: u16::from_be_bytes([t1, t2]),
        class: u16::from_be_bytes([c1, c2]),
        edns,
    })
}

/// Reads an unusual packet's records and writes its question in the plain
/// shape, or says with which code it is refused.
///
/// The OPT record is copied byte for byte: who asks is read from its options,
/// and a reader that drops, decodes or sorts some of them would see another
/// device than the plain road does. Other records mean nothing to a resolver,
/// nor do bytes behind the last one.
pub fn plain_form(packet: &[u8]) -> Result<Vec<u8>, Rcode> {
    let header = packet.first_chunk::<HEADER>().ok_or(Rcode::FormErr)?;
    let [a, b, c, d, _, _, an1, an2, ns1, ns2, ar1, ar2] = *header;
    // A pointer in the first name could only lead into the header.
    let name = LowerName::read(packet, HEADER).map_err(|_| Rcode::FormErr)?;
    let mut at = HEADER + name.wire().len() + 4;
    let question = packet.get(HEADER..at).ok_or(Rcode::FormErr)?;
    let counts = [[an1, an2], [ns1, ns2], [ar1, ar2]].map(u16::from_be_bytes);
    let mut opt: &[u8] = &[];
    for (section, &count) in counts.iter().enumerate() {
        for _ in 0..count {
            let record = Record::read(packet, at).ok_or(Rcode::FormErr)?;
            let bytes = packet.get(at..record.end).unwrap_or_default();
            at = record.end;
            if record.rtype != OPT {
                continue;
            }
            // RFC 6891 section 6.1.1: at most one, in the additional section,
            // owned by the root.
            if section != 2 || !opt.is_empty() || bytes.first() != Some(&0) {
                return Err(Rcode::FormErr);
            }
            opt = bytes;
        }
    }
    let records = [a, b, c, d, 0, 1, 0, 0, 0, 0, 0, u8::from(!opt.is_empty())];
    Ok([&records, question, opt].concat())
}

impl Query<'_> {
    /// RD: the client wants us to ask on (RFC 1035).
    #[must_use]
    pub fn recursion_desired(&self) -> bool {
        self.flags & 0x0100 != 0
    }

    /// CD: the client checks signatures itself (RFC 4035).
    #[must_use]
    pub fn checking_disabled(&self) -> bool {
        self.flags & 0x0010 != 0
    }

    /// DO: the client wants signatures.
    #[must_use]
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|e| e.dnssec_ok)
    }
}

impl Refusal {
    /// The refusal of a packet whose header at least can be read.
    #[must_use]
    pub fn of(packet: &[u8], rcode: Rcode) -> Option<Self> {
        let [a, b, c, d] = *packet.first_chunk::<4>()?;
        Some(Self {
            id: u16::from_be_bytes([a, b]),
            flags: u16::from_be_bytes([c, d]),
            rcode,
            edns: rcode == Rcode::BadVers,
        })
    }
}

/// Questions no resolver takes: other classes, zone transfers, meta types.
#[must_use]
pub fn not_for_us(query: &Query<'_>) -> Option<Rcode> {
    match (query.class, query.rtype) {
        // A question for an OPT or a signature record has no meaning.
        (_, 0 | 41) => Some(Rcode::FormErr),
        (IN, 249 | 250) => Some(Rcode::NotImp),
        (IN, 251..=254) => Some(Rcode::Refused),
        (IN, _) => None,
        _ => Some(Rcode::Refused),
    }
}
