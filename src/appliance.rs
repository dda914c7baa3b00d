//! The product assembled: what `serve` runs, and everything it runs.
//!
//! The list of threads and tasks is here and nowhere else:
//!
//! - one thread a worker (`dns/worker.rs`, made in `crew.rs`): packets, cache, upstreams;
//! - one thread that writes the query log;
//! - one thread that checks signatures (`dns/upstream/validation/`);
//! - this thread with a small runtime: streams and their handshakes, upstreams
//!   over lines, `/metrics`, the status socket, signals;
//! - the house thread: a tick every second that reads leases, notices new lists
//!   and certificates, drops old log days, and looks at night whether the safe
//!   modes are there.
//!
//! It starts with a valid policy or not at all; while there are no lists yet it
//! answers "not ready" (promise 4). A worker that ends ends the process: a half
//! dead filter is worse than a second's restart.

pub(crate) mod certificate;
mod change;
mod crew;
mod encrypted;
mod endpoints;
mod listen;
pub mod private_ca;
mod probe;
mod rates;
mod status;
mod tick;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::crew::{Crew, anchors, recursion, servers, start_workers, trust};
use self::encrypted::Encrypted;
use self::endpoints::endpoints;
use self::listen::{cannot_listen, listen_tcp, stream_limits};
use self::status::Place;
use self::tick::Housekeeping;
use crate::changes::activation::{Cause, Refused};
use crate::changes::control::Control;
use crate::configuration::{self, Configuration};
use crate::devices::leases::Leases;
use crate::dns::local::{Local, LocalRecord};
use crate::dns::pipeline::{Checks, Desk};
use crate::dns::second_look::Rebinding;
use crate::dns::streams::{self, Doorkeeper};
use crate::dns::upstream::lines::{self, States};
use crate::dns::upstream::validation;
use crate::lists::durable;
use crate::metrics::GroupLabels;
use crate::name::Name;
use crate::policy::Policy;
use crate::querylog::recorder::Outlet;
use crate::querylog::writer::{self, Writer};
use crate::record::Record;
use crate::settings::{Dnssec, Settings};

/// By how much the log's writer gives way to the workers: a quarter of a core
/// that is wholly taken still writes each row within a second.
const WRITER_NICENESS: i32 = 5;
/// Seconds for which the block page's own name may be kept.
const PAGE_TTL: u32 = 60;

/// Runs the resolver until it is told to stop. `out` gets one line when it
/// answers.
pub fn serve(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let Ok(settings) = configuration::settings(folder) else {
        // Everything that is wrong at once.
        let all = Configuration::load(folder).err().unwrap_or_default();
        bail!("{}", all_of(all));
    };
    let settings = &settings;
    if Record::of_changes(&settings.state_dir).length()? == 0 {
        // Nothing is begun with mistakes in it.
        Configuration::load(folder).map_err(all_of)?;
    }
    durable::create_folder(&settings.state_dir).with_context(|| {
        format!(
            "cannot make the state folder {}",
            settings.state_dir.display()
        )
    })?;
    let place = Place::take(&settings.state_dir)?;
    let mut control = Control::open(folder, &settings.state_dir, Timestamp::now())?;
    match control.renew(Cause::Start, Timestamp::now()) {
        Ok(record) => tracing::info!(policy = record.number, lists = record.lists, "activated"),
        // `refresh` mends it, and that is noticed; until then nothing is let
        // through.
        Err(Refused::Lists(why)) => {
            tracing::warn!(%why, "not ready: no question is answered until there are lists");
        }
        Err(refused) => bail!("{refused}"),
    }
    change::note_settings(&mut control, folder, Timestamp::now());
    control.resume(Timestamp::now());
    change::tell_edited(&control);
    let configuration = match control.texts() {
        Some(texts) => Configuration::with(folder, texts.clone()),
        None => Configuration::load(folder),
    };
    let configuration = configuration.map_err(all_of)?;
    take_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(&configuration, control, &place, out))
}

/// Takes the resolver's place in the state folder, so that none can start until
/// this is dropped; or says that one runs.
pub(crate) fn place(state_dir: &Path) -> anyhow::Result<impl Drop> {
    Place::take(state_dir)
}

/// Takes as many file descriptors as it may. A shell gives a thousand, which
/// the connections that one TCP flood may hold open would use up, and then no
/// upstream could be asked.
fn take_descriptors() {
    let taken = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = taken {
        tracing::warn!(%error, "the limit of file descriptors stays as it was");
    }
}

/// Lets no other process of this account look into this one, nor by its entry in
/// /proc into folders that their own units hide from them: the pages run under
/// the same account, and what is asked for at the machine must not be theirs.
pub fn keep_to_itself() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other processes of this account may look into this one");
    }
}

async fn run(
    configuration: &Configuration,
    control: Control,
    place: &Place,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let settings = &configuration.settings;
    let zone = configuration.document.zone.clone();
    let labels = Arc::new(GroupLabels::default());
    let leases = Arc::new(ArcSwap::from_pointee(Leases::default()));
    let encrypted = Encrypted::listen(settings)?;
    let bound = encrypted.as_bound(settings);
    let desk = desk(&bound, control.live(), Arc::clone(&leases), &labels)?;
    let keeper = encrypted.keeper(settings);
    let housekeeping = Housekeeping::new(settings, control, &leases, &desk, zone.clone(), keeper);
    let servers = Arc::new(servers(settings)?);
    let trust = trust(settings, Arc::clone(&desk.live))?;
    let recursion = recursion(settings)?;
    let anchors = anchors(settings)?;
    let (asks, for_lines) = lines::channel();
    let states = States::new(&servers);
    let labels_of_upstreams = servers.all.iter().map(|s| s.label.to_string()).collect();
    // From here on a signal is a wish, and no longer the end.
    let signals = Signals::new()?;
    let (addresses, listeners) = listen_tcp(&settings.listen.dns)?;
    let mut crew = start_workers(settings, addresses, &desk, &servers, &asks)?;
    // It ends with the workers.
    validation::start(std::mem::take(&mut crew.cases), anchors)?;
    let writer = start_writer(settings, zone, std::mem::take(&mut crew.outlets))?;
    tokio::spawn(lines::run(
        for_lines,
        servers,
        (trust, recursion),
        states.clone(),
    ));
    let doorkeeper = Doorkeeper::new(stream_limits(settings), crew.mailboxes.clone());
    for listener in listeners {
        tokio::spawn(streams::tcp::accept(listener, Arc::clone(&doorkeeper)));
    }
    let listening = encrypted.start(&doorkeeper)?;
    let shared = housekeeping.shared(
        crew.counters.clone(),
        doorkeeper,
        Arc::clone(&labels),
        writer.health.clone(),
        (states, labels_of_upstreams),
    );
    place.serve(Arc::clone(&shared), &settings.state_dir, crew.clock);
    let metrics = match settings.listen.metrics {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| cannot_listen(address, "metrics", &error))?;
            let bound = listener.local_addr()?;
            tokio::spawn(tick::serve_metrics(listener, shared));
            Some(bound)
        }
        None => None,
    };
    let house = housekeeping.start(crew.mailboxes.first().cloned())?;
    announce(&crew.addresses, metrics, &listening, out)?;
    let ended = until_stopped(signals, &house, &crew).await;
    stop(crew, writer);
    ended
}

/// What may be asked of the process from outside.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Waits for a signal.
async fn until_stopped(
    mut signals: Signals,
    house: &mpsc::Sender<Cause>,
    crew: &Crew,
) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => house.send(Cause::Reload)?,
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = tick.tick() => {
                if crew.threads.iter().any(JoinHandle::is_finished) {
                    bail!("a worker ended; restarting is safer than serving with fewer");
                }
            }
        }
    }
}

fn stop(crew: Crew, writer: LogWriter) {
    crew.stop.store(true, Ordering::Relaxed);
    for mailbox in &crew.mailboxes {
        // A worker that cannot be woken looks at `stop` at its next tick.
        let _ = mailbox.wake();
    }
    for thread in crew.threads {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a worker failed"),
            Err(_) => tracing::error!("a worker panicked"),
        }
    }
    drop(writer.stop);
    if writer.thread.join().is_err() {
        tracing::error!("the log writer panicked");
    }
    tracing::info!("stopped");
}

fn announce(
    dns: &[SocketAddr],
    metrics: Option<SocketAddr>,
    encrypted: &[String],
    out: &mut impl Write,
) -> io::Result<()> {
    let dns: Vec<String> = dns.iter().map(ToString::to_string).collect();
    write!(out, "answering DNS on {}", dns.join(", "))?;
    if let Some(metrics) = metrics {
        write!(out, "; metrics on http://{metrics}/metrics")?;
    }
    for listener in encrypted {
        write!(out, "; {listener}")?;
    }
    writeln!(out)?;
    out.flush()
}

fn desk(
    settings: &Settings,
    live: Arc<ArcSwapOption<Policy>>,
    leases: Arc<ArcSwap<Leases>>,
    labels: &Arc<GroupLabels>,
) -> anyhow::Result<Arc<Desk>> {
    let forwarded: Vec<Name> = settings
        .upstream
        .zones
        .iter()
        .map(|z| z.name.clone())
        .collect();
    // A conditional zone is the school's own: it may well be private.
    let allow = settings.rebinding.allow.iter().chain(&forwarded).cloned();
    Ok(Arc::new(Desk {
        live,
        leases,
        allow: settings.clients.allow.clone(),
        routers: settings.clients.routers.clone(),
        block_ttl: settings.answers.block_ttl,
        max_ttl: settings.cache.max_ttl,
        page: settings.answers.page_addresses.clone(),
        block_text: block_text(&settings.answers.contact),
        dnssec: settings.upstream.dnssec != Dnssec::Off,
        checks: match settings.upstream.dnssec {
            Dnssec::Validate => Checks::AllBut(forwarded.clone()),
            Dnssec::Off | Dnssec::Process => Checks::None,
        },
        rebinding: Rebinding {
            allow: allow.collect(),
            nat64: settings.rebinding.nat64.clone(),
        },
        local: local(settings, forwarded)?,
        prefetch: settings.cache.prefetch,
        stream_idle: (settings.limits.tcp_idle * 10) as u16,
        labels: Arc::clone(labels),
        hidden: Mutex::default(),
    }))
}

fn block_text(contact: &str) -> Box<str> {
    match contact {
        "" => "Blocked by school policy".into(),
        contact => format!("Blocked by school policy. Questions: {contact}").into(),
    }
}

/// The zones we answer ourselves, as the settings have them.
pub fn local(settings: &Settings, forwarded: Vec<Name>) -> anyhow::Result<Local> {
    let records = settings.local.records.iter().map(|record| LocalRecord {
        name: record.name.clone(),
        addresses: record.addresses.clone(),
        ttl: record.ttl,
    });
    // Which the block page is at, too; the addresses are there, or `check` has said so.
    let page = settings.answers.page_name.as_ref().map(|name| LocalRecord {
        name: name.clone(),
        addresses: settings.answers.page_addresses.clone(),
        ttl: PAGE_TTL,
    });
    let records: Vec<_> = records.chain(page).collect();
    let mut zones = Vec::new();
    for zone in &settings.local.zones {
        let text = std::fs::read_to_string(&zone.file)
            .with_context(|| format!("the zone file {}", zone.file.display()))?;
        zones.push((zone.name.clone(), text));
    }
    let local = Local::new(&records, &zones, forwarded)?;
    Ok(local.with_endpoints(&endpoints(settings))?)
}

/// The thread that writes the query log.
struct LogWriter {
    thread: JoinHandle<()>,
    /// Dropped, it ends the thread once everything is written.
    stop: mpsc::Sender<()>,
    health: Arc<crate::querylog::health::Health>,
}

fn start_writer(
    settings: &Settings,
    zone: TimeZone,
    outlets: Vec<Outlet>,
) -> anyhow::Result<LogWriter> {
    let folder = settings.state_dir.join("querylog");
    let writer = Writer::new(writer::Settings::new(folder, zone), outlets);
    let health = writer.health();
    let (stop, stopped) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("querylog".to_owned())
        .spawn(move || {
            give_way(WRITER_NICENESS);
            writer.run(&stopped, Timestamp::now);
        })?;
    Ok(LogWriter {
        thread,
        stop,
        health,
    })
}

/// Lets the others have more of a core that this thread shares with them
/// (nice(2), which on Linux is of the thread alone).
pub(crate) fn give_way(niceness: i32) {
    if let Err(error) = rustix::process::nice(niceness) {
        tracing::warn!(%error, "a thread in the background keeps the workers' priority");
    }
}

/// Every complaint as one error, a line each.
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where an error is mapped, and there it is a value"
)]
pub fn all_of(complaints: Vec<crate::document::Complaint>) -> anyhow::Error {
    let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("{}", lines.join("\n"))
}
