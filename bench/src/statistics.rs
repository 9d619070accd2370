//! What is said of several figures together: the spread of a contestant's
//! rounds, ratios within the rounds, percentiles of latencies. Every program of
//! the bench takes its statistics from here.

use serde_json::{Value, json};

/// The median of the rounds, the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The figure in the middle; of an even number, halfway between the two.
    pub median: f64,
    /// The least figure.
    pub min: f64,
    /// The greatest figure.
    pub max: f64,
}

impl Spread {
    /// The spread of these figures. All parts are NaN if there are no figures.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self {
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            min: at(0),
            max: at(last),
        }
    }
}

/// The ratio of two contestants in each round that both took part in.
pub fn ratios(over: &[f64], under: &[f64]) -> Vec<f64> {
    let rounds = over.iter().zip(under);
    rounds.map(|(over, under)| over / under).collect()
}

/// The value that `per_mille` of these ascending values do not exceed; `None`
/// if there are no values.
#[must_use]
pub fn percentile<T: Copy>(ascending: &[T], per_mille: usize) -> Option<T> {
    let index = ascending.len().saturating_sub(1) * per_mille / 1000;
    ascending.get(index).copied()
}

/// The order in which `count` contestants take their turns in a round. Another
/// contestant begins each round, so that a drift of the machine favours none.
pub fn turns(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |turn| (round + turn) % count)
}

/// One figure of a report, by its spread over the rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The unit of the spread's figures.
    pub unit: String,
    /// The spread over the rounds.
    pub spread: Spread,
}

impl Row {
    /// The row for one figure of each round.
    pub fn new(name: String, unit: &str, rounds: impl IntoIterator<Item = f64>) -> Self {
        Self {
            name,
            unit: unit.to_owned(),
            spread: Spread::of(rounds),
        }
    }

    /// The row as programs exchange it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Spread { median, min, max } = self.spread;
        json!({
            "name": self.name,
            "unit": self.unit,
            "median": median,
            "min": min,
            "max": max,
        })
    }

    /// The row that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// The name of the field that is missing or not a figure.
    pub fn from_json(row: &Value) -> Result<Self, &'static str> {
        let text = |field| row[field].as_str().ok_or(field);
        let number = |field| row[field].as_f64().ok_or(field);
        Ok(Self {
            name: text("name")?.to_owned(),
            unit: text("unit")?.to_owned(),
            spread: Spread {
                median: number("median")?,
                min: number("min")?,
                max: number("max")?,
            },
        })
    }
}

/// A line of a table with aligned columns.
impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, unit, spread } = self;
        let Spread { median, min, max } = spread;
        write!(f, "{name:56} {median:9.2} {unit:12} ({min:.2} to {max:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_count_lies_between_the_middle_two() {
        let Spread { median, min, max } = Spread::of([4.0, 1.0, 9.0, 2.0]);
        assert_eq!((median, min, max), (3.0, 1.0, 9.0));
    }

    #[test]
    fn median_of_an_odd_count_is_the_middle_one() {
        assert_eq!(Spread::of([5.0, 1.0, 2.0]).median, 2.0);
    }

    #[test]
    fn spread_of_no_figures_is_not_a_number() {
        let Spread { median, min, max } = Spread::of([]);
        assert!(median.is_nan() && min.is_nan() && max.is_nan());
    }

    #[test]
    fn ratios_are_taken_within_each_round() {
        assert_eq!(ratios(&[10.0, 40.0], &[10.0, 20.0, 60.0]), [1.0, 2.0]);
    }

    #[test]
    fn percentile_is_one_of_the_values() {
        let ascending: Vec<u64> = (1..=1001).collect();
        let at = |per_mille| percentile(&ascending, per_mille);
        assert_eq!(
            [at(500), at(990), at(1000)],
            [Some(501), Some(991), Some(1001)]
        );
        assert_eq!(percentile(&[7], 999), Some(7));
        assert_eq!(percentile::<u64>(&[], 500), None);
    }

    #[test]
    fn every_contestant_begins_a_round() {
        let orders: Vec<Vec<usize>> = (1..4).map(|round| turns(round, 3).collect()).collect();
        assert_eq!(orders, [[1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }

    #[test]
    fn row_reads_as_it_is_written() {
        let row = Row::new("core get".to_owned(), "ns", [3.0, 1.0, 2.0]);
        let written = row.to_json();
        assert_eq!(Row::from_json(&written), Ok(row));
        let figures =
            json!({"name": "core get", "unit": "ns", "median": 2.0, "min": 1.0, "max": 3.0});
        assert_eq!(written, figures);
    }
}
