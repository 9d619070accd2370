//! Puts of one key into different tiers.

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage},
};

const KEY: At = ("ns", "key");

#[test]
fn of_two_puts_into_different_tiers_one_stays_and_no_reader_goes_back() {
    explore(
        || Stage::roomy().after(|stage| stage.put(KEY, HOUR)),
        [
            actor(|stage| {
                stage.put(KEY, MINUTE);
                stage.put(KEY, HOUR);
            }),
            actor(|stage| {
                stage.put(KEY, HOUR);
                stage.put(KEY, MINUTE);
            }),
            actor(|stage| {
                for _ in 0..3 {
                    stage.get(KEY);
                }
            }),
        ],
    );
}
