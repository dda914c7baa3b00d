//! One server's line: when to dial, over which connection to ask.
//!
//! At most two connections, at most one being dialled. A connection that ends
//! gives back what it had under way, and that goes over the next one. Whoever
//! fails to answer anything is dialled again only after a pause that doubles,
//! with some chance in it, so that many appliances do not come back at once;
//! during the pause a question fails at once, and the worker asks another
//! server.
//!
//! What is late is not reported: the worker has its own clock for that.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::errand::Errand;
use super::trust::Trust;
use super::{States, framed, https, quic};
use crate::dns::upstream::servers::{Server, Way};

/// Connections to one server.
const MOST_CONNECTIONS: usize = 2;
/// Questions under way on the first at which a second is dialled.
const CROWD: usize = 100;
/// Questions under way on one connection.
const MOST_UNDER_WAY: usize = 4096;
/// Questions that wait for a connection to stand.
const MOST_WAITING: usize = 4096;
/// How long dialling may take, handshake included.
const DIAL_LIMIT: Duration = Duration::from_secs(3);
/// First and longest pause before dialling again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// A connection is closed after so much silence in which nothing was asked.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// A connection that has said nothing for so long after a question is given up.
pub(super) const STALLED: Duration = Duration::from_millis(1500);

/// What a connection has to tell its line.
pub(super) enum News {
    /// It gave its first answer.
    Useful,
    /// It takes no more questions; `fruitless`: it was asked and never answered.
    Over { id: u64, fruitless: bool },
    /// It could not ask this; `useful`: it had answered others.
    Back { errand: Errand, useful: bool },
}

/// A connection as itself sees it: what it counts, and whom it tells.
pub(super) struct Wire {
    id: u64,
    news: mpsc::UnboundedSender<News>,
    under_way: Arc<AtomicUsize>,
    asked: AtomicU64,
    answered: AtomicU64,
    heard: AtomicU64,
    opened: Instant,
}

impl Wire {
    /// A question has been sent.
    pub(super) fn asked(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// A question has had its answer, or never will.
    pub(super) fn done(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// An answer came.
    pub(super) fn heard(&self) {
        let since = self.opened.elapsed().as_millis() as u64;
        self.heard.store(since, Ordering::Relaxed);
        if self.answered.fetch_add(1, Ordering::Relaxed) == 0 {
            self.tell(News::Useful);
        }
    }

    /// Whether nothing was heard since `when`.
    pub(super) fn is_silent_since(&self, when: Instant) -> bool {
        let when = when.saturating_duration_since(self.opened).as_millis() as u64;
        !self.is_useful() || self.heard.load(Ordering::Relaxed) < when
    }

    /// Gives back a question that this connection could not ask.
    pub(super) fn give_back(&self, errand: Errand) {
        self.done();
        self.tell(News::Back {
            errand,
            useful: self.is_useful(),
        });
    }

    /// This connection is of no more use.
    pub(super) fn over(&self) {
        self.tell(News::Over {
            id: self.id,
            fruitless: !self.is_useful() && self.asked.load(Ordering::Relaxed) > 0,
        });
    }

    fn is_useful(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    fn tell(&self, news: News) {
        // A line that is gone serves nobody.
        let _ = self.news.send(news);
    }
}

/// What stands once a server has been dialled.
pub(super) enum Session {
    Framed(framed::Stream),
    Https(https::Session),
    Quic(quic::Session),
}

/// A connection as its line sees it. Dropped, it takes no more questions and
/// ends when what is under way has.
struct Connection {
    id: u64,
    errands: mpsc::Sender<Errand>,
    under_way: Arc<AtomicUsize>,
}

type Dialling = Pin<Box<dyn Future<Output = io::Result<Session>> + Send>>;

/// One server's line.
pub(super) struct Line {
    index: usize,
    server: Server,
    trust: Trust,
    states: States,
    connections: Vec<Connection>,
    dialling: Option<Dialling>,
    waiting: VecDeque<Errand>,
    failures: u32,
    not_before: Instant,
    last_id: u64,
    news: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
}

impl Line {
    pub(super) fn new(index: usize, server: Server, trust: Trust, states: States) -> Self {
        Self {
            index,
            server,
            trust,
            states,
            connections: Vec::new(),
            dialling: None,
            waiting: VecDeque::new(),
            failures: 0,
            not_before: Instant::now(),
            last_id: 0,
            news: mpsc::unbounded_channel(),
        }
    }

    /// Asks what comes in until nobody can ask any more.
    pub(super) async fn run(mut self, mut errands: mpsc::Receiver<Errand>) {
        loop {
            let dialled = async {
                match &mut self.dialling {
                    Some(dialling) => dialling.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                Some(news) = self.news.1.recv() => self.hear(news),
                session = dialled => {
                    self.dialling = None;
                    match session {
                        Ok(session) => self.connected(session),
                        Err(error) => self.failed(&error.to_string()),
                    }
                }
                errand = errands.recv() => match errand {
                    Some(errand) => self.ask(errand),
                    None => return,
                },
            }
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Useful => self.is_well(),
            News::Over { id, fruitless } => {
                let known = self.connections.len();
                self.connections.retain(|connection| connection.id != id);
                // A connection that ended is heard of twice if it stalled first.
                if fruitless && self.connections.len() < known {
                    self.failed("it takes questions and answers none");
                }
            }
            News::Back { mut errand, useful } => {
                if errand.may_try_again(useful, Instant::now()) {
                    self.ask(errand);
                } else {
                    errand.fail(io::ErrorKind::ConnectionAborted);
                }
            }
        }
    }

    /// Sends a question over the least busy connection, or keeps it for the one
    /// that is being dialled.
    fn ask(&mut self, mut errand: Errand) {
        loop {
            let all = self.connections.iter();
            let loads = all.map(|connection| connection.under_way.load(Ordering::Relaxed));
            let least = loads.enumerate().min_by_key(|(_, load)| *load);
            let is_crowded = least.is_none_or(|(_, load)| load >= CROWD);
            if is_crowded && self.connections.len() < MOST_CONNECTIONS {
                self.dial();
            }
            let Some(best) = least.and_then(|(index, _)| self.connections.get(index)) else {
                return self.wait(errand);
            };
            if least.is_some_and(|(_, load)| load >= MOST_UNDER_WAY) {
                return errand.fail(io::ErrorKind::QuotaExceeded);
            }
            best.under_way.fetch_add(1, Ordering::Relaxed);
            match best.errands.try_send(errand) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(errand)) => {
                    best.under_way.fetch_sub(1, Ordering::Relaxed);
                    return errand.fail(io::ErrorKind::QuotaExceeded);
                }
                // It has ended, and its word of that is on its way.
                Err(mpsc::error::TrySendError::Closed(back)) => {
                    let id = best.id;
                    self.connections.retain(|connection| connection.id != id);
                    errand = back;
                }
            }
        }
    }

    fn wait(&mut self, errand: Errand) {
        if self.dialling.is_none() {
            return errand.fail(io::ErrorKind::ConnectionRefused);
        }
        if self.waiting.len() >= MOST_WAITING {
            let now = Instant::now();
            self.waiting.retain(|errand| now < errand.deadline);
        }
        if self.waiting.len() >= MOST_WAITING {
            return errand.fail(io::ErrorKind::QuotaExceeded);
        }
        self.waiting.push_back(errand);
    }

    /// Dials, unless that is under way or was in vain a moment ago.
    fn dial(&mut self) {
        if self.dialling.is_some() || Instant::now() < self.not_before {
            return;
        }
        let (server, trust) = (self.server.clone(), self.trust.clone());
        self.dialling = Some(Box::pin(async move {
            let dialled = timeout(DIAL_LIMIT, dial(&server, &trust)).await;
            dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }));
    }

    fn connected(&mut self, session: Session) {
        self.last_id += 1;
        let (errands, received) = mpsc::channel(MOST_UNDER_WAY);
        let connection = Connection {
            id: self.last_id,
            errands,
            under_way: Arc::default(),
        };
        let wire = Arc::new(Wire {
            id: connection.id,
            news: self.news.0.clone(),
            under_way: Arc::clone(&connection.under_way),
            asked: AtomicU64::default(),
            answered: AtomicU64::default(),
            heard: AtomicU64::default(),
            opened: Instant::now(),
        });
        match session {
            Session::Framed(stream) => {
                tokio::spawn(framed::talk(stream, received, wire));
            }
            Session::Https(session) => {
                tokio::spawn(https::talk(session, received, wire));
            }
            Session::Quic(session) => {
                tokio::spawn(quic::talk(session, received, wire));
            }
        }
        self.connections.push(connection);
        self.send_waiting();
    }

    fn send_waiting(&mut self) {
        let now = Instant::now();
        for errand in std::mem::take(&mut self.waiting) {
            if now < errand.deadline {
                self.ask(errand);
            }
        }
    }

    /// It answers: whatever was wrong is over.
    fn is_well(&mut self) {
        self.failures = 0;
        if self.states.note(self.index, true) {
            tracing::info!(server = %self.server.label, "the upstream answers again");
        }
    }

    /// Dialling was in vain, or what came of it.
    fn failed(&mut self, why: &str) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + pause(self.failures);
        if !self.connections.is_empty() {
            return self.send_waiting();
        }
        if self.states.note(self.index, false) {
            tracing::warn!(server = %self.server.label, why, "the upstream fails");
        }
        for errand in std::mem::take(&mut self.waiting) {
            errand.fail(io::ErrorKind::ConnectionRefused);
        }
    }
}

/// The pause after so many failures in a row, between three and five quarters
/// of what it would be.
fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSE;
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let chance = rand::rng().random_range(0.75..1.25);
    doubled.min(longest).mul_f32(chance)
}

async fn dial(server: &Server, trust: &Trust) -> io::Result<Session> {
    Ok(match server.way {
        Way::Udp | Way::Tcp => Session::Framed(framed::dial(server).await?),
        Way::Recursion => return Err(io::ErrorKind::Unsupported.into()),
        Way::Tls => Session::Framed(framed::dial_tls(server, trust).await?),
        Way::Https => Session::Https(https::dial(server, trust).await?),
        Way::Quic => Session::Quic(quic::dial(server, trust).await?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_and_has_an_end() {
        for (failures, least, most) in [(1, 187, 313), (2, 375, 625), (40, 3750, 6250)] {
            for _ in 0..50 {
                let pause = pause(failures).as_millis();
                assert!((least..=most).contains(&pause), "{failures}: {pause}");
            }
        }
    }
}
