//! Kea's memfile: a CSV journal with a header, one row for each change, the
//! last row of an address being the truth.
//!
//! It is not the quoted kind of CSV: a comma inside a value is written
//! `&#x2c`. Columns are found by their titles, since releases add some.

use super::{Lease, Read, host_name, seconds};
use crate::devices::keys;
use crate::mac::Mac;

/// The places of the columns we read.
#[derive(Default)]
struct Columns {
    address: Option<usize>,
    hwaddr: Option<usize>,
    expire: Option<usize>,
    valid_lifetime: Option<usize>,
    hostname: Option<usize>,
    state: Option<usize>,
    lease_type: Option<usize>,
    hwaddr_source: Option<usize>,
}

pub(super) fn read(file: &str, text: &str) -> Read {
    let mut read = Read::default();
    let mut columns = None;
    for (number, line) in (1..).zip(text.lines()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if fields.iter().all(|field| field.is_empty()) {
            continue;
        }
        // Parts of one journal are read as one text, each with its header.
        if fields.first() == Some(&"address") {
            columns = Some(Columns::of(&fields));
            continue;
        }
        let Some(columns) = &columns else {
            read.complain(file, number, "no header before this row");
            continue;
        };
        if let Err(message) = row(columns, &fields, &mut read) {
            read.complain(file, number, message);
        }
    }
    read
}

impl Columns {
    fn of(header: &[&str]) -> Self {
        let find = |title| header.iter().position(|field| *field == title);
        Self {
            address: find("address"),
            hwaddr: find("hwaddr"),
            expire: find("expire"),
            valid_lifetime: find("valid_lifetime"),
            hostname: find("hostname"),
            state: find("state"),
            lease_type: find("lease_type"),
            hwaddr_source: find("hwaddr_source"),
        }
    }
}

fn row(columns: &Columns, fields: &[&str], read: &mut Read) -> Result<(), &'static str> {
    let cell = |column: Option<usize>| column.and_then(|at| fields.get(at)).copied();
    let ip = cell(columns.address).and_then(keys::parse_ip);
    let ip = ip.ok_or("the address is not an address")?;
    // 2 is a delegated prefix: a router's, not a device's address.
    if cell(columns.lease_type) == Some("2") {
        return Ok(());
    }
    let state = cell(columns.state).unwrap_or("0");
    // 0 is a lease in use, 4 an address a device made up and registered
    // (RFC 9686); the others are declined, reclaimed or released.
    let is_in_use = matches!(state, "0" | "4") && cell(columns.valid_lifetime) != Some("0");
    if !is_in_use {
        read.drop(ip);
        return Ok(());
    }
    let expires = cell(columns.expire).and_then(seconds);
    // Hardware type 2 of Kea's sources is "taken from the DUID", which is not
    // the card that asks (see dnsmasq).
    let is_guess = cell(columns.hwaddr_source) == Some("2");
    let mac = cell(columns.hwaddr).filter(|text| !text.is_empty() && !is_guess);
    let mac = mac.map(str::parse::<Mac>).and_then(Result::ok);
    read.keep(Lease {
        ip,
        mac: mac.filter(|mac| mac.names_a_device()),
        host: cell(columns.hostname).and_then(host_name),
        expires: Some(expires.ok_or("the end of the lease is not a number")?),
    });
    Ok(())
}
