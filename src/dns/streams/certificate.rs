//! The certificate of every encrypted listener, replaceable while they serve.
//!
//! One place for it, so that all listeners show the same, and a new one is shown
//! from the next handshake on. It comes here as text and is read whole before
//! it replaces the old one: a pair that does not fit is refused. The
//! key goes to rustls and nowhere else, neither to a log nor to a message.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};

use crate::devices::client_id::{ClientId, Impossible};
use crate::name::Name;

/// What the listeners show.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwapOption<CertifiedKey>,
    /// The resolver's own name, in lower case.
    name: Option<Box<str>>,
}

/// A chain of certificates with the key of the first.
#[derive(Debug, Clone)]
pub struct Pair {
    key: Arc<CertifiedKey>,
    /// When the first certificate ends; none if it does not say so in a way
    /// that is understood.
    pub expires: Option<Timestamp>,
}

/// Why two texts are no pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPair {
    /// No `-----BEGIN CERTIFICATE-----` in the one.
    #[error("there is no PEM certificate in the certificate file")]
    NoCertificate,
    /// No `-----BEGIN PRIVATE KEY-----` in the other.
    #[error("there is no PEM private key in the key file")]
    NoKey,
    /// Each is right by itself.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// A kind of key or certificate that is not known.
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(String),
}

impl Pair {
    /// Reads a certificate chain, the server's own first, and its key, both
    /// PEM.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, BadPair> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| BadPair::NoCertificate)?;
        let first = chain.first().ok_or(BadPair::NoCertificate)?;
        let expires = not_after(first);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| BadPair::NoKey)?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let key = key.map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => BadPair::Mismatch,
            other => BadPair::Unusable(other.to_string()),
        })?;
        Ok(Self {
            key: Arc::new(key),
            expires,
        })
    }
}

impl Certificates {
    /// None yet: until there is one, every handshake is refused.
    #[must_use]
    pub fn new(name: Option<&Name>) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwapOption::empty(),
            name: name.map(|name| name.to_string().into()),
        })
    }

    /// Shows this one from now on.
    pub fn replace(&self, pair: &Pair) {
        self.current.store(Some(Arc::clone(&pair.key)));
    }

    /// How a listener of these protocols shakes hands: TLS 1.2 and 1.3,
    /// sessions resumed by tickets that only this process can read.
    pub fn config(self: &Arc<Self>, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.ticketer = Ticketer::new()?;
        Ok(Arc::new(config))
    }

    /// The id in the server name that a client gave.
    pub fn client_id(&self, server_name: Option<&str>) -> Result<Option<ClientId>, Impossible> {
        match (server_name, &self.name) {
            (Some(server_name), Some(own)) => ClientId::from_server_name(server_name, own),
            _ => Ok(None),
        }
    }
}

impl ResolvesServerCert for Certificates {
    /// An impossible id gets an alert instead of a certificate (D19).
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.client_id(hello.server_name()).ok()?;
        self.current.load_full()
    }
}

/// When a certificate ends (RFC 5280 section 4.1.2.5). Of all that stands in
/// one it is the only thing that rustls does not tell.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const SEQUENCE: u8 = 0x30;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // [0] version, if any; serial number, algorithm, issuer; then the validity.
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (SEQUENCE, validity, _) = element(fields)? else {
        return None;
    };
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        // Two digits of the year; those below 50 are of this century.
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = year.parse::<i16>().ok()?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let [month, day, hour, minute, second] =
        [number(0)?, number(2)?, number(4)?, number(6)?, number(8)?];
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The tag and contents of the first DER element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        // Nothing in a certificate is as long as that.
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["dns.school.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 3, 9);
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_pair_says_when_it_ends() {
        for year in [2027, 2049, 2050, 2999] {
            let (chain, key) = made(year);
            let pair = Pair::read(chain.as_bytes(), key.as_bytes()).unwrap();
            let wanted = format!("{year}-03-09T00:00:00Z");
            assert_eq!(pair.expires.unwrap().to_string(), wanted);
            for cut in 0..200 {
                let _ = not_after(&pair.key.cert[0][..cut]);
            }
        }
    }

    #[test]
    fn what_is_no_pair_is_told() {
        let ((chain, key), (_, other)) = (made(2027), made(2027));
        let why = |chain: &str, key: &str| Pair::read(chain.as_bytes(), key.as_bytes()).err();
        assert_eq!(why(&chain, &key), None);
        assert_eq!(why(&chain, &other), Some(BadPair::Mismatch));
        assert_eq!(why("", &key), Some(BadPair::NoCertificate));
        assert_eq!(why(&key, &key), Some(BadPair::NoCertificate));
        assert_eq!(why(&chain, &chain), Some(BadPair::NoKey));
        assert_eq!(why(&chain[..300], &key), Some(BadPair::NoCertificate));
    }
}
