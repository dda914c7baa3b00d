//! The road of a question for a search engine that the asker's group is held to
//! the safe mode of.
//!
//! The engine's own name is never asked for. Its safe mode's is, by the same
//! cache and the same miss road as every other name, under its own key: one
//! answer serves all names of the engine, and is asked for ahead of time when it
//! is popular. An answer is that or none: what has no safe answer gets SERVFAIL
//! and types that have no address get nothing, for an HTTPS
//! record would lead past it.

use super::desk::From;
use super::pending::{Outcome, Pending, Wanted};
use super::turn::{Settled, Turn};
use super::{Step, reply};
use crate::dns::answer::{Answer, rtype};
use crate::dns::cache::{Cache, Key, Memo};
use crate::dns::question::{Query, Rcode};
use crate::dns::reply::{Blocked, Ede, ede};
use crate::lists::lookup::Covering;
use crate::name::Name;
use crate::policy::decision::{Decision, Verdict};

const HELD: Ede<'_> = Ede {
    code: ede::FORGED_ANSWER,
    text: "Held to its safe mode by school policy",
};
const LOST: Ede<'_> = Ede {
    code: ede::NO_REACHABLE_AUTHORITY,
    text: "The safe mode of this search engine cannot be found",
};

/// A question as it came. `first` is what was decided, `covering` what the lists
/// say of the asked name.
pub(super) fn begin(
    turn: &mut Turn<'_>,
    cache: &mut Cache,
    (query, from): (&Query<'_>, &From),
    (first, covering): (Decision, Covering),
    out: &mut Vec<u8>,
) -> Step {
    let Some(target) = turn.safe_mode() else {
        turn.no_such_record(out);
        turn.record(&Settled::new(first, None));
        return Step::Reply;
    };
    let key = key(target, query.rtype);
    let may_lack = may_lack(cache, &key, turn.now.seconds());
    if let Some(entry) = cache.find(&key)
        && turn.can_serve(entry)
    {
        let memo = turn.memo(entry, target.as_ref());
        let age = entry.age(turn.now.seconds());
        let settled = turn.settle_safely(first, target, (&entry.answer, memo, age), may_lack, out);
        turn.record(&settled);
        return if turn.served(entry) {
            let checked = turn.is_to_be_checked(&key);
            Step::ReplyAndRefresh(Wanted::of_key(&key, checked))
        } else {
            Step::Reply
        };
    }
    turn.counters.cache_misses.count();
    if !query.recursion_desired() {
        reply::error(&turn.asked, Rcode::Refused, None, out);
        turn.record(&Settled::new(first, None));
        return Step::Reply;
    }
    let said = (turn.policy.lists.serial, covering);
    let checked = turn.is_to_be_checked(&key);
    let (desk, from) = (turn.desk, from.clone());
    let pending = Pending::of(desk, query, &turn.asked, &key, from, checked, said);
    Step::Ask(pending.instead(target))
}

/// A question that had to be asked on, or was asked on for another name before
/// the policy changed.
pub(super) fn finish<'t>(
    turn: &Turn<'t>,
    cache: &mut Cache,
    (pending, outcome): (&Pending, &Outcome<'_>),
    first: Decision,
    out: &mut Vec<u8>,
) -> Settled<'t> {
    let Some(target) = turn.safe_mode() else {
        turn.no_such_record(out);
        return Settled::new(first, None);
    };
    let now = turn.now.seconds();
    let key = key(target, turn.rtype);
    let may_lack = may_lack(cache, &key, now);
    let its_own = pending.asks_for(target.as_ref().wire());
    if its_own && let Outcome::Answered(answer, memo) = outcome {
        let memo = memo.filter(|memo| memo.serial == turn.policy.lists.serial);
        let memo = memo.unwrap_or_else(|| turn.look_at(answer, target.as_ref()));
        return turn.settle_safely(first, target, (answer, memo, 0), may_lack, out);
    }
    // An answer of the safe mode that is past its time is still the safe one.
    let forged = matches!(outcome, Outcome::Failed(code) if ede::is_bogus(*code));
    if let Some(entry) = cache.find_stale(&key, now).filter(|_| !forged) {
        if its_own {
            entry.failed_at = Some(now);
        }
        let memo = turn.memo(entry, target.as_ref());
        turn.counters.cache_stale.count();
        let kept = (&entry.answer, memo, entry.age(now));
        return turn.settle_safely(first, target, kept, may_lack, out);
    }
    reply::error(&turn.asked, Rcode::ServFail, Some(LOST), out);
    Settled::new(first, None)
}

/// What the answer of a safe mode is kept under. Nobody gets its signatures, for
/// they are not of the asked name.
fn key(target: &Name, rtype: u16) -> Key<'_> {
    Key {
        name: target.as_ref().wire(),
        rtype,
        dnssec_ok: false,
        checking_disabled: false,
    }
}

/// Whether the safe mode may have no address of the asked type: not if it has
/// none of the other either. All have an IPv4 address, so that one is missed
/// until there is proof of an IPv6 one.
fn may_lack(cache: &mut Cache, key: &Key<'_>, now: u32) -> bool {
    let asks_v4 = key.rtype == rtype::A;
    let other = Key {
        rtype: if asks_v4 { rtype::AAAA } else { rtype::A },
        ..*key
    };
    let known = cache.find(&other).filter(|entry| entry.is_fresh(now));
    known.map_or(!asks_v4, |entry| entry.answer.has_address())
}

impl<'t> Turn<'t> {
    /// The name of the safe mode to be answered with; none if the asked type has
    /// no addresses.
    fn safe_mode(&self) -> Option<&'t Name> {
        let for_address = matches!(self.rtype, rtype::A | rtype::AAAA);
        let (_, target) = self.policy.safe_mode(self.asker.group, self.name)?;
        for_address.then_some(target)
    }

    fn no_such_record(&self, out: &mut Vec<u8>) {
        let ttl = self.desk.block_ttl.min(self.until_edge());
        reply::blocked(&self.asked, Blocked::Nodata, ttl, HELD, out);
    }

    /// The second look at the safe mode's answer, then the reply.
    fn settle_safely(
        &self,
        first: Decision,
        target: &Name,
        (answer, memo, age): (&Answer, Memo, u32),
        may_lack: bool,
        out: &mut Vec<u8>,
    ) -> Settled<'t> {
        let found = memo.asked.merged(&memo.found.covering);
        let private = memo.found.private;
        let decision = self
            .policy
            .decide_again(first, self.asker, &found, private, self.moment);
        if decision.verdict == Verdict::Block {
            self.block(&decision, out);
            return Settled::new(decision, self.source(&decision, &found));
        }
        let exists = !answer.is_failure() && answer.rcode == Rcode::NoError as u16;
        if exists && (may_lack || answer.has_address()) {
            let ttl = self.ttl(answer, age);
            reply::rewritten(&self.asked, target.as_ref(), answer, ttl, Some(HELD), out);
        } else {
            reply::error(&self.asked, Rcode::ServFail, Some(LOST), out);
        }
        Settled::new(decision, None)
    }
}
