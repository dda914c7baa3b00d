//! Bytes of packets from words, and words from the bytes of replies.
//!
//! Written apart from the product's own reader and writer, so that neither can
//! hide the other's mistakes.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use schoolgate::querylog::row::{mnemonic, rtype};

/// An upstream's answer without its question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    rcode: u8,
    records: [Vec<Vec<u8>>; 3],
}

/// A reply, as a person would read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `NOERROR rd ra | www.Example A | A 60 192.0.2.1 | | opt 1232`.
    pub(crate) text: String,
    pub(crate) rcode: u16,
    /// Owner, type, TTL and data of the answer section.
    pub(crate) answers: Vec<String>,
    /// Every TTL but that of OPT.
    pub(crate) ttls: Vec<u32>,
    /// INFO-CODE and EXTRA-TEXT.
    pub(crate) ede: Option<(u16, String)>,
}

/// A name on the wire.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|l| !l.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// Name, type and class IN.
pub(crate) fn question_section(text: &str, kind: &str) -> Vec<u8> {
    [
        &name(text)[..],
        &rtype(kind).unwrap().to_be_bytes(),
        &[0, 1],
    ]
    .concat()
}

/// A question with RD and an empty OPT record.
pub(crate) fn question(text: &str, kind: &str) -> Vec<u8> {
    let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let opt = [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0];
    [&header[..], &question_section(text, kind), &opt].concat()
}

/// One record: `www.example 60 A 192.0.2.1`, `x 60 CNAME y`, `x 60 SOA 30`
/// (its MINIMUM), `x 60 HTTPS 1 target KEY=HEX`, `x 60 TYPE999 HEX`.
pub(crate) fn record(text: &str) -> Vec<u8> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [owner, ttl, kind, data @ ..] = &words[..] else {
        panic!("not a record: {text}");
    };
    let data = match (*kind, data) {
        ("A", [ip]) => ip.parse::<Ipv4Addr>().unwrap().octets().to_vec(),
        ("AAAA", [ip]) => ip.parse::<Ipv6Addr>().unwrap().octets().to_vec(),
        ("CNAME" | "DNAME" | "NS", [target]) => name(target),
        ("SOA", [minimum]) => {
            let minimum: u32 = minimum.parse().unwrap();
            let numbers = [1, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
            [name("ns.example"), name("root.example"), numbers].concat()
        }
        ("HTTPS" | "SVCB", [priority, target, keys @ ..]) => {
            let priority: u16 = priority.parse().unwrap();
            let mut data = [&priority.to_be_bytes()[..], &name(target)].concat();
            for key in keys {
                let (key, value) = key.split_once('=').unwrap();
                let value = hex(value);
                data.extend(key.parse::<u16>().unwrap().to_be_bytes());
                data.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
                data.extend(value);
            }
            data
        }
        (_, [data]) => hex(data),
        _ => panic!("not a record: {text}"),
    };
    let mut bytes = name(owner);
    bytes.extend(rtype(kind).unwrap().to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(ttl.parse::<u32>().unwrap().to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    assert_eq!(digits.len() % 2, 0, "{text}");
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

impl Message {
    /// An answer section.
    pub(crate) fn answering(records: &[&str]) -> Self {
        Self::default().with(0, records)
    }

    pub(crate) fn with(mut self, section: usize, records: &[&str]) -> Self {
        self.records[section].extend(records.iter().map(|text| record(text)));
        self
    }

    pub(crate) fn rcode(mut self, rcode: u8) -> Self {
        self.rcode = rcode;
        self
    }

    /// As the answer to `question`.
    pub(crate) fn to(&self, question: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0x81, 0x80 | self.rcode, 0, 1];
        for section in &self.records {
            bytes.extend(u16::try_from(section.len()).unwrap().to_be_bytes());
        }
        bytes.extend_from_slice(question);
        bytes.extend(self.records.iter().flatten().flatten());
        bytes
    }
}

/// Reads a reply from its front to its end.
struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.bytes[self.at..self.at + N].try_into().unwrap();
        self.at += N;
        taken
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn name(&mut self) -> String {
        let (mut text, mut at, mut jumped) = (String::new(), self.at, false);
        loop {
            match self.bytes[at] {
                0 => {
                    at += 1;
                    break;
                }
                high @ 0xc0.. => {
                    let target = usize::from(high & 0x3f) << 8 | usize::from(self.bytes[at + 1]);
                    assert!(target < at, "a pointer leads back");
                    self.at = if jumped { self.at } else { at + 2 };
                    (at, jumped) = (target, true);
                }
                length => {
                    let end = at + 1 + usize::from(length);
                    text.push_str(&String::from_utf8_lossy(&self.bytes[at + 1..end]));
                    text.push('.');
                    at = end;
                }
            }
        }
        self.at = if jumped { self.at } else { at };
        text
    }
}

impl Seen {
    pub(crate) fn of(reply: &[u8]) -> Self {
        let mut cursor = Cursor {
            bytes: reply,
            at: 0,
        };
        assert_eq!(cursor.short(), 0x1234, "the id is echoed");
        let flags = cursor.short();
        let counts = [
            cursor.short(),
            cursor.short(),
            cursor.short(),
            cursor.short(),
        ];
        assert_ne!(flags & 0x8000, 0, "QR");
        let mut text = String::new();
        for (bit, word) in [
            (0x0400, "aa"),
            (0x0200, "tc"),
            (0x0100, "rd"),
            (0x0080, "ra"),
            (0x0040, "z"),
            (0x0020, "ad"),
            (0x0010, "cd"),
        ] {
            if flags & bit != 0 {
                write!(text, " {word}").unwrap();
            }
        }
        let opcode = flags >> 11 & 0xf;
        if opcode != 0 {
            write!(text, " opcode {opcode}").unwrap();
        }
        text.push_str(" |");
        for _ in 0..counts[0] {
            let name = cursor.name();
            let (kind, class) = (cursor.short(), cursor.short());
            write!(text, " {name} {}", mnemonic(kind)).unwrap();
            if class != 1 {
                write!(text, " class {class}").unwrap();
            }
        }
        let mut seen = Self {
            text,
            rcode: flags & 0xf,
            answers: Vec::new(),
            ttls: Vec::new(),
            ede: None,
        };
        for (section, count) in counts.iter().enumerate().skip(1) {
            seen.text.push_str(" |");
            for _ in 0..*count {
                seen.record(&mut cursor, section);
            }
        }
        assert_eq!(cursor.at, reply.len(), "nothing behind the last record");
        let rcode = match seen.rcode {
            0 => "NOERROR".to_owned(),
            1 => "FORMERR".to_owned(),
            2 => "SERVFAIL".to_owned(),
            3 => "NXDOMAIN".to_owned(),
            4 => "NOTIMP".to_owned(),
            5 => "REFUSED".to_owned(),
            16 => "BADVERS".to_owned(),
            other => other.to_string(),
        };
        let text = format!("{rcode}{}", seen.text);
        text.trim_end().clone_into(&mut seen.text);
        seen
    }

    fn record(&mut self, cursor: &mut Cursor<'_>, section: usize) {
        let owner = cursor.name();
        let (kind, class) = (cursor.short(), cursor.short());
        let ttl = u32::from_be_bytes(cursor.take());
        let length = usize::from(cursor.short());
        let end = cursor.at + length;
        if kind == 41 {
            assert_eq!((&*owner, section), ("", 3));
            self.rcode |= (ttl >> 24 << 4) as u16;
            write!(self.text, " opt {class}").unwrap();
            if ttl & 0x8000 != 0 {
                self.text.push_str(" do");
            }
            while cursor.at < end {
                let (code, length) = (cursor.short(), usize::from(cursor.short()));
                assert_eq!(code, 15, "EDE alone");
                let info = cursor.short();
                let words = &cursor.bytes[cursor.at..cursor.at + length - 2];
                let words = String::from_utf8(words.to_vec()).unwrap();
                cursor.at += length - 2;
                write!(self.text, " ede {info} {words:?}").unwrap();
                self.ede = Some((info, words));
            }
            return;
        }
        assert_eq!(class, 1);
        let data = match kind {
            1 => Ipv4Addr::from(cursor.take::<4>()).to_string(),
            28 => Ipv6Addr::from(cursor.take::<16>()).to_string(),
            5 | 12 | 39 | 2 => cursor.name(),
            6 => {
                let (mname, _) = (cursor.name(), cursor.name());
                cursor.at += 16;
                format!("{mname} minimum {}", u32::from_be_bytes(cursor.take()))
            }
            _ => {
                let bytes = &cursor.bytes[cursor.at..end];
                cursor.at = end;
                bytes.iter().fold(String::new(), |mut text, byte| {
                    write!(text, "{byte:02x}").unwrap();
                    text
                })
            }
        };
        assert_eq!(cursor.at, end, "data as long as it says");
        self.ttls.push(ttl);
        let words = format!("{owner} {ttl} {} {data}", mnemonic(kind));
        write!(self.text, " {words};").unwrap();
        if section == 1 {
            self.answers.push(words);
        }
    }
}
