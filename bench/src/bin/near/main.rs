//! What a hit in the Rust client's near cache takes, beside a raw get of the
//! quick_cache it is built on, and of moka: the same names in the same order, in
//! turn, in one process, each lookup waiting for the one before or not. Prints a
//! table of nanoseconds and of ratios within a round.

#![expect(clippy::print_stdout, reason = "the report is the output")]

mod plain;
mod round;
mod served;

use std::{fs, path::PathBuf};

use clap::Parser;
use credcache_bench::{
    lookups::{Pace, Side, contest},
    statistics::Row,
};
use credcache_client::NearCache;

use crate::{
    plain::{Moka, NAMESPACE, Raw},
    round::Round,
    served::Outcome,
};

/// Measure near-cache hits beside raw gets.
#[derive(Parser)]
struct Arguments {
    /// Counted rounds; each looks the same names up in both
    #[arg(long, default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also write the rows there, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// How many credentials are kept.
const ENTRIES: [usize; 3] = [1_000, 10_000, 100_000];
/// How many threads look up at once, and how often each does in a round.
const THREADS: [u32; 2] = [1, 2];
const LOOKUPS: u32 = 500_000;

/// Of the same content.
struct Caches {
    raw: Raw,
    moka: Moka,
    near: NearCache,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut rows = Vec::new();
    for entries in ENTRIES {
        let keys: Vec<String> = (0..entries)
            .map(|number| format!("arn:aws:iam::123456789012:role/reader-{number:06}"))
            .collect();
        let (raw, moka) = (Raw::filled(&keys), Moka::filled(&keys));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (_server, near) = runtime.block_on(served::filled(&keys))?;
        let caches = Caches { raw, moka, near };
        for threads in THREADS {
            let round = Round::new(&keys, threads, LOOKUPS);
            for pace in Pace::ALL {
                let case = format!("{pace}, {entries} entries, {threads} threads");
                for row in measure(arguments.rounds, &round, pace, &case, &caches)? {
                    println!("{row}");
                    rows.push(row.to_json());
                }
            }
        }
    }
    if let Some(path) = &arguments.json {
        fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

/// Each of the contestants under this load.
fn measure(
    rounds: u32,
    round: &Round<'_>,
    pace: Pace,
    case: &str,
    Caches { raw, moka, near }: &Caches,
) -> Outcome<Vec<Row>> {
    let raw_and_clock = |key: &str| {
        let found = raw.first_byte(NAMESPACE, key);
        found.filter(|_| plain::clock())
    };
    let sides = [
        Side::new("quick_cache", |_| {
            round.time(pace, |key| raw.first_byte(NAMESPACE, key))
        }),
        Side::new("near", |_| {
            round.time(pace, |key| served::cached(near, NAMESPACE, key))
        }),
        Side::new("awaited near", |_| {
            round.time(pace, |key| served::get(near, NAMESPACE, key))
        }),
        Side::new("quick_cache and clock", |_| round.time(pace, raw_and_clock)),
        Side::new("moka", |_| {
            round.time(pace, |key| moka.first_byte(NAMESPACE, key))
        }),
    ];
    Ok(contest(rounds, case, &sides)?)
}
