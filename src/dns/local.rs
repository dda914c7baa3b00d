//! What we are authoritative for: the school's own records, and the names that
//! must never leave the building.
//!
//! hickory-server's `Catalog` answers; here the zones are put together and its
//! replies are read like an upstream's. Special-use names (RFC 6761 and its
//! family, R-99) and the reverse zones of private networks (RFC 6303) stay
//! local, so that neither a pupil's typing error nor a device's chatter tells
//! an upstream what the school's network looks like. A conditional zone comes
//! first, but for `resolver.arpa`, which is never forwarded: the answer would be
//! the *upstream's* encrypted service, and phones would walk out through it
//! . Where our own can be found is said in `endpoints.rs`.

pub mod endpoints;

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

use super::answer::{Answer, rtype};
use super::question::{HEADER, Query, Rcode};
use super::reply::ede;
use crate::name::{Name, NameRef};
use endpoints::{Endpoints, RESINFO};

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

/// NODATA for every name and type a client tries (RFC 9462 section 4).
const NODATA_BELOW: &str = "* IN HINFO \"\" \"\"\n";

/// Where a client asks who its resolver is (RFC 9462), in wire form.
const RESOLVER_ARPA: &[u8] = b"\x08resolver\x04arpa\x00";

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
    /// The apexes that the school has written itself.
    school: Vec<Name>,
    own: Option<Own>,
}

/// Our own name. The rest of the school's domain may well be public, so of all
/// that could be asked about it only what we know better is answered here.
struct Own {
    catalog: Catalog,
    name: Name,
    /// `_dns.NAME` (RFC 9461).
    service: Name,
    /// Whether nobody else at the school knows the name's addresses.
    hosts: bool,
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
            school: Vec::new(),
            own: None,
        };
        for zone in special_use() {
            local.add(&zone.0, &zone.1)?;
        }
        for record in records {
            local.add(&record.name.to_string(), &record.zone_text())?;
            local.school.push(record.name.clone());
        }
        for (name, text) in zones {
            local.add(&name.to_string(), text)?;
            local.school.push(name.clone());
        }
        Ok(local)
    }

    /// The same, telling those who ask where our encrypted listeners are, if
    /// there are any, and what kind of resolver this is.
    pub fn with_endpoints(mut self, endpoints: &Endpoints) -> Result<Self, ZoneError> {
        let mut text = start_of_authority(TTL) + NODATA_BELOW;
        let mut records = endpoints.services(&absolute("_dns.resolver.arpa")?)?;
        if !records.is_empty() {
            // Now `_dns` is a name, and what holds below the zone ends at it.
            text.push_str("*._dns IN HINFO \"\" \"\"\n");
        }
        records.push(endpoints.info(&absolute("resolver.arpa")?));
        self.add_zone(Zone::new("resolver.arpa", &text, records)?)?;
        if let Some(name) = &endpoints.name {
            let theirs = |zone: &Name| name.as_ref().is_within(zone.as_ref());
            let hosts = !endpoints.addresses.is_empty()
                && !self.school.iter().chain(&self.forwarded).any(theirs);
            self.own = Some(Own::new(name, endpoints, hosts)?);
        }
        Ok(self)
    }

    /// Our own answer, if the name is in one of our zones.
    #[must_use]
    pub fn answer(&self, query: &Query<'_>) -> Option<Answer> {
        let name = query.name.name();
        let catalog = self.catalog_for(name, query.rtype)?;
        let question = [name.wire(), &query.rtype.to_be_bytes(), &[0, 1]].concat();
        let answer = ask(catalog, &question)
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
        self.catalog_for(name, rtype).is_some()
    }

    fn catalog_for(&self, name: NameRef<'_>, rtype: u16) -> Option<&Catalog> {
        if let Some(own) = self.own.as_ref().filter(|own| own.speaks(name, rtype)) {
            return Some(&own.catalog);
        }
        // DS stands with the parent: with us where that is ours too, and asked
        // on for a zone that hangs in the public tree (RFC 8375 section 4).
        let ours = |n: NameRef<'_>| self.apexes.contains(n.wire());
        let is_ours = name.suffixes().skip(usize::from(rtype == DS)).any(ours);
        let is_forwarded = || {
            self.forwarded
                .iter()
                .any(|zone| name.is_within(zone.as_ref()))
        };
        let discovery = || NameRef::from_wire(RESOLVER_ARPA).is_some_and(|d| name.is_within(d));
        (is_ours && (!is_forwarded() || discovery())).then_some(&self.catalog)
    }

    /// Whether a wildcard speaks for `name`: no name of ours is nearer.
    fn is_under_wildcard(&self, name: NameRef<'_>) -> bool {
        let mut above = name.suffixes().skip(1);
        let speaks = |n: &NameRef<'_>| self.wildcards.contains(n.wire());
        let nearest = above.find(|n| speaks(n) || self.owners.contains(n.wire()));
        nearest.is_some_and(|n| speaks(&n))
    }

    fn add(&mut self, apex: &str, text: &str) -> Result<(), ZoneError> {
        self.add_zone(Zone::new(apex, text, Vec::new())?)
    }

    fn add_zone(&mut self, zone: Zone) -> Result<(), ZoneError> {
        for owner in &zone.owners {
            if owner.is_wildcard() {
                self.wildcards.extend(wire_of(&owner.base_name()));
            } else {
                self.owners.extend(wire_of(owner));
            }
        }
        let apex = wire_of(&zone.apex).ok_or_else(|| ZoneError {
            zone: zone.apex.to_string(),
            reason: "not a name".to_owned(),
        })?;
        self.apexes.insert(apex);
        zone.serve_from(&mut self.catalog);
        Ok(())
    }
}

impl Own {
    fn new(name: &Name, endpoints: &Endpoints, hosts: bool) -> Result<Self, ZoneError> {
        let host = endpoints::proto(name)?;
        let text = format!("_dns.{name}");
        let service = Name::parse_any_depth(&text).map_err(|error| ZoneError {
            zone: text.clone(),
            reason: error.to_string(),
        })?;
        let mut records = endpoints.services(&absolute(&text)?)?;
        records.push(endpoints.info(&host));
        if hosts {
            records.extend(endpoints.hosts(&host));
        }
        let mut catalog = Catalog::new();
        let soa = start_of_authority(TTL);
        Zone::new(&name.to_string(), &soa, records)?.serve_from(&mut catalog);
        Ok(Self {
            catalog,
            name: name.clone(),
            service,
            hosts,
        })
    }

    /// Whether this question is about what we know better than anybody.
    fn speaks(&self, name: NameRef<'_>, rtype: u16) -> bool {
        if name == self.service.as_ref() {
            return true;
        }
        // HTTPS goes with the addresses, or a browser would be told both that
        // the name exists and that it does not.
        let about_hosts = matches!(rtype, rtype::A | rtype::AAAA | rtype::SVCB | rtype::HTTPS);
        name == self.name.as_ref() && (rtype == RESINFO || (self.hosts && about_hosts))
    }
}

/// A zone, ready to be served.
struct Zone {
    apex: ProtoName,
    owners: Vec<ProtoName>,
    handler: InMemoryZoneHandler<TokioRuntimeProvider>,
}

impl Zone {
    /// Of a master file and `more` records.
    fn new(apex: &str, text: &str, more: Vec<Record>) -> Result<Self, ZoneError> {
        let error = |reason: String| ZoneError {
            zone: apex.to_owned(),
            reason,
        };
        let (apex, records) = Parser::new(text, None, Some(absolute(apex)?))
            .parse()
            .map_err(|e| error(e.to_string()))?;
        let owners = records.keys().map(|key| ProtoName::from(&key.name));
        let owners = owners.chain(more.iter().map(|record| record.name.clone()));
        let owners = owners.collect();
        let (kind, transfers) = (ZoneType::Primary, AxfrPolicy::Deny);
        let mut handler =
            InMemoryZoneHandler::new(apex.clone(), records, kind, transfers).map_err(error)?;
        for record in more {
            handler.upsert_mut(record, 0);
        }
        Ok(Self {
            apex,
            owners,
            handler,
        })
    }

    fn serve_from(self, catalog: &mut Catalog) {
        catalog.upsert(LowerName::new(&self.apex), vec![Arc::new(self.handler)]);
    }
}

/// Asks hickory, in this thread and at once.
fn ask(catalog: &Catalog, question: &[u8]) -> Option<Vec<u8>> {
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    debug_assert_eq!(packet.len(), HEADER);
    packet.extend_from_slice(question);
    let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
    let request = Request::from_bytes(packet, nobody, Protocol::Tcp).ok()?;
    let reply = Captured::default();
    let handled = pin!(catalog.handle_request::<_, TokioTime>(&request, reply.clone()));
    // In-memory zones never wait: their lock has readers only.
    match handled.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(_) => Some(reply.take()),
        Poll::Pending => None,
    }
}

/// `name` from the root down.
fn absolute(name: &str) -> Result<ProtoName, ZoneError> {
    ProtoName::from_ascii(format!("{name}.")).map_err(|error| ZoneError {
        zone: name.to_owned(),
        reason: error.to_string(),
    })
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
    add("resolver.arpa", NODATA_BELOW);
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
