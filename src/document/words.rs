//! Strings of a document that stand for something else: one of a few words, an
//! address, a name. They are parsed where they are read, so that beyond the
//! reader nothing is a string that means more than its letters.

use std::fmt::Display;

use super::{Placed, Table, choices};

impl Table<'_> {
    /// Whether `key` is there, whatever its value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// One of the words of `all`, as what it stands for.
    #[must_use]
    pub fn choice<T: Copy>(&self, key: &'static str, all: &[(&str, T)]) -> Option<Placed<T>> {
        let word = self.string(key)?;
        let found = all.iter().find(|(choice, _)| *choice == word.value);
        if found.is_none() {
            let hint = choices(&word.value, all.iter().map(|(choice, _)| *choice));
            let message = format!("`{key}` cannot be \"{}\"; {hint}", word.value);
            self.complain_at(&word.place, message);
        }
        Some(word.with(found?.1))
    }

    /// A string, as `read` understands it.
    #[must_use]
    pub fn parsed<T, E: Display>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Placed<T>> {
        let word = self.string(key)?;
        self.understood(word, &read)
    }

    /// A list of strings, each as `read` understands it; `None` if absent.
    #[must_use]
    pub fn parsed_list<T, E: Display>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<Placed<T>>> {
        let words = self.strings_if_any(key)?;
        let read = |word| self.understood(word, &read);
        Some(words.into_iter().filter_map(read).collect())
    }

    fn understood<T, E: Display>(
        &self,
        word: Placed<String>,
        read: &impl Fn(&str) -> Result<T, E>,
    ) -> Option<Placed<T>> {
        match read(&word.value) {
            Ok(meant) => Some(word.with(meant)),
            Err(why) => {
                self.complain_at(&word.place, why.to_string());
                None
            }
        }
    }
}

impl<T> Placed<T> {
    /// Another value at the same place.
    #[must_use]
    pub fn with<U>(self, value: U) -> Placed<U> {
        Placed {
            value,
            place: self.place,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::document::Document;

    #[test]
    fn a_word_that_is_no_choice_is_a_complaint() {
        let text = "log = \"ful\"\nlevel = \"full\"\nports = [\"53\", \"dns\"]\n";
        let document = Document::parse("f.toml", text);
        let root = document.root();
        let all = [("off", 0), ("full", 1)];
        assert!(root.choice("log", &all).is_none());
        assert_eq!(root.choice("level", &all).unwrap().value, 1);
        let ports = root.parsed_list("ports", str::parse::<u16>).unwrap();
        assert_eq!(ports.len(), 1);
        drop(root);
        let said = document.into_complaints();
        let said: Vec<_> = said.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "f.toml:1: `log` cannot be \"ful\"; did you mean \"full\"?",
                "f.toml:3: invalid digit found in string",
            ]
        );
    }
}
