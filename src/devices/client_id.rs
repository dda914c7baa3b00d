//! The id by which a device names itself over an encrypted transport.
//!
//! It rides in the path of DNS over HTTPS (`/dns-query/ID`) or as one label in
//! front of the resolver's own name in the TLS server name (`ID.dns.school.example`).
//! So it is a label of a host name, in whatever case (D17, D19, D20).
//!
//! Whether it means anything is the inventory's to say: this only reads.

/// Most octets of a label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;
/// Fewest characters of an id that a school issues: it is a secret, and must
/// not be guessed.
const MIN_ISSUED: usize = 12;

/// A well-formed id in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(Box<str>);

/// What cannot be an id (D19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one label of letters, digits and hyphens")]
pub struct Impossible;

impl ClientId {
    /// Reads a label.
    pub fn parse(label: &str) -> Result<Self, Impossible> {
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        let is_label = bytes.len() <= MAX_LABEL
            && ends.iter().all(|end| end.is_some_and(|byte| *byte != b'-'))
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        if is_label {
            Ok(Self(label.to_ascii_lowercase().into()))
        } else {
            Err(Impossible)
        }
    }

    /// What stands in front of `own`, the resolver's name in lower case, in a
    /// TLS server name: one label, or nothing. A name that is not the
    /// resolver's says nothing of the device.
    pub fn from_server_name(server_name: &str, own: &str) -> Result<Option<Self>, Impossible> {
        let name = server_name.strip_suffix('.').unwrap_or(server_name);
        let Some(at) = name.len().checked_sub(own.len()) else {
            return Ok(None);
        };
        match name.split_at_checked(at) {
            Some((front, tail)) if tail.eq_ignore_ascii_case(own) => match front {
                "" => Ok(None),
                front => match front.strip_suffix('.') {
                    Some(label) => Self::parse(label).map(Some),
                    // `notdns.school.example` is another's name.
                    None => Ok(None),
                },
            },
            _ => Ok(None),
        }
    }

    /// The id, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether an id may be issued: a label in lower case, and long.
pub fn check_issued(id: &str) -> Result<(), String> {
    let is_lower = !id.bytes().any(|byte| byte.is_ascii_uppercase());
    if ClientId::parse(id).is_ok() && is_lower && id.len() >= MIN_ISSUED {
        return Ok(());
    }
    Err(format!(
        "{MIN_ISSUED} to {MAX_LABEL} random lower-case letters, digits and hyphens, like k3v9x2qm7w4t"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_before_our_name_is_an_id() {
        let id = |name: &str| {
            let found = ClientId::from_server_name(name, "example.com");
            found.map(|id| id.map(|id| id.as_str().to_owned()))
        };
        assert_eq!(id("cli.example.com"), Ok(Some("cli".to_owned())));
        assert_eq!(
            id("InSeNsItIvE.eXample.com."),
            Ok(Some("insensitive".to_owned()))
        );
        for none in [
            "example.com",
            "notexample.com",
            "localhost",
            "example.net",
            "",
        ] {
            assert_eq!(id(none), Ok(None), "{none}");
        }
        let long = format!("{}.example.com", "x".repeat(72));
        for bad in [
            "!!!.example.com",
            "a.b.example.com",
            ".example.com",
            "-a.example.com",
            "é.example.com",
            &long,
        ] {
            assert_eq!(id(bad), Err(Impossible), "{bad}");
        }
    }

    #[test]
    fn an_issued_id_is_long_and_in_lower_case() {
        assert_eq!(check_issued("k3v9x2qm7w4t"), Ok(()));
        for bad in [
            "k3v9x2qm7w4",
            "K3v9x2qm7w4t",
            "k3v9x2qm7w4t-",
            "k3v9 2qm7w4t",
        ] {
            assert!(check_issued(bad).is_err(), "{bad}");
        }
    }
}
