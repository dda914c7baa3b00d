//! Every metric: what is counted where packets flow, and how it is told.
//!
//! Each worker counts into an own [`Counters`], because a counter that two
//! cores share costs more than the rest of a cached answer. They are added up
//! when somebody reads `/metrics`. Labels are bounded words (group, category,
//! layer, transport, rcode), never a name, a client or a rule: what a pupil
//! asked stands in the query log alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

mod changes;
pub mod exposition;
pub mod upstream;

use crate::lists::category::Category;
use crate::policy::decision::{Layer, Verdict};

use self::upstream::UpstreamCounters;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS (RFC 7858).
    Tls,
    /// HTTP under TLS (RFC 8484).
    Https,
    /// A stream of QUIC for each question (RFC 9250).
    Quic,
    /// HTTP over QUIC (RFC 9114).
    Https3,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 6] = [
        Self::Udp,
        Self::Tcp,
        Self::Tls,
        Self::Https,
        Self::Quic,
        Self::Https3,
    ];

    /// The label.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Quic => "quic",
            Self::Https3 => "https3",
        }
    }

    /// Whether nobody on the way can read it, nor put in a word.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic | Self::Https3)
    }

    /// Whether it is a stream of messages that stays open, which RFC 7828 is
    /// about; connections of HTTP and QUIC have ways of their own (RFC 9250
    /// section 5.5.2).
    #[must_use]
    pub fn is_message_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }
}

/// Most groups with a label of their own; a school that renames its groups
/// again and again ends in `other`.
const GROUPS: usize = 64;
/// One column for each category, and one for none.
const CATEGORIES: usize = 65;
/// Response codes 0 to 15, and one for the others.
const RCODES: usize = 17;

/// A counter with one writer: a plain addition, no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now + more, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts.
#[derive(Debug)]
pub struct Counters {
    /// Questions, by transport.
    pub queries: [Counter; Transport::ALL.len()],
    /// Replies, by response code.
    rcodes: [Counter; RCODES],
    /// Decisions, by layer and verdict.
    decisions: [[Counter; Verdict::ALL.len()]; Layer::ALL.len()],
    /// Blocked questions, by group and category.
    blocked: Box<[Counter]>,
    /// Answered from the cache.
    pub cache_hits: Counter,
    /// Not in the cache.
    pub cache_misses: Counter,
    /// Answered with an answer past its time.
    pub cache_stale: Counter,
    /// Bytes in the cache.
    pub cache_bytes: Counter,
    /// Answers in the cache.
    pub cache_entries: Counter,
    /// Replies from which keys for encrypting a server's name were taken.
    pub ech_stripped: Counter,
    /// Packets that were met with silence.
    pub ignored: Counter,
    /// Questions from outside `clients.allow`.
    pub strangers: Counter,
    /// Questions over a device's limit.
    pub limited: Counter,
    /// Identity options from addresses that are no router's.
    pub untrusted_identities: Counter,
    /// Identities that contradict each other.
    pub conflicts: Counter,
    /// Encrypted questions with a client id that no device has.
    pub unknown_client_ids: Counter,
    /// Questions sent to upstreams.
    pub upstream_queries: Counter,
    /// Upstream questions that failed or timed out.
    pub upstream_failures: Counter,
    /// Upstream replies that were not to what had been asked.
    pub upstream_mismatches: Counter,
    /// How each upstream fares, in the order of the settings.
    pub upstreams: Box<[UpstreamCounters]>,
    /// Questions now waiting for an upstream.
    pub upstream_waiting: Counter,
    /// Questions that joined one already on its way.
    pub upstream_shared: Counter,
    /// Answers whose signatures were not in order.
    pub bogus: Counter,
    /// Questions whose answers could not be checked for want of a clock.
    pub unchecked: Counter,
    /// Replies that the kernel would not take.
    pub send_errors: Counter,
    /// Errors while receiving.
    pub receive_errors: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        let blocked = std::iter::repeat_with(Counter::default);
        Self {
            queries: Default::default(),
            rcodes: Default::default(),
            decisions: Default::default(),
            blocked: blocked.take(GROUPS * CATEGORIES).collect(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            cache_stale: Counter::default(),
            cache_bytes: Counter::default(),
            cache_entries: Counter::default(),
            ech_stripped: Counter::default(),
            ignored: Counter::default(),
            strangers: Counter::default(),
            limited: Counter::default(),
            untrusted_identities: Counter::default(),
            conflicts: Counter::default(),
            unknown_client_ids: Counter::default(),
            upstream_queries: Counter::default(),
            upstream_failures: Counter::default(),
            upstream_mismatches: Counter::default(),
            upstreams: Box::default(),
            upstream_waiting: Counter::default(),
            upstream_shared: Counter::default(),
            bogus: Counter::default(),
            unchecked: Counter::default(),
            send_errors: Counter::default(),
            receive_errors: Counter::default(),
        }
    }
}

impl Counters {
    /// Those of a worker that asks so many upstreams.
    #[must_use]
    pub fn with_upstreams(count: usize) -> Self {
        let upstreams = std::iter::repeat_with(UpstreamCounters::default);
        Self {
            upstreams: upstreams.take(count).collect(),
            ..Self::default()
        }
    }

    /// A reply with this response code went out.
    pub fn reply(&self, rcode: u16) {
        let index = usize::from(rcode).min(RCODES - 1);
        if let Some(counter) = self.rcodes.get(index) {
            counter.count();
        }
    }

    /// A question was decided; `group` is its label's place.
    pub fn decision(
        &self,
        group: GroupLabel,
        layer: Layer,
        verdict: Verdict,
        category: Option<Category>,
    ) {
        let by_layer = self.decisions.get(layer as usize);
        if let Some(counter) = by_layer.and_then(|l| l.get(verdict as usize)) {
            counter.count();
        }
        if verdict == Verdict::Block {
            let column = category.map_or(CATEGORIES - 1, Category::index);
            let place = usize::from(group.0) * CATEGORIES + column;
            if let Some(counter) = self.blocked.get(place) {
                counter.count();
            }
        }
    }

    /// Questions, however they came.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.queries.iter().map(Counter::value).sum()
    }

    /// Blocked questions, whatever for.
    #[must_use]
    pub fn all_blocked(&self) -> u64 {
        let layers = Layer::ALL.into_iter();
        layers
            .map(|layer| self.decided(layer, Verdict::Block))
            .sum()
    }

    /// Decisions of one layer with this verdict.
    #[must_use]
    pub fn decided(&self, layer: Layer, verdict: Verdict) -> u64 {
        let by_layer = self.decisions.get(layer as usize);
        by_layer
            .and_then(|l| l.get(verdict as usize))
            .map_or(0, Counter::value)
    }

    /// Replies with response code `rcode`; 16 stands for all above 15.
    #[must_use]
    pub fn replied(&self, rcode: usize) -> u64 {
        self.rcodes.get(rcode).map_or(0, Counter::value)
    }

    /// Blocked questions of one group and category.
    #[must_use]
    pub fn blocked(&self, group: GroupLabel, category: Option<Category>) -> u64 {
        let column = category.map_or(CATEGORIES - 1, Category::index);
        let place = usize::from(group.0) * CATEGORIES + column;
        self.blocked.get(place).map_or(0, Counter::value)
    }
}

/// A group's place among the labels. It outlives policies, so that a counter
/// never changes its label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupLabel(u8);

/// The labels groups have had since the start.
#[derive(Debug, Default)]
pub struct GroupLabels(Mutex<Vec<Arc<str>>>);

impl GroupLabels {
    /// The label of the group called `id`.
    #[must_use]
    pub fn label(&self, id: &str) -> GroupLabel {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|k| **k == *id).unwrap_or_else(|| {
            if known.len() < GROUPS - 1 {
                known.push(id.into());
            } else if known.len() == GROUPS - 1 {
                known.push("other".into());
            }
            known.len() - 1
        });
        GroupLabel(place as u8)
    }

    /// Every label with its word.
    #[must_use]
    pub fn all(&self) -> Vec<(GroupLabel, Arc<str>)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..).map(GroupLabel).zip(known.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_and_end() {
        let labels = GroupLabels::default();
        let first = labels.label("pupil");
        assert_eq!(labels.label("pupil"), first);
        for n in 0..200 {
            let _ = labels.label(&format!("group{n}"));
        }
        assert_eq!(labels.label("pupil"), first);
        assert_eq!(labels.all().len(), GROUPS);
        assert_eq!(labels.label("one more"), labels.label("and another"));
    }
}
