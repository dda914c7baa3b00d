//! Policy values as JSON: for Android's management, for Chrome, ChromeOS and
//! Edge, and for Firefox.
//!
//! Browsers know two ways: to ask this resolver by themselves with the device's
//! id, or to keep to the resolver of the system and have none of their own. The
//! second is the one for devices whose system is set up already.

use serde_json::{Value, json};

use super::endpoint::{Endpoint, Subject};

/// Android: what stands in a policy of the Android Management API. Nobody at the
/// device can change it then.
#[must_use]
pub fn android(endpoint: &Endpoint, subject: &Subject) -> Option<String> {
    let host = endpoint.host(&subject.client_id)?;
    Some(pretty(&json!({
        "deviceConnectivityManagement": {
            "privateDnsSettings": {
                "privateDnsMode": "PRIVATE_DNS_SPECIFIED_HOST",
                "privateDnsHost": host,
            },
        },
        // Chrome for Android, by its managed configuration.
        "applications": [{
            "packageName": "com.android.chrome",
            "managedConfiguration": { "DnsOverHttpsMode": "off" },
        }],
    })))
}

/// Chrome, ChromeOS and Edge: to ask this resolver and no other.
#[must_use]
pub fn chrome(endpoint: &Endpoint, subject: &Subject) -> Option<String> {
    let url = endpoint.url(&subject.client_id)?;
    Some(pretty(&json!({
        "DnsOverHttpsMode": "secure",
        "DnsOverHttpsTemplates": url,
    })))
}

/// Chrome, ChromeOS and Edge: no resolver of their own.
#[must_use]
pub fn chrome_prohibited() -> String {
    pretty(&json!({ "DnsOverHttpsMode": "off" }))
}

/// Firefox, `policies.json`: to ask this resolver, and nobody may change it.
#[must_use]
pub fn firefox(endpoint: &Endpoint, subject: &Subject) -> Option<String> {
    let url = endpoint.url(&subject.client_id)?;
    Some(pretty(&json!({
        "policies": {
            "DNSOverHTTPS": {
                "Enabled": true,
                "ProviderURL": url,
                "Fallback": false,
                "Locked": true,
            },
        },
    })))
}

/// Firefox: no resolver of its own.
#[must_use]
pub fn firefox_prohibited() -> String {
    pretty(&json!({
        "policies": { "DNSOverHTTPS": { "Enabled": false, "Locked": true } },
    }))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
