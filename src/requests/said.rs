//! What strangers write into a form, made fit to be kept.
//!
//! Text stays text: it is cut to its length, and what would hide or reorder it
//! on a screen is taken out (control characters and the marks that turn the
//! direction of writing). Nothing is escaped here, for that is done where it is
//! shown; a site is a name or nothing.

use crate::name::{Name, NameError};

/// Characters of one line.
pub const LONGEST_LINE: usize = 100;
/// Characters of a text.
pub const LONGEST_TEXT: usize = 1000;

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(String);

/// A text of some lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(String);

impl Line {
    /// Of what somebody wrote.
    #[must_use]
    pub fn new(written: &str) -> Self {
        let words: Vec<&str> = written.split_whitespace().collect();
        Self(cut(&words.join(" "), LONGEST_LINE, |_| false))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text {
    /// Of what somebody wrote.
    #[must_use]
    pub fn new(written: &str) -> Self {
        let cut = cut(written.trim(), LONGEST_TEXT, |c| c == '\n');
        Self(cut.trim_end().to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn cut(text: &str, longest: usize, also: impl Fn(char) -> bool) -> String {
    text.chars()
        .filter(|c| also(*c) || !(c.is_control() || turns_or_hides(*c)))
        .take(longest)
        .collect()
}

/// Marks that change the order of what follows, and characters that nobody sees.
fn turns_or_hides(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A site, as somebody wrote or pasted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(pub Name);

impl Site {
    /// Of a name or of the address of a page, of which only the site counts.
    pub fn new(written: &str) -> Result<Self, NameError> {
        let written = written.trim();
        let rest = written.split_once("://").map_or(written, |(_, rest)| rest);
        let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        Name::parse(host).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_found_in_what_is_pasted() {
        for written in [
            "games.example",
            " Games.Example. ",
            "https://games.example/a/b?c=d#e",
            "http://somebody@games.example:8080/",
            "games.example/path",
            "//games.example",
        ] {
            let found = Site::new(written).map(|site| site.0.to_string());
            let expected = if written.starts_with("//") {
                Err(NameError::EmptyLabel)
            } else {
                Ok("games.example".to_owned())
            };
            assert_eq!(found, expected, "{written}");
        }
        for written in [
            "",
            "com",
            "http://",
            "10.0.0.1",
            "https://[2001:db8::1]/",
            "<script>alert(1)</script>",
            "'; DROP TABLE request; --",
            "a b.example",
            &"a.".repeat(4000),
        ] {
            assert!(Site::new(written).is_err(), "{written}");
        }
    }

    #[test]
    fn what_is_said_is_bounded_and_hides_nothing() {
        let line = Line::new("  Mr\tA.\r\n Smith\u{202e}\u{200b}\u{0} ");
        assert_eq!(line.as_str(), "Mr A. Smith");
        let text = Text::new("one\r\ntwo\u{7}\n<b>");
        assert_eq!(text.as_str(), "one\ntwo\n<b>");
        let long = "ß".repeat(5000);
        assert_eq!(Line::new(&long).as_str().chars().count(), LONGEST_LINE);
        assert_eq!(Text::new(&long).as_str().chars().count(), LONGEST_TEXT);
        assert!(Text::new(" \u{feff}\n").is_empty());
    }
}
