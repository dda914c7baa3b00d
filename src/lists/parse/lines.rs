//! A stream of bytes → lines of bounded length.
//!
//! A line that does not end must not fill the memory: past the limit it is
//! skipped to its end and reported as too long, and the next one is read.

use std::io::BufRead;

use super::Refusal;

/// Longest line that is read; a name has 253 characters and a hosts line a
/// dozen of them.
pub(super) const LONGEST_LINE: usize = 4096;

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Readable text; a byte order mark before the first line is dropped.
    Text(&'a str),
    /// Over [`LONGEST_LINE`] bytes.
    TooLong,
    /// Bytes that are no text.
    NotUtf8,
}

/// The lines of a reader.
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    bytes: u64,
    most_bytes: u64,
    first: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, most_bytes: u64) -> Self {
        Self {
            reader,
            line: Vec::with_capacity(LONGEST_LINE + 1),
            bytes: 0,
            most_bytes,
            first: true,
        }
    }

    /// The next line; none at the end. A last line needs no line feed.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>, Refusal> {
        self.line.clear();
        let mut whole = true;
        let mut any = false;
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|b| *b == b'\n');
            let text = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            if self.line.len() + text.len() > LONGEST_LINE {
                whole = false;
            } else if whole {
                self.line.extend_from_slice(text);
            }
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.bytes += used as u64;
            self.reader.consume(used);
            if self.bytes > self.most_bytes {
                return Err(Refusal::TooManyBytes(self.most_bytes));
            }
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        let first = std::mem::take(&mut self.first);
        Ok(Some(match std::str::from_utf8(&self.line) {
            _ if !whole => Line::TooLong,
            Ok(text) if first => Line::Text(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Ok(text) => Line::Text(text),
            Err(_) => Line::NotUtf8,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_next_one_is_read() {
        let text = [
            b"\xef\xbb\xbfa.example\r\n".to_vec(),
            vec![b'x'; 70 * 1024],
            b"\nb.example\n\xff\xfe\nlast".to_vec(),
        ]
        .concat();
        let reader = std::io::BufReader::with_capacity(100, &text[..]);
        let mut lines = Lines::new(reader, 1 << 20);
        assert_eq!(lines.next_line().unwrap(), Some(Line::Text("a.example\r")));
        assert_eq!(lines.next_line().unwrap(), Some(Line::TooLong));
        assert_eq!(lines.next_line().unwrap(), Some(Line::Text("b.example")));
        assert_eq!(lines.next_line().unwrap(), Some(Line::NotUtf8));
        assert_eq!(lines.next_line().unwrap(), Some(Line::Text("last")));
        assert_eq!(lines.next_line().unwrap(), None);
        let mut endless = Lines::new(std::io::BufReader::new(std::io::repeat(b'x')), 9999);
        assert!(matches!(
            endless.next_line(),
            Err(Refusal::TooManyBytes(9999))
        ));
    }
}
