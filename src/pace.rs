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

impl Eighths {
    /// An eighth at first, and twice as much for each further interval that the
    /// work is late or takes: what has to have an end is done in time even on a
    /// busy thread.
    pub(crate) fn after(taken: Duration, interval: Duration, most: Self) -> Self {
        let intervals = taken.as_nanos() / interval.as_nanos().max(1);
        let doublings = u32::try_from(intervals).unwrap_or(u32::MAX).min(16);
        Self((1 << doublings).min(most.0))
    }
}

/// The most that one turn of the others is worth: a thread that stood still, for
/// the machine slept or others had its core, owes nobody that time, and calls have
/// come in meanwhile.
const MOST_CREDIT: Duration = Duration::from_millis(1);

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
            self.credit += (turn * part.0 / 8).min(MOST_CREDIT);
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

    #[tokio::test]
    async fn one_long_turn_of_the_others_is_not_paid_back_at_once() {
        let turns = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&turns);
        let others = tokio::spawn(poll_fn(move |context| {
            let turn = Instant::now();
            let first = counted.fetch_add(1, Relaxed) == 0;
            let length = Duration::from_micros(if first { 50_000 } else { 100 });
            while turn.elapsed() < length {}
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let mut pace = Pace::start();
        let mut in_one_go = 0;
        while turns.load(Relaxed) < 2 {
            let step = Instant::now();
            while step.elapsed() < Duration::from_micros(50) {}
            in_one_go += 1;
            pace.step_done(Eighths(32)).await;
        }
        // A millisecond's worth, and not four times 50.
        assert!(in_one_go <= 25, "{in_one_go} steps");
        others.abort();
    }

    #[test]
    fn part_of_a_busy_thread_grows_with_the_delay_and_has_a_bound() {
        let interval = Duration::from_millis(250);
        let late = [0, 249, 250, 500, 750, 1_000, 1_250, 1_500, u64::MAX];
        let parts =
            late.map(|late| Eighths::after(Duration::from_millis(late), interval, Eighths(32)).0);
        assert_eq!(parts, [1, 1, 2, 4, 8, 16, 32, 32, 32]);
    }
}
