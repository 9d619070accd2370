//! The result for people, in Markdown, and for programs, in JSON.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use crate::{
    figures::Spread,
    machine::Facts,
    report::{Core, Report, Series},
    targets::{TARGETS, Target},
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
            Some(spread) => {
                let Spread { median, min, max } = spread;
                let verdict = if bound.is_met_by(spread) {
                    "met"
                } else {
                    "not met"
                };
                writeln!(
                    out,
                    "| {what} | {bound} | {median:.2} | {min:.2} | {max:.2} | {verdict} |"
                )?;
            }
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
        core,
        ..
    } = series;
    // As many digits as say something.
    let digits = if *median < 100.0 { 2 } else { 0 };
    write!(
        out,
        "| {case} | {subject} | {median:.digits$} | {min:.digits$} | {max:.digits$} | {unit} |"
    )?;
    match core {
        Some(Core { busy, each, others }) => {
            writeln!(out, " {each:.2} µs | {busy:.0} % | {others:.0} % |")
        }
        None => writeln!(out, " | | |"),
    }
}

pub(crate) fn json(facts: &Facts, report: &Report) -> Value {
    let facts: serde_json::Map<String, Value> = facts
        .iter()
        .map(|(name, fact)| ((*name).to_owned(), fact.as_str().into()))
        .collect();
    let rows: Vec<Value> = report.series.iter().map(series_json).collect();
    let targets = TARGETS.iter().map(|target| {
        let reached = target.reached(report);
        json!({
            "what": target.what,
            "bound": target.bound.to_string(),
            "median": reached.map(|spread| spread.median),
            "min": reached.map(|spread| spread.min),
            "max": reached.map(|spread| spread.max),
            "met": reached.map(|spread| target.bound.is_met_by(spread)),
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

fn series_json(series: &Series) -> Value {
    let Series {
        section,
        case,
        subject,
        unit,
        rounds,
        spread: Spread { median, min, max },
        core,
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
        "cpu_each_us": core.map(|core| core.each),
        "core_busy_percent": core.map(|core| core.busy),
        "others_percent": core.map(|core| core.others),
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
            "| Get 1 KiB 10×10 ÷ echo | ≥ 1.1 | 1.05 | 0.90 | 1.20 | not met |",
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
        assert_eq!(json["targets"][0]["met"], json!(false));
        assert_eq!(json["targets"][1]["met"], Value::Null);
    }
}
