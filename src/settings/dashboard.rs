//! `[dashboard]`: who may see the pages, and for how long.

use std::path::PathBuf;

use crate::document::Table;
use crate::policy::group::Network;

use super::channels::page_url;
use super::read::{ALLOW, number, or_default};
use super::{Limits, limits};

/// Minutes without a click after which somebody is signed out.
pub const IDLE_MINUTES: Limits = limits(30, 1, 480);
/// Hours after which somebody is signed out in any case.
pub const SESSION_HOURS: Limits = limits(10, 1, 72);
/// Days after which a password must be changed; 0: never.
pub const PASSWORD_DAYS: Limits = limits(0, 0, 3650);

/// `[dashboard]`: who may see the pages, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Networks from which the pages may be seen.
    pub allow: Vec<Network>,
    /// Minutes without a click after which somebody is signed out.
    pub idle_minutes: u32,
    /// Hours after which somebody is signed out in any case.
    pub session_hours: u32,
    /// Days after which a password must be changed; 0: never.
    pub password_days: u32,
    /// Whether there is TLS on a loopback address too; elsewhere there always is.
    pub tls_always: bool,
    /// The pages' own certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// Their address, as links in messages have it; may be empty.
    pub url: String,
}

const TLS: [(&str, bool); 2] = [("auto", false), ("always", true)];

pub(super) fn read(table: Table<'_>) -> Dashboard {
    let file = |key| table.string(key).filter(|file| !file.value.is_empty());
    let (certificate, key) = (file("certificate"), file("key"));
    match (&certificate, &key) {
        (Some(file), None) => table.complain_at(&file.place, "`certificate` needs `key` beside it"),
        (None, Some(file)) => table.complain_at(&file.place, "`key` needs `certificate` beside it"),
        _ => {}
    }
    let tls = table.choice("tls", &TLS);
    let dashboard = Dashboard {
        allow: or_default(table.parsed_list("allow", Network::parse), &ALLOW),
        idle_minutes: number(&table, "idle_minutes", IDLE_MINUTES),
        session_hours: number(&table, "session_hours", SESSION_HOURS),
        password_days: number(&table, "password_days", PASSWORD_DAYS),
        tls_always: tls.is_some_and(|tls| tls.value),
        certificate: certificate.map(|file| file.value.into()),
        key: key.map(|file| file.value.into()),
        url: table
            .parsed("url", page_url)
            .map(|url| url.value)
            .unwrap_or_default(),
    };
    table.finish();
    dashboard
}
