//! What an entry of the core takes of the machine's memory.

use std::{error::Error, fs, io};

use credcache_bench::statistics::Row;

use crate::{
    contestant::{VALUE, core},
    keys::KEY,
};

const ENTRIES: u32 = 1_000_000;

/// Beyond its key and value, with one tag that all have.
pub(crate) fn per_entry() -> Result<Row, Box<dyn Error>> {
    let before = resident()?;
    let filled = core(ENTRIES, true);
    let taken = resident()?.saturating_sub(before);
    drop(filled);
    let each = taken as f64 / f64::from(ENTRIES) - (KEY + VALUE) as f64;
    let name = format!("core, memory of an entry beyond key and value, {ENTRIES}");
    Ok(Row::new(name, "bytes", [each]))
}

/// Bytes of this process in memory.
fn resident() -> Result<u64, io::Error> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}
