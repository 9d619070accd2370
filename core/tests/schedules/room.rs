//! A full tier that evicts entries while other threads use them.

use credcache_core::Target;

use crate::{
    explore::{actor, explore},
    stage::{At, HOUR, MINUTE, Stage},
};

const KEYS: [&str; 40] = [
    "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15",
    "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31",
    "32", "33", "34", "35", "36", "37", "38", "39",
];

fn at(nth: usize) -> At {
    ("ns", KEYS[nth])
}

fn full() -> Stage {
    Stage::tight().after(|stage| {
        for nth in 0..36 {
            stage.put(at(nth), MINUTE);
        }
    })
}

#[test]
fn what_is_pushed_out_while_it_is_invalidated_goes_once() {
    explore(
        full,
        [
            actor(|stage| {
                stage.put(at(36), MINUTE);
                stage.put(at(35), MINUTE);
            }),
            actor(|stage| {
                stage.invalidate("ns", Target::All);
                stage.get(at(35));
            }),
            actor(|stage| {
                stage.put(at(37), MINUTE);
                stage.get(at(35));
            }),
        ],
    );
}

#[test]
fn what_is_pushed_out_while_it_is_replaced_leaves_the_new_one() {
    let puts = |keys: [usize; 3], secs| {
        actor(move |stage| {
            for nth in keys {
                stage.put(at(nth), secs);
            }
            stage.get(at(keys[0]));
        })
    };
    explore(
        full,
        [
            puts([36, 37, 38], MINUTE),
            puts([35, 34, 33], MINUTE),
            puts([35, 34, 33], HOUR),
        ],
    );
}
