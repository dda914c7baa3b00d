//! One question's way through policy: who asks, what is decided, what the reply
//! holds, and the one event that is made of it.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::Step;
use super::desk::{Desk, Now, Shift};
use crate::devices::find::{Who, find};
use crate::devices::hidden::Hidden;
use crate::devices::identify::{How, Identity};
use crate::devices::leases::Leases;
use crate::dns::answer::{Answer, rtype};
use crate::dns::cache::{Entry, Key, Memo};
use crate::dns::question::Rcode;
use crate::dns::reply::{self, Asked, Blocked, Ede, Ttl, ede};
use crate::dns::second_look::{Rebinding, second_look};
use crate::lists::lookup::{Covering, Lists};
use crate::mac::Mac;
use crate::metrics::{Counters, GroupLabel};
use crate::name::NameRef;
use crate::policy::decide::Moment;
use crate::policy::decision::{Decision, Layer, LogLevel, Verdict};
use crate::policy::group::{Ech, Refusal};
use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};
use crate::querylog::event::Event;
use crate::querylog::recorder::Recorder;

/// What a stale answer is served with (RFC 8767 section 4).
const STALE_TTL: u32 = 30;
/// For how long after a failed refresh a stale answer is served at once
/// (RFC 8767 section 5: the failure recheck timer).
const STALE_RECHECK: u32 = 30;

/// One question on its way through.
pub(super) struct Turn<'t> {
    pub(super) asked: Asked<'t>,
    pub(super) name: NameRef<'t>,
    pub(super) rtype: u16,
    pub(super) identity: Identity<'t>,
    pub(super) who: Who,
    pub(super) asker: Asker,
    pub(super) policy: &'t Policy,
    pub(super) moment: &'t Moment,
    pub(super) leases: &'t Leases,
    pub(super) desk: &'t Desk,
    pub(super) label: GroupLabel,
    pub(super) now: Now,
    pub(super) counters: &'t Counters,
    pub(super) recorder: &'t mut Recorder,
}

/// A decision with what the log wants to know of it.
pub(super) struct Settled<'p> {
    decision: Decision,
    source: Option<&'p str>,
}

impl<'p> Settled<'p> {
    pub(super) fn new(decision: Decision, source: Option<&'p str>) -> Self {
        Self { decision, source }
    }
}

impl<'t> Turn<'t> {
    #[expect(
        clippy::too_many_arguments,
        reason = "it gathers them, once, so that no other does"
    )]
    pub(super) fn new(
        asked: Asked<'t>,
        name: NameRef<'t>,
        rtype: u16,
        identity: Identity<'t>,
        shift: &'t Shift,
        leases: &'t Leases,
        desk: &'t Desk,
        now: Now,
        counters: &'t Counters,
        recorder: &'t mut Recorder,
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
            counters,
            recorder,
        }
    }

    /// Counts what is odd about the sender.
    pub(super) fn notice(&self, source: IpAddr, hasher: &RandomState) {
        if self.who.conflict {
            self.counters.conflicts.count();
        }
        let now = self.now.wall;
        if self.identity.ignored_options {
            self.counters.untrusted_identities.count();
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

    pub(super) fn limit_key(&self) -> (Option<u32>, Option<Mac>, IpAddr) {
        match (self.who.device, self.who.mac) {
            (Some(device), _) => (Some(device), None, IpAddr::from([0, 0, 0, 0])),
            (None, mac @ Some(_)) => (None, mac, IpAddr::from([0, 0, 0, 0])),
            (None, None) => (None, None, self.who.ip),
        }
    }

    pub(super) fn decide(&self, covering: &Covering) -> Decision {
        self.policy
            .decide(self.asker, self.name, covering, self.moment, &mut ())
    }

    /// Replies with a code alone. The log must still know what the policy says
    /// of the name: a mandatory one is withheld from most who read it.
    pub(super) fn error(&mut self, rcode: Rcode, why: Option<Ede<'_>>, out: &mut Vec<u8>) -> Step {
        reply::error(&self.asked, rcode, why, out);
        let covering = self.policy.lists.covering(self.name);
        let decision = self.decide(&covering);
        self.record(&Settled::new(decision, self.source(&decision, &covering)));
        Step::Reply
    }

    /// Whether the signatures of what is kept under `key` are checked here. Not
    /// while the clock is wrong: every one would seem out of date, and nobody
    /// could look up the time server that puts it right (R-133g).
    pub(super) fn is_to_be_checked(&self, key: &Key<'_>) -> bool {
        let name = NameRef::from_wire(key.name);
        let included = name.is_some_and(|name| self.desk.checks.include(name));
        if key.checking_disabled || !included {
            return false;
        }
        if !self.moment.is_trusted() {
            self.counters.unchecked.count();
        }
        self.moment.is_trusted()
    }

    /// What the lists say of an answer, and of the name it is the answer of.
    pub(super) fn look_at(&self, answer: &Answer, name: NameRef<'_>) -> Memo {
        let lists = &self.policy.lists;
        Memo::of(lists, lists.covering(name), answer, &self.desk.rebinding)
    }

    /// The memo of a kept answer, renewed if the lists are newer.
    pub(super) fn memo(&self, entry: &mut Entry, name: NameRef<'_>) -> Memo {
        if let Some(memo) = entry.memo
            && memo.serial == self.policy.lists.serial
        {
            return memo;
        }
        let memo = self.look_at(&entry.answer, name);
        entry.memo = Some(memo);
        memo
    }

    /// Whether a kept answer can serve: it is fresh, or asking for it again has
    /// just failed.
    pub(super) fn can_serve(&self, entry: &Entry) -> bool {
        let now = self.now.seconds();
        let failed_lately = || {
            entry
                .failed_at
                .is_some_and(|at| now.saturating_sub(at) < STALE_RECHECK)
        };
        entry.is_fresh(now) || failed_lately()
    }

    /// Counts that a kept answer has served; says whether it should be asked for
    /// again.
    pub(super) fn served(&self, entry: &mut Entry) -> bool {
        let now = self.now.seconds();
        let (age, fresh) = (entry.age(now), entry.is_fresh(now));
        entry.hits = entry.hits.saturating_add(1);
        if fresh {
            self.counters.cache_hits.count();
        } else {
            self.counters.cache_stale.count();
        }
        // The last tenth of its time, and somebody wants it: ask ahead.
        let lifetime = entry.answer.lifetime;
        let popular = entry.hits >= 3 && !entry.answer.is_failure();
        let refresh = self.desk.prefetch && fresh && popular && age >= lifetime - lifetime / 10;
        if refresh {
            entry.hits = 0;
        }
        refresh
    }

    /// Answers from a kept answer if it can serve; says whether it should be
    /// asked for again.
    pub(super) fn serve_kept(
        &mut self,
        first: Decision,
        entry: &mut Entry,
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        if !self.can_serve(entry) {
            return None;
        }
        let now = self.now.seconds();
        let age = entry.age(now);
        let memo = self.memo(entry, self.name);
        let why = match (&entry.answer, entry.is_fresh(now)) {
            (answer, true) if answer.is_failure() => answer.error.map(|code| Ede {
                // What is wrong with it says more than that it is remembered.
                code: if ede::is_bogus(code) {
                    code
                } else {
                    ede::CACHED_ERROR
                },
                ..why_failed(code)
            }),
            (_, true) => None,
            (answer, false) => Some(stale(answer)),
        };
        let settled = self.settle(first, &entry.answer, &memo, age, why, out);
        self.record(&settled);
        Some(self.served(entry))
    }

    /// The second look, then the reply. `first` is what was decided on the
    /// asked name, and no block.
    pub(super) fn settle(
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
            return Settled::new(decision, self.source(&decision, &found.covering));
        }
        let ttl = self.ttl(answer, age);
        if found.ech && self.strips_ech() {
            self.counters.ech_stripped.count();
            reply::without_ech(&self.asked, answer, ttl, why, out);
        } else {
            reply::answer(&self.asked, answer, ttl, why, out);
        }
        Settled::new(decision, None)
    }

    fn strips_ech(&self) -> bool {
        let group = self.policy.group(self.asker.group);
        group.is_none_or(|group| group.ech == Ech::Strip)
    }

    /// How the TTLs of an answer of this age go out.
    pub(super) fn ttl(&self, answer: &Answer, age: u32) -> Ttl {
        Ttl {
            age,
            // One that may not be kept at all is never stale.
            least: match answer.lifetime {
                1.. if age >= answer.lifetime => STALE_TTL,
                _ => 0,
            },
            most: self.until_edge().min(self.desk.max_ttl),
        }
    }

    /// By the same rule as `why` explains it.
    pub(super) fn block(&self, decision: &Decision, out: &mut Vec<u8>) {
        let null = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
        let for_address = matches!(self.rtype, rtype::A | rtype::AAAA);
        let group = self.asker.group;
        let how = match self.policy.refusal(group, decision, for_address) {
            Refusal::Nxdomain => Blocked::Nxdomain,
            Refusal::Nodata => Blocked::Nodata,
            Refusal::Null => Blocked::Addresses(&null),
            Refusal::Page => Blocked::Addresses(&self.desk.page),
        };
        let ttl = self.desk.block_ttl.min(self.until_edge());
        let why = reply::why_blocked(decision.layer, &self.desk.block_text);
        reply::blocked(&self.asked, how, ttl, why, out);
    }

    /// Whole seconds until this group's answers may change.
    pub(super) fn until_edge(&self) -> u32 {
        let left = self.moment.edge(self.asker.group).as_second() - self.now.wall.as_second() - 1;
        u32::try_from(left.max(0)).unwrap_or(u32::MAX)
    }

    pub(super) fn source(&self, decision: &Decision, covering: &Covering) -> Option<&'t str> {
        let lists = &self.policy.lists;
        match (decision.layer, decision.category) {
            (Layer::Mandatory, _) => lists.mandatory_source(covering),
            (_, Some(category)) => lists.source_of(covering, category),
            (_, None) => None,
        }
        .map(|source| &*source.id)
    }

    /// The one event of this question, and its count.
    pub(super) fn record(&mut self, settled: &Settled<'_>) {
        let decision = &settled.decision;
        self.counters.decision(
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
        let event = &Event {
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
        };
        self.recorder.record(event, self.now.ms);
    }
}

impl Memo {
    pub(super) fn of(
        lists: &Lists,
        asked: Covering,
        answer: &Answer,
        rebinding: &Rebinding,
    ) -> Self {
        Self {
            serial: lists.serial,
            asked,
            found: second_look(answer, lists, rebinding),
        }
    }

    pub(super) fn without_private(mut self) -> Self {
        self.found.private = false;
        self
    }
}

pub(super) fn stale(answer: &Answer) -> Ede<'static> {
    let code = match answer.rcode {
        3 => ede::STALE_NXDOMAIN,
        _ => ede::STALE_ANSWER,
    };
    Ede { code, text: "" }
}

/// What went wrong on the way, in words for `dig`.
pub(super) fn why_failed(code: u16) -> Ede<'static> {
    let text = match code {
        ede::NO_REACHABLE_AUTHORITY => "No upstream answered in time",
        ede::NETWORK_ERROR => "The upstreams cannot be reached: is the line down?",
        ede::SIGNATURE_EXPIRED => "Signatures have expired",
        ede::SIGNATURE_NOT_YET_VALID => "Signatures are not valid yet: is this clock right?",
        ede::RRSIGS_MISSING => "Signatures are missing",
        ede::NSEC_MISSING => "Nothing proves that there is no such record",
        ede::DNSSEC_BOGUS => "Signatures are not in order",
        _ => "The upstreams could not answer",
    };
    Ede { code, text }
}
