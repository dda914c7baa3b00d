//! One worker: a thread with its own sockets, pipeline and miss road.
//!
//! Everything a question meets on its way belongs to the worker that read it,
//! so nothing on the way is shared. It sleeps until a question, an upstream's
//! answer, a letter or a deadline comes: the listeners are waited for by poll(2),
//! beside the event loop that has all else. Streams hand it their questions as
//! letters, so that all roads share the pipeline and its cache.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mio::{Events, Poll, Token, Waker};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::Sender as Replies;

use super::answer::Answer;
use super::batch::Inbox;
use super::mailbox::{Letters, Mail, Mailbox, mailbox};
use super::pipeline::{From, Now, Outcome, Pending, Pipeline, Step, Wanted};
use super::streams::returns::Marked;
use super::udp::{Bound, Listener, Sender, Then};
use super::upstream::udp::Postman;
use super::upstream::{Forwarder, Landed};
use super::way_back::{Parcel, WayBack};
use crate::metrics::Transport;
use crate::name::MAX_WIRE;

/// The token of the mailbox.
const LETTERS: Token = Token(0);
/// Batches read from one socket before the others get their turn.
const TURNS: usize = 8;
/// The first token of the miss road's sockets.
pub const UPSTREAM_TOKENS: usize = 1;
/// Longest sleep, so that a stop is noticed whatever happens.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// A worker, ready to run.
pub struct Worker {
    poll: Poll,
    listeners: Vec<Listener>,
    pipeline: Pipeline,
    forwarder: Forwarder,
    letters: Letters,
    clock: Clock,
    stop: Arc<AtomicBool>,
    /// The ways back into streams whose questions wait.
    streams: Vec<Option<Way>>,
    free: Vec<u32>,
    /// Replies that leave for their streams at the end of a turn: whoever is
    /// woken for the first then finds the others too.
    leaving: Vec<Leaving>,
    /// What somebody wants to be told of when it lands.
    probes: Vec<(Wanted, usize, Tell)>,
    inbox: Inbox<()>,
    postman: Postman,
    reply: Vec<u8>,
}

/// The way back into a stream.
enum Way {
    /// To a stream that sorts its replies itself.
    Stream(WayBack),
    /// To a request.
    Request(u64, Replies<Marked>),
}

/// A reply and its way.
enum Leaving {
    /// To a stream that sorts its replies itself.
    Stream(WayBack, Parcel),
    /// To a request.
    Request(Replies<Marked>, Marked),
}

/// Takes a mark, and whether there is an address.
type Tell = std::sync::mpsc::Sender<(usize, bool)>;

/// The event loop's parts that others must know before a worker is made.
pub struct Frame {
    poll: Poll,
    /// How to write to the worker.
    pub mailbox: Mailbox,
    letters: Letters,
}

/// Reads both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic side begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            ms: self.start.elapsed().as_millis() as u64,
            wall: Timestamp::now(),
        }
    }
}

impl Way {
    /// Puts a reply on its way.
    fn take(self, reply: &[u8]) -> Leaving {
        match self {
            Self::Stream(way) => {
                let parcel = way.pack(reply);
                Leaving::Stream(way, parcel)
            }
            Self::Request(mark, replies) => Leaving::Request(replies, (mark, reply.to_vec())),
        }
    }
}

impl Leaving {
    /// Gives the reply. A stream that does not read its replies loses them.
    fn give(self) {
        match self {
            Self::Stream(way, parcel) => way.send(parcel),
            Self::Request(replies, marked) => _ = replies.try_send(marked).is_ok(),
        }
    }
}

impl Frame {
    /// An event loop with its mailbox.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), LETTERS)?;
        let (mailbox, letters) = mailbox(waker);
        Ok(Self {
            poll,
            mailbox,
            letters,
        })
    }

    /// What the miss road registers its sockets with.
    pub fn registry(&self) -> io::Result<mio::Registry> {
        self.poll.registry().try_clone()
    }

    /// The worker, on the thread where it stays.
    pub fn worker(
        self,
        bound: Vec<Bound>,
        pipeline: Pipeline,
        forwarder: Forwarder,
        clock: Clock,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Worker> {
        let listeners: io::Result<Vec<_>> = bound.into_iter().map(Bound::listener).collect();
        Ok(Worker {
            poll: self.poll,
            listeners: listeners?,
            pipeline,
            forwarder,
            letters: self.letters,
            clock,
            stop,
            streams: Vec::new(),
            free: Vec::new(),
            leaving: Vec::new(),
            probes: Vec::new(),
            inbox: Inbox::new(false),
            postman: Postman::default(),
            reply: Vec::with_capacity(usize::from(u16::MAX) + MAX_WIRE),
        })
    }
}

impl Worker {
    /// Serves until told to stop.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        // Everything is looked at once: a packet may have come before the
        // sockets were registered.
        let mut ready: Vec<usize> = (0..self.listeners.len()).collect();
        let mut now = self.clock.now();
        while !self.stop.load(Ordering::Relaxed) {
            let sleep = if ready.is_empty() {
                self.sleep(now)
            } else {
                Duration::ZERO
            };
            if self.wait(sleep, &mut ready)? {
                match self.poll.poll(&mut events, Some(Duration::ZERO)) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                    _ => {}
                }
            } else {
                events.clear();
            }
            now = self.clock.now();
            for event in &events {
                if event.token() != LETTERS {
                    self.forwarder
                        .receive(event.token(), &mut self.inbox, now.ms);
                }
            }
            self.land_all(now);
            ready.sort_unstable();
            ready.dedup();
            ready.retain(|index| self.serve(*index, now));
            self.letters.hear();
            while let Some(mail) = self.letters.next() {
                self.open(mail);
            }
            now = self.clock.now();
            self.forwarder.tick(now.ms);
            self.pipeline.tick(now.ms);
            self.send_all(now);
        }
        Ok(())
    }

    /// Waits until some listener can be read, which is then among `ready`, or
    /// the event loop has news, which is the answer, or for `sleep`.
    ///
    /// The listeners are not in the event loop: a socket that is has a sleeper
    /// on its queue all the time, and the kernel would go and wake it for every
    /// reply that leaves.
    fn wait(&self, sleep: Duration, ready: &mut Vec<usize>) -> io::Result<bool> {
        let registry = self.poll.registry();
        let sources = self.listeners.iter().map(Listener::as_fd);
        let all = sources.chain([registry.as_fd()]);
        let mut all: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // A failed wait has no events; what is ready is met at the next.
        let sleep = PollTimeout::try_from(sleep).unwrap_or(PollTimeout::ZERO);
        match poll(&mut all, sleep) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_news = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        let news = all.pop().is_some_and(|fd| has_news(&fd));
        ready.extend(
            (0..)
                .zip(&all)
                .filter_map(|(index, fd)| has_news(fd).then_some(index)),
        );
        Ok(news)
    }

    /// Sends everything that waits to be sent: questions and late replies.
    fn send_all(&mut self, now: Now) {
        self.forwarder.flush(&mut self.postman, now.ms);
        self.land_all(now);
        self.leaving.drain(..).for_each(Leaving::give);
        for listener in &mut self.listeners {
            let unsent = listener.flush();
            self.pipeline.counters().send_errors.add(unsent);
        }
    }

    fn sleep(&self, now: Now) -> Duration {
        let due = [self.forwarder.next_tick(), self.pipeline.due()];
        let Some(next) = due.into_iter().flatten().min() else {
            return LONGEST_SLEEP;
        };
        let left = next.saturating_sub(now.ms);
        // One more: the clock is cut down to whole milliseconds.
        Duration::from_millis(left + 1).min(LONGEST_SLEEP)
    }

    /// Serves one socket; says whether there is more to read.
    fn serve(&mut self, index: usize, mut now: Now) -> bool {
        let Self {
            listeners,
            pipeline,
            forwarder,
            postman,
            clock,
            ..
        } = self;
        let Some(listener) = listeners.get_mut(index) else {
            return false;
        };
        for _ in 0..TURNS {
            let went = listener.serve(|packet, sender, reply| {
                let from = From {
                    address: sender.address,
                    transport: Transport::Udp,
                    route: index as u32,
                    local: sender.local,
                    origin: None,
                };
                match pipeline.begin(packet, &from, now, reply) {
                    Step::Reply => Then::Send,
                    Step::ReplyAndRefresh(wanted) => {
                        forwarder.refresh(&wanted, now.ms);
                        Then::Send
                    }
                    Step::Ask(pending) if forwarder.has_room() => {
                        forwarder.ask(pending, now.ms);
                        Then::Nothing
                    }
                    Step::Ask(pending) => {
                        pipeline.finish(&pending, &Outcome::overload(), now, reply);
                        Then::Send
                    }
                    Step::Ignore => Then::Nothing,
                }
            });
            pipeline.counters().send_errors.add(went.unsent);
            if went.failed {
                pipeline.counters().receive_errors.count();
            }
            forwarder.flush(postman, now.ms);
            if !went.more {
                return false;
            }
            now = clock.now();
        }
        true
    }

    fn open(&mut self, mail: Mail) {
        let now = self.clock.now();
        match mail {
            Mail::Question {
                packet,
                from,
                replies,
            } => self.stream_question(&packet, from, Way::Stream(replies), now),
            Mail::Request {
                packet,
                from,
                mark,
                replies,
            } => self.stream_question(&packet, from, Way::Request(mark, replies), now),
            Mail::Probe { wanted, mark, tell } => {
                self.forwarder.refresh(&wanted, now.ms);
                self.probes.retain(|(other, ..)| *other != wanted);
                self.probes.push((wanted, mark, tell));
            }
            Mail::LineAnswer {
                mark,
                packet,
                answer,
            } => self.forwarder.line_answer(mark, &packet, answer, now.ms),
            Mail::Inquiry { wanted, answer } => match self.pipeline.recall(&wanted, now) {
                // A validator that has given up wants it no more.
                Some(known) => drop(answer.send(known)),
                None => self.forwarder.inquire(&wanted, answer, now.ms),
            },
            Mail::Verdict { place, verdict } => self.forwarder.verdict(place, verdict),
        }
    }

    fn stream_question(&mut self, packet: &[u8], mut from: From, way: Way, now: Now) {
        let route = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            (self.streams.len() - 1) as u32
        });
        from.route = route;
        let mut reply = std::mem::take(&mut self.reply);
        let step = self.pipeline.begin(packet, &from, now, &mut reply);
        if let Some(place) = self.streams.get_mut(route as usize) {
            *place = Some(way);
        }
        match step {
            Step::Reply => self.answer_stream(route, &reply),
            Step::ReplyAndRefresh(wanted) => {
                self.forwarder.refresh(&wanted, now.ms);
                self.answer_stream(route, &reply);
            }
            Step::Ask(pending) if self.forwarder.has_room() => {
                self.forwarder.ask(pending, now.ms);
            }
            Step::Ask(pending) => {
                let overload = Outcome::overload();
                self.pipeline.finish(&pending, &overload, now, &mut reply);
                self.answer_stream(route, &reply);
            }
            // An empty reply tells the stream that none will come.
            Step::Ignore => self.answer_stream(route, &[]),
        }
        self.reply = reply;
    }

    /// Gives a stream its reply and forgets the way.
    fn answer_stream(&mut self, route: u32, reply: &[u8]) {
        let way = self.streams.get_mut(route as usize).and_then(Option::take);
        if let Some(way) = way {
            self.free.push(route);
            self.leaving.push(way.take(reply));
        }
    }

    fn land_all(&mut self, now: Now) {
        while let Some((landed, answer)) = self.forwarder.next_landed() {
            self.land(landed, answer, now);
        }
    }

    /// Gives everybody who waited the answer, and keeps it.
    fn land(&mut self, mut landed: Landed, answer: Result<Answer, u16>, now: Now) {
        for inquiry in landed.inquiries.drain(..) {
            let message = landed.wanted.message(answer.as_ref().map_err(|e| *e), 0);
            let _ = inquiry.send(message);
        }
        let memo = answer.as_ref().ok().and_then(|answer| {
            let first = landed.waiting.first();
            self.pipeline.look(&landed.wanted, answer, first)
        });
        let outcome = match &answer {
            Ok(answer) => Outcome::Answered(answer, memo),
            Err(code) => Outcome::Failed(*code),
        };
        for pending in &landed.waiting {
            self.finish(pending, &outcome, now);
        }
        if !self.probes.is_empty() {
            let found = answer.as_ref().is_ok_and(Answer::has_address);
            let asked = |probe: &mut (Wanted, _, Tell)| probe.0 == landed.wanted;
            for (_, mark, tell) in self.probes.extract_if(.., asked) {
                // Whoever has lost patience need not be told.
                let _ = tell.send((mark, found));
            }
        }
        self.pipeline.keep(&landed.wanted, answer, memo, now);
        self.forwarder.release(landed);
    }

    fn finish(&mut self, pending: &Pending, outcome: &Outcome<'_>, now: Now) {
        let From {
            address,
            transport,
            route,
            local,
            ..
        } = pending.from;
        if transport != Transport::Udp {
            let mut reply = std::mem::take(&mut self.reply);
            self.pipeline.finish(pending, outcome, now, &mut reply);
            self.answer_stream(route, &reply);
            self.reply = reply;
        } else if let Some(listener) = self.listeners.get_mut(route as usize) {
            let pipeline = &mut self.pipeline;
            let write = |reply: &mut Vec<u8>| pipeline.finish(pending, outcome, now, reply);
            let unsent = listener.post(Sender { address, local }, write);
            self.pipeline.counters().send_errors.add(unsent);
        }
    }
}
