//! A report as headings, sentences and tables: what text, CSV and a page are made
//! of, so that all three say the same.

use std::fmt::Write as _;

use serde::Serialize;

use super::csv;

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sheet {
    /// What it is.
    pub title: String,
    /// Of which school, from when to when, made when.
    pub about: Vec<String>,
    /// What it says.
    pub parts: Vec<Part>,
}

/// One part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its heading.
    pub heading: String,
    /// Sentences, a paragraph each.
    pub says: Vec<String>,
    /// Numbers.
    pub table: Option<Table>,
}

/// A table; its first column names the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What it shows, for those who cannot see it beside its heading.
    pub caption: String,
    /// The headings of its columns.
    pub headings: Vec<String>,
    /// Its lines, each with a cell for each heading.
    pub rows: Vec<Vec<String>>,
}

impl Part {
    /// Sentences alone.
    #[must_use]
    pub fn saying(heading: &str, says: Vec<String>) -> Self {
        Self {
            heading: heading.to_owned(),
            says,
            table: None,
        }
    }

    /// A table, and a sentence where it would be empty.
    #[must_use]
    pub fn table(heading: &str, caption: &str, headings: &[&str], rows: Vec<Vec<String>>) -> Self {
        let empty = rows.is_empty();
        let headings = headings.iter().map(|heading| (*heading).to_owned());
        let table = Table {
            caption: caption.to_owned(),
            headings: headings.collect(),
            rows,
        };
        Self {
            heading: heading.to_owned(),
            says: if empty {
                vec!["None.".to_owned()]
            } else {
                Vec::new()
            },
            table: (!empty).then_some(table),
        }
    }

    /// With a sentence more.
    #[must_use]
    pub fn and(mut self, says: impl Into<String>) -> Self {
        self.says.push(says.into());
        self
    }
}

impl Sheet {
    /// For a terminal, an e-mail, a printer without a browser.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.title, "=".repeat(width(&self.title)));
        for line in &self.about {
            push(&mut text, line);
        }
        for part in &self.parts {
            let line = "-".repeat(width(&part.heading));
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{}\n{line}\n", part.heading);
            for line in &part.says {
                push(&mut text, line);
            }
            if let Some(table) = &part.table {
                table.text(&mut text);
            }
        }
        text
    }

    /// For a spreadsheet: its tables one below the other.
    #[must_use]
    pub fn csv(&self) -> Vec<u8> {
        let mut lines = vec![vec![self.title.clone()]];
        lines.extend(self.about.iter().map(|line| vec![line.clone()]));
        for part in &self.parts {
            lines.push(Vec::new());
            lines.push(vec![part.heading.clone()]);
            lines.extend(part.says.iter().map(|line| vec![line.clone()]));
            if let Some(table) = &part.table {
                lines.push(table.headings.clone());
                lines.extend(table.rows.iter().cloned());
            }
        }
        csv::to_bytes(lines)
    }
}

impl Table {
    fn text(&self, text: &mut String) {
        let lines = || std::iter::once(&self.headings).chain(&self.rows);
        let columns = self.headings.len();
        let wide = |column: usize| {
            let cells = lines().filter_map(|line| line.get(column));
            cells
                .map(|cell| width(&harmless(cell)))
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(wide).collect();
        for line in lines() {
            let mut row = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                // Writing to a string cannot fail.
                let _ = write!(row, "{:<width$}  ", harmless(cell));
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
    }
}

fn push(text: &mut String, line: &str) {
    text.push_str(&harmless(line));
    text.push('\n');
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A device's name may be a stranger's text: it must not steer a terminal.
fn harmless(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let replaced = text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_csv_say_the_same() {
        let sheet = Sheet {
            title: "Week".to_owned(),
            about: vec!["School".to_owned()],
            parts: vec![
                Part::table(
                    "By theme",
                    "…",
                    &["Theme", "Now"],
                    vec![vec!["\u{1b}[2J=a".to_owned(), "12".to_owned()]],
                )
                .and("So it is."),
                Part::table("Devices", "…", &["Device"], Vec::new()),
            ],
        };
        assert_eq!(
            sheet.text(),
            "Week\n====\nSchool\n\nBy theme\n--------\nSo it is.\nTheme   Now\n\
             \u{fffd}[2J=a  12\n\nDevices\n-------\nNone.\n"
        );
        let csv = String::from_utf8(sheet.csv()).unwrap();
        assert_eq!(
            csv,
            "\u{feff}Week\r\nSchool\r\n\r\nBy theme\r\nSo it is.\r\nTheme,Now\r\n\
             \u{1b}[2J=a,12\r\n\r\nDevices\r\nNone.\r\n"
        );
    }
}
