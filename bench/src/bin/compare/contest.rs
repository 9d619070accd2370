//! Rounds in which everybody is loaded in turn.

use credcache_bench::statistics::turns;

use crate::{
    failure::Failure, process::Process, processors::Spent, report::Report, sample::Sample,
};

/// A warm-up is this part of a round's load.
const WARM_UP: f64 = 0.5;
/// Enough to tell about how fast somebody is.
const FIRST_REQUESTS: u64 = 2_000;

/// Sends that many requests, checks the answers, and tells the rate.
type Load<'a> = Box<dyn FnMut(u64) -> Result<f64, Failure> + 'a>;

/// A server, and the load it is put under.
pub(crate) struct Contender<'a> {
    subject: String,
    process: &'a Process,
    /// Operations in one request.
    parts: u32,
    load: Load<'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(
        subject: impl Into<String>,
        process: &'a Process,
        load: impl FnMut(u64) -> Result<f64, Failure> + 'a,
    ) -> Self {
        Self {
            subject: subject.into(),
            process,
            parts: 1,
            load: Box::new(load),
        }
    }

    /// Each request asks for this many things, and their rate is what counts.
    pub(crate) fn of_parts(self, parts: u32) -> Self {
        Self { parts, ..self }
    }

    fn measure(&mut self, requests: u64) -> Result<Sample, Failure> {
        let (spent, before) = (Spent::so_far()?, self.process.processor_time()?);
        let rate = (self.load)(requests)?;
        let processor_time = self.process.processor_time()? - before;
        let others = Spent::so_far()?.by_others_since(spent, processor_time);
        Ok(Sample::of(requests, rate, processor_time, others))
    }

    /// Warms it up; how many requests fill a round of `seconds`.
    fn requests_in(&mut self, seconds: f64) -> Result<u64, Failure> {
        let rough = (self.load)(FIRST_REQUESTS)?;
        let rate = (self.load)(count(rough * seconds * WARM_UP))?;
        Ok(count(rate * seconds))
    }
}

/// How long to measure, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) rounds: u32,
    /// Of one contender in one round, about.
    pub(crate) seconds: f64,
}

impl Rounds {
    /// Loads all in turn. Who goes first changes from round to round, so that a
    /// drift of the machine favours nobody.
    pub(crate) fn contest(
        self,
        report: &mut Report,
        (section, case): (&str, &str),
        unit: &str,
        mut contenders: Vec<Contender<'_>>,
    ) -> Result<(), Failure> {
        let mut requests = Vec::new();
        for contender in &mut contenders {
            requests.push(contender.requests_in(self.seconds)?);
        }
        let mut samples = vec![Vec::new(); contenders.len()];
        for round in 0..self.rounds as usize {
            for next in turns(round, contenders.len()) {
                let contender = &mut contenders[next];
                let sample = contender.measure(requests[next])?;
                samples[next].push(sample.divided(contender.parts));
            }
        }
        for (contender, samples) in contenders.iter().zip(&samples) {
            let place = (section, case, contender.subject.as_str());
            report.add_samples(place, unit, samples);
            if let Some(series) = report.find(place) {
                println!(
                    "{section}: {case}: {}: {:.0} {unit} ({:.0}–{:.0})",
                    contender.subject, series.spread.median, series.spread.min, series.spread.max
                );
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests in seconds"
)]
fn count(requests: f64) -> u64 {
    requests.max(100.0) as u64
}
