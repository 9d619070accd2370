//! Running a scenario, schedule after schedule.

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

/// Whatever it answers is on record.
pub(crate) fn actor<T>(acts: impl Fn(&Stage) -> T + Send + Sync + 'static) -> Actor {
    Box::new(move |stage| {
        acts(stage);
    })
}

/// Schedules of a scenario: with these of all scenarios, more than 100,000.
const SCHEDULES: usize = 6_000;
/// How many are played a second time, to see that a schedule settles all: else
/// none could be replayed.
const TWICE: usize = 50;
/// How many places a schedule of the second kind may switch at against the
/// order of its threads: most races need two or three.
const DEPTH: usize = 3;
/// Of each thread, in bytes.
const STACK: usize = 256 * 1024;

/// Plays the scenario: the stage is set, the actors act, the end is judged.
/// Half of the schedules are random at every step; the other half run the
/// threads by random priorities that change at a few steps, which finds other
/// races.
///
/// Fails too where no Get ever hit, or none ever missed: then nothing raced.
pub(crate) fn explore<const ACTORS: usize>(set: fn() -> Stage, actors: [Actor; ACTORS]) {
    explore_until(set, actors, |_| ());
}

/// The same, with something more to be judged in the end.
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
