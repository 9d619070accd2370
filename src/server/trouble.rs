//! What goes wrong again and again: counted, and told once in a while.

use std::{mem, time::Duration};

use tokio::time::Instant;

/// Counts what happens, to be told at most once in an interval.
#[derive(Debug)]
pub(super) struct Trouble {
    interval: Duration,
    told: Option<Instant>,
    count: u64,
}

impl Trouble {
    pub(super) fn told_every(interval: Duration) -> Self {
        Self {
            interval,
            told: None,
            count: 0,
        }
    }

    /// Counts one more; how many there were since the last time, if it is time
    /// to tell.
    pub(super) fn tell(&mut self) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| told.elapsed() < self.interval) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(mem::take(&mut self.count))
    }
}
