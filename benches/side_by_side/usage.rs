//! What a process has used, by the kernel's own account of it and its children.

use std::fs;

use anyhow::Context;

/// The kernel's unit of CPU time, 1/100 s on every architecture in use. It
/// scales its ticks by the exact run time, so sums over seconds are exact.
const TICKS: f64 = 100.0;

/// CPU seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// Resident kilobytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) whole: u64,
    pub(crate) anonymous: u64,
    pub(crate) file: u64,
}

impl Cpu {
    /// What the process and its children have used since they began.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let mut sum = Self::default();
        for pid in family(pid) {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
                .with_context(|| format!("process {pid} is gone"))?;
            // The second field, the program's name, may hold anything.
            let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let field = |at: usize| -> f64 {
                let field = rest.split_whitespace().nth(at);
                field.and_then(|field| field.parse().ok()).unwrap_or(0.0)
            };
            sum.user += field(11) / TICKS;
            sum.system += field(12) / TICKS;
        }
        Ok(sum)
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
        }
    }
}

impl Memory {
    /// What the process and its children have in memory.
    pub(crate) fn of(pid: u32) -> Self {
        let mut sum = Self::default();
        for pid in family(pid) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let row = |key: &str| -> u64 {
                let row = status.lines().find_map(|line| line.strip_prefix(key));
                row.and_then(|row| row.split_whitespace().next()?.parse().ok())
                    .unwrap_or(0)
            };
            sum.whole += row("VmRSS:");
            sum.anonymous += row("RssAnon:");
            sum.file += row("RssFile:");
        }
        sum
    }
}

fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        all.extend(
            children
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
        next += 1;
    }
    all
}
