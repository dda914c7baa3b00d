//! A worker's mailbox: how the tokio side hands it streams' questions and the
//! answers of slow roads, and the house what it wants to know.
//!
//! The worker sleeps in its own event loop, so posting wakes it. The box is
//! bounded; when it is full a question is refused at once rather than queued
//! behind thousands, and the stream that sent it is closed by its client's
//! time-out or asked again.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mio::Waker;
use tokio::sync::mpsc::Sender;

use super::pipeline::{From, Wanted};
use super::streams::returns::Marked;
use super::upstream::lines::Mark;
use super::upstream::validation::{Inquiry, Verdict};
use super::way_back::WayBack;

/// Letters a box holds.
const SIZE: usize = 4096;

/// What can be in the box.
#[derive(Debug)]
pub enum Mail {
    /// A stream's question.
    Question {
        /// The packet, without its length.
        packet: Vec<u8>,
        /// The stream's other end.
        from: From,
        /// Where its replies go.
        replies: WayBack,
    },
    /// A question with a task of its own, among others that wait beside it.
    Request {
        /// The packet.
        packet: Vec<u8>,
        /// The other end.
        from: From,
        /// What the reply is known by.
        mark: u64,
        /// Where the replies to all such questions go.
        replies: Sender<Marked>,
    },
    /// Something to be looked up that nobody has asked for.
    Probe {
        /// What.
        wanted: Wanted,
        /// The asker's own mark.
        mark: usize,
        /// Is told the mark, and whether there is an address.
        tell: std::sync::mpsc::Sender<(usize, bool)>,
    },
    /// What came of a question asked over a line.
    LineAnswer {
        /// Whose it was.
        mark: Mark,
        /// The question as sent.
        packet: Vec<u8>,
        /// The answer.
        answer: io::Result<Vec<u8>>,
    },
    /// A validator asks for what it needs.
    Inquiry {
        /// What it needs.
        wanted: Wanted,
        /// Where it goes.
        answer: Inquiry,
    },
    /// What came of an answer's examination.
    Verdict {
        /// The flight, and its serial.
        place: (u32, u32),
        /// The answer, or why there is none.
        verdict: Verdict,
    },
}

/// The sending side; cheap to clone.
#[derive(Clone)]
pub struct Mailbox {
    sender: SyncSender<Mail>,
    bell: Arc<Bell>,
}

/// The worker's side.
pub struct Letters {
    receiver: Receiver<Mail>,
    bell: Arc<Bell>,
}

/// Wakes the worker. A ring is a call of the kernel; so while one is still
/// unheard there is no other.
struct Bell {
    waker: Waker,
    unheard: AtomicBool,
}

/// A box for the worker that `waker` wakes.
#[must_use]
pub fn mailbox(waker: Waker) -> (Mailbox, Letters) {
    let (sender, receiver) = sync_channel(SIZE);
    let bell = Arc::new(Bell {
        waker,
        unheard: AtomicBool::new(false),
    });
    let letters = Letters {
        receiver,
        bell: Arc::clone(&bell),
    };
    (Mailbox { sender, bell }, letters)
}

impl Mailbox {
    /// Puts `mail` in; `false` if the box is full or the worker gone.
    #[must_use]
    pub fn post(&self, mail: Mail) -> bool {
        let posted = self.sender.try_send(mail).is_ok();
        // A full box needs waking too: its owner may have missed a wake-up.
        posted & self.wake()
    }

    /// Wakes the worker without a word.
    #[must_use]
    pub fn wake(&self) -> bool {
        self.bell.ring()
    }
}

impl Bell {
    fn ring(&self) -> bool {
        if self.unheard.swap(true, Ordering::SeqCst) {
            return true;
        }
        let rung = self.waker.wake().is_ok();
        if !rung {
            self.unheard.store(false, Ordering::SeqCst);
        }
        rung
    }
}

impl Letters {
    /// Hears the bell. Before the letters are taken, never after: whoever rings
    /// later is heard again.
    pub fn hear(&self) {
        if self.bell.unheard.load(Ordering::Relaxed) {
            self.bell.unheard.swap(false, Ordering::SeqCst);
        }
    }

    /// The next letter, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Mail> {
        self.receiver.try_recv().ok()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    #[test]
    fn the_bell_rings_again_once_it_was_heard() {
        let mut poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        let (mailbox, letters) = mailbox(waker);
        let mut events = Events::with_capacity(4);
        let mut is_woken = || {
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            !events.is_empty()
        };
        for _ in 0..3 {
            assert!(mailbox.wake());
            assert!(is_woken());
            assert!(mailbox.wake());
            assert!(!is_woken(), "it was rung while it had not been heard");
            letters.hear();
        }
        assert!(!is_woken());
    }
}
