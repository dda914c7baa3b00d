//! What people did, in the order they did it: a file that is only added to, each
//! entry carrying the digest of the one before.
//!
//! One JSON object a line, so that it can be read with any editor in ten years.
//! The digest of an entry is BLAKE3 over the line without its `digest`; the head
//! is the last digest, and whoever has noted it can later tell whether anything
//! before it was altered. Several processes add to one file: each holds its lock
//! from reading the head until its line is durable.
//!
//! It must never hold what was looked up, nor a password: it says who saw which
//! device's rows, not what stood in them.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::lists::durable;

mod deed;

pub use deed::Deed;

/// Longest line that is looked for at the end of the file.
const TAIL: u64 = 4 << 20;
/// Longest entry: it and a torn one behind it are found together in the tail.
const LONGEST: usize = (TAIL / 2) as usize - 2;
/// Before the first entry.
const NOTHING: &str = "";

/// A deed as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3, …
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// What was done.
    #[serde(flatten)]
    pub deed: Deed,
    /// The digest of the entry before; empty for the first.
    pub before: String,
    /// The digest of this one.
    pub digest: String,
}

/// The record does not hang together.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// An entry is not what was written, or not where it was.
    #[error("entry {number} (line {line}): {why}")]
    Entry {
        /// Which; where it cannot be read, which it should be.
        number: u64,
        /// Where in the file.
        line: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The file of a record.
#[derive(Debug, Clone)]
pub struct Record {
    path: PathBuf,
    /// Where its head is kept besides: a chain alone cannot tell that its last
    /// entries were taken away.
    head: Option<PathBuf>,
}

/// The last entry, as it is kept besides the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    number: u64,
    digest: String,
}

impl Record {
    /// The record of who signed in and who read what, below `state_dir`.
    #[must_use]
    pub fn of_access(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("record").join("access.jsonl"),
            head: None,
        }
    }

    /// The record of what the policy has been, who wanted it so and who agreed,
    /// below `state_dir`. Only the resolver adds to it.
    #[must_use]
    pub fn of_changes(state_dir: &Path) -> Self {
        let folder = state_dir.join("changes");
        Self {
            path: folder.join("record.jsonl"),
            head: Some(folder.join("head.json")),
        }
    }

    /// Adds a deed, durably.
    pub fn add(&self, deed: Deed, now: Timestamp) -> io::Result<Entry> {
        self.add_judged(deed, now, |_| Ok(()))
    }

    /// Adds a deed unless `judge` finds that its entry cannot stand there.
    pub fn add_judged(
        &self,
        deed: Deed,
        now: Timestamp,
        judge: impl FnOnce(&Entry) -> Result<(), &'static str>,
    ) -> io::Result<Entry> {
        self.try_add(Some(deed), now, judge)
            .and_then(|entry| entry.ok_or_else(|| io::Error::other("nothing was added")))
            .map_err(|error| durable::naming(&self.path, &error))
    }

    /// Puts the word that an entry was torn in the place of one that was being
    /// written when the power went; a record that ends as it should stays as it is.
    pub fn mend(&self, now: Timestamp) -> io::Result<()> {
        if self.length()? == 0 {
            return Ok(());
        }
        self.try_add(None, now, |_| Ok(()))
            .map(|_| ())
            .map_err(|error| durable::naming(&self.path, &error))
    }

    fn try_add(
        &self,
        deed: Option<Deed>,
        now: Timestamp,
        judge: impl FnOnce(&Entry) -> Result<(), &'static str>,
    ) -> io::Result<Option<Entry>> {
        if let Some(folder) = self.path.parent() {
            durable::create_folder(folder)?;
        }
        let file = fs::OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        let mut file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        let (mut last, torn) = last_entry(&mut file)?;
        let head = self.known_head()?;
        let known = head.as_ref().map_or(0, |head| head.number);
        if known > last.as_ref().map_or(0, |last| last.number) {
            // To go on would hide it.
            return Err(io::Error::other(format!(
                "entry {known}, which was the last, is missing"
            )));
        }
        let mut lines = Vec::new();
        if torn > 0 {
            // A power cut, or somebody's hand: the entry that was being written
            // was never acknowledged, but that there was one stays to be seen.
            let torn = Deed::new("schoolgate", "entry_torn").about("bytes", torn);
            last = Some(Entry::after(last.as_ref(), torn, now));
            last.as_ref().map_or(Ok(()), |e| e.write(&mut lines))?;
        }
        let entry = deed.map(|deed| Entry::after(last.as_ref(), deed, now));
        if let Some(entry) = &entry {
            judge(entry).map_err(io::Error::other)?;
            entry.write(&mut lines)?;
        }
        if lines.len() > LONGEST {
            return Err(io::Error::other(
                "this is too much for one entry; ask for less at one time",
            ));
        }
        let whole = file.metadata()?.len().saturating_sub(torn);
        if torn > 0 {
            file.set_len(whole)?;
        }
        if let Err(error) = file.write_all(&lines).and_then(|()| file.sync_all()) {
            // Nobody is told that it stands there, so it must not.
            let _ = file.set_len(whole);
            return Err(error);
        }
        if let Some(last) = entry.as_ref().or(last.as_ref()) {
            self.keep_head(last, head.as_ref());
        }
        Ok(entry)
    }

    /// Keeps the head besides. It may lag behind the record, and the entry stands
    /// whether or not there was room for it.
    fn keep_head(&self, last: &Entry, known: Option<&Head>) {
        let head = Head {
            number: last.number,
            digest: last.digest.clone(),
        };
        let Some(path) = self.head.as_ref().filter(|_| known != Some(&head)) else {
            return;
        };
        let kept = serde_json::to_vec(&head).map_err(io::Error::other);
        if let Err(error) = kept.and_then(|head| durable::write(path, &head)) {
            tracing::error!(%error, "the head of the record is kept with its next entry only");
        }
    }

    /// Every entry that can be read, oldest first.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let Some(file) = self.open()? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for line in BufReader::new(file).split(b'\n') {
            all.extend(serde_json::from_slice::<Entry>(&line?).ok());
        }
        Ok(all)
    }

    /// How many bytes it has: more than before, once something was added.
    pub fn length(&self) -> io::Result<u64> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(durable::naming(&self.path, &error)),
        }
    }

    /// The entries behind the first `offset` bytes, and where the next one will
    /// begin: for those who follow it.
    pub fn entries_from(&self, offset: u64) -> io::Result<(Vec<Entry>, u64)> {
        let Some(mut file) = self.open()? else {
            return Ok((Vec::new(), 0));
        };
        file.seek(SeekFrom::Start(offset))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // A line without an end is still being written.
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let whole = text.get(..whole.map_or(0, |at| at + 1)).unwrap_or_default();
        let lines = whole.split(|byte| *byte == b'\n');
        let entries = lines.filter_map(|line| serde_json::from_slice(line).ok());
        Ok((entries.collect(), offset + whole.len() as u64))
    }

    /// Goes through the whole chain; gives its head, none if it is empty.
    pub fn verify(&self) -> Result<Option<Entry>, Broken> {
        self.verify_each(|_| Ok(()))
    }

    /// The same, with each entry that fits given to `judge`, who may find that
    /// it cannot stand there.
    pub fn verify_each(
        &self,
        mut judge: impl FnMut(&Entry) -> Result<(), &'static str>,
    ) -> Result<Option<Entry>, Broken> {
        let known = self.known_head()?;
        let mut last: Option<Entry> = None;
        let mut lines = self.open()?.map(BufReader::new);
        let mut line = 0;
        while let Some(text) = lines.as_mut().map(next_line).transpose()?.flatten() {
            let text = match text.strip_suffix(b"\n") {
                Some(text) => text,
                None if known.is_none() => &text,
                // Still being written, or it is the one that is missing below.
                None => break,
            };
            line += 1;
            let number = last.as_ref().map_or(1, |last| last.number + 1);
            let broken = |why| Broken::Entry { number, line, why };
            let before = last.as_ref().map_or(NOTHING, |last| &last.digest);
            let Ok(entry) = serde_json::from_slice::<Entry>(text) else {
                return Err(broken("cannot be read"));
            };
            if entry.number != number {
                return Err(broken(
                    "another number is due: an entry is missing or moved",
                ));
            }
            if entry.before != before {
                return Err(broken("does not carry the digest of the entry before"));
            }
            // What means the same and is written otherwise was written by another.
            let written = serde_json::to_vec(&entry).map_err(io::Error::other)?;
            if entry.digest != entry.own_digest() || written != text {
                return Err(broken("has been altered"));
            }
            let is_known = |head: &Head| head.number == number && head.digest != entry.digest;
            if known.as_ref().is_some_and(is_known) {
                return Err(broken("is not the one that was written here"));
            }
            judge(&entry).map_err(broken)?;
            last = Some(entry);
        }
        let number = last.as_ref().map_or(1, |last| last.number + 1);
        if known.is_some_and(|head| head.number >= number) {
            return Err(Broken::Entry {
                number,
                line: line + 1,
                why: "is missing, and so is all behind it",
            });
        }
        Ok(last)
    }

    /// The head as it is kept besides; one that cannot be read was altered.
    fn known_head(&self) -> io::Result<Option<Head>> {
        let Some(path) = &self.head else {
            return Ok(None);
        };
        let Some(bytes) = durable::read_if_any(path)? else {
            return Ok(None);
        };
        let head = serde_json::from_slice(&bytes).map_err(io::Error::other);
        head.map(Some)
            .map_err(|error| durable::naming(path, &error))
    }

    fn open(&self) -> io::Result<Option<File>> {
        match File::open(&self.path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(durable::naming(&self.path, &error)),
        }
    }
}

impl Entry {
    fn after(last: Option<&Self>, deed: Deed, time: Timestamp) -> Self {
        let mut entry = Self {
            number: last.map_or(1, |last| last.number + 1),
            time,
            deed,
            before: last.map_or(NOTHING.to_owned(), |last| last.digest.clone()),
            digest: String::new(),
        };
        entry.digest = entry.own_digest();
        entry
    }

    fn write(&self, lines: &mut Vec<u8>) -> io::Result<()> {
        serde_json::to_writer(&mut *lines, self).map_err(io::Error::other)?;
        lines.push(b'\n');
        Ok(())
    }

    fn own_digest(&self) -> String {
        let unsigned = Self {
            digest: String::new(),
            ..self.clone()
        };
        // Words and numbers only: it cannot fail.
        let text = serde_json::to_vec(&unsigned).unwrap_or_default();
        blake3::hash(&text).to_hex().to_string()
    }
}

/// The next line with its end, if it has one; none behind the last.
fn next_line(lines: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

/// The last entry that can be read, and how many bytes of a line without an end
/// stand behind it.
fn last_entry(file: &mut File) -> io::Result<(Option<Entry>, u64)> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let mut lines = tail.rsplit(|byte| *byte == b'\n');
    let torn = lines.next().map_or(0, <[u8]>::len);
    let last = lines.find_map(|line| serde_json::from_slice(line).ok());
    Ok((last, torn as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> (tempfile::TempDir, Record) {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::of_access(folder.path());
        for (second, who) in [(1, "A. Head"), (2, "D. Lead"), (3, "console")] {
            let now = Timestamp::from_second(1_795_000_000 + second).unwrap();
            let deed = Deed::new(who, "read_rows").about("device", "ipad-7");
            record.add(deed.from("10.0.0.9"), now).unwrap();
        }
        (folder, record)
    }

    #[test]
    fn what_was_written_verifies_and_is_read_back() {
        let (_folder, record) = record();
        let head = record.verify().unwrap().unwrap();
        assert_eq!(head.number, 3);
        let all = record.entries().unwrap();
        assert_eq!(all.last(), Some(&head));
        assert_eq!(all[1].before, all[0].digest);
        assert_eq!(all[1].deed.about["device"], "ipad-7");
    }

    #[test]
    fn what_was_added_is_read_on_its_own() {
        let (_folder, record) = record();
        let (all, end) = record.entries_from(0).unwrap();
        assert_eq!((all.len(), end), (3, record.length().unwrap()));
        let file = fs::OpenOptions::new().append(true).open(&record.path);
        file.unwrap().write_all(b"{\"number\":").unwrap();
        assert_eq!(record.entries_from(end).unwrap(), (Vec::new(), end));
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let (_folder, record) = record();
        let whole = fs::read(&record.path).unwrap();
        let mut line = 1;
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            fs::write(&record.path, &bent).unwrap();
            let Err(Broken::Entry { number, .. }) = record.verify() else {
                panic!("byte {at} of line {line}");
            };
            assert!(number <= line, "byte {at}: {number}");
            line += u64::from(whole[at] == b'\n');
        }
    }

    #[test]
    fn a_missing_or_moved_entry_is_named() {
        let (_folder, record) = record();
        let text = fs::read_to_string(&record.path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (kept, first_bad) in [(&[0, 2][..], 2), (&[1, 0, 2], 1), (&[1, 2], 1)] {
            let kept: Vec<&str> = kept.iter().map(|at| lines[*at]).collect();
            fs::write(&record.path, kept.join("\n") + "\n").unwrap();
            match record.verify() {
                Err(Broken::Entry { number, .. }) => assert_eq!(number, first_bad),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_cost_their_entry_and_no_other() {
        let (_folder, record) = record();
        let mut bytes = fs::read(&record.path).unwrap();
        bytes[20] = 0xff;
        fs::write(&record.path, bytes).unwrap();
        assert_eq!(record.entries().unwrap().len(), 2);
        assert!(matches!(
            record.verify(),
            Err(Broken::Entry { number: 1, .. })
        ));
    }

    #[test]
    fn a_torn_entry_is_replaced_by_the_word_that_it_was_torn() {
        let (_folder, record) = record();
        let whole = fs::read(&record.path).unwrap();
        fs::write(&record.path, &whole[..whole.len() - 9]).unwrap();
        assert!(record.verify().is_err());
        let now = Timestamp::from_second(1_795_000_009).unwrap();
        let entry = record.add(Deed::new("console", "signed_in"), now).unwrap();
        assert_eq!(entry.number, 4);
        assert_eq!(record.verify().unwrap(), Some(entry));
        assert_eq!(record.entries().unwrap()[2].deed.what, "entry_torn");
    }
}
