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

use credcache_core::Cache;

use crate::{
    clock::Clock,
    pace::{Eighths, Pace},
    telemetry,
};

/// How often it looks for what is over. With the quarter of a second or so that
/// a round takes on a busy worker, an expired credential's memory is kept for
/// less than a second, and the second by which a stepped clock may delay it.
const INTERVAL: Duration = Duration::from_millis(250);
/// The most of a busy worker: four times the calls' part. Else memory would be held
/// for as long as the worker is busy.
const MOST: Eighths = Eighths(32);

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
                let part = Eighths::after(due.elapsed(), INTERVAL, MOST);
                pace.step_done(part).await;
            }
        }
    }
}

/// Without the reclaimer expired secrets would stay in memory unnoticed, and
/// who knows what it was in the middle of: a restart loses no more than a cache
/// may.
fn or_abort<T>(step: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
        error!("nothing takes back expired credentials any more: aborting");
        telemetry::flush();
        process::abort()
    })
}
