//! The shipped firewall rules, loaded into a router between a client, the school
//! and an internet of our own making: with them, every way past that they are
//! there to close is open before and closed after.

use std::io::{ErrorKind, Read, Write};
use std::mem::ManuallyDrop;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::eventually;
use super::namespaces::Namespaces;
use super::school::{Folder, Plan, School};
use super::upstream::{Upstream, plain, say};

/// Public resolvers that everybody knows; their addresses are in the shipped set.
const KNOWN: [&str; 2] = ["8.8.8.8", "2001:4860:4860::8888"];
/// A resolver that nobody has heard of, and a web site.
const UNKNOWN: [&str; 2] = ["203.0.113.80", "2001:db8:80::80"];
const SCHOOL: [&str; 2] = ["10.79.2.2", "fd79:2::2"];
const CLIENT: [&str; 2] = ["10.79.1.10", "fd79:1::10"];
/// The router, as the client sees it.
const ROUTER: [&str; 2] = ["10.79.1.1", "fd79:1::1"];
/// Ports of encrypted DNS, and two of ordinary life.
const PORTS: [u16; 8] = [853, 784, 8853, 5443, 5353, 443, 8443, 80];

const POLICY: &str = r#"
school = "Test"
timezone = "Europe/London"
unknown = "guest"
[groups.pupil]
networks = ["10.79.1.0/24", "fd79:1::/64"]
block = ["gambling"]
log = "full"
[groups.guest]
block = []
log = "full"
"#;

/// client – router – school, and router – internet.
fn build(all: &Namespaces) {
    all.wire([
        ("client", "eth0", &["10.79.1.10/24", "fd79:1::10/64"]),
        ("router", "br-lan", &["10.79.1.1/24", "fd79:1::1/64"]),
    ]);
    all.wire([
        ("school", "eth0", &["10.79.2.2/24", "fd79:2::2/64"]),
        ("router", "servers", &["10.79.2.1/24", "fd79:2::1/64"]),
    ]);
    all.wire([
        ("internet", "eth0", &["10.79.3.2/24", "fd79:3::2/64"]),
        ("router", "wan", &["10.79.3.1/24", "fd79:3::1/64"]),
    ]);
    for address in [KNOWN, UNKNOWN].concat() {
        let (length, nodad) = if address.contains(':') {
            (128, " nodad")
        } else {
            (32, "")
        };
        all.ip(
            "internet",
            &format!("addr add {address}/{length} dev lo{nodad}"),
        );
    }
    for (part, network) in [("client", 1), ("school", 2), ("internet", 3)] {
        all.ip(part, &format!("route add default via 10.79.{network}.1"));
        all.ip(part, &format!("-6 route add default via fd79:{network}::1"));
    }
    all.ip("router", "route add default via 10.79.3.2");
    all.ip("router", "-6 route add default via fd79:3::2");
    let sysctl = [
        "ipv4.ip_forward=1",
        "ipv6.conf.all.forwarding=1",
        // No device tries all that this test tries within a second; the kernel
        // would refuse the seventh datagram in silence.
        "ipv4.icmp_ratelimit=0",
        "ipv6.icmp.ratelimit=0",
    ];
    for setting in sysctl {
        let mut command = all.command("router", "sysctl");
        let done = command.args(["-qw", &format!("net.{setting}")]).status();
        assert!(done.unwrap().success(), "{setting}");
    }
}

/// A resolver on each address of the internet, that has an address for every name.
/// They are never dropped: it would be done outside the namespace, and would speak
/// to the real owner of the address.
fn resolvers(all: &Namespaces) -> Vec<ManuallyDrop<Upstream>> {
    let at = |address: &&str| {
        let address = SocketAddr::new(address.parse().unwrap(), 53);
        ManuallyDrop::new(Upstream::at(address, |seen| say(plain(seen))))
    };
    all.inside("internet", || {
        [KNOWN, UNKNOWN].concat().iter().map(at).collect()
    })
}

/// Something that takes every connection on these ports and holds it, and sends
/// every datagram back.
fn takers(ports: &[u16]) {
    for port in ports {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
        let listener = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                held.push(stream);
            }
        });
        // One for each address, so that it answers from where it was asked.
        for address in [KNOWN, UNKNOWN].concat() {
            let address: IpAddr = address.parse().unwrap();
            let socket = UdpSocket::bind((address, *port)).unwrap();
            std::thread::spawn(move || {
                let mut packet = [0; 64];
                while let Ok((length, from)) = socket.recv_from(&mut packet) {
                    let _ = socket.send_to(&packet[..length], from);
                }
            });
        }
    }
}

/// How long a client waits.
const WAIT: Duration = Duration::from_secs(3);

/// What becomes of a client's traffic.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Fate {
    Passes,
    /// Refused aloud.
    Refused,
    /// Swallowed: the client waits.
    Lost,
}

impl Fate {
    fn of<T>(result: &std::io::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Passes,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Self::Refused,
            Err(_) => Self::Lost,
        }
    }
}

/// A client's attempts at one port of one address, over TCP and UDP.
fn attempt(all: &Namespaces, address: &str, port: u16) -> [Fate; 2] {
    let to = SocketAddr::new(address.parse().unwrap(), port);
    all.inside("client", || {
        let tcp = TcpStream::connect_timeout(&to, WAIT);
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let udp = UdpSocket::bind(any).unwrap();
        udp.set_read_timeout(Some(WAIT)).unwrap();
        udp.connect(to).unwrap();
        let sent = udp.send(b"hello").and_then(|_| udp.recv(&mut [0; 16]));
        [Fate::of(&tcp), Fate::of(&sent)]
    })
}

/// What a client's dig says.
fn dig(all: &Namespaces, server: &str, name: &str, more: &[&str]) -> String {
    let output = all
        .command("client", "dig")
        .args([&format!("@{server}"), name, "+time=2", "+tries=1"])
        .args(more)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn shipped(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nftables");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

/// Loads the shipped rules as a technician would: with this school's addresses.
fn load_rules(all: &Namespaces) {
    let mut rules = shipped("schoolgate.nft");
    let [v4, v6] = SCHOOL;
    for (shipped, ours) in [
        ("RESOLVER4 = 10.0.0.2", format!("RESOLVER4 = {v4}")),
        ("RESOLVER6 = fd00::2", format!("RESOLVER6 = {v6}")),
    ] {
        assert!(rules.contains(shipped), "{shipped}");
        rules = rules.replace(shipped, &ours);
    }
    // Twice: what is loaded already is replaced.
    for text in [&rules, &shipped("doh-addresses.nft")].repeat(2) {
        let mut nft = all
            .command("router", "nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = nft.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        assert!(nft.wait().unwrap().success());
    }
}

fn start(all: &Namespaces) -> School {
    let upstream = SocketAddr::new(KNOWN[0].parse().unwrap(), 53);
    let mut plan = Plan::new(&[upstream]);
    let [v4, v6] = SCHOOL;
    let at = |port| format!("{v4}:{port}\", \"[{v6}]:{port}");
    let [dns, tls, https] = [53, 853, 443].map(at);
    plan.listen = format!("{dns}\"]\ntls = [\"{tls}\"]\nhttps = [\"{https}");
    plan.tables += "[tls]\nprivate_ca = true\nname = \"dns.school.example\"\n";
    POLICY.clone_into(&mut plan.policy);
    let folder = plan.write();
    folder.refresh();
    let mut command = all.command("school", super::school::PROGRAM);
    command
        .args(["serve", "--config"])
        .arg(folder.path())
        .stdin(Stdio::null());
    School::start_as(folder, command)
}

#[test]
fn with_the_shipped_rules_there_is_no_way_round_that_they_speak_of() {
    let what = "firewall rules on a router";
    let parts = &["client", "router", "school", "internet"];
    let Some(all) = Namespaces::new(what, "f", parts, &["nft", "dig", "kdig", "sysctl"]) else {
        return;
    };
    build(&all);
    let internet = resolvers(&all);
    all.inside("internet", || takers(&PORTS));
    let school = start(&all);
    // Without the rules everything is open: what is closed later, they close.
    for address in [KNOWN, UNKNOWN].concat() {
        // The wires' own addresses take a second to be settled.
        eventually("a resolver of the client's own choice", || {
            let said = dig(&all, address, "bets.example", &["+tcp"]);
            said.contains("198.51.100.7").then_some(())
        });
        for port in PORTS {
            let fate = attempt(&all, address, port);
            assert_eq!(fate, [Fate::Passes; 2], "{address} {port} before");
        }
    }
    assert_eq!(selftest(&all), ["failed"; 8]);
    let mut open = open_connection(&all, KNOWN[0], 443);
    load_rules(&all);
    assert_eq!(selftest(&all), ["ok"; 8]);

    let asked = |name: &str| internet.iter().map(|u| u.count(name)).sum::<usize>();
    let before = asked("bets.example");
    questions_are_answered_by_the_school(&all);
    assert_eq!(asked("bets.example"), before);
    encrypted_dns_is_refused_at_once(&all);
    what_is_no_dns_passes(&all);

    // What was open before the rules were loaded is closed as well.
    let sent = open
        .write_all(b"hello")
        .and_then(|()| open.read(&mut [0; 1]));
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::ConnectionReset);
    the_log_knows_the_client(&school.stop());
}

/// What a selftest on the client says of each other resolver, asked plainly and
/// by TLS.
fn selftest(all: &Namespaces) -> Vec<String> {
    let mut command = all.command("client", super::school::PROGRAM);
    command.args(["selftest", "--json", "--server", SCHOOL[0]]);
    for address in [KNOWN, UNKNOWN].concat() {
        command.args(["--outside", address]);
    }
    let output = command.args(["--config", "/none"]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let checks = document["checks"].as_array().unwrap().iter();
    let outside = checks.filter(|check| check["id"].as_str().unwrap().starts_with("outside"));
    outside
        .map(|check| check["result"].as_str().unwrap().to_owned())
        .collect()
}

fn open_connection(all: &Namespaces, address: &str, port: u16) -> TcpStream {
    let to = SocketAddr::new(address.parse().unwrap(), port);
    let stream = all.inside("client", || TcpStream::connect(to)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
}

/// Whomever the client asks, the router and the school's own address included.
fn questions_are_answered_by_the_school(all: &Namespaces) {
    for address in [KNOWN, UNKNOWN, ROUTER, SCHOOL].concat() {
        for transport in ["+notcp", "+tcp"] {
            let said = dig(all, address, "bets.example", &[transport]);
            let ours = said.contains("status: NXDOMAIN") && said.contains("EDE: 15");
            assert!(ours, "@{address} {transport}: {said}");
            let said = dig(all, address, "www.example", &[transport]);
            assert!(
                said.contains("198.51.100.7"),
                "@{address} {transport}: {said}"
            );
        }
    }
}

fn encrypted_dns_is_refused_at_once(all: &Namespaces) {
    for address in [KNOWN, UNKNOWN].concat() {
        for port in [853, 784, 8853, 5443, 5353] {
            let fate = attempt(all, address, port);
            assert_eq!(fate, [Fate::Refused; 2], "{address} {port}");
        }
    }
    // DNS over HTTPS has no port of its own: by address.
    for address in KNOWN {
        for port in [443, 8443, 80] {
            let fate = attempt(all, address, port);
            assert_eq!(fate, [Fate::Refused; 2], "{address} {port}");
        }
    }
}

fn what_is_no_dns_passes(all: &Namespaces) {
    for address in UNKNOWN {
        for port in [443, 8443, 80] {
            let fate = attempt(all, address, port);
            assert_eq!(fate, [Fate::Passes; 2], "{address} {port}");
        }
    }
    // The school's own encrypted DNS.
    for address in SCHOOL {
        for transport in ["+tls", "+https"] {
            let server = format!("@{address}");
            let mut kdig = all.command("client", "kdig");
            let output = kdig
                .args([&server, transport, "bets.example"])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                said.contains("status: NXDOMAIN"),
                "{server} {transport}: {said}"
            );
        }
    }
}

/// The redirected questions bear the client's own address, and so its group.
fn the_log_knows_the_client(folder: &Folder) {
    let rows = folder.log();
    let mut who: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row["ip"], row["group"]).replace('"', ""))
        .collect();
    who.sort();
    who.dedup();
    let [v4, v6] = CLIENT;
    assert_eq!(who, [format!("{v4} pupil"), format!("{v6} pupil")]);
}
