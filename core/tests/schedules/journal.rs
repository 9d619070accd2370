//! Watchers, while other threads change what they watch.

use std::cell::Cell;

use credcache_core::{Key, Target, WatchEvent, WatchFrom};

use crate::{
    explore::{Actor, actor, explore},
    stage::{At, HOUR, MINUTE, Stage, revision},
};

const KEY: At = ("ns", "key");
/// The number of changes: Puts while the stage is prepared, and those of the two changing actors.
const LAST: u64 = 5;

fn key() -> Target<'static> {
    Target::Key {
        key: Key::parse(KEY.1).unwrap(),
        if_version: None,
    }
}

fn put(stage: Stage) -> Stage {
    stage.after(|stage| stage.put(KEY, MINUTE))
}

fn watched(stage: Stage) -> Stage {
    put(stage.after(|stage| stage.keep_journal(KEY.0)))
}

fn changes() -> [Actor; 2] {
    [
        actor(|stage| {
            stage.put(KEY, HOUR);
            stage.put(KEY, MINUTE);
        }),
        actor(|stage| {
            stage.invalidate(KEY.0, key());
            stage.invalidate(KEY.0, Target::All);
        }),
    ]
}

/// A client that keeps a copy of the credential, and drops the copy when a change says so.
fn near(from: WatchFrom) -> Actor {
    actor(move |stage| {
        let copy = Cell::new(None);
        let begins = || copy.set(stage.get(KEY));
        stage.follow(KEY.0, from, LAST, begins, |event| {
            let up_to = revision(event);
            let is_older = copy.get().is_some_and(|copy| copy < up_to);
            if is_older || matches!(event, WatchEvent::Gap(_)) {
                copy.set(None);
            }
            if copy.get().is_none() {
                copy.set(stage.get(KEY));
            }
            let found = copy.get();
            assert!(
                found.is_none_or(|found| found >= up_to),
                "{found:?} found after {event:?}"
            );
        });
        let found = stage.get(KEY);
        assert_eq!(copy.get(), found, "copy and cache, after the last event");
    })
}

fn copied(set: fn() -> Stage, from: WatchFrom) {
    let [puts, invalidates] = changes();
    explore(set, [puts, invalidates, near(from)]);
}

#[test]
fn copy_that_follows_the_changes_ends_as_what_it_copies() {
    copied(|| watched(Stage::roomy()), WatchFrom::After(0));
}

#[test]
fn copy_that_begins_in_between_misses_nothing_that_follows() {
    copied(|| put(Stage::roomy()), WatchFrom::Now);
}

#[test]
fn copy_that_missed_changes_is_told_so() {
    copied(|| watched(Stage::with_journal_of(140)), WatchFrom::After(0));
}

#[test]
fn copy_that_asks_for_what_nobody_kept_is_told_so() {
    copied(|| put(Stage::roomy()), WatchFrom::After(1));
}
