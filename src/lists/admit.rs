//! Whether a freshly fetched list may replace the last good one, and
//! which names no category list may cover.
//!
//! Lists are made by strangers, and a list that is suddenly empty, half as long
//! or covers the examination boards is a mishap more often than news. The last
//! good one stays until a person says otherwise; an entry that would take down
//! what every school needs is left out and reported.

use std::collections::HashMap;
use std::path::Path;

use minisign_verify::{PublicKey, Signature};
use sha2::{Digest, Sha256};

use super::durable;
use super::lookup::Scope;
use super::source::SourceSpec;
use crate::document::{Complaint, Place};
use crate::name::{Name, NameError, NameRef};

/// The names that every UK school needs, as shipped.
pub const SHIPPED: &str = include_str!("../../blocklists/must-resolve.txt");

/// Names that no category list may cover.
#[derive(Debug, Default)]
pub struct MustResolve {
    names: Vec<Name>,
    /// For each of the names and its ancestors: which name an entry there
    /// covers by itself, and which by reaching below.
    covered: HashMap<Box<[u8]>, Covered>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Covered {
    here: Option<usize>,
    below: Option<usize>,
}

impl MustResolve {
    /// The shipped names and those of a school's own `must-resolve.txt`.
    pub fn of_school(config_dir: &Path) -> Result<Self, Vec<Complaint>> {
        let path = config_dir.join("must-resolve.txt");
        let complain = |line, message: String| {
            let file = path.display().to_string();
            let place = Place { file, line };
            vec![Complaint { place, message }]
        };
        let own = durable::read_if_any(&path).map_err(|e| complain(0, e.to_string()))?;
        let own = String::from_utf8(own.unwrap_or_default())
            .map_err(|_| complain(0, "is not UTF-8".to_owned()))?;
        let own = Self::parse(&own).map_err(|(line, why)| complain(line, why.to_string()))?;
        let mut all = Self::parse(SHIPPED)
            .map_err(|(line, why)| complain(line, format!("as shipped: {why}")))?;
        own.names.into_iter().for_each(|name| all.add(name));
        Ok(all)
    }

    /// Reads one name a line; `#` begins a comment. A line that is no name is
    /// given back with its number.
    pub fn parse(text: &str) -> Result<Self, (usize, NameError)> {
        let mut all = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                all.add(Name::parse(line).map_err(|why| (number + 1, why))?);
            }
        }
        Ok(all)
    }

    /// Adds one name.
    pub fn add(&mut self, name: Name) {
        let index = self.names.len();
        for (up, suffix) in name.as_ref().suffixes().enumerate() {
            let covered = self.covered.entry(suffix.wire().into()).or_default();
            if up == 0 {
                covered.here = Some(index);
            } else if covered.below.is_none() {
                covered.below = Some(index);
            }
        }
        self.names.push(name);
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// A name that an entry would cover.
    #[must_use]
    pub fn covered_by(&self, entry: NameRef<'_>, scope: Scope) -> Option<&Name> {
        let covered = self.covered.get(entry.wire())?;
        let index = match scope {
            Scope::Exact => covered.here,
            Scope::Subtree => covered.here.or(covered.below),
            Scope::Below => covered.below,
        };
        self.names.get(index?)
    }
}

/// Why a list that could be read may not replace the last good one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Under `min_entries`.
    #[error("it has {found} entries, fewer than min_entries = {least}")]
    TooFew {
        /// What it has.
        found: u64,
        /// What it must have.
        least: u64,
    },
    /// It lost more than `max_shrink` of its entries.
    #[error(
        "it shrank from {before} to {found} entries; if that is right, run `refresh --accept {id}`"
    )]
    Shrunk {
        /// Which list.
        id: String,
        /// What the last good one has.
        before: u64,
        /// What it has.
        found: u64,
    },
    /// Not the file that `sha256` names.
    #[error("its SHA-256 is not the one in sources.toml")]
    WrongHash,
    /// Not signed with `minisign_key`.
    #[error("its signature is missing or not by minisign_key")]
    WrongSignature,
}

/// Judges how many entries a list has. `before` is what the last good one has,
/// none where there is none or a person has accepted the loss.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of entries are far below 2^52"
)]
pub fn size(spec: &SourceSpec, found: u64, before: Option<u64>) -> Result<(), Refused> {
    if found < spec.min_entries {
        let least = spec.min_entries;
        return Err(Refused::TooFew { found, least });
    }
    match before {
        Some(before) if (found as f64) < before as f64 * (1.0 - spec.max_shrink) => {
            let id = spec.id.clone();
            Err(Refused::Shrunk { id, before, found })
        }
        _ => Ok(()),
    }
}

/// Judges the bytes as published.
pub fn bytes(spec: &SourceSpec, bytes: &[u8], signature: Option<&str>) -> Result<(), Refused> {
    if let Some(expected) = &spec.sha256
        && Sha256::digest(bytes).as_slice() != expected
    {
        return Err(Refused::WrongHash);
    }
    let Some(key) = &spec.minisign_key else {
        return Ok(());
    };
    let key = PublicKey::from_base64(key).map_err(|_| Refused::WrongSignature)?;
    let signature = signature
        .and_then(|text| Signature::decode(text).ok())
        .ok_or(Refused::WrongSignature)?;
    key.verify(bytes, &signature, false)
        .map_err(|_| Refused::WrongSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_covers_by_its_scope() {
        let must = MustResolve::parse("www.aqa.org.uk # exam board\n\nchildline.org.uk\n").unwrap();
        let check = |entry: &str, scope, expected: Option<&str>| {
            let entry = Name::parse(entry).unwrap();
            let got = must
                .covered_by(entry.as_ref(), scope)
                .map(ToString::to_string);
            assert_eq!(got.as_deref(), expected, "{entry} {scope:?}");
        };
        check("aqa.org.uk", Scope::Subtree, Some("www.aqa.org.uk"));
        check("aqa.org.uk", Scope::Below, Some("www.aqa.org.uk"));
        check("aqa.org.uk", Scope::Exact, None);
        check("www.aqa.org.uk", Scope::Exact, Some("www.aqa.org.uk"));
        check("www.aqa.org.uk", Scope::Below, None);
        check("ads.childline.org.uk", Scope::Subtree, None);
        check("org.uk", Scope::Subtree, Some("www.aqa.org.uk"));
    }

    #[test]
    fn bytes_are_judged_by_hash_and_signature() {
        let spec = |key: &str| {
            let text = format!(
                "[[source]]\nid = \"x\"\ncategory = \"games\"\nformat = \"domains\"\n\
                 match = \"exact\"\nfile = \"x\"\n{key}"
            );
            crate::lists::source::parse("s", &text, std::path::Path::new("."))
                .unwrap()
                .remove(0)
        };
        // The vector of minisign's own manual.
        let signed =
            spec("minisign_key = \"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"");
        let signature = "untrusted comment: signature from minisign secret key\n\
            RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/\
            z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
            trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
            wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";
        assert_eq!(bytes(&signed, b"test", Some(signature)), Ok(()));
        assert_eq!(
            bytes(&signed, b"Test", Some(signature)),
            Err(Refused::WrongSignature)
        );
        assert_eq!(bytes(&signed, b"test", None), Err(Refused::WrongSignature));
        for bad in [
            "",
            "\n\n\n\n",
            "a\nAAAA\nb\nAAAA",
            "a\n=\ntrusted comment: \n=",
        ] {
            assert_eq!(
                bytes(&signed, b"test", Some(bad)),
                Err(Refused::WrongSignature)
            );
        }
        let hashed =
            spec("sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"");
        assert_eq!(bytes(&hashed, b"test", None), Ok(()));
        assert_eq!(bytes(&hashed, b"tes", None), Err(Refused::WrongHash));
    }

    #[test]
    fn the_shipped_names_are_names() {
        assert!(MustResolve::parse(SHIPPED).unwrap().names().len() > 100);
    }
}
