//! Reading a TOML document that a person wrote: every mistake at once, each
//! with file, line and the choices.
//!
//! serde stops at the first error and cannot say where a value stood once it
//! has been read. Here a document is a tree of [`Table`]s whose keys are asked
//! for one by one; what was never asked for is unknown, and a wrong value is a
//! complaint rather than the end. Callers go on with what was right, so that
//! one run of `check` shows all there is to mend.

mod words;

use std::cell::RefCell;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where something stands: a file and a line counted from 1 (0: the whole file).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as the person would name it.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
}

/// One mistake: `FILE:LINE: message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Where to mend it.
    pub place: Place,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.line {
            0 => write!(f, "{}: {}", self.place.file, self.message),
            line => write!(f, "{}:{line}: {}", self.place.file, self.message),
        }
    }
}

/// A value and where it stood.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stood.
    pub place: Place,
}

/// A parsed document and the complaints about it so far.
pub struct Document<'i> {
    file: String,
    /// Where each line ends: every key is asked for its line, and a school may
    /// have thousands of exceptions.
    ends: Vec<usize>,
    root: Spanned<DeTable<'i>>,
    complaints: RefCell<Vec<Complaint>>,
    absent: RefCell<Vec<String>>,
}

impl<'i> Document<'i> {
    /// Parses `text`; syntax errors become complaints and the rest is kept.
    #[must_use]
    pub fn parse(file: &str, text: &'i str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self {
            file: file.to_owned(),
            ends: memchr::memchr_iter(b'\n', text.as_bytes()).collect(),
            root,
            complaints: RefCell::default(),
            absent: RefCell::default(),
        };
        for error in errors {
            let line = error.span().map_or(0, |span| document.line_of(span.start));
            document.complain(line, format!("not TOML: {}", error.message()));
        }
        document
    }

    /// The outermost table.
    #[must_use]
    pub fn root(&self) -> Table<'_> {
        Table::new(self, self.root.get_ref(), 0, String::new())
    }

    /// The keys that were asked for and are not there, as `clients.allow`: a test
    /// that an example shows every setting needs them.
    #[must_use]
    pub fn absent(&self) -> Vec<String> {
        self.absent.borrow().clone()
    }

    /// Every complaint, in the order of the file.
    #[must_use]
    pub fn into_complaints(self) -> Vec<Complaint> {
        let mut all = self.complaints.into_inner();
        all.sort();
        all.dedup();
        all
    }

    fn complain(&self, line: usize, message: String) {
        self.complaints.borrow_mut().push(Complaint {
            place: self.place(line),
            message,
        });
    }

    fn place(&self, line: usize) -> Place {
        Place {
            file: self.file.clone(),
            line,
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < offset)
    }
}

/// One table of a document. Ask for each key it may have, then
/// [`finish`](Table::finish).
pub struct Table<'d> {
    document: &'d Document<'d>,
    map: &'d DeTable<'d>,
    line: usize,
    /// `groups.pupil`, for messages; empty at the root.
    path: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Table<'d> {
    fn new(document: &'d Document<'_>, map: &'d DeTable<'_>, line: usize, path: String) -> Self {
        Self {
            document,
            map,
            line,
            path,
            asked: RefCell::default(),
        }
    }

    /// Where this table begins.
    #[must_use]
    pub fn place(&self) -> Place {
        self.document.place(self.line)
    }

    /// `[groups.pupil]`, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        if self.path.is_empty() {
            "the top of the file".to_owned()
        } else {
            format!("[{}]", self.path)
        }
    }

    /// Adds a complaint that stands at this table.
    pub fn complain(&self, message: impl Into<String>) {
        self.document.complain(self.line, message.into());
    }

    /// Adds a complaint that stands at `place`, a place of this document.
    pub fn complain_at(&self, place: &Place, message: impl Into<String>) {
        self.document.complain(place.line, message.into());
    }

    /// Complains that `key` is missing.
    pub fn missing(&self, key: &str) {
        self.complain(format!("{} needs `{key}`", self.title()));
    }

    /// A string.
    #[must_use]
    pub fn string(&self, key: &'static str) -> Option<Placed<String>> {
        let (value, place) = self.value(key)?;
        self.text_of(value, place, key)
    }

    /// A date: a TOML date, or a string that the caller parses.
    #[must_use]
    pub fn date_text(&self, key: &'static str) -> Option<Placed<String>> {
        let (value, place) = self.value(key)?;
        if let Some(date) = value.as_datetime() {
            return Some(Placed {
                value: date.to_string(),
                place,
            });
        }
        if value.as_str().is_none() {
            self.wrong_type(&place, key, "a date", value);
            return None;
        }
        self.text_of(value, place, key)
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(&self, key: &'static str) -> Option<Placed<bool>> {
        let (value, place) = self.value(key)?;
        let Some(value) = value.as_bool() else {
            self.wrong_type(&place, key, "true or false", value);
            return None;
        };
        Some(Placed { value, place })
    }

    /// A whole number within `limits`, both included.
    #[must_use]
    pub fn integer(
        &self,
        key: &'static str,
        limits: std::ops::RangeInclusive<u64>,
    ) -> Option<Placed<u64>> {
        let (value, place) = self.value(key)?;
        let number = value
            .as_integer()
            .and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok());
        let Some(value) = number.filter(|n| limits.contains(n)) else {
            let (from, to) = limits.into_inner();
            self.complain_at(
                &place,
                format!("`{key}` must be a whole number from {from} to {to}"),
            );
            return None;
        };
        Some(Placed { value, place })
    }

    /// A number (whole or with a fraction) within `limits`, both included.
    #[must_use]
    pub fn number(
        &self,
        key: &'static str,
        limits: std::ops::RangeInclusive<f64>,
    ) -> Option<Placed<f64>> {
        let (value, place) = self.value(key)?;
        let number = match value {
            DeValue::Float(f) => f.as_str().parse::<f64>().ok(),
            DeValue::Integer(i) => i.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let Some(value) = number.filter(|n| limits.contains(n)) else {
            let (from, to) = limits.into_inner();
            self.complain_at(
                &place,
                format!("`{key}` must be a number from {from} to {to}"),
            );
            return None;
        };
        Some(Placed { value, place })
    }

    /// A list of strings, each with its own line; empty if the key is absent.
    #[must_use]
    pub fn strings(&self, key: &'static str) -> Vec<Placed<String>> {
        self.strings_if_any(key).unwrap_or_default()
    }

    /// As [`Table::strings`], telling an absent key from an empty list.
    #[must_use]
    pub fn strings_if_any(&self, key: &'static str) -> Option<Vec<Placed<String>>> {
        let (value, place) = self.value(key)?;
        let Some(array) = value.as_array() else {
            self.wrong_type(&place, key, "a list of strings", value);
            return None;
        };
        let read = |item: &'d Spanned<DeValue<'d>>| {
            let place = self.place_of(item);
            self.text_of(item.get_ref(), place, key)
        };
        Some(array.iter().filter_map(read).collect())
    }

    /// A table below this one: `[clients]`.
    #[must_use]
    pub fn table(&self, key: &'static str) -> Option<Table<'d>> {
        let (value, place) = self.value(key)?;
        let Some(map) = value.as_table() else {
            self.wrong_type(&place, key, "a table", value);
            return None;
        };
        Some(Table::new(
            self.document,
            map,
            place.line,
            self.path_of(key),
        ))
    }

    /// The tables of an array: `[[source]]`, or a list of `{ … }`.
    #[must_use]
    pub fn tables(&self, key: &'static str) -> Vec<Table<'d>> {
        let Some((value, place)) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.as_array() else {
            self.wrong_type(&place, key, "a list of tables", value);
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(array.len());
        for item in array {
            let place = self.place_of(item);
            match item.get_ref().as_table() {
                Some(map) => tables.push(Table::new(
                    self.document,
                    map,
                    place.line,
                    self.path_of(key),
                )),
                None => self.wrong_type(&place, key, "a table", item.get_ref()),
            }
        }
        tables
    }

    /// Every key of this table whose value is a table, keys chosen by the
    /// person: `[groups.pupil]`. In the order of the file.
    #[must_use]
    pub fn named_tables(&self) -> Vec<(Placed<String>, Table<'d>)> {
        let mut tables = Vec::new();
        for (key, value) in self.map {
            let place = self.document.place(self.document.line_of(key.span().start));
            match value.get_ref().as_table() {
                Some(map) => tables.push((
                    Placed {
                        value: key.get_ref().to_string(),
                        place: place.clone(),
                    },
                    Table::new(self.document, map, place.line, self.path_of(key.get_ref())),
                )),
                None => self.wrong_type(&place, key.get_ref(), "a table", value.get_ref()),
            }
        }
        tables.sort_by_key(|(name, _)| name.place.line);
        tables
    }

    /// Every key of this table with its list of strings, keys chosen by the
    /// person: `block_during = { lessons = ["games"] }`. In file order.
    #[must_use]
    pub fn named_strings(&self) -> Vec<(Placed<String>, Vec<Placed<String>>)> {
        let mut lists = Vec::new();
        for (key, value) in self.map {
            let place = self.document.place(self.document.line_of(key.span().start));
            let Some(array) = value.get_ref().as_array() else {
                self.wrong_type(&place, key.get_ref(), "a list of strings", value.get_ref());
                continue;
            };
            let items = array
                .iter()
                .filter_map(|item| self.text_of(item.get_ref(), self.place_of(item), key.get_ref()))
                .collect();
            let key = Placed {
                value: key.get_ref().to_string(),
                place,
            };
            lists.push((key, items));
        }
        lists.sort_by_key(|(name, _)| name.place.line);
        lists
    }

    /// Complains about every key that was never asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for key in self.map.keys() {
            let name = key.get_ref().as_ref();
            if !asked.contains(&name) {
                let line = self.document.line_of(key.span().start);
                let hint = choices(name, asked.iter().copied());
                let title = self.title();
                self.document
                    .complain(line, format!("unknown key `{name}` in {title}; {hint}"));
            }
        }
    }

    fn value(&self, key: &'static str) -> Option<(&'d DeValue<'d>, Place)> {
        self.asked.borrow_mut().push(key);
        let Some(value) = self.map.get(key) else {
            self.document.absent.borrow_mut().push(self.path_of(key));
            return None;
        };
        Some((value.get_ref(), self.place_of(value)))
    }

    fn place_of(&self, value: &Spanned<DeValue<'_>>) -> Place {
        self.document
            .place(self.document.line_of(value.span().start))
    }

    fn text_of(&self, value: &DeValue<'_>, place: Place, key: &str) -> Option<Placed<String>> {
        let Some(text) = value.as_str() else {
            self.wrong_type(&place, key, "a string", value);
            return None;
        };
        Some(Placed {
            value: text.to_owned(),
            place,
        })
    }

    fn wrong_type(&self, place: &Place, key: &str, wanted: &str, value: &DeValue<'_>) {
        let got = value.type_str();
        self.complain_at(place, format!("`{key}` must be {wanted}, not {got}"));
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// What to write instead of `word`: `did you mean "x"?` where one choice is
/// near, else the whole list.
#[must_use]
pub fn choices<'c>(word: &str, all: impl IntoIterator<Item = &'c str>) -> String {
    let mut all: Vec<&str> = all.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    match nearest(word, all.iter().copied()) {
        Some(choice) => format!("did you mean \"{choice}\"?"),
        None if all.is_empty() => "there is nothing to choose from".to_owned(),
        None => format!("choose from: {}", all.join(", ")),
    }
}

/// The choice that `word` is most likely a slip of, if any is near.
#[must_use]
pub fn nearest<'c>(word: &str, all: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let distance = |choice: &'c str| (strsim::osa_distance(word, choice), choice);
    let (distance, choice) = all.into_iter().map(distance).min()?;
    (distance <= 1 + word.chars().count() / 4).then_some(choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let text = "name = 3\nblok = []\n[clients]\nallow = [\"a\", 4]\n";
        let document = Document::parse("f.toml", text);
        let root = document.root();
        assert!(root.string("name").is_none());
        let clients = root.table("clients").unwrap();
        assert_eq!(clients.strings("allow").len(), 1);
        clients.finish();
        let _ = root.strings("block");
        root.finish();
        let said: Vec<_> = document
            .into_complaints()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            said,
            [
                "f.toml:1: `name` must be a string, not integer",
                "f.toml:2: unknown key `blok` in the top of the file; did you mean \"block\"?",
                "f.toml:4: `allow` must be a string, not integer",
            ]
        );
    }

    #[test]
    fn a_syntax_error_has_a_line_and_does_not_hide_the_rest() {
        let document = Document::parse("f.toml", "a = \n[b]\nc = 1\n");
        let root = document.root();
        assert!(root.table("b").is_some());
        drop(root);
        let said = document.into_complaints();
        assert_eq!(said.first().unwrap().place.line, 1);
    }
}
