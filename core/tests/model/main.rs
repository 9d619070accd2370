//! Compares the core with a naive reference, step by step, from a seed.
//!
//! Each episode drives a new cache and plain maps and lists with the same random Puts, Gets,
//! leases, waiters, invalidations, watchers, reclaims and clocks (steps forwards and backwards,
//! suspend), within limits of its own. In a roomy cache, every answer must be that of the
//! reference. A tight cache may have evicted entries, but no more than it counted, and if its
//! memory of invalidations is short, it may refuse too much. All its other answers must be those of
//! the reference.
//!
//! `CREDCACHE_MODEL_STEPS` sets the number of steps, and `CREDCACHE_MODEL_SEED` the first seed. A
//! failure reports the seed of its episode. Which names share a stripe differs from run to run, so
//! a seed may have to be run several times to fail again.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test says what it expected, and where"
)]

mod clocks;
mod draw;
mod figures;
mod names;
mod reference;
mod seen;
mod shape;
mod steps;

use seen::Seen;

const STEPS: u64 = 10_000_000;
const STEPS_PER_EPISODE: u64 = 8_000;

#[test]
fn cache_never_answers_what_the_reference_does_not_hold() {
    let steps = setting("CREDCACHE_MODEL_STEPS", STEPS);
    let first_seed = setting("CREDCACHE_MODEL_SEED", 1);
    let episodes = steps.div_ceil(STEPS_PER_EPISODE);
    let mut seen = Seen::default();
    for seed in first_seed..first_seed + episodes {
        steps::run(seed, STEPS_PER_EPISODE, &mut seen);
    }
    println!("{} steps: {seen}", episodes * STEPS_PER_EPISODE);
    seen.assert_everything_happened();
}

#[expect(
    clippy::disallowed_methods,
    reason = "settings of the test, not of the program"
)]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
