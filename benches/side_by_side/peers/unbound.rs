//! Unbound, which can block in two ways: by a zone of its own for each name, or
//! by a response policy zone.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::{Setting, put, write_names, write_policy_zone};

pub(super) fn local_zones(program: PathBuf, setting: &Setting<'_>) -> anyhow::Result<Command> {
    let path = setting.folder.join("zones.conf");
    write_names(&path, "server:\n", setting.listed, |file, name| {
        writeln!(file, "local-zone: \"{name}\" always_nxdomain")
    })?;
    let include = format!("include: \"{}\"\n", path.display());
    start(program, setting, "iterator", &include)
}

pub(super) fn policy_zone(program: PathBuf, setting: &Setting<'_>) -> anyhow::Result<Command> {
    let path = setting.folder.join("rpz.zone");
    write_policy_zone(&path, setting.listed)?;
    let zone = format!(
        "rpz:\n name: \"rpz.blocked\"\n zonefile: \"{}\"\n rpz-log: no\n",
        path.display()
    );
    start(program, setting, "respip iterator", &zone)
}

/// Without the validator module: nobody else checks signatures here either. One
/// slab each, as there is one thread.
fn start(
    program: PathBuf,
    setting: &Setting<'_>,
    modules: &str,
    blocking: &str,
) -> anyhow::Result<Command> {
    let Setting { port, upstream, .. } = setting;
    let secure = setting.secure.map_or(String::new(), |secure| {
        let (tls, https) = (secure.tls, secure.https);
        let (certificate, key) = (secure.certificate.display(), secure.key.display());
        format!(
            " interface: 127.0.0.1@{tls}\n interface: 127.0.0.1@{https}\n tls-port: {tls}\n \
             https-port: {https}\n tls-service-pem: \"{certificate}\"\n \
             tls-service-key: \"{key}\"\n incoming-num-tcp: 200\n"
        )
    });
    let text = format!(
        "server:\n directory: \"{folder}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
         do-daemonize: no\n use-syslog: no\n logfile: \"\"\n verbosity: 0\n \
         statistics-interval: 0\n interface: 127.0.0.1@{port}\n do-ip6: no\n num-threads: 1\n \
         so-reuseport: yes\n so-rcvbuf: 4m\n so-sndbuf: 4m\n module-config: \"{modules}\"\n \
         msg-cache-size: 256m\n rrset-cache-size: 512m\n msg-cache-slabs: 1\n \
         rrset-cache-slabs: 1\n infra-cache-slabs: 1\n key-cache-slabs: 1\n \
         outgoing-range: 8192\n num-queries-per-thread: 4096\n \
         do-not-query-localhost: no\n minimal-responses: yes\n qname-minimisation: no\n{secure}\
         remote-control:\n control-enable: no\n\
         forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{upstream}\n{blocking}",
        folder = setting.folder.display(),
    );
    let path = put(setting.folder, "unbound.conf", &text)?;
    let mut command = Command::new(program);
    command.args(["-d", "-c"]).arg(path);
    Ok(command)
}
