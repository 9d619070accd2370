//! From the rounds to the table and the JSON.

use std::fmt;

use serde_json::{Value, json};

/// What was measured, each with its spread over the rounds.
#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

struct Row {
    name: String,
    unit: &'static str,
    median: f64,
    min: f64,
    max: f64,
}

impl Rows {
    /// What each side took in each round, the yardstick first.
    pub(crate) fn add(&mut self, place: &str, taken: &[(&str, Vec<f64>)]) {
        for (side, nanoseconds) in taken {
            let name = format!("{side}/{place}");
            self.0.push(Row::new(name, "ns", nanoseconds.clone()));
        }
        let Some(((yardstick, least), others)) = taken.split_first() else {
            return;
        };
        for (side, nanoseconds) in others {
            let ratios = nanoseconds.iter().zip(least).map(|(one, raw)| one / raw);
            let name = format!("{side}_by_{yardstick}/{place}");
            self.0.push(Row::new(name, "ratio", ratios.collect()));
        }
    }

    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        let rows: Vec<Value> = self
            .0
            .iter()
            .map(|row| {
                json!({
                    "name": row.name,
                    "unit": row.unit,
                    "median": row.median,
                    "min": row.min,
                    "max": row.max,
                })
            })
            .collect();
        serde_json::to_string_pretty(&rows)
    }
}

impl Row {
    fn new(name: String, unit: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self {
            name,
            unit,
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            min: at(0),
            max: at(last),
        }
    }
}

/// A Markdown table; a name is what/pace/entries/threads.
impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what/pace/entries/threads | unit | median | min | max |"
        )?;
        writeln!(f, "|---|---|--:|--:|--:|")?;
        for Row {
            name,
            unit,
            median,
            min,
            max,
        } in &self.0
        {
            writeln!(f, "| {name} | {unit} | {median:.2} | {min:.2} | {max:.2} |")?;
        }
        Ok(())
    }
}
