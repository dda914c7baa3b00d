//! The address of a resolver that is asked: `udp://9.9.9.9:53`.
//!
//! An address and not a name: whoever has to ask the way to its resolver cannot
//! start while the line is down.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Where DNS listens unless something else is said.
pub(super) const DNS_PORT: u16 = 53;

/// A resolver and how it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpstreamAddress {
    /// How.
    pub scheme: Scheme,
    /// Where.
    pub addr: SocketAddr,
}

/// How an upstream is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Over UDP; an answer that does not fit is fetched over TCP.
    Udp,
    /// Over TCP only.
    Tcp,
}

impl FromStr for UpstreamAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = || format!("\"{text}\" is not an upstream; write it like \"udp://9.9.9.9:53\"");
        let (scheme, host) = text.split_once("://").ok_or_else(how)?;
        let scheme = match scheme {
            "udp" => Scheme::Udp,
            "tcp" => Scheme::Tcp,
            "tls" | "https" | "quic" => {
                let now = "this version forwards over udp:// and tcp:// only";
                return Err(format!("\"{text}\": {now}"));
            }
            _ => return Err(how()),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let addr = host
            .parse()
            .ok()
            .or_else(|| {
                Some(SocketAddr::new(
                    Ipv4Addr::from_str(host).ok()?.into(),
                    DNS_PORT,
                ))
            })
            .or_else(|| {
                Some(SocketAddr::new(
                    Ipv6Addr::from_str(bare?).ok()?.into(),
                    DNS_PORT,
                ))
            });
        let addr = addr.filter(|addr: &SocketAddr| addr.port() != 0);
        let addr = addr.ok_or_else(|| {
            let v6 = Ipv6Addr::from_str(host).is_ok();
            let hint = if v6 {
                format!("put the address in brackets: {scheme}://[{host}]")
            } else {
                "an upstream is an IP address, with a port if it is not 53".to_owned()
            };
            format!("\"{text}\": {hint}")
        })?;
        Ok(Self { scheme, addr })
    }
}

impl UpstreamAddress {
    /// Whether a question sent there would come back to `listen`.
    pub(super) fn is_heard_by(self, listen: SocketAddr) -> bool {
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
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.addr)
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
        check(
            "udp://2620:fe::fe",
            "\"udp://2620:fe::fe\": put the address in brackets: udp://[2620:fe::fe]",
        );
        check(
            "tls://9.9.9.9",
            "\"tls://9.9.9.9\": this version forwards over udp:// and tcp:// only",
        );
        for text in [
            "9.9.9.9",
            "dns://9.9.9.9",
            "udp://dns.example",
            "udp://9.9.9.9:0",
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
