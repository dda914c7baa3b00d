//! The rest of the world: one nsd whose root zone is a wildcard, so that every
//! name exists and nothing is asked of anybody outside.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::child::{Cores, Running, free_port, program};
use crate::wire;

/// An hour: no answer goes stale while it is asked for.
const ZONE: &str = "$ORIGIN .\n$TTL 3600\n\
    @ SOA ns.invalid. root.invalid. 1 3600 600 86400 300\n\
    @ NS ns.invalid.\n\
    ns.invalid. A 127.0.0.1\n\
    * A 198.51.100.7\n";

/// The upstream that everybody forwards to.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    _nsd: Running,
}

impl Upstream {
    pub(crate) fn start(folder: &Path, cores: &Cores) -> anyhow::Result<Self> {
        let program = program("nsd").context("nsd is not installed; nobody could answer")?;
        let port = free_port()?;
        fs::create_dir_all(folder)?;
        let place = folder.display();
        fs::write(folder.join("root.zone"), ZONE)?;
        fs::write(
            folder.join("nsd.conf"),
            format!(
                "server:\n ip-address: 127.0.0.1@{port}\n do-ip6: no\n server-count: 1\n \
                 username: \"\"\n chroot: \"\"\n zonesdir: \"{place}\"\n database: \"\"\n \
                 pidfile: \"\"\n xfrdfile: \"\"\n xfrdir: \"{place}\"\n \
                 zonelistfile: \"{place}/zones\"\n cookie-secret-file: \"\"\n verbosity: 0\n \
                 rrl-ratelimit: 0\n minimal-responses: yes\n \
                 receive-buffer-size: 4194304\n send-buffer-size: 4194304\n\
                 remote-control:\n control-enable: no\n\
                 zone:\n name: \".\"\n zonefile: \"root.zone\"\n"
            ),
        )?;
        let mut command = Command::new(program);
        command.args(["-d", "-c"]).arg(folder.join("nsd.conf"));
        let mut nsd = Running::start(&command, cores, &folder.join("log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let (pause, patience) = (Duration::from_millis(20), Duration::from_secs(10));
        let right = wire::Said::is_resolved;
        let (_, said) = wire::ask_until(address, "a.b.example", pause, patience, right, || {
            nsd.ended().is_none()
        })?;
        if !said.is_some_and(right) {
            bail!("nsd does not answer: {}", nsd.complaint());
        }
        Ok(Self { port, _nsd: nsd })
    }
}
