//! What an HTTP request says (RFC 8484): the question, the device, and whom a
//! proxy speaks for. And what HTTP must know of a reply.
//!
//! Text from anybody, so it is pure, bounded by its input, and never panics.

use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE64URL_NOPAD;

use crate::devices::client_id::ClientId;
use crate::dns::answer::{Record, rtype, skip_name};
use crate::dns::question::HEADER;

/// What is wrong with a request, by its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// 400: no question, or none that can be read, or an impossible id.
    Bad,
    /// 404: not our path.
    NotHere,
}

/// The id in a path: `own` has none, `own/ID` has one (D19).
pub fn client_id(path: &str, own: &str) -> Result<Option<ClientId>, Misfit> {
    match path.strip_prefix(own) {
        Some("" | "/") => Ok(None),
        Some(below) => {
            let label = below.strip_prefix('/').ok_or(Misfit::NotHere)?;
            if label.contains('/') {
                return Err(Misfit::NotHere);
            }
            ClientId::parse(label).map(Some).map_err(|_| Misfit::Bad)
        }
        None => Err(Misfit::NotHere),
    }
}

/// The message in the `dns` parameter of a GET (RFC 8484 section 4.1). Without
/// padding (section 6), and with one spelling for each message: bits left over
/// are zero.
pub fn message(query: Option<&str>) -> Result<Vec<u8>, Misfit> {
    let mut parameters = query.unwrap_or_default().split('&');
    let text = parameters.find_map(|p| p.strip_prefix("dns="));
    let message = BASE64URL_NOPAD.decode(text.unwrap_or_default().as_bytes());
    message.ok().filter(|m| !m.is_empty()).ok_or(Misfit::Bad)
}

/// For whom a proxy speaks, by what it wrote into a request's headers.
///
/// Each proxy adds behind what was there, so the last entry is its own word and
/// those before may be a client's; listed proxies behind one another are
/// skipped. `None`: there is no such header. `Some(None)`: there is one, and it
/// does not tell (D25), or the two headers tell different things.
pub fn spoken_for<'h>(
    forwarded_for: impl Iterator<Item = &'h str>,
    forwarded: impl Iterator<Item = &'h str>,
    is_router: impl Fn(IpAddr) -> bool,
) -> Option<Option<IpAddr>> {
    let mut told = [None, None];
    let [plain, standard] = &mut told;
    let entries = forwarded_for.flat_map(|line| line.split(','));
    let last = |slot: &mut Option<Option<IpAddr>>, entry: Option<IpAddr>| {
        // A router after a client hands the client on.
        let hands_on = entry.is_some_and(&is_router) && matches!(slot, Some(Some(_)));
        if !hands_on {
            *slot = Some(entry);
        }
    };
    for entry in entries {
        last(plain, node(entry.trim()));
    }
    for element in forwarded.flat_map(|line| line.split(',')) {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let by = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case("for"));
        last(standard, by.and_then(|(_, value)| node(value.trim())));
    }
    match told {
        [Some(one), Some(other)] if one != other => Some(None),
        [one, other] => one.or(other),
    }
}

/// An address as RFC 7239 section 6 and custom write it: quoted or not, with a
/// port or without.
fn node(text: &str) -> Option<IpAddr> {
    let text = text
        .strip_prefix('"')
        .map_or(text, |t| t.strip_suffix('"').unwrap_or(t));
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// For how many seconds a reply may be kept (RFC 8484 section 5.1): no longer
/// than any of its records, and a negative one no longer than its SOA says. One
/// that failed is asked for again.
#[must_use]
pub fn freshness(reply: &[u8]) -> u32 {
    let Some(&[_, _, f1, f2, q1, q2, an1, an2, ns1, ns2, ..]) = reply.first_chunk::<HEADER>()
    else {
        return 0;
    };
    // A truncated one, and every code but NOERROR and NXDOMAIN.
    if f1 & 0x02 != 0 || !matches!(f2 & 0x0f, 0 | 3) || [q1, q2] != [0, 1] {
        return 0;
    }
    let records = u16::from_be_bytes([an1, an2]).saturating_add(u16::from_be_bytes([ns1, ns2]));
    let Some(mut at) = skip_name(reply, HEADER).map(|end| end + 4) else {
        return 0;
    };
    let mut least = None;
    for _ in 0..records {
        let Some(record) = Record::read(reply, at) else {
            return 0;
        };
        at = record.end;
        let ttl = match record.data.last_chunk::<4>() {
            Some(minimum) if record.rtype == rtype::SOA => {
                record.ttl.min(u32::from_be_bytes(*minimum))
            }
            _ => record.ttl,
        };
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
    }
    least.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_spelling() {
        let read = |text: &str| message(Some(&format!("ct=x&dns={text}&dns=AA")));
        assert_eq!(read("AAEC_-8").unwrap(), [0, 1, 2, 0xff, 0xef]);
        assert_eq!(read("AAEC").unwrap(), [0, 1, 2]);
        for bad in [
            "AAEC_-8=", "A", "AA==", "AB", "AAC", "AA+/", "A A", "AA%3D", "é", "",
        ] {
            assert_eq!(read(bad), Err(Misfit::Bad), "{bad}");
        }
        for bad in [None, Some(""), Some("dns="), Some("dns"), Some("DNS=AAEC")] {
            assert_eq!(message(bad), Err(Misfit::Bad), "{bad:?}");
        }
    }

    #[test]
    fn a_path_may_end_in_an_id() {
        let id = |path| client_id(path, "/dns-query").map(|id| id.map(|i| i.as_str().to_owned()));
        assert_eq!(id("/dns-query"), Ok(None));
        assert_eq!(id("/dns-query/"), Ok(None));
        assert_eq!(id("/dns-query/iPad-7"), Ok(Some("ipad-7".to_owned())));
        for elsewhere in ["/", "", "/dns-queryx", "/dns-query/a/b", "/other", "*"] {
            assert_eq!(id(elsewhere), Err(Misfit::NotHere), "{elsewhere}");
        }
        let long = format!("/dns-query/{}", "x".repeat(64));
        for bad in ["/dns-query/!!!", "/dns-query/a%2d", "/dns-query/-a", &long] {
            assert_eq!(id(bad), Err(Misfit::Bad), "{bad}");
        }
    }

    #[test]
    fn the_last_who_was_forwarded_counts() {
        let router = |ip: IpAddr| ip == IpAddr::from([10, 0, 0, 1]);
        let plain =
            |lines: &[&'static str]| spoken_for(lines.iter().copied(), std::iter::empty(), router);
        let standard =
            |lines: &[&'static str]| spoken_for(std::iter::empty(), lines.iter().copied(), router);
        let ip = |text: &str| Some(Some(text.parse().unwrap()));
        assert_eq!(plain(&[]), None);
        assert_eq!(plain(&["10.0.0.9"]), ip("10.0.0.9"));
        assert_eq!(plain(&["192.0.2.66, 10.0.0.9"]), ip("10.0.0.9"));
        assert_eq!(plain(&["192.0.2.66", "10.0.0.9, 10.0.0.1"]), ip("10.0.0.9"));
        assert_eq!(plain(&["10.0.0.9, nobody"]), Some(None));
        for (text, wanted) in [
            ("for=192.0.2.43", "192.0.2.43"),
            ("for=\"192.0.2.43:8080\"", "192.0.2.43"),
            ("proto=https;For=\"[2001:db8::1]:8080\";by=x", "2001:db8::1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("for=192.0.2.66, for=192.0.2.43", "192.0.2.43"),
        ] {
            assert_eq!(standard(&[text]), ip(wanted), "{text}");
        }
        for text in ["for=unknown", "for=_obf", "by=10.0.0.1", ""] {
            assert_eq!(standard(&[text]), Some(None), "{text}");
        }
        let both =
            |a: &'static str, b: &'static str| spoken_for([a].into_iter(), [b].into_iter(), router);
        assert_eq!(both("10.0.0.9", "for=10.0.0.9"), ip("10.0.0.9"));
        assert_eq!(both("10.0.0.9", "for=10.0.0.8"), Some(None));
    }
}
