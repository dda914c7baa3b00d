//! `[tls]`: what the encrypted listeners show and how they are called.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::read::{address, any_name, socket, values};
use crate::document::{Placed, Table};
use crate::name::Name;

const PATH: &str = "/dns-query";

/// `[tls]`: what the encrypted listeners show and how they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// Whether a certificate is made here instead, by an authority of our own.
    pub private_ca: bool,
    /// The resolver's own name, as its certificate has it.
    pub name: Option<Name>,
    /// The path of DNS over HTTPS.
    pub path: String,
    /// The addresses at which devices reach the encrypted listeners, for those
    /// that ask where they are; none: those they listen on.
    pub addresses: Vec<IpAddr>,
}

pub(super) fn read(table: Table<'_>) -> Tls {
    let file = |key| table.string(key).filter(|file| !file.value.is_empty());
    let (certificate, key) = (file("certificate"), file("key"));
    match (&certificate, &key) {
        (Some(file), None) => table.complain_at(&file.place, "`certificate` needs `key` beside it"),
        (None, Some(file)) => table.complain_at(&file.place, "`key` needs `certificate` beside it"),
        _ => {}
    }
    let private_ca = table.boolean("private_ca");
    if let (Some(made), Some(_)) = (private_ca.as_ref().filter(|made| made.value), &certificate) {
        let message = "`private_ca` makes a certificate, and `certificate` has one: choose";
        table.complain_at(&made.place, message);
    }
    let name = table.parsed("name", |text| match text {
        "" => Ok(None),
        text => any_name(text).map(Some),
    });
    let path = table.parsed("path", path);
    let addresses = table.parsed_list("addresses", reachable);
    let tls = Tls {
        certificate: certificate.map(|file| file.value.into()),
        key: key.map(|file| file.value.into()),
        private_ca: private_ca.is_some_and(|made| made.value),
        name: name.and_then(|name| name.value),
        path: path.map_or_else(|| PATH.to_owned(), |path| path.value),
        addresses: values(addresses.unwrap_or_default()),
    };
    table.finish();
    tls
}

impl Tls {
    /// Whether there is something to show.
    pub(super) fn has_certificate(&self) -> bool {
        self.private_ca || self.certificate.is_some()
    }
}

/// The addresses of an encrypted listener, of which none may be without a
/// certificate.
pub(super) fn listeners(listen: &Table<'_>, key: &'static str, tls: &Tls) -> Vec<SocketAddr> {
    values(certified(listen, key, tls))
}

/// The same for QUIC, whose datagrams nobody else may take: `others` are the
/// listeners that would.
pub(super) fn datagram_listeners(
    listen: &Table<'_>,
    key: &'static str,
    tls: &Tls,
    others: &[(&str, &[SocketAddr])],
) -> Vec<SocketAddr> {
    let all = certified(listen, key, tls);
    for address in &all {
        let is_taken = |taken: &[SocketAddr]| taken.contains(&address.value);
        let other = others.iter().find(|(_, taken)| is_taken(taken));
        if let Some((other, _)) = other.filter(|_| address.value.port() != 0) {
            let message = format!(
                "`{key}` cannot have {}, for `{other}` has it, and both take datagrams",
                address.value
            );
            listen.complain_at(&address.place, message);
        }
    }
    values(all)
}

fn certified(listen: &Table<'_>, key: &'static str, tls: &Tls) -> Vec<Placed<SocketAddr>> {
    let all = listen.parsed_list(key, socket).unwrap_or_default();
    if let Some(first) = all.first().filter(|_| !tls.has_certificate()) {
        complain_of_none(listen, key, first);
    }
    all
}

fn complain_of_none(listen: &Table<'_>, key: &str, first: &Placed<SocketAddr>) {
    let message = format!(
        "`{key}` has nothing to show: it needs `certificate` and `key` in [tls], or `private_ca = true`"
    );
    listen.complain_at(&first.place, message);
}

/// An address that a device can ask at.
fn reachable(text: &str) -> Result<IpAddr, String> {
    let address = address(text)?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("\"{text}\" is no address that a device can ask at"));
    }
    Ok(address)
}

/// A path that needs no escape, and has room for a device's id behind it.
fn path(text: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let fits = text.starts_with('/') && !text.ends_with('/') && text.len() <= 200;
    if fits && !text.contains("//") && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is not a path; write it like \"{PATH}\""
    ))
}
