//! Windows 11 and Server 2022: a PowerShell script that makes this resolver the
//! device's, over HTTPS and nothing else.
//!
//! Windows knows a server of DNS over HTTPS by its *address*: the template with
//! the device's id is laid to each. What is not a word of ours is quoted.

use super::endpoint::{Endpoint, Subject};

/// The script, if there is DNS over HTTPS and an address to know it by.
#[must_use]
pub fn script(endpoint: &Endpoint, subject: &Subject) -> Option<String> {
    let template = quoted(&endpoint.url(&subject.client_id)?);
    if endpoint.addresses.is_empty() {
        return None;
    }
    let addresses = endpoint.addresses.iter().map(|a| quoted(&a.to_string()));
    let addresses = addresses.collect::<Vec<_>>().join(", ");
    let device = comment(&subject.id);
    Some(format!(
        "# Encrypted DNS for {device}. Windows 11, Server 2022 and newer; run as administrator,
# or as a start-up script by Group Policy.
$addresses = {addresses}
$template = {template}
foreach ($address in $addresses) {{
    Remove-DnsClientDohServerAddress -ServerAddress $address -ErrorAction SilentlyContinue
    Add-DnsClientDohServerAddress -ServerAddress $address -DohTemplate $template `
        -AllowFallbackToUdp $false -AutoUpgrade $true
}}
Get-NetAdapter -Physical | Set-DnsClientServerAddress -ServerAddresses $addresses

# The same as Group Policy: Computer Configuration, Administrative Templates,
# Network, DNS Client, \"Configure encrypted name resolution\" (earlier: \"Configure
# DNS over HTTPS (DoH) name resolution\"): Require. 2 allows, 1 prohibits it: for
# devices that stay in school and are known there without it.
$policy = 'HKLM:\\SOFTWARE\\Policies\\Microsoft\\Windows NT\\DNSClient'
if (-not (Test-Path $policy)) {{ New-Item -Path $policy -Force | Out-Null }}
Set-ItemProperty -Path $policy -Name DoHPolicy -Type DWord -Value 3
Clear-DnsClientCache
"
    ))
}

/// A literal of PowerShell, which takes typographic quotes for quotes too.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// Words in a comment, which ends with the line.
fn comment(text: &str) -> String {
    let ends_a_line = |c: &char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().filter(|c| !ends_a_line(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes_or_its_line() {
        assert_eq!(quoted("St Peter's"), "'St Peter''s'");
        assert_eq!(quoted("a’; calc; ’"), "'a’’; calc; ’’'");
        assert_eq!(comment("a\r\nb\u{2028}c"), "abc");
    }
}
