//! What happens to a question, from its bytes to the bytes of its reply.
//!
//! ```text
//! bytes ─ question ─ who asks ─ limit ─ lists ─ decision ─┬─ Block ─ reply
//!                                                         ├─ Rewrite ─ the same for another name
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

mod desk;
mod pending;
mod safe_mode;
mod turn;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use foldhash::fast::RandomState;

pub use self::desk::{Checks, Desk, From, Now, Origin};
pub use self::pending::{Outcome, Pending, Wanted};

use self::desk::Shift;
use self::turn::{Settled, Turn, stale, why_failed};
use super::answer::{Answer, rtype};
use super::cache::{Cache, Key, Memo};
use super::question::{self, LowerName, Query, Rcode, Read, Refusal};
use super::reply::{self, Asked, Ede, ede};
use crate::devices::identify::How;
use crate::devices::leases::Leases;
use crate::limiter::Limiter;
use crate::lists::lookup::Covering;
use crate::metrics::{Counters, Transport};
use crate::name::NameRef;
use crate::policy::Policy;
use crate::policy::decision::{Decision, Verdict};
use crate::querylog::recorder::Recorder;

/// What is to be done with a packet.
#[derive(Debug)]
pub enum Step {
    /// Send what is in the buffer.
    Reply,
    /// Send what is in the buffer, and ask an upstream so that the next one is
    /// served as fast.
    ReplyAndRefresh(Wanted),
    /// Ask an upstream, then [`Pipeline::finish`].
    Ask(Pending),
    /// Do nothing.
    Ignore,
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
    pub fn begin(&mut self, packet: &[u8], from: &From, now: Now, out: &mut Vec<u8>) -> Step {
        if let Some(counter) = self.counters.queries.get(from.transport as usize) {
            counter.count();
        }
        let normal;
        let mut read = question::read(packet);
        if matches!(read, Read::Unusual) {
            read = match question::plain_form(packet) {
                Ok(bytes) => {
                    normal = bytes;
                    question::read(&normal)
                }
                Err(rcode) => Refusal::of(packet, rcode).map_or(Read::Ignore, Read::Refuse),
            };
        }
        // By reference: a question is large, and this runs for every packet.
        let step = match &read {
            Read::Plain(query) => self.query(query, from, now, out),
            Read::Refuse(refusal) => {
                reply::refuse(*refusal, out);
                // Not from the header: BADVERS stands partly in the OPT record.
                self.counters.reply(refusal.rcode as u16);
                return Step::Reply;
            }
            // What `plain_form` wrote is plain; were it not, silence is safe.
            Read::Ignore | Read::Unusual => Step::Ignore,
        };
        match step {
            Step::Reply | Step::ReplyAndRefresh(_) => self.counters.reply(rcode_of(out)),
            Step::Ignore => self.counters.ignored.count(),
            Step::Ask(_) => {}
        }
        step
    }

    /// What the lists say of an answer that has just come, for those who wait
    /// for it and for the cache. `first` is one of them: it knows what was said
    /// of the name when it was asked, if that is the name.
    #[must_use]
    pub fn look(
        &mut self,
        wanted: &Wanted,
        answer: &Answer,
        first: Option<&Pending>,
    ) -> Option<Memo> {
        let policy = self.live.load().as_ref()?;
        let lists = &policy.lists;
        let known = first.filter(|first| first.asks_for_itself());
        let known = known.map(|first| first.covering);
        let asked = match known.filter(|(serial, _)| *serial == lists.serial) {
            Some((_, covering)) => covering,
            None => lists.covering(LowerName::from_wire(wanted.name())?.name()),
        };
        Some(Memo::of(lists, asked, answer, &self.desk.rebinding))
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
        let name = asked.question.split_last_chunk::<4>();
        let name = name.and_then(|(name, _)| LowerName::from_wire(name));
        let (true, Some(name)) = (ready, name) else {
            return reply::error(&asked, Rcode::ServFail, Some(NOT_READY), out);
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
        let inventory = &shift.policy.devices;
        let identity = desk.identify(&pending.from, pending.options(), inventory);
        let key = pending.key(&name);
        let mut turn = Turn::new(
            asked,
            name.name(),
            key.rtype,
            identity,
            shift,
            leases.load(),
            desk,
            now,
            counters,
            recorder,
        );
        let lists = &turn.policy.lists;
        let covering = match pending.covering {
            (serial, covering) if serial == lists.serial => covering,
            _ => lists.covering(turn.name),
        };
        let first = turn.decide(&covering);
        let settled = match first.verdict {
            Verdict::Block => {
                turn.block(&first, out);
                Settled::new(first, turn.source(&first, &covering))
            }
            Verdict::Rewrite => safe_mode::finish(&turn, cache, (pending, outcome), first, out),
            Verdict::Allow => finish(&turn, cache, (pending, &key, outcome), first, out),
        };
        turn.record(&settled);
        counters.reply(rcode_of(out));
    }

    /// Keeps what upstreams said, or that they said nothing, for the next who
    /// ask. `memo` is what [`Pipeline::look`] made of it.
    pub fn keep(
        &mut self,
        wanted: &Wanted,
        answer: Result<Answer, u16>,
        memo: Option<Memo>,
        now: Now,
    ) {
        let (key, seconds) = (wanted.key(), now.seconds());
        // Asked for while dates could not be judged, come when they can.
        let dated = self.shift.as_ref().is_some_and(|s| s.moment.is_trusted());
        let name = NameRef::from_wire(wanted.name());
        if dated
            && !wanted.checked
            && !wanted.checking_disabled
            && name.is_some_and(|name| self.desk.checks.include(name))
        {
            return;
        }
        match answer {
            Ok(answer) => self.cache.keep(&key, answer, memo, seconds),
            Err(code) => {
                // A failure must not push out an answer that can still serve;
                // one that was forged must.
                let old = self.cache.find_stale(&key, seconds);
                if let Some(entry) = old.filter(|_| !ede::is_bogus(code)) {
                    entry.failed_at = Some(seconds);
                } else {
                    let failure = Answer::failure(&wanted.question, code, FAILURE_TTL);
                    self.cache.keep(&key, failure, memo, seconds);
                }
            }
        }
        self.counters.cache_bytes.set(self.cache.bytes() as u64);
        self.counters.cache_entries.set(self.cache.len() as u64);
    }

    /// What is kept for a validator: a whole message, or why there is none.
    pub fn recall(&mut self, wanted: &Wanted, now: Now) -> Option<Result<Vec<u8>, u16>> {
        let entry = self.cache.find(&wanted.key())?;
        let age = entry.age(now.seconds());
        let fresh = entry.is_fresh(now.seconds());
        fresh.then(|| wanted.message(Ok(&entry.answer), age))
    }

    /// When [`Pipeline::tick`] has something to do, in milliseconds of the
    /// monotonic clock.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.recorder.due()
    }

    /// Hands the log what it has waited for long enough.
    pub fn tick(&mut self, now: u64) {
        self.recorder.tick(now);
    }

    /// What this worker counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn query(&mut self, query: &Query<'_>, from: &From, now: Now, out: &mut Vec<u8>) -> Step {
        let mut asked = Asked::of(query, from.transport == Transport::Udp);
        if from.transport != Transport::Udp {
            asked.extras = self.desk.extras(query, from.transport);
        }
        let source = from.source();
        let is_here = self.desk.allow.iter().any(|network| network.holds(source));
        if !is_here && !self.is_off_site(from, now) {
            self.counters.strangers.count();
            reply::error(&asked, Rcode::Refused, Some(STRANGER), out);
            return Step::Reply;
        }
        if !self.ready(now) {
            reply::error(&asked, Rcode::ServFail, Some(NOT_READY), out);
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
        let identity = desk.identify(from, options, &shift.policy.devices);
        if from.origin.is_some() && from.client_id() != identity.client_id {
            counters.unknown_client_ids.count();
        }
        let mut turn = Turn::new(
            asked,
            query.name.name(),
            query.rtype,
            identity,
            shift,
            leases.load(),
            desk,
            now,
            counters,
            recorder,
        );
        turn.notice(source, hasher);
        // This machine itself is no device, and a router that names none is many.
        let ourselves = source.is_loopback() && turn.identity.how == How::Source;
        let exempt = ourselves || turn.identity.router_hides();
        if !exempt && !limiter.admits(turn.limit_key(), now.ms) {
            counters.limited.count();
            return turn.error(Rcode::Refused, Some(TOO_MANY), out);
        }
        if let Some(rcode) = question::not_for_us(query) {
            return turn.error(rcode, None, out);
        }
        let key = Key {
            name: query.name.wire(),
            rtype: query.rtype,
            dnssec_ok: query.dnssec_ok() && desk.dnssec,
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
            turn.record(&Settled::new(decision, turn.source(&decision, &covering)));
            return Step::Reply;
        }
        if decision.verdict == Verdict::Rewrite {
            let asked = (query, from);
            return safe_mode::begin(&mut turn, cache, asked, (decision, covering), out);
        }
        if query.rtype == rtype::ANY {
            reply::any(&turn.asked, turn.until_edge().min(desk.max_ttl), out);
            turn.record(&Settled::new(decision, None));
            return Step::Reply;
        }
        if let Some(entry) = kept
            && let Some(refresh) = turn.serve_kept(decision, entry, out)
        {
            return if refresh {
                let checked = turn.is_to_be_checked(&key);
                Step::ReplyAndRefresh(Wanted::of(query, &key, checked))
            } else {
                Step::Reply
            };
        }
        counters.cache_misses.count();
        onward(&mut turn, query, (&key, from), decision, covering, out)
    }

    fn is_off_site(&mut self, from: &From, now: Now) -> bool {
        from.origin.is_some()
            && self.ready(now)
            && self
                .shift
                .as_ref()
                .is_some_and(|shift| Desk::is_off_site(from, &shift.policy.devices))
    }

    /// Whether there is a policy, with its moment worked out for `now`.
    fn ready(&mut self, now: Now) -> bool {
        let Some(policy) = self.live.load() else {
            self.shift = None;
            return false;
        };
        let holds = self
            .shift
            .as_ref()
            .is_some_and(|shift| shift.still_holds(policy, now));
        if !holds {
            let shift = Shift::begin(policy, &self.desk.labels, now);
            let before = self.shift.as_ref();
            if before.is_some_and(|s| !s.moment.is_trusted()) && shift.moment.is_trusted() {
                // What came while the clock was wrong was not checked.
                self.cache.clear();
            }
            self.shift = Some(shift);
        }
        true
    }
}

/// For how long a failure is remembered (RFC 9520: 1 s to 5 min).
const FAILURE_TTL: u32 = 5;

const STRANGER: Ede<'_> = Ede {
    code: ede::PROHIBITED,
    text: "Not a client of this resolver",
};
const NOT_READY: Ede<'_> = Ede {
    code: ede::NOT_READY,
    text: "No policy or lists yet",
};
const TOO_MANY: Ede<'_> = Ede {
    code: ede::OTHER,
    text: "Too many questions from this device",
};

/// A question that neither policy nor cache could answer: our own zones do, or
/// an upstream is to be asked.
fn onward(
    turn: &mut Turn<'_>,
    query: &Query<'_>,
    (key, from): (&Key<'_>, &From),
    decision: Decision,
    covering: Covering,
    out: &mut Vec<u8>,
) -> Step {
    if let Some(answer) = turn.desk.local.answer(query) {
        let lists = &turn.policy.lists;
        let memo = Memo::of(lists, covering, &answer, &turn.desk.rebinding);
        // What we say ourselves is no rebinding.
        let settled = turn.settle(decision, &answer, &memo.without_private(), 0, None, out);
        turn.record(&settled);
        return Step::Reply;
    }
    if !query.recursion_desired() {
        reply::error(&turn.asked, Rcode::Refused, None, out);
        turn.record(&Settled::new(decision, None));
        return Step::Reply;
    }
    let said = (turn.policy.lists.serial, covering);
    let checked = turn.is_to_be_checked(key);
    let (desk, from) = (turn.desk, from.clone());
    let pending = Pending::of(desk, query, &turn.asked, key, from, checked, said);
    Step::Ask(pending)
}

/// An allowed question that had to be asked on.
fn finish<'t>(
    turn: &Turn<'t>,
    cache: &mut Cache,
    (pending, key, outcome): (&Pending, &Key<'_>, &Outcome<'_>),
    first: Decision,
    out: &mut Vec<u8>,
) -> Settled<'t> {
    let code = match outcome {
        Outcome::Answered(answer, memo) if pending.asks_for_itself() => {
            let memo = memo.filter(|memo| memo.serial == turn.policy.lists.serial);
            let memo = memo.unwrap_or_else(|| turn.look_at(answer, turn.name));
            return turn.settle(first, answer, &memo, 0, None, out);
        }
        // It is another name's, asked for before the policy changed.
        Outcome::Answered(..) => ede::OTHER,
        Outcome::Failed(code) => *code,
    };
    // When nobody answers, yesterday's answer is better than none, under
    // today's policy (RFC 8767, R-90). A forged one is no silence.
    let now = turn.now.seconds();
    let old = cache.find_stale(key, now);
    if let Some(entry) = old.filter(|_| !ede::is_bogus(code)) {
        entry.failed_at = Some(now);
        let memo = turn.memo(entry, turn.name);
        turn.counters.cache_stale.count();
        let answer = &entry.answer;
        let why = (!entry.is_fresh(now)).then(|| stale(answer));
        return turn.settle(first, answer, &memo, entry.age(now), why, out);
    }
    reply::error(&turn.asked, Rcode::ServFail, Some(why_failed(code)), out);
    Settled::new(first, None)
}

fn rcode_of(reply: &[u8]) -> u16 {
    reply.get(3).map_or(0, |flags| u16::from(flags & 0x0f))
}
