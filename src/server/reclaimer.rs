//! Reclaims the memory of expired credentials, in steps between the calls of one worker.

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
    pacer::{self, DutyCycle},
    telemetry,
};

/// How often a round begins. A round takes about a quarter of a second on a busy worker, so the
/// memory of an expired credential is held for less than a second, and for another second where a
/// clock was stepped.
const INTERVAL: Duration = Duration::from_millis(250);
/// Four times the part of the calls. With less, memory would be held for as long as the worker is
/// busy.
const MAX_DUTY_CYCLE: DutyCycle = DutyCycle { eighths: 32 };

#[derive(Debug)]
pub(super) struct Reclaimer {
    cache: Arc<Cache>,
    clock: Arc<Clock>,
}

impl Reclaimer {
    pub(super) fn new(cache: Arc<Cache>, clock: Arc<Clock>) -> Self {
        Self { cache, clock }
    }

    /// Reclaims until the future is dropped.
    pub(super) async fn run(self) {
        let mut due = interval(INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = due.tick().await;
            let mut round = self.cache.begin_reclaim(self.clock.now());
            pacer::run(due, INTERVAL, MAX_DUTY_CYCLE, || or_abort(|| round.step())).await;
        }
    }
}

/// Aborts the process if the step panics. Without the reclaimer, expired secrets would stay in
/// memory unnoticed, and the cache's state would be unknown. A restart loses no more than a cache
/// may lose.
fn or_abort<T>(step: impl FnOnce() -> T) -> T {
    panic::catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| {
        error!("expired credentials are no longer reclaimed: aborting");
        telemetry::flush();
        process::abort()
    })
}
