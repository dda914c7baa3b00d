//! On what it was measured: the figures mean nothing without it.

use std::fs;
use std::process::Command;

use jiff::{Timestamp, tz::TimeZone};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::child::Cores;

/// Debian's packages whose versions are told.
const PACKAGES: [&str; 7] = [
    "unbound",
    "dnsdist",
    "pdns-recursor",
    "dnsmasq-base",
    "knot-resolver",
    "nsd",
    "dnsperf",
];

/// Who runs where.
pub(crate) struct Places {
    /// The server that is measured.
    pub(crate) server: Cores,
    /// The upstream, the load and everything else.
    pub(crate) others: Cores,
    /// Both together.
    pub(crate) both: Cores,
}

/// One line each: the date, the processor, the system, the programs.
pub(crate) fn description(schoolgate: &str) -> Vec<String> {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_matches([' ', '\t', ':'])
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = memory
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<u64>().ok());
    vec![
        format!(
            "{}; Schoolgate {schoolgate}",
            now.strftime("%d %B %Y, %H:%M UTC")
        ),
        format!(
            "{} × {model}, {} GiB, Linux {}",
            cpu.lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            kilobytes.unwrap_or(0) >> 20,
            kernel.trim()
        ),
        PACKAGES.map(version).join(", "),
    ]
}

/// Puts this program, and so whatever it starts, on the core for everything
/// else.
pub(crate) fn settle(cores_wanted: &[usize]) -> anyhow::Result<Places> {
    let (server, others) = (cores_wanted[0], cores_wanted[1]);
    for core in [server, others] {
        if !cores().contains(&core) {
            anyhow::bail!(
                "core {core} is not ours to use: the server needs one for itself and the load \
                 another; name them with --cores"
            );
        }
    }
    stay_on(&[others])?;
    Ok(Places {
        server: Cores(server.to_string()),
        others: Cores(others.to_string()),
        both: Cores(format!("{server},{others}")),
    })
}

/// Puts the calling thread, and what it starts from now on, on these cores.
pub(crate) fn stay_on(cores: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    (0..CpuSet::count())
        .filter(|core| set.is_set(*core).unwrap_or(false))
        .collect()
}

fn version(package: &str) -> String {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", package])
        .output();
    let version = output.ok().filter(|output| output.status.success());
    match version {
        Some(output) => format!("{package} {}", String::from_utf8_lossy(&output.stdout)),
        None => format!("no {package}"),
    }
}
