//! A figure of every round, and what is said of them together.

use std::time::Duration;

/// One server under load once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Operations a second.
    pub(crate) rate: f64,
    /// How busy the server kept its core, in percent. Well below 100 the load
    /// was the limit, or somebody else took the core, and the rate says little
    /// about the server; the processor time of an operation still does.
    pub(crate) busy: f64,
    /// Processor time of an operation, in microseconds.
    pub(crate) each: f64,
    /// What others took of the machine meanwhile, in percent of one core.
    pub(crate) others: f64,
}

impl Sample {
    /// From `operations` at this `rate`, for which the server took
    /// `processor_time`, and others took theirs.
    pub(crate) fn of(
        operations: u64,
        rate: f64,
        processor_time: Duration,
        others: Duration,
    ) -> Self {
        let each = processor_time.as_secs_f64() / operations as f64;
        Self {
            rate,
            busy: 100.0 * each * rate,
            each: 1e6 * each,
            others: 100.0 * others.as_secs_f64() * rate / operations as f64,
        }
    }

    /// Of the parts of each operation.
    pub(crate) fn divided(self, parts: u32) -> Self {
        Self {
            rate: self.rate * f64::from(parts),
            each: self.each / f64::from(parts),
            ..self
        }
    }
}

/// The middle, the least and the most of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// NaN throughout without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
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
        let Spread { median, min, max } = Spread::of([4.0, 1.0, 9.0, 2.0]);
        assert_eq!((median, min, max), (3.0, 1.0, 9.0));
    }

    #[test]
    fn median_of_an_odd_count_is_the_middle_one() {
        assert_eq!(Spread::of([5.0, 1.0, 2.0]).median, 2.0);
    }

    /// 1000 requests at 2000 a second took half a second, 0.4 s of it on the core.
    fn sample() -> Sample {
        let [server, others] = [400, 50].map(Duration::from_millis);
        Sample::of(1000, 2000.0, server, others)
    }

    #[test]
    fn busy_is_processor_time_over_the_time_the_round_took() {
        let sample = sample();
        assert_eq!(sample.busy.round(), 80.0);
        assert_eq!(sample.each.round(), 400.0);
        assert_eq!(sample.others.round(), 10.0);
    }

    #[test]
    fn batch_divided_by_its_keys_keeps_the_core_as_busy() {
        let sample = sample().divided(100);
        assert_eq!(sample.rate.round(), 200_000.0);
        assert_eq!(sample.each.round(), 4.0);
        assert_eq!(sample.busy.round(), 80.0);
    }
}
