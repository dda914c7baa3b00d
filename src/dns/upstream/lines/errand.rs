//! One question under way on a line.

use std::io;
use std::time::Instant;

use super::{Ask, Mark};
use crate::dns::mailbox::{Mail, Mailbox};

/// How often a question is sent again because its connection went without
/// answering anything.
const MOST_TRIES: u8 = 2;

/// A question, and where its answer goes.
#[derive(Debug)]
pub(super) struct Errand {
    /// The question's bytes; their id is the worker's, not the connection's.
    pub(super) packet: Vec<u8>,
    /// After this nobody waits for it any more.
    pub(super) deadline: Instant,
    mark: Mark,
    mailbox: Mailbox,
    tries: u8,
}

impl Errand {
    pub(super) fn new(ask: Ask, now: Instant) -> Self {
        Self {
            packet: ask.packet,
            deadline: now + ask.limit,
            mark: ask.mark,
            mailbox: ask.mailbox,
            tries: 0,
        }
    }

    /// The question with the id that the connection knows it by.
    pub(super) fn packet_as(&self, id: u16) -> Vec<u8> {
        let mut packet = self.packet.clone();
        set_id(&mut packet, id);
        packet
    }

    /// Gives the worker its answer, under the worker's own id.
    pub(super) fn answer(self, mut message: Vec<u8>) {
        let id = self.packet.first_chunk::<2>().copied().unwrap_or_default();
        set_id(&mut message, u16::from_be_bytes(id));
        self.post(Ok(message));
    }

    /// Tells the worker that there is none.
    pub(super) fn fail(self, why: io::ErrorKind) {
        self.post(Err(why.into()));
    }

    /// Whether it may be sent once more. Over a connection that had answered
    /// others (`useful`) it always may: some servers close after each answer.
    pub(super) fn may_try_again(&mut self, useful: bool, now: Instant) -> bool {
        self.tries += u8::from(!useful);
        self.tries < MOST_TRIES && now < self.deadline
    }

    /// A worker that is gone, or swamped, lets the question time out.
    fn post(self, answer: io::Result<Vec<u8>>) {
        let _ = self.mailbox.post(Mail::LineAnswer {
            mark: self.mark,
            packet: self.packet,
            answer,
        });
    }
}

fn set_id(packet: &mut [u8], id: u16) {
    if let Some(field) = packet.first_chunk_mut::<2>() {
        *field = id.to_be_bytes();
    }
}
