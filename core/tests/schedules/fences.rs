//! Fills that were fetched before an invalidation and arrive while it runs.

use credcache_core::{Key, KeyPrefix, Tag, Target};

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage, TAG, token, version},
};

const KEY: At = ("ns", "key");
const OTHER: At = ("ns", "other");

fn key(key: &'static str) -> Target<'static> {
    Target::Key {
        key: Key::parse(key).unwrap(),
        if_version: None,
    }
}

/// Prepares a held lease of a key whose credential has little lifetime left.
fn leased(stage: Stage) -> Stage {
    stage.after(|stage| {
        stage.put(KEY, MINUTE);
        stage.ask(KEY, HOUR, 1).unwrap();
    })
}

fn race(target: Target<'static>) {
    explore(
        || leased(Stage::roomy()),
        [
            actor(|stage| stage.fill(KEY, HOUR, token(1))),
            actor(move |stage| {
                stage.invalidate(KEY.0, target);
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.get(KEY);
                if let Some(lease) = stage.ask(KEY, HOUR, 2) {
                    stage.fill(KEY, HOUR, lease.token);
                }
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn stale_fill_never_outlives_the_invalidation_of_its_key() {
    race(key("key"));
}

#[test]
fn stale_fill_never_outlives_the_invalidation_of_its_version() {
    race(Target::Key {
        key: Key::parse(KEY.1).unwrap(),
        if_version: Some(version(1)),
    });
}

#[test]
fn stale_fill_never_outlives_the_invalidation_of_a_prefix() {
    race(Target::Prefix(KeyPrefix::parse("k").unwrap()));
}

#[test]
fn stale_fill_never_outlives_the_invalidation_of_a_tag() {
    race(Target::Tag(Tag::parse(TAG).unwrap()));
}

#[test]
fn stale_fill_never_outlives_the_invalidation_of_all() {
    race(Target::All);
}

#[test]
fn what_was_issued_before_an_invalidation_never_outlives_it() {
    explore(
        || {
            Stage::roomy().after(|stage| {
                stage.pass(5);
                stage.put(KEY, MINUTE);
            })
        },
        [
            actor(|stage| {
                stage.put_issued(KEY, HOUR, 5);
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.invalidate(KEY.0, key("key"));
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.pass(1);
                stage.put_issued(KEY, HOUR, 6);
                stage.invalidate(KEY.0, Target::Tag(Tag::parse(TAG).unwrap()));
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn fence_that_is_made_coarser_lets_nothing_through() {
    explore(
        || leased(Stage::forgetful()),
        [
            actor(|stage| {
                stage.fill(KEY, HOUR, token(1));
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.invalidate(KEY.0, key(KEY.1));
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.invalidate(OTHER.0, key(OTHER.1));
                stage.put_issued(KEY, HOUR, 0);
                stage.invalidate("elsewhere", Target::All);
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn lease_beside_a_hit_never_outlives_the_invalidation_of_what_was_hit() {
    explore(
        || Stage::roomy().after(|stage| stage.put_due(KEY, HOUR)),
        [
            actor(|stage| {
                if let Some(lease) = stage.ask(KEY, 0, 1) {
                    stage.get(KEY);
                    stage.fill(KEY, HOUR, lease.token);
                }
            }),
            actor(|stage| {
                stage.invalidate(KEY.0, Target::All);
                stage.get(KEY);
            }),
            actor(|stage| {
                // The credential is live, but not for long enough.
                if let Some(lease) = stage.ask(KEY, 2 * HOUR, 2) {
                    stage.get(KEY);
                    stage.fill(KEY, HOUR, lease.token);
                }
                stage.get(KEY);
            }),
        ],
    );
}
