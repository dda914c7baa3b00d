//! `schoolgate selftest` against a server that keeps its promises, and against
//! ones that keep none.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::has;
use super::school::{Folder, PROGRAM, Plan, Running, School};
use super::upstream::{ADDRESS, Upstream, plain, say};
use super::wire::{self, Rr};

/// A policy under which a test can tell 127.0.0.1 from 127.0.0.3.
const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "pupil"
[groups.pupil]
networks = ["127.0.0.1/32"]
block = ["gambling"]
safe_search = "strict"
[groups.staff]
networks = ["127.0.0.3/32"]
block = []
safe_search = "off"
[[exceptions]]
name = "staff-only.example"
verdict = "deny"
groups = ["pupil"]
reason = "a name that the groups differ on"
"#;

const SOURCES: &str = r#"
[[source]]
id = "iwf-like"
category = "illegal"
class = "mandatory"
format = "urls"
match = "subtree"
file = "illegal.txt"
test_host = "vile-things.example"
[[source]]
id = "unproved"
category = "terrorism"
class = "mandatory"
format = "urls"
match = "subtree"
file = "illegal.txt"
[[source]]
id = "bets"
category = "gambling"
format = "domains"
match = "subtree"
file = "gambling.txt"
test_host = "bets.example"
"#;

fn school(upstream: &Upstream) -> School {
    let mut plan = Plan::new(&[upstream.address]);
    POLICY.clone_into(&mut plan.policy);
    let folder = plan.write();
    folder.put("sources.toml", SOURCES);
    folder.refresh();
    School::start(folder)
}

/// What it said about each check, by id, and its exit status.
struct Result {
    status: Option<i32>,
    document: Value,
}

impl Result {
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Self {
            status: output.status.code(),
            document,
        }
    }

    fn check(&self, id: &str) -> &Value {
        let mut checks = self.document["checks"].as_array().unwrap().iter();
        let found = checks.find(|check| check["id"] == id);
        found.unwrap_or_else(|| panic!("no check {id}: {:#}", self.document))
    }

    fn result(&self, id: &str) -> &str {
        self.check(id)["result"].as_str().unwrap()
    }

    fn failed(&self) -> Vec<&str> {
        let checks = self.document["checks"].as_array().unwrap().iter();
        let failed = checks.filter(|check| check["result"] == "failed");
        failed.map(|check| check["id"].as_str().unwrap()).collect()
    }
}

/// On the server's own machine.
fn at_home(folder: &Folder, dns: SocketAddr, more: &[&str]) -> Result {
    let dns = dns.to_string();
    let words = [&["selftest", "--json", "--server", &dns], more].concat();
    Result::of(&mut folder.command(&words))
}

/// On a machine that has nothing of the school's.
fn elsewhere(dns: SocketAddr, more: &[&str]) -> Result {
    let nothing = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(["selftest", "--json", "--server", &dns.to_string()])
        .args(more)
        .arg("--config")
        .arg(nothing.path())
        .stdin(Stdio::null());
    Result::of(&mut command)
}

/// What the real world says: an address for every name, a CNAME for none.
fn world() -> Upstream {
    Upstream::new(|seen| {
        let question = &seen.packet[..wire::question_end(&seen.packet)];
        match question[question.len() - 4..] {
            [0, 1, ..] => say(plain(seen)),
            _ => say(wire::reply(
                &seen.packet,
                0,
                0,
                &[],
                &[Rr::soa("example", 60)],
            )),
        }
    })
}

#[test]
fn everything_holds_on_a_school_as_it_should_be() {
    let upstream = world();
    let school = school(&upstream);
    let found = at_home(&school.folder, school.dns, &[]);
    assert_eq!(found.failed(), Vec::<&str>::new(), "{:#}", found.document);
    assert_eq!(found.status, Some(0));
    assert_eq!(found.document["passed"], true);
    assert_eq!(found.document["group"], "pupil");
    for id in [
        "canary:use-application-dns.net",
        "canary:mask.icloud.com",
        "safe_search:google",
        "safe_search:youtube",
        "list:iwf-like",
        "list:bets",
        "discovery",
        "identity",
        "agreement:tcp",
    ] {
        assert_eq!(found.result(id), "ok", "{:#}", found.check(id));
    }
    for id in ["list:unproved", "probe:csam", "outside", "ech"] {
        assert_eq!(found.result(id), "not_tested", "{:#}", found.check(id));
    }
    // A teacher is promised less, and gets no more than that.
    let found = at_home(
        &school.folder,
        school.dns,
        &["--client-address", "127.0.0.3"],
    );
    assert_eq!(found.failed(), Vec::<&str>::new(), "{:#}", found.document);
    assert_eq!(found.document["group"], "staff");
    assert_eq!(found.result("safe_search:google"), "not_tested");
    assert_eq!(found.result("list:bets"), "not_tested");
    assert_eq!(found.result("list:iwf-like"), "ok");
    assert_eq!(found.result("identity"), "ok");
    // From elsewhere the same holds, though less is known.
    let found = elsewhere(school.dns, &["--no-outside"]);
    assert_eq!(found.failed(), Vec::<&str>::new(), "{:#}", found.document);
    assert_eq!(found.result("safe_search:google"), "ok");
    assert_eq!(found.result("canary:mask.icloud.com"), "ok");
}

#[test]
fn encrypted_listeners_are_told_and_say_the_same() {
    let upstream = world();
    let school = Plan::encrypted(&[upstream.address]).start();
    let found = at_home(&school.folder, school.dns, &[]);
    assert_eq!(found.failed(), Vec::<&str>::new(), "{:#}", found.document);
    for id in ["discovery", "agreement:tls", "agreement:https"] {
        assert_eq!(found.result(id), "ok", "{:#}", found.check(id));
    }
    let told = found.check("discovery")["said"].as_str().unwrap();
    assert!(told.starts_with("3 are told"), "{told}");
    // Elsewhere nobody knows the school's private authority.
    let found = elsewhere(school.dns, &["--no-outside"]);
    assert_eq!(found.failed(), Vec::<&str>::new(), "{:#}", found.document);
    assert_eq!(found.result("discovery"), "ok");
    assert_eq!(found.result("agreement:tls"), "not_tested");
    if !has("dig", "dig asks for our encrypted listeners") {
        return;
    }
    let dig = |words: &[&str]| {
        let port = school.dns.port().to_string();
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &port, "+short"])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (tls, https) = (school.tls.unwrap().port(), school.https.unwrap().port());
    let quic = school.quic.unwrap().port();
    for name in ["_dns.resolver.arpa", "_dns.dns.school.example"] {
        let said = dig(&["-t", "SVCB", name]);
        let wanted = format!(
            "1 dns.school.example. alpn=\"dot\" port={tls} ipv4hint=127.0.0.1\n\
             2 dns.school.example. alpn=\"h2\" port={https} ipv4hint=127.0.0.1 \
             key7=\"/dns-query{{?dns}}\"\n\
             3 dns.school.example. alpn=\"doq\" port={quic} ipv4hint=127.0.0.1\n"
        );
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, wanted.lines().collect::<Vec<_>>());
    }
    assert_eq!(dig(&["-t", "A", "dns.school.example"]), "127.0.0.1\n");
    assert_eq!(dig(&["-t", "AAAA", "_dns.resolver.arpa"]), "");
    // RESINFO, of which this dig may know only the number.
    let said = dig(&["-t", "TYPE261", "resolver.arpa"]);
    let hex = b"exterr=0,3-4,".map(|byte| format!("{byte:02X}")).concat();
    let plain = said.replace(' ', "");
    assert!(
        plain.contains(&hex) || said.contains("exterr=0,3-4,"),
        "{said}"
    );
}

#[test]
fn a_result_is_kept_and_says_no_mandatory_name() {
    let upstream = world();
    let school = school(&upstream);
    let dns = school.dns.to_string();
    let output = school.folder.run(&["selftest", "--server", &dns]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("ok          list iwf-like: "), "{said}");
    assert!(said.contains("0 FAILED"), "{said}");
    let kept = super::reload::files(school.folder.state().join("selftest"));
    let [kept] = &kept[..] else {
        panic!("{kept:?}");
    };
    let text = std::fs::read_to_string(kept).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["passed"], true);
    for text in [said, text] {
        assert!(!text.contains("vile-things"), "{text}");
    }
}

/// A server that keeps no promise: an address for every name, another's
/// encrypted service, other answers over TCP, and whoever says that he is
/// somebody else is believed.
fn broken() -> Upstream {
    Upstream::new(|seen| {
        let owner = wire::asked_name(&seen.packet);
        let end = wire::question_end(&seen.packet);
        let record = |rtype, data: &[&[u8]]| Rr {
            owner: owner.clone(),
            rtype,
            ttl: 60,
            data: data.concat(),
        };
        // An OPT record without options has eleven octets.
        let posing = seen.packet[end..].len() > 11;
        let target = match (posing, seen.tcp) {
            (true, _) => "a.example",
            (false, true) => "b.example",
            (false, false) => "c.example",
        };
        let records = match seen.packet[end - 4..end] {
            [0, 64, ..] if seen.name == "_dns.resolver.arpa" => {
                let elsewhere = wire::name("dns.elsewhere.example");
                let alpn = [0, 1, 0, 4, 3, b'd', b'o', b't'];
                vec![record(64, &[&[0, 1], &elsewhere, &alpn])]
            }
            // With a key that hides names, of one octet.
            [0, 65, ..] => vec![record(65, &[&[0, 1, 0, 0, 5, 0, 1, 7]])],
            [0, 1, ..] => {
                let alias = record(5, &[&wire::name(target)]);
                vec![alias, Rr::a(target, 60, ADDRESS)]
            }
            _ => Vec::new(),
        };
        say(wire::reply(&seen.packet, 0, 0, &records, &[]))
    })
}

#[test]
fn each_promise_that_is_not_kept_is_told() {
    let broken = broken();
    let found = elsewhere(broken.address, &["--no-outside"]);
    assert_eq!(found.status, Some(1));
    assert_eq!(found.document["passed"], false);
    for id in [
        "canary:use-application-dns.net",
        "canary:mask.icloud.com",
        "safe_search:google",
        "safe_search:youtube",
        "discovery",
        "identity",
        "ech",
        "agreement:tcp",
    ] {
        assert_eq!(found.result(id), "failed", "{:#}", found.check(id));
    }
    // And with the policy at hand, the lists too.
    let mut plan = Plan::new(&[broken.address]);
    POLICY.clone_into(&mut plan.policy);
    let folder = plan.write();
    folder.put("sources.toml", SOURCES);
    folder.refresh();
    let found = at_home(&folder, broken.address, &[]);
    assert_eq!(found.status, Some(1));
    for id in ["list:iwf-like", "list:bets", "identity", "discovery"] {
        assert_eq!(found.result(id), "failed", "{:#}", found.check(id));
    }
    assert!(!found.document.to_string().contains("vile-things"));
}

#[test]
fn a_router_that_believes_its_clients_is_found() {
    // This machine is listed, as a router is that lets its clients' options
    // through: what a device says of itself is believed.
    let upstream = world();
    let mut plan = Plan::new(&[upstream.address]);
    POLICY.clone_into(&mut plan.policy);
    plan.tables = "[clients]\nrouters = [\"127.0.0.1\"]\n".to_owned();
    plan.devices =
        "id,name,mac,ip,group,owner,kind\nlaptop,,02:00:00:00:00:02,,staff,,\n".to_owned();
    let school = plan.start();
    let claim = ["--no-outside", "--posing-as", "02:00:00:00:00:02"];
    let found = elsewhere(school.dns, &claim);
    assert_eq!(found.result("identity"), "failed", "{:#}", found.document);
    let found = at_home(&school.folder, school.dns, &["--no-outside"]);
    assert_eq!(found.result("identity"), "not_tested");
}

#[test]
fn who_does_not_answer_cannot_be_tested() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let output = Command::new(PROGRAM)
        .args(["selftest", "--server"])
        .arg(silent.local_addr().unwrap().to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no answer"), "{said}");
}

/// A resolver outside, played by a real nameserver on loopback.
fn nsd(port: u16, folder: &std::path::Path) -> Running {
    let zone = "$ORIGIN net.\n$TTL 60\n@ SOA a.net. b.net. 1 1 1 1 1\n@ NS a.net.\n\
                use-application-dns A 198.51.100.7\n";
    std::fs::write(folder.join("net"), zone).unwrap();
    let conf = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n \
         zonesdir: {0}\n pidfile: {0}/pid\n xfrdfile: {0}/xfrd\n zonelistfile: {0}/zones\n \
         database: \"\"\n xfrdir: {0}\nremote-control:\n control-enable: no\n\
         zone:\n name: net\n zonefile: net\n",
        folder.display()
    );
    std::fs::write(folder.join("nsd.conf"), conf).unwrap();
    let child = Command::new("/usr/sbin/nsd")
        .arg("-d")
        .arg("-c")
        .arg(folder.join("nsd.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

#[test]
fn another_resolver_that_answers_is_a_way_round() {
    let upstream = world();
    let school = school(&upstream);
    // Turned round to us, as the firewall does: our own port again.
    let ours = school.dns.to_string();
    let found = elsewhere(school.dns, &["--outside", &ours]);
    let id = format!("outside:{ours}");
    assert_eq!(found.result(&id), "ok", "{:#}", found.check(&id));
    // Dropped, and refused.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = silent.local_addr().unwrap().to_string();
    let found = elsewhere(school.dns, &["--outside", &nobody]);
    assert_eq!(found.failed(), Vec::<&str>::new(), "{:#}", found.document);
    assert_eq!(found.result(&format!("outside:{nobody}")), "ok");
    if !has("nsd", "another resolver that answers") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let _nsd = nsd(free.port(), folder.path());
    let client = super::school::Client::new("127.0.0.1");
    super::eventually("nsd to be up", || {
        let packet = wire::question(7, "use-application-dns.net", wire::A);
        client
            .0
            .set_read_timeout(Some(std::time::Duration::from_millis(200)))
            .unwrap();
        client.0.send_to(&packet, free).ok()?;
        client.receive().map(drop)
    });
    let found = elsewhere(school.dns, &["--outside", &free.to_string()]);
    let id = format!("outside:{free}");
    assert_eq!(found.status, Some(1));
    assert_eq!(found.failed(), [&*id], "{:#}", found.document);
}

#[test]
fn an_open_port_for_encrypted_dns_is_a_way_round() {
    let Ok(_open) = TcpListener::bind("127.0.0.9:853") else {
        eprintln!("SKIPPED: an open port 853: only root may open it");
        return;
    };
    let upstream = world();
    let school = school(&upstream);
    let found = elsewhere(school.dns, &["--outside", "127.0.0.9"]);
    assert_eq!(
        found.failed(),
        ["outside_tls:127.0.0.9:853"],
        "{:#}",
        found.document
    );
}
