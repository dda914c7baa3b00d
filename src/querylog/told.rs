//! A row as it is told to a program, with or without mandatory hosts.
//!
//! The verb `log` and whatever leaves the school tell a row in the same words, so
//! that one reader understands both. What a withheld host is, nothing of its row
//! may say.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::row::{Row, VARIOUS, mnemonic};

/// What stands in place of a name that is withheld.
pub const WITHHELD: &str = "(withheld)";

/// Whether the hosts of mandatory hits are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MandatoryHosts {
    /// As everywhere.
    Withheld,
    /// The safeguarding lead has asked for them, and the record says so.
    Told,
}

/// The interface contract: these fields, in this order, then whatever is new.
#[derive(Serialize)]
pub(crate) struct JsonRow<'r> {
    pub(crate) time: String,
    local: String,
    device: Option<&'r str>,
    name_of_device: Option<&'r str>,
    mac: Option<&'r str>,
    ip: Option<IpAddr>,
    group: &'r str,
    name: &'r str,
    #[serde(rename = "type")]
    rtype: String,
    action: &'static str,
    layer: &'static str,
    categories: &'r [String],
    source: Option<&'r str>,
    policy: u64,
    count: u64,
    category: Option<&'r str>,
    time_trusted: bool,
}

impl<'r> JsonRow<'r> {
    /// With the time to the millisecond.
    pub(crate) fn of(row: &'r Row, zone: &TimeZone, hosts: MandatoryHosts) -> Self {
        Self {
            time: format!("{:.3}", row.time),
            local: local(row.time, zone),
            device: row.device.as_deref(),
            name_of_device: row.device_name.as_deref(),
            mac: row.mac.as_deref(),
            ip: row.ip,
            group: &row.group,
            name: name_of(row, hosts),
            rtype: type_of(row),
            action: row.action.id(),
            layer: row.layer.id(),
            categories: &row.categories,
            source: source_of(row, hosts),
            policy: row.policy,
            count: row.count,
            category: row.category.as_deref(),
            time_trusted: row.time_trusted,
        }
    }
}

/// The school's time, to the millisecond.
fn local(time: Timestamp, zone: &TimeZone) -> String {
    let local = time.to_zoned(zone.clone());
    local.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// The name that was asked for, or what stands in its place.
pub(crate) fn name_of(row: &Row, hosts: MandatoryHosts) -> &str {
    match hosts {
        MandatoryHosts::Withheld if row.is_mandatory() => WITHHELD,
        _ if row.is_various() => VARIOUS,
        _ => &row.name,
    }
}

/// The type that was asked for.
pub(crate) fn type_of(row: &Row) -> String {
    match row {
        _ if row.is_various() => "-".to_owned(),
        _ => mnemonic(row.rtype),
    }
}

/// The list that decided. Which one it is says much of what a withheld host is
///
pub(crate) fn source_of(row: &Row, hosts: MandatoryHosts) -> Option<&str> {
    let source = row.source.as_deref();
    source.filter(|_| hosts == MandatoryHosts::Told || !row.is_mandatory())
}
