//! How many Gets a second credcache answers on one core, beside the bare echo
//! of the same bytes: both run pinned to that core, and are loaded in turn from
//! another. Prints a table for `bench/README.md`; ends with an error rather
//! than a figure when any answer was wrong.

#![expect(clippy::print_stdout, reason = "the report is the output")]

mod error;
mod load;
mod probe;
mod report;
mod server;

use std::{env, path::PathBuf};

use clap::Parser;

use crate::{
    error::BenchError,
    load::{Load, RequestFile},
    probe::{Probe, expect_hits},
    report::{Report, Sample},
    server::Server,
};

/// Measure Get on one core beside a bare tonic echo.
#[derive(Parser)]
struct Arguments {
    /// Counted rounds; each loads both servers once
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long one server is loaded in a round, about, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The core of the servers
    #[arg(long, default_value_t = 0)]
    server_core: u32,
    /// The core of the load
    #[arg(long, default_value_t = 1)]
    load_core: u32,
    /// The credcache to measure [default: the one built beside this program]
    #[arg(long)]
    credcache: Option<PathBuf>,
}

fn main() -> Result<(), BenchError> {
    let arguments = Arguments::parse();
    println!("{}", load::version()?);
    let here = env::current_exe()?;
    let credcache = arguments
        .credcache
        .clone()
        .unwrap_or_else(|| here.with_file_name("credcache"));

    let credcache = Server::credcache(&credcache, arguments.server_core)?;
    let probe = Probe::connect(&credcache.address)?;
    let stored = probe.put_and_get()?;
    let echo = Server::echo(&here.with_file_name("echo"), arguments.server_core, &stored)?;
    let echo_probe = Probe::connect(&echo.address)?;
    echo_probe.check_get()?;

    let request = RequestFile::write(&probe::get_request())?;
    let load = Load {
        request: &request,
        core: arguments.load_core,
    };
    // The warm-up tells how many requests fill a round.
    let echo_requests = load.rate_over(arguments.seconds, &echo)?;
    let credcache_requests = load.rate_over(arguments.seconds, &credcache)?;

    let mut report = Report::default();
    for round in 0..arguments.rounds {
        let measure_echo = || load.run(&echo, echo_requests);
        let measure_credcache = || -> Result<Sample, BenchError> {
            let before = probe.hits()?;
            let sample = load.run(&credcache, credcache_requests)?;
            expect_hits(credcache_requests, probe.hits()? - before)?;
            Ok(sample)
        };
        // Whoever goes first changes, so that a drift of the machine favours nobody.
        let (echo, credcache) = if round % 2 == 0 {
            let echo = measure_echo()?;
            (echo, measure_credcache()?)
        } else {
            let credcache = measure_credcache()?;
            (measure_echo()?, credcache)
        };
        println!("round {}: {}", round + 1, report::line(&echo, &credcache));
        report.add(echo, credcache);
    }

    echo_probe.check_get()?;
    probe.check_get()?;
    println!("\n{report}");
    Ok(())
}
