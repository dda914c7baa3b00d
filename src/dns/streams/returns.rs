//! The way back for questions that each have a task of their own.
//!
//! To wake a task from a worker's thread is a call of the kernel, dearer than a
//! kept answer. So the replies to all requests come back through one channel to
//! one task, which is woken once for all that are ready and hands them on beside
//! the tasks that wait, where waking is a push to a queue.
//!
//! A reply must never reach another request than its own: marks are not used
//! twice, and who has gone away is forgotten with its mark.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Replies that may be on their way back. One that finds no room is lost, and
/// whoever waits for it waits in vain.
const ROOM: usize = 16 << 10;
/// Replies that are handed on in one go.
const TOGETHER: usize = 64;

/// A reply, by the mark of the request it is for.
pub type Marked = (u64, Vec<u8>);

/// Who waits for what.
type Waiting = Mutex<HashMap<u64, oneshot::Sender<Vec<u8>>, RandomState>>;

/// The way back of all requests.
pub(super) struct Returns {
    way: Sender<Marked>,
    next: AtomicU64,
    waiting: Arc<Waiting>,
}

/// A reply that is to come.
pub(super) struct Awaited {
    mark: u64,
    waiting: Arc<Waiting>,
    reply: oneshot::Receiver<Vec<u8>>,
}

impl Returns {
    /// Opens it; only inside a runtime.
    pub(super) fn open() -> Self {
        let (way, outbox) = channel(ROOM);
        let waiting = Arc::<Waiting>::default();
        tokio::spawn(hand_on(outbox, Arc::clone(&waiting)));
        Self {
            way,
            next: AtomicU64::new(0),
            waiting,
        }
    }

    /// Where a worker puts the replies to requests.
    pub(super) fn way(&self) -> Sender<Marked> {
        self.way.clone()
    }

    /// Expects one more reply.
    pub(super) fn expect(&self) -> Awaited {
        let mark = self.next.fetch_add(1, Ordering::Relaxed);
        let (to, reply) = oneshot::channel();
        lock(&self.waiting).insert(mark, to);
        Awaited {
            mark,
            waiting: Arc::clone(&self.waiting),
            reply,
        }
    }
}

impl Awaited {
    /// What the worker is to write on the reply.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// The reply; none if it was lost.
    pub(super) async fn reply(&mut self) -> Option<Vec<u8>> {
        (&mut self.reply).await.ok()
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.mark);
    }
}

async fn hand_on(mut outbox: Receiver<Marked>, waiting: Arc<Waiting>) {
    let mut ready = Vec::with_capacity(TOGETHER);
    while outbox.recv_many(&mut ready, TOGETHER).await > 0 {
        let mut waiting = lock(&waiting);
        for (mark, reply) in ready.drain(..) {
            if let Some(to) = waiting.remove(&mark) {
                // It may have gone away just now.
                let _ = to.send(reply);
            }
        }
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Vec<u8>>, RandomState>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_gets_its_own_reply_and_no_other() {
        let returns = Returns::open();
        let way = returns.way();
        let gone = returns.expect().mark();
        let (mut one, mut other) = (returns.expect(), returns.expect());
        way.try_send((other.mark(), vec![2])).unwrap();
        // Whoever asked this has left, and nobody may get it in its place.
        way.try_send((gone, vec![0])).unwrap();
        way.try_send((one.mark(), vec![1])).unwrap();
        assert_eq!(one.reply().await, Some(vec![1]));
        assert_eq!(other.reply().await, Some(vec![2]));
        drop((one, other));
        assert!(lock(&returns.waiting).is_empty());
    }
}
