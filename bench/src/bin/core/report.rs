//! The figures, as they come, and as JSON.

use std::{fs, io, path::Path};

use serde_json::json;

/// One figure, by its median and its spread over the rounds.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

impl Row {
    /// From one figure of each round.
    pub(crate) fn of(name: String, unit: &'static str, mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self {
            name,
            unit,
            median: at(figures.len() / 2),
            min: at(0),
            max: at(figures.len().saturating_sub(1)),
        }
    }
}

impl Report {
    /// Prints it at once: a run takes minutes.
    pub(crate) fn add(&mut self, row: Row) {
        let Row {
            name,
            unit,
            median,
            min,
            max,
        } = &row;
        println!("{name:56} {median:9.2} {unit:12} ({min:.2} to {max:.2})");
        self.0.push(row);
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let rows: Vec<_> = self
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
        fs::write(path, serde_json::to_vec_pretty(&rows)?)
    }
}
