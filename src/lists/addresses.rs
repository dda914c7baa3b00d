//! Listed addresses: ranges, some inside others, and which of them hold one.
//!
//! They are few, so they are sorted in memory at load. Every address is a number
//! in its IPv6 form, so that one comparison serves both families.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Addresses from `first` to `last`, both included, in their IPv6 form
/// (IPv4 mapped).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    /// The lowest address.
    pub first: u128,
    /// The highest address.
    pub last: u128,
}

/// Ranges with their memberships, ready to be asked.
pub struct Addresses {
    ranges: Box<[(AddressRange, u16)]>,
    /// The highest address of this range and all before it: where a search
    /// that goes back may stop, for ranges may lie inside each other.
    reach: Box<[u128]>,
}

impl Addresses {
    /// Sorts what is listed.
    #[must_use]
    pub fn new(mut ranges: Vec<(AddressRange, u16)>) -> Self {
        ranges.sort_unstable();
        let mut highest = 0;
        let reach = ranges
            .iter()
            .map(|(range, _)| {
                highest = range.last.max(highest);
                highest
            })
            .collect();
        let ranges = ranges.into_boxed_slice();
        Self { ranges, reach }
    }

    /// The memberships of the ranges that hold an address.
    pub fn holding(&self, number: u128) -> impl Iterator<Item = u16> {
        let before = self
            .ranges
            .partition_point(|(range, _)| range.first <= number);
        let candidates = self.ranges.iter().zip(&self.reach).take(before);
        candidates
            .rev()
            .take_while(move |(_, reach)| **reach >= number)
            .filter(move |((range, _), _)| number <= range.last)
            .map(|((_, membership), _)| *membership)
    }
}

/// An address in its IPv6 form as a number.
#[must_use]
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
