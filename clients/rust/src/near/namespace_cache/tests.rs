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

fn watched() -> NamespaceCache {
    let cache = NamespaceCache::new("aws".into(), 1024 * 1024, BOUND);
    cache.set_watching(true);
    cache.mark_fresh(start());
    cache
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

fn fill(cache: &NamespaceCache, key: &str, version: u64) {
    cache.begin_fill(key).complete(&credential(version));
}

fn version(cache: &NamespaceCache, key: &str, now: BootInstant) -> Option<u64> {
    let hit = cache.get(key, Duration::ZERO, || now)?;
    Some(hit.credential.version)
}

fn cached_version(cache: &NamespaceCache, key: &str) -> Option<u64> {
    version(cache, key, start())
}

#[test]
fn answer_is_kept_and_found_under_its_key_alone() {
    let cache = watched();
    fill(&cache, "reader", 3);
    assert_eq!(cached_version(&cache, "reader"), Some(3));
    assert_eq!(cached_version(&cache, "read"), None);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (1, 1, 1));
    assert!(cache.fills().pending.is_empty());
}

#[test]
fn silence_as_long_as_the_bound_makes_everything_a_miss() {
    let cache = watched();
    fill(&cache, "reader", 3);
    let almost = start().after(BOUND - Duration::from_nanos(1));
    assert_eq!(version(&cache, "reader", almost), Some(3));
    assert_eq!(version(&cache, "reader", start().after(BOUND)), None);
    cache.mark_fresh(start().after(BOUND));
    assert_eq!(version(&cache, "reader", start().after(BOUND)), Some(3));
}

#[test]
fn nothing_is_used_before_the_first_mark() {
    let cache = NamespaceCache::new("aws".into(), 1024 * 1024, BOUND);
    cache.set_watching(true);
    fill(&cache, "reader", 3);
    // Even on a machine that was only just booted.
    assert_eq!(version(&cache, "reader", BootInstant::from_nanos(1)), None);
}

#[test]
fn lifetime_is_judged_by_the_instant_after_the_entry_was_found() {
    let cache = watched();
    fill(&cache, "reader", 3);
    let end = start().after(MINUTE);
    cache.mark_fresh(end);
    assert_eq!(version(&cache, "reader", end), None);
    let before = end.before(SECOND);
    let enough = |least| cache.get("reader", least, || before).is_some();
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
        let cache = watched();
        fill(&cache, "role/a", 3);
        fill(&cache, "user/b", 3);
        cache.invalidated(&target, 4);
        assert_eq!(cached_version(&cache, "role/a"), of_role, "{target:?}");
        assert_eq!(cached_version(&cache, "user/b"), of_user, "{target:?}");
    }
}

#[test]
fn later_versions_outlive_an_event_that_names_them() {
    for target in [
        Target::Key("role/a".into()),
        Target::KeyPrefix("role/".into()),
    ] {
        let cache = watched();
        fill(&cache, "role/a", 5);
        cache.invalidated(&target, 4);
        assert_eq!(cached_version(&cache, "role/a"), Some(5), "{target:?}");
    }
}

#[test]
fn replaced_version_is_removed_and_the_new_one_is_not() {
    let cache = watched();
    fill(&cache, "reader", 3);
    cache.replaced("reader", 5);
    assert_eq!(cached_version(&cache, "reader"), None);
    fill(&cache, "reader", 5);
    cache.replaced("reader", 5);
    assert_eq!(cached_version(&cache, "reader"), Some(5));
}

#[test]
fn answer_from_before_an_event_is_not_kept_after_it() {
    for target in [
        Target::Key("role/a".into()),
        Target::KeyPrefix("role/".into()),
        Target::Tag("prod".into()),
        Target::All,
    ] {
        let cache = watched();
        let asked = cache.begin_fill("role/a");
        cache.invalidated(&target, 4);
        asked.complete(&credential(3));
        assert_eq!(cached_version(&cache, "role/a"), None, "{target:?}");

        // What is asked for after the event is good, whatever its version: the
        // server has it still, so it wasn't revoked.
        fill(&cache, "role/a", 3);
        assert_eq!(cached_version(&cache, "role/a"), Some(3), "{target:?}");
        assert!(cache.fills().pending.is_empty());
    }
}

#[test]
fn later_question_shares_the_mark_of_an_earlier_one_unharmed() {
    let cache = watched();
    let early = cache.begin_fill("reader");
    cache.invalidated(&Target::Key("reader".into()), 4);
    let late = cache.begin_fill("reader");
    late.complete(&credential(5));
    early.complete(&credential(3));
    assert_eq!(cached_version(&cache, "reader"), Some(5));
}

#[test]
fn event_of_another_key_leaves_an_answer_alone() {
    for target in [
        Target::Key("user/b".into()),
        Target::KeyPrefix("user/".into()),
    ] {
        let cache = watched();
        let asked = cache.begin_fill("role/a");
        cache.invalidated(&target, 4);
        asked.complete(&credential(3));
        assert_eq!(cached_version(&cache, "role/a"), Some(3), "{target:?}");
    }
}

#[test]
fn reset_voids_what_is_kept_and_what_is_under_way() {
    let cache = watched();
    fill(&cache, "cached", 3);
    let asked = cache.begin_fill("under way");
    cache.reset();
    // Of the old instance, whose versions say nothing any more.
    asked.complete(&credential(1000));
    assert_eq!(cached_version(&cache, "cached"), None);
    assert_eq!(cached_version(&cache, "under way"), None);
    fill(&cache, "cached", 1);
    assert_eq!(cached_version(&cache, "cached"), Some(1));
    assert_eq!(cache.stats().resets, 1);
}

#[test]
fn what_was_asked_without_a_watch_is_not_kept() {
    let cache = watched();
    cache.set_watching(false);
    let asked = cache.begin_fill("reader");
    cache.set_watching(true);
    asked.complete(&credential(3));
    assert_eq!(cached_version(&cache, "reader"), None);
}

#[test]
fn slower_answer_does_not_bring_an_older_version_back() {
    let cache = watched();
    let slow = cache.begin_fill("reader");
    fill(&cache, "reader", 5);
    slow.complete(&credential(3));
    assert_eq!(cached_version(&cache, "reader"), Some(5));
}

#[test]
fn version_that_takes_anothers_place_is_judged_by_its_own_end() {
    let ending = |version, seconds: u32| {
        let mut credential = Arc::unwrap_or_clone(credential(version));
        credential.deadline = start().after(SECOND * seconds);
        Arc::new(credential)
    };
    for (first, second) in [(60, 30), (30, 60)] {
        let cache = watched();
        cache.begin_fill("reader").complete(&ending(3, first));
        cache.begin_fill("reader").complete(&ending(4, second));
        let end = start().after(SECOND * second);
        cache.mark_fresh(end);
        let last = end.before(Duration::from_nanos(1));
        assert_eq!(version(&cache, "reader", last), Some(4));
        assert_eq!(version(&cache, "reader", end), None);
        assert_eq!(cache.stats().entries, 1);
    }
}

#[test]
fn keys_of_any_length_are_told_apart() {
    let cache = watched();
    // Around the length up to which they lie in the entry itself.
    let keys: Vec<String> = (1..=100)
        .chain([1023, 1024])
        .map(|n| "k".repeat(n))
        .collect();
    for (key, version) in keys.iter().zip(1..) {
        fill(&cache, key, version);
    }
    for (key, version) in keys.iter().zip(1..) {
        assert_eq!(cached_version(&cache, key), Some(version), "{}", key.len());
        let mut other = key.clone();
        other.replace_range(key.len() - 1.., "j");
        assert_eq!(cached_version(&cache, &other), None, "{}", key.len());
        assert_eq!(
            cached_version(&cache, &format!("{key}\0")),
            None,
            "{}",
            key.len()
        );
    }
    cache.invalidated(&Target::KeyPrefix("k".repeat(46)), 1000);
    for key in &keys {
        assert_eq!(
            cached_version(&cache, key).is_some(),
            key.len() < 46,
            "{}",
            key.len()
        );
    }
}

#[test]
fn question_that_is_given_up_leaves_nothing_behind() {
    let cache = watched();
    drop(cache.begin_fill("reader"));
    assert!(cache.fills().pending.is_empty());
}

#[test]
fn stalled_lookup_does_not_take_a_later_mark_for_its_own() {
    let cache = watched();
    fill(&cache, "reader", 3);
    let late = start().after(MINUTE / 2);
    let hit = cache.get("reader", Duration::ZERO, || {
        // Between the entry and the clock, the thread stood still for half a
        // minute: long enough for a revocation, and for a mark after it.
        cache.invalidated(&Target::Tag("prod".into()), 4);
        cache.mark_fresh(late);
        late
    });
    assert!(hit.is_none());
}

#[test]
fn due_credential_is_seen_to_by_one_caller_a_second() {
    let cache = watched();
    fill(&cache, "reader", 3);
    let due = start().after(MINUTE / 2);
    for (now, is_due) in [(due.before(SECOND), false), (due, true)] {
        cache.mark_fresh(now);
        let hit = cache.get("reader", Duration::ZERO, || now).unwrap();
        assert_eq!(hit.is_due(), is_due);
    }
    assert!(cache.may_refresh("reader", due));
    assert!(!cache.may_refresh("reader", due));
    assert!(cache.may_refresh("writer", due));
    assert!(cache.may_refresh("reader", due.after(SECOND)));
    cache.sweep(due.after(SECOND * 2));
    assert!(cache.refreshes().is_empty());
}

#[test]
fn sweep_takes_back_what_is_void_or_over() {
    let cache = watched();
    fill(&cache, "void", 3);
    cache.clear();
    fill(&cache, "over", 4);
    assert_eq!(cache.stats().entries, 2);
    cache.sweep(start());
    assert_eq!(cached_version(&cache, "over"), Some(4));
    assert_eq!(cache.stats().entries, 1);
    cache.sweep(start().after(MINUTE));
    assert_eq!((cache.stats().entries, cache.stats().used_bytes), (0, 0));
}

#[test]
fn capacity_is_a_bound() {
    const CAPACITY: u64 = 64 * 1024;
    let cache = NamespaceCache::new("aws".into(), CAPACITY, BOUND);
    cache.set_watching(true);
    for number in 0..1000 {
        fill(&cache, &number.to_string(), number);
    }
    let stats = cache.stats();
    assert!(
        stats.used_bytes <= CAPACITY && stats.entries > 100,
        "{stats:?}"
    );
}
