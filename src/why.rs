//! `schoolgate why NAME`: what happens to a name, for whom, when, and why.
//!
//! The same tables and the same code as the resolver's: the device is found as a
//! packet's would be, the decision is the one that would be made. What the
//! answer of an upstream would change (a CNAME to a blocked name) cannot be
//! known without asking, and is not guessed.

use std::io::Write;
use std::net::IpAddr;

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::appliance;
use crate::changes::kept;
use crate::configuration::Configuration;
use crate::devices::find::find;
use crate::devices::identify::identify;
use crate::devices::leases::Leases;
use crate::devices::leases::watch::Watcher;
use crate::document::choices;
use crate::lists::load;
use crate::name::Name;
use crate::policy::compile::Live;
use crate::policy::explain::{Asked, explain};
use crate::policy::{Asker, DeviceIndex, GroupIndex, Policy};
use crate::querylog::moment::{self, End};
use crate::querylog::row::{mnemonic, rtype};
use crate::settings::Settings;

/// What `why` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct WhyArgs {
    /// The name that was looked up
    pub name: String,
    /// Who asked
    #[command(flatten)]
    pub whose: Whose,
    /// The type of record that was asked for
    #[arg(long = "type", value_name = "TYPE", default_value = "A")]
    pub rtype: String,
    /// When; now, if nothing is said. 2026-11-21T09:00 is the school's time
    #[arg(long, value_name = "RFC3339")]
    pub at: Option<String>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
}

/// Who asked.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// A device by its address
    #[arg(long, value_name = "ADDR")]
    pub client: Option<IpAddr>,
    /// A device by its id in devices.csv
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// Anybody of this group
    #[arg(long, value_name = "G")]
    pub group: Option<String>,
}

/// Writes the explanation to `out`.
pub fn why(
    args: &WhyArgs,
    configuration: &Configuration,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let settings = &configuration.settings;
    let name = Name::parse_any_depth(&args.name)
        .with_context(|| format!("\"{}\" is not a name that can be looked up", args.name))?;
    let Some(rtype) = rtype(&args.rtype) else {
        bail!(
            "--type: \"{}\" is no type of record; write A, AAAA, HTTPS or TYPE65",
            args.rtype
        );
    };
    if let Some(ip) = args.whose.client {
        is_served(ip, settings)?;
    }
    let now = moment(args.at.as_deref(), &configuration.document.zone, now)?;
    let policy = standing_policy(configuration)?;
    let leases = leases(settings, now);
    let (asker, ip) = whose(&args.whose, &policy, &leases, now)?;
    let forwarded = settings
        .upstream
        .zones
        .iter()
        .map(|z| z.name.clone())
        .collect();
    let local = appliance::local(settings, forwarded)?;
    let device = asker.device.and_then(|row| policy.devices.device(row.0));
    let question = Asked {
        name: name.as_ref(),
        rtype: &mnemonic(rtype),
        asker,
        device: device.map(|device| &*device.id),
        ip,
        local: local.holds(name.as_ref(), rtype),
    };
    let explanation = explain(&policy, &question, now);
    if args.json {
        serde_json::to_writer(&mut *out, &explanation)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{explanation}")?;
    }
    Ok(())
}

/// The policy that the folder's files make with the lists in force.
pub fn standing_policy(configuration: &Configuration) -> anyhow::Result<Policy> {
    let state_dir = &configuration.settings.state_dir;
    let last = kept::last(state_dir)?;
    let live = Live {
        number: last.map_or(0, |record| record.number),
        not_before: load::put_in_force(state_dir),
        lists: load::open(state_dir)?,
        // An asker is told what is, even where `check` would complain.
        standing: true,
    };
    configuration.texts.compile(live).map_err(appliance::all_of)
}

/// Who `ip` is to the resolver, no router between.
pub fn asker_at(
    ip: IpAddr,
    settings: &Settings,
    policy: &Policy,
    now: Timestamp,
) -> anyhow::Result<Asker> {
    let by_address = Whose {
        client: Some(ip),
        device: None,
        group: None,
    };
    Ok(whose(&by_address, policy, &leases(settings, now), now)?.0)
}

fn leases(settings: &Settings, now: Timestamp) -> Leases {
    let mut watcher = Watcher::new(settings.clients.leases.clone());
    watcher.poll(now).unwrap_or_default()
}

/// The moment that is asked about.
fn moment(at: Option<&str>, zone: &TimeZone, now: Timestamp) -> anyhow::Result<Timestamp> {
    let Some(text) = at else {
        return Ok(now);
    };
    moment::parse(text, End::Since, now, zone).with_context(|| {
        format!(
            "--at: \"{text}\" is no moment; write 2026-11-21T09:00 for the school's time, \
             or 2026-11-21T09:00:00Z"
        )
    })
}

/// Whoever is refused is not decided about. Behind a router a device may have
/// any address.
fn is_served(ip: IpAddr, settings: &Settings) -> anyhow::Result<()> {
    let clients = &settings.clients;
    let ip = ip.to_canonical();
    if clients.routers.is_empty() && !clients.allow.iter().any(|network| network.holds(ip)) {
        bail!(
            "{ip} is in no network of `clients.allow` in schoolgate.toml: whatever it asks is \
             REFUSED"
        );
    }
    Ok(())
}

fn whose(
    whose: &Whose,
    policy: &Policy,
    leases: &Leases,
    now: Timestamp,
) -> anyhow::Result<(Asker, Option<IpAddr>)> {
    if let Some(id) = &whose.group {
        let ids = policy.groups.iter().map(|group| &*group.id);
        let Some(index) = ids.clone().position(|group| group == id) else {
            bail!("there is no group \"{id}\"; {}", choices(id, ids));
        };
        let asker = Asker {
            group: GroupIndex(u16::try_from(index)?),
            device: None,
        };
        return Ok((asker, None));
    }
    let networks = |ip| policy.networks.group_of(ip).map(|group| group.0);
    let nobody = IpAddr::from([0; 16]);
    let (ip, mac) = match (&whose.client, &whose.device) {
        (Some(ip), _) => (Some(*ip), None),
        (None, Some(id)) => {
            let row = policy
                .devices
                .by_id(id)
                .and_then(|row| policy.devices.device(row));
            let Some(row) = row else {
                let ids = policy.devices.devices().iter().map(|device| &*device.id);
                bail!(
                    "there is no device \"{id}\" in devices.csv; {}",
                    choices(id, ids)
                );
            };
            (row.ips.first().copied(), row.macs.first().copied())
        }
        (None, None) => bail!("say who asks: --client, --device or --group"),
    };
    let mut identity = identify(
        ip.unwrap_or(nobody),
        false,
        &[],
        whose.device.as_deref(),
        None,
    );
    identity.mac = mac;
    let who = find(
        &identity,
        &policy.devices,
        leases,
        networks,
        policy.unknown.0,
        now,
    );
    let asker = Asker {
        group: GroupIndex(who.group),
        device: who.device.map(DeviceIndex),
    };
    Ok((asker, ip))
}
