//! Threads that look names up, each in an order of its own, and for how long.

use std::{sync::Barrier, thread};

use tokio::time::Instant;

use crate::Outcome;

pub(crate) struct Round<'a> {
    keys: &'a [String],
    /// One for each thread.
    orders: Vec<Vec<u32>>,
    lookups: u32,
}

impl<'a> Round<'a> {
    pub(crate) fn new(keys: &'a [String], threads: usize, lookups: u32) -> Self {
        let order = |seed| {
            let mut draw = fastrand::Rng::with_seed(seed);
            let mut order: Vec<u32> = (0..).take(keys.len()).collect();
            draw.shuffle(&mut order);
            order
        };
        Self {
            keys,
            orders: (0..).take(threads).map(order).collect(),
            lookups,
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn threads(&self) -> usize {
        self.orders.len()
    }

    /// Nanoseconds of a lookup in its thread, on average; fails unless all hit.
    pub(crate) fn time(&self, hit: impl Fn(&str) -> bool + Sync) -> Outcome<f64> {
        let barrier = Barrier::new(self.orders.len());
        let (barrier, hit) = (&barrier, &hit);
        let taken: Vec<Option<f64>> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .orders
                .iter()
                .map(|order| scope.spawn(move || self.one(order, barrier, hit)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().ok().flatten())
                .collect()
        });
        let taken: Option<Vec<f64>> = taken.into_iter().collect();
        let taken = taken.ok_or("a lookup missed")?;
        Ok(taken.iter().sum::<f64>() / taken.len() as f64)
    }

    fn one(&self, order: &[u32], barrier: &Barrier, hit: impl Fn(&str) -> bool) -> Option<f64> {
        barrier.wait();
        let begun = Instant::now();
        let mut hits = 0;
        for nth in order.iter().cycle().take(self.lookups as usize) {
            hits += u32::from(hit(&self.keys[*nth as usize]));
        }
        let taken = begun.elapsed();
        (hits == self.lookups).then(|| taken.as_secs_f64() * 1e9 / f64::from(self.lookups))
    }
}
