//! The pacer: how background work shares a worker's thread with calls.

use std::time::Duration;

use tokio::{task::yield_now, time::Instant};

/// Paces one piece of background work that is done in steps.
///
/// After each step, every other task that is ready has its turn: a single-threaded runtime resumes
/// a task that yielded only after it has looked for new input, and behind the tasks that the input
/// woke. The pacer waits until a turn of the other tasks was short, because then few or no tasks
/// are ready. A new call therefore waits for the rest of one step, and seldom for another step on
/// its way through the runtime.
///
/// If the other tasks are never idle, the work takes a part of the time that they take, its duty
/// cycle. The work delays calls by no more than that, and it ends however busy the thread is.
struct Pacer {
    resumed: Instant,
    /// The time that the work may take in return for the time that the other tasks took.
    allowance: Duration,
}

/// The part of a busy thread that background work may take, in eighths of the time that the other
/// tasks take.
#[derive(Clone, Copy)]
pub(crate) struct DutyCycle {
    pub(crate) eighths: u32,
}

impl DutyCycle {
    /// One eighth at first, and twice as much for each further interval that the work takes, up to
    /// `most`. Work that must end therefore ends in time on a busy thread, too.
    fn after(taken: Duration, interval: Duration, most: Self) -> Self {
        let intervals = taken.as_nanos() / interval.as_nanos().max(1);
        let doublings = u32::try_from(intervals).unwrap_or(u32::MAX).min(16);
        Self {
            eighths: (1 << doublings).min(most.eighths),
        }
    }
}

/// The most that one turn of the other tasks is worth. After a pause of the whole thread, because
/// the machine slept or another guest had its core, the work may not claim the time of the pause:
/// calls have come in meanwhile.
const MAX_ALLOWANCE: Duration = Duration::from_millis(1);

/// A turn of the other tasks is short if a step takes this many times as long. With 4, half of a
/// simulated thread's Gets waited half as long as without the rule, and the work took as long.
const STEPS_PER_SHORT_TURN: u32 = 4;

/// Runs `step` until it returns a result, between the turns of the thread's other tasks. The duty
/// cycle grows with each `interval` since `begun`, up to `most`.
///
/// # Cancel safety
/// The future stops between two steps.
pub(crate) async fn run<T>(
    begun: Instant,
    interval: Duration,
    most: DutyCycle,
    mut step: impl FnMut() -> Option<T>,
) -> T {
    let mut pacer = Pacer::start();
    loop {
        if let Some(result) = step() {
            return result;
        }
        let duty_cycle = DutyCycle::after(begun.elapsed(), interval, most);
        pacer.step_done(duty_cycle).await;
    }
}

impl Pacer {
    /// Begins with a turn of the work.
    fn start() -> Self {
        Self {
            resumed: Instant::now(),
            allowance: Duration::ZERO,
        }
    }

    /// Lets the other tasks have their turns after a step, until it is time for the next step.
    async fn step_done(&mut self, duty_cycle: DutyCycle) {
        let mut since = Instant::now();
        let step = since - self.resumed;
        self.allowance = self.allowance.saturating_sub(step);
        while self.allowance < step {
            yield_now().await;
            let now = Instant::now();
            let turn = now - since;
            since = now;
            self.allowance += (turn * duty_cycle.eighths / 8).min(MAX_ALLOWANCE);
            if turn < step / STEPS_PER_SHORT_TURN {
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

    /// A task that is always ready, and whose turn takes as long as many calls.
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
            let mut pacer = Pacer::start();
            for _ in 0..STEPS {
                let step = Instant::now();
                while step.elapsed() < Duration::from_micros(20) {}
                pacer.step_done(DutyCycle { eighths: 1 }).await;
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
        let mut pacer = Pacer::start();
        let mut in_one_go = 0;
        while turns.load(Relaxed) < 2 {
            let step = Instant::now();
            while step.elapsed() < Duration::from_micros(50) {}
            in_one_go += 1;
            pacer.step_done(DutyCycle { eighths: 32 }).await;
        }
        // The allowance is one millisecond, not four times 50.
        assert!(in_one_go <= 25, "{in_one_go} steps");
        others.abort();
    }

    #[test]
    fn part_of_a_busy_thread_grows_with_the_delay_and_has_a_bound() {
        let interval = Duration::from_millis(250);
        let late = [0, 249, 250, 500, 750, 1_000, 1_250, 1_500, u64::MAX];
        let parts = late.map(|late| {
            DutyCycle::after(
                Duration::from_millis(late),
                interval,
                DutyCycle { eighths: 32 },
            )
            .eighths
        });
        assert_eq!(parts, [1, 1, 2, 4, 8, 16, 32, 32, 32]);
    }
}
