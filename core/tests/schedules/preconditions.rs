//! Conditional Puts against each other and against invalidations.

use credcache_core::{Key, KeyPrefix, Precondition, Tag, Target};

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage, TAG, version},
};

const KEY: At = ("ns", "key");

#[test]
fn one_of_two_puts_finds_the_key_absent() {
    let put = |secs| actor(move |stage| stage.put_if(KEY, secs, Some(Precondition::Absent)));
    explore(
        Stage::roomy,
        [
            put(MINUTE),
            put(HOUR),
            actor(|stage| {
                stage.get(KEY);
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn refresh_of_a_version_never_replaces_another() {
    let refresh = |secs| {
        actor(move |stage| {
            if let Some(found) = stage.get(KEY) {
                stage.put_if(KEY, secs, Some(Precondition::Version(version(found))));
            }
        })
    };
    explore(
        || Stage::roomy().after(|stage| stage.put(KEY, MINUTE)),
        [
            refresh(HOUR),
            refresh(MINUTE),
            actor(|stage| {
                let key = Key::parse(KEY.1).unwrap();
                let if_version = None;
                stage.invalidate(KEY.0, Target::Key { key, if_version });
                stage.put(KEY, HOUR);
                stage.get(KEY);
            }),
        ],
    );
}

/// Replaces each version by the next, while an invalidation runs.
fn chain(target: Target<'static>) {
    explore(
        || Stage::roomy().after(|stage| stage.put(KEY, MINUTE)),
        [
            actor(|stage| {
                let mut last = Some(1);
                while let Some(found) = last.filter(|found| *found < 8) {
                    last = stage.put_if(KEY, HOUR, Some(Precondition::Version(version(found))));
                }
                stage.get(KEY);
            }),
            actor(move |stage| {
                stage.invalidate(KEY.0, target);
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.put_if(KEY, MINUTE, Some(Precondition::Absent));
                stage.get(KEY);
            }),
        ],
    );
}

#[test]
fn no_chain_of_versions_survives_the_invalidation_of_its_key() {
    let key = Key::parse(KEY.1).unwrap();
    let if_version = None;
    chain(Target::Key { key, if_version });
}

#[test]
fn no_chain_of_versions_survives_the_invalidation_of_a_prefix() {
    chain(Target::Prefix(KeyPrefix::parse("k").unwrap()));
}

#[test]
fn no_chain_of_versions_survives_the_invalidation_of_a_tag() {
    chain(Target::Tag(Tag::parse(TAG).unwrap()));
}

#[test]
fn no_chain_of_versions_survives_the_invalidation_of_all() {
    chain(Target::All);
}

#[test]
fn version_is_invalidated_once_by_those_who_name_it_and_those_who_do_not() {
    explore(
        || Stage::roomy().after(|stage| stage.put(KEY, MINUTE)),
        [
            actor(|stage| {
                let key = Key::parse(KEY.1).unwrap();
                let if_version = Some(version(1));
                stage.invalidate(KEY.0, Target::Key { key, if_version });
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.get(KEY);
                stage.invalidate(KEY.0, Target::All);
                stage.get(KEY);
            }),
            actor(|stage| {
                let key = Key::parse(KEY.1).unwrap();
                let if_version = None;
                stage.invalidate(KEY.0, Target::Key { key, if_version });
                stage.get(KEY);
            }),
        ],
    );
}
