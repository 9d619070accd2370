//! The core against a naive reference, step by step, from a seed.
//!
//! Each episode drives a fresh cache and plain maps and lists with the same
//! random Puts, Gets, leases, waiters, invalidations, watchers, reclaims and
//! clocks (steps forwards and backwards, suspend), within limits of its own. In
//! a roomy cache every answer must be the reference's. In a tight one the cache
//! may have pushed entries out, no more of them than it counted, and where its
//! memory of invalidations is short it may refuse too much; what it does answer
//! must be the reference's all the same.
//!
//! `CREDCACHE_MODEL_STEPS` sets the number of steps, `CREDCACHE_MODEL_SEED` the
//! first seed; a failure names the seed of its episode. Which names share a
//! part of the cache differs from run to run, so a seed may have to be run more
//! than once to fail again.

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
