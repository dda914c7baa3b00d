//! Who holds how many streams, and who may begin how many.
//!
//! Streams cost descriptors and memory while they are open, and a TLS handshake
//! costs time on the one thread they share. Both are bounded for each client,
//! streams for all together too, so that one that floods harms itself; and those
//! who are elsewhere, were they the whole internet, leave the school half. Routers
//! stand for many clients and have no bound of their own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::returns::Returns;
use crate::dns::mailbox::Mailbox;
use crate::limiter::Limiter;
use crate::metrics::Transport;
use crate::policy::group::Network;

/// So many handshakes a client may begin at once, for each that it may begin a
/// second: a browser opens several, and a classroom wakes together.
const BURST: u32 = 10;

/// How much streams may hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams open at once.
    pub streams: usize,
    /// Streams of one client open at once.
    pub per_client: usize,
    /// TLS handshakes of one client a second, in the long run.
    pub handshakes: u32,
    /// Who is here. Others, who may be devices off site or anybody at all, have
    /// no more than half of the streams between them.
    pub here: Vec<Network>,
    /// Clients that stand for many, and so have no limit of their own.
    pub routers: Vec<Network>,
    /// Questions of one stream under way at once.
    pub pipeline: usize,
    /// How long a stream may be idle.
    pub idle: Duration,
}

/// Lets streams in.
pub struct Doorkeeper {
    pub(super) limits: Limits,
    all: Arc<Semaphore>,
    elsewhere: Arc<Semaphore>,
    by_client: Mutex<HashMap<IpAddr, usize>>,
    handshakes: Mutex<Limiter>,
    begun: Instant,
    open: [AtomicUsize; Transport::ALL.len()],
    failed: AtomicU64,
    workers: Vec<Mailbox>,
    next: AtomicUsize,
    /// How replies come back to requests.
    pub(super) returns: Returns,
}

/// Leave to hold one stream open; given back when dropped.
pub struct Admission {
    pub(super) doorkeeper: Arc<Doorkeeper>,
    client: IpAddr,
    transport: Transport,
    _place: OwnedSemaphorePermit,
    _elsewhere: Option<OwnedSemaphorePermit>,
}

impl Doorkeeper {
    /// One for all listeners of a process; made inside its runtime.
    #[must_use]
    pub fn new(limits: Limits, workers: Vec<Mailbox>) -> Arc<Self> {
        let burst = limits.handshakes.saturating_mul(BURST);
        Arc::new(Self {
            all: Arc::new(Semaphore::new(limits.streams)),
            elsewhere: Arc::new(Semaphore::new(limits.streams / 2)),
            by_client: Mutex::default(),
            handshakes: Mutex::new(Limiter::new(limits.handshakes, burst)),
            begun: Instant::now(),
            open: Default::default(),
            failed: AtomicU64::new(0),
            workers,
            next: AtomicUsize::new(0),
            returns: Returns::open(),
            limits,
        })
    }

    /// Lets a client open one more stream, or not.
    #[must_use]
    pub fn admit(self: &Arc<Self>, client: IpAddr, transport: Transport) -> Option<Admission> {
        let client = client.to_canonical();
        let place = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut here = self.limits.here.iter();
        let is_here = here.any(|network| network.holds(client)) || self.is_router(client);
        let elsewhere = if is_here {
            None
        } else {
            Some(Arc::clone(&self.elsewhere).try_acquire_owned().ok()?)
        };
        if !self.take(client) {
            return None;
        }
        if let Some(open) = self.open.get(transport as usize) {
            open.fetch_add(1, Ordering::Relaxed);
        }
        Some(Admission {
            doorkeeper: Arc::clone(self),
            client,
            transport,
            _place: place,
            _elsewhere: elsewhere,
        })
    }

    /// Whether so much is taken, by `client` or by all, that an address is to be
    /// proved before it takes more: whoever forges it could use up what is left
    /// (RFC 9000 section 8.1).
    #[must_use]
    pub(super) fn is_crowded(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let held = lock(&self.by_client).get(&client).copied().unwrap_or(0);
        let by_all = self.all.available_permits() * 2 <= self.limits.streams;
        by_all || held * 2 >= self.limits.per_client
    }

    /// Whether `client` speaks for others, and is believed about whom.
    #[must_use]
    pub fn is_router(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let mut routers = self.limits.routers.iter();
        routers.any(|router| router.holds(client))
    }

    /// Whether `client` may begin one more TLS handshake now.
    #[must_use]
    pub fn may_shake_hands(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let now = self.begun.elapsed().as_millis() as u64;
        self.is_router(client) || lock(&self.handshakes).admits(client, now)
    }

    /// A TLS handshake came to nothing.
    pub fn handshake_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// TLS handshakes that came to nothing.
    #[must_use]
    pub fn failed_handshakes(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many streams of a kind are open.
    #[must_use]
    pub fn open(&self, transport: Transport) -> usize {
        let open = self.open.get(transport as usize);
        open.map_or(0, |open| open.load(Ordering::Relaxed))
    }

    /// The worker whose turn it is.
    pub(super) fn worker(&self) -> Option<&Mailbox> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.workers.get(turn % self.workers.len().max(1))
    }

    fn take(&self, client: IpAddr) -> bool {
        let is_router = self.is_router(client);
        let mut by_client = lock(&self.by_client);
        let held = by_client.entry(client).or_insert(0);
        let may = is_router || *held < self.limits.per_client;
        *held += usize::from(may);
        may
    }

    fn give_back(&self, client: IpAddr) {
        let mut by_client = lock(&self.by_client);
        if let Some(held) = by_client.get_mut(&client) {
            *held -= 1;
            if *held == 0 {
                by_client.remove(&client);
            }
        }
    }
}

impl Admission {
    /// Counts the stream for `client` from now on, for whom it turned out to be
    /// opened; `false` if that one has too many.
    #[must_use]
    pub(super) fn is_for(&mut self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let may = self.doorkeeper.take(client);
        if may {
            self.doorkeeper.give_back(self.client);
            self.client = client;
        }
        may
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.doorkeeper.give_back(self.client);
        if let Some(open) = self.doorkeeper.open.get(self.transport as usize) {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
