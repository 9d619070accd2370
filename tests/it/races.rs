//! The core under many threads: the rules that hold in every interleaving.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use credcache_core::{
    Attributes, Cache, Contents, Invalidate, Invalidated, Key, KeyPrefix, Lifetime, Limits, Lookup,
    Name, NamespaceName, Now, Precondition, Put, PutError, Stored, Tag, Tags, Target, TierCount,
    TierSpec, smallest_capacity,
};

const TIERS: [(&str, u64); 2] = [("minute", 60), ("hour", 3600)];
const LIMITS: Limits = Limits {
    max_value: 64,
    max_namespaces: 4,
    ..Limits::DEFAULT
};
/// The clocks stand still, because no test here is about time.
fn now() -> Now {
    Now::default()
}

fn cache(capacity_factor: u64) -> Cache {
    let tiers = TIERS.map(|(name, secs)| TierSpec {
        name: name.into(),
        max_ttl: Duration::from_secs(secs),
        capacity: smallest_capacity(LIMITS.max_value) * capacity_factor,
    });
    Cache::new(tiers.into(), LIMITS).unwrap()
}

fn namespace() -> NamespaceName<'static> {
    NamespaceName::parse("races").unwrap()
}

fn name(key: &str) -> Name<'_> {
    Name {
        namespace: namespace(),
        key: Key::parse(key).unwrap(),
    }
}

fn put(
    cache: &Cache,
    key: &str,
    secs: u64,
    precondition: Option<Precondition>,
) -> Result<Stored, PutError> {
    let contents = Contents {
        value: LIMITS.value(key.as_bytes()).unwrap(),
        tags: Tags::new([Tag::parse("tag").unwrap()]).unwrap(),
        attributes: Attributes::default(),
    };
    let put = Put {
        name: name(key),
        contents,
        lifetime: Lifetime::For(Duration::from_secs(secs)),
        refresh_before: None,
        tier: None,
        issued_at: None,
        lease: None,
        precondition,
    };
    cache.put(put, now())
}

fn invalidate(cache: &Cache, target: Target<'_>) -> Invalidated {
    let invalidate = Invalidate {
        namespace: namespace(),
        target,
        issued_before: None,
    };
    cache.invalidate(invalidate, now())
}

/// The version that a Get finds.
fn version(cache: &Cache, key: &str) -> Option<u64> {
    match cache.get(name(key), Duration::ZERO, now) {
        Lookup::Hit(hit) => {
            assert_eq!(hit.value().as_ref(), key.as_bytes(), "another key's value");
            Some(hit.view().version().number())
        }
        Lookup::Miss(_) => None,
    }
}

fn entries(cache: &Cache) -> u64 {
    let counts = cache.counts(None);
    let held = |(tier, _)| counts.of_tier(tier, TierCount::Entries);
    cache.tiers().map(held).sum()
}

#[test]
fn racing_puts_into_different_tiers_leave_one_live_entry() {
    const ROUNDS: usize = 5_000;
    let cache = cache(64);
    let together = Barrier::new(TIERS.len());
    let latest: Vec<AtomicU64> = (0..ROUNDS).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for (_, secs) in TIERS {
            let (cache, together, latest) = (&cache, &together, &latest);
            scope.spawn(move || {
                for (round, latest) in latest.iter().enumerate() {
                    together.wait();
                    let stored = put(cache, &format!("key{}", round % 7), secs, None).unwrap();
                    latest.fetch_max(stored.version.number(), Ordering::SeqCst);
                    together.wait();
                    let found = version(cache, &format!("key{}", round % 7));
                    assert_eq!(found, Some(latest.load(Ordering::SeqCst)));
                }
            });
        }
    });
    assert_eq!(entries(&cache), 7);
}

#[test]
fn reader_never_meets_an_older_version_after_a_newer() {
    const PUTS: u64 = 100_000;
    let cache = cache(64);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..PUTS {
                put(&cache, "key", TIERS[usize::from(round % 2 == 0)].1, None).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut latest = 0;
        let mut met = 0_u64;
        while !done.load(Ordering::Acquire) {
            if let Some(found) = version(&cache, "key") {
                assert!(found >= latest, "{found} after {latest}");
                met += u64::from(found > latest);
                latest = found;
            }
        }
        assert!(met > 0, "the reader saw nothing move");
        assert_eq!(version(&cache, "key"), Some(PUTS));
    });
}

#[test]
fn one_of_many_conditional_puts_wins() {
    const ROUNDS: u64 = 2_000;
    let cache = cache(64);
    let together = Barrier::new(2);
    let won = AtomicU64::new(0);
    thread::scope(|scope| {
        for (_, secs) in TIERS {
            let (cache, together, won) = (&cache, &together, &won);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    together.wait();
                    let key = format!("key{round}");
                    match put(cache, &key, secs, Some(Precondition::Absent)) {
                        Ok(_) => won.fetch_add(1, Ordering::SeqCst),
                        Err(refusal) => {
                            assert_eq!(refusal, PutError::Exists);
                            0
                        }
                    };
                }
            });
        }
    });
    assert_eq!(won.load(Ordering::SeqCst), ROUNDS);
}

#[test]
fn no_get_finds_what_was_put_before_an_answered_invalidation() {
    const KEYS: usize = 64;
    let cache = cache(64);
    let done = AtomicBool::new(false);
    let targets = [
        Target::All,
        Target::Prefix(KeyPrefix::parse("key").unwrap()),
        Target::Tag(Tag::parse("tag").unwrap()),
    ];
    let removed = thread::scope(|scope| {
        for (_, secs) in TIERS {
            let (cache, done) = (&cache, &done);
            scope.spawn(move || {
                let mut last = [0; KEYS];
                for round in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let nth = (round * 7) % KEYS;
                    let stored = put(cache, &format!("key{nth}"), secs, None).unwrap();
                    assert!(stored.version.number() > last[nth]);
                    last[nth] = stored.version.number();
                }
            });
        }
        let mut removed = 0;
        for round in 0..3_000 {
            let answer = invalidate(&cache, targets[round % targets.len()]);
            removed += answer.removed;
            for nth in 0..KEYS {
                if let Some(found) = version(&cache, &format!("key{nth}")) {
                    assert!(found > answer.revision.number(), "came back");
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        removed
    });
    assert!(removed > 0);
}

#[test]
fn index_and_tiers_agree_after_a_storm_of_evictions() {
    const KEYS: u64 = 4_000;
    let cache = cache(1);
    thread::scope(|scope| {
        for seed in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                for _ in 0..40_000 {
                    let key = format!("key{}", rng.u64(0..KEYS));
                    match rng.u8(0..16) {
                        0 => drop(version(cache, &key)),
                        1 => {
                            let key = Key::parse(&key).unwrap();
                            let target = Target::Key {
                                key,
                                if_version: None,
                            };
                            invalidate(cache, target);
                        }
                        nth => drop(put(cache, &key, TIERS[usize::from(nth % 2)].1, None).unwrap()),
                    }
                }
            });
        }
    });
    let found = (0..KEYS).filter(|nth| version(&cache, &format!("key{nth}")).is_some());
    let found = found.count() as u64;
    let counts = cache.counts(None);
    let evictions: u64 = cache
        .tiers()
        .map(|(tier, _)| counts.of_tier(tier, TierCount::Evictions))
        .sum();
    assert!(evictions > 10_000, "{evictions} evictions are no storm");
    assert_eq!(
        found,
        entries(&cache),
        "an entry is in the index alone, or in a tier alone"
    );
}
