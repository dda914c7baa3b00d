//! How we fare, told over a Unix socket to other processes of this account, and
//! where they ask for changes.
//!
//! The socket is in a folder that nobody else may enter, next to a lock that is
//! held for as long as the process lives: two resolvers that write one log and
//! one record must not be. It answers from what is counted and known anyway, on
//! the thread of the streams; no packet waits for it.

use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use anyhow::{Context, bail};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use nix::sys::statvfs::statvfs;
use tokio::net::UnixListener;

use super::change;
use super::rates::Rates;
use super::tick::Shared;
use crate::changes::ask;
use crate::changes::control::Control;
use crate::devices::hidden;
use crate::dns::worker::Clock;
use crate::lists::durable;
use crate::metrics::upstream::UpstreamCounters;
use crate::metrics::{Counter, Counters, Transport};
use crate::status::{
    Activations, Cache, Certificate, Changes, Connections, Disk, PolicyInForce, Status, Suspect,
    Suspicion, Totals, Upstream, socket,
};

/// Failures in a row after which a server is no longer told to be up.
const PATIENCE: u64 = 3;

/// Our place in the state folder: nobody else serves from it.
pub(super) struct Place {
    socket: PathBuf,
    /// The kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Place {
    /// Takes the place, or says that it is taken.
    pub(super) fn take(state_dir: &Path) -> anyhow::Result<Self> {
        let socket = socket(state_dir);
        let folder = socket.parent().unwrap_or(state_dir);
        durable::create_folder(folder)
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)))
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => bail!(
                "another `schoolgate serve` already runs with the state folder {}",
                state_dir.display()
            ),
            // Not every network share can lock, and without DNS is worse.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the state folder cannot be locked");
            }
            Ok(()) => {}
        }
        Ok(Self {
            socket,
            _lock: lock,
        })
    }

    /// Listens on the socket, which replaces one that a killed process left.
    fn listen(&self) -> std::io::Result<UnixListener> {
        durable::remove_if_any(&self.socket)?;
        let listener = UnixListener::bind(&self.socket)?;
        fs::set_permissions(&self.socket, Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Answers there from now on. Without it the pages know less, and DNS works
    /// as ever.
    pub(super) fn serve(&self, shared: Arc<Shared>, state_dir: &Path, clock: Clock) {
        let listener = match self.listen() {
            Ok(listener) => listener,
            Err(error) => {
                let socket = self.socket.display();
                tracing::error!(%error, %socket, "the pages cannot ask how the resolver fares");
                return;
            }
        };
        let told = Told {
            rates: Rates::start(shared.counters.clone()),
            shared,
            state_dir: state_dir.to_owned(),
            clock,
        };
        tokio::spawn(answer(listener, Arc::new(told)));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever asks finds nobody, which is also so if it stays.
        let _ = fs::remove_file(&self.socket);
    }
}

/// What the answers are made of.
struct Told {
    shared: Arc<Shared>,
    rates: Rates,
    state_dir: PathBuf,
    clock: Clock,
}

/// Answers for ever.
async fn answer(listener: UnixListener, told: Arc<Told>) {
    let changes = axum::Router::new()
        .route(ask::PATH, post(change::change))
        .with_state(Arc::clone(&told.shared.control));
    let routes = axum::Router::new()
        .route("/status", get(status))
        .with_state(told)
        .merge(changes);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the pages can no longer ask how the resolver fares");
    }
}

async fn status(State(told): State<Arc<Told>>) -> impl IntoResponse {
    // It waits for a change that is being made; streams must not.
    let asked = tokio::task::spawn_blocking(move || {
        // Words and numbers: it cannot fail.
        serde_json::to_string(&told.status(Timestamp::now())).unwrap_or_default()
    });
    let text = asked.await.unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text)
}

impl Told {
    fn status(&self, now: Timestamp) -> Status {
        let shared = &self.shared;
        let (policy, activations, changes, clock_is_trusted) = {
            let control = shared.control.lock();
            let control = control.unwrap_or_else(PoisonError::into_inner);
            let policy = control.policy();
            let in_force = policy.as_ref().map(|policy| PolicyInForce {
                number: policy.number,
                activated: control.activated().map(|record| record.time),
                lists: policy.lists.generation.as_ref().to_owned(),
                lists_since: policy.not_before,
                names: policy.lists.len(),
            });
            let activations = Activations {
                failures: control.failures,
                trouble: control.trouble.clone(),
            };
            let trusted = policy.is_some_and(|policy| policy.at(now).is_trusted());
            (in_force, activations, changes(&control), trusted)
        };
        let found = shared.findings.lock();
        let found = found.unwrap_or_else(PoisonError::into_inner).clone();
        let missing = shared.targets_missing.lock();
        let missing = missing.unwrap_or_else(PoisonError::into_inner).clone();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: shared.started,
            time: now,
            clock_is_trusted,
            policy,
            activations,
            changes,
            log: shared.log.report(),
            retention: found.retention,
            upstreams: self.upstreams(now),
            cache: self.cache(),
            connections: self.connections(),
            failed_handshakes: shared.doorkeeper.failed_handshakes(),
            certificate: shared.certificate.as_ref().map(|status| Certificate {
                ok: status.ok(),
                expires: status.expires(),
            }),
            leases: found.leases,
            suspects: self.suspects(now),
            missing_safe_modes: missing,
            disk: disk(&self.state_dir),
            totals: self.totals(),
            rates: self.rates.now(),
        }
    }

    fn sum(&self, of: impl Fn(&Counters) -> &Counter) -> u64 {
        let workers = self.shared.counters.iter();
        workers.map(|counters| of(counters).value()).sum()
    }

    fn totals(&self) -> Totals {
        let counters = &self.shared.counters;
        Totals {
            queries: counters.iter().map(|worker| worker.asked()).sum(),
            blocked: counters.iter().map(|worker| worker.all_blocked()).sum(),
            strangers: self.sum(|worker| &worker.strangers),
            limited: self.sum(|worker| &worker.limited),
        }
    }

    fn cache(&self) -> Cache {
        Cache {
            entries: self.sum(|worker| &worker.cache_entries),
            bytes: self.sum(|worker| &worker.cache_bytes),
            hits: self.sum(|worker| &worker.cache_hits),
            misses: self.sum(|worker| &worker.cache_misses),
            stale: self.sum(|worker| &worker.cache_stale),
        }
    }

    fn connections(&self) -> Vec<Connections> {
        let streams = Transport::ALL.into_iter();
        let streams = streams.filter(|transport| *transport != Transport::Udp);
        let open = |transport: Transport| Connections {
            transport: transport.id().to_owned(),
            open: self.shared.doorkeeper.open(transport),
        };
        streams.map(open).collect()
    }

    fn suspects(&self, now: Timestamp) -> Vec<Suspect> {
        let hidden = self.shared.desk.hidden.lock();
        let hidden = hidden.unwrap_or_else(PoisonError::into_inner);
        let suspect = |suspect: hidden::Suspect| Suspect {
            address: suspect.ip,
            suspicion: match suspect.suspicion {
                hidden::Suspicion::HidesClients => Suspicion::HidesClients,
                hidden::Suspicion::ClaimsToBeSomebody => Suspicion::ClaimsToBeSomebody,
            },
            since: suspect.since,
            count: suspect.count,
        };
        hidden.suspects(now).map(suspect).collect()
    }

    /// Each worker has its own view of each server; the last word counts.
    fn upstreams(&self, now: Timestamp) -> Vec<Upstream> {
        let clock = self.clock.now().ms;
        let time = |ms: u64| {
            let ago = i64::try_from(clock.saturating_sub(ms)).unwrap_or(i64::MAX);
            now.checked_sub(SignedDuration::from_millis(ago)).ok()
        };
        let lines: Vec<(&str, bool)> = self.shared.upstreams.all().collect();
        let upstream = |(place, server): (usize, &String)| {
            let workers = self.shared.counters.iter();
            let views = || {
                let workers = workers.clone();
                workers.filter_map(|worker| worker.upstreams.get(place))
            };
            let last_answer = views().filter_map(UpstreamCounters::last_answer).max();
            let last_failure = views()
                .filter_map(UpstreamCounters::last_failure)
                .max_by_key(|(at, _)| *at);
            let in_a_row: u64 = views().map(|view| view.in_a_row.value()).sum();
            let is_failing = in_a_row >= PATIENCE && last_failure.map(|(at, _)| at) > last_answer;
            let line = lines.iter().find(|(label, _)| label == server);
            Upstream {
                server: server.clone(),
                up: !is_failing && line.is_none_or(|(_, up)| *up),
                answers: views().map(|view| view.answers.value()).sum(),
                failures: views().map(|view| view.failures.value()).sum(),
                last_answer: last_answer.and_then(time),
                last_failure: last_failure.and_then(|(at, _)| time(at)),
                last_error: last_failure.map(|(_, kind)| kind.id().to_owned()),
            }
        };
        let labels = self.shared.labels_of_upstreams.iter();
        labels.enumerate().map(upstream).collect()
    }
}

/// How the record of changes fares.
pub(super) fn changes(control: &Control) -> Changes {
    let ledger = control.ledger();
    let unacknowledged = ledger.unacknowledged.values();
    Changes {
        entries: ledger.head.as_ref().map_or(0, |head| head.number),
        head: (ledger.head.as_ref()).map_or(String::new(), |head| head.digest.clone()),
        waiting: ledger.waiting.len(),
        unacknowledged: ledger.unacknowledged.len(),
        oldest_unacknowledged: unacknowledged.map(|it| it.time).min(),
    }
}

fn disk(folder: &Path) -> Option<Disk> {
    let disk = statvfs(folder).ok()?;
    let unit = disk.fragment_size();
    Some(Disk {
        free: disk.blocks_available().saturating_mul(unit),
        total: disk.blocks().saturating_mul(unit),
    })
}
