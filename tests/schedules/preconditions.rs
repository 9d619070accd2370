//! Conditional Puts against each other and against Invalidate.

use credcache::cache::{Key, Precondition, Target};

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage, version},
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
