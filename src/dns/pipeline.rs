//! What happens to a question, from its bytes to the bytes of its reply.
//!
//! ```text
//! bytes ─ question ─ who asks ─ limit ─ lists ─ decision ─┬─ Block ─ reply
//!                                                         └─ Allow ─ cache ─┬─ hit  ─ second look ─ reply
//!                                                     finish ─ second look ─┴─ miss ─ Pending
//! ```
//!
//! All roads come here: UDP, TCP and what is to follow. It does no I/O: packet,
//! sender and time go in, a [`Step`] comes out, so the whole journey can be
//! fuzzed and compared. One worker owns one pipeline with its own cache, log
//! ring and counters; nothing is shared and nothing is locked.
//!
//! Policy is asked before the cache and again for what the cache holds (R-129,
//! R-132). Each answered question makes exactly one event, here and nowhere
//! else.

mod pending;
mod turn;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use foldhash::fast::RandomState;
use jiff::Timestamp;

pub use self::pending::{Pending, Wanted};
use self::turn::{Settled, Turn, stale, why_failed};
use super::answer::{Answer, rtype};
use super::cache::{Cache, Key, Memo};
use super::limiter::Limiter;
use super::local::Local;
use super::question::{self, Query, Rcode, Read, Refusal};
use super::reply::{self, Asked, Ede, ede};
use super::second_look::Rebinding;
use crate::devices::hidden::Hidden;
use crate::devices::identify::{Identity, identify};
use crate::devices::leases::Leases;
use crate::metrics::{Counters, GroupLabel, GroupLabels, Transport};
use crate::policy::Policy;
use crate::policy::decide::Moment;
use crate::policy::decision::Verdict;
use crate::policy::group::Network;
use crate::querylog::recorder::Recorder;

/// What every worker's pipeline is made with.
pub struct Desk {
    /// The live policy; none until there is a valid one.
    pub live: Arc<ArcSwapOption<Policy>>,
    /// The DHCP leases as last read.
    pub leases: Arc<ArcSwap<Leases>>,
    /// Who may ask.
    pub allow: Vec<Network>,
    /// Whose identity options are believed.
    pub routers: Vec<Network>,
    /// How long a block may be kept, in seconds.
    pub block_ttl: u32,
    /// Longest TTL given to clients, in seconds.
    pub max_ttl: u32,
    /// The block page's addresses.
    pub page: Vec<IpAddr>,
    /// Whom to ask about a block, for those who look; may be empty.
    pub contact: Box<str>,
    /// Which names may have private addresses.
    pub rebinding: Rebinding,
    /// What we are authoritative for.
    pub local: Local,
    /// Whether popular answers are asked for before they run out.
    pub prefetch: bool,
    /// The labels of groups in metrics.
    pub labels: Arc<GroupLabels>,
    /// Who seems to hide devices, or claims to be one. The lock is only ever
    /// tried, and for one question in some.
    pub hidden: Mutex<Hidden>,
}

/// Where a packet came from.
#[derive(Debug, Clone, Copy)]
pub struct From {
    /// The sender.
    pub address: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// The worker's own mark of the way back; nothing to the pipeline.
    pub route: u32,
    /// Our address that it was sent to, where a socket has several.
    pub local: Option<IpAddr>,
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Milliseconds of the monotonic clock.
    pub ms: u64,
    /// The time of day.
    pub wall: Timestamp,
}

impl Now {
    /// Seconds of the monotonic clock.
    #[must_use]
    pub fn seconds(self) -> u32 {
        (self.ms / 1000) as u32
    }
}

/// What is to be done with a packet.
#[derive(Debug)]
pub enum Step {
    /// Send what is in the buffer.
    Reply,
    /// Send what is in the buffer, and ask an upstream so that the next one is
    /// served as fast.
    ReplyAndRefresh(Wanted),
    /// Ask an upstream, then [`Pipeline::finish`].
    Ask(Box<Pending>),
    /// Do nothing.
    Ignore,
}

/// What became of a question that had to be asked on.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// An upstream answered.
    Answered(&'a Answer),
    /// None did, for this reason (an EDE code).
    Failed(u16),
}

impl Outcome<'_> {
    /// Too many questions wait already (R-133c).
    #[must_use]
    pub fn overload() -> Self {
        Self::Failed(ede::OTHER)
    }
}

/// One worker's pipeline.
pub struct Pipeline {
    desk: Arc<Desk>,
    live: arc_swap::Cache<Arc<ArcSwapOption<Policy>>, Option<Arc<Policy>>>,
    leases: arc_swap::Cache<Arc<ArcSwap<Leases>>, Arc<Leases>>,
    cache: Cache,
    limiter: Limiter,
    hasher: RandomState,
    counters: Arc<Counters>,
    recorder: Recorder,
    shift: Option<Shift>,
}

/// What holds until the policy or a timetable changes.
struct Shift {
    policy: Arc<Policy>,
    moment: Moment,
    labels: Box<[GroupLabel]>,
}

impl Pipeline {
    /// A pipeline with an empty cache.
    #[must_use]
    pub fn new(
        desk: Arc<Desk>,
        cache: Cache,
        limiter: Limiter,
        counters: Arc<Counters>,
        recorder: Recorder,
    ) -> Self {
        Self {
            live: arc_swap::Cache::new(Arc::clone(&desk.live)),
            leases: arc_swap::Cache::new(Arc::clone(&desk.leases)),
            desk,
            cache,
            limiter,
            hasher: RandomState::default(),
            counters,
            recorder,
            shift: None,
        }
    }

    /// Takes one packet. With [`Step::Reply`] the reply is in `out`.
    pub fn begin(&mut self, packet: &[u8], from: From, now: Now, out: &mut Vec<u8>) -> Step {
        if let Some(counter) = self.counters.queries.get(from.transport as usize) {
            counter.count();
        }
        let normal;
        let read = match question::read(packet) {
            Read::Unusual => match question::plain_form(packet) {
                Ok(bytes) => {
                    normal = bytes;
                    question::read(&normal)
                }
                Err(rcode) => Refusal::of(packet, rcode).map_or(Read::Ignore, Read::Refuse),
            },
            read => read,
        };
        let step = match read {
            Read::Plain(query) => self.query(&query, from, now, out),
            Read::Refuse(refusal) => {
                reply::refuse(refusal, out);
                Step::Reply
            }
            // What hickory wrote is plain; were it not, silence is safe.
            Read::Ignore | Read::Unusual => Step::Ignore,
        };
        match step {
            Step::Reply | Step::ReplyAndRefresh(_) => self.counters.reply(rcode_of(out)),
            Step::Ignore => self.counters.ignored.count(),
            Step::Ask(_) => {}
        }
        step
    }

    /// Completes a question that had to be asked on. The reply is in `out`.
    ///
    /// Who asks and what that means is worked out again: the policy may have
    /// changed meanwhile (promise 10).
    pub fn finish(
        &mut self,
        pending: &Pending,
        outcome: &Outcome<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) {
        let asked = pending.asked();
        let ready = self.ready(now);
        let name = pending.wanted.name();
        let (true, Some(name)) = (ready, question::LowerName::from_wire(name)) else {
            return fail(&asked, Rcode::ServFail, ede::NOT_READY, "", out);
        };
        let Self {
            desk,
            leases,
            cache,
            counters,
            recorder,
            shift: Some(shift),
            ..
        } = self
        else {
            return;
        };
        let leases = leases.load();
        let identity = desk.identify(pending.from.address.ip(), &pending.options);
        let turn = Turn::new(
            asked,
            name.name(),
            pending.wanted.rtype(),
            identity,
            shift,
            leases,
            desk,
            now,
        );
        let answer = match outcome {
            Outcome::Answered(answer) => Some((*answer, turn.look(answer, None), 0, None)),
            Outcome::Failed(_) => None,
        };
        // When nobody answers, yesterday's answer is better than none, under
        // today's policy (RFC 8767, R-90).
        let key = pending.wanted.key();
        let answer = answer.or_else(|| {
            let entry = cache.find_stale(&key, now.seconds())?;
            entry.failed_at = Some(now.seconds());
            let memo = turn.memo(entry);
            counters.cache_stale.count();
            Some((
                &entry.answer,
                memo,
                entry.age(now.seconds()),
                Some(stale(&entry.answer)),
            ))
        });
        let decision = match (answer, outcome) {
            (Some((answer, memo, age, why)), _) => {
                turn.settle(turn.decide(&memo.asked), answer, &memo, age, why, out)
            }
            (None, Outcome::Failed(code)) => {
                reply::error(&turn.asked, Rcode::ServFail, Some(why_failed(*code)), out);
                turn.allowed()
            }
            (None, Outcome::Answered(_)) => return,
        };
        turn.record(&decision, counters, recorder);
        counters.reply(rcode_of(out));
    }

    /// Keeps an upstream's answer for the next who ask.
    pub fn keep(&mut self, wanted: &Wanted, answer: Answer, now: Now) {
        let memo = self.shift.as_ref().and_then(|shift| {
            let name = question::LowerName::from_wire(wanted.name())?;
            Some(Memo::of(
                &shift.policy,
                name.name(),
                &answer,
                &self.desk.rebinding,
            ))
        });
        let key = wanted.key();
        // A failure must not push out an answer that can still serve.
        let useful = self.cache.find_stale(&key, now.seconds());
        match useful {
            Some(entry) if answer.is_failure() => entry.failed_at = Some(now.seconds()),
            _ => self.cache.keep(&key, answer, memo, now.seconds()),
        }
        self.counters.cache_bytes.set(self.cache.bytes() as u64);
        self.counters.cache_entries.set(self.cache.len() as u64);
    }

    /// What this worker counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is set for all workers.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    #[expect(
        clippy::too_many_lines,
        reason = "the order of these steps is the resolver; it reads in one piece"
    )]
    fn query(&mut self, query: &Query<'_>, from: From, now: Now, out: &mut Vec<u8>) -> Step {
        let asked = Asked::of(query, from.transport == Transport::Udp);
        let source = from.address.ip().to_canonical();
        if !self.desk.allow.iter().any(|network| network.holds(source)) {
            self.counters.strangers.count();
            fail(
                &asked,
                Rcode::Refused,
                ede::PROHIBITED,
                "Not a client of this resolver",
                out,
            );
            return Step::Reply;
        }
        if !self.ready(now) {
            fail(
                &asked,
                Rcode::ServFail,
                ede::NOT_READY,
                "No policy or lists yet",
                out,
            );
            return Step::Reply;
        }
        let Self {
            desk,
            leases,
            cache,
            limiter,
            hasher,
            counters,
            recorder,
            shift: Some(shift),
            ..
        } = self
        else {
            return Step::Ignore;
        };
        let options = query.edns.map_or(&[][..], |e| e.options);
        let identity = desk.identify(source, options);
        let turn = Turn::new(
            asked,
            query.name.name(),
            query.rtype,
            identity,
            shift,
            leases.load(),
            desk,
            now,
        );
        turn.notice(source, hasher, counters);
        // This machine itself is not a device; a router is many.
        let exempt = source.is_loopback() || turn.identity.behind_router;
        if !exempt && !limiter.admits(turn.limit_key(), now.ms) {
            counters.limited.count();
            let why = Ede {
                code: ede::OTHER,
                text: "Too many questions from this device",
            };
            reply::error(&turn.asked, Rcode::Refused, Some(why), out);
            turn.record(&turn.allowed(), counters, recorder);
            return Step::Reply;
        }
        if let Some(rcode) = question::not_for_us(query) {
            reply::error(&turn.asked, rcode, None, out);
            turn.record(&turn.allowed(), counters, recorder);
            return Step::Reply;
        }
        let key = Key {
            name: query.name.wire(),
            rtype: query.rtype,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        };
        let kept = cache.find(&key);
        let memo = kept.as_ref().and_then(|entry| entry.memo);
        let covering = match memo {
            Some(memo) if memo.serial == turn.policy.lists.serial => memo.asked,
            _ => turn.policy.lists.covering(turn.name),
        };
        let decision = turn.decide(&covering);
        if decision.verdict == Verdict::Block {
            turn.block(&decision, out);
            turn.record(
                &Settled::new(decision, turn.source(&decision, &covering)),
                counters,
                recorder,
            );
            return Step::Reply;
        }
        if query.rtype == rtype::ANY {
            reply::any(&turn.asked, out);
            turn.record(&turn.allowed(), counters, recorder);
            return Step::Reply;
        }
        if let Some(entry) = kept
            && let Some(refresh) = turn.serve_kept(decision, entry, recorder, counters, out)
        {
            return if refresh {
                Step::ReplyAndRefresh(Wanted::of(query))
            } else {
                Step::Reply
            };
        }
        counters.cache_misses.count();
        if let Some(answer) = desk.local.answer(query) {
            let memo = turn.look(&answer, Some(covering));
            // What we say ourselves is no rebinding.
            let settled = turn.settle(decision, &answer, &memo.without_private(), 0, None, out);
            turn.record(&settled, counters, recorder);
            return Step::Reply;
        }
        if !query.recursion_desired() {
            reply::error(&turn.asked, Rcode::Refused, None, out);
            turn.record(&turn.allowed(), counters, recorder);
            return Step::Reply;
        }
        Step::Ask(Box::new(Pending {
            wanted: Wanted::of(query),
            from,
            id: query.id,
            flags: query.flags,
            question: query.question.into(),
            edns: turn.asked.edns,
            limit: turn.asked.limit,
            options: options.into(),
        }))
    }

    /// Whether there is a policy, with its moment worked out for `now`.
    fn ready(&mut self, now: Now) -> bool {
        let Some(policy) = self.live.load() else {
            self.shift = None;
            return false;
        };
        let holds = self.shift.as_ref().is_some_and(|shift| {
            Arc::ptr_eq(&shift.policy, policy) && shift.moment.holds_at(now.wall)
        });
        if !holds {
            self.shift = Some(Shift {
                moment: policy.at(now.wall),
                labels: policy
                    .groups
                    .iter()
                    .map(|g| self.desk.labels.label(&g.id))
                    .collect(),
                policy: Arc::clone(policy),
            });
        }
        true
    }
}

impl Desk {
    fn identify<'o>(&self, from: IpAddr, options: &'o [u8]) -> Identity<'o> {
        let from = from.to_canonical();
        let trusted = self.routers.iter().any(|network| network.holds(from));
        identify(from, trusted, options, None, None)
    }
}

fn fail(asked: &Asked<'_>, rcode: Rcode, code: u16, text: &str, out: &mut Vec<u8>) {
    reply::error(asked, rcode, Some(Ede { code, text }), out);
}

fn rcode_of(reply: &[u8]) -> u16 {
    reply.get(3).map_or(0, |flags| u16::from(flags & 0x0f))
}
