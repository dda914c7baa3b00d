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

use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::answer::{Answer, rtype};
use super::cache::{Cache, Entry, Key, Memo};
use super::limiter::Limiter;
use super::local::Local;
use super::question::{self, IN, Query, Rcode, Read, Refusal};
use super::reply::{self, Asked, Blocked, Ede, Ttl, ede};
use super::second_look::{Rebinding, second_look};
use crate::devices::find::{Who, find};
use crate::devices::hidden::Hidden;
use crate::devices::identify::{How, Identity, identify};
use crate::devices::leases::Leases;
use crate::lists::lookup::Covering;
use crate::metrics::{Counters, GroupLabel, GroupLabels, Transport};
use crate::name::NameRef;
use crate::policy::decide::Moment;
use crate::policy::decision::{Decision, Layer, LogLevel, Verdict};
use crate::policy::group::{BlockedAnswer, Network};
use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};
use crate::querylog::event::Event;
use crate::querylog::recorder::Recorder;

/// What a stale answer is served with (RFC 8767 section 4).
const STALE_TTL: u32 = 30;
/// For how long after a failed refresh a stale answer is served at once
/// (RFC 8767 section 5: the failure recheck timer).
const STALE_RECHECK: u32 = 30;

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

/// What to ask an upstream. Nothing of the client is in it (R-75).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The question section, in lower case.
    pub question: Box<[u8]>,
    /// Whether signatures are wanted.
    pub dnssec_ok: bool,
    /// Whether the client checks them itself.
    pub checking_disabled: bool,
}

/// A question that waits for an upstream.
#[derive(Debug)]
pub struct Pending {
    /// What is asked.
    pub wanted: Wanted,
    /// Where the reply goes.
    pub from: From,
    id: u16,
    flags: u16,
    question: Box<[u8]>,
    edns: Option<bool>,
    limit: usize,
    options: Box<[u8]>,
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

/// One question on its way through.
struct Turn<'t> {
    asked: Asked<'t>,
    name: NameRef<'t>,
    rtype: u16,
    identity: Identity<'t>,
    who: Who,
    asker: Asker,
    policy: &'t Policy,
    moment: &'t Moment,
    leases: &'t Leases,
    desk: &'t Desk,
    label: GroupLabel,
    now: Now,
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
        if let Some(rcode) = not_for_us(query) {
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

/// A decision with what the log wants to know of it.
struct Settled<'p> {
    decision: Decision,
    source: Option<&'p str>,
}

impl<'p> Settled<'p> {
    fn new(decision: Decision, source: Option<&'p str>) -> Self {
        Self { decision, source }
    }
}

impl<'t> Turn<'t> {
    #[expect(
        clippy::too_many_arguments,
        reason = "it gathers them, once, so that no other does"
    )]
    fn new(
        asked: Asked<'t>,
        name: NameRef<'t>,
        rtype: u16,
        identity: Identity<'t>,
        shift: &'t Shift,
        leases: &'t Leases,
        desk: &'t Desk,
        now: Now,
    ) -> Self {
        let policy = &*shift.policy;
        let networks = |ip| policy.networks.group_of(ip).map(|g| g.0);
        let who = find(
            &identity,
            &policy.devices,
            leases,
            networks,
            policy.unknown.0,
            now.wall,
        );
        let label = shift.labels.get(usize::from(who.group)).copied();
        Self {
            asked,
            name,
            rtype,
            identity,
            who,
            asker: Asker {
                group: GroupIndex(who.group),
                device: who.device.map(DeviceIndex),
            },
            policy,
            moment: &shift.moment,
            leases,
            desk,
            label: label.unwrap_or_default(),
            now,
        }
    }

    /// Counts what is odd about the sender.
    fn notice(&self, source: IpAddr, hasher: &RandomState, counters: &Counters) {
        if self.who.conflict {
            counters.conflicts.count();
        }
        let now = self.now.wall;
        if self.identity.ignored_options {
            counters.untrusted_identities.count();
            if let Ok(mut hidden) = self.desk.hidden.try_lock() {
                hidden.claimed(source, now);
            }
        }
        let is_one_device = self.who.device.is_some() || self.who.lease.is_some();
        let from_here = source.is_loopback() && !self.identity.behind_router;
        if is_one_device || self.identity.how != How::Source || from_here {
            return;
        }
        let hash = hasher.hash_one(self.name.wire());
        if Hidden::is_sampled(hash)
            && let Ok(mut hidden) = self.desk.hidden.try_lock()
        {
            hidden.unnamed(source, self.identity.behind_router, hash, now);
        }
    }

    fn limit_key(&self) -> (Option<u32>, Option<crate::mac::Mac>, IpAddr) {
        match (self.who.device, self.who.mac) {
            (Some(device), _) => (Some(device), None, IpAddr::from([0, 0, 0, 0])),
            (None, mac @ Some(_)) => (None, mac, IpAddr::from([0, 0, 0, 0])),
            (None, None) => (None, None, self.who.ip),
        }
    }

    fn decide(&self, covering: &Covering) -> Decision {
        self.policy
            .decide(self.asker, self.name, covering, self.moment, &mut ())
    }

    /// The plain "allowed, nothing to say" of an error reply.
    #[expect(clippy::unused_self, reason = "it is said of this question")]
    fn allowed(&self) -> Settled<'t> {
        Settled {
            decision: Decision::open(),
            source: None,
        }
    }

    /// What the lists say of an answer and, if not known yet, of the name.
    fn look(&self, answer: &Answer, asked: Option<Covering>) -> Memo {
        let lists = &self.policy.lists;
        Memo {
            serial: lists.serial,
            asked: asked.unwrap_or_else(|| lists.covering(self.name)),
            found: second_look(answer, lists, &self.desk.rebinding),
        }
    }

    /// The memo of a kept answer, renewed if the lists are newer.
    fn memo(&self, entry: &mut Entry) -> Memo {
        if let Some(memo) = entry.memo
            && memo.serial == self.policy.lists.serial
        {
            return memo;
        }
        let memo = self.look(&entry.answer, None);
        entry.memo = Some(memo);
        memo
    }

    /// Answers from a kept answer if it can serve; says whether it should be
    /// asked for again.
    fn serve_kept(
        &self,
        first: Decision,
        entry: &mut Entry,
        recorder: &mut Recorder,
        counters: &Counters,
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        let now = self.now.seconds();
        let age = entry.age(now);
        let fresh = entry.is_fresh(now);
        let failed_lately = entry
            .failed_at
            .is_some_and(|at| now.saturating_sub(at) < STALE_RECHECK);
        if !fresh && !failed_lately {
            return None;
        }
        entry.hits = entry.hits.saturating_add(1);
        let memo = self.memo(entry);
        let why = match (&entry.answer, fresh) {
            (answer, true) if answer.is_failure() => Some(Ede {
                code: ede::CACHED_ERROR,
                text: answer.error.map_or("", |code| why_failed(code).text),
            }),
            (_, true) => None,
            (answer, false) => Some(stale(answer)),
        };
        let settled = self.settle(first, &entry.answer, &memo, age, why, out);
        self.record(&settled, counters, recorder);
        if fresh {
            counters.cache_hits.count();
        } else {
            counters.cache_stale.count();
        }
        // The last tenth of its time, and somebody wants it: ask ahead.
        let lifetime = entry.answer.lifetime;
        let popular = entry.hits >= 3 && !entry.answer.is_failure();
        let refresh = self.desk.prefetch && fresh && popular && age >= lifetime - lifetime / 10;
        if refresh {
            entry.hits = 0;
        }
        Some(refresh)
    }

    /// The second look, then the reply. `first` is what was decided on the
    /// asked name.
    fn settle(
        &self,
        first: Decision,
        answer: &Answer,
        memo: &Memo,
        age: u32,
        why: Option<Ede<'_>>,
        out: &mut Vec<u8>,
    ) -> Settled<'t> {
        let found = &memo.found;
        let decision = self.policy.decide_again(
            first,
            self.asker,
            &found.covering,
            found.private,
            self.moment,
        );
        if decision.verdict == Verdict::Block {
            self.block(&decision, out);
            let covering = if first.verdict == Verdict::Block {
                &memo.asked
            } else {
                &found.covering
            };
            return Settled::new(decision, self.source(&decision, covering));
        }
        let ttl = Ttl {
            age,
            least: if age >= answer.lifetime { STALE_TTL } else { 0 },
            most: self.until_edge().min(self.desk.max_ttl),
        };
        reply::answer(&self.asked, answer, ttl, why, out);
        Settled::new(decision, None)
    }

    fn block(&self, decision: &Decision, out: &mut Vec<u8>) {
        let null = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
        let group = self.policy.group(self.asker.group);
        let how = match group.map_or(BlockedAnswer::Default, |g| g.answer) {
            BlockedAnswer::Nxdomain => Blocked::Nxdomain,
            BlockedAnswer::Null => Blocked::Addresses(&null),
            BlockedAnswer::Page => Blocked::Addresses(&self.desk.page),
            BlockedAnswer::Default if decision.below_too => Blocked::Nxdomain,
            BlockedAnswer::Nodata | BlockedAnswer::Default => Blocked::Nodata,
        };
        let ttl = self.desk.block_ttl.min(self.until_edge());
        reply::blocked(
            &self.asked,
            how,
            ttl,
            reply::why_blocked(decision.layer),
            out,
        );
    }

    /// Whole seconds until this group's answers may change (R-93).
    fn until_edge(&self) -> u32 {
        let left = self.moment.edge(self.asker.group).as_second() - self.now.wall.as_second() - 1;
        u32::try_from(left.max(0)).unwrap_or(u32::MAX)
    }

    fn source(&self, decision: &Decision, covering: &Covering) -> Option<&'t str> {
        let lists = &self.policy.lists;
        match (decision.layer, decision.category) {
            (Layer::Mandatory, _) => lists.mandatory_source(covering),
            (_, Some(category)) => lists.source_of(covering, category),
            (_, None) => None,
        }
        .map(|source| &*source.id)
    }

    /// The one event of this question, and its count.
    fn record(&self, settled: &Settled<'_>, counters: &Counters, recorder: &mut Recorder) {
        let decision = &settled.decision;
        counters.decision(
            self.label,
            decision.layer,
            decision.verdict,
            decision.category,
        );
        let device = self
            .who
            .device
            .and_then(|row| self.policy.devices.device(row));
        let group = self.policy.group(self.asker.group);
        let host = self.who.lease.and_then(|lease| self.leases.host(lease));
        recorder.record(&Event {
            time: self.now.wall,
            time_trusted: self.moment.is_trusted(),
            device: device.map(|d| &*d.id),
            device_name: device.map(|d| &*d.name).or(host),
            mac: self.who.mac,
            ip: self.who.ip,
            group: group.map_or("", |g| &g.id),
            name: self.name,
            rtype: self.rtype,
            action: decision.verdict,
            layer: decision.layer,
            category: decision.category,
            categories: decision.categories,
            source: settled.source,
            policy: self.policy.number,
            level: group.map_or(LogLevel::Full, |g| g.log),
        });
    }
}

impl Memo {
    fn of(policy: &Policy, name: NameRef<'_>, answer: &Answer, rebinding: &Rebinding) -> Self {
        Self {
            serial: policy.lists.serial,
            asked: policy.lists.covering(name),
            found: second_look(answer, &policy.lists, rebinding),
        }
    }

    fn without_private(mut self) -> Self {
        self.found.private = false;
        self
    }
}

impl Wanted {
    fn of(query: &Query<'_>) -> Self {
        Self {
            question: [
                query.name.wire(),
                query.question.last_chunk::<4>().unwrap_or(&[0; 4]),
            ]
            .concat()
            .into(),
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        }
    }

    /// The asked name's wire form.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let end = self.question.len().saturating_sub(4);
        self.question.get(..end).unwrap_or_default()
    }

    /// The asked type.
    #[must_use]
    pub fn rtype(&self) -> u16 {
        match *self.question {
            [.., a, b, _, _] => u16::from_be_bytes([a, b]),
            _ => 0,
        }
    }

    /// What it is kept under.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        Key {
            name: self.name(),
            rtype: self.rtype(),
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }
}

impl Pending {
    fn asked(&self) -> Asked<'_> {
        Asked {
            id: self.id,
            flags: self.flags,
            question: &self.question,
            edns: self.edns,
            limit: self.limit,
        }
    }
}

/// Questions no resolver takes: other classes, zone transfers, meta types.
fn not_for_us(query: &Query<'_>) -> Option<Rcode> {
    match (query.class, query.rtype) {
        // A question for an OPT or a signature record has no meaning.
        (_, 0 | 41) => Some(Rcode::FormErr),
        (IN, 249 | 250) => Some(Rcode::NotImp),
        (IN, 251..=254) => Some(Rcode::Refused),
        (IN, _) => None,
        _ => Some(Rcode::Refused),
    }
}

fn fail(asked: &Asked<'_>, rcode: Rcode, code: u16, text: &str, out: &mut Vec<u8>) {
    reply::error(asked, rcode, Some(Ede { code, text }), out);
}

fn stale(answer: &Answer) -> Ede<'static> {
    let code = match answer.rcode {
        3 => ede::STALE_NXDOMAIN,
        _ => ede::STALE_ANSWER,
    };
    Ede { code, text: "" }
}

/// What went wrong on the way, in words for `dig` (R-102).
fn why_failed(code: u16) -> Ede<'static> {
    let text = match code {
        ede::NO_REACHABLE_AUTHORITY => "No upstream answered in time",
        ede::NETWORK_ERROR => "The upstreams cannot be reached: is the line down?",
        _ => "The upstreams could not answer",
    };
    Ede { code, text }
}

fn rcode_of(reply: &[u8]) -> u16 {
    reply.get(3).map_or(0, |flags| u16::from(flags & 0x0f))
}
