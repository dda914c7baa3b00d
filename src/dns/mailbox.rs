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
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mio::Waker;

use super::pipeline::{From, Wanted};
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
    waker: Arc<Waker>,
}

/// The worker's side.
pub struct Letters(Receiver<Mail>);

/// A box for the worker that `waker` wakes.
#[must_use]
pub fn mailbox(waker: Waker) -> (Mailbox, Letters) {
    let (sender, receiver) = sync_channel(SIZE);
    let waker = Arc::new(waker);
    (Mailbox { sender, waker }, Letters(receiver))
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
        self.waker.wake().is_ok()
    }
}

impl Letters {
    /// The next letter, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Mail> {
        self.0.try_recv().ok()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}
