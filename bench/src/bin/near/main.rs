//! What a hit in the Rust client's near cache takes, beside a raw get of the
//! quick_cache it is built on, and of moka: the same names in the same order, in
//! turn, in one process, each lookup waiting for the one before or not. Prints a
//! table of nanoseconds and of ratios within a round.

#![expect(clippy::print_stdout, reason = "the report is the output")]

mod plain;
mod round;
mod served;

use std::{error::Error, fs, path::PathBuf};

use clap::Parser;
use credcache_bench::statistics::{Row, ratios, turns};
use credcache_client::NearCache;

use crate::{
    plain::{Moka, Raw},
    round::{Pace, Round},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Measure near-cache hits beside raw gets.
#[derive(Parser)]
struct Arguments {
    /// Counted rounds; each looks the same names up in both
    #[arg(long, default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Lookups of a thread in each part of a round
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..))]
    lookups: u32,
    /// How many credentials are kept
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    entries: Vec<usize>,
    /// How many threads look up at once
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Measure only these, so that a profile holds nothing else
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Also write the rows there, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

const NAMESPACE: &str = "bench";

/// Of the same content.
struct Caches {
    raw: Raw,
    moka: Moka,
    near: NearCache,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut rows = Vec::new();
    for &entries in &arguments.entries {
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
        for &threads in &arguments.threads {
            let round = Round::new(&keys, threads, arguments.lookups);
            for pace in Pace::ALL {
                for row in measure(&arguments, &round, pace, &caches)? {
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

fn measure(
    arguments: &Arguments,
    round: &Round<'_>,
    pace: Pace,
    Caches { raw, moka, near }: &Caches,
) -> Outcome<Vec<Row>> {
    type Measure<'a> = Box<dyn Fn() -> Outcome<f64> + 'a>;
    let mut sides: Vec<(&'static str, Measure<'_>)> = vec![
        (
            "raw",
            Box::new(|| round.time(pace, |key| raw.first_byte(NAMESPACE, key))),
        ),
        (
            "near",
            Box::new(|| round.time(pace, |key| served::cached(near, NAMESPACE, key))),
        ),
        (
            "near_get",
            Box::new(|| round.time(pace, |key| served::get(near, NAMESPACE, key))),
        ),
        (
            "raw_and_clock",
            Box::new(|| {
                round.time(pace, |key| {
                    let found = raw.first_byte(NAMESPACE, key);
                    found.filter(|_| plain::clock())
                })
            }),
        ),
        (
            "moka",
            Box::new(|| round.time(pace, |key| moka.first_byte(NAMESPACE, key))),
        ),
    ];
    if !arguments.only.is_empty() {
        sides.retain(|(name, _)| arguments.only.iter().any(|only| only == name));
    }
    let mut taken = vec![Vec::new(); sides.len()];
    // The first round warms up.
    for number in 0..=arguments.rounds {
        for side in turns(number as usize, sides.len()) {
            let nanoseconds = sides[side].1()?;
            if number > 0 {
                taken[side].push(nanoseconds);
            }
        }
    }
    let place = format!("{pace}/{}/{}", round.entries(), round.threads());
    let measured = || sides.iter().map(|(name, _)| name).zip(&taken);
    let times = measured()
        .map(|(name, taken)| Row::new(format!("{name}/{place}"), "ns", taken.iter().copied()));
    let by_first = measured().skip(1).map(|(name, others)| {
        let name = format!("{name}_by_{}/{place}", sides[0].0);
        Row::new(name, "ratio", ratios(others, &taken[0]))
    });
    Ok(times.chain(by_first).collect())
}
