//! Finding names from the root down, in a little internet on loopback: NSD for
//! the root, a domain and a school, each on an address of its own.

use std::fmt::Write as _;
use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use super::dnssec::{AD, Bits, answers, ask, new_key, run};
use super::has;
use super::school::{Plan, Running};
use super::upstream::ADDRESS;
use super::wire;

const SOA: u16 = 6;

/// Servers of names are asked on port 53 alone, so each needs an address that
/// nobody else uses.
const SERVERS: [(&str, &str, &str); 3] = [
    (
        "127.53.7.1",
        ".",
        "example. NS ns.example.\nns.example. A 127.53.7.2\n",
    ),
    (
        "127.53.7.2",
        "example.",
        "school.example. NS ns.school.example.\nns.school.example. A 127.53.7.3\n\
         www.example. A 198.51.100.7\n",
    ),
    (
        "127.53.7.3",
        "school.example.",
        "www A 198.51.100.7\nalias CNAME www\naway CNAME www.example.\nlong TXT \"a text\"\n",
    ),
];

fn internet(folder: &Path) -> Option<Vec<Running>> {
    let what = "finding names from the root down";
    let programs = ["nsd", "ldns-signzone", "ldns-keygen"];
    if !programs.iter().all(|program| has(program, what)) {
        return None;
    }
    for (address, ..) in SERVERS {
        if UdpSocket::bind((address, 53)).is_err() {
            eprintln!("SKIPPED: {what}: port 53 of {address} is not to be had");
            return None;
        }
    }
    // From the leaf up: each parent vouches for its child's key.
    let mut vouched = String::new();
    let mut start = |(address, origin, records): (&str, &str, &str)| {
        let own = folder.join(address);
        std::fs::create_dir(&own).unwrap();
        let zone = format!(
            "$ORIGIN {origin}\n$TTL 300\n@ SOA ns root 1 3600 600 86400 300\n@ NS ns\n\
             ns A {address}\n{records}{vouched}"
        );
        std::fs::write(own.join("plain"), zone).unwrap();
        let key = new_key(&own, origin);
        run(
            &own,
            "ldns-signzone",
            &["-o", origin, "-f", "zone", "plain", &key],
        );
        vouched = std::fs::read_to_string(own.join(format!("{key}.ds"))).unwrap() + "\n";
        let anchor = std::fs::read_to_string(own.join(format!("{key}.key"))).unwrap();
        std::fs::write(folder.join("root.key"), anchor).unwrap();
        let settings = format!(
            "server:\n ip-address: {address}\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n \
             zonesdir: \"{0}\"\n xfrdfile: \"{0}/xfrd\"\n xfrdir: \"{0}\"\n \
             zonelistfile: \"{0}/zones\"\n server-count: 1\n logfile: \"{0}/log\"\n\
             remote-control:\n control-enable: no\nzone:\n name: \"{origin}\"\n zonefile: zone\n",
            own.display()
        );
        std::fs::write(own.join("nsd.conf"), settings).unwrap();
        let mut command = Command::new("nsd");
        command.arg("-d").arg("-c").arg(own.join("nsd.conf"));
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(quiet.spawn().unwrap())
    };
    let running: Vec<_> = SERVERS.into_iter().rev().map(&mut start).collect();
    for (address, origin, _) in SERVERS {
        let question = wire::question(1, origin.trim_end_matches('.'), SOA);
        let address: IpAddr = address.parse().unwrap();
        answers((address, 53).into(), &question);
    }
    Some(running)
}

fn plan(private: &str) -> Plan {
    let mut plan = Plan::new(&[]);
    plan.upstream =
        format!("mode = \"recurse\"\nroot_hints = \"hints\"\nprivate_servers = [{private}]");
    plan.tables += "[refresh]\nresolvers = [\"127.0.0.1\"]\n";
    plan.files = vec![("hints".to_owned(), "127.53.7.1\n".to_owned())];
    plan
}

#[test]
fn names_are_found_from_the_root_down_and_never_in_a_private_network_by_chance() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_running) = internet(folder.path()) else {
        return;
    };
    let plain = plan("\"127.53.7.0/24\"");
    let mut checked = plan("\"127.53.7.0/24\"");
    let key = folder.path().join("root.key");
    let _ = write!(
        checked.upstream,
        "\ndnssec = \"validate\"\ntrust_anchor_file = \"{}\"",
        key.display()
    );
    for (plan, authentic) in [(plain, false), (checked, true)] {
        let school = plan.start();
        for name in [
            "www.school.example",
            "alias.school.example",
            "away.school.example",
            "www.example",
        ] {
            let reply = ask(&school, name, wire::A, AD);
            let got = (reply.rcode, reply.addresses(), reply.authentic);
            assert_eq!(got, (0, vec![ADDRESS], authentic), "{name}");
        }
        let long = ask(&school, "long.school.example", wire::TXT, Bits::default());
        assert_eq!(long.answer.len(), 1);
        let none = ask(&school, "www.school.example", wire::TXT, AD);
        let got = (none.rcode, none.answer.len(), none.authentic);
        assert_eq!(got, (0, 0, authentic));
        for name in ["nowhere.school.example", "nowhere"] {
            let reply = ask(&school, name, wire::A, AD);
            assert_eq!((reply.rcode, reply.authentic), (3, authentic), "{name}");
        }
        // What policy blocks is not looked for.
        assert_eq!(ask(&school, "www.bets.example", wire::A, AD).errors, [15]);
    }
    let strict = plan("").start();
    let refused = ask(&strict, "www.school.example", wire::A, AD);
    assert_eq!((refused.rcode, refused.errors), (2, vec![22]));
}
