//! Knot Resolver with a response policy zone, as a forwarder that checks no
//! signatures and asks nobody of its own accord. Its cache is in memory.

use std::path::PathBuf;
use std::process::Command;

use super::{Setting, put, write_policy_zone};

pub(super) fn prepare(program: PathBuf, setting: &Setting<'_>) -> anyhow::Result<Command> {
    let zone = setting.folder.join("rpz.zone");
    write_policy_zone(&zone, setting.listed)?;
    let Setting { port, upstream, .. } = setting;
    let text = format!(
        "net.ipv6 = false\nnet.listen('127.0.0.1', {port}, {{ kind = 'dns' }})\n\
         cache.open(512 * MB, 'lmdb://{memory}/knot')\n\
         trust_anchors.remove('.')\nlog_level('crit')\n\
         for _, name in ipairs({{'priming', 'ta_signal_query', 'ta_sentinel', 'ta_update',\n\
         'detect_time_skew', 'detect_time_jump'}}) do pcall(modules.unload, name) end\n\
         policy.add(policy.rpz(policy.DENY, '{zone}', false))\n\
         policy.add(policy.all(policy.FORWARD({{'127.0.0.1@{upstream}'}})))\n",
        memory = setting.memory.display(),
        zone = zone.display(),
    );
    let path = put(setting.folder, "kresd.conf", &text)?;
    let mut command = Command::new(program);
    command
        .current_dir(setting.folder)
        .args(["-n", "-c"])
        .arg(path)
        .arg(setting.folder);
    Ok(command)
}
