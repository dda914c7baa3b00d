//! The key by which a bundle shows that this appliance made it.
//!
//! Ed25519, made at first use, readable by its owner only, and never leaving the
//! machine. Whoever gets a bundle gets the public half in it, which proves
//! nothing until its fingerprint has been compared with the one that the school
//! reads out: that is what the fingerprint is short for.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::lists::durable;

/// What stands before an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// Bytes of a signature.
pub const SIGNATURE: usize = 64;

/// The appliance's own key.
pub struct Key {
    pair: Ed25519KeyPair,
}

/// The half of a key that everybody may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl Key {
    /// The key below `state_dir`, made if there is none.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let path = path(state_dir);
        if let Some(bytes) = durable::read_if_any(&path)? {
            return Self::from(&path, &bytes);
        }
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| io::Error::other("no random numbers for a key"))?;
        if let Some(folder) = path.parent() {
            durable::create_folder(folder)?;
        }
        durable::write(&path, made.as_ref()).map_err(|error| durable::naming(&path, &error))?;
        Self::from(&path, made.as_ref())
    }

    fn from(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let damaged = |_| {
            let why = "is not the key it was; put it back from the backup, or remove it and \
                       tell everybody that the fingerprint has changed";
            io::Error::other(format!("{}: {why}", path.display()))
        };
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(damaged)?;
        Ok(Self { pair })
    }

    /// What others check signatures by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// A signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl PublicKey {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Reads what [`PublicKey::pem`] writes, and OpenSSL.
    #[must_use]
    pub fn from_pem(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim);
        let inner: String = lines.filter(|line| !line.starts_with('-')).collect();
        let bytes = BASE64.decode(inner.as_bytes()).ok()?;
        let key = bytes.strip_prefix(&SPKI)?;
        Some(Self(key.try_into().ok()?))
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// As OpenSSL reads it.
    #[must_use]
    pub fn pem(&self) -> String {
        let inner = BASE64.encode(&[&SPKI[..], &self.0].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{inner}\n-----END PUBLIC KEY-----\n")
    }

    /// What people compare: the first half of its SHA-256, in groups of four.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = HEXLOWER.encode(&Sha256::digest(self.0));
        let digits: Vec<char> = hash.chars().take(32).collect();
        let groups: Vec<String> = digits.chunks(4).map(|four| four.iter().collect()).collect();
        groups.join(" ")
    }

    /// Whether `text` is this key's fingerprint, however it was spaced.
    #[must_use]
    pub fn has_fingerprint(&self, text: &str) -> bool {
        let plain = |text: &str| -> String {
            let digits = text.chars().filter(char::is_ascii_hexdigit);
            digits.map(|c| c.to_ascii_lowercase()).collect()
        };
        plain(text) == plain(&self.fingerprint())
    }

    /// Whether the key's owner signed `message`.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(message, signature).is_ok()
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("evidence").join("key")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_from_others() {
        let state = tempfile::tempdir().unwrap();
        let key = Key::open(state.path()).unwrap();
        let again = Key::open(state.path()).unwrap();
        assert_eq!(key.public(), again.public());
        let mode = path(state.path()).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let signature = key.sign(b"a");
        assert_eq!(signature.len(), SIGNATURE);
        assert!(again.public().has_signed(b"a", &signature));
        assert!(!again.public().has_signed(b"b", &signature));
        std::fs::write(path(state.path()), b"short").unwrap();
        assert!(Key::open(state.path()).is_err());
    }

    #[test]
    fn a_public_key_is_written_and_read() {
        let state = tempfile::tempdir().unwrap();
        let public = Key::open(state.path()).unwrap().public();
        assert_eq!(PublicKey::from_hex(&public.hex()), Some(public));
        assert_eq!(PublicKey::from_pem(&public.pem()), Some(public));
        let fingerprint = public.fingerprint();
        assert_eq!(fingerprint.len(), 39);
        assert!(public.has_fingerprint(&fingerprint.replace(' ', ":").to_uppercase()));
        assert!(!public.has_fingerprint(&fingerprint[..30]));
        assert!(!public.has_fingerprint(""));
    }
}
