//! Instructions for a lookup: the same on a noisy machine.
//!
//! This program runs itself under valgrind, with two numbers of lookups; what
//! they differ by is the lookups'.

use std::{env, error::Error, process::Command};

use crate::{contestant::Kind, keys::Drawn, report::Row, rounds::look_up};

const ENTRIES: u32 = 10_000;
const FEW: u32 = 10_000;
const MANY: u32 = 110_000;

/// What is counted: as many keys are made, however many are looked up.
pub(crate) fn run(kind: Kind, entries: u32, gets: u32) {
    let cache = kind.filled(entries);
    let keys = Drawn::new(MANY, entries, 1);
    for key in keys.iter().take(gets as usize) {
        look_up(&*cache, key);
    }
}

pub(crate) fn per_get(kind: Kind) -> Result<Row, Box<dyn Error>> {
    let difference = counted(kind, MANY)?.saturating_sub(counted(kind, FEW)?);
    let each = difference as f64 / f64::from(MANY - FEW);
    let name = format!("{kind} get, {ENTRIES} entries, 1 threads");
    Ok(Row::of(name, "instructions", vec![each]))
}

fn counted(kind: Kind, gets: u32) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["--entries", &ENTRIES.to_string()])
        .args(["--gets", &gets.to_string()])
        .args(["--run", &kind.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.split_whitespace().next()?.parse().ok());
    collected.ok_or_else(|| format!("valgrind says no count: {said}").into())
}
