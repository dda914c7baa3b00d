//! Questions and replies as bytes, written by hand: what the server says is not
//! judged with the server's own code.

/// Type A.
pub(crate) const A: u16 = 1;
/// Type TXT.
pub(crate) const TXT: u16 = 16;

/// `name` in wire form, in the case it is given in.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

/// A question with RD and an empty OPT record.
pub(crate) fn question(id: u16, asked: &str, rtype: u16) -> Vec<u8> {
    question_with(id, asked, rtype, &[])
}

/// A question with these EDNS options.
pub(crate) fn question_with(id: u16, asked: &str, rtype: u16, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (code, value) in options {
        data.extend(code.to_be_bytes());
        data.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        data.extend(*value);
    }
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    packet.extend(name(asked));
    packet.extend(rtype.to_be_bytes());
    packet.extend([0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
    packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    packet.extend(data);
    packet
}

/// One record of a reply to be written.
#[derive(Clone)]
pub(crate) struct Rr {
    pub(crate) owner: String,
    pub(crate) rtype: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

impl Rr {
    /// An address.
    pub(crate) fn a(owner: &str, ttl: u32, address: [u8; 4]) -> Self {
        let (owner, data) = (owner.to_owned(), address.to_vec());
        Self {
            owner,
            rtype: A,
            ttl,
            data,
        }
    }

    /// A SOA with this TTL and MINIMUM.
    pub(crate) fn soa(owner: &str, ttl: u32) -> Self {
        let mut data = [name("ns.invalid"), name("root.invalid")].concat();
        for number in [1, 3600, 600, 86400, ttl] {
            data.extend(number.to_be_bytes());
        }
        Self {
            owner: owner.to_owned(),
            rtype: 6,
            ttl,
            data,
        }
    }
}

/// The reply to `question` with a code and records of the answer and the
/// authority section. `flags` are more bits for the third octet (TC is 2).
pub(crate) fn reply(
    question: &[u8],
    flags: u8,
    rcode: u8,
    answer: &[Rr],
    authority: &[Rr],
) -> Vec<u8> {
    let end = question_end(question);
    let count = |records: &[Rr]| u16::try_from(records.len()).unwrap().to_be_bytes();
    let mut packet = question[..2].to_vec();
    packet.extend([0x81 | flags, 0x80 | rcode, 0, 1]);
    packet.extend(count(answer));
    packet.extend(count(authority));
    packet.extend([0, 0]);
    packet.extend(&question[12..end]);
    for record in answer.iter().chain(authority) {
        packet.extend(name(&record.owner));
        packet.extend(record.rtype.to_be_bytes());
        packet.extend([0, 1]);
        packet.extend(record.ttl.to_be_bytes());
        packet.extend(u16::try_from(record.data.len()).unwrap().to_be_bytes());
        packet.extend(&record.data);
    }
    packet
}

/// Where the question section ends.
pub(crate) fn question_end(packet: &[u8]) -> usize {
    skip_name(packet, 12) + 4
}

/// The asked name as it stands, dots between labels.
pub(crate) fn asked_name(packet: &[u8]) -> String {
    let (mut at, mut labels) = (12, Vec::new());
    while packet[at] != 0 {
        let end = at + 1 + usize::from(packet[at]);
        labels.push(String::from_utf8_lossy(&packet[at + 1..end]).into_owned());
        at = end;
    }
    labels.join(".")
}

/// The asked type.
pub(crate) fn asked_type(packet: &[u8]) -> u16 {
    let end = question_end(packet);
    u16::from_be_bytes([packet[end - 4], packet[end - 3]])
}

fn skip_name(packet: &[u8], mut at: usize) -> usize {
    loop {
        match packet[at] {
            0 => return at + 1,
            0xc0.. => return at + 2,
            length => at += 1 + usize::from(length),
        }
    }
}

/// A reply, read.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) id: u16,
    pub(crate) rcode: u8,
    pub(crate) truncated: bool,
    /// AD: every record was checked.
    pub(crate) authentic: bool,
    /// Type, TTL and data of the answer section's records.
    pub(crate) answer: Vec<(u16, u32, Vec<u8>)>,
    /// The extended errors (RFC 8914).
    pub(crate) errors: Vec<u16>,
}

impl Reply {
    /// Reads `packet`, which must be whole.
    pub(crate) fn read(packet: &[u8]) -> Self {
        let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        assert!(packet[2] & 0x80 != 0, "not a reply: {packet:?}");
        let mut at = if number(4) == 1 {
            question_end(packet)
        } else {
            12
        };
        let (mut answer, mut errors) = (Vec::new(), Vec::new());
        let (answers, all) = (number(6), number(6) + number(8) + number(10));
        for index in 0..all {
            at = skip_name(packet, at);
            let (rtype, length) = (number(at), usize::from(number(at + 8)));
            let ttl = u32::from_be_bytes(packet[at + 4..at + 8].try_into().unwrap());
            let data = packet[at + 10..at + 10 + length].to_vec();
            at += 10 + length;
            if index < answers {
                answer.push((rtype, ttl, data));
            } else if rtype == 41 {
                errors = extended_errors(&data);
            }
        }
        assert_eq!(at, packet.len(), "octets behind the last record");
        Self {
            id: number(0),
            rcode: packet[3] & 15,
            truncated: packet[2] & 2 != 0,
            authentic: packet[3] & 0x20 != 0,
            answer,
            errors,
        }
    }

    /// Where the TTLs of `packet` stand; that of an OPT record is none.
    pub(crate) fn ttl_places(packet: &[u8]) -> Vec<usize> {
        let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        let mut at = question_end(packet);
        let mut places = Vec::new();
        for _ in 0..number(6) + number(8) + number(10) {
            at = skip_name(packet, at);
            if number(at) != 41 {
                places.push(at + 4);
            }
            at += 10 + usize::from(number(at + 8));
        }
        places
    }

    /// The addresses in the answer.
    pub(crate) fn addresses(&self) -> Vec<[u8; 4]> {
        let addresses = self.answer.iter().filter(|(rtype, ..)| *rtype == A);
        addresses
            .map(|(_, _, data)| data.as_slice().try_into().unwrap())
            .collect()
    }
}

fn extended_errors(mut options: &[u8]) -> Vec<u16> {
    let mut errors = Vec::new();
    while let [c1, c2, l1, l2, rest @ ..] = options {
        let (value, others) = rest.split_at(usize::from(u16::from_be_bytes([*l1, *l2])));
        if [*c1, *c2] == [0, 15] {
            errors.push(u16::from_be_bytes([value[0], value[1]]));
        }
        options = others;
    }
    errors
}
