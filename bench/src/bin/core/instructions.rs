//! Instructions for a lookup, and how often one waits for memory: the same on a
//! noisy machine.
//!
//! This program runs itself under valgrind, with two numbers of lookups; what
//! they differ by is the lookups'. The caches are simulated, the last of them so
//! small that of a large number of entries it holds next to nothing.

use std::{env, error::Error, process::Command};

use credcache_bench::{
    counts::collected,
    lookups::{Missed, Pace, time},
    statistics::Row,
};

use crate::{contestant::Kind, keys::drawn};

/// Few enough for the simulated caches, in the main, and far too many.
pub(crate) const ENTRIES: [u32; 2] = [1_000, 100_000];
const FEW: u32 = 10_000;
const MANY: u32 = 110_000;
/// How many keys are made at a time: few enough to stay in the caches.
const CHUNK: u32 = 1_000;
/// Size, ways, and size of a line, in bytes.
const CACHES: [&str; 2] = ["--D1=32768,8,64", "--LL=1048576,16,64"];

/// What is counted: as many keys are made, however many are looked up.
pub(crate) fn run(kind: Kind, entries: u32, gets: u32) -> Result<(), Missed> {
    let cache = kind.filled(entries);
    let mut left = gets as usize;
    for chunk in 0..MANY / CHUNK {
        let keys = drawn(CHUNK, entries, chunk.into());
        let wanted = left.min(keys.len());
        time(Pace::InARow, &keys, 0..wanted, |key| cache.first_byte(key))?;
        left -= wanted;
    }
    Ok(())
}

/// Of one lookup: instructions, and reads that no simulated cache could answer.
pub(crate) fn per_get(kind: Kind, entries: u32) -> Result<[Row; 2], Box<dyn Error>> {
    let (many, few) = (counted(kind, entries, MANY)?, counted(kind, entries, FEW)?);
    let row = |unit, many: u64, few| {
        let each = many.saturating_sub(few) as f64 / f64::from(MANY - FEW);
        Row::new(
            format!("{kind} get, {entries} entries: {unit}"),
            unit,
            [each],
        )
    };
    Ok([
        row("instructions", many.0, few.0),
        row("reads from memory", many.1, few.1),
    ])
}

/// Instructions, and reads of data that the last cache couldn't answer.
fn counted(kind: Kind, entries: u32, gets: u32) -> Result<(u64, u64), Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--cache-sim=yes")
        .args(CACHES)
        .arg(env::current_exe()?)
        .args(["--entries", &entries.to_string()])
        .args(["--gets", &gets.to_string()])
        .args(["--run", &kind.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    // Instructions; reads and writes of data; misses of the first cache and then
    // of the last, by instructions, reads and writes each.
    match collected(&log).as_deref() {
        Some([instructions, .., from_memory, _]) => Ok((*instructions, *from_memory)),
        _ => Err(format!("valgrind says no count: {log}").into()),
    }
}
