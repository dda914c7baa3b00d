//! `schoolgate refresh`: fetch every source, keep what is good, compile.
//!
//! Sources are taken one after another and each stands alone: what fails keeps
//! its last good list and the others go on (R4, R12). One refresh runs at a time.
//! The process that does this is not the one that answers DNS, so hostile text
//! and port 53 never meet.
//!
//! What it prints and logs names sources and counts; of a mandatory list it
//! must never say more than that.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::admit::{self, MustResolve, Refused};
use super::compile::{self, CompileError, Compiled, Content, Contribution};
use super::fetch::{self, Downloader, FetchError, FetchOptions, Fetched, Fresh};
use super::lookup::{Class, Source};
use super::mandatory::{self, Key, hex};
use super::parse::{self, Parsed, Refusal};
use super::source::{self, Origin, SourceSpec};
use super::store::{Folder, Health, Record};
use super::{durable, load};
use crate::document::Complaint;

/// What one refresh needs to know.
#[derive(Debug, Clone)]
pub struct RefreshConfig {
    /// Where `sources.toml` may be, and a school's own `must-resolve.txt`.
    pub config_dir: PathBuf,
    /// Where lists are kept.
    pub state_dir: PathBuf,
    /// How the network is used.
    pub fetch: FetchOptions,
    /// Ids of sources whose loss of entries a person has looked at and accepts
    /// (R6).
    pub accept: Vec<String>,
    /// The time that goes into the records.
    pub now: Timestamp,
}

/// How a refresh went.
#[derive(Debug, Clone)]
pub struct RefreshReport {
    /// Each source with how it went, in the order of `sources.toml`.
    pub sources: Vec<(String, Health)>,
    /// What was compiled.
    pub compiled: Compiled,
}

impl RefreshReport {
    /// Whether every source came and was taken.
    #[must_use]
    pub fn all_fresh(&self) -> bool {
        self.sources
            .iter()
            .all(|(_, health)| *health == Health::Fresh)
    }

    /// The last line tells why the exit status is 1.
    fn say_what_is_missing(&self, out: &mut impl Write) -> io::Result<()> {
        let fresh = |health: &Health| *health == Health::Fresh;
        let missing = self.sources.iter().filter(|(_, health)| !fresh(health));
        let missing: Vec<&str> = missing.map(|(id, _)| id.as_str()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (count, all) = (missing.len(), self.sources.len());
        writeln!(
            out,
            "{count} of {all} lists not taken: {}",
            missing.join(", ")
        )
    }
}

/// Why a refresh did nothing; what is in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Mistakes in `sources.toml` or `must-resolve.txt`.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Complaint>),
    /// `--accept` names no source.
    #[error("--accept: there is no source \"{0}\"")]
    NoSuchSource(String),
    /// Another refresh is at work.
    #[error("another refresh is running")]
    Busy,
    /// No source has ever come.
    #[error("no list could be taken, so there is nothing to compile")]
    Nothing,
    /// A mandatory list was in force, did not come, and what was kept of it
    /// cannot be read. A generation without it must not follow.
    #[error("the mandatory list \"{0}\" is lost; the lists in force stay as they are")]
    LostMandatory(String),
    /// The certificate file.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The compiled form.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The disk, or whoever reads what is printed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why one source was not taken.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Failed(#[from] FetchError),
    #[error("{0}")]
    Text(#[from] Refusal),
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("it cannot be kept: {0}")]
    Disk(#[from] io::Error),
    #[error("the server has nothing newer, and the list kept here cannot be read")]
    LostLastGood,
}

impl NotTaken {
    fn health(&self) -> Health {
        match self {
            Self::Failed(_) | Self::Disk(_) | Self::LostLastGood => Health::Failed,
            Self::Text(_) | Self::Refused(_) => Health::Refused,
        }
    }
}

/// Fetches, judges and compiles all sources, and says how it goes.
pub fn refresh(
    config: &RefreshConfig,
    out: &mut impl Write,
) -> Result<RefreshReport, RefreshError> {
    let (specs, edited) =
        source::standing(&config.config_dir, &config.state_dir).map_err(RefreshError::Config)?;
    if edited {
        writeln!(
            out,
            "sources.toml: edited, and not in force: `schoolgate propose -m WHY`. The lists in \
             force are fetched."
        )?;
    }
    if let Some(id) = config
        .accept
        .iter()
        .find(|id| specs.iter().all(|s| s.id != **id))
    {
        return Err(RefreshError::NoSuchSource(id.clone()));
    }
    let must_resolve = MustResolve::of_school(&config.config_dir).map_err(RefreshError::Config)?;
    let lists_dir = load::lists_dir(&config.state_dir);
    let named = |error| durable::naming(&lists_dir, &error);
    durable::create_folder(&lists_dir).map_err(named)?;
    let _lock = lock(&lists_dir)?;
    let round = Round {
        config,
        must_resolve,
        downloader: Downloader::new(&config.fetch)?,
        key: mandatory::key(&lists_dir).map_err(named)?,
    };
    let mut contributions = Vec::with_capacity(specs.len());
    let mut sources = Vec::with_capacity(specs.len());
    for spec in &specs {
        let folder = Folder::open(&lists_dir, &spec.id).map_err(named)?;
        let (record, content) = round.take(spec, &folder).map_err(named)?;
        say(out, spec, &record)?;
        sources.push((spec.id.clone(), record.state));
        if spec.class == Class::Mandatory
            && matches!(content, Content::Nothing)
            && record.last_success.is_some()
        {
            return Err(RefreshError::LostMandatory(spec.id.clone()));
        }
        let source = Source {
            id: spec.id.as_str().into(),
            category: spec.category,
            class: spec.class,
        };
        contributions.push(Contribution { source, content });
    }
    if contributions
        .iter()
        .all(|c| matches!(c.content, Content::Nothing))
    {
        return Err(RefreshError::Nothing);
    }
    let compiled = compile_aloud(&lists_dir, &contributions, &round.key, out)?;
    let report = RefreshReport { sources, compiled };
    report.say_what_is_missing(out)?;
    Ok(report)
}

/// What all sources of one refresh share.
struct Round<'c> {
    config: &'c RefreshConfig,
    must_resolve: MustResolve,
    downloader: Downloader,
    key: Key,
}

impl Round<'_> {
    /// Brings one source up to date; if that fails, its last good list counts.
    fn take(&self, spec: &SourceSpec, folder: &Folder) -> io::Result<(Record, Content)> {
        let mut record = folder.record();
        record.last_attempt = Some(self.config.now);
        let content = match self.newest(spec, folder, &mut record) {
            Ok(content) => {
                record.state = Health::Fresh;
                record.last_success = Some(self.config.now);
                record.last_error = None;
                content
            }
            Err(why) => {
                record.state = why.health();
                record.last_error = Some(why.to_string());
                self.last_good(spec, folder, &mut record)
                    .unwrap_or(Content::Nothing)
            }
        };
        folder.clear_of(spec.class)?;
        folder.save(&record)?;
        Ok((record, content))
    }

    fn newest(
        &self,
        spec: &SourceSpec,
        folder: &Folder,
        record: &mut Record,
    ) -> Result<Content, NotTaken> {
        let origin = origin_hash(spec);
        // Without a list here, or from another address, the whole must come (R1).
        let kept = folder.has_last_good(spec.class, &self.key) && record.origin == origin;
        let fetched = self
            .downloader
            .fetch(spec, kept.then_some(&record.validators))?;
        match fetched {
            Fetched::NotModified => self
                .last_good(spec, folder, record)
                .ok_or(NotTaken::LostLastGood),
            Fetched::List(fresh) => {
                let content = self.judge(spec, folder, record, &fresh)?;
                record.origin = origin;
                record.validators = fresh.validators;
                Ok(content)
            }
        }
    }

    /// Takes a fetched list as the last good one, or says why not.
    fn judge(
        &self,
        spec: &SourceSpec,
        folder: &Folder,
        record: &mut Record,
        fresh: &Fresh,
    ) -> Result<Content, NotTaken> {
        admit::bytes(spec, &fresh.bytes, fresh.signature.as_deref())?;
        let mut parsed = self.parse(spec, &fresh.bytes)?;
        let kept = folder.has_last_good(spec.class, &self.key);
        let accepted = self.config.accept.contains(&spec.id);
        let before = (kept && !accepted).then_some(record.tally.entries);
        admit::size(spec, parsed.tally.entries, before)?;
        let digest = hex(blake3::hash(&fresh.bytes).as_bytes());
        let content = match spec.class {
            Class::Category => {
                // Every write wears the card the appliance lives on.
                if !kept || record.digest != digest {
                    folder.keep_text(&fresh.bytes)?;
                }
                open_content(&mut parsed)
            }
            Class::Mandatory => {
                let (list, too_wide) = mandatory::hashed(&parsed, &self.key);
                note_too_wide(&mut parsed, too_wide);
                folder.keep_hashed(&list, &self.key)?;
                Content::Hashed(list)
            }
        };
        record.digest = digest;
        describe(record, parsed);
        Ok(content)
    }

    fn last_good(
        &self,
        spec: &SourceSpec,
        folder: &Folder,
        record: &mut Record,
    ) -> Option<Content> {
        match spec.class {
            Class::Category => {
                let mut parsed = self.parse(spec, &folder.text()?).ok()?;
                let content = open_content(&mut parsed);
                describe(record, parsed);
                Some(content)
            }
            Class::Mandatory => folder.hashed(&self.key).map(Content::Hashed).or_else(|| {
                // Its text, from when it was no mandatory list, must go; the
                // entries must not go with it.
                let parsed = self.parse(spec, &folder.text()?).ok()?;
                let (list, _) = mandatory::hashed(&parsed, &self.key);
                folder.keep_hashed(&list, &self.key).ok()?;
                describe(record, parsed);
                Some(Content::Hashed(list))
            }),
        }
    }

    fn parse(&self, spec: &SourceSpec, bytes: &[u8]) -> Result<Parsed, Refusal> {
        parse::parse(spec, &self.must_resolve, fetch::text(bytes))
    }
}

fn open_content(parsed: &mut Parsed) -> Content {
    let names = std::mem::take(&mut parsed.names);
    Content::Open(names, std::mem::take(&mut parsed.addresses))
}

/// Writes into the record what the last good list holds.
fn describe(record: &mut Record, parsed: Parsed) {
    record.tally = parsed.tally;
    record.complaints = parsed.complaints;
    record.quarantine = parsed.quarantine;
}

/// A range that has no hashed form is not in force and must not count as if.
fn note_too_wide(parsed: &mut Parsed, too_wide: u64) {
    if too_wide > 0 {
        let reason = parse::Reason::TooWide.kind();
        parsed.tally.entries = parsed.tally.entries.saturating_sub(too_wide);
        parsed.tally.complaints += too_wide;
        *parsed.tally.reasons.entry(reason).or_default() += too_wide;
    }
}

/// By which an address is known again, and how its lines were read: of a
/// mandatory list nothing is left here that could be read another way.
fn origin_hash(spec: &SourceSpec) -> String {
    let origin = match &spec.origin {
        Origin::Url(url) => url.clone(),
        Origin::File(path) => path.display().to_string(),
        Origin::Shipped { name, .. } => (*name).to_owned(),
    };
    let read_as = (spec.class, spec.format, spec.reach, spec.allow_tld, origin);
    hex(blake3::hash(format!("{read_as:?}").as_bytes()).as_bytes())
}

/// Held as long as the refresh runs; the system lets go of it with the process.
fn lock(lists_dir: &Path) -> Result<File, RefreshError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(lists_dir.join("lock"))
        .map_err(|error| durable::naming(lists_dir, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(RefreshError::Busy),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

fn say(out: &mut impl Write, spec: &SourceSpec, record: &Record) -> io::Result<()> {
    let (id, tally) = (&spec.id, &record.tally);
    write!(out, "{id:<28} {:>9} entries", tally.entries)?;
    for (count, what) in [
        (tally.complaints, "refused"),
        (tally.needs_url_filter, "need a URL filter"),
        (tally.quarantined, "in quarantine"),
        (tally.covers_must_resolve, "cover a name that must resolve"),
    ] {
        if count > 0 {
            write!(out, ", {count} {what}")?;
        }
    }
    if let Some(why) = &record.last_error {
        let kept = if record.last_success.is_some() {
            "last good list kept"
        } else {
            "no list yet"
        };
        write!(out, "; not taken: {why} ({kept})")?;
    }
    writeln!(out)?;
    out.flush()
}

fn compile_aloud(
    lists_dir: &Path,
    contributions: &[Contribution],
    key: &Key,
    out: &mut impl Write,
) -> Result<Compiled, RefreshError> {
    let mut shown = 0;
    let mut progress = |done: u64, total: u64| {
        let percent = done * 100 / total.max(1);
        if percent >= shown + 10 {
            shown = percent;
            // Whoever reads this may go away; the lists are compiled all the same.
            let _ = writeln!(out, "compiling: {percent} %").and_then(|()| out.flush());
        }
    };
    let compiled = compile::compile(lists_dir, contributions, key, &mut progress)?;
    writeln!(
        out,
        "{}: {} names ({} more under listed ones), {} mandatory",
        compiled.generation, compiled.names, compiled.redundant, compiled.mandatory
    )?;
    Ok(compiled)
}
