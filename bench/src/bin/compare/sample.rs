//! What is measured of a server in one round.

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

#[cfg(test)]
mod tests {
    use super::*;

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
