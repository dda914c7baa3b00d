//! Signatures, with real ones: zones signed by ldns-signzone and served by NSD,
//! a root of our own, Unbound as the upstream that asks it and checks nothing.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::school::{Client, Plan, Running, School};
use super::upstream::{ADDRESS, Upstream};
use super::wire::{self, Reply};
use super::{eventually, has, within};

const TXT: u16 = 16;
const CNAME: u16 = 5;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;

/// A little internet: a root, its zones, and a resolver that knows the way.
struct World {
    folder: tempfile::TempDir,
    resolver: SocketAddr,
    _servers: Vec<Running>,
}

/// How a zone is signed, and what is wrong with it then.
enum Signed {
    Well(&'static [&'static str]),
    Tampered,
    /// The parent vouches for a key, and nothing is signed.
    NotAtAll,
    /// The parent says that it is not.
    NeedNot,
}

const ZONES: [(&str, Signed); 7] = [
    ("signed", Signed::Well(&[])),
    ("nsec3", Signed::Well(&["-n", "-t", "0"])),
    ("tampered", Signed::Tampered),
    (
        "expired",
        Signed::Well(&["-i", "20200101", "-e", "20200201"]),
    ),
    ("early", Signed::Well(&["-i", "20900101", "-e", "20900201"])),
    ("stripped", Signed::NotAtAll),
    ("plain", Signed::NeedNot),
];

pub(super) fn run(folder: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl World {
    fn new() -> Option<Self> {
        let what = "signatures of real zones";
        let programs = ["nsd", "unbound", "ldns-signzone", "ldns-keygen"];
        if !programs.iter().all(|program| has(program, what)) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let [zones, resolver] = [Upstream::plain().address, Upstream::plain().address];
        let mut root = zone_text(".", "");
        for (name, signed) in &ZONES {
            let _ = write!(root, "{name}. NS ns.{name}.\nns.{name}. A 127.0.0.1\n");
            if let Some(ds) = write_zone(folder.path(), name, signed) {
                root += &ds;
            }
        }
        std::fs::write(folder.path().join("root"), root).unwrap();
        let key = new_key(folder.path(), ".");
        let anchor = std::fs::read_to_string(folder.path().join(format!("{key}.key"))).unwrap();
        std::fs::write(folder.path().join("root.key"), anchor).unwrap();
        run(
            folder.path(),
            "ldns-signzone",
            &["-o", ".", "-f", "root.zone", "root", &key],
        );
        let question = wire::question(1, "www.plain", wire::A);
        let mut servers = vec![nsd(folder.path(), zones)];
        answers(zones, &question);
        // Not before: it would remember that nobody answered.
        servers.push(unbound(folder.path(), resolver, zones));
        answers(resolver, &question);
        Some(Self {
            folder,
            resolver,
            _servers: servers,
        })
    }

    fn plan(&self, dnssec: &str) -> Plan {
        let anchors = self.folder.path().join("root.key");
        let mut plan = Plan::new(&[self.resolver]);
        plan.upstream = format!(
            "dnssec = \"{dnssec}\"\ntrust_anchor_file = \"{}\"",
            anchors.display()
        );
        plan
    }
}

/// Waits until a server answers.
pub(super) fn answers(server: SocketAddr, question: &[u8]) {
    const SHORT: Duration = Duration::from_millis(200);
    within(Duration::from_secs(30), "a server to be up", || {
        let client = Client::new("127.0.0.1");
        client.0.set_read_timeout(Some(SHORT)).unwrap();
        let reply = Reply::read(&client.exchange(server, question)?);
        (reply.rcode == 0).then_some(())
    });
}

fn zone_text(origin: &str, records: &str) -> String {
    format!(
        "$ORIGIN {origin}\n$TTL 300\n@ SOA ns.plain. root.plain. 1 3600 600 86400 300\n\
         @ NS ns.plain.\n{records}"
    )
}

pub(super) fn new_key(folder: &Path, zone: &str) -> String {
    run(
        folder,
        "ldns-keygen",
        &["-a", "ECDSAP256SHA256", "-k", zone],
    )
}

/// Writes `NAME.zone`; gives what the parent is to say of its key.
fn write_zone(folder: &Path, name: &str, signed: &Signed) -> Option<String> {
    let origin = format!("{name}.");
    let records = "ns A 127.0.0.1\nwww A 198.51.100.7\nlong TXT \"some text\"\n\
                   *.wild A 198.51.100.7\nalias CNAME www\nto-signed CNAME www.signed.\n\
                   to-nowhere CNAME nowhere.signed.\nto-plain CNAME www.plain.\n\
                   to-tampered CNAME www.tampered.\nempty.below A 198.51.100.7\n\
                   old DNAME signed.\n";
    let zone = format!("{name}.zone");
    std::fs::write(folder.join(name), zone_text(&origin, records)).unwrap();
    let options: &[&str] = match signed {
        Signed::NeedNot => {
            std::fs::copy(folder.join(name), folder.join(&zone)).unwrap();
            return None;
        }
        Signed::Well(options) => options,
        Signed::Tampered | Signed::NotAtAll => &[],
    };
    let key = new_key(folder, &origin);
    let all = [options, &["-o", &origin, "-f", &zone, name, &key]].concat();
    run(folder, "ldns-signzone", &all);
    match signed {
        Signed::NotAtAll => {
            std::fs::copy(folder.join(name), folder.join(&zone)).unwrap();
        }
        Signed::Tampered => {
            let text = std::fs::read_to_string(folder.join(&zone)).unwrap();
            let forged = text.replace("\tA\t198.51.100.7", "\tA\t198.51.100.66");
            assert_ne!(text, forged);
            std::fs::write(folder.join(&zone), forged).unwrap();
        }
        Signed::Well(_) | Signed::NeedNot => {}
    }
    Some(std::fs::read_to_string(folder.join(format!("{key}.ds"))).unwrap() + "\n")
}

fn spawn(mut command: Command) -> Running {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    Running(quiet.spawn().unwrap())
}

fn nsd(folder: &Path, address: SocketAddr) -> Running {
    let place = folder.display();
    let mut settings = format!(
        "server:\n ip-address: 127.0.0.1@{0}\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n \
         zonesdir: \"{place}\"\n xfrdfile: \"{place}/xfrd\"\n xfrdir: \"{place}\"\n \
         zonelistfile: \"{place}/zones\"\n server-count: 1\n logfile: \"{place}/nsd.log\"\n\
         remote-control:\n control-enable: no\nzone:\n name: \".\"\n zonefile: root.zone\n",
        address.port()
    );
    for (name, _) in &ZONES {
        let _ = write!(
            settings,
            "zone:\n name: \"{name}\"\n zonefile: {name}.zone\n"
        );
    }
    std::fs::write(folder.join("nsd.conf"), settings).unwrap();
    let mut command = Command::new("nsd");
    command.arg("-d").arg("-c").arg(folder.join("nsd.conf"));
    spawn(command)
}

fn unbound(folder: &Path, address: SocketAddr, zones: SocketAddr) -> Running {
    let settings = format!(
        "server:\n interface: 127.0.0.1@{}\n do-daemonize: no\n chroot: \"\"\n username: \"\"\n \
         pidfile: \"\"\n use-syslog: no\n logfile: \"/dev/null\"\n module-config: \"iterator\"\n \
         directory: \"{}\"\n do-not-query-localhost: no\n\
         remote-control:\n control-enable: no\n\
         forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{}\n",
        address.port(),
        folder.display(),
        zones.port()
    );
    std::fs::write(folder.join("unbound.conf"), settings).unwrap();
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(folder.join("unbound.conf"));
    spawn(command)
}

/// Bits of a question: AD and CD in the header, DO in the OPT record.
#[derive(Clone, Copy, Default)]
pub(super) struct Bits {
    ad: bool,
    cd: bool,
    dnssec_ok: bool,
}

pub(super) const AD: Bits = Bits {
    ad: true,
    cd: false,
    dnssec_ok: false,
};

pub(super) fn ask(school: &School, name: &str, rtype: u16, bits: Bits) -> Reply {
    let mut packet = wire::question(7, name, rtype);
    packet[3] |= u8::from(bits.ad) << 5 | u8::from(bits.cd) << 4;
    let flags = packet.len() - 4;
    packet[flags] |= u8::from(bits.dnssec_ok) << 7;
    let client = Client::new("127.0.0.1");
    Reply::read(&client.exchange(school.dns, &packet).expect("a reply"))
}

#[test]
fn a_signed_answer_is_authentic_a_bogus_one_refused_and_an_unsigned_one_passes() {
    let Some(world) = World::new() else { return };
    let school = world.plan("validate").start();
    // Name, type, code, AD, the extended error.
    let cases: [(&str, u16, u8, bool, Option<u16>); 28] = [
        ("www.signed", wire::A, 0, true, None),
        ("long.signed", TXT, 0, true, None),
        ("alias.signed", wire::A, 0, true, None),
        ("alias.signed", CNAME, 0, true, None),
        ("x.wild.signed", wire::A, 0, true, None),
        ("x.wild.signed", TXT, 0, true, None),
        ("below.signed", wire::A, 0, true, None),
        ("nowhere.signed", wire::A, 3, true, None),
        ("www.signed", TXT, 0, true, None),
        ("to-nowhere.signed", wire::A, 3, true, None),
        ("alias.signed", TXT, 0, true, None),
        ("www.old.signed", wire::A, 0, true, None),
        ("www.nsec3", wire::A, 0, true, None),
        ("x.wild.nsec3", wire::A, 0, true, None),
        ("nowhere.nsec3", wire::A, 3, true, None),
        ("www.nsec3", TXT, 0, true, None),
        ("to-nowhere.nsec3", wire::A, 3, true, None),
        ("nowhere", wire::A, 3, true, None),
        ("www.plain", wire::A, 0, false, None),
        ("nowhere.plain", wire::A, 3, false, None),
        ("to-signed.plain", wire::A, 0, false, None),
        ("to-plain.signed", wire::A, 0, false, None),
        ("www.tampered", wire::A, 2, false, Some(6)),
        ("to-tampered.signed", wire::A, 2, false, Some(6)),
        ("www.expired", wire::A, 2, false, Some(7)),
        ("www.early", wire::A, 2, false, Some(8)),
        ("www.stripped", wire::A, 2, false, Some(10)),
        ("to-signed.nsec3", wire::A, 0, true, None),
    ];
    let mut wrong = Vec::new();
    for (name, rtype, code, authentic, error) in cases {
        for _ in 0..2 {
            let reply = ask(&school, name, rtype, AD);
            let expected = (code, authentic, error.into_iter().collect::<Vec<_>>());
            let got = (reply.rcode, reply.authentic, reply.errors.clone());
            if got != expected {
                wrong.push(format!("{name} {rtype}: {got:?}, not {expected:?}"));
                continue;
            }
            let proofs = [RRSIG, NSEC, NSEC3];
            let told = reply.answer.iter().any(|(kind, ..)| proofs.contains(kind));
            assert!(!told, "nobody asked for proofs: {reply:?}");
            if code == 0 && rtype == wire::A && name != "below.signed" {
                assert_eq!(reply.addresses(), [ADDRESS], "{name}");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(school.metric("schoolgate_dnssec_bogus_total") >= 5.0);
    let told = school.stderr();
    assert!(
        !told.contains("tampered") && !told.contains("plain"),
        "{told}"
    );
}

#[test]
fn who_wants_signatures_gets_them_and_who_checks_itself_is_not_hindered() {
    let Some(world) = World::new() else { return };
    let school = world.plan("validate").start();
    let dnssec = Bits {
        dnssec_ok: true,
        ..Bits::default()
    };
    let reply = ask(&school, "www.signed", wire::A, dnssec);
    let kinds: Vec<u16> = reply.answer.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!((kinds, reply.authentic), (vec![wire::A, RRSIG], true));
    let unaware = ask(&school, "www.signed", wire::A, Bits::default());
    assert!(!unaware.authentic && unaware.answer.len() == 1);
    let itself = Bits { cd: true, ..dnssec };
    let reply = ask(&school, "www.tampered", wire::A, itself);
    assert_eq!(reply.addresses(), [[198, 51, 100, 66]]);
    assert!(!reply.authentic);
    // And what was given unchecked is not given to others.
    assert_eq!(ask(&school, "www.tampered", wire::A, AD).rcode, 2);
    // What policy made up is authentic to nobody.
    let blocked = ask(
        &school,
        "www.bets.example",
        wire::A,
        Bits { ad: true, ..dnssec },
    );
    assert!(!blocked.authentic && blocked.errors == [15], "{blocked:?}");
    // Without checking, nothing is claimed and nothing refused.
    let passes = world.plan("process").start();
    let reply = ask(&passes, "www.signed", wire::A, dnssec);
    assert!(!reply.authentic && reply.answer.len() == 2);
    assert_eq!(ask(&passes, "www.tampered", wire::A, AD).rcode, 0);
}

/// libfaketime, if it is installed.
fn faketime() -> Option<PathBuf> {
    has("faketime", "a boot with a wrong clock");
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let libraries = folders.map(|folder| {
        let folder = folder.unwrap().path();
        folder.join("faketime/libfaketimeMT.so.1")
    });
    libraries.into_iter().find(|library| library.exists())
}

#[test]
fn a_boot_with_the_clock_at_1970_answers_and_checks_once_the_time_is_known() {
    let (Some(world), Some(faketime)) = (World::new(), faketime()) else {
        return;
    };
    let folder = world.plan("validate").write();
    folder.refresh();
    folder.put("now", "@1970-01-01 00:00:10");
    let mut command = folder.command(&["serve"]);
    command
        .env("LD_PRELOAD", faketime)
        .env("FAKETIME_TIMESTAMP_FILE", folder.path().join("now"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1");
    let school = School::start_as(folder, command);
    for name in ["www.signed", "www.tampered", "www.expired", "www.plain"] {
        let reply = ask(&school, name, wire::A, AD);
        assert_eq!((reply.rcode, reply.authentic), (0, false), "{name}");
    }
    assert!(school.metric("schoolgate_dnssec_unchecked_total") >= 4.0);
    let told = |words: &str| school.stderr().matches(words).count();
    eventually("a word of it", || {
        (told("are not checked") == 1).then_some(())
    });
    school.folder.put("now", "+0");
    // What was kept is forgotten.
    within(Duration::from_secs(10), "the time to be noticed", || {
        (ask(&school, "www.tampered", wire::A, AD).rcode == 2).then_some(())
    });
    assert!(ask(&school, "www.signed", wire::A, AD).authentic);
    eventually("a word of it", || (told("are checked") == 1).then_some(()));
}

#[test]
fn a_bad_file_of_keys_is_told_at_the_start() {
    let mut plan = Plan::new(&["127.0.0.1:1".parse().unwrap()]);
    plan.upstream = "dnssec = \"validate\"\ntrust_anchor_file = \"keys\"".to_owned();
    plan.files = vec![("keys".to_owned(), "example. IN A 192.0.2.1\n".to_owned())];
    let folder = plan.write();
    folder.refresh();
    let output = folder.run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let whole = said.contains("upstream.trust_anchor_file") && said.contains("DNSKEY");
    assert!(whole, "{said}");
}
