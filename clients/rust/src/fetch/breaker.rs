//! Whether the server is away, so that its silence isn't waited for by every
//! call: while it is known to be, calls go on without it, and one question at a
//! time finds out when it is back.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Between one question in vain and the next: at first, and at the most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// For how long a failure is evidence: without any later one, a call asks.
const EVIDENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// What the lock says, for the calls of a server that is there.
    is_open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answered: Option<Instant>,
    away: Option<Away>,
}

#[derive(Debug)]
struct Away {
    failed: Instant,
    probes: u32,
    next_probe: Instant,
    is_probing: bool,
}

/// What a call may do.
#[derive(Debug)]
pub(super) enum Way {
    /// Ask the server.
    Ask,
    /// Go on without it; whoever has the probe asks in the background.
    Around(Option<Probe>),
}

impl Breaker {
    pub(super) fn way(self: &Arc<Self>, now: Instant) -> Way {
        if !self.is_open.load(Ordering::Acquire) {
            return Way::Ask;
        }
        let mut state = self.state();
        let Some(away) = &mut state.away else {
            return Way::Ask;
        };
        if away.is_probing {
            return Way::Around(None);
        }
        if now.saturating_duration_since(away.failed) > EVIDENCE {
            return Way::Ask;
        }
        if now < away.next_probe {
            return Way::Around(None);
        }
        away.is_probing = true;
        Way::Around(Some(Probe(Arc::clone(self))))
    }

    /// The server has answered. Answers whether it was away.
    pub(super) fn answered(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.answered = Some(now);
        self.is_open.store(false, Ordering::Release);
        state.away.take().is_some()
    }

    /// A call that was sent at `asked` met no server. Answers whether that is
    /// news. It isn't away if it has answered another one meanwhile: then one of
    /// the connections is stuck.
    pub(super) fn failed(&self, asked: Instant, now: Instant) -> bool {
        let mut state = self.state();
        if state.answered.is_some_and(|answered| answered > asked) {
            return false;
        }
        let is_news = state.away.is_none();
        let away = state.away.get_or_insert(Away {
            failed: now,
            probes: 0,
            next_probe: now + FIRST_PAUSE,
            is_probing: false,
        });
        away.failed = now;
        self.is_open.store(true, Ordering::Release);
        is_news
    }

    // Never held over an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to ask whether the server is back.
#[derive(Debug)]
pub(super) struct Probe(Arc<Breaker>);

impl Probe {
    /// It isn't.
    pub(super) fn failed(self, now: Instant) {
        if let Some(away) = &mut self.0.state().away {
            away.failed = now;
            let bound = FIRST_PAUSE.saturating_mul(1 << away.probes.min(8));
            let pause = bound.min(LONGEST_PAUSE);
            away.next_probe = now + pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
            away.probes = away.probes.saturating_add(1);
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(away) = &mut self.0.state().away {
            away.is_probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn probe(breaker: &Arc<Breaker>, now: Instant) -> Option<Probe> {
        match breaker.way(now) {
            Way::Around(probe) => probe,
            Way::Ask => panic!("it is away"),
        }
    }

    fn asks(breaker: &Arc<Breaker>, now: Instant) -> bool {
        matches!(breaker.way(now), Way::Ask)
    }

    #[tokio::test]
    async fn one_at_a_time_asks_whether_it_is_back() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        assert!(asks(&breaker, now));
        assert!(breaker.failed(now, now) && !breaker.failed(now, now));
        assert!(probe(&breaker, now).is_none(), "it was asked just now");
        let later = now + SECOND;
        let first = probe(&breaker, later).unwrap();
        assert!(probe(&breaker, later + SECOND * 60).is_none());
        first.failed(later);
        assert!(probe(&breaker, later).is_none());
        let second = probe(&breaker, later + SECOND).unwrap();
        assert!(breaker.answered(later + SECOND));
        drop(second);
        assert!(asks(&breaker, later + SECOND));
    }

    #[tokio::test]
    async fn probe_that_is_dropped_is_somebody_elses_turn() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        breaker.failed(now, now);
        drop(probe(&breaker, now + SECOND).unwrap());
        assert!(probe(&breaker, now + SECOND).is_some());
    }

    #[tokio::test]
    async fn failure_of_long_ago_is_no_evidence() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        breaker.failed(now, now);
        assert!(asks(&breaker, now + EVIDENCE + SECOND));
    }

    #[tokio::test]
    async fn server_that_answers_others_is_not_away() {
        let breaker = Arc::<Breaker>::default();
        let now = Instant::now();
        breaker.answered(now + SECOND);
        assert!(!breaker.failed(now, now + 2 * SECOND));
        assert!(asks(&breaker, now + 2 * SECOND));
        assert!(breaker.failed(now + 2 * SECOND, now + 3 * SECOND));
        assert!(!asks(&breaker, now + 3 * SECOND));
    }
}
