//! The certificate's files: read at the start, and again when they change.
//!
//! A pair that cannot be used leaves the old one serving, is said once, and
//! shows in the metrics until there is a better one. Without any at the
//! start the encrypted listeners refuse every handshake, and the rest of the
//! resolver works: port 53 must not depend on a file of port 853.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::endpoints::addresses;
use super::private_ca::PrivateCa;
use crate::dns::streams::certificate::{Certificates, Pair};
use crate::settings::Settings;

/// A certificate that ends sooner is warned of: whoever renews it did not.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How often the private authority is asked whether its certificate ends.
const RENEWAL: SignedDuration = SignedDuration::from_hours(1);

/// Looks after the files.
pub(crate) struct Keeper {
    certificates: Arc<Certificates>,
    certificate: PathBuf,
    key: PathBuf,
    private_ca: Option<PrivateCa>,
    /// When the authority was last asked.
    renewed: Option<Timestamp>,
    /// The files as they were taken or refused.
    known: Option<Stamp>,
    /// The files at the last look.
    seen: Option<Stamp>,
    warned: bool,
    status: Arc<Status>,
}

/// How the certificate fares, for the metrics.
#[derive(Debug, Default)]
pub(super) struct Status {
    ok: AtomicBool,
    /// Seconds since 1970; 0: not known.
    expires: AtomicI64,
}

/// What changes of two files when they are written: their inode, size, and
/// times to the nanosecond.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl Keeper {
    /// Of the certificate that the settings name; none if there is none.
    pub(super) fn new(settings: &Settings, certificates: &Arc<Certificates>) -> Option<Self> {
        let tls = &settings.tls;
        let (certificate, key, private_ca) = if tls.private_ca {
            let mut addresses = addresses(settings);
            // A client that was handed a plain address checks that the encrypted
            // service has it too (RFC 9462 section 4.2).
            addresses.extend(settings.listen.dns.iter().map(SocketAddr::ip));
            let ca = PrivateCa::new(&settings.state_dir, tls.name.as_ref(), addresses);
            (ca.certificate(), ca.key(), Some(ca))
        } else {
            (tls.certificate.clone()?, tls.key.clone()?, None)
        };
        Some(Self::with(certificate, key, private_ca, certificates))
    }

    /// Of the certificate that the pages show: their own, else the resolver's,
    /// else one that is made for these addresses.
    pub(crate) fn of_pages(
        settings: &Settings,
        mut addresses: Vec<IpAddr>,
        certificates: &Arc<Certificates>,
    ) -> Self {
        let (pages, tls) = (&settings.dashboard, &settings.tls);
        let own = pages.certificate.clone().zip(pages.key.clone());
        let pair = own.or_else(|| tls.certificate.clone().zip(tls.key.clone()));
        if let Some((certificate, key)) = pair {
            return Self::with(certificate, key, None, certificates);
        }
        addresses.extend(settings.tls.addresses.iter().copied());
        let ca = PrivateCa::new(&settings.state_dir, tls.name.as_ref(), addresses);
        let ca = ca.with_leaf("pages");
        Self::with(ca.certificate(), ca.key(), Some(ca), certificates)
    }

    fn with(
        certificate: PathBuf,
        key: PathBuf,
        private_ca: Option<PrivateCa>,
        certificates: &Arc<Certificates>,
    ) -> Self {
        Self {
            certificates: Arc::clone(certificates),
            certificate,
            key,
            private_ca,
            renewed: None,
            known: None,
            seen: None,
            warned: false,
            status: Arc::default(),
        }
    }

    pub(super) fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Takes the files as they are.
    pub(crate) fn read(&mut self, now: Timestamp) {
        self.renewed = None;
        self.renew(now);
        let stamp = self.stamp();
        (self.known, self.seen) = (Some(stamp), Some(stamp));
        self.take(now);
    }

    /// Takes the files if they have changed and come to rest: whoever writes
    /// two files is between them for a moment.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.renew(now);
        let stamp = self.stamp();
        let rests = self.seen.replace(stamp) == Some(stamp);
        if rests && self.known != Some(stamp) {
            self.known = Some(stamp);
            self.take(now);
        }
        self.warn(now);
    }

    fn take(&mut self, now: Timestamp) {
        match self.pair(now) {
            Ok(pair) => {
                self.certificates.replace(&pair);
                let expires = pair.expires.map_or(0, Timestamp::as_second);
                self.status.expires.store(expires, Ordering::Relaxed);
                self.status.ok.store(true, Ordering::Relaxed);
                self.warned = false;
                let expires = pair.expires.map(|at| at.to_string()).unwrap_or_default();
                tracing::info!(%expires, "certificate taken");
            }
            Err(error) => {
                self.status.ok.store(false, Ordering::Relaxed);
                tracing::error!("certificate refused: {error:#}; what was served before still is");
            }
        }
    }

    fn pair(&self, now: Timestamp) -> anyhow::Result<Pair> {
        let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
        let pair = Pair::read(&read(&self.certificate)?, &read(&self.key)?)
            .with_context(|| self.certificate.display().to_string())?;
        // At the start a clock may stand at 1970 but never too late.
        let is_over = pair.expires.is_some_and(|at| at <= now);
        if is_over && self.status.expires().is_some_and(|at| at > now) {
            anyhow::bail!("{}: it has expired", self.certificate.display());
        }
        Ok(pair)
    }

    fn renew(&mut self, now: Timestamp) {
        let Some(ca) = &self.private_ca else {
            return;
        };
        // Also when the clock is set, in whichever direction.
        let is_recent = |at: Timestamp| now.duration_since(at).abs() < RENEWAL;
        if self.renewed.is_some_and(is_recent) {
            return;
        }
        self.renewed = Some(now);
        if let Err(error) = ca.renew(now) {
            tracing::error!("the private authority: {error:#}");
        }
    }

    fn warn(&mut self, now: Timestamp) {
        let left = self.status.expires().map(|at| at.duration_since(now));
        if !self.warned && left.is_some_and(|left| left < SOON) {
            self.warned = true;
            tracing::warn!("the certificate ends within 14 days: has whoever renews it stopped?");
        }
    }

    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let file = fs::metadata(path).ok()?;
            Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
        })
    }
}

impl Status {
    /// Whether the files as they are now are served.
    pub(super) fn ok(&self) -> bool {
        self.ok.load(Ordering::Relaxed)
    }

    /// When what is served ends.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        let at = self.expires.load(Ordering::Relaxed);
        (at != 0).then(|| Timestamp::from_second(at).ok())?
    }
}
