//! What the figures were measured on, and what was measured.

use std::fs;

use crate::{
    failure::Failure,
    h2load,
    peers::{etcd, memcached, redis},
    process,
    servers::Stage,
};

/// A name and what it is, in order.
pub(crate) type Facts = Vec<(&'static str, String)>;

pub(crate) fn describe(stage: &Stage) -> Result<Facts, Failure> {
    let said = |outcome: Result<String, Failure>| {
        outcome.map_or_else(|why| why.to_string(), |text| text.trim().to_owned())
    };
    let commit = || {
        let commit = process::run("git", ["describe", "--always", "--dirty"]);
        said(commit)
    };
    let peers = [redis::version(), memcached::version(), etcd::version()].map(said);
    Ok(vec![
        ("date", said(process::run("date", ["--utc", "+%F"]))),
        ("commit", commit()),
        ("processor", processor()?),
        ("memory", memory()?),
        ("kernel", said(process::run("uname", ["-sr"]))),
        (
            "cores",
            format!(
                "servers on {}, load on {}",
                stage.server_core, stage.load_core
            ),
        ),
        ("compiler", said(process::run("rustc", ["--version"]))),
        ("load", said(h2load::version())),
        ("peers", peers.join(", ")),
        ("valgrind", said(process::run("valgrind", ["--version"]))),
    ])
}

fn processor() -> Result<String, Failure> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    let model = models.first().copied().unwrap_or("unknown");
    let guest = text.lines().any(|line| line.contains(" hypervisor"));
    let virtual_machine = if guest { ", of a virtual machine" } else { "" };
    Ok(format!(
        "{} cores of {model}{virtual_machine}",
        models.len()
    ))
}

fn memory() -> Result<String, Failure> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kibibytes: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(f64::NAN);
    Ok(format!("{:.0} GiB", kibibytes / f64::from(1 << 20)))
}
