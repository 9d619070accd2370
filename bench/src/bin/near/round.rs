//! Threads that look names up, each in an order of its own, and for how long.

use std::{fmt, sync::Barrier, thread};

use tokio::time::Instant;

use crate::Outcome;

/// The byte that every value begins with.
pub(crate) const FIRST: u8 = 7;

#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Each name hangs on what was found under the one before, as for a caller
    /// that uses what it looked up.
    Chained,
    /// All names are known ahead: the processor may work on several lookups at a
    /// time.
    InARow,
}

impl Pace {
    pub(crate) const ALL: [Self; 2] = [Self::Chained, Self::InARow];
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chained => "chained",
            Self::InARow => "in_a_row",
        })
    }
}

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

    /// Nanoseconds of a lookup in its thread, on average; fails unless all find
    /// what was stored.
    pub(crate) fn time(
        &self,
        pace: Pace,
        first_byte: impl Fn(&str) -> Option<u8> + Sync,
    ) -> Outcome<f64> {
        let barrier = Barrier::new(self.orders.len());
        let (barrier, first_byte) = (&barrier, &first_byte);
        let taken: Vec<Option<f64>> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .orders
                .iter()
                .map(|order| scope.spawn(move || self.one(order, barrier, pace, first_byte)))
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

    fn one(
        &self,
        order: &[u32],
        barrier: &Barrier,
        pace: Pace,
        first_byte: impl Fn(&str) -> Option<u8>,
    ) -> Option<f64> {
        let order = order.iter().cycle().take(self.lookups as usize);
        barrier.wait();
        let begun = Instant::now();
        match pace {
            Pace::Chained => {
                let mut found = FIRST;
                for nth in order {
                    // The name at `nth`, which the processor can't know yet.
                    let nth = *nth as usize ^ usize::from(found ^ FIRST);
                    found = first_byte(self.keys.get(nth)?)?;
                }
                (found == FIRST).then_some(())?;
            }
            Pace::InARow => {
                for nth in order {
                    let found = first_byte(&self.keys[*nth as usize])?;
                    (found == FIRST).then_some(())?;
                }
            }
        }
        Some(begun.elapsed().as_secs_f64() * 1e9 / f64::from(self.lookups))
    }
}
