//! Instructions of a Get, counted by valgrind: the same on a noisy machine, so
//! that a regression shows there too. The released server itself is counted,
//! without the kernel and without the caller; starting, and whatever else
//! doesn't grow with the Gets, is left out by taking the difference of two
//! runs. The core alone is counted by the program `core`.

use std::{fs, path::Path};

use credcache_bench::counts::collected;

use super::filled::Filled;
use crate::{
    failure::Failure,
    grpc,
    h2load::{AnswerBytes, H2load, Shape},
    probe::{self, KEY, Probe},
    process::Process,
    report::Report,
    servers::{CANNED, Stage},
};

const SHAPES: [Shape; 2] = [Shape::new(1, 1), Shape::new(10, 10)];
const VALUE_BYTES: usize = 1024;
const FEW: u64 = 1_000;
const MANY: u64 = 6_000;

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    let answer = Filled::start(stage, VALUE_BYTES)?.answer;
    let mut servers = vec![(
        "credcache",
        stage.credcache.clone(),
        vec!["serve", "--listen"],
    )];
    servers.extend(CANNED.iter().map(|canned| {
        let program = stage.beside.join(canned.program);
        (canned.name, program, canned.arguments.to_vec())
    }));
    for (subject, program, mut arguments) in servers {
        arguments.push("127.0.0.1:0");
        for shape in SHAPES {
            let case = format!("1 KiB, {shape}");
            let count = |gets| counted(stage, &program, &arguments, &answer, shape, gets);
            let both = count(MANY).and_then(|many| Ok((many, count(FEW)?)));
            let what = format!("instructions of {subject}, {case}");
            let Some((many, few)) = report.if_there(&what, both)? else {
                continue;
            };
            let each = many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
            println!("{what}: {each:.0} a Get");
            let place = ("instructions", case.as_str(), subject);
            report.add(place, "instructions a Get", vec![each]);
        }
    }
    Ok(())
}

/// The instructions of a server's whole life, with so many Gets in it.
fn counted(
    stage: &Stage,
    program: &Path,
    arguments: &[&str],
    answer: &[u8],
    shape: Shape,
    gets: u64,
) -> Result<u64, Failure> {
    let log = tempfile::NamedTempFile::new()?;
    let log_file = format!("--log-file={}", log.path().display());
    let program = program.display().to_string();
    let valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let arguments = [
        &valgrind[..],
        &[log_file.as_str(), program.as_str()],
        arguments,
    ]
    .concat();
    let valgrind = Path::new("valgrind");
    let mut process = Process::start(valgrind, stage.server_core, &arguments, answer)?;
    let address = process.listening()?;

    let value = probe::value(VALUE_BYTES);
    let probe = Probe::connect(&address)?;
    // The canned ones refuse a Put and don't need it.
    let _refused = probe.put(probe::with_region(probe::put_request(KEY, &value)));
    probe.check_get(KEY, &value)?;
    let request = probe::get_request(KEY);
    let bytes = AnswerBytes::AtLeast(VALUE_BYTES as u64);
    let place = (address.as_str(), grpc::GET);
    H2load::new(stage.load_core, shape, place, &request, bytes)?.run(gets)?;
    drop(probe);
    process.end()?;
    let counts = collected(&fs::read_to_string(log.path())?);
    let instructions = counts.and_then(|counts| counts.first().copied());
    instructions.ok_or(Failure::Unreadable {
        program: "valgrind",
        what: "Collected",
    })
}
