//! Runs a scenario under many schedules.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    thread,
};

use shuttle::{
    Config, Runner,
    scheduler::{
        PctScheduler, RandomScheduler, ReplayScheduler, Scheduler,
        UncontrolledNondeterminismCheckScheduler as PlayedTwice,
    },
};

use crate::stage::{Seen, Stage};

/// One thread of a scenario.
pub(crate) type Actor = Box<dyn Fn(&Stage) + Send + Sync>;

/// An actor's results are ignored here, because every call is recorded.
pub(crate) fn actor<T>(acts: impl Fn(&Stage) -> T + Send + Sync + 'static) -> Actor {
    Box::new(move |stage| {
        acts(stage);
    })
}

/// Schedules per scenario. All scenarios together run more than 100,000 schedules.
const SCHEDULES: usize = 6_000;
/// How many schedules are run twice, to check that a schedule determines everything. Otherwise no
/// schedule could be replayed.
const TWICE: usize = 50;
/// How many switches against the thread priorities a schedule of the second kind has. Most races
/// need two or three.
const DEPTH: usize = 3;
/// The stack size of each thread, in bytes.
const STACK: usize = 256 * 1024;

/// Runs the scenario: prepares the stage, runs the actors, and checks the result. Half of the
/// schedules choose a random thread at every step. The other half run the threads by random
/// priorities that change at a few steps, which finds other races.
///
/// Also fails if no Get ever hit or none ever missed, because then nothing raced.
pub(crate) fn explore<const ACTORS: usize>(set: fn() -> Stage, actors: [Actor; ACTORS]) {
    explore_until(set, actors, |_| ());
}

/// Like [`explore`], with an additional check at the end.
pub(crate) fn explore_until<const ACTORS: usize>(
    set: fn() -> Stage,
    actors: [Actor; ACTORS],
    end: fn(&Stage),
) {
    let actors = Arc::new(actors);
    let seen = Arc::new(Seen::default());
    let play = {
        let seen = seen.clone();
        move || {
            let stage = Arc::new(set());
            let threads: Vec<_> = (0..ACTORS)
                .map(|nth| {
                    let (stage, actors) = (stage.clone(), actors.clone());
                    shuttle::thread::spawn(move || actors[nth](&stage))
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            end(&stage);
            stage.judge(&seen);
        }
    };
    if let Some(schedule) = setting("CREDCACHE_SCHEDULE") {
        run(ReplayScheduler::new_from_encoded(&schedule), play);
        return;
    }
    let schedules =
        setting("CREDCACHE_SCHEDULES").map_or(SCHEDULES, |text| text.parse().expect("a number"));
    run(PlayedTwice::new(RandomScheduler::new(TWICE)), play.clone());
    run(RandomScheduler::new(schedules / 2), play.clone());
    run(PctScheduler::new(DEPTH, schedules / 2), play);
    seen.assert_both();
}

fn run(scheduler: impl Scheduler + 'static, play: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.silence_warnings = true;
    let runner = Runner::new(scheduler, config);
    if let Err(failure) = catch_unwind(AssertUnwindSafe(|| runner.run(play))) {
        let thread = thread::current();
        eprintln!(
            "to replay it, with the schedule from above in one line:\n  CREDCACHE_SCHEDULE=... \
             make schedules ARGS='--exact {}'",
            thread.name().unwrap_or_default()
        );
        resume_unwind(failure);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "settings of the test, not of the program"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
