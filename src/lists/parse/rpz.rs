//! Response policy zones, QNAME triggers only.
//!
//! An owner is a name under the zone's own: `bad.example` alone, or `*.bad.example`
//! for everything below it and not itself; zones usually write both. The target
//! says what to do. Triggers on addresses and name servers are counted and
//! passed over, and an owner that stands twice is no error: zones have lost
//! whole loads to one.

use super::Reason;
use super::collect::Collector;
use crate::lists::lookup::Scope;
use crate::name::Name;

const OTHER_TRIGGERS: [&str; 4] = ["rpz-ip", "rpz-client-ip", "rpz-nsdname", "rpz-nsip"];

/// What the lines so far said of the zone.
#[derive(Default)]
pub(super) struct Zone {
    /// The zone's own name in lower case, without the last dot; empty at first.
    apex: String,
    /// What relative owners stand under.
    origin: String,
    owner: String,
    /// Open parentheses: an SOA goes over several lines.
    open: usize,
}

/// What an owner name is within the zone.
enum Trigger {
    Apex,
    Outside,
    Name(String),
}

impl Zone {
    /// One line, with its leading blanks.
    pub(super) fn line(&mut self, line: &str, out: &mut Collector<'_>) {
        let text = without_comment(line);
        let continued = self.open > 0;
        let opened = text.matches('(').count();
        self.open = (self.open + opened).saturating_sub(text.matches(')').count());
        let mut words = text.split_whitespace().peekable();
        let Some(first) = words.peek().copied().filter(|_| !continued) else {
            return;
        };
        if first.starts_with('<') {
            return out.complain(Reason::Html);
        }
        if first.starts_with('$') {
            words.next();
            return self.directive(first, words.next(), out);
        }
        if !text.starts_with([' ', '\t']) {
            first.clone_into(&mut self.owner);
            words.next();
        }
        while words.peek().is_some_and(|word| is_ttl_or_class(word)) {
            words.next();
        }
        match words.next() {
            Some(kind) => self.record(kind, words.next().unwrap_or_default(), out),
            None => out.complain(Reason::NotARecord),
        }
    }

    fn directive(&mut self, which: &str, value: Option<&str>, out: &mut Collector<'_>) {
        match (which.to_ascii_uppercase().as_str(), value) {
            ("$TTL", _) => (),
            ("$ORIGIN", Some(origin)) => {
                self.origin = self.absolute(origin);
                if self.apex.is_empty() {
                    self.apex.clone_from(&self.origin);
                }
            }
            _ => out.complain(Reason::Directive),
        }
    }

    fn record(&mut self, kind: &str, target: &str, out: &mut Collector<'_>) {
        let kind = kind.to_ascii_uppercase();
        if kind == "SOA" && self.apex.is_empty() && self.owner.ends_with('.') {
            self.apex = self.absolute(&self.owner);
            self.origin.clone_from(&self.apex);
        }
        let trigger = match self.trigger() {
            // What a zone says of itself is no rule.
            _ if kind == "SOA" => return,
            Trigger::Apex => return,
            Trigger::Outside => return out.complain(Reason::OutsideZone),
            Trigger::Name(name) => name,
        };
        match action(&kind, target) {
            Ok(()) => block(&trigger, out),
            Err(reason) => out.complain(reason),
        }
    }

    /// `text` in full, without the last dot.
    fn absolute(&self, text: &str) -> String {
        let text = text.to_ascii_lowercase();
        match text.strip_suffix('.') {
            Some(full) => full.to_owned(),
            None if text == "@" => self.origin.clone(),
            None if self.origin.is_empty() => text,
            None => format!("{text}.{}", self.origin),
        }
    }

    fn trigger(&self) -> Trigger {
        let full = self.absolute(&self.owner);
        if full == self.apex {
            return Trigger::Apex;
        }
        if self.apex.is_empty() {
            return Trigger::Name(full);
        }
        match full
            .strip_suffix(&self.apex)
            .and_then(|f| f.strip_suffix('.'))
        {
            Some(name) => Trigger::Name(name.to_owned()),
            None => Trigger::Outside,
        }
    }
}

fn block(trigger: &str, out: &mut Collector<'_>) {
    let last = trigger.rsplit('.').next().unwrap_or_default();
    if let Some(other) = OTHER_TRIGGERS.iter().find(|other| **other == last) {
        return out.complain(Reason::Trigger(other));
    }
    match trigger.strip_prefix("*.") {
        Some(base) => out.wide(base, Scope::Below),
        None if trigger == "*" => out.complain(Reason::Everything),
        None => match Name::parse(trigger) {
            Ok(name) => out.name(&name, Scope::Exact),
            Err(why) => out.complain(why),
        },
    }
}

/// Whether the record's data means "block" (draft-vixie-dnsop-dns-rpz
/// section 3).
fn action(kind: &str, target: &str) -> Result<(), Reason> {
    let target = target.to_ascii_lowercase();
    match (kind, target.as_str()) {
        // A sink is a block by another word.
        ("CNAME", "." | "*." | "rpz-drop.")
        | ("A", "0.0.0.0" | "127.0.0.1")
        | ("AAAA", "::" | "::1") => Ok(()),
        ("CNAME", "rpz-passthru.") => Err(Reason::Exception),
        ("CNAME", "rpz-tcp-only.") => Err(Reason::TcpOnly),
        ("CNAME" | "A" | "AAAA" | "DNAME" | "TXT" | "MX" | "HTTPS" | "SVCB", _) => {
            Err(Reason::Rewrite)
        }
        _ => Err(Reason::NotARecord),
    }
}

fn is_ttl_or_class(word: &str) -> bool {
    let is_class = ["IN", "CH", "HS"]
        .iter()
        .any(|c| word.eq_ignore_ascii_case(c));
    let is_ttl = word.starts_with(|c: char| c.is_ascii_digit())
        && word
            .bytes()
            .all(|b| b.is_ascii_digit() || b"smhdwSMHDW".contains(&b));
    is_class || is_ttl
}

/// A `;` in quotes is text.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ';' && !quoted
    });
    line.get(..end.map_or(line.len(), |(at, _)| at))
        .unwrap_or(line)
}
