//! A table as CSV that a spreadsheet opens and does not run.
//!
//! RFC 4180: CRLF, quotes where they are needed. It begins with a byte order
//! mark, because Excel takes a file without one for the Windows code page and
//! spoils every name with an accent; what reads CSV as UTF-8 passes over it.
//!
//! A cell that a spreadsheet would take for a formula gets an apostrophe before
//! it: pupils choose host names, and the one who opens the file is the
//! safeguarding lead.

/// Writes lines of cells; the first is the headings.
#[must_use]
pub fn to_bytes<L, C>(lines: impl IntoIterator<Item = L>) -> Vec<u8>
where
    L: IntoIterator<Item = C>,
    C: AsRef<str>,
{
    let mut bytes = "\u{feff}".as_bytes().to_vec();
    for line in lines {
        for (at, cell) in line.into_iter().enumerate() {
            if at > 0 {
                bytes.push(b',');
            }
            push(&defused(cell.as_ref()), &mut bytes);
        }
        bytes.extend(b"\r\n");
    }
    bytes
}

/// The cell, with an apostrophe first if it could be a formula. Blanks before it
/// do not make it less of one everywhere; full-width signs are signs in a
/// Japanese locale.
fn defused(cell: &str) -> String {
    let formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    let steers = cell.starts_with(['\t', '\r', '\n']);
    let mark = if steers || cell.trim_start().starts_with(formula) {
        "'"
    } else {
        ""
    };
    // No byte may end the file early in a reader that counts on text.
    format!("{mark}{}", cell.replace('\0', "\u{fffd}"))
}

fn push(cell: &str, bytes: &mut Vec<u8>) {
    if cell.contains([',', '"', '\r', '\n']) {
        bytes.push(b'"');
        bytes.extend(cell.replace('"', "\"\"").as_bytes());
        bytes.push(b'"');
    } else {
        bytes.extend(cell.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("  =1", "'  =1"),
            ("＝1", "'＝1"),
            ("a=1", "a=1"),
            ("a,\"b\"\n", "\"a,\"\"b\"\"\n\""),
            ("=\"a\",b", "\"'=\"\"a\"\",b\""),
            ("", ""),
            ("\0=1", "\u{fffd}=1"),
        ] {
            let bytes = to_bytes([[cell]]);
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(text, format!("\u{feff}{written}\r\n"), "{cell:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let lines = [["a", "b, \"c\""], ["d\r\ne", "=f"]];
        let bytes = to_bytes(lines);
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text);
        let read: Vec<Vec<String>> = reader
            .records()
            .map(|line| line.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert_eq!(read, [["a", "b, \"c\""], ["d\r\ne", "'=f"]]);
    }
}
