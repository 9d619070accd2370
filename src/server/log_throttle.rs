//! Repeated problems, which are counted and logged once in a while.

use std::{mem, time::Duration};

use tokio::time::Instant;

/// Counts events, to be logged at most once per interval.
#[derive(Debug)]
pub(super) struct LogThrottle {
    interval: Duration,
    last_line: Option<Instant>,
    count: u64,
}

impl LogThrottle {
    pub(super) fn every(interval: Duration) -> Self {
        Self {
            interval,
            last_line: None,
            count: 0,
        }
    }

    /// Counts an event. If a log line is due, returns the number of events since the last line.
    pub(super) fn record(&mut self) -> Option<u64> {
        self.count += 1;
        if self
            .last_line
            .is_some_and(|last_line| last_line.elapsed() < self.interval)
        {
            return None;
        }
        self.last_line = Some(Instant::now());
        Some(mem::take(&mut self.count))
    }
}
