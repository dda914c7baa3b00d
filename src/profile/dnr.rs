//! The options by which DHCP and router advertisements name an encrypted
//! resolver: Discovery of Network-designated Resolvers (RFC 9463, R-111).
//!
//! The DHCP server belongs to the router, which often knows these options by
//! number only; so they are given as bytes. One instance for each transport, the
//! one to be tried first with the lowest priority number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::endpoint::{DOT_PORT, Endpoint};
use crate::name::Name;

/// SvcParamKeys (RFC 9460 section 14.3.2, RFC 9461 section 5).
const ALPN: u16 = 1;
const PORT: u16 = 3;
const DOHPATH: u16 = 7;
const HTTPS_PORT: u16 = 443;
/// The type of the option of router advertisements.
const RA_TYPE: u8 = 144;

/// The options for one endpoint. An option without an address of its family
/// would send devices to look for one themselves, and is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The data of DHCPv4's option 162, all instances in one.
    pub dhcpv4: Option<Vec<u8>>,
    /// The data of DHCPv6's option 144, one option for each instance.
    pub dhcpv6: Vec<Vec<u8>>,
    /// The whole options of type 144 of router advertisements.
    pub router: Vec<Vec<u8>>,
}

/// One transport of a resolver.
struct Instance {
    priority: u16,
    parameters: Vec<u8>,
}

/// Encodes. `lifetime` is in seconds, and only router advertisements have one.
#[must_use]
pub fn options(endpoint: &Endpoint, name: &Name, lifetime: u32) -> Options {
    let adn = name.as_ref().wire();
    let v4: Vec<Ipv4Addr> = of_family(endpoint, |ip| match ip {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    let v6: Vec<Ipv6Addr> = of_family(endpoint, |ip| match ip {
        IpAddr::V6(v6) => Some(v6),
        IpAddr::V4(_) => None,
    });
    let v4: Vec<u8> = v4.iter().flat_map(Ipv4Addr::octets).collect();
    let v6: Vec<u8> = v6.iter().flat_map(Ipv6Addr::octets).collect();
    let mut options = Options::default();
    for instance in instances(endpoint) {
        if !v4.is_empty() {
            let data = instance.dhcpv4(adn, &v4);
            options.dhcpv4.get_or_insert_default().extend(data);
        }
        if !v6.is_empty() {
            options.dhcpv6.push(instance.dhcpv6(adn, &v6));
            options.router.push(instance.router(adn, &v6, lifetime));
        }
    }
    options
}

fn of_family<T>(endpoint: &Endpoint, pick: impl Fn(IpAddr) -> Option<T>) -> Vec<T> {
    endpoint
        .addresses
        .iter()
        .copied()
        .filter_map(pick)
        .collect()
}

fn instances(endpoint: &Endpoint) -> Vec<Instance> {
    let transports = [
        (endpoint.tls, "dot", DOT_PORT),
        (endpoint.https, "h2", HTTPS_PORT),
        (endpoint.quic, "doq", DOT_PORT),
    ];
    let offered = transports
        .into_iter()
        .filter_map(|(port, alpn, usual)| Some((port?, alpn, usual)));
    let with_priority = offered.zip(1..);
    with_priority
        .map(|((port, alpn, usual), priority)| {
            let mut parameters = Vec::new();
            let id = [&[alpn.len() as u8], alpn.as_bytes()].concat();
            parameter(ALPN, &id, &mut parameters);
            if port != usual {
                parameter(PORT, &port.to_be_bytes(), &mut parameters);
            }
            if alpn == "h2" {
                let template = format!("{}{{?dns}}", endpoint.path);
                parameter(DOHPATH, template.as_bytes(), &mut parameters);
            }
            Instance {
                priority,
                parameters,
            }
        })
        .collect()
}

/// RFC 9460 section 2.2; keys must come in rising order.
fn parameter(key: u16, value: &[u8], out: &mut Vec<u8>) {
    out.extend(key.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}

impl Instance {
    /// RFC 9463 section 5.1: lengths of one byte, and the instance's before it.
    fn dhcpv4(&self, adn: &[u8], addresses: &[u8]) -> Vec<u8> {
        let mut data = self.priority.to_be_bytes().to_vec();
        data.push(adn.len() as u8);
        data.extend(adn);
        data.push(addresses.len() as u8);
        data.extend(addresses);
        data.extend(&self.parameters);
        [&(data.len() as u16).to_be_bytes(), &data[..]].concat()
    }

    /// RFC 9463 section 4.1.
    fn dhcpv6(&self, adn: &[u8], addresses: &[u8]) -> Vec<u8> {
        let mut data = self.priority.to_be_bytes().to_vec();
        for part in [adn, addresses] {
            data.extend((part.len() as u16).to_be_bytes());
            data.extend(part);
        }
        data.extend(&self.parameters);
        data
    }

    /// RFC 9463 section 6.1: with its type, and its length in units of 8 bytes.
    fn router(&self, adn: &[u8], addresses: &[u8], lifetime: u32) -> Vec<u8> {
        let mut option = vec![RA_TYPE, 0];
        option.extend(self.priority.to_be_bytes());
        option.extend(lifetime.to_be_bytes());
        for part in [adn, addresses, &self.parameters] {
            option.extend((part.len() as u16).to_be_bytes());
            option.extend(part);
        }
        option.resize(option.len().next_multiple_of(8), 0);
        let units = (option.len() / 8) as u8;
        if let Some(length) = option.get_mut(1) {
            *length = units;
        }
        option
    }
}
