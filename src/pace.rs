//! How work that takes long shares a worker's thread with calls.

use std::time::Duration;

use tokio::{task::yield_now, time::Instant};

/// The turns of one piece of work that is done in steps.
///
/// A step, then everybody else who is ready: a single-threaded runtime goes on
/// with what yielded only after it has looked for what came in meanwhile and
/// has run what that woke. So a call that comes waits for the rest of a step,
/// and perhaps for one more on its way through the runtime.
///
/// Where the others' turn takes long, since there are many, more steps follow
/// one another, up to a part of what that took: by one part more they make
/// calls late, and the work has an end however busy the thread is.
pub(crate) struct Pace {
    resumed: Instant,
    /// What the others' last turn took.
    others: Duration,
}

/// How much of the others' time the work may take, in eighths.
#[derive(Clone, Copy)]
pub(crate) struct Eighths(pub(crate) u32);

impl Pace {
    /// Begins with a turn of its own.
    pub(crate) fn start() -> Self {
        Self {
            resumed: Instant::now(),
            others: Duration::ZERO,
        }
    }

    /// After a step: lets the others have their turn, if this one was long
    /// enough.
    pub(crate) async fn step_done(&mut self, most: Eighths) {
        let paused = Instant::now();
        if paused - self.resumed < self.others * most.0 / 8 {
            return;
        }
        yield_now().await;
        self.resumed = Instant::now();
        self.others = self.resumed - paused;
    }
}
