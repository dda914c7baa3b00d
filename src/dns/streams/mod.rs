//! Questions that come over a stream.
//!
//! A stream may hold many questions at once, and a fast answer never waits
//! behind a slow one (RFC 7766 section 6.2.1.1): the reading side hands each
//! question to a worker, the writing side sends replies as they come. What one
//! client and all together may hold open is bounded, a stream that is idle or
//! that dribbles is closed, and a client that does not read its replies blocks
//! nobody but itself.

mod activity;
mod bounded;
pub mod certificate;
pub mod doorkeeper;
mod http;
pub mod https;
pub mod https3;
pub mod proxy;
pub mod quic;
pub mod request;
pub mod returns;
pub mod tcp;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

pub use self::doorkeeper::{Admission, Doorkeeper, Limits};

use super::mailbox::{Mail, Mailbox};
use super::pipeline::From;
use super::upstream::DEADLINE;
use super::way_back::{Parcel, Waiting, WayBack, way_back};

/// In so long every question has an answer, if only that there is none.
const LAST_ANSWERS: Duration = Duration::from_millis(DEADLINE + 200);
/// A question up to so many octets is short; nobody needs a longer one.
const SHORT: usize = 4 << 10;
/// Octets of replies that are written in one go, if so many are ready.
const TOGETHER: usize = 16 << 10;

/// Serves one stream of length-prefixed messages (RFC 1035 section 4.2.2)
/// until it ends.
pub async fn serve<S>(stream: S, from: From, leave: Admission)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let limits = &leave.doorkeeper.limits;
    let Some(worker) = leave.doorkeeper.worker() else {
        return;
    };
    let (reader, writer) = tokio::io::split(stream);
    let (replies, outbox) = way_back(limits.pipeline.max(1), &Waiting::default());
    let under_way = Arc::new(Semaphore::new(limits.pipeline.max(1)));
    let asker = Asker {
        from,
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
    from: From,
    worker: &'w Mailbox,
    replies: WayBack,
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
                from: self.from.clone(),
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
    mut outbox: Receiver<Parcel>,
    under_way: Arc<Semaphore>,
    patience: Duration,
) {
    while let Some(reply) = outbox.recv().await {
        let mut framed = Vec::with_capacity(reply.len() + 2);
        // They wait until the client has taken them.
        let mut leaving = Vec::new();
        let mut next = Some(reply);
        // All that are ready in one piece: each write is a call of the kernel
        // and, under TLS, a record.
        while let Some(reply) = next {
            under_way.add_permits(1);
            if let Ok(length @ 1..) = u16::try_from(reply.len()) {
                framed.extend_from_slice(&length.to_be_bytes());
                framed.extend_from_slice(&reply);
                leaving.push(reply);
            }
            next = if framed.len() < TOGETHER {
                outbox.try_recv().ok()
            } else {
                None
            };
        }
        let writing = async {
            writer.write_all(&framed).await?;
            // TLS may keep the last of it back.
            writer.flush().await
        };
        if !matches!(timeout(patience, writing).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(patience, writer.shutdown()).await;
}
