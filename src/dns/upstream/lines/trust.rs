//! Whose certificates are believed.
//!
//! The authorities built in, and those of the school's own. The time by which a
//! certificate is judged is never before the lists were compiled: an appliance
//! whose clock has lost its battery must be able to look up its time server,
//! and a certificate that had expired before that day is refused still.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::RootCertStore;
use rustls::client::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::policy::Policy;

/// Why a file of authorities is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthorities {
    /// It has no certificate in it.
    #[error("there is no certificate in it")]
    None,
    /// It is no PEM.
    #[error("it cannot be read: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// One of its certificates cannot be believed in.
    #[error("a certificate in it is no authority's: {0}")]
    Refused(#[from] rustls::Error),
}

/// Whose certificates are believed; cheap to clone.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Believes the authorities built in and those in `pem`.
    pub fn new(
        pem: Option<&[u8]>,
        live: Arc<ArcSwapOption<Policy>>,
    ) -> Result<Self, BadAuthorities> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = pem {
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate?)?;
                found = true;
            }
            if !found {
                return Err(BadAuthorities::None);
            }
        }
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(Clock(live)))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// What a handshake needs, for an application that calls itself `alpn`, or
    /// that says nothing of itself.
    pub(super) fn client(&self, alpn: &[u8]) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.0);
        if !alpn.is_empty() {
            config.alpn_protocols = vec![alpn.to_vec()];
        }
        config
    }
}

/// The machine's clock, or the day of the lists if that is later.
struct Clock(Arc<ArcSwapOption<Policy>>);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let policy = self.0.load();
        let earliest = policy.as_ref().map_or(0, |p| p.not_before.as_second());
        let earliest = Duration::from_secs(earliest.try_into().unwrap_or_default());
        let earliest = UnixTime::since_unix_epoch(earliest);
        Some(DefaultTimeProvider.current_time()?.max(earliest))
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
