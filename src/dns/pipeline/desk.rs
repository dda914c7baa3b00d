//! What every worker's pipeline is given: the live policy, who may ask, and the
//! settings that shape an answer. Shared, and never written by the packet road.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

use crate::devices::hidden::Hidden;
use crate::devices::identify::{Identity, identify};
use crate::devices::leases::Leases;
use crate::dns::local::Local;
use crate::dns::second_look::Rebinding;
use crate::metrics::{GroupLabel, GroupLabels, Transport};
use crate::name::{Name, NameRef};
use crate::policy::Policy;
use crate::policy::decide::Moment;
use crate::policy::group::Network;

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
    /// The words beside a block, for those who look (RFC 8914).
    pub block_text: Box<str>,
    /// Whether signatures are asked for when a client wants them.
    pub dnssec: bool,
    /// Whose signatures are checked here.
    pub checks: Checks,
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

/// Whose signatures are checked.
#[derive(Debug, Default)]
pub enum Checks {
    /// Nobody's.
    #[default]
    None,
    /// Everybody's but these zones': they are the school's own, and the root
    /// knows nothing of them.
    AllBut(Vec<Name>),
}

impl Checks {
    /// Whether those of this name are.
    #[must_use]
    pub fn include(&self, name: NameRef<'_>) -> bool {
        match self {
            Self::None => false,
            Self::AllBut(zones) => !zones.iter().any(|zone| name.is_within(zone.as_ref())),
        }
    }
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

impl Desk {
    /// Who is behind a packet from `from` with these options.
    pub(super) fn identify<'o>(&self, from: IpAddr, options: &'o [u8]) -> Identity<'o> {
        let from = from.to_canonical();
        let trusted = self.routers.iter().any(|network| network.holds(from));
        identify(from, trusted, options, None, None)
    }
}

/// What holds until the policy or a timetable changes.
pub(super) struct Shift {
    pub(super) policy: Arc<Policy>,
    pub(super) moment: Moment,
    pub(super) labels: Box<[GroupLabel]>,
}

impl Shift {
    pub(super) fn begin(policy: &Arc<Policy>, labels: &GroupLabels, now: Now) -> Self {
        let labels = policy.groups.iter().map(|group| labels.label(&group.id));
        Self {
            moment: policy.at(now.wall),
            labels: labels.collect(),
            policy: Arc::clone(policy),
        }
    }

    pub(super) fn still_holds(&self, policy: &Arc<Policy>, now: Now) -> bool {
        Arc::ptr_eq(&self.policy, policy) && self.moment.holds_at(now.wall)
    }
}
