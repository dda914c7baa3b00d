//! The nightly look at the safe modes of search engines: is each still there?
//!
//!
//! A safe mode that its engine gives up makes that engine unreachable for every
//! group held to it, and nobody would know why. So each is looked up once a
//! night, soon after a start, and when the table changes, by a worker's own miss
//! road: what is found is what pupils would get. It is told by a metric and in
//! the machine's log. Nothing depends on it: it asks by letter, and an answer
//! that does not come is one that is missing.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::dns::answer::rtype;
use crate::dns::cache::Key;
use crate::dns::mailbox::{Mail, Mailbox};
use crate::dns::pipeline::Wanted;
use crate::name::Name;
use crate::policy::Policy;

/// So long after a start the line should be up.
const AFTER_START: SignedDuration = SignedDuration::from_secs(60);
/// When it is night, on the school's wall.
const HOUR: i8 = 3;
/// An answer that has not come by then does not come.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// The safe modes that were missing at the last look.
pub(super) type Missing = Arc<Mutex<Vec<String>>>;

/// What has to be known from one look to the next.
pub(super) struct Probe {
    zone: TimeZone,
    started: Timestamp,
    last: Option<Timestamp>,
    /// What was to be looked for when it was last thought of.
    targets: Option<Vec<Name>>,
    round: Option<Round>,
    missing: Missing,
}

/// One look that has begun.
struct Round {
    began: Timestamp,
    targets: Vec<(Name, bool)>,
    unanswered: usize,
    told: Receiver<(usize, bool)>,
}

impl Probe {
    /// `policy` is that of the start, if there was one.
    pub(super) fn new(zone: TimeZone, started: Timestamp, policy: Option<&Policy>) -> Self {
        Self {
            zone,
            started,
            last: None,
            targets: policy.map(targets),
            round: None,
            missing: Arc::default(),
        }
    }

    /// What was missing at the last look.
    pub(super) fn missing(&self) -> Missing {
        Arc::clone(&self.missing)
    }

    /// Begins a look if it is time, and ends one that has its answers.
    pub(super) fn tick(&mut self, policy: &Policy, mailbox: &Mailbox, now: Timestamp) {
        if let Some(round) = self.round.take() {
            self.round = self.go_on(round, now);
            return;
        }
        let targets = targets(policy);
        let known = self.targets.as_ref();
        let changed = known.is_some_and(|known| *known != targets);
        let due = changed || self.is_due(now);
        self.targets = Some(targets.clone());
        if due {
            self.last = Some(now);
            self.round = Some(Round::begin(targets, mailbox, now));
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let Some(last) = self.last else {
            return now.duration_since(self.started) >= AFTER_START;
        };
        let wall = now.to_zoned(self.zone.clone());
        let tonight = wall.date().at(HOUR, 0, 0, 0).to_zoned(self.zone.clone());
        tonight.is_ok_and(|tonight| last < tonight.timestamp() && tonight <= wall)
    }

    fn go_on(&self, mut round: Round, now: Timestamp) -> Option<Round> {
        while let Ok((target, found)) = round.told.try_recv() {
            round.unanswered = round.unanswered.saturating_sub(1);
            if let Some((_, has)) = round.targets.get_mut(target) {
                *has |= found;
            }
        }
        if round.unanswered > 0 && now.duration_since(round.began).abs() < PATIENCE {
            return Some(round);
        }
        let missing = || round.targets.iter().filter(|(_, found)| !found);
        let count = missing().count();
        if count == round.targets.len() && count > 1 {
            tracing::warn!("no safe mode of any search engine can be found: is the line down?");
        } else {
            for (target, _) in missing() {
                tracing::warn!(
                    %target,
                    "the safe mode of a search engine cannot be found, so its engine fails for \
                     groups held to it; has it moved? A newer table can stand in safe-search.toml"
                );
            }
        }
        let missing = missing().map(|(target, _)| target.to_string()).collect();
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
        None
    }
}

fn targets(policy: &Policy) -> Vec<Name> {
    let mut targets: Vec<Name> = policy.engines.targets().cloned().collect();
    targets.sort();
    targets.dedup();
    targets
}

impl Round {
    fn begin(targets: Vec<Name>, mailbox: &Mailbox, now: Timestamp) -> Self {
        let (tell, told) = channel();
        let mut unanswered = 0;
        for (place, target) in targets.iter().enumerate() {
            for rtype in [rtype::A, rtype::AAAA] {
                let key = Key {
                    name: target.as_ref().wire(),
                    rtype,
                    dnssec_ok: false,
                    checking_disabled: false,
                };
                let wanted = Wanted::of_key(&key, false);
                let (mark, tell) = (place, tell.clone());
                // A box that is full tells nobody, and then it is missed.
                if mailbox.post(Mail::Probe { wanted, mark, tell }) {
                    unanswered += 1;
                }
            }
        }
        Self {
            began: now,
            targets: targets.into_iter().map(|target| (target, false)).collect(),
            unanswered,
            told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_soon_after_the_start_and_then_once_a_night() {
        let zone = TimeZone::get("Europe/London").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut probe = Probe::new(zone, at("2026-06-01T12:00:00Z"), None);
        assert!(!probe.is_due(at("2026-06-01T12:00:30Z")));
        assert!(probe.is_due(at("2026-06-01T12:01:00Z")));
        probe.last = Some(at("2026-06-01T12:01:00Z"));
        // 03:00 on the wall is 02:00 in UTC.
        assert!(!probe.is_due(at("2026-06-02T01:59:59Z")));
        assert!(probe.is_due(at("2026-06-02T02:00:00Z")));
        probe.last = Some(at("2026-06-02T02:00:00Z"));
        assert!(!probe.is_due(at("2026-06-02T02:00:01Z")));
        assert!(!probe.is_due(at("2026-06-02T23:00:00Z")));
        // A night that the machine slept through is made up for.
        assert!(probe.is_due(at("2026-06-04T10:00:00Z")));
        // A clock that was set back waits for its night.
        assert!(!probe.is_due(at("2026-05-20T10:00:00Z")));
    }
}
