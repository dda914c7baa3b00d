//! Sockets to upstreams: random ports, random ids, rotated.
//!
//! A forged answer must guess the port, the id and the case of the name
//! (RFC 5452, 0x20). A fresh socket for every question would be the surest and
//! costs most of the work of a miss, so a few sockets serve each server, each
//! for a limited number of questions and seconds. They are connected: the
//! kernel drops what comes from elsewhere and says when a server's port is
//! closed.
//!
//! It must never reuse an id that is on its way on the same socket.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use rand::Rng;
use rand::rngs::StdRng;

use super::tcp::Mark;

/// Sockets for each server.
const SOCKETS: usize = 16;
/// A socket is replaced after so many questions,
const USES: u16 = 256;
/// or after so many milliseconds,
const AGE: u64 = 10_000;
/// and closed so many milliseconds later, when nothing can be on its way.
const LINGER: u64 = 5_000;

/// One question on its way.
#[derive(Debug)]
pub struct Ticket {
    /// Which flight it belongs to.
    pub flight: u32,
    /// The serial of that flight: places are used again.
    pub serial: u32,
    /// Which server was asked.
    pub server: usize,
    /// When, in milliseconds.
    pub sent: u64,
    /// The question as sent, in random case.
    pub question: Box<[u8]>,
}

impl Ticket {
    /// By which the flight it belongs to is found.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            flight: self.flight,
            serial: self.serial,
            server: self.server,
            sent: self.sent,
        }
    }
}

struct Socket {
    inner: UdpSocket,
    server: usize,
    uses: u16,
    born: u64,
    waiting: HashMap<u16, Ticket>,
}

/// The sockets of one worker.
pub struct Pool {
    registry: Registry,
    /// The first token that is ours.
    base: usize,
    sockets: Vec<Option<Socket>>,
    /// Per server: which socket each of its places uses now.
    places: Vec<[Option<usize>; SOCKETS]>,
    /// Sockets that take no more questions, and when they close.
    leaving: Vec<(u64, usize)>,
}

impl Pool {
    /// A pool that registers its sockets under tokens from `base` on.
    #[must_use]
    pub fn new(registry: Registry, base: usize) -> Self {
        Self {
            registry,
            base,
            sockets: Vec::new(),
            places: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Sends `packet` to a server with an id that `ticket` is then found by.
    pub fn send(
        &mut self,
        address: SocketAddr,
        ticket: Ticket,
        packet: &mut [u8],
        random: &mut StdRng,
    ) -> io::Result<()> {
        let now = ticket.sent;
        let index = self.socket_for(ticket.server, address, now, random)?;
        let Some(Some(socket)) = self.sockets.get_mut(index) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let id = std::iter::repeat_with(|| random.next_u32() as u16)
            .find(|id| !socket.waiting.contains_key(id))
            .unwrap_or_default();
        if let Some(field) = packet.first_chunk_mut::<2>() {
            *field = id.to_be_bytes();
        }
        socket.uses += 1;
        // An error here is most often the ICMP message about an earlier
        // question, told late and but once: this one has not been sent yet.
        if socket.inner.send(packet).is_err() {
            socket.inner.send(packet)?;
        }
        socket.waiting.insert(id, ticket);
        Ok(())
    }

    /// The next datagram of the socket under `token`. `None` when there is no
    /// more; the ticket is missing when nothing was asked under that id.
    pub fn receive<'b>(&mut self, token: Token, buffer: &'b mut [u8]) -> Option<Received<'b>> {
        let index = token.0.checked_sub(self.base)?;
        let socket = self.sockets.get_mut(index)?.as_mut()?;
        match socket.inner.recv(buffer) {
            Ok(length) => {
                let message: &[u8] = buffer.get(..length)?;
                let id = message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id));
                let ticket = id.and_then(|id| accept(socket, id, message));
                Some(Received::Message(message, ticket))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            // ICMP: the port is closed or the way is; all on it are lost.
            Err(_) => Some(Received::Unreachable(
                socket.waiting.drain().map(|(_, ticket)| ticket).collect(),
            )),
        }
    }

    /// Closes sockets whose last answer cannot come any more.
    pub fn sweep(&mut self, now: u64) {
        let Self {
            leaving, sockets, ..
        } = self;
        leaving.retain(|(when, index)| {
            let stays = now < *when;
            if !stays && let Some(place) = sockets.get_mut(*index) {
                *place = None;
            }
            stays
        });
    }

    fn socket_for(
        &mut self,
        server: usize,
        address: SocketAddr,
        now: u64,
        random: &mut StdRng,
    ) -> io::Result<usize> {
        if self.places.len() <= server {
            self.places.resize(server + 1, [None; SOCKETS]);
        }
        let place = random.next_u32() as usize % SOCKETS;
        let current = self
            .places
            .get(server)
            .and_then(|p| p.get(place))
            .copied()
            .flatten();
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
            if let Some(slot) = self.places.get_mut(server).and_then(|p| p.get_mut(place)) {
                *slot = None;
            }
        }
        let index = self.open_socket(server, address, now)?;
        if let Some(slot) = self.places.get_mut(server).and_then(|p| p.get_mut(place)) {
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
                waiting: HashMap::new(),
            });
        }
        Ok(index)
    }
}

/// What came in.
pub enum Received<'b> {
    /// A datagram, with the question it may answer.
    Message(&'b [u8], Option<Ticket>),
    /// The server cannot be reached; these questions are lost.
    Unreachable(Vec<Ticket>),
}

/// Takes the ticket if the message echoes its question; the case is for the
/// caller to judge. A wrong echo leaves the ticket: the true answer may follow.
fn accept(socket: &mut Socket, id: u16, message: &[u8]) -> Option<Ticket> {
    let ticket = socket.waiting.get(&id)?;
    let echo = message.get(12..12 + ticket.question.len())?;
    if !echo.eq_ignore_ascii_case(&ticket.question) {
        return None;
    }
    socket.waiting.remove(&id)
}
