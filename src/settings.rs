//! The machine's settings: `schoolgate.toml`, read once at start.
//!
//! Settings belong to whoever installs the appliance; the school's policy is
//! elsewhere and changes while it runs. Every setting has a default that works
//! and stands in `config/schoolgate.toml`; a test insists on both. What is out
//! of bounds is a complaint with its line, never silently put right.
//!
//! No setting may make of it an open resolver (R-133a) nor weaken the filter.

use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::devices::leases::watch::LeaseFile;
use crate::name::Name;
use crate::policy::group::Network;

mod answers;
mod channels;
mod dashboard;
mod read;
mod tls;
mod upstream;

pub use answers::Answers;
pub use channels::{Mail, Security, Syslog, SyslogTransport, Webhook};
pub use dashboard::{Dashboard, IDLE_MINUTES, PASSWORD_DAYS, SESSION_HOURS};
pub use tls::Tls;
pub use upstream::{Scheme, UpstreamAddress};

/// What a number may be, and what it is if nothing is said.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Without a word about it.
    pub default: u64,
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

const fn limits(default: u64, min: u64, max: u64) -> Limits {
    Limits { default, min, max }
}

/// 0: one per core.
pub const THREADS: Limits = limits(0, 0, 256);
/// Questions that wait for an upstream at one time, over all threads.
pub const MAX_OUTSTANDING: Limits = limits(10_000, 100, 1_000_000);
/// Cached answers.
pub const CACHE_ENTRIES: Limits = limits(100_000, 0, 10_000_000);
/// Bytes of cached answers.
pub const CACHE_BYTES: Limits = limits(32 << 20, 1 << 20, 16 << 30);
/// The lower bound of a cached answer's life, in seconds.
pub const MIN_TTL: Limits = limits(0, 0, 300);
/// The upper bound, in seconds: within it a change of the outside world shows.
pub const MAX_TTL: Limits = limits(3600, 60, 86_400);
/// For how long an expired answer may stand in (RFC 8767 advises 1 to 3 days).
pub const STALE: Limits = limits(86_400, 0, 259_200);
/// Longer and an unblocked site stays blocked on devices for too long.
pub const BLOCK_TTL: Limits = limits(10, 0, 30);
/// Days of the query log; six months.
pub const KEEP_DAYS: Limits = limits(183, 1, 3660);
/// Questions per second and device, in the long run.
pub const QUERIES_PER_SECOND: Limits = limits(300, 10, 1_000_000);
/// Questions a device may ask at once.
pub const BURST: Limits = limits(3000, 10, 10_000_000);
/// TCP connections in all.
pub const TCP_CONNECTIONS: Limits = limits(1000, 10, 100_000);
/// TCP connections of one client.
pub const TCP_CONNECTIONS_PER_CLIENT: Limits = limits(50, 1, 100_000);
/// Seconds of silence after which a connection is closed (RFC 7766 section 6.2.3).
pub const TCP_IDLE: Limits = limits(10, 1, 300);
/// Questions of one connection that are worked on at one time.
pub const TCP_PIPELINE: Limits = limits(64, 1, 1000);
/// TLS handshakes of one client a second, in the long run.
pub const TLS_HANDSHAKES: Limits = limits(50, 1, 100_000);
/// The life of a local record, in seconds.
pub const LOCAL_TTL: Limits = limits(300, 0, 86_400);
/// Seconds for one list, from the first byte to the last.
pub const REFRESH_TIMEOUT: Limits = limits(300, 5, 3600);

/// Every setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where logs, lists and records are kept. Relative paths here and below
    /// begin at the folder of this file.
    pub state_dir: PathBuf,
    /// Where it is asked.
    pub listen: Listen,
    /// What the encrypted listeners show.
    pub tls: Tls,
    /// Who may ask.
    pub clients: Clients,
    /// Whom it asks.
    pub upstream: Upstream,
    /// What it remembers.
    pub cache: Cache,
    /// What a blocked question gets.
    pub answers: Answers,
    /// How much one device may ask for.
    pub limits: Ceilings,
    /// Public names that may have private addresses.
    pub rebinding: Rebinding,
    /// Names it answers by itself.
    pub local: Local,
    /// How lists are fetched.
    pub refresh: Refresh,
    /// What is written down.
    pub querylog: QueryLog,
    /// Who may see the pages.
    pub dashboard: Dashboard,
    /// How alerts leave by e-mail.
    pub mail: Option<Mail>,
    /// How alerts leave to another program.
    pub webhook: Option<Webhook>,
    /// How alerts leave to a syslog server.
    pub syslog: Option<Syslog>,
}

/// `[listen]`: where it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Addresses for DNS over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Addresses for DNS over TLS.
    pub tls: Vec<SocketAddr>,
    /// Addresses for DNS over HTTPS.
    pub https: Vec<SocketAddr>,
    /// UDP addresses for DNS over QUIC; none unless they are listed.
    pub quic: Vec<SocketAddr>,
    /// UDP addresses for DNS over HTTP/3; none unless they are listed.
    pub https3: Vec<SocketAddr>,
    /// Where Prometheus reads the metrics; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Where the pages are served.
    pub dashboard: SocketAddr,
    /// Where the block page is served, in plain HTTP; none: nowhere.
    pub block_page: Option<SocketAddr>,
    /// How many threads answer; 0: one per core.
    pub threads: usize,
}

impl Listen {
    /// Where it is asked by those who want a certificate.
    pub fn encrypted(&self) -> impl Iterator<Item = &SocketAddr> {
        let all = [&self.tls, &self.https, &self.quic, &self.https3];
        all.into_iter().flatten()
    }
}

/// `[clients]`: who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// Networks that are answered; everybody else is refused.
    pub allow: Vec<Network>,
    /// Routers whose word on who asked is believed.
    pub routers: Vec<Network>,
    /// DHCP lease files, from which devices get their names.
    pub leases: Vec<LeaseFile>,
}

/// `[upstream]`: whom it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Whether others are asked to find names, or nobody.
    pub mode: Mode,
    /// Resolvers that know the rest of the world; several are tried by health.
    pub servers: Vec<UpstreamAddress>,
    /// Domains that others know better: the school's own servers.
    pub zones: Vec<ForwardZone>,
    /// Authorities to believe beside the built-in ones, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Servers of the root for [`Mode::Recurse`]; none: the built-in ones.
    pub root_hints: Option<PathBuf>,
    /// Private networks into which a delegation may lead.
    pub private_servers: Vec<Network>,
    /// What is done about signatures.
    pub dnssec: Dnssec,
    /// Keys that signatures may lead up to beside the root's built-in ones.
    pub trust_anchor_file: Option<PathBuf>,
    /// Questions that may wait for an upstream at one time.
    pub max_outstanding: usize,
}

/// One domain that is asked elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardZone {
    /// The domain, with all below it.
    pub name: Name,
    /// Who knows it.
    pub servers: Vec<UpstreamAddress>,
}

/// How names are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By asking resolvers.
    Forward,
    /// From the servers of the root down.
    Recurse,
}

/// What is done about DNSSEC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dnssec {
    /// Signatures are not asked for.
    Off,
    /// Passed on to those who ask for them.
    Process,
    /// Checked here.
    Validate,
}

/// `[cache]`: what it remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Most answers, over all threads; 0: none.
    pub entries: usize,
    /// Most bytes, over all threads.
    pub max_bytes: usize,
    /// Least seconds an answer is kept.
    pub min_ttl: u32,
    /// Most seconds an answer is kept, here and by whoever gets it.
    pub max_ttl: u32,
    /// Seconds for which an expired answer may stand in while no upstream
    /// answers; 0: never.
    pub stale: u32,
    /// Whether an answer in demand is fetched again shortly before it expires.
    pub prefetch: bool,
}

/// `[limits]`: how much one device may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceilings {
    /// Questions per second and device, in the long run.
    pub queries_per_second: u32,
    /// Questions that a device may ask at once.
    pub burst: u32,
    /// TCP and QUIC connections in all, encrypted ones included.
    pub tcp_connections: usize,
    /// TCP and QUIC connections of one client; routers are exempt.
    pub tcp_connections_per_client: usize,
    /// Seconds of silence after which a connection is closed.
    pub tcp_idle: u32,
    /// Questions of one connection that are worked on at one time.
    pub tcp_pipeline: usize,
    /// TLS handshakes of one client a second; routers are exempt.
    pub tls_handshakes: u32,
}

/// `[rebinding]`: public names that may have private addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebinding {
    /// Domains that may.
    pub allow: Vec<Name>,
    /// NAT64 prefixes in which a private IPv4 address could hide (P8).
    pub nat64: Vec<Network>,
}

/// `[local]`: names it answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Single names.
    pub records: Vec<LocalRecord>,
    /// Whole zones.
    pub zones: Vec<LocalZone>,
}

/// One name with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRecord {
    /// The name.
    pub name: Name,
    /// Every address is given out (M15).
    pub addresses: Vec<IpAddr>,
    /// Seconds for which the answer may be kept.
    pub ttl: u32,
}

/// One zone, as a master file (RFC 1035 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalZone {
    /// The zone's name.
    pub name: Name,
    /// The master file.
    pub file: PathBuf,
}

/// `[refresh]`: how lists are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    /// Who resolves the lists' own hosts, past the filter; none: the upstream's
    /// plain servers.
    pub resolvers: Vec<SocketAddr>,
    /// Authorities to believe instead of the built-in ones, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Seconds for one list.
    pub timeout: u32,
}

/// `[querylog]`: what is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryLog {
    /// Days after which a day of the log is dropped.
    pub keep_days: u32,
}

impl Settings {
    /// These settings with every relative path taken from `folder`, whose own
    /// symbolic links the caller has followed: `..` is worked out here, so that
    /// messages name paths as a person would.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let place = |path: &mut PathBuf| *path = tidy(&folder.join(&*path));
        place(&mut self.state_dir);
        for leases in &mut self.clients.leases {
            place(&mut leases.path);
        }
        for zone in &mut self.local.zones {
            place(&mut zone.file);
        }
        let files = [
            &mut self.refresh.ca_file,
            &mut self.upstream.ca_file,
            &mut self.upstream.root_hints,
            &mut self.upstream.trust_anchor_file,
            &mut self.tls.certificate,
            &mut self.tls.key,
            &mut self.dashboard.certificate,
            &mut self.dashboard.key,
        ];
        for file in files.into_iter().flatten() {
            place(file);
        }
        for file in self.channel_files().flatten() {
            place(file);
        }
        self
    }
}

fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        let parent = part == Component::ParentDir;
        let last = tidy.components().next_back();
        if parent && matches!(last, Some(Component::Normal(_))) {
            tidy.pop();
        } else {
            tidy.push(part);
        }
    }
    tidy
}

impl Settings {
    /// Who resolves the hosts of lists, past the filter.
    #[must_use]
    pub fn list_resolvers(&self) -> Vec<SocketAddr> {
        if self.refresh.resolvers.is_empty() {
            let forwards = self.upstream.mode == Mode::Forward;
            let servers = self.upstream.servers.iter();
            let plain = servers.filter(|server| forwards && server.scheme.is_plain());
            plain.map(|server| server.addr).collect()
        } else {
            self.refresh.resolvers.clone()
        }
    }

    /// How long one list may take.
    #[must_use]
    pub fn list_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh.timeout))
    }
}

/// What an empty `schoolgate.toml` means.
impl Default for Settings {
    fn default() -> Self {
        Self::read("", "").0
    }
}
