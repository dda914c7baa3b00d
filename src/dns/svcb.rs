//! What stands in SVCB and HTTPS records (RFC 9460): a priority, a name, and
//! parameters by key.
//!
//! Two of them have addresses, which the second look sees; one has the keys with
//! which a browser hides the name of the server it visits (`ech`), and may be
//! taken out. What is not known stays as it is.

/// The parameter that names those without which the record means nothing.
const MANDATORY: u16 = 0;
/// The keys of Encrypted Client Hello.
const ECH: u16 = 5;

/// The parameters of one record: key and value.
pub(super) struct Parameters<'d> {
    rest: &'d [u8],
}

/// The parameters in the data of a record.
pub(super) fn parameters(data: &[u8]) -> Parameters<'_> {
    // The target name is never compressed (RFC 9460 section 2.2).
    let mut rest = data.get(2..).unwrap_or_default();
    while let Some((&length, tail)) = rest.split_first() {
        rest = tail.get(usize::from(length)..).unwrap_or_default();
        if length == 0 {
            break;
        }
    }
    Parameters { rest }
}

impl<'d> Iterator for Parameters<'d> {
    type Item = (u16, &'d [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([k1, k2, l1, l2], tail) = self.rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([*l1, *l2]));
        let (value, after) = tail.split_at_checked(length)?;
        self.rest = after;
        Some((u16::from_be_bytes([*k1, *k2]), value))
    }
}

impl Parameters<'_> {
    /// Whether there is nothing behind the last one that could be read.
    fn ends_well(mut self) -> bool {
        while self.next().is_some() {}
        self.rest.is_empty()
    }
}

/// Whether a record has the keys or says that it needs them, or cannot be read,
/// so that it may.
pub(super) fn has_ech(data: &[u8]) -> bool {
    parameters(data).any(|(key, _)| key == ECH) || !means_something_without(data)
}

/// Whether a record can be read and does not need the keys.
fn means_something_without(data: &[u8]) -> bool {
    let ech = |value: &[u8]| value.chunks_exact(2).any(|key| key == ECH.to_be_bytes());
    let needed = parameters(data).any(|(key, value)| key == MANDATORY && ech(value));
    !needed && parameters(data).ends_well()
}

/// Appends the data of a record without the keys. `false`, and nothing is
/// appended, if the record means nothing without them or cannot be read.
pub(super) fn put_without_ech(data: &[u8], out: &mut Vec<u8>) -> bool {
    if !means_something_without(data) {
        return false;
    }
    let head = data.len() - parameters(data).rest.len();
    out.extend_from_slice(data.get(..head).unwrap_or_default());
    for (key, value) in parameters(data).filter(|(key, _)| *key != ECH) {
        out.extend_from_slice(&key.to_be_bytes());
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Priority 1, target `a.`, and these parameters.
    fn data(parameters: &[(u16, &[u8])]) -> Vec<u8> {
        let mut data = vec![0, 1, 1, b'a', 0];
        for (key, value) in parameters {
            data.extend(key.to_be_bytes());
            data.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            data.extend(*value);
        }
        data
    }

    fn stripped(data: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        put_without_ech(data, &mut out).then_some(out)
    }

    #[test]
    fn the_keys_are_taken_out_and_all_else_stays() {
        let with = data(&[(0, &[0, 1]), (1, b"\x02h2"), (5, b"keys"), (65280, b"x")]);
        let without = data(&[(0, &[0, 1]), (1, b"\x02h2"), (65280, b"x")]);
        assert!(has_ech(&with) && !has_ech(&without));
        assert_eq!(stripped(&with), Some(without.clone()));
        assert_eq!(stripped(&without), Some(without));
    }

    #[test]
    fn what_needs_them_or_cannot_be_read_is_left_out_whole() {
        let needs = data(&[(0, &[0, 1, 0, 5]), (1, b"\x02h2"), (5, b"keys")]);
        assert_eq!(stripped(&needs), None);
        let whole = data(&[(1, b"\x02h2"), (5, b"keys")]);
        for cut in [&whole[..whole.len() - 1], &whole[..13], &whole[..7]] {
            assert!(has_ech(cut), "{cut:?}");
            assert_eq!(stripped(cut), None, "{cut:?}");
        }
    }
}
