//! `hold`: the days that are kept whatever retention and erasure say (R-73).
//!
//! ```text
//! # 2026-11-03 a.smith: police, ref. 4711
//! 2026-10-01..2026-10-07
//! 2026-10-12   # the same
//! ```
//!
//! or `all`. A text file beside the days, so that somebody who has nothing but
//! an editor can place a hold in a hurry. What stands right above a line, or
//! behind it, is the word on why it is there. A file with a mistake in it holds
//! everything: nothing that it might mean may be lost.

use std::fmt;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::civil::Date;

/// Where the holds of the log in `folder` stand.
#[must_use]
pub fn path(folder: &Path) -> PathBuf {
    folder.join("hold")
}

/// Which days one hold is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldDays {
    /// Every one.
    All,
    /// From the first to the last, both included.
    Span(RangeInclusive<Date>),
}

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// By which somebody can name it: it stays as long as the hold does.
    pub id: String,
    /// Which days.
    pub days: HeldDays,
    /// Who asked for it, when and why, as it was typed.
    pub note: String,
    /// Its lines in the file, those of its note with them.
    lines: RangeInclusive<usize>,
}

/// What is held, as the file says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Holds {
    all: Vec<Held>,
    text: String,
}

/// A line of the file that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "hold:{line}: \"{text}\" is neither a day (2026-11-21), nor days \
     (2026-11-01..2026-11-21), nor \"all\"; everything is held"
)]
pub struct Unreadable {
    /// Its number.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

impl Holds {
    /// Reads what is held in `folder`; no file is no hold.
    pub fn read(folder: &Path) -> io::Result<Result<Self, Unreadable>> {
        match fs::read_to_string(path(folder)) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Ok(Self::default())),
            Err(e) => Err(e),
        }
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut all: Vec<Held> = Vec::new();
        let mut above: Vec<&str> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let (days, comment) = match line.split_once('#') {
                Some((days, comment)) => (days.trim(), Some(comment.trim())),
                None => (line.trim(), None),
            };
            if days.is_empty() {
                match comment {
                    Some(comment) => above.push(comment),
                    None => above.clear(),
                }
                continue;
            }
            let Ok(parsed) = days.parse() else {
                let text = days.to_owned();
                return Err(Unreadable { line: number, text });
            };
            let lines = number - above.len()..=number;
            let note = above.drain(..).chain(comment).collect::<Vec<_>>().join(" ");
            let hash = blake3::hash(format!("{days}\n{note}").as_bytes()).to_hex();
            let hash: String = hash.chars().take(8).collect();
            let id = match all.iter().filter(|h| h.id.starts_with(&hash)).count() {
                0 => hash,
                others => format!("{hash}-{}", others + 1),
            };
            all.push(Held {
                id,
                days: parsed,
                note,
                lines,
            });
        }
        Ok(Self {
            all,
            text: text.to_owned(),
        })
    }

    /// Every hold, in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[Held] {
        &self.all
    }

    /// Whether `date` is held.
    #[must_use]
    pub fn cover(&self, date: Date) -> bool {
        self.all.iter().any(|held| held.days.cover(date))
    }

    /// The text of the file with one more hold, whose note is one line.
    #[must_use]
    pub fn with(&self, days: &HeldDays, note: &str) -> String {
        let mut text = self.text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        // Apart from what stands above, or that would be its note too.
        if !text.is_empty() {
            text.push('\n');
        }
        format!("{text}# {}\n{days}\n", one_line(note))
    }

    /// The text of the file without the hold of this id; none if there is none.
    #[must_use]
    pub fn without(&self, id: &str) -> Option<String> {
        let gone = self.all.iter().find(|held| held.id == id)?;
        let lines = (1..).zip(self.text.lines());
        let left = lines.filter(|(number, _)| !gone.lines.contains(number));
        Some(left.flat_map(|(_, line)| [line, "\n"]).collect())
    }
}

impl HeldDays {
    /// Whether `date` is one of them.
    #[must_use]
    pub fn cover(&self, date: Date) -> bool {
        match self {
            Self::All => true,
            Self::Span(span) => span.contains(&date),
        }
    }
}

impl FromStr for HeldDays {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "all" {
            return Ok(Self::All);
        }
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self::Span(first..=last)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for HeldDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Span(span) if span.start() == span.end() => write!(f, "{}", span.start()),
            Self::Span(span) => write!(f, "{}..{}", span.start(), span.end()),
        }
    }
}

/// A note must not become a line of its own, which would be read as days.
fn one_line(note: &str) -> String {
    let words = note.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TEXT: &str = "# our holds\n\n# police: 4711\n# second line\n2026-10-01..2026-10-07\n\
                        2026-10-12 # the same\nall\n";

    #[test]
    fn a_hold_has_its_note() {
        let holds = Holds::parse(TEXT).unwrap();
        let said = holds.all().iter().map(|h| (h.days.to_string(), &*h.note));
        let said: Vec<_> = said.collect();
        assert_eq!(
            said,
            [
                (
                    "2026-10-01..2026-10-07".to_owned(),
                    "police: 4711 second line"
                ),
                ("2026-10-12".to_owned(), "the same"),
                ("all".to_owned(), ""),
            ]
        );
    }

    #[test]
    fn one_is_lifted_and_no_other() {
        let holds = Holds::parse(TEXT).unwrap();
        let text = holds.without(&holds.all()[0].id).unwrap();
        assert_eq!(text, "# our holds\n\n2026-10-12 # the same\nall\n");
        assert!(holds.without("nothing").is_none());
        // The same twice is lifted once.
        let twice = Holds::parse("2026-10-12\n2026-10-12\n").unwrap();
        assert_ne!(twice.all()[0].id, twice.all()[1].id);
        assert_eq!(twice.without(&twice.all()[1].id).unwrap(), "2026-10-12\n");
    }

    #[test]
    fn a_note_cannot_become_days() {
        let days: HeldDays = "2026-10-12".parse().unwrap();
        let text = Holds::parse(TEXT)
            .unwrap()
            .with(&days, "a\nall\r# b\u{0}\n");
        assert!(
            text.ends_with("all\n\n# a all # b\n2026-10-12\n"),
            "{text:?}"
        );
        let holds = Holds::parse(&text).unwrap();
        assert_eq!(holds.all().len(), 4);
        assert_eq!(holds.all()[3].note, "a all # b");
        assert_eq!(
            holds.without(&holds.all()[3].id).unwrap(),
            format!("{TEXT}\n")
        );
    }

    #[test]
    fn what_it_covers() {
        let holds = Holds::parse("2026-10-01..2026-10-07").unwrap();
        assert!(holds.cover(date(2026, 10, 7)) && !holds.cover(date(2026, 10, 8)));
        for wrong in [
            "2026-10-07..2026-10-01",
            "tuesday",
            "all of them",
            "..",
            "2026-10-01..",
        ] {
            let found = Holds::parse(&format!("\n{wrong} # why")).unwrap_err();
            assert_eq!((found.line, &*found.text), (2, wrong));
        }
    }
}
