//! An invalidation that has its revision has happened for every decision by the content of a key,
//! even if nothing was removed yet.

use super::*;

use crate::{
    cache::{
        get::{Lookup, MissReason},
        lease::{LeaseAnswer, LeaseQuery},
        put::{Precondition, Put, PutError},
        sweep::Sweep,
    },
    counters::Count,
    leases::token::{Lease, Token},
    model::{
        contents::Contents,
        invalidation::{Invalidate, Target},
        name::{Key, KeyPrefix, Tag},
        revision::Revision,
        tags::Tags,
        time::{BootTime, Now, WallTime},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn all() -> [Target<'static>; 3] {
    [
        Target::Prefix(KeyPrefix::parse("key").expect("a prefix")),
        Target::Tag(Tag::parse("tag").expect("a tag")),
        Target::All,
    ]
}

/// Begins an invalidation, which has its revision but hasn't reached any stripe.
fn begin<'a>(cache: &'a Cache, namespace: &'a str, target: Target<'a>) -> Sweep<'a> {
    let invalidate = Invalidate {
        namespace: super::namespace(namespace),
        target,
        issued_before: None,
    };
    cache.begin_invalidation(invalidate, Now::default())
}

fn finish(mut sweep: Sweep<'_>) -> u64 {
    loop {
        if let Some(invalidated) = sweep.step() {
            return invalidated.removed;
        }
    }
}

fn version_of(version: Revision) -> Target<'static> {
    Target::Key {
        key: Key::parse("key").expect("a key"),
        if_version: Some(version),
    }
}

fn found(cache: &Cache) -> Option<Revision> {
    let found = cache.get(name("a", "key"), Duration::ZERO, Now::default);
    found.hit().map(|hit| hit.view().version())
}

/// Stores a credential that is always due for refresh.
fn due(cache: &Cache) -> Revision {
    let put = Put {
        refresh_before: Some(SECOND * 60),
        ..of("a", "key")
    };
    cache.put(put, Now::default()).expect("room").version
}

fn ask(cache: &Cache, min_ttl: Duration, number: u8) -> (Lookup, Option<Lease>) {
    let ask = LeaseQuery {
        min_ttl,
        lease: Some(Token::from_bytes([number; 16]).into()),
        wait: false,
    };
    match cache.get_or_lease(name("a", "key"), ask, Now::default) {
        Ok(LeaseAnswer::Ready(lookup, lease)) => (lookup, lease),
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn version_that_is_invalidated_is_never_replaced() {
    for target in all() {
        let cache = cache();
        let version = due(&cache);
        let sweep = begin(&cache, "a", target);
        assert_eq!(found(&cache), Some(version), "it is only reached later");
        let replaced = put(&cache, "a", "key", Some(Precondition::Version(version)));
        assert_eq!(replaced, Err(PutError::VersionDiffers), "{target:?}");
        assert_eq!(found(&cache), None, "its removal was received");
        assert_eq!(finish(sweep), 1, "{target:?}");
        assert_eq!(cache.counts(None).of(Count::Invalidated), 1);
    }
}

#[test]
fn key_is_absent_for_whoever_puts_on_that_condition() {
    for target in all() {
        let cache = cache();
        due(&cache);
        let sweep = begin(&cache, "a", target);
        let absent = Some(Precondition::Absent);
        let stored = put(&cache, "a", "key", absent).expect("absent");
        assert_eq!(
            put(&cache, "a", "key", absent),
            Err(PutError::Exists),
            "put after the invalidation"
        );
        assert_eq!(finish(sweep), 1, "{target:?}");
        assert_eq!(found(&cache), Some(stored.version));
    }
}

#[test]
fn what_a_put_takes_the_place_of_counts_as_removed() {
    for target in all() {
        let cache = cache();
        due(&cache);
        let sweep = begin(&cache, "a", target);
        let stored = put(&cache, "a", "key", None).expect("room");
        put(&cache, "a", "key", None).expect("room");
        assert_eq!(finish(sweep), 1, "{target:?}");
        assert!(found(&cache) > Some(stored.version));
    }
}

#[test]
fn lease_goes_with_a_hit_or_with_the_revision_of_the_invalidation() {
    for target in all() {
        let cache = cache();
        due(&cache);
        let sweep = begin(&cache, "a", target);
        let (lookup, lease) = ask(&cache, Duration::ZERO, 1);
        let Lookup::Miss(miss) = lookup else {
            panic!("{target:?}: a hit from before, and a lease from after");
        };
        assert_eq!(miss.reason, MissReason::Revoked);
        let lease = lease.expect("it is free");
        assert_eq!(finish(sweep), 1);
        let fill = Put {
            lease: Some(lease.token),
            ..of("a", "key")
        };
        cache.put(fill, Now::default()).expect("granted after");
    }
}

#[test]
fn lease_of_what_is_live_for_too_short_leaves_nothing_from_before() {
    let cache = cache();
    due(&cache);
    let sweep = begin(&cache, "a", Target::All);
    let (_, lease) = ask(&cache, SECOND * 3600, 1);
    lease.expect("it is free");
    assert_eq!(found(&cache), None, "a hit would come before the lease");
    assert_eq!(finish(sweep), 1);
}

#[test]
fn lease_that_is_held_leaves_plain_hits() {
    let cache = cache();
    let version = due(&cache);
    ask(&cache, Duration::ZERO, 1).1.expect("it is free");
    let sweep = begin(
        &cache,
        "a",
        Target::Tag(Tag::parse("other").expect("a tag")),
    );
    let (lookup, lease) = ask(&cache, Duration::ZERO, 2);
    assert_eq!(lookup.hit().map(|hit| hit.view().version()), Some(version));
    assert_eq!(lease, None);
    assert_eq!(finish(sweep), 0);
}

#[test]
fn holder_of_a_lease_never_hits_what_is_covered() {
    let cache = cache();
    due(&cache);
    let sweep = begin(&cache, "a", Target::All);
    let holder = cache.get_as_holder(name("a", "key"), Duration::ZERO, Now::default);
    assert!(matches!(holder, Lookup::Miss(miss) if miss.reason == MissReason::Revoked));
    assert_eq!(finish(sweep), 1);
}

#[test]
fn version_is_invalidated_by_whichever_came_first() {
    for target in all() {
        let cache = cache();
        let version = due(&cache);
        let sweep = begin(&cache, "a", target);
        let second = begin(&cache, "a", version_of(version));
        assert_eq!(finish(second), 0, "{target:?}: it was removed by then");
        assert_eq!(found(&cache), None, "and no later Get finds it");
        assert_eq!(finish(sweep), 1);
        assert_eq!(cache.counts(None).of(Count::Invalidated), 1);
    }
}

#[test]
fn each_is_counted_by_the_first_that_covers_it() {
    for [first, second] in [[0, 1], [1, 2], [2, 0]].map(|pair| pair.map(|nth: usize| all()[nth])) {
        let cache = cache();
        due(&cache);
        let other = Put {
            contents: Contents {
                tags: Tags::default(),
                ..contents()
            },
            ..of("a", "other")
        };
        cache.put(other, Now::default()).expect("room");
        let [first, second] = [first, second].map(|target| begin(&cache, "a", target));
        let later = finish(second);
        let earlier = finish(first);
        assert!(earlier >= 1, "it removed the key");
        let invalidated = cache.counts(None).of(Count::Invalidated);
        assert_eq!(earlier + later, invalidated);
    }
}

#[test]
fn what_is_not_covered_stays_as_it_is() {
    let elsewhere = [
        (
            "a",
            Target::Prefix(KeyPrefix::parse("key/").expect("a prefix")),
        ),
        ("a", Target::Tag(Tag::parse("key").expect("a tag"))),
        ("b", Target::All),
    ];
    for (namespace, target) in elsewhere {
        let cache = cache();
        put(&cache, "b", "key", None).expect("room");
        let version = due(&cache);
        let sweep = begin(&cache, namespace, target);
        let after = put(&cache, "a", "key", Some(Precondition::Version(version)));
        let after = after.expect("nothing covers it").version;
        // A Put after the second invalidation isn't covered either.
        let sweep = [sweep, begin(&cache, "a", Target::All)];
        put(&cache, "a", "key", None).expect("room");
        let last = due(&cache);
        let replaced = put(&cache, "a", "key", Some(Precondition::Version(last)));
        assert!(replaced.expect("put after").version > after);
        let removed = sweep.map(finish);
        assert_eq!(removed, [u64::from(namespace == "b"), 1]);
    }
}

#[test]
fn nothing_is_covered_once_the_invalidation_is_over() {
    let cache = cache();
    for target in all() {
        assert_eq!(finish(begin(&cache, "a", target)), 0);
        drop(begin(&cache, "a", target));
        let version = due(&cache);
        put(&cache, "a", "key", Some(Precondition::Version(version))).expect("put after");
        assert_eq!(finish(begin(&cache, "a", target)), 1);
    }
}

#[test]
fn expired_credential_is_not_counted_as_removed() {
    let cache = cache();
    due(&cache);
    let end = Now {
        wall: WallTime::from_unix(SECOND * 60),
        boot: BootTime::from_boot(SECOND * 60),
    };
    let sweep = cache.begin_invalidation(
        Invalidate {
            namespace: namespace("a"),
            target: Target::All,
            issued_before: None,
        },
        end,
    );
    cache.put(of("a", "key"), end).expect("room");
    assert_eq!(finish(sweep), 0);
}
