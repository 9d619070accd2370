//! What was measured, round by round, and what wasn't and why.

use std::fmt::Display;

use credcache_bench::statistics::Spread;

use crate::{failure::Failure, sample::Sample};

/// The figures of one subject under one load, one a round.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// The part of the run: `get`, `batch` …
    pub(crate) section: String,
    /// The load: `1 KiB, 10×10`. What stands in one case was measured in turn.
    pub(crate) case: String,
    /// Who was measured.
    pub(crate) subject: String,
    pub(crate) unit: String,
    /// None where only their spread is known.
    pub(crate) rounds: Vec<f64>,
    pub(crate) spread: Spread,
    /// Those that the rounds are from, where a server was loaded.
    pub(crate) samples: Vec<Sample>,
}

impl Series {
    /// The samples' median of one of their figures; `None` without samples.
    pub(crate) fn median(&self, of: fn(&Sample) -> f64) -> Option<f64> {
        let figures = self.samples.iter().map(of);
        (!self.samples.is_empty()).then(|| Spread::of(figures).median)
    }

    /// The processor time of an operation in each round, in microseconds.
    pub(crate) fn processor_times(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.each).collect()
    }
}

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) series: Vec<Series>,
    /// What, and why.
    pub(crate) not_measured: Vec<(String, String)>,
}

/// Where a figure belongs: section, case, subject.
pub(crate) type Place<'a> = (&'a str, &'a str, &'a str);

impl Report {
    pub(crate) fn add(&mut self, place: Place<'_>, unit: &str, rounds: Vec<f64>) {
        let spread = Spread::of(rounds.iter().copied());
        self.push(place, unit, rounds, spread, Vec::new());
    }

    pub(crate) fn add_spread(&mut self, place: Place<'_>, unit: &str, spread: Spread) {
        self.push(place, unit, Vec::new(), spread, Vec::new());
    }

    pub(crate) fn add_samples(&mut self, place: Place<'_>, unit: &str, samples: &[Sample]) {
        let rates: Vec<f64> = samples.iter().map(|sample| sample.rate).collect();
        let spread = Spread::of(rates.iter().copied());
        self.push(place, unit, rates, spread, samples.to_vec());
    }

    pub(crate) fn not_measured(&mut self, what: impl Into<String>, why: impl Display) {
        let what = what.into();
        println!("{what}: not measured: {why}");
        self.not_measured.push((what, why.to_string()));
    }

    /// What came of somebody who may not be there; a line in the report if they
    /// aren't. Any other failure is one of the run.
    pub(crate) fn if_there<T>(
        &mut self,
        what: &str,
        outcome: Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        match outcome {
            Ok(outcome) => Ok(Some(outcome)),
            Err(why) if why.is_absence() => {
                self.not_measured(what, why);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    pub(crate) fn find(&self, (section, case, subject): Place<'_>) -> Option<&Series> {
        self.series.iter().find(|series| {
            series.section == section && series.case == case && series.subject == subject
        })
    }

    fn push(
        &mut self,
        (section, case, subject): Place<'_>,
        unit: &str,
        rounds: Vec<f64>,
        spread: Spread,
        samples: Vec<Sample>,
    ) {
        self.series.push(Series {
            section: section.to_owned(),
            case: case.to_owned(),
            subject: subject.to_owned(),
            unit: unit.to_owned(),
            rounds,
            spread,
            samples,
        });
    }
}
