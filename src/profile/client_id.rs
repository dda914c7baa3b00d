//! A fresh `client_id` for a row of devices.csv: 100 random bits in letters and
//! digits that nobody reads wrongly.

/// Base32 of RFC 4648, in lower case: no 0, 1, 8 or 9 to take for letters.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LENGTH: u32 = 20;

/// The id that these random bits make.
#[must_use]
pub fn client_id(random: u128) -> String {
    let digits = (0..LENGTH).map(|at| (random >> (5 * at)) as usize % ALPHABET.len());
    let letters = digits.filter_map(|digit| ALPHABET.get(digit));
    letters.map(|letter| char::from(*letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_of_the_hundred_bits_counts() {
        let zero = client_id(0);
        assert_eq!(zero, "a".repeat(20));
        for bit in 0..100 {
            assert_ne!(client_id(1 << bit), zero, "bit {bit}");
        }
        assert_eq!(client_id(u128::MAX), "7".repeat(20));
    }
}
