//! A device's hardware address, one key for all its spellings.

use std::fmt;
use std::str::FromStr;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// The text is not six octets in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a MAC address; write it like 00:1a:2b:3c:4d:5e")]
pub struct NotMac;

impl Mac {
    /// Whether the device made it up (the locally administered bit of IEEE
    /// 802): phones do so per network, and then it names no device for long.
    #[must_use]
    pub fn is_random(self) -> bool {
        self.0[0] & 0b10 != 0
    }
}

/// Takes colons, hyphens, Cisco's dots or nothing between the digits.
impl FromStr for Mac {
    type Err = NotMac;

    fn from_str(text: &str) -> Result<Self, NotMac> {
        let mut octets = [0; 6];
        let groups: Vec<&str> = text.split([':', '-', '.']).collect();
        let width = match groups.len() {
            1 => 12,
            3 => 4,
            6 => 2,
            _ => return Err(NotMac),
        };
        // dnsmasq drops the leading zero of an octet in none of its files, but
        // people do: 0:1a:2b:…
        let short = width == 2;
        let mut digits = String::with_capacity(12);
        for group in groups {
            match group.len() {
                n if n == width => digits.push_str(group),
                1 if short => {
                    digits.push('0');
                    digits.push_str(group);
                }
                _ => return Err(NotMac),
            }
        }
        for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotMac)?;
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(NotMac);
            }
            *octet = u8::from_str_radix(pair, 16).map_err(|_| NotMac)?;
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_one_key() {
        let mac = Mac([0x00, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e]);
        for text in [
            "00:1a:2b:3c:4d:5e",
            "00-1A-2B-3C-4D-5E",
            "001a.2b3c.4d5e",
            "001A2B3C4D5E",
            "0:1a:2b:3c:4d:5e",
        ] {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
        assert_eq!(mac.to_string(), "00:1a:2b:3c:4d:5e");
        for text in [
            "",
            "00:1a:2b:3c:4d",
            "00:1a:2b:3c:4d:5g",
            "é0:1a:2b:3c:4d:5",
            "00:1a:2b:3c:4d:5e:6f",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(NotMac), "{text}");
        }
        assert!(!mac.is_random());
        assert!(Mac([0x02, 0, 0, 0, 0, 1]).is_random());
    }
}
