//! What we are authoritative for: the school's own records, and the names that
//! must never leave the building.
//!
//! hickory-server's `Catalog` answers; here the zones are put together and its
//! replies are read like an upstream's. Special-use names (RFC 6761 and its
//! family, R-99) and the reverse zones of private networks (RFC 6303) stay
//! local, so that neither a pupil's typing error nor a device's chatter tells
//! an upstream what the school's network looks like. `resolver.arpa` is never
//! forwarded: the answer would be the *upstream's* encrypted service, and
//! phones would walk out through it. A conditional zone comes first.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use foldhash::HashSet;
use hickory_proto::rr::{LowerName, Name as ProtoName, Record};
use hickory_proto::serialize::binary::BinEncoder;
use hickory_proto::serialize::txt::Parser;
use hickory_server::net::NetError;
use hickory_server::net::runtime::{TokioRuntimeProvider, TokioTime};
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, MessageResponse, ZoneType};

use super::answer::Answer;
use super::question::{HEADER, Query, Rcode};
use super::reply::ede;
use crate::name::{Name, NameRef};

/// Names without any record of their own: nothing below them is asked on.
const EMPTY_ZONES: [&str; 8] = [
    "invalid",
    "test",
    "onion",
    "local",
    "internal",
    "home.arpa",
    "alt",
    "10.in-addr.arpa",
];

/// RFC 6303 section 4, but for 10/8 (above), 127/8 and ::1 (they have a PTR).
const EMPTY_REVERSE: [&str; 13] = [
    "0.in-addr.arpa",
    "168.192.in-addr.arpa",
    "254.169.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];

const LOOPBACK_V6: &str =
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";

/// Seconds a client may keep what is made up here.
const TTL: u32 = 600;

/// The type DS, which stands with the parent (RFC 4035).
const DS: u16 = 43;

/// A zone of our own could not be made.
#[derive(Debug, thiserror::Error)]
#[error("local zone \"{zone}\": {reason}")]
pub struct ZoneError {
    /// Its name.
    pub zone: String,
    /// What is wrong with it.
    pub reason: String,
}

/// One name with addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRecord {
    /// The name.
    pub name: Name,
    /// Its addresses, all of which are given.
    pub addresses: Vec<IpAddr>,
    /// Seconds a client may keep them.
    pub ttl: u32,
}

/// The zones we answer ourselves.
pub struct Local {
    catalog: Catalog,
    /// The apex of each zone, to ask hickory only when it has something to say.
    apexes: HashSet<Name>,
    /// The owner of each record, and the parent of each wildcard.
    owners: HashSet<Name>,
    wildcards: HashSet<Name>,
    /// Zones forwarded elsewhere, which come before ours.
    forwarded: Vec<Name>,
}

impl Local {
    /// Puts the zones together: `records`, the master files in `zones`, and the
    /// special-use names, less what is `forwarded`.
    pub fn new(
        records: &[LocalRecord],
        zones: &[(Name, String)],
        forwarded: Vec<Name>,
    ) -> Result<Self, ZoneError> {
        let mut local = Self {
            catalog: Catalog::new(),
            apexes: HashSet::default(),
            owners: HashSet::default(),
            wildcards: HashSet::default(),
            forwarded,
        };
        for zone in special_use() {
            local.add(&zone.0, &zone.1)?;
        }
        for record in records {
            local.add(&record.name.to_string(), &record.zone_text())?;
        }
        for (name, text) in zones {
            local.add(&name.to_string(), text)?;
        }
        Ok(local)
    }

    /// Our own answer, if the name is in one of our zones.
    #[must_use]
    pub fn answer(&self, query: &Query<'_>) -> Option<Answer> {
        let name = query.name.name();
        if !self.holds(name, query.rtype) {
            return None;
        }
        let question = [name.wire(), &query.rtype.to_be_bytes(), &[0, 1]].concat();
        let answer = self
            .ask(&question)
            .and_then(|reply| Some((Answer::read(&reply, &question).ok()?, reply)));
        let (mut answer, reply) =
            answer.unwrap_or_else(|| (Answer::failure(&question, ede::OTHER, 1), Vec::new()));
        // A wildcard's name exists for every type (RFC 4592 section 2.2.1), but
        // hickory says NXDOMAIN for those the wildcard has no record of.
        if answer.rcode == Rcode::NxDomain as u16 && self.is_under_wildcard(name) {
            answer.rcode = Rcode::NoError as u16;
        }
        answer.authoritative = reply.get(2).is_some_and(|flags| flags & 0x04 != 0);
        Some(answer)
    }

    /// Whether we answer this question ourselves.
    #[must_use]
    pub fn holds(&self, name: NameRef<'_>, rtype: u16) -> bool {
        // DS stands with the parent: with us where that is ours too, and asked
        // on for a zone that hangs in the public tree (RFC 8375 section 4).
        let ours = |n: NameRef<'_>| self.apexes.contains(n.wire());
        let is_ours = name.suffixes().skip(usize::from(rtype == DS)).any(ours);
        let is_forwarded = || {
            self.forwarded
                .iter()
                .any(|zone| name.is_within(zone.as_ref()))
        };
        is_ours && !is_forwarded()
    }

    /// Whether a wildcard speaks for `name`: no name of ours is nearer.
    fn is_under_wildcard(&self, name: NameRef<'_>) -> bool {
        let mut above = name.suffixes().skip(1);
        let speaks = |n: &NameRef<'_>| self.wildcards.contains(n.wire());
        let nearest = above.find(|n| speaks(n) || self.owners.contains(n.wire()));
        nearest.is_some_and(|n| speaks(&n))
    }

    fn ask(&self, question: &[u8]) -> Option<Vec<u8>> {
        let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        debug_assert_eq!(packet.len(), HEADER);
        packet.extend_from_slice(question);
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let request = Request::from_bytes(packet, nobody, Protocol::Tcp).ok()?;
        let reply = Captured::default();
        let handled = pin!(
            self.catalog
                .handle_request::<_, TokioTime>(&request, reply.clone())
        );
        // In-memory zones never wait: their lock has readers only.
        match handled.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(_) => Some(reply.take()),
            Poll::Pending => None,
        }
    }

    fn add(&mut self, apex: &str, text: &str) -> Result<(), ZoneError> {
        let error = |reason: String| ZoneError {
            zone: apex.to_owned(),
            reason,
        };
        let origin = ProtoName::from_ascii(format!("{apex}.")).map_err(|e| error(e.to_string()))?;
        let (origin, records) = Parser::new(text, None, Some(origin))
            .parse()
            .map_err(|e| error(e.to_string()))?;
        for key in records.keys() {
            let owner = ProtoName::from(&key.name);
            if owner.is_wildcard() {
                self.wildcards.extend(wire_of(&owner.base_name()));
            } else {
                self.owners.extend(wire_of(&owner));
            }
        }
        let zone = InMemoryZoneHandler::<TokioRuntimeProvider>::new(
            origin.clone(),
            records,
            ZoneType::Primary,
            AxfrPolicy::Deny,
        )
        .map_err(error)?;
        let wire = wire_of(&origin).ok_or_else(|| error("not a name".to_owned()))?;
        self.apexes.insert(wire);
        self.catalog
            .upsert(LowerName::new(&origin), vec![Arc::new(zone)]);
        Ok(())
    }
}

impl LocalRecord {
    /// A zone that has this one name.
    fn zone_text(&self) -> String {
        let mut text = start_of_authority(self.ttl);
        for address in &self.addresses {
            let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
            let _ = writeln!(text, "@ {} IN {rtype} {address}", self.ttl);
        }
        text
    }
}

/// The special-use zones with their text.
fn special_use() -> BTreeMap<String, String> {
    let empty = EMPTY_ZONES.iter().chain(&EMPTY_REVERSE);
    let mut zones: BTreeMap<String, String> = empty
        .map(|apex| ((*apex).to_owned(), start_of_authority(TTL)))
        // RFC 6303 section 4.1: one zone for each of 172.16/12.
        .chain((16..32).map(|n| (format!("{n}.172.in-addr.arpa"), start_of_authority(TTL))))
        .collect();
    let soa = start_of_authority(TTL);
    let mut add = |apex: &str, records: &str| {
        zones.insert(apex.to_owned(), format!("{soa}{records}"));
    };
    // RFC 6761 section 6.3, names below included.
    add(
        "localhost",
        "@ IN A 127.0.0.1\n@ IN AAAA ::1\n* IN A 127.0.0.1\n* IN AAAA ::1\n",
    );
    add("127.in-addr.arpa", "1.0.0 IN PTR localhost.\n");
    add(LOOPBACK_V6, "@ IN PTR localhost.\n");
    // NODATA for every name and type a client tries (RFC 9462 section 4).
    add("resolver.arpa", "* IN HINFO \"\" \"\"\n");
    zones
}

/// The records every zone begins with.
fn start_of_authority(ttl: u32) -> String {
    format!(
        "$TTL {ttl}\n@ IN SOA schoolgate.invalid. hostmaster.schoolgate.invalid. 1 3600 600 86400 {ttl}\n\
         @ IN NS schoolgate.invalid.\n"
    )
}

fn wire_of(name: &ProtoName) -> Option<Name> {
    let mut wire = Vec::new();
    for label in name {
        wire.push(u8::try_from(label.len()).ok()?);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    NameRef::from_wire(&wire).map(NameRef::to_owned)
}

/// Takes hickory's reply instead of a socket.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait::async_trait]
impl ResponseHandler for Captured {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut bytes = Vec::with_capacity(512);
        let info = response.destructive_emit(&mut BinEncoder::new(&mut bytes))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(info)
    }
}
