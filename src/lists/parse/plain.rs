//! The plain formats: one name a line, hosts files, addresses.

use std::net::IpAddr;

use super::collect::Collector;
use super::{Reason, regex};
use crate::lists::addresses::{AddressRange, address_number};
use crate::lists::lookup::Scope;
use crate::name::{Name, NameError};

/// What hosts files say of the machine itself.
const LOCAL_NAMES: [&str; 14] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "localhost4.localdomain4",
    "localhost6.localdomain6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
];

/// Marks between a name and a part of its page; blocking the whole name for
/// one of these would be wrong.
const COSMETIC: [&str; 9] = [
    "##", "#@#", "#?#", "#$#", "#%#", "#@?#", "#@$#", "#@%#", "#$?#",
];

/// A line of a `domains` list.
pub(super) fn domains(line: &str, out: &mut Collector<'_>) {
    let Some(line) = without_comment(line, out) else {
        return;
    };
    let scope = out.spec().reach;
    let mut words = line.split_whitespace();
    let (Some(first), rest) = (words.next(), words.clone()) else {
        return;
    };
    if rest.clone().next().is_none() {
        return out.word(first, scope);
    }
    // Prose has words that are names too; a line counts whole or not at all.
    let all_names = line
        .split_whitespace()
        .all(|word| Name::parse(word).is_ok());
    if out.spec().several_a_line && all_names {
        line.split_whitespace()
            .for_each(|word| out.word(word, scope));
    } else {
        out.complain(Reason::SeveralWords);
    }
}

/// A line of a hosts file.
pub(super) fn hosts(line: &str, out: &mut Collector<'_>) {
    if let Some(line) = without_comment(line, out) {
        let scope = out.spec().reach;
        if !host_line(line, scope, out) && !line.is_empty() {
            out.complain(Reason::NoAddress);
        }
    }
}

/// Reads `ADDRESS NAME…`; false if the line does not begin with an address.
pub(super) fn host_line(line: &str, scope: Scope, out: &mut Collector<'_>) -> bool {
    let mut words = line.split_whitespace();
    let address = words.next().unwrap_or_default();
    // `fe80::1%lo0` names an interface too.
    let address = address.split('%').next().unwrap_or_default();
    if address.parse::<IpAddr>().is_err() {
        return false;
    }
    let mut any = false;
    for word in words {
        any = true;
        host_name(word, scope, out);
    }
    if !any {
        out.complain(Reason::NoName);
    }
    true
}

fn host_name(word: &str, scope: Scope, out: &mut Collector<'_>) {
    if LOCAL_NAMES
        .iter()
        .any(|local| word.eq_ignore_ascii_case(local))
    {
        return out.complain(Reason::LocalName);
    }
    let alias = word.strip_suffix('.').unwrap_or(word);
    if alias.contains('.') || alias.contains(':') {
        return out.word(word, scope);
    }
    // An alias of one label is that host alone: never the top-level domain.
    match one_label(alias) {
        Ok(name) => out.name(&name, Scope::Exact),
        Err(why) => out.complain(why),
    }
}

/// A name of one label, which need not look like a top-level domain.
fn one_label(label: &str) -> Result<Name, NameError> {
    let parsed = Name::parse(&format!("{label}.invalid"))?;
    let first = parsed.as_ref().labels().next().unwrap_or_default();
    let length = u8::try_from(first.len()).map_err(|_| NameError::TooLong)?;
    let wire = [&[length], first, &[0]].concat();
    Name::from_wire(&wire).ok_or(NameError::EmptyLabel)
}

/// The line without its comment; none if nothing is left or it was refused.
fn without_comment<'l>(line: &'l str, out: &mut Collector<'_>) -> Option<&'l str> {
    if line.starts_with(['#', ';']) {
        return None;
    }
    if let Some(reason) = foreign(line) {
        out.complain(reason);
        return None;
    }
    Some(line.split('#').next().unwrap_or_default().trim())
}

/// A line of another format, in which reading a name would be a guess.
fn foreign(line: &str) -> Option<Reason> {
    if is_cosmetic(line) {
        return Some(Reason::Cosmetic);
    }
    if line.starts_with('|') {
        return Some(Reason::AdblockRule);
    }
    regex_rule(line)
}

/// Whether the rule is about a part of a page: a mark right behind a name, with
/// a selector right behind the mark.
pub(super) fn is_cosmetic(line: &str) -> bool {
    // Most lines have none, and to look for nine marks in each takes long.
    line.contains('#')
        && COSMETIC.iter().any(|mark| {
            line.match_indices(mark).any(|(at, _)| {
                let before = line.get(..at).and_then(|l| l.chars().next_back());
                let after = line.get(at + mark.len()..).and_then(|l| l.chars().next());
                before.is_some_and(|c| !c.is_whitespace())
                    && after.is_some_and(|c| !c.is_whitespace())
            })
        })
}

/// What to say of a line that begins with a slash.
pub(super) fn regex_rule(line: &str) -> Option<Reason> {
    let body = line.strip_prefix('/')?;
    match body.rfind('/') {
        _ if body.is_empty() => Some(Reason::EmptyRule),
        Some(end) => Some(Reason::Regex(body.get(..end).and_then(regex::fault))),
        None => Some(Reason::Path),
    }
}

/// A line of an `addresses` list.
pub(super) fn addresses(line: &str, out: &mut Collector<'_>) {
    let line = line.split(['#', ';']).next().unwrap_or_default().trim();
    if line.is_empty() {
        return;
    }
    match range(line) {
        Ok(range) => out.address(range),
        Err(reason) => out.complain(reason),
    }
}

fn range(text: &str) -> Result<AddressRange, Reason> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| Reason::NotAnAddress)?;
    // No list means a twentieth of the Internet.
    let (bits, widest) = if address.is_ipv4() {
        (32, 8)
    } else {
        (128, 16)
    };
    let length = length
        .map_or(Ok(bits), str::parse)
        .map_err(|_| Reason::NotAnAddress)?;
    if length > bits {
        return Err(Reason::NotAnAddress);
    }
    if length < widest {
        return Err(Reason::TooWide);
    }
    let host = 1_u128
        .checked_shl(bits - length)
        .map_or(u128::MAX, |size| size - 1);
    let number = address_number(address);
    Ok(AddressRange {
        first: number & !host,
        last: number | host,
    })
}
