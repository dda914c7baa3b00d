//! Real programs at both ends: Unbound as the upstream, dnsperf and dig as the
//! clients.

use std::process::{Command, Stdio};

use super::has;
use super::school::{Client, Plan, Running};
use super::upstream::Upstream;
use super::wire::{self, Reply};
use super::{eventually, school::Folder};

/// An Unbound that has an address for everything; `listen` are the lines of its
/// settings that say where it is asked.
pub(crate) fn unbound(folder: &Folder, listen: &str) -> Running {
    let settings = format!(
        "server:\n{listen} do-daemonize: no\n chroot: \"\"\n username: \"\"\n \
         pidfile: \"\"\n use-syslog: no\n logfile: \"/dev/null\"\n module-config: \"iterator\"\n \
         directory: \"{0}\"\n local-zone: \".\" redirect\n local-data: \". 60 A 198.51.100.7\"\n\
         remote-control:\n control-enable: no\n",
        folder.path().display()
    );
    folder.put("unbound.conf", &settings);
    let mut command = Command::new("unbound");
    command
        .args(["-d", "-c"])
        .arg(folder.path().join("unbound.conf"));
    Running(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

#[test]
fn unbound_behind_and_dnsperf_before_lose_nothing() {
    let what = "a load between real programs";
    if !["unbound", "dnsperf", "dig"]
        .into_iter()
        .all(|program| has(program, what))
    {
        return;
    }
    let free = Upstream::plain().address;
    let school = Plan::new(&[free]).start();
    let _unbound = unbound(
        &school.folder,
        &format!(" interface: 127.0.0.1@{}\n", free.port()),
    );
    eventually("Unbound to be up", || {
        let reply =
            Client::new("127.0.0.1").exchange(free, &wire::question(1, "a.example", wire::A));
        reply.map(|reply| Reply::read(&reply))
    });
    let names: String = (0..3000)
        .map(|n| {
            if n % 3 == 0 {
                format!("n{n}.bets.example A\n")
            } else {
                format!("n{n}.example A\n")
            }
        })
        .collect();
    school.folder.put("names", &names);
    for mode in ["udp", "tcp"] {
        let output = Command::new("dnsperf")
            .args([
                "-s",
                "127.0.0.1",
                "-p",
                &school.dns.port().to_string(),
                "-m",
                mode,
            ])
            .args(["-n", "2", "-c", "4", "-q", "50", "-d"])
            .arg(school.folder.path().join("names"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = |start: &str| {
            said.lines()
                .find(|line| line.trim().starts_with(start))
                .unwrap_or_default()
                .to_owned()
        };
        assert!(
            line("Queries completed:").contains("6000 (100.00%)"),
            "{mode}: {said}"
        );
        let codes = line("Response codes:");
        assert!(
            codes.contains("NOERROR 4000") && codes.contains("NXDOMAIN 2000"),
            "{mode}: {said}"
        );
    }
    let dig = Command::new("dig")
        .args([
            "@127.0.0.1",
            "-p",
            &school.dns.port().to_string(),
            "bets.example",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&dig.stdout).into_owned();
    assert!(
        said.contains("EDE: 15 (Blocked)") && !said.contains("WARNING"),
        "{said}"
    );
}
