//! Rounds of lookups: every cache in turn, on the same keys.

use credcache_bench::{
    lookups::{Missed, Pace, Side, contest, in_threads, time},
    statistics::Row,
};

use crate::{
    contestant::{Contestant, Kind},
    keys::drawn,
};

pub(crate) struct Rounds {
    pub(crate) entries: u32,
    pub(crate) rounds: u32,
    pub(crate) gets: u32,
    pub(crate) threads: u32,
    pub(crate) pace: Pace,
}

/// How many keys are made at a time: few enough to stay in a core's cache.
const BATCH: u32 = 2_000;

impl Rounds {
    /// What a lookup takes in each cache, and the ratios to the first cache.
    pub(crate) fn measure(
        &self,
        caches: &[(Kind, Box<dyn Contestant>)],
    ) -> Result<Vec<Row>, Missed> {
        let Self {
            entries,
            threads,
            pace,
            ..
        } = self;
        let case = format!("{pace}, {entries} entries, {threads} threads");
        let sides = caches.iter().map(|(kind, cache)| {
            Side::new(&kind.to_string(), move |round| {
                let seed = |thread| u64::from(round) << 32 | u64::from(thread);
                let times = in_threads(*threads, |thread| self.lookups(&**cache, seed(thread)))?;
                // The slowest thread's.
                Ok(times.into_iter().fold(0.0, f64::max))
            })
        });
        contest(self.rounds, &case, &sides.collect::<Vec<_>>())
    }

    fn lookups(&self, cache: &dyn Contestant, seed: u64) -> Result<f64, Missed> {
        let batches = self.gets.div_ceil(BATCH);
        let mut nanoseconds = 0.0;
        for batch in 0..batches {
            let keys = drawn(BATCH, self.entries, seed << 16 | u64::from(batch));
            nanoseconds += time(self.pace, &keys, 0..keys.len(), |key| cache.first_byte(key))?;
        }
        Ok(nanoseconds / f64::from(batches * BATCH))
    }
}
