//! The way back into a stream: how its replies leave the worker.
//!
//! A client may ask much and take nothing: sixty questions in flight whose
//! answers are as long as a message can be are four million octets, on each of
//! its connections. So what waits on one connection is bounded in octets too.
//! Who lets it come to that harms nobody but himself: what is beyond is told in
//! a header that the server failed.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::question::{HEADER, Rcode};

/// Most octets of replies that wait on one connection: four of the longest.
const MOST: usize = 256 << 10;

/// The octets of the replies that wait on one connection.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<AtomicUsize>);

/// Takes replies, on the worker's side.
#[derive(Debug, Clone)]
pub struct WayBack {
    replies: Sender<Parcel>,
    waiting: Waiting,
}

/// A reply; it counts as waiting for as long as it is there. An empty one says
/// that none will come.
#[derive(Debug)]
pub struct Parcel {
    bytes: Vec<u8>,
    waiting: Waiting,
}

/// A way for `most` replies at a time, into a connection on which so many octets
/// are `waiting`.
#[must_use]
pub fn way_back(most: usize, waiting: &Waiting) -> (WayBack, Receiver<Parcel>) {
    let (replies, outbox) = channel(most);
    let waiting = waiting.clone();
    (WayBack { replies, waiting }, outbox)
}

impl Waiting {
    /// Counts a reply as waiting; none if too much waits already.
    #[must_use]
    pub fn take_in(&self, bytes: Vec<u8>) -> Option<Parcel> {
        (self.0.load(Ordering::Relaxed).saturating_add(bytes.len()) <= MOST)
            .then(|| self.count(bytes))
    }

    fn count(&self, bytes: Vec<u8>) -> Parcel {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        let waiting = self.clone();
        Parcel { bytes, waiting }
    }
}

impl WayBack {
    /// Counts a reply as waiting from now on, or, in its place, that it failed.
    #[must_use]
    pub fn pack(&self, reply: &[u8]) -> Parcel {
        let before = self.waiting.0.load(Ordering::Relaxed);
        match failure(reply) {
            Some(short) if before.saturating_add(reply.len()) > MOST => {
                self.waiting.count(short.to_vec())
            }
            _ => self.waiting.count(reply.to_vec()),
        }
    }

    /// Sends it. A stream that does not read its replies loses them.
    pub fn send(self, reply: Parcel) {
        let _ = self.replies.try_send(reply);
    }
}

impl Deref for Parcel {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Parcel {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let waited = self.bytes.len();
        self.waiting.0.fetch_sub(waited, Ordering::Relaxed);
    }
}

/// The header of `reply`, which says instead that the server failed.
fn failure(reply: &[u8]) -> Option<[u8; HEADER]> {
    let [a, b, c, d, ..] = *reply.first_chunk::<HEADER>()?;
    // Neither AA, TC nor AD; RD, RA and CD as they were.
    let (c, d) = (c & !0x06, d & 0x90 | Rcode::ServFail as u8);
    Some([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_on_a_connection_is_bounded_until_it_is_taken() {
        let waiting = Waiting::default();
        let (way, mut outbox) = way_back(64, &waiting);
        let mut long = vec![7; 60_000];
        long[..4].copy_from_slice(&[1, 2, 0x87, 0xb0]);
        for _ in 0..64 {
            way.clone().send(way.pack(&long));
        }
        let mut taken: Vec<Parcel> = std::iter::from_fn(|| outbox.try_recv().ok()).collect();
        let lengths = |all: &[Parcel]| all.iter().map(|reply| reply.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&taken)[..4], [60_000; 4]);
        assert_eq!(lengths(&taken)[4..], [HEADER; 60]);
        assert_eq!(taken[63][..], [1, 2, 0x81, 0x92, 0, 0, 0, 0, 0, 0, 0, 0]);
        // One that is of another question of the same connection, and silence.
        let (other, mut its_own) = way_back(1, &waiting);
        let packed = other.pack(&long);
        other.send(packed);
        assert_eq!(its_own.try_recv().unwrap().len(), HEADER);
        assert!(waiting.take_in(long.clone()).is_none());
        way.clone().send(way.pack(&[]));
        assert_eq!(outbox.try_recv().unwrap().len(), 0);
        taken.clear();
        let packed = way.pack(&long);
        way.send(packed);
        assert_eq!(outbox.try_recv().unwrap().len(), 60_000);
        assert_eq!(waiting.take_in(long).unwrap().len(), 60_000);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
    }
}
