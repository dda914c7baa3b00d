//! `schoolgate report verify`, as it is typed and as it answers.
//!
//! Its reader is not of the school and has nothing but the file: what was found
//! is said in whole sentences, and what a good signature does not show, too.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::ReportError;
use super::bundle::{Kind, MANIFEST, Manifest};
use super::key::PublicKey;
use super::verify::{self, Expected};

/// Looks at `file`, and says whether it is as it was signed, by the key that is
/// expected; gives the exit status.
pub(super) fn check(
    file: &Path,
    key: Option<&str>,
    out: &mut impl Write,
) -> Result<u8, ReportError> {
    let unreadable = |error: std::io::Error| {
        ReportError::Refused(format!("{} cannot be read: {error}", file.display()))
    };
    let facts = fs::metadata(file).map_err(unreadable)?;
    if facts.len() > verify::MOST_BYTES {
        writeln!(out, "{}: longer than any bundle", file.display())?;
        return Ok(1);
    }
    let expected = key.map_or(Ok(Expected::Any), expected)?;
    let bytes = fs::read(file).map_err(unreadable)?;
    let verdict = verify::verify(&bytes, &expected);
    if !verdict.is_sound() {
        writeln!(out, "{}: NOT as it was signed", file.display())?;
        for fault in &verdict.faults {
            writeln!(out, "  {fault}")?;
        }
        return Ok(1);
    }
    writeln!(out, "{}: as it was signed", file.display())?;
    if let Some(manifest) = &verdict.manifest {
        for line in told(manifest) {
            writeln!(out, "  {}", line.escape_debug())?;
        }
    }
    if let Some(public) = &verdict.key {
        writeln!(out, "  signed by the key {}", public.fingerprint())?;
    }
    if expected == Expected::Any {
        let compare = "Whose key that is, this file cannot show: ask the school for its \
                       fingerprint, and compare.";
        writeln!(out, "{compare}")?;
    } else {
        writeln!(out, "That is the key you named.")?;
    }
    Ok(0)
}

fn told(manifest: &Manifest) -> Vec<String> {
    let facts = &manifest.facts;
    let kind = match facts.kind {
        Kind::Evidence => "evidence",
        Kind::SubjectAccess => "subject access",
    };
    let mut whose = facts.devices.join(", ");
    if let Some(person) = &facts.person {
        whose = format!("{person} ({whose})");
    }
    let since = facts
        .since
        .map_or("the first row kept".to_owned(), |at| at.to_string());
    vec![
        format!("{kind}, by {} for {}", facts.exported_by, facts.school),
        format!("taken out {} because: {}", facts.exported_at, facts.why),
        format!("about {whose}, from {since} to {}", facts.until),
        format!(
            "{} rows, {} files beside {MANIFEST}",
            facts.rows,
            manifest.files.len()
        ),
    ]
}

/// A fingerprint, or a file with a key.
fn expected(text: &str) -> Result<Expected, ReportError> {
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    let spaced = |c: char| c.is_ascii_hexdigit() || c == ' ' || c == ':';
    if digits == 32 && text.chars().all(spaced) {
        return Ok(Expected::Fingerprint(text.to_owned()));
    }
    let read = fs::read_to_string(text).map_err(|error| {
        ReportError::Refused(format!(
            "--key: \"{text}\" is neither a fingerprint (eight groups of four) nor a file: {error}"
        ))
    })?;
    // What `report key` prints has a line with the fingerprint first.
    let pem = read
        .find("-----BEGIN")
        .and_then(|at| read.get(at..))
        .unwrap_or(&read);
    let key = PublicKey::from_pem(pem);
    let key =
        key.ok_or_else(|| ReportError::Refused(format!("--key: there is no key in {text}")))?;
    Ok(Expected::Key(key))
}
