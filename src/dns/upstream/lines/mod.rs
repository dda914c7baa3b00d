//! Lines: connections to upstreams, kept open and shared by all workers.
//!
//! Whatever is not a datagram goes this way: TLS, HTTPS, QUIC and TCP, which is
//! also where a truncated answer is fetched. It runs on the tokio side; a worker
//! hands a question over and gets the answer in its mailbox. Each server has one
//! [`line`] of at most two connections, over which many questions are under way
//! at a time; `framed`, `https` and `quic` are what can stand at its end.
//! [`recurse`] asks nobody in particular, and is spoken to like the others.
//!
//! Bytes go in and come out as the worker wrote them: nothing is decoded, and
//! nothing is retried elsewhere, because which server to ask is the worker's to
//! say. It must never speak to a server whose certificate is not in order, and
//! never dial so often that a broken server is given a storm of handshakes.

mod errand;
mod framed;
mod https;
mod line;
mod quic;
pub mod recurse;
mod streams;
pub mod trust;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use self::errand::Errand;
use self::line::Line;
use self::recurse::Recursion;
use self::trust::Trust;
use super::servers::{Server, Servers, Way};
use crate::dns::mailbox::Mailbox;

/// Questions of all workers on their way to their lines.
const QUEUE: usize = 4096;
/// Questions on their way into one line.
const LINE_QUEUE: usize = 4096;

/// A question to be asked over a line.
#[derive(Debug)]
pub struct Ask {
    /// The question's bytes, id included.
    pub packet: Vec<u8>,
    /// How long the whole exchange may take.
    pub limit: Duration,
    /// Whose it is, and which server is meant.
    pub mark: Mark,
    /// Where the answer goes.
    pub mailbox: Mailbox,
}

/// By which a worker knows its question again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The flight.
    pub flight: u32,
    /// Its serial.
    pub serial: u32,
    /// The server that was asked.
    pub server: usize,
    /// When.
    pub sent: u64,
}

impl Mark {
    /// Where the flight is, and its serial.
    #[must_use]
    pub fn place(&self) -> (u32, u32) {
        (self.flight, self.serial)
    }
}

/// How each line fares, for the page of numbers. Not that of a server which is
/// asked by datagrams: fetching a long answer from it says little of it.
#[derive(Debug, Clone)]
pub struct States(Arc<[Option<State>]>);

#[derive(Debug)]
struct State {
    label: Box<str>,
    is_up: AtomicBool,
}

impl States {
    /// All are taken to be well until they fail.
    #[must_use]
    pub fn new(servers: &Servers) -> Self {
        let state = |server: &Server| {
            let has_line = !matches!(server.way, Way::Udp | Way::Recursion);
            has_line.then(|| State {
                label: server.label.clone(),
                is_up: AtomicBool::new(true),
            })
        };
        Self(servers.all.iter().map(state).collect())
    }

    /// Each server as it stands in the settings, and whether it is well.
    pub fn all(&self) -> impl Iterator<Item = (&str, bool)> {
        let states = self.0.iter().flatten();
        states.map(|state| (&*state.label, state.is_up.load(Ordering::Relaxed)))
    }

    /// Notes how server `index` fares; says whether that is news.
    fn note(&self, index: usize, up: bool) -> bool {
        let state = self.0.get(index).and_then(Option::as_ref);
        state.is_some_and(|state| state.is_up.swap(up, Ordering::Relaxed) != up)
    }
}

/// The channel into [`run`].
#[must_use]
pub fn channel() -> (mpsc::Sender<Ask>, mpsc::Receiver<Ask>) {
    mpsc::channel(QUEUE)
}

/// Asks what comes in until every sender is gone.
pub async fn run(
    mut asks: mpsc::Receiver<Ask>,
    servers: Arc<Servers>,
    (trust, recursion): (Trust, Option<Recursion>),
    states: States,
) {
    let open = |(index, server): (usize, &Server)| {
        let (sender, errands) = mpsc::channel(LINE_QUEUE);
        if let (Way::Recursion, Some(recursion)) = (server.way, &recursion) {
            tokio::spawn(recurse::run(errands, recursion.clone()));
        } else {
            let line = Line::new(index, server.clone(), trust.clone(), states.clone());
            tokio::spawn(line.run(errands));
        }
        sender
    };
    let lines: Vec<_> = servers.all.iter().enumerate().map(open).collect();
    while let Some(ask) = asks.recv().await {
        let Some(line) = lines.get(ask.mark.server) else {
            continue;
        };
        // A line that cannot take more is as good as down: others may be asked.
        if let Err(error) = line.try_send(Errand::new(ask, Instant::now())) {
            error.into_inner().fail(std::io::ErrorKind::QuotaExceeded);
        }
    }
}
