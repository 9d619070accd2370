//! Leases that end, and their waiters.

use credcache_core::{Count, Target};

use crate::{
    explore::{actor, explore, explore_until},
    stage::{At, HOUR, LEASE, Stage, token},
};

const KEY: At = ("ns", "key");

fn leased() -> Stage {
    Stage::roomy().after(|stage| stage.ask(KEY, 0, 1).unwrap())
}

/// Takes the lease or waits for it, and fills the key.
fn fetch(stage: &Stage, number: u8) {
    if let Some(lease) = stage.ask_and_wait(KEY, number) {
        stage.fill(KEY, HOUR, lease.token);
    }
}

fn filled_at_most_once(stage: &Stage) {
    let filled = stage.cache.counts(None).of(Count::LeasesFilled);
    assert!(filled <= 1, "{filled} held the lease");
}

#[test]
fn fill_at_the_very_end_and_the_next_holder_never_both_get_through() {
    explore_until(
        leased,
        [
            actor(|stage| stage.fill(KEY, HOUR, token(1))),
            actor(|stage| {
                stage.pass(LEASE);
                stage.reclaim();
                stage.get(KEY);
            }),
            actor(|stage| {
                if let Some(lease) = stage.ask(KEY, 0, 2) {
                    stage.fill(KEY, HOUR, lease.token);
                }
                stage.get(KEY);
            }),
        ],
        filled_at_most_once,
    );
}

#[test]
fn whoever_waits_for_a_holder_that_is_late_is_told_once() {
    explore_until(
        leased,
        [
            actor(|stage| stage.fill(KEY, HOUR, token(1))),
            actor(|stage| {
                stage.pass(LEASE);
                stage.reclaim();
            }),
            actor(|stage| fetch(stage, 2)),
            actor(|stage| {
                fetch(stage, 3);
                stage.get(KEY);
            }),
        ],
        filled_at_most_once,
    );
}

#[test]
fn lease_of_one_who_went_away_goes_to_the_next() {
    explore_until(
        leased,
        [
            actor(|stage| {
                stage.pass(LEASE);
                stage.reclaim();
            }),
            actor(|stage| {
                let lease = match stage.ask_or_park(KEY, 2) {
                    Ok(lease) => lease,
                    Err(parked) => parked.leave(),
                };
                match lease {
                    Some(lease) => drop(stage.fill(KEY, HOUR, lease.token)),
                    None => stage.reclaim(),
                }
            }),
            actor(|stage| {
                fetch(stage, 3);
                stage.get(KEY);
            }),
        ],
        filled_at_most_once,
    );
}

#[test]
fn lease_that_is_given_back_is_held_by_one_at_a_time() {
    explore(
        leased,
        [
            actor(|stage| stage.abandon(KEY, token(1))),
            actor(|stage| fetch(stage, 2)),
            actor(|stage| {
                if let Some(lease) = stage.ask_and_wait(KEY, 3) {
                    stage.abandon(KEY, lease.token);
                }
                stage.get(KEY);
            }),
            actor(|stage| {
                fetch(stage, 4);
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn lease_that_an_invalidation_ends_leaves_nobody_waiting() {
    explore(
        leased,
        [
            actor(|stage| {
                stage.invalidate(KEY.0, Target::All);
                fetch(stage, 2);
            }),
            actor(|stage| {
                fetch(stage, 3);
                stage.get(KEY);
            }),
            actor(|stage| stage.get(KEY)),
        ],
    );
}

#[test]
fn lease_that_is_over_needs_nobody_to_end_it() {
    explore_until(
        leased,
        [
            actor(|stage| {
                stage.pass(LEASE);
                fetch(stage, 2);
            }),
            actor(|stage| {
                fetch(stage, 3);
                stage.get(KEY);
            }),
            actor(|stage| stage.get(KEY)),
        ],
        filled_at_most_once,
    );
}

#[test]
fn lease_is_either_extended_or_the_next_ones() {
    explore_until(
        leased,
        [
            actor(|stage| {
                stage.extend(KEY, token(1), LEASE);
                stage.extend(KEY, token(1), LEASE);
                stage.fill(KEY, HOUR, token(1));
            }),
            actor(|stage| {
                stage.pass(LEASE);
                stage.reclaim();
                stage.get(KEY);
            }),
            actor(|stage| fetch(stage, 2)),
        ],
        filled_at_most_once,
    );
}

/// The lease ran out, and no other lease was granted.
fn ran_out() -> Stage {
    leased().after(|stage| {
        stage.pass(LEASE);
        stage.reclaim();
    })
}

#[test]
fn late_fill_and_the_next_holder_never_both_get_through() {
    explore_until(
        ran_out,
        [
            actor(|stage| stage.fill(KEY, HOUR, token(1))),
            actor(|stage| fetch(stage, 2)),
            actor(|stage| {
                stage.extend(KEY, token(1), LEASE);
                stage.get(KEY);
            }),
        ],
        filled_at_most_once,
    );
}

#[test]
fn late_fill_meets_the_fence_of_an_invalidation() {
    explore(
        ran_out,
        [
            actor(|stage| stage.fill(KEY, HOUR, token(1))),
            actor(|stage| {
                stage.invalidate(KEY.0, Target::All);
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.extend(KEY, token(1), LEASE);
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn fill_that_is_repeated_is_stored_once() {
    explore_until(
        leased,
        [
            actor(|stage| stage.fill(KEY, HOUR, token(1))),
            actor(|stage| {
                stage.fill(KEY, HOUR, token(1));
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.put(KEY, HOUR);
                stage.fill(KEY, HOUR, token(1));
                stage.get(KEY);
            }),
            actor(|stage| stage.invalidate(KEY.0, Target::All)),
        ],
        filled_at_most_once,
    );
}

#[test]
fn fill_never_replaces_what_was_put_without_the_lease() {
    explore_until(
        leased,
        [
            actor(|stage| stage.fill(KEY, HOUR, token(1))),
            actor(|stage| {
                stage.put(KEY, HOUR);
                stage.get(KEY);
            }),
            actor(|stage| fetch(stage, 2)),
        ],
        filled_at_most_once,
    );
}
