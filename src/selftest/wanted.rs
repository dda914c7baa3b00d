//! Which names are to be denied and which held to a safe mode, here.

use super::canaries::Canary;
use super::place::Promise;
use super::safe_search::Engine;
use crate::name::Name;
use crate::policy::group::SafeSearch;

/// The canaries.
pub(super) fn canaries(_promise: Option<&Promise>) -> Vec<Canary> {
    let names = [
        "use-application-dns.net",
        "mask.icloud.com",
        "mask-h2.icloud.com",
    ];
    let names = names.iter().filter_map(|name| Name::parse(name).ok());
    names.map(|name| Canary { name, on: true }).collect()
}

/// The search engines.
pub(super) fn engines(promise: Option<&Promise>) -> Vec<Engine> {
    let off = promise
        .and_then(Promise::group)
        .is_some_and(|group| group.safe_search == SafeSearch::Off);
    let parse = |names: &[&str]| names.iter().filter_map(|n| Name::parse(n).ok()).collect();
    let targets: &[&str] = if off {
        &[]
    } else {
        &["forcesafesearch.google.com"]
    };
    vec![Engine {
        id: "google".to_owned(),
        names: parse(&["www.google.com"]),
        targets: parse(targets),
    }]
}
