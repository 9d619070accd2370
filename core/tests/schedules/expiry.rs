//! Expiry and reclaiming against Put.

use credcache_core::{Precondition, Target};

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage},
};

const KEY: At = ("ns", "key");
const OTHER: At = ("ns", "other");

#[test]
fn reclaiming_takes_what_has_expired_and_nothing_that_took_its_place() {
    explore(
        || {
            Stage::roomy().after(|stage| {
                stage.put(KEY, MINUTE);
                stage.put(OTHER, MINUTE);
            })
        },
        [
            actor(|stage| {
                stage.pass(MINUTE);
                stage.reclaim();
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.put(KEY, HOUR);
                stage.put_if(OTHER, MINUTE, Some(Precondition::Absent));
            }),
            actor(|stage| {
                stage.get(KEY);
                stage.get(OTHER);
            }),
        ],
    );
}

#[test]
fn reclaiming_and_invalidating_share_the_entries() {
    explore(
        || {
            Stage::roomy().after(|stage| {
                stage.put(KEY, MINUTE);
                stage.put(OTHER, HOUR);
            })
        },
        [
            actor(|stage| {
                stage.pass(MINUTE);
                stage.reclaim();
            }),
            actor(|stage| {
                stage.invalidate(KEY.0, Target::All);
                stage.get(OTHER);
            }),
            actor(|stage| {
                stage.get(OTHER);
                stage.put(KEY, MINUTE);
                stage.get(KEY);
            }),
        ],
    );
}
