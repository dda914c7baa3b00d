//! The miss road: a question that must be asked on, until it is answered.
//!
//! Questions that mean the same share one *flight*. A flight asks the best
//! server, another one if that is slower than usual, everybody again if need
//! be, and ends after [`DEADLINE`] whatever happens: a client is told in time
//! that the line is down, or gets yesterday's answer. What comes back is
//! believed only if socket, id, question and the case of the name fit
//! (RFC 5452); a truncated answer is asked for again over TCP.
//!
//! One worker owns it; it runs on the worker's own event loop. Nothing about
//! the client is sent: no ECS, no MAC, no cookie.

pub mod health;
mod message;
mod servers;
pub mod tcp;
pub mod udp;
mod untangle;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mio::{Registry, Token};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::Sender;

use self::health::{Health, ranked, to_measure};
use self::message::{packet, question_length, randomise_case, read};
pub use self::servers::{Server, Servers};
use self::tcp::{Mark, TcpAsk};
use self::udp::{Pool, Received, Ticket};
use super::answer::{Answer, NoAnswer};
use super::mailbox::Mailbox;
use super::pipeline::{Pending, Wanted};
use super::question::{HEADER, Rcode};
use super::reply::ede;
use crate::metrics::Counters;

const SERVFAIL: u16 = Rcode::ServFail as u16;

/// After so many milliseconds a flight ends without an answer. Under two
/// seconds, when most clients ask again; RFC 8767 suggests 1.8.
pub const DEADLINE: u64 = 1_800;
/// When the same servers are asked once more.
const AGAIN: u64 = 600;
/// For how long a failure is remembered (RFC 9520: 1 s to 5 min).
const FAILURE_TTL: u32 = 5;
/// Replies with a wrong case after which a server is taken to fold it.
const FOLDS_CASE: u32 = 3;

/// A flight that ended.
pub struct Landed {
    /// What was asked.
    pub wanted: Wanted,
    /// Who waits for it.
    pub waiting: Vec<Pending>,
    /// The answer, or why there is none (an EDE code).
    pub answer: Result<Answer, u16>,
}

/// The miss road of one worker.
pub struct Forwarder {
    servers: Arc<Servers>,
    health: Vec<Health>,
    wrong_case: Vec<u32>,
    pool: Pool,
    tcp: Sender<TcpAsk>,
    mailbox: Mailbox,
    random: StdRng,
    by_question: HashMap<Wanted, u32>,
    flights: Vec<Option<Flight>>,
    free: Vec<u32>,
    timers: BinaryHeap<Reverse<(u64, u32, u32)>>,
    serial: u32,
    waiting: usize,
    most_waiting: usize,
    landed: Vec<Landed>,
    counters: Arc<Counters>,
}

struct Flight {
    serial: u32,
    wanted: Wanted,
    waiting: Vec<Pending>,
    began: u64,
    /// Servers in the order in which to ask them, and how many have been.
    order: Vec<usize>,
    next: usize,
    /// Questions on their way.
    out: usize,
    /// Servers that were asked and have not failed, and when they first were.
    asked: Vec<(usize, u64)>,
    /// Rounds through all servers.
    rounds: u32,
    error: u16,
}

impl Forwarder {
    /// A miss road whose sockets get tokens from `base` on.
    #[must_use]
    pub fn new(
        servers: Arc<Servers>,
        (registry, base): (Registry, usize),
        (tcp, mailbox): (Sender<TcpAsk>, Mailbox),
        most_waiting: usize,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            health: vec![Health::default(); servers.all.len()],
            wrong_case: vec![0; servers.all.len()],
            servers,
            pool: Pool::new(registry, base),
            tcp,
            mailbox,
            random: StdRng::from_rng(&mut rand::rng()),
            by_question: HashMap::new(),
            flights: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            serial: 0,
            waiting: 0,
            most_waiting,
            landed: Vec::new(),
            counters,
        }
    }

    /// Asks for `pending`, or joins it to those who wait for the same. Gives it
    /// back if too many wait already (R-133c).
    pub fn ask(&mut self, pending: Box<Pending>, now: u64) -> Result<(), Box<Pending>> {
        if self.waiting >= self.most_waiting {
            return Err(pending);
        }
        self.waiting += 1;
        self.counters.upstream_waiting.set(self.waiting as u64);
        if let Some(flight) = self.flight_of(&pending.wanted) {
            flight.waiting.push(*pending);
            self.counters.upstream_shared.count();
        } else {
            let wanted = pending.wanted.clone();
            self.begin(wanted, vec![*pending], now);
        }
        Ok(())
    }

    /// Asks for what nobody waits for, so that the next one need not.
    pub fn refresh(&mut self, wanted: Wanted, now: u64) {
        if self.waiting < self.most_waiting && self.flight_of(&wanted).is_none() {
            self.begin(wanted, Vec::new(), now);
        }
    }

    /// Reads everything that came in on the socket under `token`.
    pub fn receive(&mut self, token: Token, buffer: &mut [u8], now: u64) {
        while let Some(received) = self.pool.receive(token, buffer) {
            match received {
                Received::Message(message, Some(ticket)) => {
                    let mark = ticket.mark();
                    self.judge(message, &ticket.question, mark, now);
                }
                Received::Message(_, None) => self.counters.upstream_mismatches.count(),
                Received::Unreachable(lost) => {
                    for ticket in lost {
                        self.failed(ticket.mark(), ede::NETWORK_ERROR, now);
                    }
                }
            }
        }
    }

    /// Takes what came of a question asked over TCP.
    pub fn tcp_answer(
        &mut self,
        mark: Mark,
        packet: &[u8],
        answer: std::io::Result<Vec<u8>>,
        now: u64,
    ) {
        let question = packet.get(HEADER..HEADER + question_length(packet));
        match (answer, question) {
            (Ok(message), Some(question)) => {
                let fits = message.get(..2) == packet.get(..2)
                    && message
                        .get(HEADER..HEADER + question.len())
                        .is_some_and(|echo| echo.eq_ignore_ascii_case(question));
                if !fits {
                    self.counters.upstream_mismatches.count();
                    return self.failed(mark, ede::OTHER, now);
                }
                // The connection vouches for the sender: case is no matter.
                match read(&message, question) {
                    Ok(answer) => self.answered(mark, Ok(answer), now),
                    Err(_) => self.failed(mark, ede::OTHER, now),
                }
            }
            (Err(error), _) if error.kind() == std::io::ErrorKind::TimedOut => {
                self.failed(mark, ede::NO_REACHABLE_AUTHORITY, now);
            }
            _ => self.failed(mark, ede::NETWORK_ERROR, now),
        }
    }

    /// Does what is due: asks another server, gives up.
    pub fn tick(&mut self, now: u64) {
        while let Some(&Reverse((when, index, serial))) = self.timers.peek() {
            if when > now {
                break;
            }
            self.timers.pop();
            let Some(flight) = self.flight(index, serial) else {
                continue;
            };
            if now.saturating_sub(flight.began) >= DEADLINE {
                let error = flight.error;
                // Whoever was asked and kept silent has failed.
                for (server, _) in std::mem::take(&mut flight.asked) {
                    self.note_failure(server, now);
                }
                self.land(index, Err(error));
            } else {
                self.ask_next(index, now);
            }
        }
        self.pool.sweep(now);
    }

    /// When [`Forwarder::tick`] has something to do.
    #[must_use]
    pub fn next_tick(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((when, ..))| *when)
    }

    /// The flights that have ended since the last call.
    pub fn landed(&mut self) -> Vec<Landed> {
        std::mem::take(&mut self.landed)
    }

    /// Whether flights have ended.
    #[must_use]
    pub fn has_landed(&self) -> bool {
        !self.landed.is_empty()
    }

    fn begin(&mut self, wanted: Wanted, waiting: Vec<Pending>, now: u64) {
        let servers = self.servers.of(wanted.name());
        let order = ranked(&self.health, &servers, now);
        let beside = to_measure(&self.health, &order, now);
        self.serial = self.serial.wrapping_add(1);
        let flight = Flight {
            serial: self.serial,
            wanted: wanted.clone(),
            waiting,
            began: now,
            order,
            next: 0,
            out: 0,
            asked: Vec::new(),
            rounds: 0,
            error: ede::NO_REACHABLE_AUTHORITY,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.flights.push(None);
            (self.flights.len() - 1) as u32
        });
        if let Some(place) = self.flights.get_mut(index as usize) {
            *place = Some(flight);
        }
        self.by_question.insert(wanted, index);
        self.timers
            .push(Reverse((now + DEADLINE, index, self.serial)));
        let serial = self.serial;
        self.ask_next(index, now);
        if let Some(server) = beside
            && self.flight(index, serial).is_some()
        {
            self.send(index, server, now);
        }
    }

    /// Asks the next server of a flight, and sets the time for the one after.
    fn ask_next(&mut self, index: u32, now: u64) {
        let Some(Some(flight)) = self.flights.get_mut(index as usize) else {
            return;
        };
        if flight.next >= flight.order.len() {
            flight.next = 0;
            flight.rounds += 1;
        }
        let (serial, rounds) = (flight.serial, flight.rounds);
        let Some(&server) = flight.order.get(flight.next) else {
            return self.land(index, Err(ede::NO_REACHABLE_AUTHORITY));
        };
        flight.next += 1;
        let last = flight.next >= flight.order.len();
        let hedge = self.health.get(server).map_or(AGAIN, Health::hedge_after);
        let wait = if last || rounds > 0 { AGAIN } else { hedge };
        self.timers.push(Reverse((now + wait, index, serial)));
        self.send(index, server, now);
    }

    fn send(&mut self, index: u32, server: usize, now: u64) {
        let (Some(Some(flight)), Some(&target)) = (
            self.flights.get_mut(index as usize),
            self.servers.all.get(server),
        ) else {
            return;
        };
        flight.out += 1;
        if flight.asked.iter().all(|(other, _)| *other != server) {
            flight.asked.push((server, now));
        }
        let mut question = flight.wanted.question.clone();
        let folds = self
            .wrong_case
            .get(server)
            .is_some_and(|n| *n >= FOLDS_CASE);
        if !folds {
            randomise_case(&mut question, &mut self.random);
        }
        let mut packet = packet(&question, &flight.wanted);
        let ticket = Ticket {
            flight: index,
            serial: flight.serial,
            server,
            sent: now,
            question,
        };
        self.counters.upstream_queries.count();
        if let Some(health) = self.health.get_mut(server) {
            health.asked(now);
        }
        let mark = ticket.mark();
        if target.tcp_only {
            self.send_tcp(mark, packet, now);
        } else if self
            .pool
            .send(target.address, ticket, &mut packet, &mut self.random)
            .is_err()
        {
            self.failed(mark, ede::NETWORK_ERROR, now);
        }
    }

    fn send_tcp(&mut self, mark: Mark, mut packet: Vec<u8>, now: u64) {
        let Some(&target) = self.servers.all.get(mark.server) else {
            return;
        };
        let Some(flight) = self.flight(mark.flight, mark.serial) else {
            return;
        };
        let left = (flight.began + DEADLINE).saturating_sub(now);
        if let Some(id) = packet.first_chunk_mut::<2>() {
            *id = (self.random.next_u32() as u16).to_be_bytes();
        }
        let ask = TcpAsk {
            server: target.address,
            packet,
            limit: Duration::from_millis(left),
            mark,
            mailbox: self.mailbox.clone(),
        };
        if self.tcp.try_send(ask).is_err() {
            self.failed(mark, ede::NETWORK_ERROR, now);
        }
    }

    /// A message whose id and question fit.
    fn judge(&mut self, message: &[u8], question: &[u8], mark: Mark, now: u64) {
        let echo = message.get(HEADER..HEADER + question.len());
        if echo != Some(question) {
            // Either the server folds case or somebody guessed nearly all: the
            // answer is asked for again where it cannot be forged.
            self.counters.upstream_mismatches.count();
            if let Some(count) = self.wrong_case.get_mut(mark.server) {
                *count = count.saturating_add(1);
            }
            return self.again_over_tcp(question, mark, now);
        }
        match read(message, question) {
            Ok(answer) => self.answered(mark, Ok(answer), now),
            Err(NoAnswer::Truncated) => self.again_over_tcp(question, mark, now),
            // It lives, and it is this name that is broken: another may know
            // more, but a pupil's typing must not rank a good server last.
            Err(NoAnswer::Failed(SERVFAIL)) => {
                if let Some(health) = self.health.get_mut(mark.server) {
                    health.answered(now.saturating_sub(mark.sent));
                }
                self.ask_another(mark, ede::OTHER, now);
            }
            Err(_) => self.failed(mark, ede::OTHER, now),
        }
    }

    fn again_over_tcp(&mut self, question: &[u8], mark: Mark, now: u64) {
        let Some(flight) = self.flight(mark.flight, mark.serial) else {
            return;
        };
        let packet = packet(question, &flight.wanted);
        self.send_tcp(mark, packet, now);
    }

    fn answered(&mut self, mark: Mark, answer: Result<Answer, u16>, now: u64) {
        if let Some(health) = self.health.get_mut(mark.server) {
            health.answered(now.saturating_sub(mark.sent));
        }
        let Some(flight) = self.flight(mark.flight, mark.serial) else {
            return;
        };
        // Another has overtaken those that should have answered by now. Should
        // their answers still come, that mends it; a dead one would else be
        // asked first for ever, and every question wait for the second.
        for (server, since) in std::mem::take(&mut flight.asked) {
            let health = self.health.get(server);
            let late = health.is_some_and(|h| now.saturating_sub(since) >= h.hedge_after());
            if late && server != mark.server {
                self.note_failure(server, now);
            }
        }
        self.land(mark.flight, answer);
    }

    /// One server would not or could not.
    fn failed(&mut self, mark: Mark, error: u16, now: u64) {
        self.note_failure(mark.server, now);
        self.ask_another(mark, error, now);
    }

    /// Asks the next server, or ends the flight if none is left.
    fn ask_another(&mut self, mark: Mark, error: u16, now: u64) {
        let Some(flight) = self.flight(mark.flight, mark.serial) else {
            return;
        };
        flight.error = error;
        flight.asked.retain(|(server, _)| *server != mark.server);
        flight.out = flight.out.saturating_sub(1);
        let (all_asked, none_out) = (
            flight.rounds > 0 || flight.next >= flight.order.len(),
            flight.out == 0,
        );
        match (all_asked, none_out) {
            (true, true) => self.land(mark.flight, Err(error)),
            (true, false) => {}
            (false, _) => self.ask_next(mark.flight, now),
        }
    }

    fn note_failure(&mut self, server: usize, now: u64) {
        self.counters.upstream_failures.count();
        if let Some(health) = self.health.get_mut(server) {
            health.failed(now);
        }
    }

    fn land(&mut self, index: u32, answer: Result<Answer, u16>) {
        let Some(flight) = self.flights.get_mut(index as usize).and_then(Option::take) else {
            return;
        };
        self.free.push(index);
        self.by_question.remove(&flight.wanted);
        self.waiting = self.waiting.saturating_sub(flight.waiting.len());
        self.counters.upstream_waiting.set(self.waiting as u64);
        self.landed.push(Landed {
            wanted: flight.wanted,
            waiting: flight.waiting,
            answer,
        });
    }

    fn flight(&mut self, index: u32, serial: u32) -> Option<&mut Flight> {
        let flight = self.flights.get_mut(index as usize)?.as_mut()?;
        (flight.serial == serial).then_some(flight)
    }

    fn flight_of(&mut self, wanted: &Wanted) -> Option<&mut Flight> {
        let index = *self.by_question.get(wanted)?;
        self.flights.get_mut(index as usize)?.as_mut()
    }
}

impl Landed {
    /// What is to be kept of it.
    #[must_use]
    pub fn to_keep(&self) -> Answer {
        match &self.answer {
            Ok(answer) => answer.clone(),
            Err(code) => Answer::failure(&self.wanted.question, *code, FAILURE_TTL),
        }
    }
}
