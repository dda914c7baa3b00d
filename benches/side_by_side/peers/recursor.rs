//! PowerDNS Recursor with a response policy zone, as a forwarder.

use std::path::PathBuf;
use std::process::Command;

use super::{Setting, put, write_policy_zone};

pub(super) fn prepare(program: PathBuf, setting: &Setting<'_>) -> anyhow::Result<Command> {
    let zone = setting.folder.join("rpz.zone");
    write_policy_zone(&zone, setting.listed)?;
    let zone = zone.display();
    let lua = format!("rpzFile('{zone}', {{policyName='blocked'}})\n");
    let lua = put(setting.folder, "policy.lua", &lua)?;
    let folder = setting.folder.display();
    let Setting { port, upstream, .. } = setting;
    let text = format!(
        "daemon=no\nwrite-pid=no\nsocket-dir={folder}\ndisable-syslog=yes\nquiet=yes\n\
         loglevel=3\nstatistics-interval=0\nsecurity-poll-suffix=\nhint-file=no\n\
         local-address=127.0.0.1\nlocal-port={port}\nthreads=1\npdns-distributes-queries=no\n\
         forward-zones-recurse=.=127.0.0.1:{upstream}\ndont-query=\ndnssec=off\n\
         max-packetcache-entries=1000000\nmax-cache-entries=1000000\nmax-mthreads=8192\n\
         qname-minimization=no\nlua-config-file={}\n",
        lua.display()
    );
    put(setting.folder, "recursor.conf", &text)?;
    let mut command = Command::new(program);
    command.arg(format!("--config-dir={folder}"));
    Ok(command)
}
