//! The second look: what the lists say of the names and addresses *in* an
//! answer.
//!
//! A blocked site hides behind an innocent name by a CNAME, a DNAME, an
//! HTTPS record's target or its address hints (R-98, RFC 9460), and a public
//! name may point into the school's own network (DNS rebinding, R-133f). What
//! is found depends on the answer and the lists alone, so it is kept with the
//! cached answer; what it *means* depends on who asks, and is decided in
//! `policy/decide.rs` each time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::answer::{Answer, rtype};
use super::svcb::{has_ech, parameters};
use crate::lists::lookup::{Covering, Lists};
use crate::name::Name;
use crate::policy::group::Network;

/// SvcParamKeys with addresses (RFC 9460 section 7.3).
const IPV4HINT: u16 = 4;
const IPV6HINT: u16 = 6;

/// What was found in an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// What covers any name or address in it.
    pub covering: Covering,
    /// Whether it holds an address that no public name should have.
    pub private: bool,
    /// Whether it holds keys that hide a server's name from the network.
    pub ech: bool,
}

/// What may have a private address, and where else one can be hidden.
#[derive(Debug, Clone, Default)]
pub struct Rebinding {
    /// Names (with all below) that may.
    pub allow: Vec<Name>,
    /// NAT64 prefixes: their last 32 bits are an IPv4 address (RFC 6052).
    pub nat64: Vec<Network>,
}

/// Looks at every name and address the answer section leads to.
#[must_use]
pub fn second_look(answer: &Answer, lists: &Lists, rebinding: &Rebinding) -> Found {
    let mut found = Found::default();
    let may_be_private = answer.name_at(0).is_some_and(|asked| {
        let asked = asked.name();
        rebinding.allow.iter().any(|n| asked.is_within(n.as_ref()))
    });
    let name = |at: usize, found: &mut Found| {
        if let Some(name) = answer.name_at(at) {
            found.covering = found.covering.merged(&lists.covering(name.name()));
        }
    };
    let address = |address: IpAddr, found: &mut Found| {
        found.covering = found.covering.merged(&lists.covering_address(address));
        found.private |= !may_be_private && is_private(address, &rebinding.nat64);
    };
    for record in answer.answers() {
        match record.rtype {
            rtype::CNAME | rtype::DNAME => name(record.data_at, &mut found),
            rtype::A | rtype::AAAA => {
                if let Some(ip) = record.address() {
                    address(ip, &mut found);
                }
            }
            rtype::SVCB | rtype::HTTPS => {
                // A target of "." is the owner, which has been looked at.
                if record.data.get(2) != Some(&0) {
                    name(record.data_at + 2, &mut found);
                }
                for ip in hints(record.data) {
                    address(ip, &mut found);
                }
                found.ech |= has_ech(record.data);
            }
            _ => {}
        }
    }
    found
}

/// The addresses in an SVCB or HTTPS record's hints.
fn hints(data: &[u8]) -> impl Iterator<Item = IpAddr> {
    parameters(data).flat_map(|(key, value)| {
        let width = match key {
            IPV4HINT => 4,
            IPV6HINT => 16,
            _ => usize::MAX,
        };
        value
            .chunks_exact(width)
            .filter_map(move |chunk| match key {
                IPV4HINT => Some(Ipv4Addr::from(<[u8; 4]>::try_from(chunk).ok()?).into()),
                _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(chunk).ok()?).into()),
            })
    })
}

/// Whether an address is one that only a local name may have.
fn is_private(address: IpAddr, nat64: &[Network]) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_private(v4.into(), nat64);
            }
            let inside = nat64.iter().any(|prefix| prefix.holds(address));
            let [.., a, b, c, d] = v6.octets();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || (inside && is_private(Ipv4Addr::new(a, b, c, d).into(), &[]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_dress() {
        let nat64 = [Network::parse("64:ff9b::/96").unwrap()];
        let private = |ip: &str| is_private(ip.parse().unwrap(), &nat64);
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "0.0.0.0",
            "fc00::1",
            "fe80::1",
            "::1",
            "::",
            "::ffff:192.168.1.1",
            "64:ff9b::c0a8:101",
        ] {
            assert!(private(ip), "{ip}");
        }
        for ip in [
            "192.0.2.1",
            "2001:db8::1",
            "64:ff9b::c000:201",
            "172.32.0.1",
        ] {
            assert!(!private(ip), "{ip}");
        }
    }

    #[test]
    fn hints_are_read_from_an_https_record() {
        // priority 1, target ".", alpn=h2, ipv4hint=192.0.2.1,192.0.2.2
        let data = [
            0, 1, 0, 0, 1, 0, 3, 2, b'h', b'2', 0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2,
        ];
        let all: Vec<String> = hints(&data).map(|ip| ip.to_string()).collect();
        assert_eq!(all, ["192.0.2.1", "192.0.2.2"]);
    }
}
