//! Sockets to upstreams: random ports, random ids, rotated.
//!
//! A forged answer must guess the port, the id and the case of the name
//! (RFC 5452, 0x20). A fresh socket for every question would be the surest and
//! costs most of the work of a miss, so a few sockets serve each server, each
//! for a limited number of questions and seconds. They are connected: the
//! kernel drops what comes from elsewhere and says when a server's port is
//! closed.
//!
//! Questions gather until [`Pool::flush`]: those that came to us in one batch
//! leave in one batch, by one socket drawn for it, and so their answers come
//! back in one.
//!
//! It must never reuse an id that is on its way on the same socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsRawFd;

use hashbrown::HashTable;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::sys::socket::MultiHeaders;
use rand::Rng;
use rand::rngs::StdRng;

use super::lines::Mark;
use crate::dns::batch::{self, BATCH, Inbox};

/// Sockets for each server.
const SOCKETS: usize = 16;
/// A socket is replaced after so many questions,
const USES: u16 = 256;
/// or after so many milliseconds,
const AGE: u64 = 10_000;
/// and closed when every answer has come, at the latest so many milliseconds
/// later: by then no flight waits for one.
const LINGER: u64 = 2_000;

/// Ids on their way, and whose they are.
type Waiting = HashTable<(u16, Mark)>;

struct Socket {
    inner: UdpSocket,
    server: usize,
    uses: u16,
    born: u64,
    waiting: Waiting,
}

/// The sockets of one worker.
pub struct Pool {
    registry: Registry,
    /// The first token that is ours.
    base: usize,
    sockets: Vec<Option<Socket>>,
    servers: Vec<Server>,
    /// Sockets that take no more questions, and when they close.
    leaving: Vec<(u64, usize)>,
    /// Tables of closed sockets, to be used again.
    tables: Vec<Waiting>,
    out: Outbox,
}

/// What is kept for one server.
#[derive(Clone, Default)]
struct Server {
    /// Which socket each of its places uses now.
    places: [Option<usize>; SOCKETS],
    /// The place that this batch goes by.
    drawn: Option<usize>,
}

/// Questions that leave with the next flush.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    questions: Vec<Outgoing>,
}

struct Outgoing {
    socket: usize,
    id: u16,
    /// Where its bytes are.
    range: Range<usize>,
    mark: Mark,
}

/// The kernel's view of a batch; it cannot leave its thread.
pub struct Postman(MultiHeaders<()>);

/// How reading a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// The batch is full; there may be more.
    More,
    /// That was all.
    All,
    /// The server cannot be reached: what is on its way on this socket is lost.
    Unreachable,
}

impl Default for Postman {
    fn default() -> Self {
        Self(MultiHeaders::preallocate(BATCH, None))
    }
}

impl Pool {
    /// A pool that registers its sockets under tokens from `base` on.
    #[must_use]
    pub fn new(registry: Registry, base: usize) -> Self {
        Self {
            registry,
            base,
            sockets: Vec::new(),
            servers: Vec::new(),
            leaving: Vec::new(),
            tables: Vec::new(),
            out: Outbox::default(),
        }
    }

    /// Has a question leave with the next flush, under an id that `mark` is then
    /// found by. `write` appends the packet; its id is filled in here.
    pub fn post(
        &mut self,
        address: SocketAddr,
        mark: Mark,
        random: &mut StdRng,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        let index = self.socket_for(mark.server, address, mark.sent, random)?;
        let Some(Some(socket)) = self.sockets.get_mut(index) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let id = std::iter::repeat_with(|| random.next_u32() as u16)
            .find(|id| socket.find(*id).is_none())
            .unwrap_or_default();
        socket.uses += 1;
        socket
            .waiting
            .insert_unique(spread(id), (id, mark), |(id, _)| spread(*id));
        let from = self.out.bytes.len();
        write(&mut self.out.bytes);
        let field = self.out.bytes.get_mut(from..);
        if let Some(field) = field.and_then(|packet| packet.first_chunk_mut::<2>()) {
            *field = id.to_be_bytes();
        }
        self.out.questions.push(Outgoing {
            socket: index,
            id,
            range: from..self.out.bytes.len(),
            mark,
        });
        Ok(())
    }

    /// Whether anything waits for a flush.
    #[must_use]
    pub fn has_posted(&self) -> bool {
        !self.out.questions.is_empty()
    }

    /// Sends what was posted; `failed` hears of each that could not be.
    pub fn flush(&mut self, postman: &mut Postman, mut failed: impl FnMut(Mark)) {
        let mut out = std::mem::take(&mut self.out);
        out.questions.sort_by_key(|question| question.socket);
        for batch in out.questions.chunk_by(|a, b| a.socket == b.socket) {
            let socket = batch.first().and_then(|q| self.sockets.get_mut(q.socket));
            let Some(Some(socket)) = socket else {
                for question in batch {
                    failed(question.mark);
                }
                continue;
            };
            for batch in batch.chunks(BATCH) {
                socket.send(&out.bytes, batch, postman, &mut failed);
            }
        }
        out.bytes.clear();
        out.questions.clear();
        self.out = out;
        for server in &mut self.servers {
            server.drawn = None;
        }
    }

    /// Reads one batch from the socket under `token`.
    pub fn read(&mut self, token: Token, inbox: &mut Inbox<()>) -> Read {
        let Some(socket) = self.socket(token) else {
            inbox.clear();
            return Read::All;
        };
        match inbox.read(socket.inner.as_raw_fd()) {
            Ok(()) if inbox.is_full() => Read::More,
            Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => Read::All,
            Err(_) => Read::Unreachable,
        }
    }

    /// Whose question is on its way under `id` on this socket.
    #[must_use]
    pub fn whose(&mut self, token: Token, id: u16) -> Option<Mark> {
        self.socket(token)?.find(id).map(|(_, mark)| *mark)
    }

    /// The answer to `id` has come: no other is taken.
    pub fn done(&mut self, token: Token, id: u16) {
        if let Some(socket) = self.socket(token) {
            forget(&mut socket.waiting, id);
        }
    }

    /// Everything that was on its way on a socket whose server cannot be
    /// reached.
    pub fn lost(&mut self, token: Token) -> Vec<Mark> {
        let socket = self.socket(token);
        let lost = socket.map(|socket| socket.waiting.drain().map(|(_, mark)| mark).collect());
        lost.unwrap_or_default()
    }

    /// Closes sockets whose last answer cannot come any more.
    pub fn sweep(&mut self, now: u64) {
        let Self {
            leaving,
            sockets,
            tables,
            ..
        } = self;
        leaving.retain(|(when, index)| {
            let Some(place) = sockets.get_mut(*index) else {
                return false;
            };
            let waits = place.as_ref().is_some_and(|s| !s.waiting.is_empty());
            let stays = now < *when && waits;
            if !stays && let Some(socket) = place.take() {
                let mut table = socket.waiting;
                table.clear();
                tables.push(table);
            }
            stays
        });
    }

    fn socket(&mut self, token: Token) -> Option<&mut Socket> {
        let index = token.0.checked_sub(self.base)?;
        self.sockets.get_mut(index)?.as_mut()
    }

    fn socket_for(
        &mut self,
        server: usize,
        address: SocketAddr,
        now: u64,
        random: &mut StdRng,
    ) -> io::Result<usize> {
        if self.servers.len() <= server {
            self.servers.resize(server + 1, Server::default());
        }
        let Some(its) = self.servers.get_mut(server) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let place = *its
            .drawn
            .get_or_insert_with(|| random.next_u32() as usize % SOCKETS);
        let current = its.places.get(place).copied().flatten();
        if let Some(index) = current
            && let Some(Some(socket)) = self.sockets.get(index)
            && socket.server == server
        {
            if socket.uses < USES && now.saturating_sub(socket.born) < AGE {
                return Ok(index);
            }
            self.leaving.push((now + LINGER, index));
            // Should no new one open, this one must not be closed twice: by
            // then its number may be another's.
            if let Some(slot) = its.places.get_mut(place) {
                *slot = None;
            }
        }
        let index = self.open_socket(server, address, now)?;
        let its = self.servers.get_mut(server);
        if let Some(slot) = its.and_then(|its| its.places.get_mut(place)) {
            *slot = Some(index);
        }
        Ok(index)
    }

    fn open_socket(&mut self, server: usize, address: SocketAddr, now: u64) -> io::Result<usize> {
        self.sweep(now);
        let any = if address.is_ipv4() {
            IpAddr::from([0; 4])
        } else {
            IpAddr::from([0; 16])
        };
        // Port 0: the kernel picks one at random.
        let mut socket = UdpSocket::bind((any, 0).into())?;
        socket.connect(address)?;
        let index = self
            .sockets
            .iter()
            .position(Option::is_none)
            .unwrap_or_else(|| {
                self.sockets.push(None);
                self.sockets.len() - 1
            });
        self.registry
            .register(&mut socket, Token(self.base + index), Interest::READABLE)?;
        if let Some(place) = self.sockets.get_mut(index) {
            *place = Some(Socket {
                inner: socket,
                server,
                uses: 0,
                born: now,
                waiting: self.tables.pop().unwrap_or_default(),
            });
        }
        Ok(index)
    }
}

impl Socket {
    fn find(&self, id: u16) -> Option<&(u16, Mark)> {
        self.waiting.find(spread(id), |(other, _)| *other == id)
    }

    /// Sends one batch, whatever happens to each.
    fn send(
        &mut self,
        bytes: &[u8],
        batch: &[Outgoing],
        Postman(headers): &mut Postman,
        failed: &mut impl FnMut(Mark),
    ) {
        let mut packets: [&[u8]; BATCH] = [&[]; BATCH];
        for (packet, question) in packets.iter_mut().zip(batch) {
            *packet = bytes.get(question.range.clone()).unwrap_or_default();
        }
        let to = [None; BATCH];
        let to = to.get(..batch.len()).unwrap_or_default();
        // A first error is most often the ICMP message about an earlier
        // question, told late and but once: this one has not been sent.
        batch::send(self.inner.as_raw_fd(), headers, &packets, to, 2, |place| {
            if let Some(question) = batch.get(place) {
                forget(&mut self.waiting, question.id);
                failed(question.mark);
            }
        });
    }
}

fn forget(waiting: &mut Waiting, id: u16) {
    if let Ok(found) = waiting.find_entry(spread(id), |(other, _)| *other == id) {
        found.remove();
    }
}

/// An id as a hash: ids are random already, the table wants bits everywhere.
fn spread(id: u16) -> u64 {
    u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
