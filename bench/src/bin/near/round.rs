//! Threads that look names up, each in an order of its own, and for how long.

use credcache_bench::lookups::{Missed, Pace, in_threads, time};

pub(crate) struct Round<'a> {
    keys: &'a [String],
    /// One for each thread.
    orders: Vec<Vec<u32>>,
    lookups: u32,
}

impl<'a> Round<'a> {
    pub(crate) fn new(keys: &'a [String], threads: u32, lookups: u32) -> Self {
        let order = |seed: u32| {
            let mut order: Vec<u32> = (0..).take(keys.len()).collect();
            fastrand::Rng::with_seed(seed.into()).shuffle(&mut order);
            order
        };
        Self {
            keys,
            orders: (0..threads).map(order).collect(),
            lookups,
        }
    }

    /// Nanoseconds of a lookup in its thread, on average.
    pub(crate) fn time(
        &self,
        pace: Pace,
        first_byte: impl Fn(&str) -> Option<u8> + Sync,
    ) -> Result<f64, Missed> {
        let threads = u32::try_from(self.orders.len()).unwrap_or(u32::MAX);
        let times = in_threads(threads, |thread| {
            let order = self.orders[thread as usize].iter().cycle();
            let places = order.take(self.lookups as usize).map(|nth| *nth as usize);
            time(pace, self.keys, places, &first_byte)
        })?;
        Ok(times.iter().sum::<f64>() / f64::from(threads) / f64::from(self.lookups))
    }
}
