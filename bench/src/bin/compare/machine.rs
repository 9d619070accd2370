//! What the figures were measured on, and what was measured.

use std::fs;

use crate::{failure::Failure, process, servers::Stage};

/// A name and what it is, in order.
pub(crate) type Facts = Vec<(&'static str, String)>;

pub(crate) fn describe(stage: &Stage) -> Result<Facts, Failure> {
    let Stage {
        server_core,
        load_core,
        ..
    } = stage;
    let cores = format!("servers on {server_core}, load on {load_core}");
    let peers = ["redis-server", "memcached", "etcd"].map(|peer| said(peer, &["--version"]));
    Ok(vec![
        ("date", said("date", &["--utc", "+%F"])),
        ("commit", said("git", &["describe", "--always", "--dirty"])),
        ("processor", processor()?),
        ("memory", memory()?),
        ("kernel", said("uname", &["-sr"])),
        ("cores", cores),
        ("compiler", said("rustc", &["--version"])),
        ("load", said("h2load", &["--version"])),
        ("peers", peers.join(", ")),
        ("valgrind", said("valgrind", &["--version"])),
    ])
}

/// The first line that the program prints, or why there is none.
fn said(program: &str, arguments: &[&str]) -> String {
    match process::run(program, arguments) {
        Ok(text) => text.lines().next().unwrap_or_default().to_owned(),
        Err(why) => why.to_string(),
    }
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
