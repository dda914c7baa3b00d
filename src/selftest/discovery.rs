//! Whether a phone that asks for an encrypted service is led away.
//!
//! Whoever answers `_dns.resolver.arpa` with another's endpoint sends every
//! phone there. Nothing, or our own, is right.

use std::net::IpAddr;

use super::ask::{A, AAAA, HTTPS, SVCB, Service};
use super::check::{Check, Judgement, failed, ok};
use super::place::Place;
use crate::name::Name;

/// The names that are asked about.
const DISCOVERY: &str = "_dns.resolver.arpa";
const BESIDE: [(&str, u16); 2] = [("resolver.arpa", A), ("foo.bar.resolver.arpa", HTTPS)];

/// The one check. `own` is the resolver's own name, where that is known.
pub(super) fn check(place: &Place, own: Option<&Name>) -> Check {
    Check::new("discovery", "discovery of encrypted DNS", judge(place, own))
}

fn judge(place: &Place, own: Option<&Name>) -> Judgement {
    let heard = match place.asker.ask(DISCOVERY, SVCB) {
        Ok(heard) => heard,
        Err(silence) => return failed(format!("asked for it, {}", silence.in_words())),
    };
    let ours = |service: &Service| match (&place.promise, own) {
        (Some(_), own) => own.is_some() && service.target.as_ref() == own,
        (None, _) => leads_to_server(place, service),
    };
    if !heard.services.iter().all(ours) {
        return failed(
            "phones are told another's encrypted service and will use it; does something on the \
             way, or the router, answer resolver.arpa itself?",
        );
    }
    for (name, rtype) in BESIDE {
        let heard = place.asker.ask(name, rtype);
        if !heard.is_ok_and(|heard| heard.is_negative()) {
            return failed(format!(
                "{name} has an answer; it is asked on to an upstream"
            ));
        }
    }
    match heard.services.len() {
        0 => ok("there is none, and none is told"),
        1 => ok("one is told, and it is ours"),
        n => ok(format!("{n} are told, and they are ours")),
    }
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
