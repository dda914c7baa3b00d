//! A configuration profile for iPads, iPhones and Macs: Apple's `DNSSettings`
//! payload (`com.apple.dnsSettings.managed`) in a property list.
//!
//! Its identifiers follow from the school's name and the device's id alone, so a
//! profile that is made again replaces the one before instead of standing beside
//! it. Whatever text goes in is escaped: names are the school's own words.

use std::fmt::Write;

use super::endpoint::{Endpoint, Subject};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<plist version=\"1.0\">
";

/// The profile, over HTTPS if it can be, else over TLS.
#[must_use]
pub fn mobileconfig(endpoint: &Endpoint, subject: &Subject) -> Option<String> {
    let mut dns = match endpoint.url(&subject.client_id) {
        Some(url) => vec![
            ("DNSProtocol", text("HTTPS")),
            ("ServerURL", Value::Text(url)),
        ],
        None => vec![
            ("DNSProtocol", text("TLS")),
            (
                "ServerName",
                Value::Text(endpoint.host(&subject.client_id)?),
            ),
        ],
    };
    if !endpoint.addresses.is_empty() {
        let addresses = endpoint.addresses.iter().map(ToString::to_string);
        let addresses = Value::Array(addresses.map(Value::Text).collect());
        dns.push(("ServerAddresses", addresses));
    }
    let reversed: Vec<&str> = endpoint.name.rsplit('.').collect();
    let identifier = |part| {
        let uuid = uuid(&endpoint.name, &subject.id, part);
        (format!("{}.schoolgate.{uuid}", reversed.join(".")), uuid)
    };
    let (inner, inner_uuid) = identifier("dns");
    let (outer, outer_uuid) = identifier("profile");
    let payload = Value::Dict(vec![
        ("DNSSettings", Value::Dict(dns)),
        ("PayloadDisplayName", text("Encrypted DNS")),
        ("PayloadIdentifier", Value::Text(inner)),
        ("PayloadType", text("com.apple.dnsSettings.managed")),
        ("PayloadUUID", Value::Text(inner_uuid)),
        ("PayloadVersion", Value::Integer(1)),
        ("ProhibitDisablement", Value::True),
    ]);
    let title = format!("{}: DNS for {}", subject.school, subject.called());
    let profile = Value::Dict(vec![
        ("PayloadContent", Value::Array(vec![payload])),
        ("PayloadDisplayName", Value::Text(title)),
        ("PayloadIdentifier", Value::Text(outer)),
        ("PayloadOrganization", text(&subject.school)),
        ("PayloadScope", text("System")),
        ("PayloadType", text("Configuration")),
        ("PayloadUUID", Value::Text(outer_uuid)),
        ("PayloadVersion", Value::Integer(1)),
    ]);
    let mut plist = HEAD.to_owned();
    profile.write(0, &mut plist);
    plist.push_str("</plist>\n");
    Some(plist)
}

/// A UUID of one's own making (RFC 9562 section 5.8): the same for the same words.
fn uuid(name: &str, id: &str, part: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("schoolgate 2026-11-21 profile uuid");
    for word in [name, id, part] {
        // The length keeps two words from being read as other two.
        hasher.update(&(word.len() as u64).to_be_bytes());
        hasher.update(word.as_bytes());
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let number = u128::from_be_bytes(bytes);
    // Version 8, variant 10.
    let number = number & !(0xf << 76) & !(0b11 << 62) | 8 << 76 | 0b10 << 62;
    let hex = format!("{number:032X}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts = parts.map(|part| hex.get(part).unwrap_or_default());
    parts.join("-")
}

enum Value {
    Text(String),
    Integer(u32),
    True,
    Array(Vec<Value>),
    Dict(Vec<(&'static str, Value)>),
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

impl Value {
    fn write(&self, depth: usize, out: &mut String) {
        let indent = "\t".repeat(depth);
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Text(text) => writeln!(out, "{indent}<string>{}</string>", escaped(text)),
            Self::Integer(number) => writeln!(out, "{indent}<integer>{number}</integer>"),
            Self::True => writeln!(out, "{indent}<true/>"),
            Self::Array(items) => {
                let _ = writeln!(out, "{indent}<array>");
                for item in items {
                    item.write(depth + 1, out);
                }
                writeln!(out, "{indent}</array>")
            }
            Self::Dict(entries) => {
                let _ = writeln!(out, "{indent}<dict>");
                for (key, value) in entries {
                    let _ = writeln!(out, "{indent}\t<key>{key}</key>");
                    value.write(depth + 1, out);
                }
                writeln!(out, "{indent}</dict>")
            }
        };
    }
}

/// As character data of XML 1.0, which has no way at all to write most control
/// characters: they are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => {}
            '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}
