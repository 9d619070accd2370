//! Instructions of a Get, counted by valgrind: the same on a noisy machine, so
//! that a regression shows there too. The released server itself is counted,
//! without the kernel and without the caller; starting, and whatever else
//! doesn't grow with the Gets, is left out by taking the difference of two
//! runs. The core alone is counted by the program `core`.

use std::{fs, path::Path};

use prost::Message;

use super::if_there;
use crate::{
    failure::Failure,
    grpc,
    h2load::{AnswerBytes, H2load, Shape},
    probe::{self, Probe},
    process::Process,
    report::Report,
    servers::{Canned, Stage, Transport},
};

const SHAPES: [Shape; 2] = [Shape::new(1, 1), Shape::new(10, 10)];
const KEY: &str = "aws/123456789012/role/payments-reader/eu";
const VALUE_BYTES: usize = 1024;
const FEW: u64 = 1_000;
const MANY: u64 = 6_000;

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    let answer = answer(stage)?;
    for shape in SHAPES {
        let canned = Canned::ALL.map(|canned| {
            let program = stage.beside.join(canned.program());
            (canned.name(), program, canned.arguments().to_vec())
        });
        let credcache = stage.credcache.clone();
        let credcache = ("credcache", credcache, vec!["serve", "--listen"]);
        for (subject, program, mut arguments) in canned.into_iter().chain([credcache]) {
            arguments.push("127.0.0.1:0");
            let count = |requests| {
                let counted = Counted::start(stage, &program, &arguments, &answer)?;
                counted.instructions(stage, shape, requests)
            };
            let both = count(MANY).and_then(|many| Ok((many, count(FEW)?)));
            let what = format!("instructions of {subject}, {shape}");
            let Some((many, few)) = if_there(report, &what, both)? else {
                continue;
            };
            let each = many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
            println!("instructions: 1 KiB, {shape}: {subject}: {each:.0} a Get");
            let case = format!("1 KiB, {shape}");
            report.add(
                ("instructions", &case, subject),
                "instructions a Get",
                vec![each],
            );
        }
    }
    Ok(())
}

/// A server that valgrind runs.
struct Counted {
    process: Process,
    address: credcache_bench::address::Address,
    log: tempfile::NamedTempFile,
}

impl Counted {
    fn start(
        stage: &Stage,
        program: &Path,
        arguments: &[&str],
        answer: &[u8],
    ) -> Result<Self, Failure> {
        let log = tempfile::NamedTempFile::new()?;
        let log_file = format!("--log-file={}", log.path().display());
        let program = program.display().to_string();
        let mut all = vec![
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            &log_file,
            &program,
        ];
        all.extend(arguments);
        let valgrind = Path::new("valgrind");
        let mut process = Process::start(valgrind, stage.server_core, &all, answer)?;
        let Ok(address) = process.line_after("listening on ")?.parse();
        Ok(Self {
            process,
            address,
            log,
        })
    }

    /// Of the server's whole life, with so many Gets in it.
    fn instructions(self, stage: &Stage, shape: Shape, requests: u64) -> Result<u64, Failure> {
        let value = probe::value(VALUE_BYTES);
        // The canned ones refuse a Put and don't need it.
        let probe = Probe::connect(&self.address)?;
        let _refused = probe.put(probe::with_region(probe::put_request(KEY, &value)));
        probe.check_get(KEY, &value)?;
        let load = H2load::new(
            stage.load_core,
            shape,
            &self.address,
            grpc::GET,
            &probe::get_request(KEY),
            AnswerBytes::AtLeast(VALUE_BYTES as u64),
        )?;
        load.run(requests)?;
        drop(probe);
        self.process.end()?;
        let log = fs::read_to_string(self.log.path())?;
        log.lines()
            .find_map(|line| line.split_once("Collected : "))
            .and_then(|(_, count)| count.trim().parse().ok())
            .ok_or(Failure::Unreadable {
                program: "valgrind",
                what: "Collected",
            })
    }
}

/// What credcache answers, for those that can't know.
fn answer(stage: &Stage) -> Result<Vec<u8>, Failure> {
    let server = stage.credcache(None)?;
    let probe = Probe::connect(server.on(Transport::Tcp))?;
    let value = probe::value(VALUE_BYTES);
    probe.put(probe::with_region(probe::put_request(KEY, &value)))?;
    Ok(probe.check_get(KEY, &value)?.encode_to_vec())
}
