//! A real dnsmasq between a school's devices and the server, each in a network
//! namespace of its own.
//!
//! The outer test builds the namespaces, which root alone may, and runs the
//! inner one in the server's. They are taken down whatever happens.

use std::process::{Child, Output, Stdio};

use super::eventually;
use super::namespaces::{Namespaces, command};
use super::school::{Client, PROGRAM, Plan, Running};
use super::upstream::Upstream;
use super::wire::{self, Reply};

/// Tells the inner test how its namespaces are called.
const NAMESPACES: &str = "SCHOOLGATE_TEST_NAMESPACES";

const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "nobody"
[groups.pupil]
block = ["gambling"]
[groups.staff]
block = []
log = "full"
[groups.kiosk]
block = ["gambling"]
answer = "null"
[groups.nobody]
block = ["gambling", "social_media"]
answer = "nodata"
"#;
const STRIPPING: &str = "--strip-mac --strip-subnet";
const LEAKY: &str = "--port=54";
const DEVICES: &str = "id,name,mac,ip,group,owner,kind
tablet,Tablet 1,02:00:00:00:00:01,,pupil,Class 3,tablet
laptop,Laptop 2,02:00:00:00:00:02,,staff,Ms Gray,laptop
kiosk,Kiosk 3,02:00:00:00:00:03,,kiosk,Library,kiosk
";

/// The server behind a router, and three clients on the router's bridge.
fn build(all: &Namespaces) {
    all.wire([
        ("server", "up0", &["10.77.0.2/24"]),
        ("router", "eth0", &["10.77.0.1/24"]),
    ]);
    all.ip("router", "link add lan type bridge");
    all.ip("router", "addr add 10.78.0.1/24 dev lan");
    all.ip("router", "link set lan up");
    for n in 1..=3 {
        let (client, port) = (format!("c{n}"), format!("p{n}"));
        let address = format!("10.78.0.1{n}/24");
        all.wire([(&client, "eth0", &[&address]), ("router", &port, &[])]);
        all.ip(
            &client,
            &format!("link set eth0 address 02:00:00:00:00:0{n}"),
        );
        all.ip("router", &format!("link set {port} master lan"));
    }
}

/// Runs a test of this file in the server's namespace.
fn in_namespaces(what: &str, tag: &str, inner: &str) {
    let parts = &["server", "router", "c1", "c2", "c3"];
    let Some(all) = Namespaces::new(what, tag, parts, &["dnsmasq", "dig"]) else {
        return;
    };
    build(&all);
    let this = std::env::current_exe().unwrap();
    let output = all
        .command("server", this.to_str().unwrap())
        .args(["--exact", &format!("serve::routers::{inner}")])
        .args(["--ignored", "--nocapture"])
        .env(NAMESPACES, all.prefix())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
fn a_real_router_tells_three_devices_apart() {
    in_namespaces("three devices behind a real dnsmasq", "r", "inside");
}

#[test]
fn a_real_router_that_lets_options_through_is_found() {
    let what = "a selftest behind a real dnsmasq";
    in_namespaces(what, "s", "selftest_behind_a_router");
}

/// A router that strips what its clients say of themselves, and on port 54 one
/// that does not.
fn dnsmasq(namespaces: &str, more: &str) -> Running {
    let child: Child = command(namespaces, "router", "dnsmasq")
        .args(
            "--keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root"
                .split(' '),
        )
        .args("--pid-file= --server=10.77.0.2 --interface=lan --bind-interfaces".split(' '))
        .args("--add-mac --add-subnet=32,128 --cache-size=0".split(' '))
        .args(more.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

fn dig(namespaces: &str, client: usize, more: &[&str]) -> String {
    let output: Output = command(namespaces, &format!("c{client}"), "dig")
        .args(["@10.78.0.1", "bets.example", "+time=3", "+tries=2"])
        .args(more)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "run by the one above, in the server's namespace"]
fn inside() {
    let Ok(namespaces) = std::env::var(NAMESPACES) else {
        return;
    };
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.listen = "10.77.0.2:53\", \"127.0.0.1:53".to_owned();
    plan.tables = "[clients]\nrouters = [\"10.77.0.1\"]\n".to_owned();
    plan.policy = POLICY.to_owned();
    plan.devices = DEVICES.to_owned();
    let school = plan.start();
    let _router = dnsmasq(&namespaces, STRIPPING);
    eventually("the router to be up", || {
        dig(&namespaces, 1, &["+time=1"])
            .contains("status: NXDOMAIN")
            .then_some(())
    });
    // Twice each: the second time through the cache. Then with somebody else's
    // identity, which the router takes away.
    let claim = ["+ednsopt=65001:020000000002", "+subnet=10.78.0.12/32"];
    for more in [&[][..], &[], &claim] {
        let began = std::time::Instant::now();
        let answers = [1, 2, 3].map(|client| dig(&namespaces, client, more));
        assert!(began.elapsed().as_secs() < 1, "{:?}", began.elapsed());
        assert!(answers[0].contains("status: NXDOMAIN"), "{}", answers[0]);
        assert!(answers[1].contains("198.51.100.7"), "{}", answers[1]);
        assert!(answers[2].contains("0.0.0.0"), "{}", answers[2]);
    }
    assert!(upstream.count("bets.example") <= 2);
    assert!(school.metric("schoolgate_untrusted_identities_total") < 0.5);
    // The same from this machine, which is no router, makes nobody a teacher.
    let options: [(u16, &[u8]); 2] = [
        (65001, &[2, 0, 0, 0, 0, 2]),
        (8, &[0, 1, 32, 0, 10, 78, 0, 12]),
    ];
    let packet = wire::question_with(1, "bets.example", wire::A, &options);
    let reply = Client::new("127.0.0.1").exchange(([127, 0, 0, 1], 53).into(), &packet);
    let reply = Reply::read(&reply.unwrap());
    assert_eq!(
        (reply.rcode, reply.addresses(), reply.errors),
        (0, vec![], vec![15])
    );
    assert!(school.metric("schoolgate_untrusted_identities_total") > 0.5);
    let folder = school.stop();
    let mut rows: Vec<String> = folder
        .log()
        .iter()
        .filter(|row| row["device"].is_string())
        .map(|row| {
            format!(
                "{} {} {} {}",
                row["device"], row["mac"], row["ip"], row["action"]
            )
            .replace('"', "")
        })
        .collect();
    rows.sort();
    rows.dedup();
    assert_eq!(
        rows,
        [
            "kiosk 02:00:00:00:00:03 10.78.0.13 block",
            "laptop 02:00:00:00:00:02 10.78.0.12 allow",
            "tablet 02:00:00:00:00:01 10.78.0.11 block",
        ]
    );
}

#[test]
#[ignore = "run by the one above, in the server's namespace"]
fn selftest_behind_a_router() {
    let Ok(namespaces) = std::env::var(NAMESPACES) else {
        return;
    };
    let upstream = Upstream::plain();
    let mut plan = Plan::new(&[upstream.address]);
    plan.listen = "10.77.0.2:53".to_owned();
    plan.tables = "[clients]\nrouters = [\"10.77.0.1\"]\n".to_owned();
    POLICY.clone_into(&mut plan.policy);
    DEVICES.clone_into(&mut plan.devices);
    let school = plan.start();
    let _routers = [STRIPPING, LEAKY].map(|more| dnsmasq(&namespaces, more));
    for port in ["53", "54"] {
        eventually("the router to be up", || {
            dig(&namespaces, 1, &["-p", port, "+time=1"])
                .contains("status: NXDOMAIN")
                .then_some(())
        });
    }
    // A pupil's tablet says that it is a teacher's laptop.
    let identity = |server: &str| {
        let output = command(&namespaces, "c1", PROGRAM)
            .args(["selftest", "--json", "--no-outside", "--server", server])
            .args(["--posing-as", "02:00:00:00:00:02"])
            .args(["--blocked", "bets.example"])
            .arg("--config")
            .arg(school.folder.path().join("none"))
            .output()
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let checks = document["checks"].as_array().unwrap();
        let found = checks.iter().find(|check| check["id"] == "identity");
        let result = found.unwrap()["result"].as_str().unwrap().to_owned();
        (result, output.status.code())
    };
    assert_eq!(identity("10.78.0.1"), ("ok".to_owned(), Some(0)));
    assert_eq!(identity("10.78.0.1:54"), ("failed".to_owned(), Some(1)));
}
