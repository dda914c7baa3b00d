//! dnsmasq's lease file: `expiry mac ip host client-id`, then after a line
//! `duid …` the IPv6 ones: `expiry iaid ip host duid`.
//!
//! An IPv6 lease gives no hardware address here. Its DUID often holds one, but
//! of whichever card made it, and machines cloned from one image share it: a
//! wrong name in a log is worse than none.

use super::{Lease, Read, host_name, seconds};
use crate::devices::keys;
use crate::mac::Mac;

/// Below this (September 2001) the first field is no instant: dnsmasq built
/// for boards without a clock writes the length of the lease instead, and takes
/// the line out at its end.
const EARLIEST: i64 = 1_000_000_000;

pub(super) fn read(file: &str, text: &str) -> Read {
    let mut read = Read::default();
    let mut is_v6 = false;
    for (number, line) in (1..).zip(text.lines()) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match *fields.as_slice() {
            [] => (),
            ["duid", _] => is_v6 = true,
            [expiry, holder, ip, host, _client, ..] => match lease(expiry, holder, ip, host, is_v6)
            {
                Ok(lease) => read.keep(lease),
                Err(message) => read.complain(file, number, message),
            },
            _ => read.complain(file, number, "not `expiry mac ip host client-id`"),
        }
    }
    read
}

fn lease(
    expiry: &str,
    holder: &str,
    ip: &str,
    host: &str,
    is_v6: bool,
) -> Result<Lease, &'static str> {
    let expires = match seconds(expiry).ok_or("the expiry is not a number")? {
        end if end.as_second() < EARLIEST => None,
        end => Some(end),
    };
    Ok(Lease {
        ip: keys::parse_ip(ip).ok_or("the third field is not an address")?,
        mac: if is_v6 { None } else { hardware(holder)? },
        host: host_name(host),
        expires,
    })
}

/// Other hardware than Ethernet is written with its type in front (`06-…`),
/// and names no device we could list.
fn hardware(text: &str) -> Result<Option<Mac>, &'static str> {
    let is_ethernet = text.len() == 17 && text.as_bytes().get(2) == Some(&b':');
    if !is_ethernet {
        return match text.split_once('-') {
            Some((kind, _)) if kind.len() == 2 => Ok(None),
            _ => Err("the second field is not a MAC address"),
        };
    }
    let mac = text.parse::<Mac>();
    let mac = mac.map_err(|_| "the second field is not a MAC address")?;
    Ok(Some(mac).filter(|mac| mac.names_a_device()))
}
