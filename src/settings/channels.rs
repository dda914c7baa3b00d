//! `[mail]`, `[webhook]`, `[syslog]`: the ways on which alerts leave.
//!
//! Each is off until its server is named. What is told is a child's trouble: it
//! leaves this machine encrypted, or not at all, but for a server on this very
//! machine and for syslog's old transports, which a school may not be rid of.

use std::net::IpAddr;
use std::path::PathBuf;

use super::read::file;
use crate::document::{Placed, Table};

/// `[mail]`: e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The server's name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: Security,
    /// Whom it knows us as; empty: it asks for no name.
    pub user: String,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
    /// Whom messages are from.
    pub from: String,
    /// Authorities to believe instead of the built-in ones, as PEM.
    pub ca_file: Option<PathBuf>,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// In plain until STARTTLS, without which nothing is sent (RFC 3207).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// In plain: only to this machine itself.
    None,
}

/// `[webhook]`: JSON over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where to.
    pub url: String,
    /// Where the secret is by which messages are signed.
    pub secret_file: Option<PathBuf>,
    /// Authorities to believe instead of the built-in ones, as PEM.
    pub ca_file: Option<PathBuf>,
}

/// `[syslog]`: RFC 5424.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    /// The server's name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub transport: SyslogTransport,
    /// Authorities to believe instead of the built-in ones, as PEM.
    pub ca_file: Option<PathBuf>,
}

/// How a syslog server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyslogTransport {
    /// RFC 5426; what is lost is lost.
    Udp,
    /// RFC 6587, with octets counted.
    Tcp,
    /// RFC 5425.
    Tls,
}

const SECURITY: [(&str, Security); 3] = [
    ("starttls", Security::Starttls),
    ("tls", Security::Tls),
    ("none", Security::None),
];
const TRANSPORTS: [(&str, SyslogTransport); 3] = [
    ("udp", SyslogTransport::Udp),
    ("tcp", SyslogTransport::Tcp),
    ("tls", SyslogTransport::Tls),
];

/// None while it names no server.
pub(super) fn mail(table: Table<'_>) -> Option<Mail> {
    let server = table.parsed("server", host);
    let security = table.choice("security", &SECURITY);
    let port = port(&table);
    let user = table.string("user").map(|user| user.value);
    let from = table.parsed("from", mailbox);
    let mail = Mail {
        server: server.as_ref().map_or(String::new(), |s| s.value.clone()),
        security: security.as_ref().map_or(Security::Starttls, |s| s.value),
        port: 0,
        user: user.unwrap_or_default(),
        password_file: file(&table, "password_file"),
        from: from.map(|from| from.value).unwrap_or_default(),
        ca_file: file(&table, "ca_file"),
    };
    if !mail.server.is_empty() && mail.from.is_empty() {
        table.missing("from");
    }
    if !mail.user.is_empty() && mail.password_file.is_none() {
        table.complain("[mail] has a `user` and needs `password_file` beside it");
    }
    if let Some(security) = security.as_ref().filter(|s| s.value == Security::None)
        && !mail.server.is_empty()
        && !is_loopback(&mail.server)
    {
        let message = "`security` may be \"none\" only for a server on this machine";
        table.complain_at(&security.place, message);
    }
    table.finish();
    let usual = match mail.security {
        Security::Starttls => 587,
        Security::Tls => 465,
        Security::None => 25,
    };
    let port = port.unwrap_or(usual);
    (!mail.server.is_empty()).then_some(Mail { port, ..mail })
}

/// None while it has no address.
pub(super) fn webhook(table: Table<'_>) -> Option<Webhook> {
    let url = table.parsed("url", hook);
    let webhook = Webhook {
        url: url.map(|url| url.value).unwrap_or_default(),
        secret_file: file(&table, "secret_file"),
        ca_file: file(&table, "ca_file"),
    };
    if !webhook.url.is_empty() && webhook.secret_file.is_none() {
        table.complain("[webhook] needs `secret_file`: by it the other side knows us");
    }
    table.finish();
    (!webhook.url.is_empty()).then_some(webhook)
}

/// None while it names no server.
pub(super) fn syslog(table: Table<'_>) -> Option<Syslog> {
    let server = table.parsed("server", host).map(|server| server.value);
    let transport = table.choice("transport", &TRANSPORTS);
    let transport = transport.map_or(SyslogTransport::Tls, |t| t.value);
    let usual = match transport {
        SyslogTransport::Udp => 514,
        SyslogTransport::Tcp => 601,
        SyslogTransport::Tls => 6514,
    };
    let syslog = Syslog {
        server: server.unwrap_or_default(),
        port: port(&table).unwrap_or(usual),
        transport,
        ca_file: file(&table, "ca_file"),
    };
    table.finish();
    (!syslog.server.is_empty()).then_some(syslog)
}

/// The pages' own address, as links in messages have it; "" for none.
pub(super) fn page_url(text: &str) -> Result<String, String> {
    let trimmed = text.trim_end_matches('/');
    let scheme = ["https://", "http://"];
    let rest = scheme
        .iter()
        .find_map(|scheme| trimmed.strip_prefix(scheme));
    let fits = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || (fits && plain && text.len() <= 200) {
        return Ok(trimmed.to_owned());
    }
    Err(format!(
        "\"{text}\" is not the address of the pages; write it like \"https://filter.school.example\""
    ))
}

/// 0: the usual one.
fn port(table: &Table<'_>) -> Option<u16> {
    let port = table
        .integer("port", 0..=65_535)
        .map(|port: Placed<u64>| port.value);
    port.and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0)
}

/// A server's name or address, without a port.
fn host(text: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_name = text.len() <= 253 && text.bytes().all(is_plain) && !text.starts_with('.');
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is not a server; write its name or address, and the port as `port`"
    ))
}

/// `Schoolgate <filter@school.example>`, or the address alone.
fn mailbox(text: &str) -> Result<String, String> {
    let address = text
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.strip_suffix('>'));
    let address = address.unwrap_or(text);
    let fits = address
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let plain =
        text.chars().all(|c| !c.is_control()) && address.bytes().all(|b| b.is_ascii_graphic());
    if text.is_empty() || (fits && plain && text.len() <= 254) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" is not an address; write it like \"Schoolgate <filter@school.example>\""
    ))
}

/// https, or http to this machine.
fn hook(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 1000;
    let host_of = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((v6, _)) => v6,
            None => host.split(':').next().unwrap_or_default(),
        };
        host.to_owned()
    };
    let secure = text.strip_prefix("https://").map(host_of);
    let inside = text.strip_prefix("http://").map(host_of);
    let fits = secure.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        || inside.is_some_and(|host| is_loopback(&host));
    if text.is_empty() || (plain && fits) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "\"{text}\" cannot be a webhook; it begins with https://, or is http:// on this machine"
    ))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl super::Settings {
    /// Whether an alert can leave this machine at all.
    #[must_use]
    pub fn has_channel(&self) -> bool {
        self.mail.is_some() || self.webhook.is_some() || self.syslog.is_some()
    }

    /// The files that the channels need.
    pub fn files_of_channels(&self) -> impl Iterator<Item = &PathBuf> {
        let mail = self
            .mail
            .iter()
            .flat_map(|m| [&m.password_file, &m.ca_file]);
        let hook = self
            .webhook
            .iter()
            .flat_map(|w| [&w.secret_file, &w.ca_file]);
        let syslog = self.syslog.iter().map(|s| &s.ca_file);
        mail.chain(hook).chain(syslog).flatten()
    }

    pub(super) fn channel_files(&mut self) -> impl Iterator<Item = &mut Option<PathBuf>> {
        let mail = self
            .mail
            .as_mut()
            .map(|m| [&mut m.password_file, &mut m.ca_file]);
        let hook = self
            .webhook
            .as_mut()
            .map(|w| [&mut w.secret_file, &mut w.ca_file]);
        let syslog = self.syslog.as_mut().map(|s| &mut s.ca_file);
        let pairs = mail.into_iter().chain(hook).flatten();
        pairs.chain(syslog)
    }
}
