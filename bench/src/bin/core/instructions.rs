//! Instructions for a lookup, and how often one waits for memory: the same on a
//! noisy machine.
//!
//! This program runs itself under valgrind, with two numbers of lookups; what
//! they differ by is the lookups'. The caches are simulated, the last of them so
//! small that of a large number of entries it holds next to nothing.

use std::{env, error::Error, process::Command};

use credcache_bench::statistics::Row;

use crate::{contestant::Kind, keys::Drawn, rounds::look_up};

/// Few enough for the simulated caches, in the main, and far too many.
pub(crate) const ENTRIES: [u32; 2] = [1_000, 100_000];
const FEW: u32 = 10_000;
const MANY: u32 = 110_000;
/// How many keys are made at a time: few enough to stay in the caches.
const CHUNK: u32 = 1_000;
/// Size, ways, and size of a line, in bytes.
const CACHES: [&str; 2] = ["--D1=32768,8,64", "--LL=1048576,16,64"];

/// What is counted: as many keys are made, however many are looked up.
pub(crate) fn run(kind: Kind, entries: u32, gets: u32) {
    let cache = kind.filled(entries);
    let mut left = gets as usize;
    for chunk in 0..MANY / CHUNK {
        let keys = Drawn::new(CHUNK, entries, chunk.into());
        for key in keys.iter().take(left) {
            look_up(&*cache, key);
        }
        left = left.saturating_sub(CHUNK as usize);
    }
}

/// Of one lookup: instructions, and reads that no simulated cache could answer.
pub(crate) fn per_get(kind: Kind, entries: u32) -> Result<[Row; 2], Box<dyn Error>> {
    let (many, few) = (counted(kind, entries, MANY)?, counted(kind, entries, FEW)?);
    let each =
        |of: fn(&Counted) -> u64| of(&many).saturating_sub(of(&few)) as f64 / f64::from(MANY - FEW);
    let row = |unit, each| {
        let name = format!("{kind} get, {entries} entries: {unit}");
        Row::new(name, unit, [each])
    };
    Ok([
        row("instructions", each(|counted| counted.instructions)),
        row("reads from memory", each(|counted| counted.from_memory)),
    ])
}

struct Counted {
    instructions: u64,
    from_memory: u64,
}

fn counted(kind: Kind, entries: u32, gets: u32) -> Result<Counted, Box<dyn Error>> {
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
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, counts)| of_events(counts));
    collected.ok_or_else(|| format!("valgrind says no count: {said}").into())
}

/// As valgrind lists them: instructions; reads and writes of data; misses of the
/// first cache and then of the last, by instructions, reads and writes each.
fn of_events(counts: &str) -> Option<Counted> {
    let counts = counts.split_whitespace().map(str::parse);
    let [instructions, .., from_memory, _] = counts.collect::<Result<Vec<u64>, _>>().ok()?[..]
    else {
        return None;
    };
    Some(Counted {
        instructions,
        from_memory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_taken_from_their_columns() {
        let counted = of_events(" 10 20 30 1 2 3 4 5 6").unwrap();
        assert_eq!((counted.instructions, counted.from_memory), (10, 5));
        assert!(of_events("10 x").is_none());
    }
}
