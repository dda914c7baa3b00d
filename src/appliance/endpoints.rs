//! Settings → what is said of our own listeners (`dns/local/endpoints.rs`).

use std::net::{IpAddr, SocketAddr};

use crate::dns::local::endpoints::{Doh, Endpoints};
use crate::settings::Settings;

/// What we say of ourselves.
pub(super) fn endpoints(settings: &Settings) -> Endpoints {
    let (listen, tls) = (&settings.listen, &settings.tls);
    let port = |listeners: &[SocketAddr]| listeners.first().map(SocketAddr::port);
    let (dot, https) = (port(&listen.tls), port(&listen.https));
    let doq = port(&listen.quic);
    let doh = https.map(|at| Doh {
        port: at,
        path: tls.path.clone(),
        http3: port(&listen.https3) == Some(at),
    });
    let encrypted = dot.is_some() || doh.is_some() || doq.is_some();
    Endpoints {
        name: tls.name.clone().filter(|_| encrypted),
        addresses: addresses(settings),
        dot,
        doh,
        doq,
        minimises: false,
        info_url: settings.answers.info_url.clone(),
    }
}

/// Where the encrypted listeners are reached: as somebody wrote, or where they
/// listen, unless that is everywhere.
pub(super) fn addresses(settings: &Settings) -> Vec<IpAddr> {
    if !settings.tls.addresses.is_empty() {
        return settings.tls.addresses.clone();
    }
    let listeners = settings.listen.encrypted();
    let mut addresses: Vec<IpAddr> = listeners.map(SocketAddr::ip).collect();
    addresses.retain(|address| !address.is_unspecified());
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https3_is_told_where_it_has_the_port_of_https() {
        let mut settings = Settings::default();
        let at = |text: &str| vec![text.parse().unwrap()];
        settings.listen.https = at("10.0.0.1:443");
        for (https3, told) in [("10.0.0.1:443", true), ("10.0.0.1:444", false)] {
            settings.listen.https3 = at(https3);
            assert_eq!(endpoints(&settings).doh.unwrap().http3, told);
        }
        settings.listen.quic = at("10.0.0.1:853");
        assert_eq!(endpoints(&settings).doq, Some(853));
    }
}
