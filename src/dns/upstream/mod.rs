//! The miss road: a question that must be asked on, until it is answered.
//!
//! Questions that mean the same share one *flight*. A flight asks the best
//! server, another one if that is slower than usual, everybody again if need
//! be, and ends after [`DEADLINE`] whatever happens: a client is told in time
//! that the line is down, or gets yesterday's answer. What comes back is
//! believed only if socket, id, question and the case of the name fit
//! (RFC 5452); a truncated answer is asked for again over TCP. Servers that are
//! spoken to in another way than by datagrams are asked over [`lines`], and are
//! ranked and hedged with the others.
//!
//! One worker owns it; it runs on the worker's own event loop. Nothing about
//! the client is sent: no ECS, no MAC, no cookie.

mod checked;
mod flights;
pub mod health;
pub mod lines;
mod message;
mod servers;
mod timers;
pub mod udp;
mod untangle;
pub mod validation;

use std::sync::Arc;
use std::time::Duration;

use mio::{Registry, Token};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::Sender;

use self::flights::Flights;
pub use self::flights::Landed;
use self::health::{Health, rank, to_measure};
use self::lines::{Ask, Mark};
use self::message::{pad, question_length, randomise_case, read, write_packet};
pub use self::servers::{Server, Servers, Way};
use self::timers::Timers;
use self::udp::{Pool, Postman, Read};
use self::validation::Case;
use super::answer::{Answer, NoAnswer};
use super::batch::Inbox;
use super::mailbox::Mailbox;
use super::pipeline::{Pending, Wanted};
use super::question::{HEADER, Rcode};
use super::reply::ede;
use crate::metrics::Counters;
use crate::metrics::upstream::Failure;

const SERVFAIL: u16 = Rcode::ServFail as u16;

/// After so many milliseconds a flight ends without an answer. Under two
/// seconds, when most clients ask again; RFC 8767 suggests 1.8.
pub const DEADLINE: u64 = 1_800;
/// When the same servers are asked once more.
const AGAIN: u64 = 600;
/// Replies with a wrong case after which a server is taken to fold it.
const FOLDS_CASE: u32 = 3;

/// The miss road of one worker.
pub struct Forwarder {
    servers: Arc<Servers>,
    health: Vec<Health>,
    wrong_case: Vec<u32>,
    pool: Pool,
    lines: Sender<Ask>,
    validator: Sender<Case>,
    mailbox: Mailbox,
    random: StdRng,
    flights: Flights,
    timers: Timers,
    /// What is being looked for, written where the last was.
    wanted: Wanted,
    waiting: usize,
    most_waiting: usize,
    counters: Arc<Counters>,
}

impl Forwarder {
    /// A miss road whose sockets get tokens from `base` on.
    #[must_use]
    pub fn new(
        servers: Arc<Servers>,
        (registry, base): (Registry, usize),
        (lines, validator, mailbox): (Sender<Ask>, Sender<Case>, Mailbox),
        most_waiting: usize,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            health: vec![Health::default(); servers.all.len()],
            wrong_case: vec![0; servers.all.len()],
            servers,
            pool: Pool::new(registry, base),
            lines,
            validator,
            mailbox,
            random: StdRng::from_rng(&mut rand::rng()),
            flights: Flights::default(),
            timers: Timers::new(),
            wanted: Wanted::default(),
            waiting: 0,
            most_waiting,
            counters,
        }
    }

    /// Whether one more may wait (R-133c).
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting < self.most_waiting
    }

    /// Asks for `pending`, or joins it to those who wait for the same. What is
    /// to be sent leaves with the next [`Forwarder::flush`].
    pub fn ask(&mut self, pending: Pending, now: u64) {
        self.waiting += 1;
        self.counters.upstream_waiting.set(self.waiting as u64);
        pending.write_wanted(&mut self.wanted);
        if let Some(flight) = self.flights.find(&self.wanted) {
            flight.waiting.push(pending);
            self.counters.upstream_shared.count();
            return;
        }
        let place = self.flights.begin(&self.wanted, now);
        if let Some(flight) = self.flights.find_live(place) {
            flight.waiting.push(pending);
        }
        self.depart(place, now);
    }

    /// Asks for what nobody waits for, so that the next one need not.
    pub fn refresh(&mut self, wanted: &Wanted, now: u64) {
        if self.has_room() && self.flights.find(wanted).is_none() {
            let place = self.flights.begin(wanted, now);
            self.depart(place, now);
        }
    }

    /// Sends what is to be sent.
    pub fn flush(&mut self, postman: &mut Postman, now: u64) {
        // What cannot be sent may be asked of another server at once.
        while self.pool.has_posted() {
            let mut failed = Vec::new();
            self.pool.flush(postman, |mark| failed.push(mark));
            for mark in failed {
                self.failed(mark, ede::NETWORK_ERROR, now);
            }
        }
    }

    /// Reads everything that came in on the socket under `token`.
    pub fn receive(&mut self, token: Token, inbox: &mut Inbox<()>, now: u64) {
        let mut has_failed = false;
        loop {
            let read = self.pool.read(token, inbox);
            for (received, message) in inbox.packets() {
                self.take(token, message, received.is_cut, now);
            }
            match read {
                Read::More => {}
                Read::All => return,
                // Behind the news of a closed port there may be an answer; a
                // socket that only ever fails has none.
                Read::Unreachable if has_failed => return,
                Read::Unreachable => {
                    has_failed = true;
                    for mark in self.pool.lost(token) {
                        self.failed(mark, ede::NETWORK_ERROR, now);
                    }
                }
            }
        }
    }

    /// One datagram. It counts only if something was asked under its id and it
    /// echoes that question; the case of the echo is judged after. A wrong echo
    /// changes nothing: the true answer may follow.
    fn take(&mut self, token: Token, message: &[u8], is_cut: bool, now: u64) {
        let id = message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id));
        let asked = id.and_then(|id| Some((id, self.pool.whose(token, id)?)));
        let Some((id, mark)) = asked else {
            return self.counters.upstream_mismatches.count();
        };
        let Some(flight) = self.flights.find_live(mark.place()) else {
            // Another server was quicker; this one has answered all the same.
            self.pool.done(token, id);
            return self.note_answer(mark, now);
        };
        let echo = message.get(HEADER..HEADER + flight.sent.len());
        let exact = echo == Some(&*flight.sent);
        if !exact && !echo.is_some_and(|echo| echo.eq_ignore_ascii_case(&flight.sent)) {
            return self.counters.upstream_mismatches.count();
        }
        self.pool.done(token, id);
        let folds = self.wrong_case.get_mut(mark.server);
        if let Some(folds) = folds.filter(|folds| !exact && **folds < FOLDS_CASE) {
            // Either the server folds case or somebody guessed nearly all: the
            // answer is asked for again where it cannot be forged.
            *folds += 1;
            self.counters.upstream_mismatches.count();
            return self.send_by_line(mark, now);
        }
        match read(message, &flight.wanted.question) {
            _ if is_cut => self.send_by_line(mark, now),
            Ok(answer) => self.answered(mark, answer, now),
            Err(NoAnswer::Truncated) => self.send_by_line(mark, now),
            Err(no) => self.not_answered(mark, no, now),
        }
    }

    fn not_answered(&mut self, mark: Mark, why: NoAnswer, now: u64) {
        // It lives, and it is this name that is broken: another may know more,
        // but a pupil's typing must not rank a good server last.
        if why == NoAnswer::Failed(SERVFAIL) {
            self.note_answer(mark, now);
            return self.ask_another(mark, ede::OTHER, now);
        }
        self.failed(mark, ede::OTHER, now);
    }

    /// Takes what came of a question asked over a line.
    pub fn line_answer(
        &mut self,
        mark: Mark,
        packet: &[u8],
        answer: std::io::Result<Vec<u8>>,
        now: u64,
    ) {
        let question = packet.get(HEADER..HEADER + question_length(packet));
        match (answer, question) {
            (Ok(message), Some(question)) => {
                let echo = message.get(HEADER..HEADER + question.len());
                if !echo.is_some_and(|echo| echo.eq_ignore_ascii_case(question)) {
                    self.counters.upstream_mismatches.count();
                    return self.failed(mark, ede::OTHER, now);
                }
                // The connection vouches for the sender: case is no matter.
                match read(&message, question) {
                    Ok(answer) => self.answered(mark, answer, now),
                    Err(no) => self.not_answered(mark, no, now),
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
        while let Some(place) = self.timers.due(now) {
            let Some(flight) = self.flights.find_live(place) else {
                continue;
            };
            if now.saturating_sub(flight.began) >= DEADLINE {
                let error = flight.error;
                // Whoever was asked and kept silent has failed.
                for (server, _) in std::mem::take(&mut flight.asked) {
                    self.note_failure(server, Failure::Silent, now);
                }
                self.land(place.0, Err(error));
            } else if now >= flight.due {
                self.ask_next(place, now);
            } else {
                // Set before a later one, or cut short by a wheel that lagged.
                self.timers.set(now, flight.due, place);
            }
        }
        self.pool.sweep(now);
    }

    /// When [`Forwarder::tick`] has something to do.
    #[must_use]
    pub fn next_tick(&self) -> Option<u64> {
        self.timers.next()
    }

    /// The next flight that has ended; to be given back by
    /// [`Forwarder::release`].
    pub fn next_landed(&mut self) -> Option<(Landed, Result<Answer, u16>)> {
        self.flights.next_landed()
    }

    /// Takes back what a flight is made of.
    pub fn release(&mut self, landed: Landed) {
        self.flights.release(landed);
    }

    /// Chooses the servers of a new flight and asks the first.
    fn depart(&mut self, place: (u32, u32), now: u64) {
        let Some(flight) = self.flights.find_live(place) else {
            return;
        };
        if flight.wanted.checked {
            return self.hand_in(place, now);
        }
        flight.sent.extend_from_slice(&flight.wanted.question);
        randomise_case(&mut flight.sent, &mut self.random);
        let servers = self.servers.of(flight.wanted.name());
        flight.order.extend_from_slice(servers);
        rank(&mut flight.order, &self.health, now);
        let beside = to_measure(&self.health, &flight.order, now);
        self.ask_next(place, now);
        if let Some(server) = beside {
            self.send(place, server, now);
        }
    }

    /// Asks the next server of a flight, and sets the time for the one after.
    fn ask_next(&mut self, place: (u32, u32), now: u64) {
        let Some(flight) = self.flights.find_live(place) else {
            return;
        };
        if flight.next >= flight.order.len() {
            flight.next = 0;
            flight.rounds += 1;
        }
        let Some(&server) = flight.order.get(flight.next) else {
            return self.land(place.0, Err(ede::NO_REACHABLE_AUTHORITY));
        };
        flight.next += 1;
        let last = flight.next >= flight.order.len();
        let hedge = self.health.get(server).map_or(AGAIN, Health::hedge_after);
        let wait = if last || flight.rounds > 0 {
            AGAIN
        } else {
            hedge
        };
        flight.due = (now + wait).min(flight.began + DEADLINE);
        self.timers.set(now, flight.due, place);
        self.send(place, server, now);
    }

    fn send(&mut self, place: (u32, u32), server: usize, now: u64) {
        let target = self.servers.all.get(server).map(|s| (s.way, s.address));
        let (Some(flight), Some((way, address))) = (self.flights.find_live(place), target) else {
            return;
        };
        flight.out += 1;
        if flight.asked.iter().all(|(other, _)| *other != server) {
            flight.asked.push((server, now));
        }
        self.counters.upstream_queries.count();
        if let Some(health) = self.health.get_mut(server) {
            health.asked(now);
        }
        let mark = Mark {
            flight: place.0,
            serial: place.1,
            server,
            sent: now,
        };
        if way != Way::Udp {
            return self.send_by_line(mark, now);
        }
        let write = |out: &mut Vec<u8>| write_packet(&flight.sent, &flight.wanted, out);
        let posted = self.pool.post(address, mark, &mut self.random, write);
        if posted.is_err() {
            self.failed(mark, ede::NETWORK_ERROR, now);
        }
    }

    fn send_by_line(&mut self, mark: Mark, now: u64) {
        let way = self.servers.all.get(mark.server).map(|server| server.way);
        let Some(flight) = self.flights.find_live(mark.place()) else {
            return;
        };
        let left = (flight.began + DEADLINE).saturating_sub(now);
        let mut packet = Vec::new();
        write_packet(&flight.sent, &flight.wanted, &mut packet);
        if way.is_some_and(Way::is_encrypted) {
            pad(&mut packet);
        }
        if let Some(id) = packet.first_chunk_mut::<2>() {
            *id = (self.random.next_u32() as u16).to_be_bytes();
        }
        let ask = Ask {
            packet,
            limit: Duration::from_millis(left),
            mark,
            mailbox: self.mailbox.clone(),
        };
        if self.lines.try_send(ask).is_err() {
            self.failed(mark, ede::NETWORK_ERROR, now);
        }
    }

    fn answered(&mut self, mark: Mark, answer: Answer, now: u64) {
        self.note_answer(mark, now);
        let Some(flight) = self.flights.find_live(mark.place()) else {
            return;
        };
        // Another has overtaken those that should have answered by now. Should
        // their answers still come, that mends it; a dead one would else be
        // asked first for ever, and every question wait for the second.
        let mut late = std::mem::take(&mut flight.asked);
        late.retain(|(server, since)| {
            let health = self.health.get(*server);
            let late = health.is_some_and(|h| now.saturating_sub(*since) >= h.hedge_after());
            late && *server != mark.server
        });
        for (server, _) in late.drain(..) {
            self.note_failure(server, Failure::Silent, now);
        }
        if let Some(flight) = self.flights.find_live(mark.place()) {
            flight.asked = late;
        }
        self.land(mark.flight, Ok(answer));
    }

    fn note_answer(&mut self, mark: Mark, now: u64) {
        if let Some(health) = self.health.get_mut(mark.server) {
            health.answered(now.saturating_sub(mark.sent));
        }
        if let Some(upstream) = self.counters.upstreams.get(mark.server) {
            upstream.answered(now);
        }
    }

    /// One server would not or could not.
    fn failed(&mut self, mark: Mark, error: u16, now: u64) {
        let failure = match error {
            ede::NETWORK_ERROR => Failure::Unreachable,
            ede::NO_REACHABLE_AUTHORITY => Failure::Silent,
            _ => Failure::Unusable,
        };
        self.note_failure(mark.server, failure, now);
        self.ask_another(mark, error, now);
    }

    /// Asks the next server, or ends the flight if none is left.
    fn ask_another(&mut self, mark: Mark, error: u16, now: u64) {
        let Some(flight) = self.flights.find_live(mark.place()) else {
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
            (false, _) => self.ask_next(mark.place(), now),
        }
    }

    fn note_failure(&mut self, server: usize, failure: Failure, now: u64) {
        self.counters.upstream_failures.count();
        if let Some(upstream) = self.counters.upstreams.get(server) {
            upstream.failed(failure, now);
        }
        if let Some(health) = self.health.get_mut(server) {
            health.failed(now);
        }
    }

    fn land(&mut self, index: u32, outcome: Result<Answer, u16>) {
        let waited = self.flights.land(index, outcome);
        self.waiting = self.waiting.saturating_sub(waited);
        self.counters.upstream_waiting.set(self.waiting as u64);
    }
}
