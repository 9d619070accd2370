//! Takes back the memory of expired credentials, in steps between the calls of
//! one worker. Nothing but memory depends on it, and that enough for the
//! process not to outlive it.

use std::{
    panic::{self, AssertUnwindSafe},
    process,
    sync::Arc,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use crate::{
    cache::Cache,
    clock::Clock,
    pace::{Eighths, Pace},
};

/// How often it looks for what is over. With the quarter of a second or so that
/// a round takes on a busy worker, an expired credential's memory is kept for
/// less than a second, and the second by which a stepped clock may delay it.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often its part of a busy worker is doubled, to four times the calls'.
const DOUBLINGS: u32 = 5;

#[derive(Debug)]
pub(super) struct Reclaimer {
    cache: Arc<Cache>,
    clock: Arc<Clock>,
}

impl Reclaimer {
    pub(super) fn new(cache: Arc<Cache>, clock: Arc<Clock>) -> Self {
        Self { cache, clock }
    }

    /// Reclaims until it is dropped.
    pub(super) async fn run(self) {
        let mut due = interval(INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = due.tick().await;
            let mut round = self.cache.begin_reclaim(self.clock.now());
            let mut pace = Pace::start();
            while or_abort(|| round.step()).is_none() {
                pace.step_done(part(due.elapsed())).await;
            }
        }
    }
}

/// What it may take of a busy worker, so long after a round was due: as little
/// as other work at first, and twice as much for each further interval. Else
/// memory would be held for as long as the worker is busy.
fn part(late: Duration) -> Eighths {
    let intervals = late.as_millis() / INTERVAL.as_millis();
    Eighths(1 << u32::try_from(intervals).map_or(DOUBLINGS, |late| late.min(DOUBLINGS)))
}

/// Without the reclaimer expired secrets would stay in memory unnoticed, and
/// who knows what it was in the middle of: a restart loses no more than a cache
/// may.
fn or_abort<T>(step: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
        error!("nothing takes back expired credentials any more: aborting");
        process::abort()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_a_busy_worker_grows_with_the_delay_and_has_a_bound() {
        let parts = [0, 249, 250, 500, 750, 1_000, 1_250, 1_500, u64::MAX];
        let parts = parts.map(|late| part(Duration::from_millis(late)).0);
        assert_eq!(parts, [1, 1, 2, 4, 8, 16, 32, 32, 32]);
    }
}
