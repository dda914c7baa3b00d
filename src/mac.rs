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

    /// Whether it can be one device's: a router that knows no address writes
    /// zeros, and all ones is everybody.
    #[must_use]
    pub fn names_a_device(self) -> bool {
        self.0 != [0; 6] && self.0 != [0xff; 6]
    }

    /// Reads the text, without allocating: a router may send one with every
    /// question.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let groups = text.split(|byte| matches!(byte, b':' | b'-' | b'.'));
        let width = match groups.clone().count() {
            1 => 12,
            3 => 4,
            6 => 2,
            _ => return None,
        };
        let mut mac = [0; 6];
        let mut octets = mac.iter_mut();
        for group in groups {
            octets_of(group, width, &mut octets)?;
        }
        octets.next().is_none().then_some(Self(mac))
    }
}

/// Takes colons, hyphens, Cisco's dots or nothing between the digits.
impl FromStr for Mac {
    type Err = NotMac;

    fn from_str(text: &str) -> Result<Self, NotMac> {
        Self::parse(text.as_bytes()).ok_or(NotMac)
    }
}

/// The digits of `group` as bytes: `width` of them, in pairs.
fn octets_of(group: &[u8], width: usize, octets: &mut std::slice::IterMut<'_, u8>) -> Option<()> {
    // People leave out the leading zero of an octet: 0:1a:2b:…
    if let ([digit], 2) = (group, width) {
        *octets.next()? = nibble(*digit)?;
        return Some(());
    }
    if group.len() != width {
        return None;
    }
    for pair in group.chunks_exact(2) {
        let [high, low] = pair else { return None };
        *octets.next()? = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(())
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mark = "";
        for octet in self.0 {
            write!(f, "{mark}{octet:02x}")?;
            mark = ":";
        }
        Ok(())
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
            "001a2b3c4d5",
            "01a:2b3c:4d5e",
            "::::::",
            "::",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(NotMac), "{text}");
        }
        assert!(!mac.is_random());
        assert!(Mac([0x02, 0, 0, 0, 0, 1]).is_random());
    }
}
