//! The value of a credential doesn't stay in memory once the credential is gone for any reason.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows #[test] functions, but not what they share"
)]

use std::time::Duration;

use credcache_core::{
    Attributes, BootTime, Cache, Contents, Invalidate, Key, Lifetime, Limits, Lookup, Name,
    NamespaceName, Now, Put, Tags, Target, TierSpec, WallTime, smallest_capacity,
};
use credcache_traces::Mark;

/// Large enough that an allocator's own marks don't hide the value.
const VALUE: usize = 500;
const MINUTE: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits {
    max_value: 1024,
    ..Limits::DEFAULT
};

fn at(seconds: u64) -> Now {
    Now {
        wall: WallTime::from_unix(Duration::from_secs(1_700_000_000 + seconds)),
        boot: BootTime::from_boot(Duration::from_secs(1_000 + seconds)),
    }
}

fn cache() -> Cache {
    let tiers = ["short", "long"].into_iter().zip([MINUTE, 10 * MINUTE]);
    let tiers = tiers.map(|(name, max_ttl)| TierSpec {
        name: name.into(),
        max_ttl,
        capacity: smallest_capacity(LIMITS.max_value),
    });
    Cache::new(tiers.collect(), LIMITS).unwrap()
}

fn name(key: &str) -> Name<'_> {
    Name {
        namespace: NamespaceName::parse("aws").unwrap(),
        key: Key::parse(key).unwrap(),
    }
}

fn put(cache: &Cache, key: &str, value: &[u8], attributes: &[(&str, &str)], ttl: Duration) {
    let put = Put {
        name: name(key),
        contents: Contents {
            value: LIMITS.value(value).unwrap(),
            tags: Tags::default(),
            attributes: Attributes::new(attributes.iter().copied()).unwrap(),
        },
        lifetime: Lifetime::For(ttl),
        refresh_before: None,
        tier: None,
        issued_at: None,
        lease: None,
        precondition: None,
    };
    cache.put(put, at(0)).unwrap();
}

fn traces(mark: Mark) -> usize {
    mark.traces().unwrap()
}

/// Stores the value, which is then in memory once, and lets `end` remove the credential.
fn assert_zeroed(seed: u32, end: impl Fn(&Cache)) {
    let attributes: [&[_]; 2] = [&[], &[("region", "eu")]];
    for (attributes, seed) in attributes.into_iter().zip(seed * 2..) {
        let (cache, mark) = (cache(), Mark::new(seed));
        put(&cache, "marked", &mark.bytes(VALUE), attributes, MINUTE);
        assert_eq!(traces(mark), 1, "while it is stored");
        end(&cache);
        assert_eq!(traces(mark), 0, "{attributes:?}");
    }
}

fn invalidate(cache: &Cache) {
    let invalidate = Invalidate {
        namespace: NamespaceName::parse("aws").unwrap(),
        target: Target::All,
        issued_before: None,
    };
    assert_eq!(cache.invalidate(invalidate, at(1)).removed, 1);
}

#[test]
fn invalidated_value_is_zeroed() {
    assert_zeroed(1, invalidate);
}

#[test]
fn expired_value_is_zeroed_when_it_is_reclaimed() {
    assert_zeroed(2, |cache| assert_eq!(cache.reclaim(at(60)), 1));
}

#[test]
fn replaced_value_is_zeroed_within_its_tier_and_from_another() {
    for (seed, ttl) in [(3, MINUTE), (4, 2 * MINUTE)] {
        assert_zeroed(seed, |cache| put(cache, "marked", b"other", &[], ttl));
    }
}

#[test]
fn evicted_value_is_zeroed() {
    let (cache, mark) = (cache(), Mark::new(10));
    let fill = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            put(&cache, &format!("{number}"), &[7; VALUE], &[], MINUTE);
        }
    };
    // An entry that enters a full tier and is never read is the next to be evicted.
    fill(0..2_000);
    put(&cache, "marked", &mark.bytes(VALUE), &[], MINUTE);
    assert_eq!(traces(mark), 1, "while it is stored");
    fill(2_000..4_000);
    let lookup = cache.get(name("marked"), Duration::ZERO, || at(0));
    assert!(matches!(lookup, Lookup::Miss(_)));
    assert_eq!(traces(mark), 0);
}

#[test]
fn value_of_a_put_that_is_refused_is_zeroed() {
    let (cache, mark) = (cache(), Mark::new(11));
    let put = Put {
        name: name("marked"),
        contents: Contents {
            value: LIMITS.value(&mark.bytes(VALUE)).unwrap(),
            tags: Tags::default(),
            attributes: Attributes::default(),
        },
        lifetime: Lifetime::For(Duration::ZERO),
        refresh_before: None,
        tier: None,
        issued_at: None,
        lease: None,
        precondition: None,
    };
    assert_eq!(traces(mark), 1);
    assert!(cache.put(put, at(0)).is_err());
    assert_eq!(traces(mark), 0);
}

#[test]
fn value_is_zeroed_with_the_last_who_holds_it() {
    let (cache, mark) = (cache(), Mark::new(12));
    put(&cache, "marked", &mark.bytes(VALUE), &[], MINUTE);
    let lookup = cache.get(name("marked"), Duration::ZERO, || at(0));
    let value = lookup.hit().unwrap().value();
    invalidate(&cache);
    assert!(mark.is(value.as_ref()));
    assert_eq!(traces(mark), 1, "while a reader holds it");
    drop(value);
    assert_eq!(traces(mark), 0);
}

#[test]
fn values_of_a_cache_that_is_dropped_are_zeroed() {
    let (cache, mark) = (cache(), Mark::new(13));
    put(&cache, "marked", &mark.bytes(VALUE), &[], MINUTE);
    assert_eq!(traces(mark), 1);
    drop(cache);
    assert_eq!(traces(mark), 0);
}
