//! `schoolgate selftest`: what gets through, asked from a client's place.
//!
//! Real questions over real sockets, and the answers set against what the policy
//! promises whoever asks from here: each canary, each search engine, each list's
//! own test host, and the known ways round. Run on the resolver's own machine it
//! knows the policy; run with `--server` on a pupil's laptop it also sees the
//! router and the firewall between. The dated result is kept for the record.
//!
//! It only asks. It never says the name of a mandatory list's host, and nothing
//! outside is asked but the addresses it was given or that its help names.

mod agreement;
mod ask;
mod canaries;
mod check;
mod discovery;
mod ech;
mod identity;
mod mandatory;
mod outside;
mod place;
mod probes;
mod record;
mod safe_search;
mod secure;
mod wanted;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;

use crate::appliance::all_of;
use crate::appliance::private_ca::PrivateCa;
use crate::configuration::{self, Configuration};
use crate::lists::source::{self, SourceSpec};
use crate::mac::Mac;
use crate::name::Name;
use crate::policy::group::Ech;
use crate::settings::Settings;
use crate::standing;
use crate::why;

use ask::{A, Asker, REFUSED, SOA, SVCB};
pub use check::{Check, Outcome};
use outside::Mark;
use place::{Place, Promise};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Whom a pupil would type in: Quad9, by both families.
const OUTSIDE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
    IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe)),
];
const DNS_PORT: u16 = 53;

/// What `selftest` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct SelftestArgs {
    /// The resolver, as a device here would ask it; this machine's, if nothing
    /// is said
    #[arg(long, value_name = "ADDR", value_parser = server)]
    pub server: Option<SocketAddr>,
    /// Ask from this address of this machine
    #[arg(long, value_name = "ADDR")]
    pub client_address: Option<IpAddr>,
    /// Another resolver that must not be reachable; may be given several times.
    /// On another machine than the resolver: 9.9.9.9 and 2620:fe::fe unless told
    #[arg(long, value_name = "ADDR", value_parser = server)]
    pub outside: Vec<SocketAddr>,
    /// Ask no other resolver
    #[arg(long, conflicts_with = "outside")]
    pub no_outside: bool,
    /// The hardware address of a device of another group, to be claimed
    #[arg(long, value_name = "MAC")]
    pub posing_as: Option<Mac>,
    /// A name that is blocked here, and for that device is not
    #[arg(long, value_name = "NAME", value_parser = Name::parse_any_depth)]
    pub blocked: Option<Name>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

/// Everything that was found, as it is printed and kept.
#[derive(Debug, Serialize)]
struct Report {
    time: String,
    server: String,
    client: String,
    group: Option<String>,
    passed: bool,
    checks: Vec<Check>,
}

/// What is known on the resolver's own machine.
struct Home {
    configuration: Configuration,
    sources: Vec<SourceSpec>,
}

/// Asks everything, and says whether all of it held.
pub fn selftest(
    args: &SelftestArgs,
    folder: &Path,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let home = home(args, folder)?;
    let asker = asker(args, home.as_ref().map(|home| &home.configuration.settings))?;
    let client = asker
        .own_address()
        .with_context(|| format!("{} cannot be asked from here", asker.server))?;
    is_there(&asker, client)?;
    let promise = home
        .as_ref()
        .map(|home| promise(home, client, now))
        .transpose()?;
    let place = Place { asker, promise };
    let checks = checks(args, &place, home.as_ref(), client);
    let report = Report {
        time: now.to_string(),
        server: place.asker.server.to_string(),
        client: client.to_string(),
        group: place.group_id().map(ToOwned::to_owned),
        passed: checks.iter().all(|c| c.outcome != Outcome::Failed),
        checks,
    };
    let document = serde_json::to_vec(&report)?;
    let state_dir = home.map(|home| home.configuration.settings.state_dir);
    let kept = state_dir.map(|dir| record::keep(&dir, &document, now));
    if args.json {
        out.write_all(&document)?;
        writeln!(out)?;
        return Ok(report.passed);
    }
    print(&report, out)?;
    match kept {
        Some(Ok(path)) => writeln!(out, "Kept as {}.", path.display())?,
        Some(Err(error)) => writeln!(out, "The result could not be kept: {error}")?,
        None => writeln!(out, "Not kept: this is not the resolver's own machine.")?,
    }
    Ok(report.passed)
}

fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let group = report.group.as_ref();
    let group = group.map_or_else(String::new, |group| format!(" (group {group})"));
    writeln!(out, "{} asked from {}{group}", report.server, report.client)?;
    for check in &report.checks {
        writeln!(out, "{check}")?;
    }
    let count = |outcome| {
        report
            .checks
            .iter()
            .filter(|c| c.outcome == outcome)
            .count()
    };
    let (ok, failed) = (count(Outcome::Ok), count(Outcome::Failed));
    let untested = count(Outcome::NotTested);
    writeln!(out, "{ok} ok, {failed} FAILED, {untested} not tested")
}

/// The configuration, if the server that is asked is this machine's.
fn home(args: &SelftestArgs, folder: &Path) -> anyhow::Result<Option<Home>> {
    if let Some(server) = args.server {
        let settings = configuration::settings(folder);
        if !settings.is_ok_and(|settings| is_its(&settings, server)) {
            return Ok(None);
        }
    }
    let configuration = standing::configuration(folder).map_err(all_of)?;
    let sources = &configuration.texts.sources;
    let sources = source::parse("sources.toml", sources, folder).map_err(all_of)?;
    Ok(Some(Home {
        configuration,
        sources,
    }))
}

/// Whether `server` is the one of these settings, and on this machine.
fn is_its(settings: &Settings, server: SocketAddr) -> bool {
    let here = UdpSocket::bind((server.ip(), 0)).is_ok();
    let listens = |own: &SocketAddr| {
        let everywhere = own.ip().is_unspecified() && own.is_ipv4() == server.is_ipv4();
        let port = own.port() == server.port() || own.port() == 0;
        port && (everywhere || own.ip() == server.ip())
    };
    here && settings.listen.dns.iter().any(listens)
}

fn asker(args: &SelftestArgs, settings: Option<&Settings>) -> anyhow::Result<Asker> {
    let listening = || settings?.listen.dns.first().copied().map(reachable);
    let Some(server) = args.server.or_else(listening) else {
        bail!("say whom to ask: --server ADDR");
    };
    if server.port() == 0 {
        bail!("the settings leave the port open; say whom to ask: --server ADDR");
    }
    Ok(Asker {
        server,
        from: args.client_address,
        patience: PATIENCE,
    })
}

/// Who listens everywhere also listens here.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// Without a server, or without leave to ask it, there is nothing to test.
fn is_there(asker: &Asker, client: IpAddr) -> anyhow::Result<()> {
    /// Not ready (RFC 8914).
    const NOT_READY: u16 = 14;
    let server = asker.server;
    match asker.ask("resolver.arpa", SOA) {
        Err(silence) => bail!("{server}: {}; does serve run there?", silence.in_words()),
        Ok(heard) if heard.errors.contains(&NOT_READY) => {
            bail!("{server} has no lists yet; run `schoolgate refresh`")
        }
        Ok(heard) if heard.rcode == REFUSED => {
            bail!("{server} refuses {client}: see `clients.allow` in schoolgate.toml")
        }
        Ok(_) => Ok(()),
    }
}

fn promise(home: &Home, client: IpAddr, now: Timestamp) -> anyhow::Result<Promise> {
    let configuration = &home.configuration;
    let policy = why::standing_policy(configuration)?;
    let who = why::asker_at(client, &configuration.settings, &policy, now)?;
    let moment = policy.at(now);
    Ok(Promise {
        policy,
        who,
        moment,
    })
}

fn checks(args: &SelftestArgs, place: &Place, home: Option<&Home>, client: IpAddr) -> Vec<Check> {
    let promise = place.promise.as_ref();
    let canaries = wanted::canaries(promise);
    let engines = wanted::engines(promise);
    let sources = home.map_or(&[][..], |home| &home.sources);
    let mut names: Vec<Name> = args.blocked.iter().cloned().collect();
    names.extend(telling(&canaries, &engines, promise));
    let inputs = identity::Inputs {
        names: &names,
        posing_as: args.posing_as,
        is_router: home.is_some_and(|home| is_router(home, client)),
    };
    let mut questions = questions(&canaries, &engines);
    questions.extend(args.blocked.iter().map(|name| (name.to_string(), A)));
    let mut checks = canaries::check(place, &canaries);
    checks.extend(safe_search::check(place, &engines));
    checks.extend(mandatory::check(place, sources));
    checks.extend(probes::check(place));
    let (discovery, endpoints) = discovery::check(place, own_name(home));
    checks.push(discovery);
    let kept = promise
        .and_then(Promise::group)
        .is_some_and(|group| group.ech == Ech::Keep);
    checks.push(ech::check(place, kept));
    checks.push(identity::check(place, &inputs));
    let authorities = secure::authorities(home.and_then(authority).as_deref());
    checks.extend(agreement::check(
        &place.asker,
        &questions,
        &endpoints,
        &authorities,
    ));
    checks.extend(outside_checks(args, place, &questions));
    checks
}

/// Another resolver is asked from a client's place, or where somebody says so:
/// the resolver's own machine must get out.
fn outside_checks(args: &SelftestArgs, place: &Place, questions: &[(String, u16)]) -> Vec<Check> {
    let outside = match &args.outside[..] {
        [] if args.no_outside || place.promise.is_some() => {
            let said = if args.no_outside {
                "left out"
            } else {
                "this machine must get out itself; run it on a pupil's device: \
                 `schoolgate selftest --server ADDR`"
            };
            let judgement = check::not_tested(said);
            return vec![Check::new("outside", "another resolver", judgement)];
        }
        [] => OUTSIDE.map(|ip| SocketAddr::new(ip, DNS_PORT)).to_vec(),
        given => given.to_vec(),
    };
    let marks = questions
        .iter()
        .filter_map(|(name, rtype)| Mark::of(&place.asker, name, *rtype));
    let marks: Vec<Mark> = marks.collect();
    outside::check(&place.asker, &outside, &marks)
}

/// Names that groups may be answered differently about.
fn telling(
    canaries: &[Name],
    engines: &[safe_search::Engine],
    promise: Option<&Promise>,
) -> Vec<Name> {
    let engines = engines.iter().filter_map(|engine| engine.names.first());
    let exceptions = promise.map(|promise| promise.policy.exceptions.iter());
    let exceptions = exceptions.into_iter().flatten().map(|e| &e.name);
    engines.chain(canaries).chain(exceptions).cloned().collect()
}

/// Questions whose answers policy makes, for comparing ways.
fn questions(canaries: &[Name], engines: &[safe_search::Engine]) -> Vec<(String, u16)> {
    let canaries = canaries.iter().map(|name| (name.to_string(), A));
    let engines = engines.iter().filter_map(|engine| engine.names.first());
    let engines = engines.map(|name| (name.to_string(), A)).take(2);
    let discovery = ("_dns.resolver.arpa".to_owned(), SVCB);
    canaries.chain(engines).chain([discovery]).collect()
}

/// The name by which the encrypted listeners are told, if there are any.
fn own_name(home: Option<&Home>) -> Option<&Name> {
    let settings = &home?.configuration.settings;
    let listen = &settings.listen;
    let encrypted = !listen.tls.is_empty() || !listen.https.is_empty();
    settings.tls.name.as_ref().filter(|_| encrypted)
}

/// The private authority's certificate, if there is one.
fn authority(home: &Home) -> Option<PathBuf> {
    let settings = &home.configuration.settings;
    let name = settings.tls.name.as_ref();
    let ca = PrivateCa::new(&settings.state_dir, name, Vec::new());
    settings.tls.private_ca.then(|| ca.authority())
}

fn is_router(home: &Home, client: IpAddr) -> bool {
    let routers = &home.configuration.settings.clients.routers;
    routers.iter().any(|router| router.holds(client))
}

/// An address with or without a port.
fn server(text: &str) -> Result<SocketAddr, String> {
    let bare = text
        .parse::<IpAddr>()
        .map(|ip| SocketAddr::new(ip, DNS_PORT));
    bare.or_else(|_| text.parse())
        .map_err(|_| "write an address, as 10.0.0.2 or [fd00::2]:53".to_owned())
}
