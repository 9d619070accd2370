//! What a lookup costs inside the process: the core of credcache beside
//! quick_cache, which it is built on, and moka. In turn, in one run, so that
//! whatever else the machine does meets all of them; and what an entry of the
//! core takes of its memory. Prints a table; ends with an error rather than a
//! figure when any lookup missed.

#![expect(clippy::print_stdout, reason = "the report is the output")]

mod contestant;
mod instructions;
mod keys;
mod rounds;

use std::{error::Error, fs, path::PathBuf};

use clap::Parser;
use credcache_bench::{counts::resident, lookups::Pace, statistics::Row};
use tikv_jemallocator::Jemalloc;

use crate::{
    contestant::{Kind, VALUE, core},
    keys::KEY,
    rounds::Rounds,
};

/// The one of the program.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Measure lookups in the process beside quick_cache and moka.
#[derive(Parser)]
struct Arguments {
    /// How many entries there are; repeat it for several figures [default: 10^3
    /// to 10^7, moka up to 10^6]
    #[arg(long)]
    entries: Vec<u32>,
    /// Counted rounds; each looks up in every cache once
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many lookups each thread makes in a round
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    gets: u32,
    /// Where to write the figures as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Make so many lookups in this cache and end: what the counter of
    /// instructions runs
    #[arg(long, hide = true)]
    run: Option<Kind>,
}

/// How many threads look up at once.
const THREADS: [u32; 2] = [1, 2];
/// The most entries that moka is measured with: beyond, three caches at a time
/// need more memory than many machines have.
const MOST_FOR_MOKA: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let entries = match &arguments.entries[..] {
        [] => (3..=7).map(|exponent| 10_u32.pow(exponent)).collect(),
        given => given.to_vec(),
    };
    if let Some(kind) = arguments.run {
        return Ok(instructions::run(kind, entries[0], arguments.gets)?);
    }
    let mut rows = Vec::new();
    // Printed at once, because a run takes minutes.
    let mut add = |row: Row| {
        println!("{row}");
        rows.push(row.to_json());
    };
    // First, while the process holds nothing else.
    add(memory_of_an_entry()?);
    for (kind, entries) in Kind::ALL
        .into_iter()
        .flat_map(|kind| instructions::ENTRIES.map(|entries| (kind, entries)))
    {
        match instructions::per_get(kind, entries) {
            Ok(rows) => rows.into_iter().for_each(&mut add),
            Err(why) => println!("instructions of {kind} not counted: {why}"),
        }
    }
    for count in entries {
        let kinds = Kind::ALL
            .into_iter()
            .filter(|kind| *kind != Kind::Moka || count <= MOST_FOR_MOKA);
        let caches: Vec<_> = kinds.map(|kind| (kind, kind.filled(count))).collect();
        for threads in THREADS {
            for pace in Pace::ALL {
                let rounds = Rounds {
                    entries: count,
                    rounds: arguments.rounds,
                    gets: arguments.gets,
                    threads,
                    pace,
                };
                rounds.measure(&caches)?.into_iter().for_each(&mut add);
            }
        }
    }
    if let Some(path) = arguments.json {
        fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

/// What an entry of the core takes of the machine's memory beyond its key and
/// value, with one tag that all have.
fn memory_of_an_entry() -> Result<Row, Box<dyn Error>> {
    const ENTRIES: u32 = 1_000_000;
    let before = resident("self")?;
    let filled = core(ENTRIES);
    let taken = resident("self")?.saturating_sub(before);
    drop(filled);
    let each = taken as f64 / f64::from(ENTRIES) - (KEY + VALUE) as f64;
    let name = format!("core, memory of an entry beyond key and value, {ENTRIES}");
    Ok(Row::new(name, "bytes", [each]))
}
