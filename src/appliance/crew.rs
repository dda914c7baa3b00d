//! The workers: one thread each, made and started.
//!
//! Everything a worker owns is put together here; what they share is the desk
//! and the ports.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use anyhow::Context;
use arc_swap::ArcSwapOption;
use rustls::pki_types::ServerName;
use tokio::sync::mpsc::Receiver;

use super::listen::bind;
use crate::dns::cache::{self, Cache};
use crate::dns::mailbox::Mailbox;
use crate::dns::pipeline::{Desk, Pipeline};
use crate::dns::upstream::lines::Ask;
use crate::dns::upstream::lines::recurse::Recursion;
use crate::dns::upstream::lines::trust::Trust;
use crate::dns::upstream::validation::anchors::Anchors;
use crate::dns::upstream::validation::{self, Case};
use crate::dns::upstream::{Forwarder, Server, Servers, Way};
use crate::dns::worker::{Clock, Frame, UPSTREAM_TOKENS};
use crate::limiter::Limiter;
use crate::metrics::Counters;
use crate::policy::Policy;
use crate::querylog::recorder::{Outlet, RING_BYTES, Recorder, recorder};
use crate::settings::{Mode, Scheme, Settings, UpstreamAddress};

/// One worker's ends of the channels, before it is made.
pub(super) struct Crew {
    pub(super) stop: Arc<AtomicBool>,
    pub(super) mailboxes: Vec<Mailbox>,
    pub(super) counters: Vec<Arc<Counters>>,
    pub(super) threads: Vec<JoinHandle<io::Result<()>>>,
    pub(super) outlets: Vec<Outlet>,
    /// What each worker has examined.
    pub(super) cases: Vec<(Receiver<Case>, Mailbox)>,
    /// Where DNS is answered, ports resolved.
    pub(super) addresses: Vec<SocketAddr>,
    /// By which all of them count milliseconds.
    pub(super) clock: Clock,
}

/// Makes every worker and starts its thread.
pub(super) fn start_workers(
    settings: &Settings,
    addresses: Vec<SocketAddr>,
    desk: &Arc<Desk>,
    servers: &Arc<Servers>,
    asks: &tokio::sync::mpsc::Sender<Ask>,
) -> anyhow::Result<Crew> {
    let count = match settings.listen.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let clock = Clock::start();
    let mut crew = Crew {
        stop: Arc::default(),
        mailboxes: Vec::new(),
        counters: Vec::new(),
        threads: Vec::new(),
        outlets: Vec::new(),
        cases: Vec::new(),
        addresses,
        clock,
    };
    for number in 0..count {
        let frame = Frame::new()?;
        let counters = Arc::new(Counters::with_upstreams(servers.all.len()));
        let (recorder, outlet) = recorder(RING_BYTES);
        let bound = bind(&crew.addresses)?;
        let (validator, cases) = validation::channel();
        let forwarder = Forwarder::new(
            Arc::clone(servers),
            (frame.registry()?, UPSTREAM_TOKENS),
            (asks.clone(), validator, frame.mailbox.clone()),
            (settings.upstream.max_outstanding / count).max(1),
            Arc::clone(&counters),
        );
        let pipeline = pipeline(settings, desk, count, &counters, recorder);
        crew.mailboxes.push(frame.mailbox.clone());
        crew.counters.push(counters);
        crew.outlets.push(outlet);
        crew.cases.push((cases, frame.mailbox.clone()));
        let stop = Arc::clone(&crew.stop);
        let thread = std::thread::Builder::new()
            .name(format!("dns-{number}"))
            .spawn(move || frame.worker(bound, pipeline, forwarder, clock, stop)?.run())?;
        crew.threads.push(thread);
    }
    Ok(crew)
}

fn pipeline(
    settings: &Settings,
    desk: &Arc<Desk>,
    workers: usize,
    counters: &Arc<Counters>,
    recorder: Recorder,
) -> Pipeline {
    let limits = cache::Limits {
        bytes: settings.cache.max_bytes / workers,
        entries: settings.cache.entries / workers,
        max_ttl: settings.cache.max_ttl,
        min_ttl: settings.cache.min_ttl,
        stale: settings.cache.stale,
    };
    let limiter = Limiter::new(settings.limits.queries_per_second, settings.limits.burst);
    Pipeline::new(
        Arc::clone(desk),
        Cache::new(limits),
        limiter,
        Arc::clone(counters),
        recorder,
    )
}

/// Who is asked for what, as the settings have it.
pub(super) fn servers(settings: &Settings) -> anyhow::Result<Servers> {
    let mut servers = Servers::default();
    let mut indices = |addresses: &[UpstreamAddress]| {
        let index = |upstream: &UpstreamAddress| {
            let server = server(upstream)?;
            let known = servers.all.iter().position(|other| *other == server);
            Ok(known.unwrap_or_else(|| {
                servers.all.push(server);
                servers.all.len() - 1
            }))
        };
        addresses
            .iter()
            .map(index)
            .collect::<anyhow::Result<Vec<_>>>()
    };
    let mut default = indices(&settings.upstream.servers)?;
    let zones = settings.upstream.zones.iter();
    let zones = zones.map(|zone| Ok((zone.name.clone(), indices(&zone.servers)?)));
    let zones = zones.collect::<anyhow::Result<Vec<_>>>()?;
    if settings.upstream.mode == Mode::Recurse {
        default = vec![servers.all.len()];
        servers.all.push(Server::recursion());
    }
    Ok(Servers {
        default,
        zones,
        ..servers
    })
}

fn server(upstream: &UpstreamAddress) -> anyhow::Result<Server> {
    let certificate = match &upstream.name {
        Some(name) => ServerName::try_from(name.clone())
            .with_context(|| format!("{upstream}: no certificate can have this name"))?,
        None => ServerName::from(upstream.addr.ip()),
    };
    Ok(Server {
        address: upstream.addr,
        way: match upstream.scheme {
            Scheme::Udp => Way::Udp,
            Scheme::Tcp => Way::Tcp,
            Scheme::Tls => Way::Tls,
            Scheme::Https => Way::Https,
            Scheme::Quic => Way::Quic,
        },
        certificate,
        path: upstream.path.as_str().into(),
        label: upstream.to_string().into(),
    })
}

/// Whose certificates upstreams must have.
pub(super) fn trust(
    settings: &Settings,
    live: Arc<ArcSwapOption<Policy>>,
) -> anyhow::Result<Trust> {
    let file = settings.upstream.ca_file.as_deref();
    let told = || {
        format!(
            "upstream.ca_file {}",
            file.unwrap_or(Path::new("")).display()
        )
    };
    let pem = file.map(std::fs::read).transpose().with_context(told)?;
    Trust::new(pem.as_deref(), live).with_context(told)
}

/// What signatures must lead up to.
pub(super) fn anchors(settings: &Settings) -> anyhow::Result<Anchors> {
    let file = settings.upstream.trust_anchor_file.as_deref();
    let told = || {
        format!(
            "upstream.trust_anchor_file {}",
            file.unwrap_or(Path::new("")).display()
        )
    };
    let text = file.map(std::fs::read_to_string).transpose();
    let text = text.with_context(told)?;
    Anchors::new(text.as_deref()).with_context(told)
}

/// Who finds names from the root down, if that is wanted.
pub(super) fn recursion(settings: &Settings) -> anyhow::Result<Option<Recursion>> {
    if settings.upstream.mode == Mode::Forward {
        return Ok(None);
    }
    let file = settings.upstream.root_hints.as_deref();
    let told = || {
        format!(
            "upstream.root_hints {}",
            file.unwrap_or(Path::new("")).display()
        )
    };
    let text = file.map(std::fs::read_to_string).transpose();
    let text = text.with_context(told)?;
    let private = &settings.upstream.private_servers;
    Ok(Some(
        Recursion::new(text.as_deref(), private).with_context(told)?,
    ))
}
