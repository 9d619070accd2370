//! Namespace records that are forgotten while other threads use the namespace.

use credcache_core::Target;

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage},
};

const KEY: At = ("one", "key");
const ELSEWHERE: At = ("two", "key");

#[test]
fn record_that_is_forgotten_and_made_anew_takes_no_credential_with_it() {
    explore(
        || Stage::with_one_namespace().after(|stage| stage.put(KEY, MINUTE)),
        [
            actor(|stage| {
                stage.invalidate(KEY.0, Target::All);
                stage.put(KEY, HOUR);
                stage.invalidate(KEY.0, Target::All);
                stage.get(KEY);
            }),
            actor(|stage| {
                stage.put(ELSEWHERE, MINUTE);
                stage.invalidate(ELSEWHERE.0, Target::All);
                stage.get(ELSEWHERE);
            }),
            actor(|stage| {
                stage.put(KEY, MINUTE);
                stage.get(KEY);
            }),
        ],
    );
}
