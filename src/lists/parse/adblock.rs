//! Adblock rules, as far as a resolver can obey them: `||name^`.
//!
//! Most of that language is about pages: which part to hide, for which kind of
//! request, on whose page. A resolver knows none of it, and a rule obeyed
//! without its condition blocks what nobody asked to block. So a rule with any
//! condition is refused, not shortened.

use super::Reason;
use super::collect::Collector;
use super::plain::{host_line, is_cosmetic, regex_rule};
use crate::lists::lookup::Scope;
use crate::name::NameError;

/// Modifiers that leave the meaning "block this name" as it is.
const HARMLESS: [&str; 2] = ["important", "all"];

/// Modifiers about the page or the kind of request.
const BROWSER_ONLY: [&str; 46] = [
    "1p",
    "3p",
    "app",
    "cookie",
    "csp",
    "css",
    "doc",
    "document",
    "domain",
    "ehide",
    "elemhide",
    "first-party",
    "font",
    "frame",
    "from",
    "generichide",
    "genericblock",
    "ghide",
    "header",
    "image",
    "inline-font",
    "inline-script",
    "match-case",
    "media",
    "method",
    "mp4",
    "object",
    "other",
    "permissions",
    "ping",
    "popunder",
    "popup",
    "redirect",
    "redirect-rule",
    "removeheader",
    "removeparam",
    "replace",
    "rewrite",
    "script",
    "strict1p",
    "strict3p",
    "stylesheet",
    "subdocument",
    "third-party",
    "websocket",
    "xhr",
];

/// One line.
pub(super) fn rule(line: &str, out: &mut Collector<'_>) {
    if is_cosmetic(line) || is_generic_cosmetic(line) || line.contains("$$") || line.contains("$@$")
    {
        return out.complain(Reason::Cosmetic);
    }
    if line.starts_with('#') {
        return;
    }
    if let Some(reason) = regex_rule(line) {
        return out.complain(reason);
    }
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    if host_line(line, Scope::Exact, out) {
        return;
    }
    let (pattern, options) = match line.split_once('$') {
        Some((pattern, options)) => (pattern, Some(options)),
        None => (line, None),
    };
    match options.and_then(refused_option) {
        Some(reason) => out.complain(reason),
        None => self::pattern(pattern, out),
    }
}

fn pattern(pattern: &str, out: &mut Collector<'_>) {
    if pattern.contains(char::is_whitespace) {
        return out.complain(Reason::SeveralWords);
    }
    if pattern.contains("://") {
        return out.complain(NameError::Url);
    }
    if pattern.contains('/') {
        return out.complain(Reason::Path);
    }
    let Some(anchored) = pattern.strip_prefix("||") else {
        // A name alone is that host; `name^` or `|name` also matches others.
        return if pattern.contains(['^', '|']) {
            out.complain(Reason::NotAnchored);
        } else {
            out.word(pattern, out.spec().reach);
        };
    };
    let Some(name) = anchored.strip_suffix("^|").or(anchored.strip_suffix('^')) else {
        return out.complain(Reason::NotAnchored);
    };
    match name.strip_prefix("*.") {
        Some(base) => out.wide(base, Scope::Below),
        None if name == "*" => out.complain(Reason::Everything),
        None => out.wide(name, Scope::Subtree),
    }
}

/// `##.advert`: on every page.
fn is_generic_cosmetic(line: &str) -> bool {
    ["##", "#@#", "#?#", "#$#", "#%#"].iter().any(|mark| {
        line.strip_prefix(mark)
            .and_then(|rest| rest.chars().next())
            .is_some_and(|c| c.is_alphabetic() || matches!(c, '.' | '[' | '*' | ':' | '/' | '+'))
    })
}

/// The reason that the modifiers give to refuse the rule; the graver one first.
fn refused_option(options: &str) -> Option<Reason> {
    let mut browser_only = false;
    for option in options.split(',').map(str::trim).filter(|o| !o.is_empty()) {
        let name = option.strip_prefix('~').unwrap_or(option);
        let name = name
            .split('=')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if BROWSER_ONLY.contains(&name.as_str()) || name == "xmlhttprequest" || name == "webrtc" {
            browser_only = true;
        } else if !HARMLESS.contains(&option.to_ascii_lowercase().as_str()) {
            return Some(Reason::UnsupportedModifier);
        }
    }
    browser_only.then_some(Reason::BrowserOnly)
}
