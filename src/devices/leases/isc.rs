//! ISC dhcpd's lease file: a journal of `lease ADDRESS { statements }` blocks,
//! the last block of an address being the truth.
//!
//! Read as tokens, not lines: client ids hold any byte, braces and quotes
//! included. `lease6` blocks and whatever else stands there are passed over.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Lease, Read, host_name, seconds};
use crate::devices::keys;
use crate::mac::Mac;

/// One word, quoted text or mark, and its line.
struct Token<'t> {
    text: &'t str,
    line: usize,
}

pub(super) fn read(file: &str, text: &str) -> Read {
    let mut read = Read::default();
    let mut tokens = Tokens {
        rest: text,
        line: 1,
    };
    let mut statement: Vec<&str> = Vec::new();
    while let Some(token) = tokens.next() {
        match token.text {
            ";" => statement.clear(),
            "}" => {
                statement.clear();
                read.complain(file, token.line, "`}` without a block");
            }
            "{" => {
                let lease = match *statement.as_slice() {
                    ["lease", address] => Some(keys::parse_ip(address)),
                    _ => None,
                };
                statement.clear();
                match (block(&mut tokens), lease) {
                    (None, _) => read.complain(file, token.line, "a block that does not end"),
                    (Some(body), Some(Some(ip))) => enter(&mut read, file, token.line, ip, &body),
                    (Some(_), Some(None)) => {
                        read.complain(file, token.line, "a lease of what is no address");
                    }
                    (Some(_), None) => (),
                }
            }
            word => statement.push(word),
        }
    }
    read
}

/// The statements of a block up to its end; those of blocks inside are left
/// out. A lease inside a lease means that the end of the first is missing, and
/// reading goes on there.
fn block<'t>(tokens: &mut Tokens<'t>) -> Option<Vec<Vec<&'t str>>> {
    let mut depth = 0_usize;
    let mut statements = Vec::new();
    let mut statement = Vec::new();
    let mut before = tokens.clone();
    loop {
        if statement.is_empty() {
            before = tokens.clone();
        }
        match (tokens.next()?.text, depth) {
            ("{", 0) if matches!(*statement.as_slice(), ["lease", _]) => {
                *tokens = before;
                return None;
            }
            ("{", _) => {
                statement.clear();
                depth += 1;
            }
            ("}", 0) => return Some(statements),
            ("}", _) => depth -= 1,
            (";", 0) => statements.push(std::mem::take(&mut statement)),
            (word, 0) => statement.push(word),
            _ => (),
        }
    }
}

fn enter(read: &mut Read, file: &str, line: usize, ip: IpAddr, body: &[Vec<&str>]) {
    // A block without a state is from before there were states, and in use.
    let mut is_active = true;
    let mut lease = Lease {
        ip,
        mac: None,
        host: None,
        expires: None,
    };
    for statement in body {
        match *statement.as_slice() {
            ["binding", "state", state] => is_active = state == "active",
            ["hardware", "ethernet", mac] => lease.mac = mac.parse::<Mac>().ok(),
            ["client-hostname", host] => lease.host = host_name(host),
            ["ends", "never"] => lease.expires = None,
            ["ends", ref when @ ..] => match instant(when) {
                Some(end) => lease.expires = Some(end),
                None => return read.complain(file, line, "`ends` is not a time"),
            },
            _ => (),
        }
    }
    if is_active {
        lease.mac = lease.mac.filter(|mac| mac.names_a_device());
        read.keep(lease);
    } else {
        read.drop(ip);
    }
}

/// `WEEKDAY YYYY/MM/DD HH:MM:SS` in UTC, or `epoch SECONDS` where dhcpd was
/// told to write local times.
fn instant(words: &[&str]) -> Option<Timestamp> {
    match words {
        ["epoch", number] => seconds(number),
        [_weekday, date, time] => {
            let when = DateTime::strptime("%Y/%m/%d %H:%M:%S", format!("{date} {time}")).ok()?;
            Some(when.to_zoned(TimeZone::UTC).ok()?.timestamp())
        }
        _ => None,
    }
}

#[derive(Clone)]
struct Tokens<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let blank = self.rest.len() - self.rest.trim_ascii_start().len();
            self.take(blank);
            if !self.rest.starts_with('#') {
                break;
            }
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
        let line = self.line;
        let text = match self.rest.chars().next()? {
            '"' => self.quoted(),
            ';' | '{' | '}' => self.take(1),
            _ => {
                let is_end =
                    |c: char| c.is_ascii_whitespace() || matches!(c, ';' | '{' | '}' | '"');
                self.take(self.rest.find(is_end).unwrap_or(self.rest.len()))
            }
        };
        Some(Token { text, line })
    }
}

impl<'t> Tokens<'t> {
    /// Cuts `length` bytes off, counting lines.
    fn take(&mut self, length: usize) -> &'t str {
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.line += text.bytes().filter(|&byte| byte == b'\n').count();
        self.rest = rest;
        text
    }

    /// The text between quotes; `\"` and `\\` do not end it.
    fn quoted(&mut self) -> &'t str {
        self.take(1);
        let mut is_escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let text = self.take(end.unwrap_or(self.rest.len()));
        self.take(1);
        text
    }
}
