//! The record of changes as a file, for an auditor: line by line as it is stored,
//! and beside it how anybody can check it without this program.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};

use super::Of;
use crate::changes::ledger::Ledger;
use crate::lists::durable;

const HOW: &str = r#"How to check the record of changes beside this file

Each line is one entry, as it was stored: a JSON object that ends with the digest
of the entry before it ("before", empty for the first) and its own ("digest").

1. The digest of an entry is BLAKE3 over its line (without the line's end) with an
   empty "digest". For the line N, with the tool b3sum:

     sed -n Np FILE | sed 's/"digest":"[0-9a-f]*"}$/"digest":""}/' | tr -d '\n' | b3sum

   must print the line's own "digest".
2. "before" of each line must be the "digest" of the line before it.
3. The digest of the last line must be the head that was noted down at the time,
   for example in the digest by e-mail or by `schoolgate history --verify`.

An approval ("leave": {"kind": "approved"}) has an Ed25519 signature by the "key"
of the approver's last "signatory_enrolled" entry, over the bytes of

     schoolgate: I approve DIGEST

where DIGEST is the digest of the entry in which the change was proposed.

"#;

/// Writes the record to `file`, and how to check it beside it.
pub(super) fn export(state_dir: &Path, file: &Path, out: &mut impl Write) -> anyhow::Result<u8> {
    let path = state_dir.join(Of::Changes.file());
    let Some(text) = durable::read_if_any(&path)? else {
        bail!("there is no record of changes yet");
    };
    let mut how = file.as_os_str().to_owned();
    how.push(".txt");
    let how = Path::new(&how);
    let (head, code) = match Ledger::read(state_dir) {
        Ok(ledger) => {
            let head = ledger.head;
            let head = head.map(|head| format!("entry {}, {}", head.number, head.digest));
            (head.unwrap_or_default(), 0)
        }
        // It is given out all the same: this is when somebody wants to look.
        Err(broken) => (format!("none: {broken}"), 1),
    };
    durable::write(file, &text).with_context(|| file.display().to_string())?;
    let words = format!("{HOW}The head when this was written: {head}\n");
    durable::write(how, words.as_bytes()).with_context(|| how.display().to_string())?;
    writeln!(out, "{}: the record of changes", file.display())?;
    writeln!(out, "{}: how to check it", how.display())?;
    writeln!(out, "Its head: {head}")?;
    Ok(code)
}
