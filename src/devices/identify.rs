//! Who a question comes from: whom to believe, and what comes before what.
//!
//! Anybody can write identity options into a question, so they count only from
//! a router the school listed; from others they are ignored and the
//! caller is told to count them. Even a good router rewrites only the options
//! it was set up for and passes a client's other ones on. So where two of them
//! tell different addresses, the one our router guide asks for wins: raw MAC
//! before text, client subnet before Umbrella (R-124 has these two the other
//! way round, and would let a pupil behind such a router choose an address).
//!
//! Pure, for every packet: it must never allocate, lock or panic. Identity is
//! fixed here, before rate limit, cache, policy and log.

use std::net::IpAddr;

use super::edns::{self, Claim, Options, Umbrella};
use crate::mac::Mac;

/// What is known of who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are noticed each by itself, and no states of one thing"
)]
pub struct Identity<'a> {
    /// The device's address, or the router's when `behind_router`. Never an
    /// IPv4-mapped one.
    pub ip: IpAddr,
    /// The hardware address the router wrote.
    pub mac: Option<Mac>,
    /// The id in the DoH path or the DoT/DoQ server name.
    pub client_id: Option<&'a str>,
    /// Cisco Umbrella's device id.
    pub umbrella_device: Option<[u8; 8]>,
    /// What the router calls itself.
    pub router_name: Option<&'a [u8]>,
    /// The best thing known.
    pub how: How,
    /// Two things of one kind that differ: two MACs, or two addresses. A client
    /// may have written one of them.
    pub conflict: bool,
    /// A stranger wrote identity options; they were not used (D13).
    pub ignored_options: bool,
    /// A router asks for somebody whose address it does not tell, so `ip` must
    /// not be looked up as a device's.
    pub behind_router: bool,
    /// A proxy asks for somebody whom it does not tell. A client can bring that
    /// about, by what it writes itself, so not even the network of `ip` counts.
    pub untold: bool,
}

/// What a device is known by, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// Option 65001.
    RawMac,
    /// Option 65073.
    TextMac,
    /// The encrypted-DNS client id.
    ClientId,
    /// A client subnet of one whole address.
    Subnet,
    /// Option 20292.
    Umbrella,
    /// The source in a PROXY header.
    Proxy,
    /// Where the packet came from.
    Source,
}

impl How {
    /// Every way, in order of precedence.
    pub const ALL: [Self; 7] = [
        Self::RawMac,
        Self::TextMac,
        Self::ClientId,
        Self::Subnet,
        Self::Umbrella,
        Self::Proxy,
        Self::Source,
    ];

    /// The word in JSON and metrics.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::RawMac => "mac",
            Self::TextMac => "mac_text",
            Self::ClientId => "client_id",
            Self::Umbrella => "umbrella",
            Self::Subnet => "client_subnet",
            Self::Proxy => "proxy",
            Self::Source => "source",
        }
    }
}

impl Identity<'_> {
    /// Whether a listed router passed a question on without a word about whose
    /// it is.
    #[must_use]
    pub fn router_hides(&self) -> bool {
        self.behind_router && self.how == How::Source
    }
}

/// Works out who asks. `options` is the RDATA of the OPT record, empty if there
/// is none; `client_id` is what an encrypted transport learnt from its path or
/// server name, `proxy_source` what a PROXY header said.
#[must_use]
pub fn identify<'a>(
    from: IpAddr,
    trusted_router: bool,
    options: &'a [u8],
    client_id: Option<&'a str>,
    proxy_source: Option<IpAddr>,
) -> Identity<'a> {
    let from = from.to_canonical();
    match (trusted_router, proxy_source) {
        (true, None) => told_by_router(from, &Said::read(options), client_id),
        // A proxy passes the client's bytes on untouched: what is in them is a
        // stranger's word.
        (true, Some(source)) => stranger(source.to_canonical(), How::Proxy, options, client_id),
        (false, _) => stranger(from, How::Source, options, client_id),
    }
}

fn told_by_router<'a>(from: IpAddr, said: &Said<'a>, client_id: Option<&'a str>) -> Identity<'a> {
    let mut conflict = said.conflict;
    let mac = first([said.raw_mac, said.text_mac], &mut conflict);
    let umbrella = said.umbrella.and_then(|u| u.claim()).and_then(address_of);
    let told = first([said.subnet, umbrella], &mut conflict);
    // A router that writes MAC or subnet passes a client's Umbrella option on,
    // so the device id in one counts only where nothing better is told.
    let is_alone = mac.is_none() && said.subnet.is_none();
    let umbrella_device = said.umbrella.filter(|_| is_alone).and_then(|u| u.device);
    let spoken = [
        (said.raw_mac.is_some(), How::RawMac),
        (said.text_mac.is_some(), How::TextMac),
        (client_id.is_some(), How::ClientId),
        (said.subnet.is_some(), How::Subnet),
        (
            umbrella.is_some() || umbrella_device.is_some(),
            How::Umbrella,
        ),
    ];
    let best = spoken.iter().find(|(is_known, _)| *is_known);
    Identity {
        ip: told.unwrap_or(from),
        mac,
        client_id,
        umbrella_device,
        router_name: said.router_name,
        how: best.map_or(How::Source, |(_, how)| *how),
        conflict,
        ignored_options: false,
        behind_router: told.is_none() && !said.own,
        untold: false,
    }
}

fn stranger<'a>(ip: IpAddr, how: How, options: &[u8], client_id: Option<&'a str>) -> Identity<'a> {
    let ignored = Options::new(options)
        .flatten()
        .any(|(code, data)| edns::is_identity(code, data));
    Identity {
        ip,
        mac: None,
        client_id,
        umbrella_device: None,
        router_name: None,
        how: client_id.map_or(how, |_| How::ClientId),
        conflict: false,
        ignored_options: ignored,
        behind_router: false,
        untold: false,
    }
}

impl Identity<'_> {
    /// The same, if a proxy told nobody's address, and `ip` is its own.
    #[must_use]
    pub fn of_nobody_told(self) -> Self {
        Self {
            behind_router: true,
            untold: true,
            ..self
        }
    }
}

/// What the options of a believed router said, each kind once.
#[derive(Default)]
struct Said<'a> {
    raw_mac: Option<Mac>,
    text_mac: Option<Mac>,
    router_name: Option<&'a [u8]>,
    umbrella: Option<Umbrella>,
    subnet: Option<IpAddr>,
    own: bool,
    conflict: bool,
}

impl<'a> Said<'a> {
    fn read(options: &'a [u8]) -> Self {
        let mut said = Self::default();
        for (code, data) in Options::new(options).flatten() {
            match edns::claim(code, data) {
                Some(Claim::RawMac(mac)) => said.conflict |= note(&mut said.raw_mac, mac),
                Some(Claim::TextMac(mac)) => said.conflict |= note(&mut said.text_mac, mac),
                Some(Claim::Router(name)) => said.conflict |= note(&mut said.router_name, name),
                Some(Claim::Umbrella(fields)) => {
                    said.own |= fields.claim() == Some(Claim::Own);
                    said.conflict |= note(&mut said.umbrella, fields);
                }
                Some(Claim::Address(ip)) => said.conflict |= note(&mut said.subnet, ip),
                Some(Claim::Own) => said.own = true,
                None => (),
            }
        }
        said
    }
}

/// Keeps the last of a kind: a router adds its own behind whatever was there.
/// Says whether there was another before that differs.
fn note<T: PartialEq + Copy>(slot: &mut Option<T>, new: T) -> bool {
    slot.replace(new).is_some_and(|old| old != new)
}

/// The first that was told; notices if another contradicts it.
fn first<T: PartialEq + Copy>(told: [Option<T>; 2], conflict: &mut bool) -> Option<T> {
    if let [Some(one), Some(other)] = told {
        *conflict |= one != other;
    }
    let [one, other] = told;
    one.or(other)
}

fn address_of(claim: Claim<'_>) -> Option<IpAddr> {
    match claim {
        Claim::Address(ip) => Some(ip),
        _ => None,
    }
}
