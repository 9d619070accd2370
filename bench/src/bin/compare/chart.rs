//! The rates as bars, in SVG: the median, and a line from the least to the most
//! of the rounds.

use std::fmt::{self, Write};

use crate::report::{Report, Series};

/// What is drawn: what has a rate, and others beside it.
const SECTIONS: [&str; 4] = ["get", "unix", "batch", "calls"];
const WIDTH: f64 = 860.0;
/// Left of the bars, for who it is; right of them, for the figure.
const LEFT: f64 = 250.0;
const RIGHT: f64 = 90.0;
const ROW: f64 = 22.0;
const HEADING: f64 = 34.0;
const BAR: f64 = 14.0;

pub(crate) fn svg(report: &Report) -> Result<String, fmt::Error> {
    let groups = groups(report);
    let rows: usize = groups.iter().map(Vec::len).sum();
    let height = HEADING * groups.len() as f64 + ROW * rows as f64 + ROW;
    let mut out = String::new();
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">"
    )?;
    writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")?;
    let mut y = 0.0;
    for group in &groups {
        y += HEADING;
        draw(&mut out, group, y)?;
        y += ROW * group.len() as f64;
    }
    writeln!(out, "</svg>")?;
    Ok(out)
}

/// What was measured in turn, together.
fn groups(report: &Report) -> Vec<Vec<&Series>> {
    let mut groups: Vec<Vec<&Series>> = Vec::new();
    let drawn = |series: &&Series| SECTIONS.contains(&series.section.as_str());
    for series in report.series.iter().filter(drawn) {
        match groups.last_mut() {
            Some(group) if group[0].section == series.section && group[0].case == series.case => {
                group.push(series);
            }
            _ => groups.push(vec![series]),
        }
    }
    groups
}

fn draw(out: &mut String, group: &[&Series], top: f64) -> fmt::Result {
    let most = group.iter().map(|series| series.spread.max);
    let scale = (WIDTH - LEFT - RIGHT) / most.fold(f64::MIN_POSITIVE, f64::max);
    let Series {
        section,
        case,
        unit,
        ..
    } = group[0];
    let heading = escaped(&format!("{section}: {case}, {unit}"));
    let y = top - 8.0;
    writeln!(
        out,
        "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{heading}</text>"
    )?;
    for (place, series) in group.iter().enumerate() {
        let y = top + ROW * place as f64;
        let (bar, middle, text) = (y + (ROW - BAR) / 2.0, y + ROW / 2.0, y + ROW / 2.0 + 4.0);
        let ours = series.subject.starts_with("credcache");
        let colour = if ours { "#1f77b4" } else { "#b8b8b8" };
        let subject = escaped(&series.subject);
        let spread = series.spread;
        let length = spread.median * scale;
        let (from, to) = (LEFT + spread.min * scale, LEFT + spread.max * scale);
        let label = to + 6.0;
        let figure = short(spread.median);
        write!(
            out,
            r##"<text x="10" y="{text}">{subject}</text>
<rect x="{LEFT}" y="{bar}" width="{length:.1}" height="{BAR}" fill="{colour}"/>
<line x1="{from:.1}" x2="{to:.1}" y1="{middle}" y2="{middle}" stroke="#222"/>
<text x="{label:.1}" y="{text}">{figure}</text>
"##
        )?;
    }
    Ok(())
}

fn short(rate: f64) -> String {
    if rate >= 1e6 {
        format!("{:.2} M", rate / 1e6)
    } else {
        format!("{:.1} k", rate / 1e3)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_a_group_and_each_subject_a_bar() {
        let mut report = Report::default();
        report.add(("get", "small", "echo"), "Gets/s", vec![100.0]);
        report.add(("get", "small", "credcache"), "Gets/s", vec![50.0]);
        report.add(("get", "large", "credcache"), "Gets/s", vec![5.0]);
        report.add(("memory", "large", "credcache"), "B", vec![5.0]);
        let chart = svg(&report).unwrap();
        assert_eq!(chart.matches("font-weight").count(), 2);
        assert_eq!(chart.matches("<line").count(), 3);
        // Half of the longest, which fills the width.
        assert!(chart.contains("width=\"520.0\"") && chart.contains("width=\"260.0\""));
    }

    #[test]
    fn names_are_no_markup() {
        assert_eq!(escaped("a<b & c"), "a&lt;b &amp; c");
    }
}
