//! An authority of this machine's own, for trials: devices that are told to
//! believe it can speak to the encrypted listeners before the school has a
//! certificate from a public one.
//!
//! What believes it would believe anything it signs, so it can sign little: its
//! certificate holds for the resolver's own name alone (RFC 5280 section
//! 4.2.1.10), and has a folder for each name. Keys are readable by the owner
//! only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

use crate::dns::streams::certificate::Pair;
use crate::lists::durable;
use crate::name::Name;

/// What it is called without a name of its own.
const LOCALHOST: &str = "localhost";
/// How long a certificate holds, and how long before its end there is a new
/// one. Devices refuse those of over 825 days.
const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
const RENEWAL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The authority and the one certificate it makes.
pub struct PrivateCa {
    folder: PathBuf,
    name: Option<String>,
    addresses: Vec<IpAddr>,
    /// What the files of its certificate are called.
    leaf: &'static str,
}

impl PrivateCa {
    /// The authority for `name` in this state folder; its certificate is also
    /// for these addresses.
    #[must_use]
    pub fn new(state: &Path, name: Option<&Name>, mut addresses: Vec<IpAddr>) -> Self {
        let name = name.map(ToString::to_string);
        addresses.extend([
            Ipv4Addr::LOCALHOST.into(),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ]);
        addresses.retain(|address| !address.is_unspecified());
        addresses.sort_unstable();
        addresses.dedup();
        Self {
            folder: state
                .join("private-ca")
                .join(name.as_deref().unwrap_or(LOCALHOST)),
            name,
            addresses,
            leaf: "certificate",
        }
    }

    /// The same authority with another certificate, whose files are called so:
    /// another process has the first.
    #[must_use]
    pub(super) fn with_leaf(self, leaf: &'static str) -> Self {
        Self { leaf, ..self }
    }

    /// What devices must be told to believe.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join(self.leaf).with_extension("pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.join(self.leaf).with_extension("key")
    }

    /// Makes what is missing or ends soon.
    pub(super) fn renew(&self, now: Timestamp) -> anyhow::Result<()> {
        let (certificate, key) = (self.certificate(), self.key());
        let chain = durable::read_if_any(&certificate)?.unwrap_or_default();
        let pair = Pair::read(&chain, &durable::read_if_any(&key)?.unwrap_or_default()).ok();
        let expires = pair.and_then(|pair| pair.expires);
        // By a clock that stood wrong it may also end far too late.
        let left = expires.map(|at| at.duration_since(now));
        if left.is_some_and(|left| left > RENEWAL && left <= LIFE + SignedDuration::from_hours(24))
        {
            return Ok(());
        }
        durable::create_folder(&self.folder)?;
        // Two processes must not each make an authority.
        let lock = durable::lock(&self.folder.join("lock"))?;
        let issuer = self.issuer()?;
        drop(lock);
        let own = KeyPair::generate()?;
        let made = self.params(now)?.signed_by(&own, &issuer)?;
        durable::write(&key, own.serialize_pem().as_bytes())?;
        durable::write(&certificate, made.pem().as_bytes())?;
        Ok(())
    }

    /// The authority, made if it is not there.
    fn issuer(&self) -> anyhow::Result<Issuer<'static, KeyPair>> {
        let (authority, secret) = (self.authority(), self.folder.join("ca.key"));
        let params = self.authority_params();
        let known = durable::read_if_any(&secret)?.filter(|_| authority.exists());
        if let Some(known) = known {
            let text = String::from_utf8(known).context("ca.key is no text")?;
            return Ok(Issuer::new(params, KeyPair::from_pem(&text)?));
        }
        let key = KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        durable::write(&secret, key.serialize_pem().as_bytes())?;
        durable::write(&authority, made.pem().as_bytes())?;
        Ok(Issuer::new(params, key))
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(LOCALHOST)
    }

    fn authority_params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        let title = format!("Schoolgate private authority for {}", self.name());
        params.distinguished_name.push(DnType::CommonName, title);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let own = [self.name(), LOCALHOST].map(|name| GeneralSubtree::DnsName(name.to_owned()));
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: own.into(),
            excluded_subtrees: Vec::new(),
        });
        // Not by the clock: it may stand at 1970 when this is made.
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2045, 1, 1);
        params
    }

    fn params(&self, now: Timestamp) -> anyhow::Result<CertificateParams> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, self.name());
        let mut names = vec![LOCALHOST.to_owned()];
        // With any one label before it: that is where a device's id goes.
        names.extend(
            self.name
                .iter()
                .flat_map(|name| [name.clone(), format!("*.{name}")]),
        );
        for name in names {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.try_into()?));
        }
        let addresses = self.addresses.iter().copied();
        params
            .subject_alt_names
            .extend(addresses.map(SanType::IpAddress));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let day = |time: Timestamp| {
            let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
            date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8)
        };
        params.not_before = day(now - SignedDuration::from_hours(24));
        params.not_after = day(now + LIFE);
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_before_it_ends_by_the_same_authority() {
        let state = tempfile::tempdir().unwrap();
        let name = Name::parse("dns.school.example").unwrap();
        let ca = PrivateCa::new(state.path(), Some(&name), Vec::new());
        let read = |path: PathBuf| std::fs::read(path).unwrap();
        // A clock that stood at 1970 when both were made, and was set then.
        ca.renew(Timestamp::UNIX_EPOCH).unwrap();
        let (authority, early) = (read(ca.authority()), read(ca.certificate()));
        let now: Timestamp = "2026-11-21T18:00:00Z".parse().unwrap();
        let after = |days: i64| now + SignedDuration::from_hours(24 * days);
        ca.renew(now).unwrap();
        let first = read(ca.certificate());
        assert_ne!(first, early);
        ca.renew(after(59)).unwrap();
        assert_eq!(read(ca.certificate()), first);
        ca.renew(after(61)).unwrap();
        let second = read(ca.certificate());
        assert_ne!(second, first);
        let pair = Pair::read(&second, &read(ca.key())).unwrap();
        assert_eq!(pair.expires.unwrap().to_string(), "2027-04-21T00:00:00Z");
        // Set back again, it holds for too long.
        ca.renew(now).unwrap();
        assert_ne!(read(ca.certificate()), second);
        assert_eq!(read(ca.authority()), authority);
    }
}
