//! The result for people, in Markdown, and for programs, in JSON.

use std::fmt::{self, Write};

use credcache_bench::statistics::Spread;
use serde_json::{Value, json};

use crate::{
    machine::Facts,
    report::{Report, Series},
    targets::{Reached, TARGETS, Target},
};

pub(crate) fn markdown(facts: &Facts, report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::new();
    for (name, fact) in facts {
        writeln!(out, "- {name}: {fact}")?;
    }
    writeln!(
        out,
        "\n| target | at least or most | median | min | max | |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|---|")?;
    for target in TARGETS {
        let Target { what, bound, .. } = target;
        match target.reached(report) {
            Some(Reached {
                spread: Spread { median, min, max },
                verdict,
                basis,
            }) => writeln!(
                out,
                "| {what} | {bound} | {median:.2} | {min:.2} | {max:.2} | {}, by {} |",
                verdict.name(),
                basis.name()
            )?,
            None => writeln!(out, "| {what} | {bound} | | | | not measured |")?,
        }
    }
    let mut heading = "";
    for series in &report.series {
        if series.section != heading {
            heading = &series.section;
            writeln!(
                out,
                "\n| {heading} | | median | min | max | unit | CPU each | core busy | others |"
            )?;
            writeln!(out, "|---|---|--:|--:|--:|---|--:|--:|--:|")?;
        }
        row(&mut out, series)?;
    }
    for (what, why) in &report.not_measured {
        writeln!(out, "\n{what}: not measured: {why}.")?;
    }
    Ok(out)
}

fn row(out: &mut String, series: &Series) -> fmt::Result {
    let Series {
        case,
        subject,
        unit,
        spread: Spread { median, min, max },
        ..
    } = series;
    // As many digits as say something.
    let digits = if *median < 100.0 { 2 } else { 0 };
    write!(
        out,
        "| {case} | {subject} | {median:.digits$} | {min:.digits$} | {max:.digits$} | {unit} |"
    )?;
    let cell = |of, digits, unit| match series.median(of) {
        Some(median) => format!(" {median:.digits$} {unit} |"),
        None => " |".to_owned(),
    };
    let each = cell(|sample| sample.each, 2, "µs");
    let busy = cell(|sample| sample.busy, 0, "%");
    let others = cell(|sample| sample.others, 0, "%");
    writeln!(out, "{each}{busy}{others}")
}

pub(crate) fn json(facts: &Facts, report: &Report) -> Value {
    let facts: serde_json::Map<String, Value> = facts
        .iter()
        .map(|(name, fact)| ((*name).to_owned(), fact.as_str().into()))
        .collect();
    let rows: Vec<Value> = report.series.iter().map(row_json).collect();
    let targets = TARGETS.iter().map(|target| {
        let reached = target.reached(report);
        json!({
            "what": target.what,
            "bound": target.bound.to_string(),
            "median": reached.map(|reached| reached.spread.median),
            "min": reached.map(|reached| reached.spread.min),
            "max": reached.map(|reached| reached.spread.max),
            "verdict": reached.map(|reached| reached.verdict.name()),
            "by": reached.map(|reached| reached.basis.name()),
        })
    });
    let not_measured = report.not_measured.iter();
    json!({
        "machine": facts,
        "targets": targets.collect::<Vec<_>>(),
        "rows": rows,
        "not_measured": not_measured
            .map(|(what, why)| json!({ "what": what, "why": why }))
            .collect::<Vec<_>>(),
    })
}

fn row_json(series: &Series) -> Value {
    let Series {
        section,
        case,
        subject,
        unit,
        rounds,
        spread: Spread { median, min, max },
        ..
    } = series;
    json!({
        "section": section,
        "case": case,
        "subject": subject,
        "unit": unit,
        "median": median,
        "min": min,
        "max": max,
        "rounds": rounds,
        "cpu_each_us": series.median(|sample| sample.each),
        "cpu_each_us_rounds": series.processor_times(),
        "core_busy_percent": series.median(|sample| sample.busy),
        "others_percent": series.median(|sample| sample.others),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.add(
            ("get", "1 KiB, 10×10", "credcache"),
            "Gets/s",
            vec![90.0, 120.0],
        );
        report.add(
            ("get", "1 KiB, 10×10", "echo"),
            "Gets/s",
            vec![100.0, 100.0],
        );
        report.not_measured("etcd", "etcd isn't installed");
        report
    }

    #[test]
    fn table_tells_the_targets_the_figures_and_what_is_missing() {
        let text = markdown(&vec![("kernel", "Linux".to_owned())], &report()).unwrap();
        for line in [
            "- kernel: Linux",
            "| Get 1 KiB 10×10 ÷ echo | ≥ 1.1 | 1.05 | 0.90 | 1.20 | not met, by the figure |",
            "| Get 1 KiB 10×10 ÷ ceiling | ≥ 0.9 | | | | not measured |",
            "| 1 KiB, 10×10 | credcache | 105 | 90 | 120 | Gets/s | | | |",
            "etcd: not measured: etcd isn't installed.",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn json_keeps_every_round() {
        let json = json(&Vec::new(), &report());
        assert_eq!(json["rows"][0]["rounds"], json!([90.0, 120.0]));
        assert_eq!(json["targets"][0]["verdict"], json!("not met"));
        assert_eq!(json["targets"][1]["verdict"], Value::Null);
    }
}
