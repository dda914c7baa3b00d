//! One domain name, in the one form that lists, policy, queries and logs share.
//!
//! A name is its uncompressed wire form (RFC 1035 section 3.1) in lower case,
//! root label included: bytes, because a query may hold any octet and a walk
//! over labels must not parse text. Text comes in through [`Name::parse`],
//! which maps by UTS 46 and refuses whatever is not a host name, so that a list
//! line, a policy and a question that mean the same name are the same bytes.
//!
//! It must never accept a name that is not in the text it was given, and no
//! input may make it panic.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest wire form, root label included (RFC 1035 section 2.3.4).
pub const MAX_WIRE: usize = 255;
/// Most labels a name of [`MAX_WIRE`] bytes can have, root not counted.
pub const MAX_LABELS: usize = 127;

/// An owned name: lower-case wire form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// A borrowed name: the same bytes, somewhere else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameRef<'a>(&'a [u8]);

/// Why a text is not a domain name that can be listed or put in a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between the dots, or nothing at all.
    #[error("empty label")]
    EmptyLabel,
    /// One label only: it would cover a whole top-level domain.
    #[error("single label")]
    SingleLabel,
    /// A label over 63 bytes or a name over 255.
    #[error("name or label too long")]
    TooLong,
    /// A character no host name has.
    #[error("bad character {0:?}")]
    BadCharacter(char),
    /// A label that begins or ends with a hyphen.
    #[error("label begins or ends with a hyphen")]
    EdgeHyphen,
    /// A last label that no top-level domain can be.
    #[error("impossible top-level domain")]
    ImpossibleTld,
    /// An `xn--` label that does not decode (RFC 5891).
    #[error("bad punycode")]
    BadPunycode,
    /// An address.
    #[error("IP where name expected")]
    Address,
    /// A URL; only the `urls` format takes them.
    #[error("URL, not a name")]
    Url,
    /// A port behind the name.
    #[error("port behind a name")]
    Port,
    /// A `*` that is not the whole first label.
    #[error("wildcard only as first label")]
    Wildcard,
}

impl Name {
    /// Reads a host name of at least two labels as people write it.
    ///
    /// One trailing dot is dropped, the rest is mapped by UTS 46 (lower case,
    /// full-width forms, A-labels; `ß` stays its own letter).
    ///
    /// ```
    /// # use schoolgate::name::{Name, NameError};
    /// assert_eq!(Name::parse("Müller.com.")?.to_string(), "xn--mller-kva.com");
    /// assert_eq!(Name::parse("com"), Err(NameError::SingleLabel));
    /// # Ok::<(), NameError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match Self::parse_any_depth(text) {
            Ok(name) if name.as_ref().label_count() >= 2 => Ok(name),
            Ok(_) => Err(NameError::SingleLabel),
            Err(NameError::ImpossibleTld) if !text.trim_end_matches('.').contains('.') => {
                Err(NameError::SingleLabel)
            }
            Err(other) => Err(other),
        }
    }

    /// As [`Name::parse`], but a single label is a name too: `lan`, or a
    /// top-level domain that somebody means to cover whole.
    pub fn parse_any_depth(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(NameError::Address);
        }
        if text.contains("://") || text.contains('/') {
            return Err(NameError::Url);
        }
        if text.contains('*') {
            return Err(NameError::Wildcard);
        }
        if let Some((_, port)) = text.rsplit_once(':')
            && !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
        {
            return Err(NameError::Port);
        }
        if is_plain(text) {
            return Self::from_ascii(text);
        }
        let mapped = Uts46::new()
            .to_ascii(
                text.as_bytes(),
                AsciiDenyList::EMPTY,
                Hyphens::Allow,
                DnsLength::Ignore,
            )
            .map_err(|_| why_unmappable(text))?;
        Self::from_ascii(mapped.strip_suffix('.').unwrap_or(&mapped))
    }

    /// Takes lower-case or upper-case wire bytes, uncompressed, ending in the
    /// root label. `None` if they are not one whole name.
    #[must_use]
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        NameRef::from_wire(wire)?;
        Some(Self(wire.to_ascii_lowercase().into_boxed_slice()))
    }

    /// The borrowed form.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// Host-name rules on mapped ASCII text. The underscore is let through:
    /// published lists and DKIM-style owners have it.
    fn from_ascii(text: &str) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut last = "";
        for label in text.split('.') {
            if label.is_empty() {
                return Err(NameError::EmptyLabel);
            }
            let length = u8::try_from(label.len()).map_err(|_| NameError::TooLong)?;
            if length > 63 {
                return Err(NameError::TooLong);
            }
            if let Some(bad) = label.chars().find(|c| !is_host_character(*c)) {
                return Err(NameError::BadCharacter(bad));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(NameError::EdgeHyphen);
            }
            wire.push(length);
            wire.extend(label.bytes().map(|b| b.to_ascii_lowercase()));
            last = label;
        }
        wire.push(0);
        if wire.len() > MAX_WIRE {
            return Err(NameError::TooLong);
        }
        if !can_be_top_level(last) {
            return Err(NameError::ImpossibleTld);
        }
        Ok(Self(wire.into_boxed_slice()))
    }
}

/// A pure ASCII name without an A-label needs no mapping, and most do not.
fn is_plain(text: &str) -> bool {
    text.is_ascii()
        && !text
            .as_bytes()
            .windows(4)
            .any(|w| w.eq_ignore_ascii_case(b"xn--"))
}

fn why_unmappable(text: &str) -> NameError {
    let stranger = text
        .chars()
        .find(|c| c.is_ascii() && *c != '.' && !is_host_character(*c));
    stranger.map_or(NameError::BadPunycode, NameError::BadCharacter)
}

fn is_host_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// A top-level domain has two letters or more, or is an A-label (RFC 3696
/// section 2; ICANN has delegated none with a digit).
fn can_be_top_level(label: &str) -> bool {
    let a_label = label
        .get(..4)
        .is_some_and(|p| p.eq_ignore_ascii_case("xn--"));
    (a_label && label.len() > 4)
        || (label.len() >= 2 && label.bytes().all(|b| b.is_ascii_alphabetic()))
}

impl<'a> NameRef<'a> {
    /// Takes wire bytes that are one whole uncompressed name, in whatever case.
    /// Names compare by bytes, so callers give lower case.
    #[must_use]
    pub fn from_wire(wire: &'a [u8]) -> Option<Self> {
        let mut at = 0;
        loop {
            let length = usize::from(*wire.get(at)?);
            if length > 63 {
                return None;
            }
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
        (at == wire.len() && at <= MAX_WIRE).then_some(Self(wire))
    }

    /// The wire bytes, root label included.
    #[must_use]
    pub fn wire(self) -> &'a [u8] {
        self.0
    }

    /// The labels, first one first, root left out.
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            if length == 0 {
                return None;
            }
            let (label, after) = tail.split_at_checked(usize::from(length))?;
            rest = after;
            Some(label)
        })
    }

    /// This name, then each ancestor down to (not including) the root.
    pub fn suffixes(self) -> impl Iterator<Item = NameRef<'a>> {
        std::iter::successors(Some(self), |n| n.parent()).take_while(|n| n.0.len() > 1)
    }

    /// The name without its first label; none above the root.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let (&length, tail) = self.0.split_first()?;
        if length == 0 {
            return None;
        }
        tail.get(usize::from(length)..).map(NameRef)
    }

    /// How many labels, root not counted.
    #[must_use]
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// Whether this is `other` or below it.
    #[must_use]
    pub fn is_within(self, other: NameRef<'_>) -> bool {
        self.0.len() >= other.0.len() && {
            let extra = self.label_count().checked_sub(other.label_count());
            extra.is_some_and(|extra| {
                self.suffixes()
                    .nth(extra)
                    .map_or(other.0.len() <= 1, |s| s.0 == other.0)
            })
        }
    }

    /// An owned copy, in lower case.
    #[must_use]
    pub fn to_owned(self) -> Name {
        Name(self.0.to_ascii_lowercase().into_boxed_slice())
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Master-file form without the trailing dot (RFC 1035 section 5.1): a dot or
/// backslash inside a label is escaped, other octets outside printable ASCII
/// become `\DDD`. The root is `.`.
impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= 1 {
            return f.write_str(".");
        }
        for (i, label) in self.labels().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            for &b in label {
                match b {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(b))?,
                    0x21..=0x7e => write!(f, "{}", char::from(b))?,
                    _ => write!(f, "\\{b:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_name_or_a_reason() {
        let check = |text: &str, expected: &str| {
            let got = Name::parse(text).map_or_else(|e| e.to_string(), |n| n.to_string());
            assert_eq!(got, expected, "{text}");
        };
        check("EXAMPLE.com.", "example.com");
        check("ｅｘａｍｐｌｅ.com", "example.com");
        check("ß.de", "xn--zca.de");
        check("한국.icom.museum", "xn--3e0b707e.icom.museum");
        check(
            "xn----7sbhlqiujscje.xn--p1ai",
            "xn----7sbhlqiujscje.xn--p1ai",
        );
        check("xn---mllerk1va.com", "bad punycode");
        check("abc.xn--", "bad punycode");
        check("abc.xn--asd", "bad punycode");
        check(".a.cc", "empty label");
        check("a..cc", "empty label");
        check("_prebid_", "single label");
        check("com", "single label");
        check("example.-com", "label begins or ends with a hyphen");
        check("a.1cc", "impossible top-level domain");
        check("a.c", "impossible top-level domain");
        check("invaliddomain!", "bad character '!'");
        check("0.0.0.0", "IP where name expected");
        check("http://example.com/path", "URL, not a name");
        check("example.com:8443", "port behind a name");
        check("sub.*.example.com", "wildcard only as first label");
        check(
            &format!("{}.cc", "a".repeat(63)),
            &format!("{}.cc", "a".repeat(63)),
        );
        check(&format!("{}.cc", "a".repeat(64)), "name or label too long");
    }

    #[test]
    fn suffixes_and_within() {
        let name = Name::parse("a.b.example.com").unwrap();
        let all: Vec<_> = name.as_ref().suffixes().map(|n| n.to_string()).collect();
        assert_eq!(
            all,
            ["a.b.example.com", "b.example.com", "example.com", "com"]
        );
        let parent = Name::parse("example.com").unwrap();
        assert!(name.as_ref().is_within(parent.as_ref()));
        assert!(parent.as_ref().is_within(parent.as_ref()));
        assert!(!parent.as_ref().is_within(name.as_ref()));
        let lookalike = Name::parse("notexample.com").unwrap();
        assert!(!lookalike.as_ref().is_within(parent.as_ref()));
    }
}
