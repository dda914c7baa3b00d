//! `[answers]`: what a blocked question gets, and the page behind it.

use std::net::IpAddr;

use super::read::{address, number, values};
use super::{BLOCK_TTL, Local, Upstream};
use crate::document::{Place, Placed, Table};
use crate::name::Name;

/// Longest contact text: it travels in every blocked answer to those who ask.
const MAX_CONTACT: usize = 100;
/// Longest address of the page about this resolver: with its key it is one
/// character-string (RFC 1035 section 3.3).
const MAX_INFO_URL: usize = 200;

/// `[answers]`: what a blocked question gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Seconds for which a blocked answer may be kept.
    pub block_ttl: u32,
    /// Addresses of the block page, for groups with `answer = "page"`.
    pub page_addresses: Vec<IpAddr>,
    /// The name at which everybody finds that page: who filters here, that use
    /// is recorded, and the form to ask for a site.
    pub page_name: Option<Name>,
    /// Whom to ask about a block, for those who look (RFC 8914); may be empty.
    pub contact: String,
    /// The page that says who filters here and why, for those who ask what kind
    /// of resolver this is (RFC 9606); https, may be empty.
    pub info_url: String,
}

/// Gives with it where the page's name stands, for what it must not meet.
pub(super) fn read(table: Table<'_>) -> (Answers, Option<Placed<Name>>) {
    let contact = table.parsed("contact", |text| {
        let long = text.chars().count() > MAX_CONTACT || text.chars().any(char::is_control);
        let message = format!("`contact` is one line of at most {MAX_CONTACT} characters");
        if long {
            Err(message)
        } else {
            Ok(text.to_owned())
        }
    });
    let addresses = table.parsed_list("page_addresses", address);
    let no_addresses = table.strings("page_addresses").is_empty();
    let page_name = table.parsed("page_name", page_name);
    let page_name = page_name.and_then(|Placed { value, place }| {
        let value = value?;
        if no_addresses {
            let message = format!("`page_name` {value} leads nowhere: write `page_addresses`");
            table.complain_at(&place, message);
        }
        Some(Placed { value, place })
    });
    let info_url = table.parsed("info_url", info_url);
    let answers = Answers {
        block_ttl: number(&table, "block_ttl", BLOCK_TTL),
        page_addresses: values(addresses.unwrap_or_default()),
        page_name: page_name.as_ref().map(|name| name.value.clone()),
        contact: contact.map(|c| c.value).unwrap_or_default(),
        info_url: info_url.map(|url| url.value).unwrap_or_default(),
    };
    table.finish();
    (answers, page_name)
}

fn page_name(text: &str) -> Result<Option<Name>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let name = Name::parse(text).map_err(|why| format!("\"{text}\" is not a name: {why}"))?;
    Ok(Some(name))
}

/// What else has the page's name, or keeps questions for it from coming here.
pub(super) fn page_name_collides(
    page: &Placed<Name>,
    resolver: Option<&Name>,
    local: &Local,
    upstream: &Upstream,
) -> Option<(Place, String)> {
    let name = &page.value;
    let zone = upstream.zones.iter().map(|zone| &zone.name);
    let forwarded = zone
        .into_iter()
        .find(|z| name.as_ref().is_within(z.as_ref()));
    let why = if resolver == Some(name) {
        format!("`page_name` {name} is the resolver's own name in [tls]: choose another")
    } else if local.records.iter().any(|record| record.name == *name) {
        format!("`page_name` {name} is also a record in [local]: leave one of them out")
    } else if local.zones.iter().any(|zone| zone.name == *name) {
        format!("`page_name` {name} is also a zone in [local]: choose a name within it")
    } else if let Some(zone) = forwarded {
        format!(
            "`page_name` {name} is asked elsewhere, for [upstream] has the zone {zone}: \
             choose another name, or leave it out and let the zone's own server know it"
        )
    } else {
        return None;
    };
    Some((page.place.clone(), why))
}

/// RFC 9606 section 5: https only.
fn info_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").unwrap_or_default();
    let whole = !host.is_empty() && !host.starts_with('/') && text.len() <= MAX_INFO_URL;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || (whole && plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`info_url` is a page of at most {MAX_INFO_URL} characters; write it like \
         \"https://www.school.example/filtering\""
    ))
}
