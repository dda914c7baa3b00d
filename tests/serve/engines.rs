//! Safe search with a real name server behind: every engine and every name of
//! it, A, AAAA, HTTPS and TXT, with an exception for all of them too.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::{Command, Stdio};

use schoolgate::policy::group::SafeSearch;
use schoolgate::policy::safe_search::{Engines, SHIPPED};

use super::school::{Client, Folder, Plan, Running, School};
use super::upstream::{Upstream, say};
use super::wire::{self, Reply, Rr};
use super::{eventually, has};

const CNAME: u16 = 5;
const AAAA: u16 = 28;
const HTTPS: u16 = 65;
/// The address of every engine as it is.
const UNSAFE: [u8; 4] = [198, 51, 100, 66];

/// 127.0.0.1 is held to strict, .2 to moderate, .3 to nothing.
const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "strict"
[groups.strict]
networks = ["127.0.0.1/32"]
safe_search = "strict"
log = "full"
[groups.moderate]
networks = ["127.0.0.2/32"]
safe_search = "moderate"
[groups.off]
networks = ["127.0.0.3/32"]
safe_search = "off"
ech = "keep"
"#;

fn engines() -> Engines {
    Engines::read("safe-search.toml", SHIPPED).0
}

/// The safe mode's address: its own, by its place in the table. Only
/// `familysearch.yandex.ru` has no IPv6 one.
fn addresses(engines: &Engines, target: &str) -> ([u8; 4], Option<[u8; 16]>) {
    let all: BTreeSet<String> = engines.targets().map(ToString::to_string).collect();
    let place = all.iter().position(|t| t == target).unwrap();
    let place = u8::try_from(place).unwrap();
    let mut v6 = [0; 16];
    v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb9]);
    v6[15] = place;
    let has_v6 = target != "familysearch.yandex.ru";
    ([203, 0, 112, place], has_v6.then_some(v6))
}

/// A root zone with every name: what is not safe is at [`UNSAFE`], for every
/// type. Bing's safe mode is behind a CNAME, as it is in the world.
fn zone(engines: &Engines) -> String {
    let mut zone = "$ORIGIN .\n$TTL 300\n@ SOA ns.invalid. root.invalid. 1 3600 600 86400 60\n\
                    @ NS ns.invalid.\nns.invalid. A 127.0.0.1\n"
        .to_owned();
    for (name, _) in engines.names() {
        let _ = write!(
            zone,
            "{name}. A 198.51.100.66\n{name}. AAAA 2001:db9:66::66\n{name}. TXT \"unsafe\"\n\
             {name}. HTTPS 1 . alpn=h2 ipv4hint=198.51.100.66 ech=AAEC\n"
        );
    }
    for target in engines.targets() {
        let target = target.to_string();
        let (v4, v6) = addresses(engines, &target);
        let owner = if target == "strict.bing.com" {
            let _ = writeln!(zone, "{target}. CNAME strict.edge.invalid-cdn.example.");
            "strict.edge.invalid-cdn.example"
        } else {
            &target
        };
        let _ = writeln!(zone, "{owner}. A {}", std::net::Ipv4Addr::from(v4));
        if let Some(v6) = v6 {
            let _ = writeln!(zone, "{owner}. AAAA {}", std::net::Ipv6Addr::from(v6));
        }
        let _ = writeln!(zone, "{owner}. HTTPS 1 . alpn=h2");
    }
    zone
}

fn nsd(folder: &Folder, port: u16, zone: &str) -> Running {
    let place = folder.path().display();
    folder.put("root.zone", zone);
    folder.put(
        "nsd.conf",
        &format!(
            "server:\n ip-address: 127.0.0.1@{port}\n do-ip6: no\n server-count: 1\n \
             username: \"\"\n chroot: \"\"\n zonesdir: \"{place}\"\n database: \"\"\n \
             pidfile: \"\"\n xfrdfile: \"\"\n xfrdir: \"{place}\"\n \
             zonelistfile: \"{place}/zones\"\n cookie-secret-file: \"\"\n verbosity: 0\n \
             rrl-ratelimit: 0\nremote-control:\n control-enable: no\n\
             zone:\n name: \".\"\n zonefile: \"root.zone\"\n"
        ),
    );
    let mut command = Command::new("nsd");
    command
        .args(["-d", "-c"])
        .arg(folder.path().join("nsd.conf"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

fn ask(school: &School, client: &Client, name: &str, rtype: u16) -> Reply {
    let packet = wire::question(0x1d1d, name, rtype);
    let reply = client.exchange(school.dns, &packet);
    Reply::read(&reply.unwrap_or_else(|| panic!("no reply about {name}: {}", school.stderr())))
}

fn data(reply: &Reply, rtype: u16) -> Vec<&[u8]> {
    let records = reply.answer.iter().filter(|(other, ..)| *other == rtype);
    records.map(|(.., data)| data.as_slice()).collect()
}

/// Every name × type for one client; gives how many were looked at.
fn check(school: &School, engines: &Engines, from: &str, mode: SafeSearch) -> usize {
    let client = Client::new(from);
    let mut looked_at = 0;
    for (name, engine) in engines.names() {
        let name = name.to_string();
        let target = engine.target(mode).unwrap().to_string();
        let (v4, v6) = addresses(engines, &target);
        let reply = ask(school, &client, &name, wire::A);
        assert_eq!(
            (reply.rcode, reply.addresses()),
            (0, vec![v4]),
            "{name}: {reply:?}"
        );
        assert!(reply.errors == [4], "{name}: {reply:?}");
        assert_eq!(data(&reply, CNAME)[0], wire::name(&target), "{name}");
        let reply = ask(school, &client, &name, AAAA);
        let expected: Vec<&[u8]> = v6.iter().map(|v6| &v6[..]).collect();
        assert_eq!((reply.rcode, data(&reply, AAAA)), (0, expected), "{name}");
        for rtype in [HTTPS, wire::TXT] {
            let reply = ask(school, &client, &name, rtype);
            assert_eq!((reply.rcode, reply.answer.len()), (0, 0), "{name} {rtype}");
        }
        looked_at += 4;
    }
    looked_at
}

fn unsafe_seen(school: &School, name: &str) -> Reply {
    ask(school, &Client::new("127.0.0.3"), name, wire::A)
}

#[test]
fn each_name_of_each_engine_is_held_to_its_safe_mode() {
    if !has("nsd", "safe search before a real name server") {
        return;
    }
    let engines = engines();
    let free = Upstream::plain().address;
    let mut plan = Plan::new(&[free]);
    plan.policy = POLICY.to_owned();
    let school = plan.start();
    let nsd = nsd(&school.folder, free.port(), &zone(&engines));
    eventually("nsd to be up", || {
        let packet = wire::question(1, "www.google.com", wire::A);
        Client::new("127.0.0.1").exchange(free, &packet)
    });
    // Whoever is not held to it is given the engine, and it stays in the cache.
    let reply = unsafe_seen(&school, "www.google.com");
    assert_eq!(reply.addresses(), [UNSAFE], "{reply:?}");
    let all = check(&school, &engines, "127.0.0.1", SafeSearch::Strict);
    assert!(all > 2400, "{all}");
    check(&school, &engines, "127.0.0.2", SafeSearch::Moderate);
    assert!(
        school
            .page()
            .contains("schoolgate_decisions_total{layer=\"safe_search\",verdict=\"rewrite\"}")
    );

    // M11: all of it once more, with an exception for every one of the names.
    let mut policy = POLICY.to_owned();
    for (name, _) in engines.names() {
        let _ = write!(
            policy,
            "[[exceptions]]\nname = \"{name}\"\nverdict = \"allow\"\nmatch = \"exact\"\n\
             groups = [\"strict\", \"moderate\", \"off\"]\nreason = \"r\"\n"
        );
    }
    // As a school that begins with it: thousands of exceptions are not proposed.
    let folder = school.stop();
    for of_the_record in ["changes", "console"] {
        std::fs::remove_dir_all(folder.state().join(of_the_record)).unwrap();
    }
    folder.put("policy.toml", &policy);
    let school = School::start(folder);
    check(&school, &engines, "127.0.0.1", SafeSearch::Strict);
    check(&school, &engines, "127.0.0.2", SafeSearch::Moderate);
    assert_eq!(unsafe_seen(&school, "www.google.com").addresses(), [UNSAFE]);

    // S13: the name server is gone, and with a restart what was kept.
    drop(nsd);
    let school = School::start(school.stop());
    for name in ["www.google.com", "m.youtube.com", "edgeservices.bing.com"] {
        let reply = ask(&school, &Client::new("127.0.0.1"), name, wire::A);
        assert_eq!(
            (reply.rcode, &reply.errors[..]),
            (2, &[22][..]),
            "{name}: {reply:?}"
        );
    }
}

/// R-140, R-137: what the log says, and what becomes of a safe mode that is gone.
#[test]
fn a_safe_mode_that_vanishes_is_an_error_and_is_logged_as_a_rewrite() {
    let upstream = Upstream::new(|seen| {
        let name = wire::asked_name(&seen.packet);
        match seen.name.as_str() {
            "strict.bing.com" | "bing.com" | "www.bing.com" => say(wire::reply(
                &seen.packet,
                0,
                0,
                &[Rr::a(&name, 300, [203, 0, 112, 1])],
                &[],
            )),
            name if name.starts_with("safe.") => {
                let soa = [Rr::soa("duckduckgo.com", 60)];
                say(wire::reply(&seen.packet, 0, 3, &[], &soa))
            }
            _ => say(wire::reply(&seen.packet, 0, 2, &[], &[])),
        }
    });
    let mut plan = Plan::new(&[upstream.address]);
    plan.policy = POLICY.to_owned();
    let school = plan.start();
    let client = Client::new("127.0.0.1");
    for name in ["duckduckgo.com", "www.google.com", "search.brave.com"] {
        for rtype in [wire::A, AAAA] {
            let reply = ask(&school, &client, name, rtype);
            assert_eq!(
                (reply.rcode, &reply.errors[..]),
                (2, &[22][..]),
                "{name}: {reply:?}"
            );
        }
    }
    let reply = ask(&school, &client, "WWW.bing.com", wire::A);
    assert_eq!(reply.addresses(), [[203, 0, 112, 1]]);
    // The engines' own names were asked of nobody.
    let own = [
        "duckduckgo.com",
        "www.google.com",
        "search.brave.com",
        "www.bing.com",
    ];
    assert!(own.iter().all(|name| upstream.count(name) == 0));
    let folder = school.stop();
    let rows = folder.log();
    assert!(
        rows.iter()
            .all(|row| row["action"] == "rewrite" && row["layer"] == "safe_search")
    );
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(own));
}

/// A table of the school's own counts once it is agreed, and a wrong one leaves
/// the old in force.
#[test]
fn a_table_of_the_schools_own_counts() {
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.policy = POLICY.to_owned();
    let school = plan.start();
    let client = Client::new("127.0.0.1");
    let rcode = |name: &str| ask(&school, &client, name, wire::A).rcode;
    let is_rewritten = |name: &str| {
        let reply = ask(&school, &client, name, wire::A);
        !data(&reply, CNAME).is_empty()
    };
    assert!(is_rewritten("www.google.com") && !is_rewritten("find.example"));
    assert_eq!((rcode("mask.icloud.com"), rcode("ours.example")), (3, 0));
    school.folder.put(
        "safe-search.toml",
        "updated = \"2026-11-21\"\n[[engines]]\nid = \"find\"\nstrict = \"safe.find.example\"\n\
         names = [\"find.example\"]\nsource = \"https://find.example/\"\n",
    );
    school.folder.put(
        "canaries.toml",
        "updated = \"2026-11-21\"\n[[canaries]]\nname = \"ours.example\"\nmatch = \"subtree\"\n\
         answer = \"nxdomain\"\nsays = \"Ours.\"\nsource = \"https://ours.example/\"\n",
    );
    school.folder.put_in_force();
    assert!(is_rewritten("find.example"));
    assert!(!is_rewritten("www.google.com"));
    assert_eq!((rcode("mask.icloud.com"), rcode("ours.example")), (0, 3));
    school
        .folder
        .put("canaries.toml", "[[canaries]]\nname = \"x\"\n");
    let said = school.folder.run(&["check"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("canaries.toml:2: \"x\" is not a name"),
        "{said}"
    );
    let why = school.folder.propose().unwrap_err().to_string();
    assert!(why.contains("\"x\" is not a name"), "{why}");
    assert_eq!(rcode("ours.example"), 3);
}

/// R-141: a new table is looked at at once, and what is not there is told.
#[test]
fn a_safe_mode_that_is_not_there_is_told() {
    let upstream = Upstream::new(|seen| {
        if seen.name.starts_with("gone.") {
            let soa = [Rr::soa("find.example", 60)];
            return say(wire::reply(&seen.packet, 0, 3, &[], &soa));
        }
        let name = wire::asked_name(&seen.packet);
        // An IPv4 address alone is enough.
        let records: &[Rr] = match wire::asked_type(&seen.packet) {
            wire::A => &[Rr::a(&name, 300, UNSAFE)],
            _ => &[],
        };
        let soa = [Rr::soa("find.example", 60)];
        say(wire::reply(&seen.packet, 0, 0, records, &soa))
    });
    let mut plan = Plan::new(&[upstream.address]);
    plan.policy = POLICY.to_owned();
    let school = plan.start();
    let missing = || school.metric("schoolgate_safe_search_targets_missing");
    let engine = |id: &str, target: &str| {
        format!(
            "[[engines]]\nid = \"{id}\"\nstrict = \"{target}\"\nnames = [\"{id}.example\"]\n\
             source = \"https://{id}.example/\"\n"
        )
    };
    let table = [
        "updated = \"2026-11-21\"\n".to_owned(),
        engine("a", "safe.find.example"),
        engine("b", "gone.find.example"),
    ]
    .concat();
    school.folder.put("safe-search.toml", &table);
    school.folder.put_in_force();
    eventually("the look", || (missing() > 0.0).then_some(()));
    let said = school.stderr();
    assert!(
        said.contains("gone.find.example") && !said.contains("safe.find.example"),
        "{said}"
    );
    // Nobody is logged as having asked.
    assert!(is_held(&school, "a.example"));
    let rows = school.stop().log();
    assert!(
        rows.iter().all(|row| row["name"] == "a.example"),
        "{rows:?}"
    );
}

fn is_held(school: &School, name: &str) -> bool {
    let reply = ask(school, &Client::new("127.0.0.1"), name, wire::A);
    reply.addresses() == [UNSAFE] && !data(&reply, CNAME).is_empty()
}
