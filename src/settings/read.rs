//! `schoolgate.toml` → [`Settings`], every mistake at once.
//!
//! One function for each section, in the order of the file. A section that is
//! not there is read as an empty one, so that its defaults stand in one place.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{
    BURST, CACHE_BYTES, CACHE_ENTRIES, Cache, Ceilings, Clients, Dnssec, ForwardZone, KEEP_DAYS,
    LOCAL_TTL, Limits, Listen, Local, LocalRecord, LocalZone, MAX_OUTSTANDING, MAX_TTL, MIN_TTL,
    Mode, QUERIES_PER_SECOND, QueryLog, REFRESH_TIMEOUT, Rebinding, Refresh, STALE, Settings,
    TCP_CONNECTIONS, TCP_CONNECTIONS_PER_CLIENT, TCP_IDLE, TCP_PIPELINE, THREADS, TLS_HANDSHAKES,
    Tls, Upstream, UpstreamAddress, answers, channels, dashboard, tls,
};
use crate::devices::leases::Format;
use crate::devices::leases::watch::LeaseFile;
use crate::document::{Complaint, Document, Placed, Table};
use crate::name::Name;
use crate::policy::group::Network;

const STATE_DIR: &str = "state";
const DNS: [&str; 1] = ["127.0.0.1:5353"];
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9153);
const DASHBOARD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const SERVERS: [&str; 1] = ["udp://9.9.9.9:53"];
/// Private and link-local networks: a school's own.
pub(super) const ALLOW: [&str; 7] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
const MODES: [(&str, Mode); 2] = [("forward", Mode::Forward), ("recurse", Mode::Recurse)];
const DNSSEC: [(&str, Dnssec); 3] = [
    ("off", Dnssec::Off),
    ("process", Dnssec::Process),
    ("validate", Dnssec::Validate),
];
const LEASE_FORMATS: [(&str, Format); 3] = [
    ("dnsmasq", Format::Dnsmasq),
    ("kea", Format::Kea),
    ("isc", Format::Isc),
];
/// Nobody may think that everything is encrypted while lists' hosts are not.
const NO_LIST_RESOLVER: &str = "there is no plain server here, and the lists' own hosts are asked \
    for in plain; say of whom under [refresh], such as resolvers = [\"9.9.9.9\"]";

impl Settings {
    /// Reads the text of a `schoolgate.toml`. Paths stay as they were typed; see
    /// [`Settings::relative_to`].
    #[must_use]
    pub fn read(file: &str, text: &str) -> (Self, Vec<Complaint>) {
        let document = Document::parse(file, text);
        let settings = Self::read_from(&document);
        (settings, document.into_complaints())
    }

    /// As [`Settings::read`], leaving the document to be asked what it lacked.
    #[must_use]
    pub fn read_from(document: &Document<'_>) -> Self {
        let empty = Document::parse("", "");
        let root = document.root();
        let section = |key| root.table(key).unwrap_or_else(|| empty.root());
        let state_dir = root.string("state_dir");
        let listen = section("listen");
        let tls = tls::read(section("tls"));
        let (listen, dns) = read_listen(listen, &tls);
        let (answers, page_name) = answers::read(section("answers"));
        let upstream = section("upstream");
        let whom = upstream.place();
        let settings = Self {
            state_dir: state_dir.map_or(STATE_DIR.into(), |dir| dir.value.into()),
            clients: read_clients(section("clients")),
            upstream: read_upstream(upstream, &dns),
            listen,
            tls,
            cache: read_cache(section("cache")),
            answers,
            limits: read_limits(section("limits")),
            rebinding: read_rebinding(section("rebinding")),
            local: read_local(section("local")),
            refresh: read_refresh(section("refresh")),
            querylog: read_querylog(section("querylog")),
            dashboard: dashboard::read(section("dashboard")),
            mail: channels::mail(section("mail")),
            webhook: channels::webhook(section("webhook")),
            syslog: channels::syslog(section("syslog")),
        };
        let recurses = settings.upstream.mode == Mode::Recurse;
        let asks = recurses || !settings.upstream.servers.is_empty();
        if asks && settings.list_resolvers().is_empty() {
            root.complain_at(&whom, NO_LIST_RESOLVER);
        }
        let (tls, local, upstream) = (&settings.tls, &settings.local, &settings.upstream);
        let collides = page_name
            .as_ref()
            .and_then(|page| answers::page_name_collides(page, tls.name.as_ref(), local, upstream));
        if let Some((place, why)) = collides {
            root.complain_at(&place, why);
        }
        root.finish();
        settings
    }
}

fn read_listen(table: Table<'_>, tls: &Tls) -> (Listen, Vec<SocketAddr>) {
    let dns = table.parsed_list("dns", socket);
    if dns.as_ref().is_some_and(Vec::is_empty) && table.strings("dns").is_empty() {
        table.complain("`dns` is empty: nobody could ask anything");
    }
    let dns: Vec<SocketAddr> = or_default(dns, &DNS);
    let metrics = table.parsed("metrics", socket_or_none);
    let block_page = table.parsed("block_page", socket_or_none);
    let dashboard = table.parsed("dashboard", socket);
    let quic = tls::datagram_listeners(&table, "quic", tls, &[("dns", &dns)]);
    let listen = Listen {
        dns: dns.clone(),
        tls: tls::listeners(&table, "tls", tls),
        https: tls::listeners(&table, "https", tls),
        https3: tls::datagram_listeners(&table, "https3", tls, &[("dns", &dns), ("quic", &quic)]),
        quic,
        metrics: metrics.map_or(Some(METRICS), |m| m.value),
        dashboard: dashboard.map_or(DASHBOARD, |d| d.value),
        block_page: block_page.and_then(|b| b.value),
        threads: number(&table, "threads", THREADS),
    };
    table.finish();
    (listen, dns)
}

fn read_clients(table: Table<'_>) -> Clients {
    let allow = table.parsed_list("allow", allowed_network);
    let readable = allow.as_ref().map(Vec::len) == table.strings_if_any("allow").map(|a| a.len());
    let allow: Vec<Network> = or_default(allow, &ALLOW);
    let routers = table.parsed_list("routers", Network::parse);
    let routers = routers.unwrap_or_default();
    for router in &routers {
        if readable && !allow.iter().any(|network| network.contains(router.value)) {
            let message = format!(
                "router {} is not in `allow`, so it is refused",
                router.value
            );
            table.complain_at(&router.place, message);
        }
    }
    let leases = table.tables("leases").into_iter().filter_map(|lease| {
        let file = needed(&lease, "file", lease.string("file"));
        let format = needed(&lease, "format", lease.choice("format", &LEASE_FORMATS));
        lease.finish();
        Some(LeaseFile {
            path: file?.into(),
            format: format?,
        })
    });
    let clients = Clients {
        allow,
        routers: values(routers),
        leases: leases.collect(),
    };
    table.finish();
    clients
}

/// R-133a: no open resolver.
fn allowed_network(text: &str) -> Result<Network, String> {
    let network = Network::parse(text)?;
    if network.prefix() == 0 {
        return Err(format!(
            "\"{text}\" would answer the whole internet; name the school's own networks"
        ));
    }
    Ok(network)
}

fn read_upstream(table: Table<'_>, listen: &[SocketAddr]) -> Upstream {
    let servers = read_servers(&table, listen);
    let mode = table
        .choice("mode", &MODES)
        .map_or(Mode::Forward, |m| m.value);
    let is_empty = table.strings("servers").is_empty();
    match (mode, &servers) {
        (Mode::Forward, Some(servers)) if servers.is_empty() && is_empty => {
            table.complain("`servers` is empty: nothing could be looked up");
        }
        (Mode::Recurse, Some(_)) if !is_empty => {
            table.complain("`mode` is \"recurse\", which asks no `servers`; leave them out");
        }
        _ => {}
    }
    let zones = table.tables("zones").into_iter().filter_map(|zone| {
        let name = needed(&zone, "name", zone.parsed("name", any_name));
        let servers = read_servers(&zone, listen);
        if servers.is_none() || zone.strings("servers").is_empty() {
            zone.complain("a zone needs `servers`: who knows it?");
        }
        zone.finish();
        Some(ForwardZone {
            name: name?,
            servers: values(servers?),
        })
    });
    let dnssec = table.choice("dnssec", &DNSSEC);
    let upstream = Upstream {
        zones: zones.collect(),
        ca_file: file(&table, "ca_file"),
        mode,
        root_hints: file(&table, "root_hints"),
        private_servers: values(
            table
                .parsed_list("private_servers", Network::parse)
                .unwrap_or_default(),
        ),
        servers: match mode {
            Mode::Forward => or_default(servers, &SERVERS),
            Mode::Recurse => Vec::new(),
        },
        dnssec: dnssec.map_or(Dnssec::Process, |d| d.value),
        trust_anchor_file: file(&table, "trust_anchor_file"),
        max_outstanding: number(&table, "max_outstanding", MAX_OUTSTANDING),
    };
    table.finish();
    upstream
}

fn read_servers(table: &Table<'_>, listen: &[SocketAddr]) -> Option<Vec<Placed<UpstreamAddress>>> {
    table.parsed_list("servers", |text| {
        let server: UpstreamAddress = text.parse()?;
        match listen.iter().find(|own| server.is_heard_by(**own)) {
            Some(own) => Err(format!("\"{text}\" is this resolver itself ({own})")),
            None => Ok(server),
        }
    })
}

fn read_cache(table: Table<'_>) -> Cache {
    let cache = Cache {
        entries: number(&table, "entries", CACHE_ENTRIES),
        max_bytes: number(&table, "max_bytes", CACHE_BYTES),
        min_ttl: number(&table, "min_ttl", MIN_TTL),
        max_ttl: number(&table, "max_ttl", MAX_TTL),
        stale: number(&table, "stale", STALE),
        prefetch: table.boolean("prefetch").is_none_or(|p| p.value),
    };
    if cache.min_ttl > cache.max_ttl {
        table.complain("`min_ttl` is longer than `max_ttl`");
    }
    table.finish();
    cache
}

fn read_limits(table: Table<'_>) -> Ceilings {
    let ceilings = Ceilings {
        queries_per_second: number(&table, "queries_per_second", QUERIES_PER_SECOND),
        burst: number(&table, "burst", BURST),
        tcp_connections: number(&table, "tcp_connections", TCP_CONNECTIONS),
        tcp_connections_per_client: number(
            &table,
            "tcp_connections_per_client",
            TCP_CONNECTIONS_PER_CLIENT,
        ),
        tcp_idle: number(&table, "tcp_idle", TCP_IDLE),
        tcp_pipeline: number(&table, "tcp_pipeline", TCP_PIPELINE),
        tls_handshakes: number(&table, "tls_handshakes", TLS_HANDSHAKES),
    };
    if ceilings.burst < ceilings.queries_per_second {
        table.complain("`burst` is smaller than `queries_per_second`");
    }
    table.finish();
    ceilings
}

fn read_rebinding(table: Table<'_>) -> Rebinding {
    let allow = table.parsed_list("allow", any_name);
    let nat64 = table.parsed_list("nat64", |text| {
        let network = Network::parse(text)?;
        // RFC 6052 section 2.2.
        let fits = matches!(network.prefix(), 32 | 40 | 48 | 56 | 64 | 96);
        if fits && network.address().is_ipv6() {
            return Ok(network);
        }
        Err(format!(
            "\"{text}\" is not a NAT64 prefix; write it like 64:ff9b::/96"
        ))
    });
    let rebinding = Rebinding {
        allow: values(allow.unwrap_or_default()),
        nat64: values(nat64.unwrap_or_default()),
    };
    table.finish();
    rebinding
}

fn read_local(table: Table<'_>) -> Local {
    let records = table.tables("records").into_iter().filter_map(|record| {
        let name = needed(&record, "name", record.parsed("name", any_name));
        let addresses = record.parsed_list("addresses", address);
        if addresses.is_none() || record.strings("addresses").is_empty() {
            record.complain("a local record needs `addresses`");
        }
        let ttl = number(&record, "ttl", LOCAL_TTL);
        record.finish();
        Some(LocalRecord {
            name: name?,
            addresses: values(addresses?),
            ttl,
        })
    });
    let records = records.collect();
    let zones = table.tables("zones").into_iter().filter_map(|zone| {
        let name = needed(&zone, "name", zone.parsed("name", any_name));
        let file = needed(&zone, "file", zone.string("file"));
        zone.finish();
        Some(LocalZone {
            name: name?,
            file: file?.into(),
        })
    });
    let zones = zones.collect();
    table.finish();
    Local { records, zones }
}

fn read_refresh(table: Table<'_>) -> Refresh {
    let resolvers = table.parsed_list("resolvers", |text| {
        let bare = text
            .parse()
            .map(|ip| SocketAddr::new(ip, super::upstream::DNS_PORT));
        bare.or_else(|_| socket(text))
    });
    let refresh = Refresh {
        resolvers: values(resolvers.unwrap_or_default()),
        ca_file: file(&table, "ca_file"),
        timeout: number(&table, "timeout", REFRESH_TIMEOUT),
    };
    table.finish();
    refresh
}

fn read_querylog(table: Table<'_>) -> QueryLog {
    let querylog = QueryLog {
        keep_days: number(&table, "keep_days", KEEP_DAYS),
    };
    table.finish();
    querylog
}

/// Every number that `limits` admits fits: the types are chosen for it.
pub(super) fn number<T: TryFrom<u64> + Default>(
    table: &Table<'_>,
    key: &'static str,
    limits: Limits,
) -> T {
    let given = table.integer(key, limits.min..=limits.max);
    let value = given.map_or(limits.default, |given| given.value);
    T::try_from(value).unwrap_or_default()
}

/// A file; "" is none.
pub(super) fn file(table: &Table<'_>, key: &'static str) -> Option<PathBuf> {
    let file = table.string(key).map(|file| file.value);
    file.filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// The value, or a complaint that `key` is missing if it is.
fn needed<T>(table: &Table<'_>, key: &'static str, value: Option<Placed<T>>) -> Option<T> {
    if !table.has(key) {
        table.missing(key);
    }
    value.map(|v| v.value)
}

pub(super) fn or_default<T: std::str::FromStr>(
    given: Option<Vec<Placed<T>>>,
    default: &[&str],
) -> Vec<T> {
    let default = || {
        default
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    };
    given.map_or_else(default, values)
}

pub(super) fn values<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|p| p.value).collect()
}

pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is not an address with a port; write it like 127.0.0.1:53 or [::1]:53")
    })
}

/// As [`socket`]; "" is nowhere.
fn socket_or_none(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "" => Ok(None),
        text => socket(text).map(Some),
    }
}

pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is not an IP address"))
}

pub(super) fn any_name(text: &str) -> Result<Name, String> {
    Name::parse_any_depth(text).map_err(|why| format!("\"{text}\" is not a name: {why}"))
}
