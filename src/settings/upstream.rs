//! The address of a resolver that is asked: `udp://9.9.9.9:53`,
//! `tls://9.9.9.9#dns.quad9.net`, `https://9.9.9.9/dns-query`.
//!
//! An address and not a name: whoever has to ask the way to its resolver cannot
//! start while the line is down. What stands behind `#` is the name that an
//! encrypted server's certificate must have; without it the certificate must be
//! for the address itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::name::Name;

/// Where DNS listens unless something else is said.
pub(super) const DNS_PORT: u16 = 53;
/// Where most DNS over HTTPS servers answer.
const HTTPS_PATH: &str = "/dns-query";

/// A resolver and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamAddress {
    /// How.
    pub scheme: Scheme,
    /// Where.
    pub addr: SocketAddr,
    /// The name its certificate must have; none: its address.
    pub name: Option<String>,
    /// The path of its HTTPS endpoint; empty for other ways.
    pub path: String,
}

/// How an upstream is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Over UDP; an answer that does not fit is fetched over TCP.
    Udp,
    /// Over TCP only.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
}

impl Scheme {
    const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https, Self::Quic];

    /// Whether it is plain to whoever is on the way.
    #[must_use]
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Udp | Self::Tcp)
    }

    fn id(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => DNS_PORT,
            Self::Tls | Self::Quic => 853,
            Self::Https => 443,
        }
    }
}

impl FromStr for UpstreamAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = || {
            format!(
                "\"{text}\" is not an upstream; write it like \"udp://9.9.9.9:53\" or \
                 \"tls://9.9.9.9#dns.quad9.net\""
            )
        };
        let because = |why: String| format!("\"{text}\": {why}");
        let (scheme, rest) = text.split_once("://").ok_or_else(how)?;
        let scheme = Scheme::ALL.into_iter().find(|s| s.id() == scheme);
        let scheme = scheme.ok_or_else(how)?;
        let (rest, name) = match rest.split_once('#') {
            Some((rest, name)) => (rest, Some(name)),
            None => (rest, None),
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let addr = address(scheme, host).map_err(because)?;
        Ok(Self {
            scheme,
            addr,
            name: name
                .map(|name| certificate_name(scheme, name).map_err(because))
                .transpose()?,
            path: endpoint(scheme, path).map_err(because)?,
        })
    }
}

fn address(scheme: Scheme, host: &str) -> Result<SocketAddr, String> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let v4 = || Ipv4Addr::from_str(host).ok().map(IpAddr::from);
    let v6 = || Ipv6Addr::from_str(bare?).ok().map(IpAddr::from);
    let without_port = || Some(SocketAddr::new(v4().or_else(v6)?, scheme.port()));
    let addr = host.parse().ok().or_else(without_port);
    let addr = addr.filter(|addr: &SocketAddr| addr.port() != 0);
    addr.ok_or_else(|| {
        let named = host.split(':').next().unwrap_or_default();
        if Ipv6Addr::from_str(host).is_ok() {
            format!("put the address in brackets: {scheme}://[{host}]")
        } else if !scheme.is_plain() && named.contains('.') && Name::parse_any_depth(named).is_ok()
        {
            format!(
                "a name would have to be asked for first; write its address, \
                 and the name behind it: {scheme}://ADDRESS#{named}"
            )
        } else {
            format!(
                "an upstream is an IP address, with a port if it is not {}",
                scheme.port()
            )
        }
    })
}

fn certificate_name(scheme: Scheme, name: &str) -> Result<String, String> {
    if scheme.is_plain() {
        return Err(format!(
            "{scheme}:// has no certificate that could have the name \"{name}\""
        ));
    }
    match Name::parse_any_depth(name) {
        Ok(name) => Ok(name.to_string()),
        Err(why) => Err(format!("\"{name}\" is not the name of a server: {why}")),
    }
}

fn endpoint(scheme: Scheme, path: &str) -> Result<String, String> {
    let is_plain = |octet: u8| octet.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&octet);
    match (scheme, path) {
        (Scheme::Https, "" | "/") => Ok(HTTPS_PATH.to_owned()),
        (Scheme::Https, _) if path.bytes().all(is_plain) => Ok(path.to_owned()),
        (Scheme::Https, _) => Err(format!(
            "\"{path}\" is not the path of an endpoint; most have {HTTPS_PATH}"
        )),
        (_, "") => Ok(String::new()),
        _ => Err("only https:// has a path".to_owned()),
    }
}

impl UpstreamAddress {
    /// Whether a question sent there would come back to `listen`.
    pub(super) fn is_heard_by(&self, listen: SocketAddr) -> bool {
        let everywhere = listen.ip().is_unspecified() && is_own(self.addr.ip());
        let same = listen.ip() == self.addr.ip() || everywhere;
        listen.port() != 0 && same && listen.port() == self.addr.port()
    }
}

fn is_own(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.addr, self.path)?;
        match &self.name {
            Some(name) => write!(f, "#{name}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_an_address_with_a_way() {
        let check = |text: &str, expected: &str| {
            let got = text.parse::<UpstreamAddress>();
            assert_eq!(
                got.map_or_else(|e| e, |u| u.to_string()),
                expected,
                "{text}"
            );
        };
        check("udp://9.9.9.9", "udp://9.9.9.9:53");
        check("tcp://9.9.9.9:5353", "tcp://9.9.9.9:5353");
        check("udp://[2620:fe::fe]", "udp://[2620:fe::fe]:53");
        check("udp://[::1]:5300", "udp://[::1]:5300");
        check("tls://9.9.9.9", "tls://9.9.9.9:853");
        check(
            "tls://9.9.9.9:8853#DNS.quad9.net",
            "tls://9.9.9.9:8853#dns.quad9.net",
        );
        check(
            "https://[2620:fe::fe]#dns.quad9.net",
            "https://[2620:fe::fe]:443/dns-query#dns.quad9.net",
        );
        check("https://9.9.9.9/a/b?c=d", "https://9.9.9.9:443/a/b?c=d");
        check("quic://9.9.9.9", "quic://9.9.9.9:853");
        check(
            "udp://2620:fe::fe",
            "\"udp://2620:fe::fe\": put the address in brackets: udp://[2620:fe::fe]",
        );
        check(
            "tls://dns.quad9.net:853",
            "\"tls://dns.quad9.net:853\": a name would have to be asked for first; write its \
             address, and the name behind it: tls://ADDRESS#dns.quad9.net",
        );
        for text in [
            "9.9.9.9",
            "dns://9.9.9.9",
            "udp://dns.example",
            "udp://9.9.9.9:0",
            "udp://9.9.9.9#dns.quad9.net",
            "tls://9.9.9.9/dns-query",
            "tls://9.9.9.9#",
            "https://9.9.9.9/dns-query{?dns}",
        ] {
            assert!(text.parse::<UpstreamAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_loop_is_seen_behind_a_wildcard() {
        let upstream: UpstreamAddress = "udp://127.0.0.1:53".parse().unwrap();
        let heard = |listen: &str| upstream.is_heard_by(listen.parse().unwrap());
        assert!(heard("127.0.0.1:53") && heard("0.0.0.0:53"));
        assert!(!heard("127.0.0.1:5353") && !heard("10.0.0.1:53") && !heard("127.0.0.1:0"));
    }
}
