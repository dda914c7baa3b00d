//! What an address asks for behind its `?`.
//!
//! Anybody can type anything there, so nothing is refused: a word that is not
//! understood is as if it were missing, the last of several counts, and what is
//! too long is no word. Links to the same page with one thing changed are made
//! here too, so that a list in its filters can be kept as a bookmark.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Longer words are nobody's question.
const LONGEST: usize = 300;
/// More words neither.
const MOST: usize = 40;

/// The words of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked(Vec<(String, String)>);

impl Asked {
    /// Reads what stands behind the `?`.
    #[must_use]
    pub fn read(query: &str) -> Self {
        let all: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        let fits = |(key, value): &(String, String)| key.len() <= 30 && value.len() <= LONGEST;
        Self(all.into_iter().filter(fits).take(MOST).collect())
    }

    /// What was asked under this key; nothing is the same as an empty word.
    #[must_use]
    pub fn word(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| known == key)?;
        Some(value.trim()).filter(|word| !word.is_empty())
    }

    /// The same read as something, if it can be.
    #[must_use]
    pub fn parsed<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.word(key)?.parse().ok()
    }

    /// The address of `path` that asks the same of `keys`, and `more`.
    #[must_use]
    pub fn link(&self, path: &str, keys: &[&str], more: &[(&str, &str)]) -> String {
        let kept = keys
            .iter()
            .filter_map(|key| Some((*key, self.word(key)?)))
            .filter(|(key, _)| more.iter().all(|(new, _)| new != key));
        let all: Vec<(&str, &str)> = kept.chain(more.iter().copied()).collect();
        link(path, &all)
    }
}

/// The address of `path` that asks for these words.
#[must_use]
pub fn link(path: &str, words: &[(&str, &str)]) -> String {
    // Texts only: it cannot fail.
    match serde_urlencoded::to_string(words) {
        Ok(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// One part of a path, whatever stands in it: `/devices/` + `a/b`.
#[must_use]
pub fn part(text: &str) -> String {
    let mut part = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            part.push(char::from(byte));
        } else {
            let _ = write!(part, "%{byte:02X}");
        }
    }
    part
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_is_read() {
        let long = format!("group={}", "x".repeat(301));
        for (query, word) in [
            ("group=year-9", Some("year-9")),
            ("group=a&group=b", Some("b")),
            ("group=+%20", None),
            ("group=%ff%00x", Some("\u{fffd}\0x")),
            ("group=%3Cscript%3E", Some("<script>")),
            ("&&=&group=a&%", Some("a")),
            ("", None),
            (&long, None),
        ] {
            assert_eq!(Asked::read(query).word("group"), word, "{query}");
        }
    }

    #[test]
    fn links_say_the_same_again() {
        let asked = Asked::read("group=a%26b&theme=drugs&junk=1&before=9");
        let link = asked.link(
            "/incidents",
            &["group", "theme", "before"],
            &[("before", "7")],
        );
        assert_eq!(link, "/incidents?group=a%26b&theme=drugs&before=7");
        assert_eq!(Asked::default().link("/", &["group"], &[]), "/");
        assert_eq!(part("a/b ?é"), "a%2Fb%20%3F%C3%A9");
    }
}
