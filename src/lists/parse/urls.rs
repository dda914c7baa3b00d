//! Lists of URLs: whole hosts are enforced, anything narrower is counted.
//!
//! A resolver sees a host and never a path. An entry for one page of a host
//! must not take the whole host down, so it is only counted: the school
//! is told how many entries need a URL filter beside this one.

use std::net::IpAddr;

use super::Reason;
use super::collect::Collector;
use crate::lists::addresses::{AddressRange, address_number};
use crate::name::Name;

/// One line.
pub(super) fn url(line: &str, out: &mut Collector<'_>) {
    if line.starts_with(['#', ';']) {
        return;
    }
    if line.contains(char::is_whitespace) {
        return out.complain(Reason::SeveralWords);
    }
    if line.starts_with('|') {
        return out.complain(Reason::AdblockRule);
    }
    let rest = match line.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        Some((before, _)) if !before.contains(['/', '?']) => {
            return out.complain(Reason::NotAUrl);
        }
        _ => line,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // A user name is part of the URL, so the entry is narrower than its host.
    let (narrow_by_user, authority) = match authority.rsplit_once('@') {
        Some((_, after)) => (true, after),
        None => (false, authority),
    };
    let (host, narrow_by_port) = without_port(authority);
    let narrow = narrow_by_user || narrow_by_port || !matches!(tail, "" | "/");
    if narrow {
        let readable = host.parse::<IpAddr>().is_ok()
            || Name::parse(host.strip_prefix("*.").unwrap_or(host)).is_ok();
        return if readable {
            out.needs_url_filter();
        } else {
            out.complain(Reason::NotAUrl);
        };
    }
    match host.parse::<IpAddr>() {
        Ok(address) => {
            let number = address_number(address);
            out.address(AddressRange {
                first: number,
                last: number,
            });
        }
        Err(_) => out.word(host, out.spec().reach),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// The host, and whether a port was behind it (RFC 3986 section 3.2).
fn without_port(authority: &str) -> (&str, bool) {
    if let Some(inner) = authority.strip_prefix('[') {
        return match inner.split_once(']') {
            Some((host, port)) => (host, !port.is_empty()),
            None => (authority, false),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => (host, true),
        _ => (authority, false),
    }
}
