//! Which rows somebody wants, as a query over one day's file.
//!
//! What a filter says is first looked for in the day's small dictionaries, and
//! only then are rows asked for by index. Every word of the filter is a bound
//! value, never part of the query's text.

use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::types::Value;

use crate::lists::category::{Category, CategorySet};
use crate::mac::Mac;
use crate::policy::decision::{Layer, Verdict};

use super::row::reversed;

/// Which rows. The default is all of them, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// From this instant on.
    pub since: Option<Timestamp>,
    /// Up to, not including, this instant.
    pub until: Option<Timestamp>,
    /// Of this group.
    pub group: Option<String>,
    /// Of the device with this id, name, MAC in any spelling, or address.
    pub device: Option<String>,
    /// In this category, whether or not it decided.
    pub category: Option<Category>,
    /// In any of these categories, or mandatory.
    pub told: Option<CategorySet>,
    /// With this outcome.
    pub action: Option<Verdict>,
    /// Decided by this layer.
    pub layer: Option<Layer>,
    /// Of this name, in lower case as [`super::row::Row::name`] has it, and all below it.
    pub name: Option<String>,
    /// The newest first.
    pub newest_first: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Filter {
    /// The conditions of a query, each begun by `AND`, and their values, which
    /// are numbered from `first` on.
    pub(super) fn conditions(&self, first: usize) -> (String, Vec<Value>) {
        let mut sql = String::new();
        let mut values = Vec::new();
        let mut add = |condition: &str, value: Value| {
            let place = format!("?{}", first + values.len());
            values.push(value);
            sql.push_str(" AND ");
            sql.push_str(&condition.replace('$', &place));
        };
        if let Some(since) = self.since {
            add("time >= $", since.as_microsecond().into());
        }
        if let Some(until) = self.until {
            add("time < $", until.as_microsecond().into());
        }
        if let Some(group) = &self.group {
            // Most rows of a day are some group's: `+` keeps SQLite from going
            // through an index for them.
            let condition = "+client IN (SELECT id FROM clients WHERE grp = $)";
            add(condition, group.clone().into());
        }
        if let Some(device) = &self.device {
            let (column, value) = device_key(device);
            let condition = format!("client IN (SELECT id FROM clients WHERE {column})");
            add(&condition, value.into());
        }
        if let Some(category) = self.category {
            add(
                "ruling IN (SELECT id FROM rulings \
             WHERE instr(' ' || categories || ' ' || category || ' ', ' ' || $ || ' '))",
                category.id().to_owned().into(),
            );
        }
        if let Some(told) = self.told {
            let ids: Vec<String> = told.iter().map(|id| format!("\"{id}\"")).collect();
            add(
                "ruling IN (SELECT id FROM rulings WHERE layer = 'mandatory' OR EXISTS ( \
             SELECT 1 FROM json_each($) AS told WHERE \
             instr(' ' || categories || ' ' || category || ' ', ' ' || told.value || ' ')))",
                format!("[{}]", ids.join(",")).into(),
            );
        }
        if let Some(action) = self.action {
            let condition = "+ruling IN (SELECT id FROM rulings WHERE action = $)";
            add(condition, action.id().to_owned().into());
        }
        if let Some(layer) = self.layer {
            let condition = "ruling IN (SELECT id FROM rulings WHERE layer = $)";
            add(condition, layer.id().to_owned().into());
        }
        if let Some(name) = &self.name {
            // '/' is the character behind '.'.
            add(
                "name IN (SELECT id FROM names WHERE reversed = $ \
             UNION ALL SELECT id FROM names WHERE reversed > $ || '.' AND reversed < $ || '/')",
                reversed(name).into(),
            );
        }
        (sql, values)
    }
}

/// What a person may call a device by, and in which column that stands.
pub(super) fn device_key(device: &str) -> (&'static str, String) {
    if let Ok(ip) = device.parse::<IpAddr>() {
        return (
            "ip = $ OR device = $ OR name = $",
            ip.to_canonical().to_string(),
        );
    }
    match device.parse::<Mac>() {
        Ok(mac) => ("mac = $", mac.to_string()),
        Err(_) => ("device = $ OR name = $ COLLATE NOCASE", device.to_owned()),
    }
}
