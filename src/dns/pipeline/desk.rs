//! What every worker's pipeline is given: the live policy, who may ask, and the
//! settings that shape an answer. Shared, and never written by the packet road.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

use crate::devices::client_id::ClientId;
use crate::devices::edns::{KEEPALIVE, Options, PADDING};
use crate::devices::hidden::Hidden;
use crate::devices::identify::{Identity, identify};
use crate::devices::inventory::Inventory;
use crate::devices::leases::Leases;
use crate::dns::local::Local;
use crate::dns::question::Query;
use crate::dns::reply::Extras;
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
    /// For how long a stream may be idle, in tenths of a second.
    pub stream_idle: u16,
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
#[derive(Debug, Clone)]
pub struct From {
    /// The sender.
    pub address: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// The worker's own mark of the way back; nothing to the pipeline.
    pub route: u32,
    /// Our address that it was sent to, where a socket has several.
    pub local: Option<IpAddr>,
    /// What the stream has told of who asks; over UDP there is no such thing.
    pub origin: Option<Arc<Origin>>,
}

/// What a stream tells of who asks, beside the questions in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The id in the DoH path or the TLS server name.
    pub client_id: Option<ClientId>,
    /// Whom a listed router says it speaks for, by a PROXY header or by HTTP's
    /// own; its own address if it does not tell. Nobody else's word on that may
    /// come here.
    pub proxy_source: Option<IpAddr>,
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

impl From {
    /// Of a stream's question; the worker adds the way back.
    #[must_use]
    pub fn stream(address: SocketAddr, transport: Transport, origin: Option<Arc<Origin>>) -> Self {
        Self {
            address,
            transport,
            route: 0,
            local: None,
            origin,
        }
    }

    /// Whose question it is: the address that a router speaks for, or else the
    /// sender's.
    pub(super) fn source(&self) -> IpAddr {
        let told = self.origin.as_ref().and_then(|origin| origin.proxy_source);
        told.unwrap_or_else(|| self.address.ip()).to_canonical()
    }

    pub(super) fn client_id(&self) -> Option<&str> {
        let id = self.origin.as_ref()?.client_id.as_ref();
        id.map(ClientId::as_str)
    }
}

impl Desk {
    /// Who is behind a packet from `from` with these options.
    pub(super) fn identify<'o>(
        &self,
        from: &'o From,
        options: &'o [u8],
        inventory: &Inventory,
    ) -> Identity<'o> {
        let address = from.address.ip().to_canonical();
        let trusted = self.routers.iter().any(|network| network.holds(address));
        let Some(origin) = &from.origin else {
            return identify(address, trusted, options, None, None);
        };
        // An id that no device has is as good as none.
        let client_id = from.client_id();
        let client_id = client_id.filter(|id| inventory.by_client_id(id).is_some());
        let identity = identify(address, trusted, options, client_id, origin.proxy_source);
        match origin.proxy_source {
            Some(source) if source.to_canonical() == address => identity.of_nobody_told(),
            _ => identity,
        }
    }

    /// The options that still count when an answer has come: a router's. What
    /// others write may be as long as a message and would only be kept.
    pub(super) fn believed_options<'q>(&self, query: &Query<'q>, from: &From) -> &'q [u8] {
        let address = from.address.ip().to_canonical();
        let is_router = || self.routers.iter().any(|network| network.holds(address));
        match query.edns {
            Some(edns) if !edns.options.is_empty() && is_router() => edns.options,
            _ => &[],
        }
    }

    /// Whether a device of the school asks from wherever it is: by the secret
    /// that was issued to it, and under encryption (a TLS server name can be
    /// read on the way all the same, the path of HTTPS cannot).
    pub(super) fn is_off_site(from: &From, inventory: &Inventory) -> bool {
        let by_secret = |id| inventory.by_issued_id(id).is_some();
        from.transport.is_encrypted() && from.client_id().is_some_and(by_secret)
    }

    /// What the client wants of a stream's reply. Over UDP neither option has a
    /// meaning (RFC 7828 section 3.2.1, RFC 8467 section 3).
    pub(super) fn extras(&self, query: &Query<'_>, transport: Transport) -> Extras {
        let options = query.edns.map_or(&[][..], |edns| edns.options);
        let has = |wanted| {
            let mut all = Options::new(options).flatten();
            all.any(|(code, _)| code == wanted)
        };
        Extras {
            padded: transport.is_encrypted() && has(PADDING),
            keepalive: (transport.is_message_stream() && has(KEEPALIVE))
                .then_some(self.stream_idle),
        }
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
