//! What an invalidation refuses: fills that began before it, and credentials issued before it; and
//! how long it is remembered.

use super::*;

use crate::{
    cache::{
        get::{Lookup, MissReason},
        invalidate::MIN_FENCE_MEMORY,
        lease::{LeaseAnswer, LeaseLost, LeaseQuery},
        put::{Put, PutError},
    },
    counters::Count,
    leases::token::Token,
    model::{
        invalidation::{Invalidate, Target},
        name::{Key, KeyPrefix, Tag},
        outcome::Stored,
        time::{BootTime, Now, WallTime},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn at(secs: u64) -> Now {
    Now {
        wall: WallTime::from_unix(SECOND * 1_000_000 + SECOND * u32::try_from(secs).expect("few")),
        boot: BootTime::from_boot(Duration::from_secs(secs)),
    }
}

fn lease(cache: &Cache, key: &str, number: u8, now: Now) {
    let ask = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: Some(Token::from_bytes([number; 16]).into()),
        wait: false,
    };
    let answer = cache.get_or_lease(name("a", key), ask, || now);
    assert!(
        matches!(answer, Ok(LeaseAnswer::Ready(_, Some(_)))),
        "{answer:?}"
    );
}

fn fill(cache: &Cache, key: &str, number: u8, now: Now) -> Result<Stored, PutError> {
    let put = Put {
        lease: Some(Token::from_bytes([number; 16])),
        ..of("a", key)
    };
    cache.put(put, now)
}

fn issued(cache: &Cache, key: &str, issued_at: Now, now: Now) -> Result<Stored, PutError> {
    let put = Put {
        issued_at: Some(issued_at.wall),
        ..of("a", key)
    };
    cache.put(put, now)
}

fn invalidate(cache: &Cache, target: Target<'_>, issued_before: Option<Now>, now: Now) {
    let invalidate = Invalidate {
        namespace: namespace("a"),
        target,
        issued_before: issued_before.map(|now| now.wall),
    };
    cache.invalidate(invalidate, now);
}

fn every_target() -> [Target<'static>; 4] {
    [
        Target::Key {
            key: Key::parse("key/1").expect("a key"),
            if_version: None,
        },
        Target::Prefix(KeyPrefix::parse("key/").expect("a prefix")),
        Target::Tag(Tag::parse("tag").expect("a tag")),
        Target::All,
    ]
}

#[test]
fn fill_that_began_before_an_invalidation_is_refused() {
    for target in every_target() {
        let cache = cache();
        lease(&cache, "key/1", 1, at(0));
        invalidate(&cache, target, None, at(1));
        let refused = fill(&cache, "key/1", 1, at(2));
        assert!(
            matches!(refused, Err(PutError::Revoked)),
            "{target:?}: {refused:?}"
        );
        // The lease is free at once, and what is fetched from now on is accepted.
        lease(&cache, "key/1", 2, at(2));
        fill(&cache, "key/1", 2, at(3)).expect("granted after");
    }
}

#[test]
fn lease_that_cannot_be_filled_any_more_is_granted_anew() {
    let cache = cache();
    lease(&cache, "key/1", 1, at(0));
    invalidate(&cache, every_target()[1], None, at(1));
    lease(&cache, "key/1", 2, at(1));
    assert_eq!(fill(&cache, "key/1", 1, at(2)), Err(LeaseLost.into()));
    fill(&cache, "key/1", 2, at(2)).expect("granted after");
    assert_eq!(cache.counts(None).of(Count::LeasesRevoked), 1);
}

#[test]
fn invalidation_of_something_else_refuses_nothing() {
    for target in [
        Target::Key {
            key: Key::parse("key/").expect("a key"),
            if_version: None,
        },
        Target::Prefix(KeyPrefix::parse("key/10").expect("a prefix")),
        Target::Prefix(KeyPrefix::parse("key/2").expect("a prefix")),
        Target::Tag(Tag::parse("tag2").expect("a tag")),
        Target::Tag(Tag::parse("key/1").expect("a tag")),
    ] {
        let cache = cache();
        lease(&cache, "key/1", 1, at(0));
        invalidate(&cache, target, None, at(1));
        fill(&cache, "key/1", 1, at(2)).expect("not revoked");
        issued(&cache, "key/1", at(0), at(2)).expect("not revoked");
    }
    let cache = cache();
    lease(&cache, "key/1", 1, at(0));
    let all = Invalidate {
        namespace: namespace("b"),
        target: Target::All,
        issued_before: None,
    };
    cache.invalidate(all, at(1));
    fill(&cache, "key/1", 1, at(2)).expect("another namespace");
}

#[test]
fn credential_issued_at_or_before_is_refused() {
    for target in every_target() {
        let cache = cache();
        invalidate(&cache, target, None, at(5));
        for early in [0, 5] {
            let refused = issued(&cache, "key/1", at(early), at(6));
            assert_eq!(refused, Err(PutError::Revoked), "{target:?}");
        }
        issued(&cache, "key/1", at(6), at(6)).expect("issued after");
        // A Put without evidence isn't checked against fences.
        cache.put(of("a", "key/1"), at(6)).expect("nothing stated");
    }
}

#[test]
fn issued_before_counts_instead_of_the_instant() {
    let cache = cache();
    let all = Target::All;
    invalidate(&cache, all, Some(at(3)), at(10));
    assert_eq!(
        issued(&cache, "key/1", at(3), at(11)),
        Err(PutError::Revoked)
    );
    issued(&cache, "key/1", at(4), at(11)).expect("issued after");
    // A later invalidation with an earlier `issued_before` doesn't weaken the fence.
    invalidate(&cache, all, Some(at(1)), at(12));
    assert_eq!(
        issued(&cache, "key/1", at(3), at(13)),
        Err(PutError::Revoked)
    );
}

#[test]
fn revocation_that_is_forgotten_by_age_leaves_its_time_of_issue() {
    let memory = MIN_FENCE_MEMORY.as_secs();
    for ahead in [0, 100] {
        let cache = cache();
        invalidate(&cache, every_target()[0], Some(at(10 + ahead)), at(10));
        let last = at(10 + ahead + memory - 1);
        cache.reclaim(last);
        let refused = |key, now| {
            assert_eq!(
                issued(&cache, key, at(10 + ahead), now),
                Err(PutError::Revoked)
            );
        };
        refused("key/1", last);
        issued(&cache, "key/2", at(10 + ahead), last).expect("another key");
        // From then on only the time of issue is known, so it applies to every key.
        for end in [at(10 + ahead + memory), at(10 + ahead + 9 * memory)] {
            cache.reclaim(end);
            refused("key/1", end);
            refused("key/2", end);
            issued(&cache, "key/1", at(11 + ahead), end).expect("issued after");
            lease(&cache, "key/3", 1, end);
            fill(&cache, "key/3", 1, end).expect("granted after");
        }
    }
}

#[test]
fn time_of_issue_that_is_left_never_goes_back() {
    let memory = MIN_FENCE_MEMORY.as_secs();
    let cache = cache();
    invalidate(&cache, every_target()[0], Some(at(50)), at(50));
    invalidate(&cache, every_target()[2], Some(at(20)), at(60));
    let end = at(60 + memory);
    cache.reclaim(end);
    assert_eq!(issued(&cache, "key/1", at(50), end), Err(PutError::Revoked));
    issued(&cache, "key/1", at(51), end).expect("issued after both");
}

#[test]
fn revocation_is_remembered_for_as_long_as_a_lease_that_outlives_every_tier() {
    let tier = TierSpec {
        name: "short".into(),
        max_ttl: SECOND * 5,
        capacity: smallest_capacity(LIMITS.max_value),
    };
    let cache = Cache::new(vec![tier], LIMITS).expect("a valid tier");
    lease(&cache, "key/1", 1, at(0));
    invalidate(&cache, Target::All, None, at(1));
    cache.reclaim(at(9));
    assert_eq!(
        fill(&cache, "key/1", 1, at(9)),
        Err(PutError::Revoked),
        "one second before its end"
    );
}

#[test]
fn version_that_is_not_held_revokes_nothing() {
    let cache = cache();
    let old = cache.put(of("a", "key/1"), at(0)).expect("room").version;
    let new = cache.put(of("a", "key/1"), at(0)).expect("room").version;
    let version = |version| Target::Key {
        key: Key::parse("key/1").expect("a key"),
        if_version: Some(version),
    };
    invalidate(&cache, version(old), None, at(5));
    issued(&cache, "key/2", at(1), at(6)).expect("another key");
    let current = issued(&cache, "key/1", at(1), at(6)).expect("nothing was revoked");
    assert!(current.version > new);
    invalidate(&cache, version(current.version), None, at(7));
    assert_eq!(
        issued(&cache, "key/1", at(7), at(8)),
        Err(PutError::Revoked)
    );
}

#[test]
fn full_memory_revokes_too_much_and_never_too_little() {
    let limits = Limits {
        // One fence per shard.
        max_revocations: 8,
        ..LIMITS
    };
    let cache = with_limits(limits);
    let keys: Vec<String> = (0..5).map(|nth| format!("key/{nth}")).collect();
    for (secs, key) in (0..).zip(&keys) {
        let key = Key::parse(key).expect("a key");
        let if_version = None;
        invalidate(&cache, Target::Key { key, if_version }, None, at(10 + secs));
    }
    for (secs, key) in (0..).zip(&keys) {
        assert_eq!(
            issued(&cache, key, at(10 + secs), at(20)),
            Err(PutError::Revoked),
            "{key}"
        );
    }
    assert_eq!(
        issued(&cache, "never revoked", at(10), at(20)),
        Err(PutError::Revoked),
        "it can no longer be distinguished"
    );
    issued(&cache, "key/0", at(15), at(20)).expect("issued after all of them");
    // The fence around all namespaces leaves its time of issue as well.
    let end = at(20 + MIN_FENCE_MEMORY.as_secs());
    cache.reclaim(end);
    assert_eq!(issued(&cache, "key/0", at(14), end), Err(PutError::Revoked));
    issued(&cache, "key/0", at(15), end).expect("issued after all of them");
}

#[test]
fn miss_says_that_it_was_revoked_until_something_is_put() {
    for target in every_target() {
        let cache = cache();
        cache.put(of("a", "key/1"), at(0)).expect("room");
        invalidate(&cache, target, None, at(1));
        let reason = |key| match cache.get(name("a", key), Duration::ZERO, || at(2)) {
            Lookup::Miss(miss) => Some(miss.reason),
            Lookup::Hit(_) => None,
        };
        assert_eq!(reason("key/1"), Some(MissReason::Revoked), "{target:?}");
        assert_eq!(reason("key/2"), Some(MissReason::NotFound), "{target:?}");
        cache.put(of("a", "key/1"), at(2)).expect("room");
        assert_eq!(reason("key/1"), None);
        cache.reclaim(at(70));
        assert_eq!(reason("key/1"), Some(MissReason::NotFound), "it expired");
    }
}

#[test]
fn remaining_lifetime_is_that_of_one_version_while_it_is_live_and_not_revoked() {
    let cache = cache();
    let reader = name("a", "reader");
    let first = cache.put(of("a", "reader"), at(0)).expect("a Put").version;
    let remaining =
        |version: Revision, secs| cache.remaining(reader, version.number(), || at(secs));
    let lifetime = remaining(first, 0).expect("a live credential");
    let end = lifetime.as_secs();
    assert_eq!(remaining(first, 1), Some(lifetime - SECOND));
    assert_eq!(remaining(first, end), None, "it has expired");

    let before = cache.invalidations();
    let second = cache.put(of("a", "reader"), at(1)).expect("a Put").version;
    assert_eq!(remaining(first, 1), None, "it was replaced");
    assert!(remaining(second, 1).is_some());
    assert_eq!(cache.invalidations(), before, "nothing was revoked");
    let all = Invalidate {
        namespace: namespace("a"),
        target: Target::All,
        issued_before: None,
    };
    let sweep = cache.begin_invalidation(all, at(1));
    assert_eq!(
        cache.invalidations(),
        before + 1,
        "before it reaches anything"
    );
    drop(sweep);
    assert_eq!(remaining(second, 1), None, "it was revoked");
}
