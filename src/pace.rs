//! How work that takes long shares a worker's thread with calls.

use std::time::Duration;

use tokio::{task::yield_now, time::Instant};

/// The turns of one piece of work that is done in steps.
///
/// A step, then everybody else who is ready: a single-threaded runtime goes on
/// with what yielded only after it has looked for what came in meanwhile, and
/// behind what that woke. The next step waits until a turn of the others was
/// short, for then few or none are ready: so a call that comes waits for the
/// rest of a step, and seldom for one more on its way through the runtime.
///
/// Where the others are never done, it takes a part of the time that they take:
/// by no more than that it makes calls late, and it has an end however busy the
/// thread is.
pub(crate) struct Pace {
    resumed: Instant,
    /// What it may take for the time that the others took.
    credit: Duration,
}

/// A part of the others' time.
#[derive(Clone, Copy)]
pub(crate) struct Eighths(pub(crate) u32);

/// A turn of the others is short if a step takes so many times as long. With 4,
/// half of a simulated thread's Gets waited half as long as with no such rule,
/// and the work took as long.
const SHORT: u32 = 4;

impl Pace {
    /// Begins with a turn of its own.
    pub(crate) fn start() -> Self {
        Self {
            resumed: Instant::now(),
            credit: Duration::ZERO,
        }
    }

    /// After a step: lets the others have their turns until it's time for the
    /// next.
    pub(crate) async fn step_done(&mut self, part: Eighths) {
        let mut since = Instant::now();
        let step = since - self.resumed;
        self.credit = self.credit.saturating_sub(step);
        while self.credit < step {
            yield_now().await;
            let now = Instant::now();
            let turn = now - since;
            since = now;
            self.credit += turn * part.0 / 8;
            if turn < step / SHORT {
                break;
            }
        }
        self.resumed = since;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering::Relaxed},
        },
        task::Poll,
    };

    use super::*;

    /// What is always ready, and takes as long as many calls.
    async fn never_done(turns: Arc<AtomicU64>) {
        poll_fn(|context| {
            let turn = Instant::now();
            while turn.elapsed() < Duration::from_micros(20) {}
            turns.fetch_add(1, Relaxed);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn work_has_an_end_though_the_others_are_never_done() {
        const STEPS: u32 = 200;
        let turns = Arc::default();
        let others = tokio::spawn(never_done(Arc::clone(&turns)));
        let work = tokio::spawn(async {
            let mut pace = Pace::start();
            for _ in 0..STEPS {
                let step = Instant::now();
                while step.elapsed() < Duration::from_micros(20) {}
                pace.step_done(Eighths(1)).await;
            }
        });
        work.await.unwrap();
        let turns = turns.load(Relaxed);
        assert!(turns > u64::from(STEPS), "{turns} turns of the others");
        others.abort();
    }
}
