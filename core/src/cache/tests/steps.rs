//! Removals in steps: each step is bounded, and together they do what a single step would do.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Waker},
};

use super::*;

use crate::{
    cache::{
        lease::{LeaseAnswer, LeaseQuery},
        put::Put,
    },
    change_log::journal::WatchFrom,
    counters::{Count, TierCount},
    leases::token::Token,
    model::{
        invalidation::{Invalidate, Target},
        name::{Key, KeyPrefix, Tag},
        time::{BootTime, Lifetime, Now, WallTime},
    },
};

/// Each stripe holds more entries than a step removes, and more than a leaf holds, because a single
/// leaf is always searched completely.
const KEYS: usize = 12_000;
/// The most credentials of this size that a step removes, for any kind of removal.
const MAX_REMOVED: u64 = 17;
/// The most entries that a step inspects.
const MAX_INSPECTED: u64 = 256;

fn key(nth: usize) -> String {
    format!("key{nth:05}")
}

fn put_for(cache: &Cache, key: &str, secs: u64) -> u64 {
    let lifetime = Lifetime::For(Duration::from_secs(secs));
    let put = Put {
        lifetime,
        ..of("a", key)
    };
    let stored = cache.put(put, Now::default()).expect("room");
    stored.version.number()
}

fn filled(secs: u64) -> Cache {
    let cache = cache();
    for nth in 0..KEYS {
        put_for(&cache, &key(nth), secs);
    }
    cache
}

fn invalidation(target: Target<'_>) -> Invalidate<'_> {
    Invalidate {
        namespace: namespace("a"),
        target,
        issued_before: None,
    }
}

fn wide() -> [Target<'static>; 3] {
    [
        Target::Prefix(KeyPrefix::parse("key").expect("a prefix")),
        Target::Tag(Tag::parse("tag").expect("a tag")),
        Target::All,
    ]
}

fn held(cache: &Cache) -> u64 {
    let counts = cache.counts(None);
    counts.of_tier(TierId::new(0), TierCount::Entries)
}

fn found(cache: &Cache, key: &str) -> Option<u64> {
    let found = cache.get(name("a", key), Duration::ZERO, Now::default);
    found.hit().map(|hit| hit.view().version().number())
}

fn after(secs: u64) -> Now {
    Now {
        wall: WallTime::from_unix(Duration::from_secs(secs)),
        boot: BootTime::from_boot(Duration::from_secs(secs)),
    }
}

fn steps(mut step: impl FnMut() -> bool) -> u64 {
    let mut steps = 1;
    while !step() {
        steps += 1;
    }
    steps
}

#[test]
fn sweep_takes_what_was_there_whatever_comes_and_goes_between_its_steps() {
    for target in wide() {
        let cache = filled(60);
        let mut rng = fastrand::Rng::with_seed(7);
        let mut newer = BTreeMap::new();
        let mut gone = 0;
        let mut sweep = cache.begin_invalidation(invalidation(target), Now::default());
        let done = loop {
            if let Some(done) = sweep.step() {
                break done;
            }
            // In place of an existing entry, beside the existing entries, and among those that the
            // sweep has passed already.
            for nth in [rng.usize(0..KEYS), KEYS + rng.usize(0..KEYS)] {
                let put = put_for(&cache, &key(nth), 60);
                newer.insert(key(nth), put);
            }
            let nth = key(rng.usize(0..KEYS));
            let one = Target::Key {
                key: Key::parse(&nth).expect("a key"),
                if_version: None,
            };
            newer.remove(&nth);
            gone += cache.invalidate(invalidation(one), Now::default()).removed;
        };
        assert!(newer.len() > 100, "{} in between", newer.len());
        assert!(gone > 10, "{gone} removed in between");
        for nth in 0..2 * KEYS {
            let key = key(nth);
            assert_eq!(found(&cache, &key), newer.get(&key).copied(), "{key}");
        }
        assert_eq!(held(&cache), newer.len() as u64);
        assert_eq!(done.removed, KEYS as u64, "removed by either");
        assert_eq!(sweep.step(), Some(done), "it stays done");
    }
}

#[test]
fn step_of_a_sweep_removes_little() {
    for target in wide() {
        let cache = filled(60);
        let mut sweep = cache.begin_invalidation(invalidation(target), Now::default());
        let mut left = held(&cache);
        assert_eq!(left, KEYS as u64, "the beginning removes nothing");
        let steps = steps(|| {
            let is_done = sweep.step().is_some();
            let now = held(&cache);
            assert!(left - now <= MAX_REMOVED, "{} in one step", left - now);
            left = now;
            is_done
        });
        assert_eq!(left, 0);
        assert!(steps < KEYS as u64 / 10, "{steps} steps");
    }
}

#[test]
fn step_of_a_sweep_looks_at_little_that_it_does_not_remove() {
    let cache = cache();
    cache.put(of("a", "key"), Now::default()).expect("room");
    let [prefix, ..] = wide();
    let mut sweep = cache.begin_invalidation(invalidation(prefix), Now::default());
    for nth in 0..KEYS {
        put_for(&cache, &key(nth), 60);
    }
    let steps = steps(|| sweep.step().is_some());
    assert!(steps >= KEYS as u64 / MAX_INSPECTED, "{steps} steps");
    assert_eq!(held(&cache), KEYS as u64);
}

#[test]
fn sweep_is_published_with_its_last_step() {
    for target in wide() {
        let cache = Arc::new(filled(60));
        let mut watcher = cache
            .clone()
            .watch(namespace("a"), WatchFrom::Now)
            .expect("room for a watcher");
        let mut is_received = || {
            let mut context = Context::from_waker(Waker::noop());
            watcher.poll_next(&mut context).is_ready()
        };
        let mut sweep = cache.begin_invalidation(invalidation(target), Now::default());
        while sweep.step().is_none() {
            assert!(!is_received(), "before the effect is complete");
        }
        assert!(is_received(), "before the sweep is dropped");
        drop(sweep);
        assert!(!is_received(), "once");
    }
}

#[test]
fn sweep_that_is_dropped_runs_to_its_end() {
    for (target, steps) in wide().into_iter().zip([0, 1, 100]) {
        let cache = Arc::new(filled(60));
        let mut watcher = cache
            .clone()
            .watch(namespace("a"), WatchFrom::Now)
            .expect("room for a watcher");
        let mut sweep = cache.begin_invalidation(invalidation(target), Now::default());
        for _ in 0..steps {
            assert_eq!(sweep.step(), None);
        }
        // Which entries are left at this point depends on their hashes.
        let left = (0..KEYS).map(key).find(|key| found(&cache, key).is_some());
        let left = left.expect("a key that is left");
        let later = put_for(&cache, &left, 60);
        drop(sweep);
        assert_eq!(found(&cache, &left), Some(later));
        assert_eq!(held(&cache), 1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(watcher.poll_next(&mut context).is_ready(), "published");
        assert_eq!(cache.counts(None).of(Count::Invalidated), KEYS as u64);
    }
}

#[test]
fn step_of_reclaiming_takes_little_and_together_they_take_all() {
    let cache = filled(10);
    for nth in KEYS..2 * KEYS {
        put_for(&cache, &key(nth), 60);
    }
    let mut reclaim = cache.begin_reclaim(after(10));
    let mut left = held(&cache);
    let mut renewed = 0;
    let reclaimed = loop {
        let step = reclaim.step();
        let now = held(&cache);
        assert!(left - now <= MAX_REMOVED, "{} in one step", left - now);
        if let Some(reclaimed) = step {
            break reclaimed;
        }
        // A credential that replaced an expired one stays.
        put_for(&cache, &key(renewed), 60);
        renewed += 1;
        left = held(&cache);
    };
    assert!(renewed > 100, "{renewed} steps");
    assert!(reclaimed <= KEYS as u64);
    assert_eq!(held(&cache), (KEYS + renewed) as u64);
    for nth in (0..renewed).chain(KEYS..2 * KEYS) {
        assert!(found(&cache, &key(nth)).is_some(), "{nth}");
    }
}

/// Leaves whose earliest credential was replaced are searched in vain.
#[test]
fn step_of_reclaiming_looks_at_little_and_comes_further() {
    let cache = filled(10);
    for nth in 0..KEYS {
        put_for(&cache, &key(nth), 60);
    }
    for least in [KEYS as u64 / MAX_INSPECTED, 1] {
        let mut reclaim = cache.begin_reclaim(after(10));
        let steps = steps(|| reclaim.step().is_some());
        assert!((least..3 * least + 3).contains(&steps), "{steps} steps");
        assert_eq!(held(&cache), KEYS as u64);
    }
}

#[test]
fn step_of_reclaiming_ends_few_leases_and_forgets_few_revocations() {
    const MANY: u64 = 1_000;
    let cache = cache();
    for nth in 0..MANY {
        let key = nth.to_string();
        let name = name("a", &key);
        let ask = LeaseQuery {
            min_ttl: Duration::ZERO,
            lease: Some(Token::from_bytes(u128::from(nth).to_be_bytes()).into()),
            wait: false,
        };
        let answer = cache.get_or_lease(name, ask, Now::default);
        assert!(
            matches!(answer, Ok(LeaseAnswer::Ready(_, Some(_)))),
            "{answer:?}"
        );
        let target = Target::Key {
            key: name.key,
            if_version: None,
        };
        let elsewhere = Invalidate {
            namespace: namespace("b"),
            ..invalidation(target)
        };
        cache.invalidate(elsewhere, Now::default());
    }
    let expired = || cache.counts(None).of(Count::LeasesExpired);
    let mut reclaim = cache.begin_reclaim(after(50_000));
    let mut before = 0;
    let steps = steps(|| {
        let is_done = reclaim.step().is_some();
        assert!(
            expired() - before <= MAX_REMOVED,
            "{before} and {}",
            expired()
        );
        before = expired();
        is_done
    });
    assert_eq!(expired(), MANY);
    assert!(steps >= 2 * MANY / MAX_REMOVED, "{steps} steps");
}
