//! The options of an OPT record, and what those that name a device say.
//!
//! Slicing comes first and looks at no contents: each option is cut out by its
//! own length, so that a bad one cannot shift the reading of the next
//! (RFC 6891 section 6.1.2). Decoding is bounded by the option and answers
//! `None` for what it does not understand: a bad identity option is ignored,
//! the question is still answered.
//!
//! It must never panic, allocate or decide whom to believe; `identify` does
//! that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64_NOPAD;

use crate::mac::Mac;

/// EDNS Client Subnet (RFC 7871). dnsmasq: `add-subnet=32,128`.
pub const CLIENT_SUBNET: u16 = 8;
/// A raw hardware address. dnsmasq: `add-mac`.
pub const MAC: u16 = 65001;
/// A hardware address as text or base64. dnsmasq: `add-mac=text`,
/// `add-mac=base64`.
pub const DEVICE_ID: u16 = 65073;
/// The router's own name. dnsmasq: `add-cpe-id`.
pub const CPE_ID: u16 = 65074;
/// Cisco Umbrella's identity. dnsmasq: `umbrella`.
pub const UMBRELLA: u16 = 20292;

/// How long a stream may be idle (RFC 7828).
pub const KEEPALIVE: u16 = 11;
/// Octets that say nothing, so that a length says nothing (RFC 7830).
pub const PADDING: u16 = 12;

/// Family, source prefix length and scope prefix length.
const SUBNET_HEAD: usize = 4;

/// One option: its code and its contents.
pub type RawOption<'a> = (u16, &'a [u8]);

/// The options of one OPT record, cut but not decoded.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    rest: &'a [u8],
}

/// What an OPT record has wrong that makes the whole packet FORMERR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An option is longer than what is left of the record.
    #[error("an option runs past the end of its OPT record")]
    PastEnd,
    /// A client subnet without its fixed fields (RFC 7871 section 6).
    #[error("a client subnet shorter than its fixed fields")]
    Subnet,
}

/// What one option says about who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The hardware address, as six bytes.
    RawMac(Mac),
    /// The hardware address, as text or base64.
    TextMac(Mac),
    /// The name of the router, never of the device.
    Router(&'a [u8]),
    /// Cisco Umbrella's fields.
    Umbrella(Umbrella),
    /// The whole address of one client.
    Address(IpAddr),
    /// The router asks for itself: its loopback address.
    Own,
}

/// What a Cisco Umbrella option holds; dnsmasq sends the client's address and,
/// where it is set up, one device id for the whole router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Umbrella {
    /// The organisation.
    pub org: Option<u32>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The device.
    pub device: Option<[u8; 8]>,
    /// The asset.
    pub asset: Option<u32>,
}

impl<'a> Options<'a> {
    /// The options in the RDATA of an OPT record.
    #[must_use]
    pub fn new(rdata: &'a [u8]) -> Self {
        Self { rest: rdata }
    }
}

/// Yields code and contents; the first option that runs past the end is the
/// last item.
impl<'a> Iterator for Options<'a> {
    type Item = Result<RawOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((option, rest)) = split(self.rest) else {
            self.rest = &[];
            return Some(Err(Malformed::PastEnd));
        };
        self.rest = rest;
        Some(Ok(option))
    }
}

/// Whether the packet may be answered at all, whoever sent it. Unknown codes,
/// unknown address families, an address longer or shorter than its prefix and
/// cookies of any length pass: those options are just not used.
pub fn check(rdata: &[u8]) -> Result<(), Malformed> {
    for option in Options::new(rdata) {
        if let (CLIENT_SUBNET, data) = option?
            && data.len() < SUBNET_HEAD
        {
            return Err(Malformed::Subnet);
        }
    }
    Ok(())
}

/// What an option says about who asks, if it says anything.
#[must_use]
pub fn claim(code: u16, data: &[u8]) -> Option<Claim<'_>> {
    match code {
        MAC => <[u8; 6]>::try_from(data)
            .ok()
            .map(Mac)
            .filter(|mac| mac.names_a_device())
            .map(Claim::RawMac),
        DEVICE_ID => text_mac(data)
            .filter(|mac| mac.names_a_device())
            .map(Claim::TextMac),
        CPE_ID => (!data.is_empty()).then_some(Claim::Router(data)),
        UMBRELLA => umbrella(data).map(Claim::Umbrella),
        CLIENT_SUBNET => subnet(data).and_then(client_address),
        _ => None,
    }
}

/// Whether an option of this code and contents would say who asks, if its
/// sender were believed. By code alone for the private ones, so that a
/// stranger's clumsy try counts too; a client subnet is honest traffic unless
/// it spells one whole address.
#[must_use]
pub fn is_identity(code: u16, data: &[u8]) -> bool {
    match code {
        MAC | DEVICE_ID | CPE_ID | UMBRELLA => true,
        CLIENT_SUBNET => claim(code, data).is_some(),
        _ => false,
    }
}

fn split(bytes: &[u8]) -> Option<(RawOption<'_>, &[u8])> {
    let (code, rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (data, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some(((u16::from_be_bytes(*code), data), rest))
}

/// Text and base64 share a code and are told apart by length.
fn text_mac(data: &[u8]) -> Option<Mac> {
    match data.len() {
        17 => Mac::parse(data),
        8 => base64_mac(*data.first_chunk()?),
        _ => None,
    }
}

/// Eight digits of RFC 4648 section 4 are six bytes, without padding.
fn base64_mac(digits: [u8; 8]) -> Option<Mac> {
    let mut octets = [0; 6];
    let length = BASE64_NOPAD.decode_mut(&digits, &mut octets).ok()?;
    (length == octets.len()).then_some(Mac(octets))
}

/// Family, source prefix and address bytes; the scope says nothing here.
fn subnet_parts(data: &[u8]) -> Option<(u16, u8, &[u8])> {
    let (family, rest) = data.split_first_chunk::<2>()?;
    let ([prefix, _scope], address) = rest.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*family), *prefix, address))
}

/// Only /32 and /128 name one client; anything shorter is a neighbourhood
///
fn subnet(data: &[u8]) -> Option<IpAddr> {
    match subnet_parts(data)? {
        (1, 32, address) => <[u8; 4]>::try_from(address).ok().map(IpAddr::from),
        (2, 128, address) => <[u8; 16]>::try_from(address).ok().map(IpAddr::from),
        _ => None,
    }
}

fn client_address(address: IpAddr) -> Option<Claim<'static>> {
    let address = address.to_canonical();
    if address.is_loopback() {
        return Some(Claim::Own);
    }
    (!address.is_unspecified() && !address.is_multicast()).then_some(Claim::Address(address))
}

/// `"ODNS"`, version, flags, then fields of a type and fixed data. A field of
/// an unknown type has no length to skip by and ends the reading; a known one
/// cut short spoils the option.
fn umbrella(data: &[u8]) -> Option<Umbrella> {
    let (magic, rest) = data.split_first_chunk::<4>()?;
    let ([version, _flags], mut rest) = rest.split_first_chunk::<2>()?;
    if magic != b"ODNS" || *version != 1 {
        return None;
    }
    let mut found = Umbrella::default();
    while let Some((field, after)) = rest.split_first_chunk::<2>() {
        rest = match u16::from_be_bytes(*field) {
            0x0004 => number(after, &mut found.asset)?,
            0x0008 => number(after, &mut found.org)?,
            0x0010 => {
                let (bytes, after) = after.split_first_chunk::<4>()?;
                found.address = Some(Ipv4Addr::from(*bytes).into());
                after
            }
            0x0020 => {
                let (bytes, after) = after.split_first_chunk::<16>()?;
                found.address = Some(Ipv6Addr::from(*bytes).into());
                after
            }
            0x0040 => {
                let (bytes, after) = after.split_first_chunk::<8>()?;
                found.device = Some(*bytes);
                after
            }
            _ => return Some(found),
        };
    }
    Some(found)
}

fn number<'a>(bytes: &'a [u8], into: &mut Option<u32>) -> Option<&'a [u8]> {
    let (bytes, after) = bytes.split_first_chunk::<4>()?;
    *into = Some(u32::from_be_bytes(*bytes));
    Some(after)
}

impl Umbrella {
    /// What its address says, by the same rules as a client subnet's.
    #[must_use]
    pub fn claim(&self) -> Option<Claim<'static>> {
        client_address(self.address?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(code: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap();
        [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
    }

    #[test]
    fn options_are_cut_by_their_own_length() {
        let rdata = [option(10, b"12345678"), option(MAC, b"abcdef")].concat();
        let all: Vec<_> = Options::new(&rdata).map(Result::unwrap).collect();
        assert_eq!(all, [(10, &b"12345678"[..]), (MAC, b"abcdef")]);
        // D11: whatever is cut off, the reading ends with the marker.
        for cut in 1..rdata.len() {
            let last = Options::new(&rdata[..cut]).last().unwrap();
            assert_eq!(last.is_ok(), cut == 12, "{cut}");
        }
    }

    #[test]
    fn both_spellings_of_a_text_mac_are_read_and_no_others() {
        let mac = Claim::TextMac(Mac([0x00, 0x1a, 0x2b, 0x3c, 0x4d, 0xff]));
        for text in ["00:1a:2b:3c:4d:ff", "00-1A-2B-3C-4D-FF", "ABorPE3/"] {
            assert_eq!(claim(DEVICE_ID, text.as_bytes()), Some(mac), "{text}");
        }
        for text in [
            "",
            "ABorPE3=",
            "ABorPE3/AA",
            "00:1a:2b:3c:4d:f",
            "001a2b3c4dff",
        ] {
            assert_eq!(claim(DEVICE_ID, text.as_bytes()), None, "{text}");
        }
        assert_eq!(claim(MAC, &[0; 6]), None);
        assert_eq!(claim(MAC, &[2; 8]), None);
    }

    #[test]
    fn umbrella_fields_are_read_in_any_order() {
        let head = b"ODNS\x01\x00";
        let device = [0, 0x40, 1, 2, 3, 4, 5, 6, 7, 8];
        let address = [0, 0x10, 10, 0, 0, 7];
        let org = [0, 8, 0, 0, 0, 9];
        let whole = [&head[..], &device, &address, &org].concat();
        let found = umbrella(&whole).unwrap();
        assert_eq!(found.device, Some([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(found.org, Some(9));
        assert_eq!(
            found.claim(),
            Some(Claim::Address(Ipv4Addr::new(10, 0, 0, 7).into()))
        );
        assert_eq!(umbrella(&whole[..whole.len() - 1]), None);
        assert_eq!(umbrella(b"ODNS\x02\x00"), None);
        let unknown = [&head[..], &org, &[0x80, 0, 1, 2]].concat();
        assert_eq!(umbrella(&unknown).unwrap().org, Some(9));
    }
}
