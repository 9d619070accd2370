//! Put against invalidation against Get.

use credcache_core::{Key, KeyPrefix, Tag, Target};

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage, TAG, version},
};

const KEY: At = ("ns", "key");

fn key() -> Key<'static> {
    Key::parse(KEY.1).unwrap()
}

/// Invalidates what is put before and during the invalidation, each time in another tier.
fn race(target: Target<'static>) {
    explore(
        || Stage::roomy().after(|stage| stage.put(KEY, MINUTE)),
        [
            actor(|stage| {
                stage.put(KEY, HOUR);
                stage.put(KEY, MINUTE);
            }),
            actor(move |stage| {
                stage.invalidate(KEY.0, target);
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.get(KEY);
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn nothing_older_is_found_after_invalidating_a_key() {
    race(Target::Key {
        key: key(),
        if_version: None,
    });
}

#[test]
fn nothing_older_is_found_after_invalidating_a_prefix() {
    race(Target::Prefix(KeyPrefix::parse("k").unwrap()));
}

#[test]
fn nothing_older_is_found_after_invalidating_a_tag() {
    race(Target::Tag(Tag::parse(TAG).unwrap()));
}

#[test]
fn nothing_older_is_found_after_invalidating_all() {
    race(Target::All);
}

#[test]
fn invalidating_one_version_takes_that_one_alone() {
    explore(
        || Stage::roomy().after(|stage| stage.put(KEY, MINUTE)),
        [
            actor(|stage| stage.put(KEY, HOUR)),
            actor(|stage| {
                if let Some(found) = stage.get(KEY) {
                    stage.invalidate(
                        KEY.0,
                        Target::Key {
                            key: key(),
                            if_version: Some(version(found)),
                        },
                    );
                }
                stage.get(KEY);
            }),
            actor(|stage| stage.get(KEY)),
        ],
    );
}
