//! From the rounds to the table.

use std::{fmt, time::Duration};

/// One server under load once.
pub(crate) struct Sample {
    pub(crate) requests: u64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// What the server took of its core meanwhile.
    pub(crate) processor_time: Duration,
}

impl Sample {
    /// How busy the server kept its core, in percent. Well below 100 the load
    /// was the limit, or somebody else took the core, and the rate says little
    /// about the server; the processor time of a Get still does.
    fn busy(&self) -> f64 {
        100.0 * self.processor_time.as_secs_f64() * self.rate / self.requests as f64
    }

    fn microseconds_each(&self) -> f64 {
        1e6 * self.processor_time.as_secs_f64() / self.requests as f64
    }
}

/// The rounds so far, pairwise.
#[derive(Default)]
pub(crate) struct Report {
    echo: Vec<Sample>,
    credcache: Vec<Sample>,
}

impl Report {
    pub(crate) fn add(&mut self, echo: Sample, credcache: Sample) {
        self.echo.push(echo);
        self.credcache.push(credcache);
    }

    /// credcache's rate as a part of the echo's in the same round.
    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.echo
            .iter()
            .zip(&self.credcache)
            .map(|(echo, credcache)| credcache.rate / echo.rate)
    }
}

/// A Markdown table: median, least and most of the rounds.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | median | min | max | CPU per Get | core busy |")?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|")?;
        for (name, samples) in [("echo", &self.echo), ("credcache", &self.credcache)] {
            let rate = Spread::of(samples.iter().map(|sample| sample.rate));
            let each = Spread::of(samples.iter().map(Sample::microseconds_each));
            let busy = Spread::of(samples.iter().map(Sample::busy));
            writeln!(
                f,
                "| {name}, Gets/s | {:.0} | {:.0} | {:.0} | {:.1} µs | {:.0} % |",
                rate.median, rate.min, rate.max, each.median, busy.median
            )?;
        }
        let Spread { median, min, max } = Spread::of(self.ratios());
        write!(
            f,
            "| credcache ÷ echo, by round | {median:.3} | {min:.3} | {max:.3} | | |"
        )
    }
}

/// One round, as it goes by.
pub(crate) fn line(echo: &Sample, credcache: &Sample) -> String {
    let ratio = credcache.rate / echo.rate;
    format!(
        "echo {:.0}/s, credcache {:.0}/s, ratio {ratio:.3}",
        echo.rate, credcache.rate
    )
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// NaN throughout without values.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            at(middle)
        } else {
            f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
        };
        Self {
            median,
            min: at(0),
            max: at(sorted.len().wrapping_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_count_lies_between_the_middle_two() {
        let Spread { median, min, max } = Spread::of([4.0, 1.0, 9.0, 2.0].into_iter());
        assert_eq!((median, min, max), (3.0, 1.0, 9.0));
    }

    #[test]
    fn median_of_an_odd_count_is_the_middle_one() {
        assert_eq!(Spread::of([5.0, 1.0, 2.0].into_iter()).median, 2.0);
    }

    #[test]
    fn busy_is_processor_time_over_the_time_the_round_took() {
        // 1000 requests at 2000 a second took half a second, 0.4 s of it on the core.
        let sample = Sample {
            requests: 1000,
            rate: 2000.0,
            processor_time: Duration::from_millis(400),
        };
        assert_eq!(sample.busy().round(), 80.0);
        assert_eq!(sample.microseconds_each().round(), 400.0);
    }
}
