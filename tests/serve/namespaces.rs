//! Machines on a table: network namespaces with wires between them. Nothing in
//! them can reach the network of this machine, whatever its addresses.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

use super::has;

/// Namespaces that are gone when this is.
pub(crate) struct Namespaces {
    name: String,
    parts: &'static [&'static str],
}

impl Namespaces {
    /// Makes them, each with its loopback; or says why `what` is skipped. Only
    /// root may, and `programs` must be installed.
    pub(crate) fn new(
        what: &str,
        tag: &str,
        parts: &'static [&'static str],
        programs: &[&str],
    ) -> Option<Self> {
        let mut programs = programs.iter().chain(&["ip"]);
        if !programs.all(|program| has(program, what)) {
            return None;
        }
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: {what}: only root may make network namespaces");
            return None;
        }
        let all = Self {
            name: format!("sg{}{tag}", std::process::id()),
            parts,
        };
        for part in parts {
            let made = ip(&format!("netns add {}", all.name(part)));
            let made = made.and_then(|()| all.try_ip(part, "link set lo up"));
            if let Err(why) = made {
                eprintln!("SKIPPED: {what}: no network namespaces here: {why}");
                return None;
            }
        }
        Some(all)
    }

    /// How one of them is called.
    pub(crate) fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// How all of them begin.
    pub(crate) fn prefix(&self) -> &str {
        &self.name
    }

    /// An `ip` command in one of them.
    pub(crate) fn ip(&self, part: &str, words: &str) {
        self.try_ip(part, words).unwrap();
    }

    fn try_ip(&self, part: &str, words: &str) -> Result<(), String> {
        ip(&format!("-n {} {words}", self.name(part)))
    }

    /// A wire between two of them; each end has a name and addresses.
    pub(crate) fn wire(&self, [one, other]: [(&str, &str, &[&str]); 2]) {
        let far = self.name(other.0);
        self.ip(
            one.0,
            &format!(
                "link add {} type veth peer name {} netns {far}",
                one.1, other.1
            ),
        );
        for (part, end, addresses) in [one, other] {
            for address in addresses {
                // Nobody else can have it, and nobody wants to wait for that.
                let nodad = if address.contains(':') { " nodad" } else { "" };
                self.ip(part, &format!("addr add {address} dev {end}{nodad}"));
            }
            self.ip(part, &format!("link set {end} up"));
        }
    }

    /// A program in one of them.
    pub(crate) fn command(&self, part: &str, program: &str) -> Command {
        command(&self.name, part, program)
    }

    /// Does this in one of them. Sockets and threads made there stay there.
    pub(crate) fn inside<T: Send>(&self, part: &str, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(Path::new("/run/netns").join(self.name(part))).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread
                .join()
                .unwrap_or_else(|why| std::panic::resume_unwind(why))
        })
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for part in self.parts {
            let _ = ip(&format!("netns del {}", self.name(part)));
        }
    }
}

/// A program in one of the namespaces that begin with `prefix`.
pub(crate) fn command(prefix: &str, part: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &format!("{prefix}-{part}"), program]);
    command
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| error.to_string())?;
    let said = || {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("ip {words}: {}", said.trim())
    };
    output.status.success().then_some(()).ok_or_else(said)
}
