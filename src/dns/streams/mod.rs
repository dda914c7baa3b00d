//! Questions that come over a stream.
//!
//! A stream may hold many questions at once, and a fast answer never waits
//! behind a slow one (RFC 7766 section 6.2.1.1): the reading side hands each
//! question to a worker, the writing side sends replies as they come. What one
//! client and all together may hold open is bounded, a stream that is idle or
//! that dribbles is closed, and a client that does not read its replies blocks
//! nobody but itself.

pub mod tcp;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::mailbox::{Mail, Mailbox};
use super::upstream::DEADLINE;
use crate::metrics::Transport;
use crate::policy::group::Network;

/// In so long every question has an answer, if only that there is none.
const LAST_ANSWERS: Duration = Duration::from_millis(DEADLINE + 200);

/// How much streams may hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams open at once.
    pub streams: usize,
    /// Streams of one client open at once.
    pub per_client: usize,
    /// Clients that stand for many, and so have no limit of their own.
    pub routers: Vec<Network>,
    /// Questions of one stream under way at once.
    pub pipeline: usize,
    /// How long a stream may be idle.
    pub idle: Duration,
}

/// Who holds how many streams.
pub struct Doorkeeper {
    limits: Limits,
    all: Arc<Semaphore>,
    by_client: Mutex<HashMap<IpAddr, usize>>,
    workers: Vec<Mailbox>,
    next: AtomicUsize,
}

/// Leave to hold one stream open; given back when dropped.
pub struct Admission {
    doorkeeper: Arc<Doorkeeper>,
    client: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Doorkeeper {
    /// One for all listeners of a process.
    #[must_use]
    pub fn new(limits: Limits, workers: Vec<Mailbox>) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(limits.streams)),
            by_client: Mutex::default(),
            workers,
            next: AtomicUsize::new(0),
            limits,
        })
    }

    /// Lets a client open one more stream, or not.
    #[must_use]
    pub fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Admission> {
        let client = client.to_canonical();
        let place = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut by_client = self
            .by_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let held = by_client.entry(client).or_insert(0);
        let many = self
            .limits
            .routers
            .iter()
            .any(|router| router.holds(client));
        if !many && *held >= self.limits.per_client {
            return None;
        }
        *held += 1;
        Some(Admission {
            doorkeeper: Arc::clone(self),
            client,
            _place: place,
        })
    }

    fn worker(&self) -> Option<&Mailbox> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.workers.get(turn % self.workers.len().max(1))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let by_client = &self.doorkeeper.by_client;
        let mut by_client = by_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = by_client.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                by_client.remove(&self.client);
            }
        }
    }
}

/// Serves one stream of length-prefixed messages (RFC 1035 section 4.2.2)
/// until it ends.
pub async fn serve<S>(stream: S, from: SocketAddr, transport: Transport, leave: Admission)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let limits = &leave.doorkeeper.limits;
    let Some(worker) = leave.doorkeeper.worker() else {
        return;
    };
    let (reader, writer) = tokio::io::split(stream);
    let (replies, outbox) = channel(limits.pipeline.max(1));
    let under_way = Arc::new(Semaphore::new(limits.pipeline.max(1)));
    let asker = Asker {
        from,
        transport,
        worker,
        replies,
        under_way: Arc::clone(&under_way),
        idle: limits.idle,
    };
    // Whoever ends first ends the stream: a client that only reads is idle, one
    // that is gone cannot be written to.
    let writing = write(writer, outbox, under_way, limits.idle);
    tokio::pin!(writing);
    tokio::select! {
        () = asker.read(reader, limits.pipeline) => {
            // What was asked before the end is still answered, and an upstream
            // may take longer than the client may be idle.
            let _ = timeout(limits.idle + LAST_ANSWERS, &mut writing).await;
        }
        () = &mut writing => {}
    }
}

struct Asker<'w> {
    from: SocketAddr,
    transport: Transport,
    worker: &'w Mailbox,
    replies: Sender<Vec<u8>>,
    under_way: Arc<Semaphore>,
    idle: Duration,
}

impl Asker<'_> {
    /// Hands over what comes in, until the stream ends, is idle or makes no
    /// sense.
    async fn read<S: AsyncRead>(self, mut reader: ReadHalf<S>, most: usize) {
        while let Some(length) = self.length(&mut reader, most).await {
            let mut packet = vec![0; length];
            if !matches!(
                timeout(self.idle, reader.read_exact(&mut packet)).await,
                Ok(Ok(_))
            ) {
                return;
            }
            let Ok(permit) = self.under_way.acquire().await else {
                return;
            };
            // Given back by the writing side, reply by reply.
            permit.forget();
            let posted = self.worker.post(Mail::Question {
                packet,
                from: self.from,
                transport: self.transport,
                replies: self.replies.clone(),
            });
            if !posted {
                return;
            }
        }
    }

    /// The length of the next message; none when the stream ends or is idle.
    async fn length<S: AsyncRead>(&self, reader: &mut ReadHalf<S>, most: usize) -> Option<usize> {
        let reading = reader.read_u16();
        // Waited for again, never begun again: its first octet may be in.
        tokio::pin!(reading);
        loop {
            match timeout(self.idle, &mut reading).await {
                Ok(length) => return length.ok().map(usize::from),
                // Not idle while an answer is still awaited.
                Err(_) if self.under_way.available_permits() < most => {}
                Err(_) => return None,
            }
        }
    }
}

async fn write<S: AsyncWrite>(
    mut writer: WriteHalf<S>,
    mut outbox: Receiver<Vec<u8>>,
    under_way: Arc<Semaphore>,
    patience: Duration,
) {
    while let Some(reply) = outbox.recv().await {
        under_way.add_permits(1);
        let Ok(length @ 1..) = u16::try_from(reply.len()) else {
            continue;
        };
        // In one piece: two small writes would wait for an acknowledgement.
        let framed = [&length.to_be_bytes()[..], &reply].concat();
        if !matches!(
            timeout(patience, writer.write_all(&framed)).await,
            Ok(Ok(()))
        ) {
            return;
        }
    }
    let _ = writer.shutdown().await;
}
