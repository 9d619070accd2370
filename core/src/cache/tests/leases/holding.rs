//! The operations of a lease's holder, and how long they are possible.

use super::*;

use crate::{
    cache::{
        lease::{LeaseAnswer, LeaseLost, LeaseQuery, holding::ExtendError, waiting::Waiting},
        put::{Precondition, Put, PutError},
    },
    counters::Count,
    leases::{
        token::{Lease, LeaseRequest, MAX_LEASE},
        waiter::Woken,
    },
    model::{
        invalidation::{Invalidate, Target},
        name::{Key, Tag},
        revision::Revision,
        time::Now,
    },
};

const NANOSECOND: Duration = Duration::from_nanos(1);
const LOST: ExtendError = ExtendError::LeaseLost(LeaseLost);

fn extend(cache: &Cache, number: u8, ttl: Duration, now: Now) -> Result<Duration, ExtendError> {
    cache.extend_lease(name("a", "key"), token(number), Some(ttl), now)
}

fn abandon(cache: &Cache, number: u8, retry_after: Duration, now: Now) -> Result<(), LeaseLost> {
    cache.abandon_lease(name("a", "key"), token(number), retry_after, now)
}

fn invalidate(cache: &Cache, target: Target<'_>, now: Now) {
    let invalidate = Invalidate {
        namespace: namespace("a"),
        target,
        issued_before: None,
    };
    cache.invalidate(invalidate, now);
}

/// The live version of "a"/"key".
fn version(cache: &Cache, now: Now) -> Option<Revision> {
    let found = cache.get(name("a", "key"), Duration::ZERO, || now);
    found.hit().map(|hit| hit.version())
}

/// Requests the lease of "a"/"key" with this ttl, or waits for it.
fn ask_for(cache: &Cache, number: u8, ttl: Duration, now: Now) -> LeaseAnswer<'_> {
    let token = token(number);
    let ttl = Some(ttl);
    let ask = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: Some(LeaseRequest { token, ttl }),
        wait: true,
    };
    let answer = cache.get_or_lease(name("a", "key"), ask, || now);
    answer.expect("room")
}

fn is_granted(waiting: &mut Waiting<'_>) -> bool {
    matches!(polled(waiting), Poll::Ready(Woken::Granted(_)))
}

#[test]
fn lease_lasts_for_as_long_as_was_asked() {
    let cache = cache();
    let LeaseAnswer::Ready(_, Some(lease)) = ask_for(&cache, 1, SECOND, Now::default()) else {
        panic!("the lease is free");
    };
    assert_eq!(lease.ttl, SECOND);
    let LeaseAnswer::Waits(mut next) = ask_for(&cache, 2, SECOND * 40, Now::default()) else {
        panic!("the lease is held");
    };
    cache.reclaim(after(SECOND - NANOSECOND));
    assert!(polled(&mut next).is_pending());
    cache.reclaim(after(SECOND));
    let own = Lease {
        token: token(2),
        ttl: SECOND * 40,
    };
    assert_eq!(polled(&mut next), Poll::Ready(Woken::Granted(own)));
    assert!(!granted(&cache, 3, after(SECOND * 41 - NANOSECOND)));
    assert!(granted(&cache, 3, after(SECOND * 41)));
}

#[test]
fn late_fill_is_accepted_if_nobody_else_was_granted_the_lease() {
    for reclaimed in [false, true] {
        let cache = cache();
        assert!(granted(&cache, 1, Now::default()));
        let late = after(TTL * 3);
        if reclaimed {
            cache.reclaim(late);
        }
        let stored = fill(&cache, 1, late).expect("no other caller fetches");
        assert_eq!(version(&cache, late), Some(stored.version));
        assert_eq!(count(&cache, Count::LeasesFilled), 1);
        assert_eq!(count(&cache, Count::LeasesExpired), u64::from(reclaimed));
    }
}

#[test]
fn fill_is_refused_ten_minutes_after_the_grant() {
    for (late, accepted) in [(MAX_LEASE - NANOSECOND, true), (MAX_LEASE, false)] {
        for reclaimed in [false, true] {
            let cache = cache();
            assert!(granted(&cache, 1, Now::default()));
            if reclaimed {
                cache.reclaim(after(late));
            }
            let filled = fill(&cache, 1, after(late));
            assert_eq!(filled.is_ok(), accepted, "{late:?}: {filled:?}");
        }
    }
}

#[test]
fn late_fill_is_refused_once_somebody_else_was_granted_the_lease() {
    type Then = fn(&Cache);
    let endings: [Then; 4] = [
        |_| {},
        |cache| abandon(cache, 2, Duration::ZERO, after(TTL)).expect("its own"),
        |cache| {
            cache.reclaim(after(TTL * 2));
        },
        |cache| {
            fill(cache, 2, after(TTL)).expect("its own");
        },
    ];
    for then in endings {
        let cache = cache();
        assert!(granted(&cache, 1, Now::default()));
        cache.reclaim(after(TTL));
        assert!(granted(&cache, 2, after(TTL)));
        then(&cache);
        assert_eq!(fill(&cache, 1, after(TTL * 2)), Err(LeaseLost.into()));
    }
    // A lease that was passed on to a waiter can't be filled by its former holder either.
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut next = waiting(&cache, 2, Now::default());
    cache.reclaim(after(TTL));
    assert_eq!(fill(&cache, 1, after(TTL)), Err(LeaseLost.into()));
    assert!(is_granted(&mut next));
    fill(&cache, 2, after(TTL)).expect("its own lease");
}

#[test]
fn late_fill_answers_those_who_wait() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut next = waiting(&cache, 2, Now::default());
    // The lease has run out, but no other caller was asked to fetch.
    fill(&cache, 1, after(TTL)).expect("no other caller fetches");
    assert_eq!(polled(&mut next), Poll::Ready(Woken::Again));
}

#[test]
fn late_fill_is_refused_if_it_was_revoked_since_the_grant() {
    let key = Key::parse("key").expect("a key");
    let tag = Tag::parse("tag").expect("a tag");
    let if_version = None;
    for target in [
        Target::Key { key, if_version },
        Target::Tag(tag),
        Target::All,
    ] {
        // The later time is beyond the longest tier.
        for late in [TTL, MAX_LEASE - NANOSECOND] {
            let cache = cache();
            assert!(granted(&cache, 1, Now::default()));
            invalidate(&cache, target, Now::default());
            cache.reclaim(after(late));
            assert_eq!(fill(&cache, 1, after(late)), Err(PutError::Revoked));
            assert_eq!(fill(&cache, 1, after(late)), Err(LeaseLost.into()));
            assert!(granted(&cache, 2, after(late)));
        }
    }
}

#[test]
fn leases_that_ran_out_keep_no_others_off() {
    let cache = with_limits(Limits {
        max_leases: 1,
        max_namespaces: 1,
        ..LIMITS
    });
    let mut now = Duration::ZERO;
    for nth in 0..200 {
        // Each in a namespace of its own, and the registry has room for one namespace.
        let namespace = format!("n{nth}");
        let ask = LeaseQuery {
            min_ttl: Duration::ZERO,
            lease: Some(token(nth).into()),
            wait: false,
        };
        let answer = cache.get_or_lease(name(&namespace, "key"), ask, || after(now));
        assert!(
            matches!(answer, Ok(LeaseAnswer::Ready(_, Some(_)))),
            "{nth}"
        );
        now += TTL;
        cache.reclaim(after(now));
    }
    let last = Put {
        lease: Some(token(199)),
        ..of("n199", "key")
    };
    cache.put(last, after(now)).expect("it is remembered");
}

#[test]
fn repeated_fill_is_answered_the_same_and_stored_once() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let stored = fill(&cache, 1, Now::default()).expect("its own lease");
    for _ in 0..2 {
        assert_eq!(fill(&cache, 1, after(SECOND)), Ok(stored));
    }
    let if_absent = Put {
        lease: Some(token(1)),
        precondition: Some(Precondition::Absent),
        ..of("a", "key")
    };
    assert_eq!(cache.put(if_absent, after(SECOND)), Ok(stored));
    assert_eq!(cache.revision(), stored.version.number());
    assert_eq!(count(&cache, Count::Puts), 1);
    assert_eq!(count(&cache, Count::LeasesFilled), 1);
    let of_another_key = Put {
        lease: Some(token(1)),
        ..of("a", "other")
    };
    let answer = cache.put(of_another_key, after(SECOND));
    assert_eq!(answer, Err(LeaseLost.into()));
}

#[test]
fn repeated_fill_replaces_nothing_that_came_after_it() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let stored = fill(&cache, 1, Now::default()).expect("its own lease");
    let newer = cache.put(of("a", "key"), Now::default()).expect("room");
    assert_eq!(fill(&cache, 1, Now::default()), Ok(stored));
    assert_eq!(version(&cache, Now::default()), Some(newer.version));

    invalidate(&cache, Target::All, Now::default());
    assert_eq!(fill(&cache, 1, Now::default()), Ok(stored), "it was stored");
    assert_eq!(version(&cache, Now::default()), None);
}

#[test]
fn last_fill_of_a_key_is_remembered_for_a_minute() {
    let cache = cache();
    let minute = SECOND * 60;
    assert!(granted(&cache, 1, Now::default()));
    let stored = fill(&cache, 1, Now::default()).expect("its own lease");
    assert!(
        granted(&cache, 2, after(minute)),
        "the credential has expired"
    );
    let again = after(minute - NANOSECOND);
    assert_eq!(fill(&cache, 1, again), Ok(stored));
    assert_eq!(fill(&cache, 1, after(minute)), Err(LeaseLost.into()));
    let next = fill(&cache, 2, after(minute)).expect("its own lease");
    assert_eq!(fill(&cache, 1, again), Err(LeaseLost.into()));
    assert_eq!(fill(&cache, 2, after(minute)), Ok(next));
    cache.reclaim(after(minute * 2));
    assert_eq!(fill(&cache, 2, after(minute)), Err(LeaseLost.into()));
}

#[test]
fn put_without_the_lease_ends_it() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut other = waiting(&cache, 2, Now::default());
    let version_seven = Revision::from_wire(7).map(Precondition::Version);
    let refused = put(&cache, "a", "key", version_seven);
    assert_eq!(refused, Err(PutError::VersionDiffers));
    assert!(polled(&mut other).is_pending(), "nothing was put");

    let stored = cache.put(of("a", "key"), Now::default()).expect("room");
    assert_eq!(polled(&mut other), Poll::Ready(Woken::Again));
    assert_eq!(fill(&cache, 1, Now::default()), Err(LeaseLost.into()));
    assert_eq!(extend(&cache, 1, TTL, Now::default()), Err(LOST));
    assert_eq!(version(&cache, Now::default()), Some(stored.version));
    assert_eq!(count(&cache, Count::LeasesSuperseded), 1);
    assert_eq!(count(&cache, Count::LeasesFilled), 0);
}

#[test]
fn put_without_the_lease_ends_one_that_ran_out() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    cache.reclaim(after(TTL));
    cache.put(of("a", "key"), after(TTL)).expect("room");
    assert_eq!(fill(&cache, 1, after(TTL)), Err(LeaseLost.into()));
    assert_eq!(count(&cache, Count::LeasesSuperseded), 0, "it had ended");
}

#[test]
fn put_during_a_cool_down_does_not_end_that() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    abandon(&cache, 1, SECOND * 20, Now::default()).expect("its own");
    cache.put(of("a", "key"), Now::default()).expect("room");
    invalidate(&cache, Target::All, Now::default());
    assert!(!granted(&cache, 2, after(SECOND * 20 - NANOSECOND)));
    assert_eq!(count(&cache, Count::LeasesSuperseded), 0);
}

#[test]
fn extended_lease_lasts_for_as_long_as_was_asked_from_then() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut next = waiting(&cache, 2, Now::default());
    let left = extend(&cache, 1, SECOND * 3, after(SECOND));
    assert_eq!(left, Ok(TTL - SECOND), "never moved to an earlier end");
    let mut due = TTL;
    for _ in 0..20 {
        let left = extend(&cache, 1, SECOND * 3, after(due - NANOSECOND));
        assert_eq!(left, Ok(SECOND * 3));
        due += SECOND * 3 - NANOSECOND;
        cache.reclaim(after(due - NANOSECOND));
        assert!(polled(&mut next).is_pending());
    }
    cache.reclaim(after(due));
    assert!(is_granted(&mut next));
    assert_eq!(extend(&cache, 1, SECOND, after(due)), Err(LOST));
    assert_eq!(count(&cache, Count::LeasesExtended), 21);
    let own_ttl = cache.extend_lease(name("a", "key"), token(2), None, after(due + SECOND));
    assert_eq!(own_ttl, Ok(TTL));
}

#[test]
fn lease_that_ran_out_goes_on_if_nobody_waits_for_it() {
    for reclaimed in [false, true] {
        let cache = cache();
        assert!(granted(&cache, 1, Now::default()));
        if reclaimed {
            cache.reclaim(after(TTL * 2));
        }
        let left = extend(&cache, 1, SECOND * 3, after(TTL * 2));
        assert_eq!(left, Ok(SECOND * 3));
        assert!(!granted(&cache, 2, after(TTL * 2 + SECOND)));
        fill(&cache, 1, after(TTL * 2 + SECOND)).expect("its own lease");
    }
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut next = waiting(&cache, 2, Now::default());
    assert_eq!(extend(&cache, 1, SECOND, after(TTL)), Err(LOST));
    assert!(is_granted(&mut next));
}

#[test]
fn lease_that_ran_out_goes_on_only_where_there_is_room() {
    let cache = with_limits(Limits {
        max_leases: 1,
        ..LIMITS
    });
    assert!(granted(&cache, 1, Now::default()));
    cache.reclaim(after(TTL));
    let ask = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: Some(token(2).into()),
        wait: false,
    };
    let other = cache.get_or_lease(name("a", "other"), ask, || after(TTL));
    assert!(matches!(other, Ok(LeaseAnswer::Ready(_, Some(_)))));
    assert_eq!(extend(&cache, 1, SECOND, after(TTL)), Err(LOST));
    assert_eq!(abandon(&cache, 1, SECOND, after(TTL)), Err(LeaseLost));
    fill(&cache, 1, after(TTL)).expect("it needs none");
}

#[test]
fn no_lease_is_extended_beyond_ten_minutes_from_its_grant() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let five = SECOND * 300;
    assert_eq!(extend(&cache, 1, five, after(SECOND)), Ok(five));
    assert_eq!(extend(&cache, 1, five, after(five)), Ok(five));
    let late = MAX_LEASE - SECOND * 2;
    assert_eq!(extend(&cache, 1, five, after(late)), Ok(SECOND * 2));
    assert!(!granted(&cache, 2, after(MAX_LEASE - NANOSECOND)));
    assert_eq!(extend(&cache, 1, five, after(MAX_LEASE)), Err(LOST));
    assert!(granted(&cache, 2, after(MAX_LEASE)));
}

#[test]
fn holder_learns_from_an_extension_that_its_fill_would_be_refused() {
    for ran_out in [false, true] {
        let cache = cache();
        assert!(granted(&cache, 1, Now::default()));
        let now = after(if ran_out { TTL } else { SECOND });
        cache.reclaim(now);
        let mut next = (!ran_out).then(|| waiting(&cache, 2, now));
        invalidate(&cache, Target::All, now);
        assert_eq!(extend(&cache, 1, TTL, now), Err(ExtendError::Revoked));
        assert_eq!(extend(&cache, 1, TTL, now), Err(LOST), "it ended by that");
        if let Some(next) = &mut next {
            assert!(is_granted(next));
            fill(&cache, 2, now).expect("granted after the invalidation");
        }
    }
}

#[test]
fn holder_of_a_lease_that_ran_out_can_ask_for_a_cool_down() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    cache.reclaim(after(TTL));
    abandon(&cache, 1, SECOND * 20, after(TTL)).expect("no other caller fetches");
    assert!(!granted(&cache, 2, after(TTL + SECOND * 20 - NANOSECOND)));
    assert_eq!(abandon(&cache, 1, SECOND, after(TTL)), Err(LeaseLost));
    assert_eq!(fill(&cache, 1, after(TTL)), Err(LeaseLost.into()));
}
