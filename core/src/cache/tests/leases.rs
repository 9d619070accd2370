//! Which caller gets a lease, who waits for it, and how both end.

mod holding;

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::*;

use crate::{
    cache::{
        get::{Lookup, Miss, MissReason},
        lease::{
            LeaseAnswer, LeaseError, LeaseLost, LeaseQuery, holding::MAX_COOL_DOWN,
            waiting::Waiting,
        },
        put::{Put, PutError},
    },
    counters::Count,
    leases::{
        token::{Lease, Token},
        waiter::Woken,
    },
    model::{outcome::Stored, time::Now},
};

const TTL: Duration = LIMITS.lease_ttl;
const SECOND: Duration = Duration::from_secs(1);

fn token(number: u8) -> Token {
    Token::from_bytes([number; 16])
}

/// Requests the lease of "a"/"key".
fn ask(cache: &Cache, number: u8, wait: bool, now: Now) -> Result<LeaseAnswer<'_>, LeaseError> {
    let ask = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: Some(token(number).into()),
        wait,
    };
    cache.get_or_lease(name("a", "key"), ask, || now)
}

fn granted(cache: &Cache, number: u8, now: Now) -> bool {
    match ask(cache, number, false, now).expect("room") {
        LeaseAnswer::Ready(_, lease) => lease.is_some_and(|lease| lease.token == token(number)),
        LeaseAnswer::Waits(_) => panic!("the query does not wait"),
    }
}

fn waiting(cache: &Cache, number: u8, now: Now) -> Waiting<'_> {
    match ask(cache, number, true, now).expect("room") {
        LeaseAnswer::Waits(waiting) => waiting,
        LeaseAnswer::Ready(..) => panic!("the lease is free"),
    }
}

fn miss(cache: &Cache, number: u8, now: Now) -> Miss {
    match ask(cache, number, false, now).expect("room") {
        LeaseAnswer::Ready(Lookup::Miss(miss), None) => miss,
        answer => panic!("{answer:?}"),
    }
}

fn fill(cache: &Cache, number: u8, now: Now) -> Result<Stored, PutError> {
    let put = Put {
        lease: Some(token(number)),
        ..of("a", "key")
    };
    cache.put(put, now)
}

fn after(time: Duration) -> Now {
    let start = Now::default();
    Now {
        wall: start.wall.after(time),
        boot: start.boot.after(time),
    }
}

fn count(cache: &Cache, count: Count) -> u64 {
    cache.counts(None).of(count)
}

#[derive(Default)]
struct Woke(AtomicUsize);

impl Wake for Woke {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn polled(waiting: &mut Waiting<'_>) -> Poll<Woken> {
    pin!(waiting).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn lease_of_a_key_is_granted_once() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let pending = miss(&cache, 2, Now::default());
    assert_eq!(pending.reason, MissReason::Pending);
    let retry_after = pending.retry_after.expect("a time");
    assert!(SECOND / 2 <= retry_after && retry_after <= SECOND);
    assert_eq!(fill(&cache, 2, Now::default()), Err(LeaseLost.into()));
    fill(&cache, 1, Now::default()).expect("its own lease");
    assert_eq!(count(&cache, Count::LeasesGranted), 1);
    assert_eq!(count(&cache, Count::LeasesFilled), 1);
}

#[test]
fn lease_is_over_at_the_very_instant() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let nanosecond = Duration::from_nanos(1);
    assert!(!granted(&cache, 2, after(TTL - nanosecond)));
    assert!(granted(&cache, 2, after(TTL)));
    assert_eq!(fill(&cache, 1, after(TTL)), Err(LeaseLost.into()));
    fill(&cache, 2, after(TTL * 2 - nanosecond)).expect("not ended yet");
    assert_eq!(count(&cache, Count::LeasesExpired), 1);
}

#[test]
fn whoever_waits_is_told_of_the_fill() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut first = waiting(&cache, 2, Now::default());
    let mut second = waiting(&cache, 3, Now::default());
    let woke = Arc::new(Woke::default());
    let waker = woke.clone().into();
    assert!(
        pin!(&mut first)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(count(&cache, Count::Waiting), 2);

    fill(&cache, 1, Now::default()).expect("its own lease");
    assert_eq!(woke.0.load(Relaxed), 1);
    assert_eq!(polled(&mut first), Poll::Ready(Woken::Again));
    assert_eq!(polled(&mut second), Poll::Ready(Woken::Again));
    drop((first, second));
    assert_eq!(count(&cache, Count::Waiting), 0);
    assert_eq!(count(&cache, Count::Waits), 2);
}

#[test]
fn dead_holder_is_followed_by_exactly_one_in_the_order_they_came() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut waiters: Vec<_> = (2..6)
        .map(|number| waiting(&cache, number, Now::default()))
        .collect();
    cache.reclaim(after(TTL));
    let notices: Vec<_> = waiters.iter_mut().map(polled).collect();
    let lease = Lease {
        token: token(2),
        ttl: TTL,
    };
    assert_eq!(notices[0], Poll::Ready(Woken::Granted(lease)));
    assert!(notices[1..].iter().all(Poll::is_pending));
    // A caller that comes now doesn't overtake the waiters either.
    cache.reclaim(after(TTL * 2 - SECOND));
    assert!(!granted(&cache, 9, after(TTL * 2)));
    assert!(matches!(
        polled(&mut waiters[1]),
        Poll::Ready(Woken::Granted(_))
    ));
}

#[test]
fn one_who_only_waits_is_never_given_the_lease() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let only_waits = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: None,
        wait: true,
    };
    let ask = || cache.get_or_lease(name("a", "key"), only_waits, Now::default);
    let Ok(LeaseAnswer::Waits(mut reader)) = ask() else {
        panic!("the lease is held");
    };
    let mut fetcher = waiting(&cache, 2, Now::default());
    cache.reclaim(after(TTL));
    assert!(polled(&mut reader).is_pending());
    assert!(matches!(
        polled(&mut fetcher),
        Poll::Ready(Woken::Granted(_))
    ));
    // When no caller is left to fetch, there is nothing to wait for.
    cache.reclaim(after(TTL * 2));
    assert_eq!(polled(&mut reader), Poll::Ready(Woken::Again));
    assert!(matches!(
        ask(),
        Ok(LeaseAnswer::Ready(
            Lookup::Miss(Miss {
                reason: MissReason::NotFound,
                retry_after: None
            }),
            None
        ))
    ));
}

#[test]
fn one_who_only_waits_is_answered_in_a_namespace_that_holds_nothing() {
    let cache = cache();
    let only_waits = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: None,
        wait: true,
    };
    let answer = cache.get_or_lease(name("unknown", "key"), only_waits, Now::default);
    assert!(matches!(
        answer,
        Ok(LeaseAnswer::Ready(Lookup::Miss(_), None))
    ));
    assert_eq!(cache.namespaces(), 0);
}

#[test]
fn no_lease_is_granted_in_a_namespace_that_there_is_no_room_for() {
    let cache = cache();
    for held in ["a", "b"] {
        cache.put(of(held, "key"), Now::default()).expect("room");
    }
    let query = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: Some(token(1).into()),
        wait: false,
    };
    let answer = cache.get_or_lease(name("c", "key"), query, Now::default);
    assert_eq!(answer.err(), Some(LeaseError::TooManyNamespaces));
}

#[test]
fn cancelled_waiters_leave_nothing_behind() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let first = waiting(&cache, 2, Now::default());
    let mut second = waiting(&cache, 3, Now::default());
    drop(waiting(&cache, 4, Now::default()));
    assert_eq!(count(&cache, Count::Waiting), 2);
    // The lease was granted to a waiter that was dropped before it learned of it.
    cache.reclaim(after(TTL));
    drop(first);
    assert!(polled(&mut second).is_pending());
    cache.reclaim(after(TTL));
    assert!(matches!(
        polled(&mut second),
        Poll::Ready(Woken::Granted(_))
    ));
    drop(second);
    assert_eq!(count(&cache, Count::Waiting), 0);
    fill(&cache, 3, after(TTL)).expect("its lease, taken by then");
}

#[test]
fn abandoned_lease_goes_to_the_next() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut next = waiting(&cache, 2, Now::default());
    let abandon = |number, retry_after| {
        let name = name("a", "key");
        cache.abandon_lease(name, token(number), retry_after, Now::default())
    };
    assert_eq!(abandon(7, Duration::ZERO), Err(LeaseLost));
    abandon(1, Duration::ZERO).expect("its own");
    assert!(matches!(polled(&mut next), Poll::Ready(Woken::Granted(_))));
    assert_eq!(abandon(1, Duration::ZERO), Err(LeaseLost), "given back");
    abandon(2, Duration::ZERO).expect("its own");
    assert!(granted(&cache, 3, Now::default()), "no caller had it");
}

#[test]
fn gate_keeps_everybody_off_until_its_time() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    let mut next = waiting(&cache, 2, Now::default());
    let name = name("a", "key");
    cache
        .abandon_lease(name, token(1), SECOND * 20, Now::default())
        .expect("its own");
    assert_eq!(polled(&mut next), Poll::Ready(Woken::Again));
    let gated = miss(&cache, 2, Now::default());
    assert_eq!(gated.reason, MissReason::NotFound);
    let retry_after = gated.retry_after.expect("a time");
    assert!(SECOND * 20 <= retry_after && retry_after <= SECOND * 22);
    // No Get waits during a cool-down.
    assert!(matches!(
        ask(&cache, 2, true, Now::default()),
        Ok(LeaseAnswer::Ready(Lookup::Miss(_), None))
    ));
    assert!(!granted(
        &cache,
        2,
        after(retry_after - Duration::from_nanos(1))
    ));
    assert!(granted(&cache, 2, after(retry_after)));
}

#[test]
fn gate_stands_for_five_minutes_at_the_most() {
    let cache = cache();
    assert!(granted(&cache, 1, Now::default()));
    cache
        .abandon_lease(name("a", "key"), token(1), Duration::MAX, Now::default())
        .expect("its own");
    let retry_after = miss(&cache, 2, Now::default()).retry_after.expect("a time");
    assert!(retry_after <= MAX_COOL_DOWN && retry_after >= MAX_COOL_DOWN * 10 / 11);
    cache.reclaim(after(MAX_COOL_DOWN));
    assert!(granted(&cache, 2, after(MAX_COOL_DOWN)));
}

#[test]
fn credential_due_for_refresh_is_a_hit_and_one_caller_gets_the_lease() {
    let cache = cache();
    let put = Put {
        refresh_before: Some(SECOND * 10),
        ..of("a", "key")
    };
    cache.put(put, Now::default()).expect("room");
    let at = |number, now| match ask(&cache, number, true, now).expect("room") {
        LeaseAnswer::Ready(Lookup::Hit(_), lease) => lease.is_some(),
        answer => panic!("{answer:?}"),
    };
    assert!(!at(1, after(SECOND * 50 - Duration::from_nanos(1))));
    assert!(at(2, after(SECOND * 50)));
    assert!(!at(3, after(SECOND * 50)), "the others go on");
    fill(&cache, 2, after(SECOND * 51)).expect("its lease");
    assert!(!at(4, after(SECOND * 52)), "refreshed");
}

#[test]
fn leases_and_waiters_are_bounded() {
    let limits = Limits {
        max_leases: 1,
        max_waiters: 3,
        max_waiters_per_key: 2,
        ..LIMITS
    };
    let cache = with_limits(limits);
    assert!(granted(&cache, 1, Now::default()));
    let other = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: Some(token(9).into()),
        wait: true,
    };
    let refused = cache.get_or_lease(name("a", "other"), other, Now::default);
    assert_eq!(refused.err(), Some(LeaseError::TooManyLeases));

    let first = waiting(&cache, 2, Now::default());
    let _second = waiting(&cache, 3, Now::default());
    let full = ask(&cache, 4, true, Now::default());
    assert!(matches!(
        full,
        Ok(LeaseAnswer::Ready(
            Lookup::Miss(Miss {
                reason: MissReason::Pending,
                ..
            }),
            None
        ))
    ));
    drop(first);
    let _third = waiting(&cache, 5, Now::default());
    cache.reclaim(after(TTL));
    cache.reclaim(after(TTL * 2));
    cache.reclaim(after(TTL * 3));
    assert!(
        matches!(
            cache.get_or_lease(name("a", "other"), other, || after(TTL * 3)),
            Ok(LeaseAnswer::Ready(_, Some(_)))
        ),
        "the place was given back"
    );
}

#[test]
fn refused_lease_is_no_refused_credential() {
    let cache = with_limits(Limits {
        max_leases: 1,
        ..LIMITS
    });
    let put = Put {
        refresh_before: Some(SECOND * 60),
        ..of("a", "key")
    };
    cache.put(put, Now::default()).expect("room");
    let other = LeaseQuery {
        min_ttl: Duration::ZERO,
        lease: Some(token(9).into()),
        wait: false,
    };
    cache
        .get_or_lease(name("a", "other"), other, Now::default)
        .expect("room");
    assert!(matches!(
        ask(&cache, 1, false, Now::default()),
        Ok(LeaseAnswer::Ready(Lookup::Hit(_), None))
    ));
}
