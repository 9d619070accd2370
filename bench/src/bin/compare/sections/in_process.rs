//! What runs without a server: the core, and the client's near cache, beside
//! raw quick_cache, by the programs `core` and `near`, whose rows are taken over.

use std::fs;

use credcache_bench::statistics::Row;
use serde_json::Value;

use crate::{failure::Failure, process, report::Report, servers::Stage};

pub(super) fn measure(
    stage: &Stage,
    program: &'static str,
    report: &mut Report,
) -> Result<(), Failure> {
    let path = stage.beside.join(program);
    if !path.is_file() {
        report.not_measured(program, format!("the program {program} isn't built"));
        return Ok(());
    }
    println!("{program}: minutes, without a word");
    let file = tempfile::NamedTempFile::new()?;
    let json = file.path().display().to_string();
    // Each measures on one thread and on two.
    let cores = format!("{},{}", stage.server_core, stage.load_core);
    let path = path.display().to_string();
    process::run("taskset", ["-c", &cores, &path, "--json", &json])?;
    take_over(program, &fs::read_to_string(file.path())?, report)
}

fn take_over(program: &'static str, json: &str, report: &mut Report) -> Result<(), Failure> {
    for row in serde_json::from_str::<Vec<Value>>(json)? {
        let row = Row::from_json(&row).map_err(|what| Failure::Unreadable { program, what })?;
        let Row { name, unit, spread } = row;
        report.add_spread((program, "in the process", &name), &unit, spread);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{TARGETS, Verdict};

    #[test]
    fn rows_of_the_core_decide_its_targets() {
        let rows = r#"[
            {"name": "core / quick_cache get, chained, 1000000 entries, 1 threads",
             "unit": "x", "median": 1.5, "min": 1.25, "max": 2.5},
            {"name": "core get, in a row, 10000 entries, 1 threads",
             "unit": "ns", "median": 50.0, "min": 40.0, "max": 60.0},
            {"name": "core get, in a row, 10000000 entries, 1 threads",
             "unit": "ns", "median": 200.0, "min": 150.0, "max": 250.0}
        ]"#;
        let mut report = Report::default();
        take_over("core", rows, &mut report).unwrap();
        let reached = TARGETS.iter().filter_map(|target| {
            let reached = target.reached(&report)?;
            Some((reached.spread.median, reached.verdict))
        });
        let expected = [(1.5, Verdict::Inconclusive), (4.0, Verdict::NotMet)];
        assert_eq!(reached.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn row_without_a_figure_is_refused() {
        let row = r#"[{"name": "core get", "unit": "ns", "median": null, "min": 1, "max": 1}]"#;
        assert!(take_over("core", row, &mut Report::default()).is_err());
    }
}
