use std::{collections::BTreeMap, time::SystemTime};

use super::*;
use crate::Secret;

const BOUND: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A minute after the boot of a machine of its own.
fn start() -> BootInstant {
    BootInstant::from_nanos(0).after(MINUTE)
}

fn watched() -> Space {
    let space = Space::new("aws".into(), 1024 * 1024, BOUND);
    space.establish(true);
    space.prove(start());
    space
}

/// A credential that ends a minute after the start, and is due at half that.
fn credential(version: u64) -> Arc<Credential> {
    let expires_at = SystemTime::UNIX_EPOCH + MINUTE;
    Arc::new(Credential {
        value: Secret::new("token"),
        expires_at,
        refresh_at: expires_at - MINUTE / 2,
        version,
        tier: "1-minute".into(),
        attributes: BTreeMap::new(),
        tags: Vec::new(),
        deadline: start().after(MINUTE),
    })
}

fn fill(space: &Space, key: &str, version: u64) {
    space.begin(key).end(&credential(version));
}

fn version(space: &Space, key: &str, now: BootInstant) -> Option<u64> {
    let hit = space.lookup(key, Duration::ZERO, || now)?;
    Some(hit.credential.version)
}

fn kept(space: &Space, key: &str) -> Option<u64> {
    version(space, key, start())
}

#[test]
fn answer_is_kept_and_found_under_its_key_alone() {
    let space = watched();
    fill(&space, "reader", 3);
    assert_eq!(kept(&space, "reader"), Some(3));
    assert_eq!(kept(&space, "read"), None);
    let stats = space.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (1, 1, 1));
    assert!(space.changes().fills.is_empty());
}

#[test]
fn silence_as_long_as_the_bound_makes_everything_a_miss() {
    let space = watched();
    fill(&space, "reader", 3);
    let almost = start().after(BOUND - Duration::from_nanos(1));
    assert_eq!(version(&space, "reader", almost), Some(3));
    assert_eq!(version(&space, "reader", start().after(BOUND)), None);
    space.prove(start().after(BOUND));
    assert_eq!(version(&space, "reader", start().after(BOUND)), Some(3));
}

#[test]
fn nothing_is_used_before_the_first_proof() {
    let space = Space::new("aws".into(), 1024 * 1024, BOUND);
    space.establish(true);
    fill(&space, "reader", 3);
    // Even on a machine that was only just booted.
    assert_eq!(version(&space, "reader", BootInstant::from_nanos(1)), None);
}

#[test]
fn lifetime_is_judged_by_the_instant_after_the_entry_was_found() {
    let space = watched();
    fill(&space, "reader", 3);
    let end = start().after(MINUTE);
    space.prove(end);
    assert_eq!(version(&space, "reader", end), None);
    let before = end.before(SECOND);
    let enough = |least| space.lookup("reader", least, || before).is_some();
    assert!(enough(SECOND));
    assert!(!enough(SECOND * 2));
}

#[test]
fn events_remove_what_they_name_and_was_put_before() {
    let key = |key: &str| Target::Key(key.into());
    let prefix = |prefix: &str| Target::KeyPrefix(prefix.into());
    for (target, of_role, of_user) in [
        (key("role/a"), None, Some(3)),
        (prefix("role/"), None, Some(3)),
        (Target::Tag("prod".into()), None, None),
        (Target::All, None, None),
    ] {
        let space = watched();
        fill(&space, "role/a", 3);
        fill(&space, "user/b", 3);
        space.invalidated(&target, 4);
        assert_eq!(kept(&space, "role/a"), of_role, "{target:?}");
        assert_eq!(kept(&space, "user/b"), of_user, "{target:?}");
    }
}

#[test]
fn later_versions_outlive_an_event_that_names_them() {
    for target in [
        Target::Key("role/a".into()),
        Target::KeyPrefix("role/".into()),
    ] {
        let space = watched();
        fill(&space, "role/a", 5);
        space.invalidated(&target, 4);
        assert_eq!(kept(&space, "role/a"), Some(5), "{target:?}");
    }
}

#[test]
fn replaced_version_is_removed_and_the_new_one_is_not() {
    let space = watched();
    fill(&space, "reader", 3);
    space.replaced("reader", 5);
    assert_eq!(kept(&space, "reader"), None);
    fill(&space, "reader", 5);
    space.replaced("reader", 5);
    assert_eq!(kept(&space, "reader"), Some(5));
}

#[test]
fn answer_from_before_an_event_is_not_kept_after_it() {
    for target in [
        Target::Key("role/a".into()),
        Target::KeyPrefix("role/".into()),
        Target::Tag("prod".into()),
        Target::All,
    ] {
        let space = watched();
        let asked = space.begin("role/a");
        space.invalidated(&target, 4);
        asked.end(&credential(3));
        assert_eq!(kept(&space, "role/a"), None, "{target:?}");

        // What is asked for after the event is good, whatever its version: the
        // server has it still, so it wasn't revoked.
        fill(&space, "role/a", 3);
        assert_eq!(kept(&space, "role/a"), Some(3), "{target:?}");
        assert!(space.changes().fills.is_empty());
    }
}

#[test]
fn later_question_shares_the_mark_of_an_earlier_one_unharmed() {
    let space = watched();
    let early = space.begin("reader");
    space.invalidated(&Target::Key("reader".into()), 4);
    let late = space.begin("reader");
    late.end(&credential(5));
    early.end(&credential(3));
    assert_eq!(kept(&space, "reader"), Some(5));
}

#[test]
fn event_of_another_key_leaves_an_answer_alone() {
    for target in [
        Target::Key("user/b".into()),
        Target::KeyPrefix("user/".into()),
    ] {
        let space = watched();
        let asked = space.begin("role/a");
        space.invalidated(&target, 4);
        asked.end(&credential(3));
        assert_eq!(kept(&space, "role/a"), Some(3), "{target:?}");
    }
}

#[test]
fn reset_voids_what_is_kept_and_what_is_under_way() {
    let space = watched();
    fill(&space, "kept", 3);
    let asked = space.begin("under way");
    space.reset();
    // Of the old instance, whose versions say nothing any more.
    asked.end(&credential(1000));
    assert_eq!(kept(&space, "kept"), None);
    assert_eq!(kept(&space, "under way"), None);
    fill(&space, "kept", 1);
    assert_eq!(kept(&space, "kept"), Some(1));
    assert_eq!(space.stats().resets, 1);
}

#[test]
fn what_was_asked_without_a_watch_is_not_kept() {
    let space = watched();
    space.establish(false);
    let asked = space.begin("reader");
    space.establish(true);
    asked.end(&credential(3));
    assert_eq!(kept(&space, "reader"), None);
}

#[test]
fn slower_answer_does_not_bring_an_older_version_back() {
    let space = watched();
    let slow = space.begin("reader");
    fill(&space, "reader", 5);
    slow.end(&credential(3));
    assert_eq!(kept(&space, "reader"), Some(5));
}

#[test]
fn version_that_takes_anothers_place_is_judged_by_its_own_end() {
    let ending = |version, seconds: u32| {
        let mut credential = Arc::unwrap_or_clone(credential(version));
        credential.deadline = start().after(SECOND * seconds);
        Arc::new(credential)
    };
    for (first, second) in [(60, 30), (30, 60)] {
        let space = watched();
        space.begin("reader").end(&ending(3, first));
        space.begin("reader").end(&ending(4, second));
        let end = start().after(SECOND * second);
        space.prove(end);
        let last = end.before(Duration::from_nanos(1));
        assert_eq!(version(&space, "reader", last), Some(4));
        assert_eq!(version(&space, "reader", end), None);
        assert_eq!(space.stats().entries, 1);
    }
}

#[test]
fn keys_of_any_length_are_told_apart() {
    let space = watched();
    // Around the length up to which they lie in the entry itself.
    let keys: Vec<String> = (1..=100)
        .chain([1023, 1024])
        .map(|n| "k".repeat(n))
        .collect();
    for (key, version) in keys.iter().zip(1..) {
        fill(&space, key, version);
    }
    for (key, version) in keys.iter().zip(1..) {
        assert_eq!(kept(&space, key), Some(version), "{}", key.len());
        let mut other = key.clone();
        other.replace_range(key.len() - 1.., "j");
        assert_eq!(kept(&space, &other), None, "{}", key.len());
        assert_eq!(kept(&space, &format!("{key}\0")), None, "{}", key.len());
    }
    space.invalidated(&Target::KeyPrefix("k".repeat(46)), 1000);
    for key in &keys {
        assert_eq!(kept(&space, key).is_some(), key.len() < 46, "{}", key.len());
    }
}

#[test]
fn question_that_is_given_up_leaves_nothing_behind() {
    let space = watched();
    drop(space.begin("reader"));
    assert!(space.changes().fills.is_empty());
}

#[test]
fn stalled_lookup_does_not_take_a_later_proof_for_its_own() {
    let space = watched();
    fill(&space, "reader", 3);
    let late = start().after(MINUTE / 2);
    let hit = space.lookup("reader", Duration::ZERO, || {
        // Between the entry and the clock, the thread stood still for half a
        // minute: long enough for a revocation, and for a proof after it.
        space.invalidated(&Target::Tag("prod".into()), 4);
        space.prove(late);
        late
    });
    assert!(hit.is_none());
}

#[test]
fn due_credential_is_seen_to_by_one_caller_a_second() {
    let space = watched();
    fill(&space, "reader", 3);
    let due = start().after(MINUTE / 2);
    for (now, is_due) in [(due.before(SECOND), false), (due, true)] {
        space.prove(now);
        let hit = space.lookup("reader", Duration::ZERO, || now).unwrap();
        assert_eq!(hit.is_due(), is_due);
    }
    assert!(space.may_renew("reader", due));
    assert!(!space.may_renew("reader", due));
    assert!(space.may_renew("writer", due));
    assert!(space.may_renew("reader", due.after(SECOND)));
    space.sweep(due.after(SECOND * 2));
    assert!(space.renewals().is_empty());
}

#[test]
fn sweep_takes_back_what_is_void_or_over() {
    let space = watched();
    fill(&space, "void", 3);
    space.forget();
    fill(&space, "over", 4);
    assert_eq!(space.stats().entries, 2);
    space.sweep(start());
    assert_eq!(kept(&space, "over"), Some(4));
    assert_eq!(space.stats().entries, 1);
    space.sweep(start().after(MINUTE));
    assert_eq!((space.stats().entries, space.stats().used_bytes), (0, 0));
}

#[test]
fn capacity_is_a_bound() {
    const CAPACITY: u64 = 64 * 1024;
    let space = Space::new("aws".into(), CAPACITY, BOUND);
    space.establish(true);
    for number in 0..1000 {
        fill(&space, &number.to_string(), number);
    }
    let stats = space.stats();
    assert!(
        stats.used_bytes <= CAPACITY && stats.entries > 100,
        "{stats:?}"
    );
}
