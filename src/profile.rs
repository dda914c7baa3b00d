//! `schoolgate profile`: what makes a device ask this school's resolver wherever
//! it is, as its own management takes it.
//!
//! A device off site is known by its `client_id` alone, a secret of devices.csv
//! that rides in what is written here; so a written file is for its owner's eyes
//! only. A device without one is refused, and told a fresh one for its row.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use data_encoding::BASE32_NOPAD;

use crate::configuration::Configuration;
use crate::devices::inventory::{Device, Inventory};
use crate::document::choices;
use crate::name::Name;

pub mod apple;
pub mod dnr;
pub mod documents;
pub mod endpoint;
pub mod policies;
pub mod windows;

use documents::{Document, Format};
use endpoint::{Endpoint, Subject};

/// Seconds for which a router's word on the resolver holds: as RFC 8106 has it
/// for its plain brother, three times the usual interval of advertisements.
const ADVERTISED: u32 = 1800;

/// What `profile` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct ProfileArgs {
    /// The device, by its id in devices.csv
    #[arg(long, value_name = "ID", required_unless_present = "dnr")]
    pub device: Option<String>,
    /// For whose management
    #[arg(long, value_enum, default_value_t = Format::All)]
    pub format: Format,
    /// Write files to this folder instead of printing
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// An address by which devices reach this resolver; can be given several times
    #[arg(long = "address", value_name = "ADDR")]
    pub addresses: Vec<IpAddr>,
    /// Print the options by which DHCP and routers name the encrypted resolver
    #[arg(long, conflicts_with_all = ["device", "format", "out"])]
    pub dnr: bool,
}

/// Prints or writes the documents; what there is to say about them goes to
/// `notes`. `random` makes a fresh id, should one be needed. The code is 1 if
/// there is nothing to give.
pub fn profile(
    args: &ProfileArgs,
    configuration: &Configuration,
    random: u128,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<u8> {
    let Some(id) = &args.device else {
        let endpoint = endpoint(configuration, &args.addresses, |ip| !ip.is_loopback())?;
        print_dnr(&endpoint, out)?;
        return Ok(0);
    };
    let endpoint = endpoint(configuration, &args.addresses, is_public)?;
    let device = device(&configuration.devices, id)?;
    let Some(client_id) = &device.client_id else {
        // No 0, 1, 8 or 9 in it to take for letters.
        let fresh = BASE32_NOPAD.encode(&random.to_be_bytes()).to_lowercase();
        writeln!(
            notes,
            "device \"{}\" has no client_id in devices.csv, so nobody could tell it from \
             another by what it sends; put a random one into its row, like this one made \
             just now: {fresh}",
            device.id
        )?;
        return Ok(1);
    };
    let subject = Subject {
        id: device.id.clone(),
        name: device.name.clone(),
        client_id: client_id.to_string(),
        school: configuration.document.school.clone(),
    };
    give(args, &endpoint, &subject, out, notes)
}

/// Where this resolver is asked over encryption. Its addresses are the given ones,
/// else, of those in the settings or those it listens on, the ones that `reaches`
/// says devices can reach.
fn endpoint(
    configuration: &Configuration,
    given: &[IpAddr],
    reaches: impl Fn(&IpAddr) -> bool,
) -> anyhow::Result<Endpoint> {
    let (listen, tls) = (&configuration.settings.listen, &configuration.settings.tls);
    let Some(name) = &tls.name else {
        bail!(
            "schoolgate.toml: [tls] `name` is empty; devices must know what this resolver is called"
        );
    };
    let port = |listeners: &[SocketAddr]| listeners.first().map(SocketAddr::port);
    let mut addresses = given.to_vec();
    if given.is_empty() {
        let listening = listen.encrypted().map(SocketAddr::ip);
        let told = !tls.addresses.is_empty();
        let own = tls.addresses.iter().copied();
        let own = own.chain(listening.filter(|_| !told));
        addresses.extend(own.filter(|ip| !ip.is_unspecified() && reaches(ip)));
    }
    addresses.sort_unstable();
    addresses.dedup();
    Ok(Endpoint {
        name: name.to_string(),
        path: tls.path.clone(),
        https: port(&listen.https),
        tls: port(&listen.tls),
        quic: port(&listen.quic),
        addresses,
    })
}

fn device<'i>(inventory: &'i Inventory, id: &str) -> anyhow::Result<&'i Device> {
    let found = inventory.by_id(id).and_then(|row| inventory.device(row));
    found.with_context(|| {
        let ids = inventory.devices().iter().map(|device| &*device.id);
        format!("there is no device \"{id}\"; {}", choices(id, ids))
    })
}

fn give(
    args: &ProfileArgs,
    endpoint: &Endpoint,
    subject: &Subject,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<u8> {
    let mut documents = Vec::new();
    for format in args.format.each() {
        match format.documents(endpoint, subject) {
            Ok(some) => documents.extend(some),
            Err(why) => writeln!(notes, "{format:?}: none, it {why}")?,
        }
    }
    for document in &documents {
        writeln!(notes, "{}: {}", document.ending, document.note)?;
        let name = file_name(&subject.id, document);
        match (&args.out, documents.len()) {
            (Some(folder), _) => {
                let path = folder.join(name);
                write_secret(folder, &path, &document.text)
                    .with_context(|| path.display().to_string())?;
                writeln!(out, "{}", path.display())?;
            }
            // What is piped into a file must be that file and nothing else.
            (None, 1) => out.write_all(document.text.as_bytes())?,
            (None, _) => writeln!(out, "==== {name} ====\n{}", document.text)?,
        }
    }
    Ok(u8::from(documents.is_empty()))
}

/// An id may have anything in it; a file's name may not.
fn file_name(id: &str, document: &Document) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let id: String = id.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    format!("{id}-{}", document.ending)
}

fn write_secret(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    // It may have been there before, open to all.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}

fn print_dnr(endpoint: &Endpoint, out: &mut impl Write) -> anyhow::Result<()> {
    let name = Name::parse_any_depth(&endpoint.name)?;
    let options = dnr::options(endpoint, &name, ADVERTISED);
    if endpoint.addresses.is_empty() {
        bail!("name the addresses by which devices reach this resolver: --address ADDR");
    }
    let addresses: Vec<_> = endpoint.addresses.iter().map(ToString::to_string).collect();
    let (name, addresses) = (&endpoint.name, addresses.join(", "));
    writeln!(
        out,
        "The encrypted resolver {name} at {addresses}, as RFC 9463 has it."
    )?;
    if let Some(data) = options.dhcpv4 {
        writeln!(out, "\nDHCPv4, option 162:\n  {}", hex(&data, ""))?;
        writeln!(out, "  dnsmasq: dhcp-option=162,{}", hex(&data, ":"))?;
        let kea = format!(
            "{{ \"code\": 162, \"csv-format\": false, \"data\": \"{}\" }}",
            hex(&data, "")
        );
        writeln!(out, "  Kea, option-data: {kea}")?;
    }
    for data in &options.dhcpv6 {
        writeln!(out, "\nDHCPv6, option 144:\n  {}", hex(data, ""))?;
        writeln!(out, "  dnsmasq: dhcp-option=option6:144,{}", hex(data, ":"))?;
    }
    for option in &options.router {
        writeln!(
            out,
            "\nRouter advertisements, whole option 144, for {ADVERTISED} s:\n  {}",
            hex(option, "")
        )?;
    }
    Ok(())
}

fn hex(bytes: &[u8], between: &str) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(between)
}

/// Whether devices off site can reach it.
fn is_public(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local()),
        IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local()),
    }
}
