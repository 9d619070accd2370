//! Lookups in the process beside raw quick_cache and moka, by the programs
//! `core` and `near`, whose rows are taken over.

use std::fs;

use serde_json::Value;

use crate::{failure::Failure, figures::Spread, process, report::Report, servers::Stage};

/// Each with arguments of its own.
const PROGRAMS: [(&str, &[&str]); 2] = [
    ("core", &[]),
    ("near", &["--entries", "100000", "--threads", "1"]),
];

pub(super) fn measure(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    for (program, arguments) in PROGRAMS {
        take_over(program, arguments, stage, report)?;
    }
    Ok(())
}

fn take_over(
    name: &'static str,
    arguments: &[&str],
    stage: &Stage,
    report: &mut Report,
) -> Result<(), Failure> {
    let program = stage.beside.join(name);
    if !program.is_file() {
        report.not_measured("lookups in the process", "a program isn't built");
        return Ok(());
    }
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().display().to_string();
    // They measure on one thread and on two.
    let cores = format!("{},{}", stage.server_core, stage.load_core);
    let program = program.display().to_string();
    let mut command = vec!["-c", &cores, &program, "--json", &path];
    command.extend(arguments);
    process::run("taskset", command)?;
    let rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(file.path())?)?;
    for row in &rows {
        let text = |field| row[field].as_str().unwrap_or_default();
        let number = |field| {
            row[field].as_f64().ok_or(Failure::Unreadable {
                program: name,
                what: field,
            })
        };
        let spread = Spread {
            median: number("median")?,
            min: number("min")?,
            max: number("max")?,
        };
        report.add_spread(
            ("core", "in the process", text("name")),
            text("unit"),
            spread,
        );
    }
    Ok(())
}
