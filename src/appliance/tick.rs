//! What is seen to every second, and the page of numbers.
//!
//! None of it is on the packet road, nor on the workers' priority. Whatever
//! fails here is said once, when it begins to fail, and tried again.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use axum::extract::State as Extract;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;

use super::certificate::{Keeper, Status};
use super::probe::{Missing, Probe};
use super::status::changes;
use super::{change, give_way};
use crate::changes::activation::{Cause, Refused};
use crate::changes::control::Control;
use crate::devices::leases::Leases;
use crate::devices::leases::watch::{self, Watcher};
use crate::dns::mailbox::Mailbox;
use crate::dns::pipeline::Desk;
use crate::dns::streams::Doorkeeper;
use crate::dns::upstream::lines::States;
use crate::lists::load::{LoadError, pointer_changed};
use crate::metrics::exposition::{State, exposition};
use crate::metrics::{Counters, GroupLabels, Transport};
use crate::querylog::health::Health;
use crate::querylog::retention;
use crate::settings::{Dnssec, Settings};
use crate::status::{LeaseFile, Retention};

/// The time between two looks.
const TICK: Duration = Duration::from_secs(1);
/// By how much the thread gives way to others (nice(2)).
const NICENESS: i32 = 10;
/// How often old log days are looked for.
const RETENTION: SignedDuration = SignedDuration::from_hours(1);

/// What is seen to every second.
pub(super) struct Housekeeping {
    control: Arc<Mutex<Control>>,
    watcher: Watcher,
    leases: Arc<ArcSwap<Leases>>,
    findings: Arc<Mutex<Findings>>,
    desk: Arc<Desk>,
    certificate: Option<Keeper>,
    zone: TimeZone,
    settings: Settings,
    started: Timestamp,
    /// When the lists that were last tried were compiled.
    lists: Option<SystemTime>,
    swept: Option<Timestamp>,
    hiding: usize,
    /// Whether signatures were last seen to be checked, where they should be.
    checks: bool,
    probe: Probe,
    /// Of the worker that looks names up for it.
    mailbox: Option<Mailbox>,
}

/// What was found at the last look, for whoever asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    pub(super) leases: Vec<LeaseFile>,
    pub(super) retention: Retention,
}

/// What the page of numbers and the status are made of.
pub(super) struct Shared {
    pub(super) control: Arc<Mutex<Control>>,
    pub(super) counters: Vec<Arc<Counters>>,
    pub(super) labels: Arc<GroupLabels>,
    pub(super) log: Arc<Health>,
    pub(super) upstreams: States,
    /// All upstreams, as they stand in the settings.
    pub(super) labels_of_upstreams: Vec<String>,
    pub(super) desk: Arc<Desk>,
    pub(super) doorkeeper: Arc<Doorkeeper>,
    pub(super) certificate: Option<Arc<Status>>,
    pub(super) started: Timestamp,
    pub(super) findings: Arc<Mutex<Findings>>,
    pub(super) targets_missing: Missing,
}

impl Housekeeping {
    pub(super) fn new(
        settings: &Settings,
        control: Control,
        leases: &Arc<ArcSwap<Leases>>,
        desk: &Arc<Desk>,
        zone: TimeZone,
        certificate: Option<Keeper>,
    ) -> Self {
        let started = Timestamp::now();
        let policy = control.policy();
        let probe = Probe::new(zone.clone(), started, policy.as_deref());
        let findings = Findings {
            retention: Retention {
                keep_days: settings.querylog.keep_days,
                ..Retention::default()
            },
            ..Findings::default()
        };
        let mut house = Self {
            watcher: Watcher::new(settings.clients.leases.clone()),
            control: Arc::new(Mutex::new(control)),
            leases: Arc::clone(leases),
            findings: Arc::new(Mutex::new(findings)),
            desk: Arc::clone(desk),
            probe,
            mailbox: None,
            certificate,
            zone,
            lists: pointer_changed(&settings.state_dir),
            settings: settings.clone(),
            started,
            swept: None,
            hiding: 0,
            checks: true,
        };
        house.read_leases(Timestamp::now());
        if let Some(certificate) = &mut house.certificate {
            certificate.read(Timestamp::now());
        }
        house
    }

    pub(super) fn shared(
        &self,
        counters: Vec<Arc<Counters>>,
        doorkeeper: Arc<Doorkeeper>,
        labels: Arc<GroupLabels>,
        log: Arc<Health>,
        (upstreams, labels_of_upstreams): (States, Vec<String>),
    ) -> Arc<Shared> {
        Arc::new(Shared {
            control: Arc::clone(&self.control),
            counters,
            labels,
            log,
            upstreams,
            labels_of_upstreams,
            desk: Arc::clone(&self.desk),
            doorkeeper,
            certificate: self.certificate.as_ref().map(Keeper::status),
            started: self.started,
            findings: Arc::clone(&self.findings),
            targets_missing: self.probe.missing(),
        })
    }

    /// Starts the thread that sees to all of this until the sender is gone; what
    /// is sent is a wish for a reload. Building a policy takes long beside an
    /// answer: the thread is nice, and so gives way to the workers wherever they
    /// share a core. `mailbox` is a worker's, to have names looked up by.
    pub(super) fn start(mut self, mailbox: Option<Mailbox>) -> io::Result<mpsc::Sender<Cause>> {
        self.mailbox = mailbox;
        let (wishes, received) = mpsc::channel();
        let see_to_it = move || {
            give_way(NICENESS);
            let mut next = Instant::now();
            loop {
                let pause = next.saturating_duration_since(Instant::now());
                match received.recv_timeout(pause) {
                    Ok(cause) => {
                        if let Some(certificate) = &mut self.certificate {
                            certificate.read(Timestamp::now());
                        }
                        self.reload(cause);
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        self.tick(Timestamp::now());
                        next = Instant::now() + TICK;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        std::thread::Builder::new()
            .name("house".to_owned())
            .spawn(see_to_it)?;
        Ok(wishes)
    }

    fn tick(&mut self, now: Timestamp) {
        self.read_leases(now);
        let lists = pointer_changed(&self.settings.state_dir);
        if lists.is_some() && lists != self.lists {
            self.lists = lists;
            self.reload(Cause::Lists);
        }
        let policy = {
            let control = self.control.lock();
            let mut control = control.unwrap_or_else(PoisonError::into_inner);
            control.tidy();
            control.policy()
        };
        if let (Some(policy), Some(mailbox)) = (policy, &self.mailbox) {
            self.probe.tick(&policy, mailbox, now);
        }
        self.notice_hidden(now);
        let trusted = self.clock_is_trusted(now);
        self.notice_unchecked(trusted);
        if let Some(certificate) = &mut self.certificate {
            certificate.tick(now);
        }
        let due = self
            .swept
            .is_none_or(|swept| now.duration_since(swept).abs() >= RETENTION);
        if due && trusted {
            self.swept = Some(now);
            self.sweep(now);
        }
    }

    /// Builds and activates the policy anew; what cannot be leaves the old one.
    fn reload(&mut self, cause: Cause) {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        match control.renew(cause, Timestamp::now()) {
            Ok(record) => {
                tracing::info!(
                    policy = record.number,
                    lists = record.lists,
                    ?cause,
                    "activated"
                );
            }
            Err(Refused::Policy(complaints)) => {
                for complaint in complaints {
                    tracing::error!("{complaint}");
                }
                tracing::error!(?cause, "refused; the old policy serves on");
            }
            Err(Refused::Lists(why @ LoadError::None(_))) => tracing::warn!(%why),
            Err(refused) => tracing::error!(%refused, ?cause, "refused; the old policy serves on"),
        }
        if cause == Cause::Reload {
            change::tell_edited(&control);
        }
    }

    fn read_leases(&mut self, now: Timestamp) {
        if let Some(leases) = self.watcher.poll(now) {
            self.leases.store(Arc::new(leases));
        }
        let files: Vec<LeaseFile> = self.watcher.states().map(lease_file).collect();
        let mut known = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = unreadable(&files);
        if trouble > unreadable(&known.leases) {
            tracing::warn!(files = trouble, "a DHCP lease file cannot be read");
        }
        known.leases = files;
    }

    fn notice_hidden(&mut self, now: Timestamp) {
        let hiding = match self.desk.hidden.lock() {
            Ok(hidden) => hidden.suspects(now).count(),
            Err(_) => return,
        };
        if hiding > self.hiding {
            tracing::warn!(
                sources = hiding,
                "an address stands for many devices without saying for which, or claims to be one: \
                 does the router send identity options, and is it in clients.routers?"
            );
        }
        self.hiding = hiding;
    }

    /// Signatures have dates.
    fn notice_unchecked(&mut self, clock_is_trusted: bool) {
        let has_policy = self.desk.live.load().is_some();
        if self.settings.upstream.dnssec != Dnssec::Validate || !has_policy {
            return;
        }
        if self.checks && !clock_is_trusted {
            tracing::warn!("the clock is wrong: signatures are not checked until it is right");
        } else if !self.checks && clock_is_trusted {
            tracing::info!("the clock is right: signatures are checked");
        }
        self.checks = clock_is_trusted;
    }

    /// By a wrong clock every day of the log may look old.
    fn clock_is_trusted(&self, now: Timestamp) -> bool {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        control
            .policy()
            .is_some_and(|policy| policy.at(now).is_trusted())
    }

    /// Drops old days, and keeps what came of it.
    fn sweep(&self, now: Timestamp) {
        let folder = self.settings.state_dir.join("querylog");
        let keep = u16::try_from(self.settings.querylog.keep_days).unwrap_or(u16::MAX);
        match retention::sweep(&folder, keep, now, &self.zone) {
            Ok(swept) => {
                for complaint in &swept.complaints {
                    tracing::warn!("query log: {complaint}");
                }
                let found = self.findings.lock();
                let mut found = found.unwrap_or_else(PoisonError::into_inner);
                found.retention = Retention {
                    keep_days: self.settings.querylog.keep_days,
                    swept: Some(now),
                    held: swept.held,
                    complaints: swept.complaints,
                };
                if !swept.dropped.is_empty() {
                    tracing::info!(days = swept.dropped.len(), "query log: dropped old days");
                }
            }
            Err(error) => tracing::warn!(%error, "query log: old days could not be dropped"),
        }
    }
}

fn lease_file((file, state): (&watch::LeaseFile, &watch::State)) -> LeaseFile {
    let complaints = state.complaints.iter();
    LeaseFile {
        path: file.path.clone(),
        format: file.format.id().to_owned(),
        read_at: state.read_at,
        bad: state.bad,
        complaints: complaints.map(ToString::to_string).collect(),
        trouble: state.trouble.clone(),
    }
}

fn unreadable(files: &[LeaseFile]) -> usize {
    files.iter().filter(|file| file.trouble.is_some()).count()
}

/// Serves `/metrics` for ever.
pub(super) async fn serve_metrics(listener: TcpListener, shared: Arc<Shared>) {
    let page = async |Extract(shared): Extract<Arc<Shared>>| {
        // It waits for a change that is being made; streams must not.
        let page = tokio::task::spawn_blocking(move || shared.page()).await;
        let page = page.unwrap_or_default();
        ([(CONTENT_TYPE, "text/plain; version=0.0.4")], page)
    };
    let routes = axum::Router::new()
        .route("/metrics", get(page))
        .with_state(shared);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "metrics are no longer served");
    }
}

impl Shared {
    fn page(&self) -> String {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = control.policy();
        let now = Timestamp::now();
        let hidden = self
            .desk
            .hidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = self
            .targets_missing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let state = State {
            now,
            started: self.started,
            policy: policy.as_ref().map(|policy| policy.number),
            names: policy.as_ref().map_or(0, |policy| policy.lists.len()),
            lists_compiled: policy.as_ref().map(|policy| policy.not_before),
            failed_activations: control.failures,
            activation_failed: control.trouble.is_some(),
            changes: changes(&control),
            log: self.log.report(),
            hiding: hidden.suspects(now).count(),
            lease_trouble: unreadable(&findings.leases),
            upstreams: self
                .upstreams
                .all()
                .map(|(server, up)| (server.to_owned(), up))
                .collect(),
            targets_missing: missing.len(),
            streams: Transport::ALL
                .into_iter()
                .filter(|transport| *transport != Transport::Udp)
                .map(|transport| (transport, self.doorkeeper.open(transport)))
                .collect(),
            failed_handshakes: self.doorkeeper.failed_handshakes(),
            certificate: self
                .certificate
                .as_ref()
                .map(|status| (status.ok(), status.expires())),
        };
        exposition(&self.counters, &self.labels, &state)
    }
}
