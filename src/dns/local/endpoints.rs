//! Our own encrypted listeners as records, for those who ask where they are.
//!
//! A phone or a laptop that was handed our address asks `_dns.resolver.arpa`
//! for the encrypted service behind it (DDR, RFC 9462), one that was handed our
//! name asks `_dns.NAME` (RFC 9461), and both may ask what kind of resolver this
//! is (RESINFO, RFC 9606). Whatever they are told must lead back here: another's
//! endpoint would be the way out.
//!
//! It makes records of plain values, and knows neither settings nor sockets.

use std::net::IpAddr;

use hickory_proto::rr::rdata::svcb::{Alpn, IpHint, SvcParamKey, SvcParamValue, Unknown};
use hickory_proto::rr::rdata::{A, AAAA, NULL, SVCB};
use hickory_proto::rr::{Name as ProtoName, RData, Record, RecordType};

use super::{ZoneError, absolute};
use crate::dns::reply::ede;
use crate::name::Name;

/// RESINFO (RFC 9606).
pub(super) const RESINFO: u16 = 261;
/// The SvcParamKey `dohpath` (RFC 9461 section 5).
const DOHPATH: u16 = 7;
/// Seconds a client may keep what is said here: an encrypted listener that is
/// taken down is forgotten as soon.
const TTL: u32 = 300;
/// A character-string has so many octets (RFC 1035 section 3.3).
const LONGEST_TEXT: usize = 255;

/// Where we can be asked by encrypted DNS, and what we say of ourselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// What stands in the certificate; without it nobody can be told anything.
    pub name: Option<Name>,
    /// The addresses of the listeners, as clients reach them.
    pub addresses: Vec<IpAddr>,
    /// The port of DNS over TLS.
    pub dot: Option<u16>,
    /// DNS over HTTPS.
    pub doh: Option<Doh>,
    /// The port of DNS over QUIC.
    pub doq: Option<u16>,
    /// Whether names are asked for piece by piece (RFC 9156).
    pub minimises: bool,
    /// The page that says who filters here and why; https, may be empty.
    pub info_url: String,
}

/// DNS over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doh {
    /// The port.
    pub port: u16,
    /// The path, as `/dns-query`.
    pub path: String,
    /// Whether HTTP/3 is spoken on the same port.
    pub http3: bool,
}

impl Endpoints {
    /// The records of `_dns.resolver.arpa` and `_dns.NAME`: one for each
    /// protocol, the best first.
    pub(super) fn services(&self, owner: &ProtoName) -> Result<Vec<Record>, ZoneError> {
        let Some(name) = &self.name else {
            return Ok(Vec::new());
        };
        let target = proto(name)?;
        let record = |(priority, params): (u16, Vec<(SvcParamKey, SvcParamValue)>)| {
            let data = SVCB::new(priority, target.clone(), params);
            Record::from_rdata(owner.clone(), TTL, RData::SVCB(data))
        };
        Ok((1..).zip(self.protocols()).map(record).collect())
    }

    /// TLS goes before HTTPS: the same secrecy for less, and no headers that
    /// tell devices apart.
    fn protocols(&self) -> Vec<Vec<(SvcParamKey, SvcParamValue)>> {
        let tls = self.dot.map(|port| self.params(&["dot"], port, None));
        let https = self.doh.as_ref().map(|doh| {
            let alpn: &[&str] = if doh.http3 { &["h2", "h3"] } else { &["h2"] };
            self.params(alpn, doh.port, Some(&doh.path))
        });
        let quic = self.doq.map(|port| self.params(&["doq"], port, None));
        [tls, https, quic].into_iter().flatten().collect()
    }

    /// In the order of their numbers (RFC 9460 section 2.2).
    fn params(
        &self,
        alpn: &[&str],
        port: u16,
        path: Option<&str>,
    ) -> Vec<(SvcParamKey, SvcParamValue)> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => v4.push(A(*address)),
                IpAddr::V6(address) => v6.push(AAAA(*address)),
            }
        }
        let alpn = alpn.iter().map(|id| (*id).to_owned()).collect();
        let mut params = vec![
            (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(alpn))),
            (SvcParamKey::Port, SvcParamValue::Port(port)),
        ];
        if !v4.is_empty() {
            let hint = SvcParamValue::Ipv4Hint(IpHint(v4));
            params.push((SvcParamKey::Ipv4Hint, hint));
        }
        if !v6.is_empty() {
            let hint = SvcParamValue::Ipv6Hint(IpHint(v6));
            params.push((SvcParamKey::Ipv6Hint, hint));
        }
        if let Some(path) = path {
            // A URI template, relative to the target (RFC 9461 section 5).
            let template = SvcParamValue::Unknown(Unknown(format!("{path}{{?dns}}").into_bytes()));
            params.push((SvcParamKey::Unknown(DOHPATH), template));
        }
        params
    }

    /// Our name's own addresses.
    pub(super) fn hosts(&self, owner: &ProtoName) -> Vec<Record> {
        let data = self.addresses.iter().map(|address| match address {
            IpAddr::V4(address) => RData::A(A(*address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
        });
        data.map(|data| Record::from_rdata(owner.clone(), TTL, data))
            .collect()
    }

    /// What kind of resolver this is (RFC 9606 section 5).
    pub(super) fn info(&self, owner: &ProtoName) -> Record {
        let mut texts = Vec::new();
        if self.minimises {
            texts.push("qnamemin".to_owned());
        }
        texts.push(format!("exterr={}", ranges(&ede::SENT)));
        if !self.info_url.is_empty() {
            texts.push(format!("infourl={}", self.info_url));
        }
        let mut data = Vec::new();
        for text in texts {
            // `settings` admits no address that does not fit.
            let text = text.get(..text.len().min(LONGEST_TEXT)).unwrap_or_default();
            data.push(text.len() as u8);
            data.extend_from_slice(text.as_bytes());
        }
        let data = RData::Unknown {
            code: RecordType::Unknown(RESINFO),
            rdata: NULL::with(data),
        };
        Record::from_rdata(owner.clone(), TTL, data)
    }
}

/// A name of ours as hickory has it.
pub(super) fn proto(name: &Name) -> Result<ProtoName, ZoneError> {
    absolute(&name.to_string())
}

/// `0,3-4,13-16`: rising numbers, neighbours drawn together.
fn ranges(numbers: &[u16]) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        })
        .collect();
    runs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_drawn_together() {
        assert_eq!(ranges(&[0, 3, 4, 13, 14, 15, 16, 18]), "0,3-4,13-16,18");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn every_code_that_is_sent_is_told() {
        let source = include_str!("../reply.rs");
        let codes = source
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub const "));
        let codes = codes.filter_map(|rest| rest.split_once(": u16 = "));
        let codes = codes.filter_map(|(_, number)| number.trim_end_matches(';').parse().ok());
        let codes: Vec<u16> = codes.collect();
        assert!(codes.len() >= 10, "{codes:?}");
        assert!(ede::SENT.is_sorted());
        let missing = codes.iter().filter(|code| !ede::SENT.contains(code));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&u16>::new());
    }
}
