//! Devices that say who they are over an encrypted transport, and those that
//! only say so.

use std::io::Write;
use std::process::{Command, Stdio};

use data_encoding::BASE64URL_NOPAD;

use super::has;
use super::school::{Plan, School};
use super::secured::{NAME, SECRET, authority, config, connect_as};
use super::streams::{ask, framed};
use super::tls::next;
use super::upstream::{ADDRESS, Upstream};
use super::wire::{self, Reply};

/// A teacher's laptop with a secret, and a guest's tablet without.
const DEVICES: &str = "id,name,mac,ip,group,owner,kind,client_id
laptop,Laptop,,,staff,Ms Gray,laptop,k3v9x2qm7w4t
tablet,Tablet,,,guest,,tablet,
";

fn plan(upstream: &Upstream) -> Plan {
    Plan {
        devices: DEVICES.to_owned(),
        ..Plan::encrypted(&[upstream.address])
    }
}

fn over_https(school: &School, path: &str, name: &str) -> Reply {
    let packet = BASE64URL_NOPAD.encode(&wire::question(1, name, wire::A));
    let got = school.fetch(&[&format!("{}{path}?dns={packet}", school.url())]);
    assert_eq!(got.status, 200, "{path}");
    Reply::read(&got.body)
}

fn over_tls(school: &School, server_name: &str, name: &str) -> Option<Reply> {
    let config = config(&authority(&school.folder.state()), &["dot"]);
    let mut stream = connect_as(&config, school.tls.unwrap(), server_name);
    let packet = framed(&wire::question(1, name, wire::A));
    stream.write_all(&packet).ok()?;
    Some(Reply::read(&next(&mut stream)?))
}

#[test]
fn a_device_is_known_by_its_id_in_path_or_server_name() {
    if !has("curl", "ids by curl") {
        return;
    }
    let upstream = Upstream::plain();
    let school = plan(&upstream).start();
    let shouted = SECRET.to_uppercase();
    // 127.0.0.1 is a pupil, for whom bets are blocked; staff may.
    assert_eq!(over_https(&school, "", "bets.example").errors, [15]);
    for id in [SECRET, &shouted] {
        let reply = over_https(&school, &format!("/{id}"), "bets.example");
        assert_eq!(reply.addresses(), [ADDRESS], "{id}");
        let reply = over_tls(&school, &format!("{id}.{NAME}"), "bets.example");
        assert_eq!(reply.unwrap().addresses(), [ADDRESS], "{id}");
    }
    // A device without a secret has its id, as guests block chats.
    assert_eq!(over_https(&school, "/tablet", "chat.example").errors, [15]);
    assert_eq!(
        over_https(&school, "", "chat.example").addresses(),
        [ADDRESS]
    );
    let unknown = "schoolgate_unknown_client_ids_total";
    assert!(school.metric(unknown) < 0.5);
    // Who has a secret is not known by its id, and an unknown id is nobody's:
    // both are the pupil's who asks.
    for (n, id) in ["laptop", "k3v9x2qm7w4", "head-laptop"].iter().enumerate() {
        let reply = over_https(&school, &format!("/{id}"), "bets.example");
        assert_eq!(reply.errors, [15], "{id}");
        let reply = over_tls(&school, &format!("{id}.{NAME}"), "bets.example");
        assert_eq!(reply.unwrap().errors, [15], "{id}");
        let counted = school.metric(unknown);
        assert!((counted - 2.0 * (n as f64 + 1.0)).abs() < 0.1, "{counted}");
    }
    let folder = school.stop();
    let rows = folder.log();
    let of = |device: &str| rows.iter().filter(|row| row["device"] == device).count();
    assert!(of("laptop") > 0 && of("tablet") > 0, "{rows:?}");
    let written = std::fs::read_dir(folder.state().join("querylog")).unwrap();
    for file in written.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()) {
        let holds = file.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
        assert!(!holds, "the secret is in the log");
    }
}

#[test]
fn an_impossible_id_is_refused_in_the_handshake() {
    let upstream = Upstream::plain();
    let school = plan(&upstream).start();
    assert!(over_tls(&school, &format!("a.b.{NAME}"), "www.example").is_none());
    assert!(over_tls(&school, NAME, "www.example").is_some());
    if !has("openssl", "impossible server names") {
        return;
    }
    let long = "x".repeat(72);
    for label in ["!!!", "-a", "a.b", &long] {
        let output = Command::new("openssl")
            .args(["s_client", "-alpn", "dot", "-connect"])
            .arg(school.tls.unwrap().to_string())
            .args(["-servername", &format!("{label}.{NAME}")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("alert"), "{label}: {said}");
        assert!(!output.status.success(), "{label}");
    }
    assert_eq!(school.ask("bets.example").errors, [15]);
}

#[test]
fn off_site_only_an_issued_id_is_answered_and_only_encrypted() {
    if !has("curl", "a device off site, by curl") {
        return;
    }
    let upstream = Upstream::plain();
    let mut plan = plan(&upstream);
    // For this school, this machine is the rest of the world.
    plan.tables = "[clients]\nallow = [\"10.0.0.0/8\"]\n".to_owned();
    let school = plan.start();
    assert_eq!(school.ask("www.example").errors, [18]);
    let packet = wire::question(1, "www.example", wire::A);
    assert_eq!(ask(school.dns, &[packet])[0].errors, [18]);
    for id in ["", "/tablet", "/laptop", "/x3v9x2qm7w4t"] {
        let reply = over_https(&school, id, "www.example");
        assert_eq!((reply.rcode, reply.errors), (5, vec![18]), "{id}");
    }
    assert_eq!(over_tls(&school, NAME, "www.example").unwrap().errors, [18]);
    let reply = over_https(&school, &format!("/{SECRET}"), "www.example");
    assert_eq!(reply.addresses(), [ADDRESS]);
    let reply = over_tls(&school, &format!("{SECRET}.{NAME}"), "www.example");
    assert_eq!(reply.unwrap().addresses(), [ADDRESS]);
}
