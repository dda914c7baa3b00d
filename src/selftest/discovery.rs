//! Whether a phone that asks for an encrypted service is led away.
//!
//! Whoever answers `_dns.resolver.arpa` with another's endpoint sends every
//! phone there. Nothing, or our own, is right.

use std::net::{IpAddr, SocketAddr};

use super::ask::{A, AAAA, HTTPS, SVCB, Service};
use super::check::{Check, Judgement, failed, ok};
use super::place::Place;
use super::secure::Endpoint;
use crate::name::Name;

/// The names that are asked about.
const DISCOVERY: &str = "_dns.resolver.arpa";
const BESIDE: [(&str, u16); 2] = [("resolver.arpa", A), ("foo.bar.resolver.arpa", HTTPS)];

/// The one check, and where it leads if it leads to us. `own` is the resolver's
/// own name, where that is known.
pub(super) fn check(place: &Place, own: Option<&Name>) -> (Check, Vec<Endpoint>) {
    let services = look(place, own);
    let endpoints = services.iter().flatten();
    let endpoints = endpoints.filter_map(|service| endpoint(place, service));
    let endpoints = endpoints.collect();
    let judgement = services.map_or_else(
        |judgement| judgement,
        |services| match services.len() {
            0 => ok("there is none, and none is told"),
            1 => ok("one is told, and it is ours"),
            n => ok(format!("{n} are told, and they are ours")),
        },
    );
    let check = Check::new("discovery", "discovery of encrypted DNS", judgement);
    (check, endpoints)
}

fn look(place: &Place, own: Option<&Name>) -> Result<Vec<Service>, Judgement> {
    let heard = place.asker.ask(DISCOVERY, SVCB);
    let heard = heard.map_err(|silence| failed(format!("asked for it, {}", silence.in_words())))?;
    let ours = |service: &Service| match (&place.promise, own) {
        (Some(_), own) => own.is_some() && service.target.as_ref() == own,
        (None, _) => leads_to_server(place, service),
    };
    if !heard.services.iter().all(ours) {
        return Err(failed(
            "phones are told another's encrypted service and will use it; does something on the \
             way, or the router, answer resolver.arpa itself?",
        ));
    }
    for (name, rtype) in BESIDE {
        let heard = place.asker.ask(name, rtype);
        if !heard.is_ok_and(|heard| heard.is_negative()) {
            return Err(failed(format!(
                "{name} has an answer; it is asked on to an upstream"
            )));
        }
    }
    Ok(heard.services)
}

/// Where a device would go.
fn endpoint(place: &Place, service: &Service) -> Option<Endpoint> {
    let speaks = |protocol: &str| service.protocols.iter().any(|p| p == protocol);
    let (path, usual) = if speaks("dot") {
        (None, 853)
    } else if speaks("h2") {
        let path = service.path.as_ref()?;
        (Some(path.replace("{?dns}", "")), 443)
    } else {
        return None;
    };
    let server = place.asker.server.ip();
    let near = |hint: &&IpAddr| hint.is_ipv4() == server.is_ipv4();
    let hint = service.hints.iter().find(near).copied();
    let asked_there = service.hints.contains(&server) || hint.is_none();
    let ip = if asked_there { server } else { hint? };
    Some(Endpoint {
        address: SocketAddr::new(ip, service.port.unwrap_or(usual)),
        name: service.target.as_ref()?.to_string(),
        path,
    })
}

/// From another machine: ours is what has the address that was asked.
fn leads_to_server(place: &Place, service: &Service) -> bool {
    let server: IpAddr = place.asker.server.ip();
    if service.hints.contains(&server) {
        return true;
    }
    let rtype = if server.is_ipv4() { A } else { AAAA };
    let target = service.target.as_ref();
    target.is_some_and(|target| {
        let heard = place.asker.ask(target, rtype);
        heard.is_ok_and(|heard| heard.addresses.contains(&server))
    })
}
