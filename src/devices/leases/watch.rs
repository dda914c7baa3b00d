//! Reads lease files again when they change.
//!
//! A poll of a few `stat`s, since the files are rewritten, replaced and moved
//! by other programs in ways no notification covers alike (and may lie on a
//! network share). What was read stays while a file is missing or half-written:
//! its leases end by themselves. The caller polls and publishes; there is no
//! thread here.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::{Format, Leases, Read, read};
use crate::document::Complaint;

/// More than this is no school's lease file.
const MOST_BYTES: u64 = 64 << 20;

/// So long a file may look half-written before it is taken as it is.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// A file changed this recently may change again under the same time stamp, so
/// it is read once more.
const SETTLING: SignedDuration = SignedDuration::from_secs(2);

/// One file to watch, as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub format: Format,
}

/// How the reading of one file goes, for metrics and the health page.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// How many lines or blocks of it were not understood.
    pub bad: usize,
    /// The first of those.
    pub complaints: Vec<Complaint>,
    /// Why what is known is older than the file.
    pub trouble: Option<String>,
}

/// The files and what they last said.
#[derive(Debug)]
pub struct Watcher {
    files: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    file: LeaseFile,
    seen: Option<Vec<Stamp>>,
    said: Read,
    half_written_since: Option<Timestamp>,
    state: State,
}

/// What tells one version of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Watcher {
    /// Watches these files; the later wins where two name one address.
    #[must_use]
    pub fn new(files: Vec<LeaseFile>) -> Self {
        let watched = |file| Watched {
            file,
            seen: None,
            said: Read::default(),
            half_written_since: None,
            state: State::default(),
        };
        Self {
            files: files.into_iter().map(watched).collect(),
        }
    }

    /// Looks at every file; a new table if one of them was read.
    pub fn poll(&mut self, now: Timestamp) -> Option<Leases> {
        let mut is_new = false;
        for watched in &mut self.files {
            match watched.look(now) {
                Ok(was_read) => is_new |= was_read,
                Err(error) => watched.state.trouble = Some(error.to_string()),
            }
        }
        is_new.then(|| Leases::new(self.files.iter().map(|watched| &watched.said)))
    }

    /// How each file does.
    pub fn states(&self) -> impl Iterator<Item = (&LeaseFile, &State)> {
        self.files
            .iter()
            .map(|watched| (&watched.file, &watched.state))
    }
}

impl Watched {
    fn look(&mut self, now: Timestamp) -> io::Result<bool> {
        let parts = parts(&self.file)?;
        let stamps: Vec<Stamp> = parts.iter().map(|(_, stamp)| *stamp).collect();
        if self.seen.as_ref() == Some(&stamps) {
            self.state.trouble = None;
            return Ok(false);
        }
        let mut text = String::new();
        for (path, _) in &parts {
            read_part(path, &mut text)?;
        }
        if self.is_half_written(&text, now) {
            self.state.trouble = Some("half-written; the reading before is kept".to_owned());
            return Ok(false);
        }
        self.said = read(&self.file.path.to_string_lossy(), self.file.format, &text);
        self.seen = stamps
            .iter()
            .all(|stamp| stamp.is_settled(now))
            .then_some(stamps);
        self.state = State {
            read_at: Some(now),
            bad: self.said.bad,
            complaints: std::mem::take(&mut self.said.complaints),
            trouble: None,
        };
        Ok(true)
    }

    /// dnsmasq empties its file and writes it anew; a look in between finds
    /// nothing, or a line without its end.
    fn is_half_written(&mut self, text: &str, now: Timestamp) -> bool {
        if text.ends_with('\n') || self.said.changes.is_empty() {
            self.half_written_since = None;
            return false;
        }
        let since = *self.half_written_since.get_or_insert(now);
        now.duration_since(since) < PATIENCE
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a file"));
        }
        Ok(Self {
            inode: metadata.ino(),
            size: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        })
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        let Ok(changed) = Timestamp::from_second(self.seconds) else {
            return true;
        };
        now.duration_since(changed).abs() > SETTLING
    }
}

/// The files that make up one journal, oldest first. Kea's clean-up moves the
/// journal away to condense it and starts an empty one, so that most leases
/// live in the files beside it; this is the order in which Kea itself reads
/// them when it starts.
fn parts(file: &LeaseFile) -> io::Result<Vec<(PathBuf, Stamp)>> {
    let main = (file.path.clone(), Stamp::of(&file.path)?);
    if file.format != Format::Kea {
        return Ok(vec![main]);
    }
    let beside = |ending: &str| {
        let mut path = file.path.clone().into_os_string();
        path.push(ending);
        let path = PathBuf::from(path);
        let stamp = Stamp::of(&path).ok()?;
        Some((path, stamp))
    };
    let mut parts = match beside(".completed") {
        Some(completed) => vec![completed],
        None => [beside(".2"), beside(".1")].into_iter().flatten().collect(),
    };
    parts.push(main);
    Ok(parts)
}

fn read_part(path: &Path, text: &mut String) -> io::Result<()> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(io::Error::other("too large for a lease file"));
    }
    // A host name may hold any byte; the line around it is still good.
    text.push_str(&String::from_utf8_lossy(&bytes));
    Ok(())
}
