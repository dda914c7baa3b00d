//! dnsdist, with the names in a suffix tree before its packet cache.
//!
//! It answers a blocked name without a SOA record, so clients do not remember
//! it, and it does not resolve: it forwards as it was asked. Both make its work
//! lighter than that of the others.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::{Setting, put, write_names};

/// As it comes: one question by one system call.
pub(super) fn prepare(program: PathBuf, setting: &Setting<'_>) -> anyhow::Result<Command> {
    start(program, setting, "")
}

/// With its own `recvmmsg`, which is off as it comes.
pub(super) fn in_batches(program: PathBuf, setting: &Setting<'_>) -> anyhow::Result<Command> {
    start(program, setting, "setUDPMultipleMessagesVectorSize(32)\n")
}

fn start(program: PathBuf, setting: &Setting<'_>, more: &str) -> anyhow::Result<Command> {
    let names = setting.folder.join("names.txt");
    write_names(&names, "", setting.listed, |file, name| {
        writeln!(file, "{name}")
    })?;
    let Setting { port, upstream, .. } = setting;
    // Without TLS it is not to be slowed by a listener that nobody uses.
    let secure = setting.secure.map_or(String::new(), |secure| {
        let pair = format!(
            "'{}', '{}'",
            secure.certificate.display(),
            secure.key.display()
        );
        format!(
            "setMaxTCPClientThreads(1)\naddTLSLocal('127.0.0.1:{}', {pair})\n\
             addDOHLocal('127.0.0.1:{}', {pair}, '/dns-query')\n",
            secure.tls, secure.https
        )
    });
    // Only later versions than Debian's can enlarge the socket buffers.
    let text = format!(
        "setSecurityPollSuffix('')\n{more}\
         setLocal('127.0.0.1:{port}')\n{secure}\
         setACL({{'127.0.0.0/8'}})\n\
         setMaxUDPOutstanding(65535)\n\
         if setUDPSocketBufferSizes then setUDPSocketBufferSizes(4194304, 4194304) end\n\
         newServer({{address='127.0.0.1:{upstream}', useClientSubnet=false, sockets=4}}):setUp()\n\
         getPool(''):setCache(newPacketCache(1000000, {{maxTTL=86400, numberOfShards=1}}))\n\
         blocked = newSuffixMatchNode()\n\
         for name in io.lines('{names}') do blocked:add(name) end\n\
         addAction(SuffixMatchNodeRule(blocked, true), RCodeAction(DNSRCode.NXDOMAIN))\n",
        names = names.display(),
    );
    let path = put(setting.folder, "dnsdist.conf", &text)?;
    let mut command = Command::new(program);
    command
        .args(["--supervised", "--disable-syslog", "-C"])
        .arg(path);
    Ok(command)
}
