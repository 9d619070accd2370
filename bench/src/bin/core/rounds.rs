//! Rounds of lookups: every cache in turn, on the same keys.

use std::{fmt, hint::black_box, sync::Barrier, thread, time::Instant};

use credcache_bench::statistics::{Row, ratios, turns};

use crate::{
    contestant::{Contestant, Kind},
    keys::Drawn,
};

pub(crate) struct Rounds {
    pub(crate) entries: u32,
    pub(crate) rounds: u32,
    pub(crate) gets: u32,
    pub(crate) threads: u32,
    pub(crate) pace: Pace,
}

/// How lookups follow each other.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Each waits for what the last found: what one takes among other work.
    Chained,
    /// None waits: a processor begins the next ones while it waits for memory,
    /// as far as it can see ahead.
    InARow,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chained => "chained",
            Self::InARow => "in a row",
        })
    }
}

/// How many keys are made at a time: few enough to stay in a core's cache.
const BATCH: u32 = 2_000;

impl Rounds {
    /// What a lookup takes in each cache, and the ratios to the first cache.
    pub(crate) fn measure(&self, caches: &[(Kind, Box<dyn Contestant>)]) -> Vec<Row> {
        let mut nanos = vec![Vec::new(); caches.len()];
        // One round more, which warms up.
        for round in 0..=self.rounds {
            for nth in turns(round as usize, caches.len()) {
                let time = self.round(&*caches[nth].1, round);
                if round > 0 {
                    nanos[nth].push(time);
                }
            }
        }
        let Self {
            entries,
            threads,
            pace,
            ..
        } = self;
        let of = format!("{pace}, {entries} entries, {threads} threads");
        let measured = || caches.iter().map(|(kind, _)| kind).zip(&nanos);
        let times = measured().map(|(kind, nanos)| {
            Row::new(format!("{kind} get, {of}"), "ns", nanos.iter().copied())
        });
        let by_first = measured().skip(1).map(|(kind, others)| {
            let name = format!("{kind} / {} get, {of}", caches[0].0);
            Row::new(name, "x", ratios(others, &nanos[0]))
        });
        times.chain(by_first).collect()
    }

    /// Nanoseconds for a lookup, by the slowest thread.
    fn round(&self, cache: &dyn Contestant, round: u32) -> f64 {
        let start = Barrier::new(self.threads as usize);
        let looked_up = |thread: u32| {
            let seed = u64::from(round) << 32 | u64::from(thread);
            start.wait();
            self.lookups(cache, seed)
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| scope.spawn(move || looked_up(thread)))
                .collect();
            let times = threads.into_iter().map(|thread| thread.join());
            times.fold(0.0_f64, |slowest, time| match time {
                Ok(time) => slowest.max(time),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    fn lookups(&self, cache: &dyn Contestant, seed: u64) -> f64 {
        let batches = self.gets.div_ceil(BATCH);
        let mut nanos = 0;
        for batch in 0..batches {
            let keys = Drawn::new(BATCH, self.entries, seed << 16 | u64::from(batch));
            let start = now();
            match self.pace {
                Pace::InARow => keys.iter().for_each(|key| {
                    look_up(cache, key);
                }),
                Pace::Chained => keys.chase(|key| look_up(cache, key)),
            }
            nanos += start.elapsed().as_nanos();
        }
        nanos as f64 / f64::from(batches * BATCH)
    }
}

/// What the key's value begins with.
///
/// # Panics
/// It isn't there: there is no figure of lookups that miss.
#[expect(clippy::panic, reason = "ends the run, from any thread")]
pub(crate) fn look_up(cache: &dyn Contestant, key: &str) -> u8 {
    match black_box(cache.first_byte(black_box(key))) {
        Some(byte) => byte,
        None => panic!("a lookup missed"),
    }
}

#[expect(clippy::disallowed_methods, reason = "measures; nothing expires by it")]
fn now() -> Instant {
    Instant::now()
}
