//! How the resolver fares, as it tells another process of this machine.
//!
//! `serve` answers `GET /status` on a Unix socket of its state folder
//! (`appliance/status.rs`); the pages and the alerts read it through here. That
//! nobody answers is news like any other, and so a value: it must never be an
//! error that keeps a page from being shown.
//!
//! It has counts and the machine's own troubles. A name that somebody looked up
//! is never in it; addresses are, of routers that hide their clients and of
//! those who claim to be somebody, for the pages and nobody else.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::querylog::health::Report;

mod client;
mod findings;
pub mod health;

/// How long a page waits for the resolver to say how it fares.
const PATIENCE: Duration = Duration::from_millis(500);

/// What came of asking the resolver how it fares.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolver {
    /// It runs, and this is what it says.
    Answers(Box<Status>),
    /// It does not run.
    NotRunning,
    /// It may run, but could not be asked; says why.
    Silent(String),
}

impl Resolver {
    /// What it says, if it says something.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Answers(status) => Some(status),
            Self::NotRunning | Self::Silent(_) => None,
        }
    }
}

/// Everything the resolver says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// When the process started.
    pub started: Timestamp,
    /// When this was said.
    pub time: Timestamp,
    /// Whether the machine's clock can be right.
    pub clock_is_trusted: bool,
    /// What is in force; none: no question is answered.
    pub policy: Option<PolicyInForce>,
    /// How activations went.
    pub activations: Activations,
    /// How the record of changes fares.
    #[serde(default)]
    pub changes: Changes,
    /// How the query log fares.
    pub log: Report,
    /// How the last look for old days went.
    pub retention: Retention,
    /// Who is asked, in the order of the settings.
    pub upstreams: Vec<Upstream>,
    /// The cache.
    pub cache: Cache,
    /// Open connections of each kind.
    pub connections: Vec<Connections>,
    /// TLS handshakes that came to nothing, since the start.
    pub failed_handshakes: u64,
    /// The certificate; none: there is no encrypted listener.
    pub certificate: Option<Certificate>,
    /// The DHCP lease files that are read.
    pub leases: Vec<LeaseFile>,
    /// Addresses with something against them.
    pub suspects: Vec<Suspect>,
    /// Safe modes of search engines that were not found last night.
    pub missing_safe_modes: Vec<String>,
    /// The disk under the state folder.
    pub disk: Option<Disk>,
    /// Since the start.
    pub totals: Totals,
    /// Over the last minute.
    pub rates: Rates,
}

/// The policy and the lists that answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInForce {
    /// Its number; rows of the log carry it.
    pub number: u64,
    /// When it was first put in force; none: its record is lost.
    pub activated: Option<Timestamp>,
    /// The generation of lists.
    pub lists: String,
    /// When those were put in force.
    pub lists_since: Timestamp,
    /// How many names are in them.
    pub names: usize,
}

/// How activations went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activations {
    /// Refused ones since the start.
    pub failures: u64,
    /// Why the last one was refused, if it was; the policy before it serves.
    pub trouble: Option<String>,
}

/// The record of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Entries in it.
    pub entries: u64,
    /// The digest of the last one: whoever notes it can tell later whether what
    /// was before it has been altered.
    pub head: String,
    /// Proposals that wait for another person.
    pub waiting: usize,
    /// Changes that acted at once and that nobody has taken note of.
    pub unacknowledged: usize,
    /// Since when the oldest of those acts.
    pub oldest_unacknowledged: Option<Timestamp>,
}

/// How the last look for old days of the log went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How many days are kept.
    pub keep_days: u32,
    /// When it last was looked.
    pub swept: Option<Timestamp>,
    /// Days that are due and that a hold keeps.
    pub held: BTreeSet<Date>,
    /// What somebody should look at.
    pub complaints: Vec<String>,
}

/// One upstream server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// As it stands in the settings.
    pub server: String,
    /// Whether it can be relied on now; true until it fails.
    pub up: bool,
    /// Answers since the start.
    pub answers: u64,
    /// Failures since the start.
    pub failures: u64,
    /// When it last answered.
    pub last_answer: Option<Timestamp>,
    /// When it last failed.
    pub last_failure: Option<Timestamp>,
    /// How: `silent`, `unreachable` or `unusable`.
    pub last_error: Option<String>,
}

/// The cache of all workers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Answers in it.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Questions answered from it.
    pub hits: u64,
    /// Questions that were not in it.
    pub misses: u64,
    /// Of the hits, those past their time.
    pub stale: u64,
}

/// Open connections of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// `tcp`, `tls`, `https`, `quic` or `https3`.
    pub transport: String,
    /// How many.
    pub open: usize,
}

/// The certificate of the encrypted listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whether the files as they are now are what is served.
    pub ok: bool,
    /// When what is served ends.
    pub expires: Option<Timestamp>,
}

/// How the reading of one lease file goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseFile {
    /// Where it is.
    pub path: PathBuf,
    /// `dnsmasq`, `kea` or `isc`.
    pub format: String,
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// How many lines were not understood.
    pub bad: usize,
    /// The first of those: which lines, never what stands there.
    pub complaints: Vec<String>,
    /// Why what is known is older than the file.
    pub trouble: Option<String>,
}

/// What is suspected of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// It asks for many devices and does not say which.
    HidesClients,
    /// It wrote identity options without being a listed router.
    ClaimsToBeSomebody,
}

/// An address with something against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub suspicion: Suspicion,
    /// When it was first noticed.
    pub since: Timestamp,
    /// About how many different names within the hour, or how many questions
    /// with options.
    pub count: u32,
}

/// The disk under the state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes it holds.
    pub total: u64,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Questions.
    pub queries: u64,
    /// Of those, blocked.
    pub blocked: u64,
    /// Of those, refused because their sender is not of the school.
    pub strangers: u64,
    /// Of those, refused because their device asked too many.
    pub limited: u64,
}

/// How much a second, over the last minute or since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Seconds that it was counted over.
    pub seconds: u32,
    /// Questions a second.
    pub queries: f64,
    /// Blocked questions a second.
    pub blocked: f64,
}

/// Where the resolver of `state_dir` is asked: a socket in a folder that only
/// its own account may enter.
#[must_use]
pub fn socket(state_dir: &Path) -> PathBuf {
    state_dir.join("serve").join("socket")
}

/// One request to the resolver; none if nobody listens.
pub fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    body: &[u8],
    patience: Duration,
) -> io::Result<Option<Vec<u8>>> {
    client::ask(socket, method, path, body, patience)
}

impl Status {
    /// Asks the resolver of `state_dir`. Takes half a second at most, and blocks
    /// for as long.
    #[must_use]
    pub fn read(state_dir: &Path) -> Resolver {
        match exchange(&socket(state_dir), "GET", "/status", b"", PATIENCE) {
            Ok(Some(body)) => match serde_json::from_slice(&body) {
                Ok(status) => Resolver::Answers(Box::new(status)),
                Err(error) => Resolver::Silent(format!(
                    "what it said was not understood ({error}); is it of another version?"
                )),
            },
            Ok(None) => Resolver::NotRunning,
            Err(error) => Resolver::Silent(error.to_string()),
        }
    }
}
