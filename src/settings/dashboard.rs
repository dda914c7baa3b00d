//! `[dashboard]`: who may see the pages, and for how long.

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
    /// Their address, as links in messages have it; may be empty.
    pub url: String,
}

pub(super) fn read(table: Table<'_>) -> Dashboard {
    let dashboard = Dashboard {
        allow: or_default(table.parsed_list("allow", Network::parse), &ALLOW),
        idle_minutes: number(&table, "idle_minutes", IDLE_MINUTES),
        session_hours: number(&table, "session_hours", SESSION_HOURS),
        password_days: number(&table, "password_days", PASSWORD_DAYS),
        url: table
            .parsed("url", page_url)
            .map(|url| url.value)
            .unwrap_or_default(),
    };
    table.finish();
    dashboard
}
