//! credcache beside what it is to be measured by, in one run: the ceiling that
//! HTTP/2 sets, a bare echo, and Redis, memcached and etcd as they are packaged.
//! Servers on one core, load on another, everybody in turn. Writes a table, JSON
//! and a chart; ends with an error rather than a figure when any answer was
//! wrong.

#![expect(clippy::print_stdout, reason = "the report is the output")]

mod chart;
mod clock;
mod contest;
mod failure;
mod grpc;
mod h2load;
mod load;
mod machine;
mod peers;
mod probe;
mod process;
mod processors;
mod report;
mod sample;
mod sections;
mod servers;
mod table;
mod targets;

use std::{env, fs, path::PathBuf};

use clap::{Parser, ValueEnum};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{contest::Rounds, failure::Failure, report::Report, sections::Section, servers::Stage};

/// Measure credcache beside its peers on one core.
#[derive(Parser)]
struct Arguments {
    /// Which parts, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Counted rounds; each loads every server once
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long one server is loaded in a round, about, in seconds
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// The core of the servers
    #[arg(long, default_value_t = 0)]
    server_core: u32,
    /// The core of the load
    #[arg(long, default_value_t = 1)]
    load_core: u32,
    /// The credcache to measure [default: the one built beside this program]
    #[arg(long)]
    credcache: Option<PathBuf>,
    /// Where to write the results; .md, .json and .svg are appended
    #[arg(long, default_value = "bench/results/latest")]
    output: PathBuf,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let beside = env::current_exe()?.with_file_name("");
    let stage = Stage {
        credcache: arguments
            .credcache
            .unwrap_or_else(|| beside.join("credcache")),
        beside,
        server_core: arguments.server_core,
        load_core: arguments.load_core,
    };
    let rounds = Rounds {
        rounds: arguments.rounds,
        seconds: arguments.seconds,
    };
    let sections = match arguments.only.as_slice() {
        [] => Section::value_variants(),
        only => only,
    };
    let facts = machine::describe(&stage)?;
    let mut report = Report::default();
    for section in sections {
        // What this program sends and fills by itself is load too.
        stay_on(stage.load_core)?;
        section.run(&stage, rounds, &mut report)?;
    }

    let table = table::markdown(&facts, &report).map_err(std::io::Error::other)?;
    println!("\n{table}");
    let write =
        |extension, text: String| fs::write(arguments.output.with_extension(extension), text);
    if let Some(directory) = arguments.output.parent() {
        fs::create_dir_all(directory)?;
    }
    write("md", table)?;
    write("json", format!("{:#}\n", table::json(&facts, &report)))?;
    write("svg", chart::svg(&report).map_err(std::io::Error::other)?)?;
    Ok(())
}

fn stay_on(core: u32) -> Result<(), Failure> {
    let mut cores = CpuSet::new();
    cores.set(core as usize);
    sched_setaffinity(None, &cores).map_err(std::io::Error::from)?;
    Ok(())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.1 to 60".to_owned()),
    }
}
