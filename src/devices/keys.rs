//! Addresses as table keys.
//!
//! Every question looks up two or three addresses, so the keys are plain
//! integers under a hash of one multiplication each. Nobody outside can put a
//! key in: rows come from the inventory and from the DHCP server, whose pools
//! bound them; so the hash need not be secret.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use crate::mac::Mac;

/// A table whose keys come from [`ip`] or [`mac`].
pub(super) type Table<K, V> = HashMap<K, V, BuildHasherDefault<Fold>>;

/// An address in the one form that has no spellings: IPv4 as mapped IPv6.
pub(super) fn ip(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A hardware address as a number.
pub(super) fn mac(mac: Mac) -> u64 {
    let octets = mac.0.into_iter();
    octets.fold(0, |number, octet| number << 8 | u64::from(octet))
}

/// An address as people and DHCP servers write it, without its zone: a zone
/// names an interface of the machine that wrote it (RFC 4007, case M10).
pub(super) fn parse_ip(text: &str) -> Option<IpAddr> {
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}

/// An address as a well-mixed number.
pub(super) fn hash(address: IpAddr) -> u64 {
    let mut fold = Fold::default();
    fold.write_u128(ip(address));
    fold.finish()
}

/// Folds integers by multiplication; hashbrown needs both ends well mixed.
#[derive(Default, Clone, Copy)]
pub(super) struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The odd constant is 2^64 divided by the golden ratio.
        let wide = u128::from(self.0 ^ number ^ 0x5bd1_e995) * 0x9e37_79b9_7f4a_7c15;
        let [low, high] = halves(wide);
        self.0 = low ^ high;
    }

    fn write_u128(&mut self, number: u128) {
        let [low, high] = halves(number);
        self.write_u64(high);
        self.write_u64(low);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves are what is wanted"
)]
fn halves(wide: u128) -> [u64; 2] {
    [wide as u64, (wide >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one_key() {
        let of = |text: &str| ip(parse_ip(text).unwrap());
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_eq!(of("fe80::1%eth0"), of("fe80:0::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(parse_ip("10.0.0.1/24"), None);
        assert_eq!(ip("::ffff:10.0.0.1".parse().unwrap()), of("10.0.0.1"));
    }
}
