//! A circuit breaker: while the server is known to be unreachable, calls go on
//! without it, and one probe at a time finds out when it is back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The pause between a probe that failed and the next: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a failure keeps the breaker open: without a later one, a call asks.
const FAILURE_TTL: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Whether `state.open` is set, so that calls to a reachable server take no lock.
    is_open: AtomicBool,
    state: Mutex<BreakerState>,
}

#[derive(Debug, Default)]
struct BreakerState {
    last_answer: Option<Instant>,
    open: Option<OpenCircuit>,
}

#[derive(Debug)]
struct OpenCircuit {
    last_failure: Instant,
    probes: u32,
    next_probe: Instant,
    is_probing: bool,
}

/// Which way a call takes.
#[derive(Debug)]
pub(super) enum Route {
    /// It asks the server.
    Ask,
    /// It goes on without the server; with a probe, it asks in the background.
    Around(Option<Probe>),
}

impl Breaker {
    pub(super) fn route(self: &Arc<Self>, now: Instant) -> Route {
        if !self.is_open.load(Ordering::Acquire) {
            return Route::Ask;
        }
        let mut state = self.state();
        let Some(open) = &mut state.open else {
            return Route::Ask;
        };
        if open.is_probing {
            return Route::Around(None);
        }
        if now.saturating_duration_since(open.last_failure) > FAILURE_TTL {
            return Route::Ask;
        }
        if now < open.next_probe {
            return Route::Around(None);
        }
        open.is_probing = true;
        Route::Around(Some(Probe(Arc::clone(self))))
    }

    /// Records that the server has answered. Returns whether the breaker was open.
    pub(super) fn record_answer(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.last_answer = Some(now);
        self.is_open.store(false, Ordering::Release);
        state.open.take().is_some()
    }

    /// Records that a call that was sent at `asked` met no server. Returns whether
    /// that opened the breaker. A server that has answered another call since then
    /// is reachable: one of the connections is stuck.
    pub(super) fn record_failure(&self, asked: Instant, now: Instant) -> bool {
        let mut state = self.state();
        if state.last_answer.is_some_and(|answer| answer > asked) {
            return false;
        }
        let opens = state.open.is_none();
        let open = state.open.get_or_insert(OpenCircuit {
            last_failure: now,
            probes: 0,
            next_probe: now + FIRST_PAUSE,
            is_probing: false,
        });
        open.last_failure = now;
        self.is_open.store(true, Ordering::Release);
        opens
    }

    // Never held over an await.
    fn state(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to ask whether the server is back. Another call gets it when it is
/// dropped.
#[derive(Debug)]
pub(super) struct Probe(Arc<Breaker>);

impl Probe {
    /// Records that the server isn't back.
    pub(super) fn failed(self, now: Instant) {
        if let Some(open) = &mut self.0.state().open {
            open.last_failure = now;
            let bound = FIRST_PAUSE.saturating_mul(1 << open.probes.min(8));
            let pause = bound.min(LONGEST_PAUSE);
            open.next_probe = now + pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
            open.probes = open.probes.saturating_add(1);
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(open) = &mut self.0.state().open {
            open.is_probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn probe(breaker: &Arc<Breaker>, now: Instant) -> Option<Probe> {
        match breaker.route(now) {
            Route::Around(probe) => probe,
            Route::Ask => panic!("the breaker is open"),
        }
    }

    fn asks(breaker: &Arc<Breaker>, now: Instant) -> bool {
        matches!(breaker.route(now), Route::Ask)
    }

    #[tokio::test]
    async fn one_at_a_time_asks_whether_it_is_back() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        assert!(asks(&breaker, now));
        assert!(breaker.record_failure(now, now) && !breaker.record_failure(now, now));
        assert!(probe(&breaker, now).is_none(), "it was asked just now");
        let later = now + SECOND;
        let first = probe(&breaker, later).unwrap();
        assert!(probe(&breaker, later + SECOND * 60).is_none());
        first.failed(later);
        assert!(probe(&breaker, later).is_none());
        let second = probe(&breaker, later + SECOND).unwrap();
        assert!(breaker.record_answer(later + SECOND));
        drop(second);
        assert!(asks(&breaker, later + SECOND));
    }

    #[tokio::test]
    async fn probe_that_is_dropped_is_somebody_elses_turn() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        breaker.record_failure(now, now);
        drop(probe(&breaker, now + SECOND).unwrap());
        assert!(probe(&breaker, now + SECOND).is_some());
    }

    #[tokio::test]
    async fn failure_of_long_ago_is_no_evidence() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        breaker.record_failure(now, now);
        assert!(asks(&breaker, now + FAILURE_TTL + SECOND));
    }

    #[tokio::test]
    async fn server_that_answers_others_is_not_away() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        breaker.record_answer(now + SECOND);
        assert!(!breaker.record_failure(now, now + 2 * SECOND));
        assert!(asks(&breaker, now + 2 * SECOND));
        assert!(breaker.record_failure(now + 2 * SECOND, now + 3 * SECOND));
        assert!(!asks(&breaker, now + 3 * SECOND));
    }
}
