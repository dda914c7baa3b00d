//! dnsmasq with a `local=` line for each name.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::geteuid;

use super::{Setting, put, write_names};

/// 10,000 is the most that its cache may hold.
pub(super) fn prepare(program: PathBuf, setting: &Setting<'_>) -> anyhow::Result<Command> {
    let names = setting.folder.join("names.conf");
    write_names(&names, "", setting.listed, |file, name| {
        writeln!(file, "local=/{name}/")
    })?;
    let user = if geteuid().is_root() {
        "user=root\n"
    } else {
        ""
    };
    let Setting { port, upstream, .. } = setting;
    let text = format!(
        "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-poll\n\
         server=127.0.0.1#{upstream}\ncache-size=10000\ndns-forward-max=10000\n{user}\
         pid-file={folder}/pid\nlog-facility=-\nconf-file={names}\n",
        folder = setting.folder.display(),
        names = names.display(),
    );
    let path = put(setting.folder, "dnsmasq.conf", &text)?;
    let mut command = Command::new(program);
    command
        .arg("--keep-in-foreground")
        .arg(format!("--conf-file={}", path.display()));
    Ok(command)
}
