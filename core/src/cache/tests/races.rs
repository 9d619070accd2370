//! Threads that decide by a credential while it is invalidated. `tests/schedules` explores the same
//! scenarios on a small scale with a scheduler; here they run at full speed, alone and among many
//! other entries. `CREDCACHE_RACES` sets the number of rounds, `CREDCACHE_RACES_ENTRIES` how many
//! other entries there are.

use std::{
    str::FromStr,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use super::*;

use crate::{
    cache::{
        lease::{LeaseAnswer, LeaseQuery},
        put::{Precondition, Put, PutError},
    },
    leases::token::{Lease, Token},
    model::{
        invalidation::{Invalidate, Target},
        name::{Key, KeyPrefix, Tag},
        revision::Revision,
        time::Now,
    },
};

const SECOND: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 200;
/// Fewer rounds, because each is a sweep of some milliseconds.
const ROUNDS_BESIDE_MANY: u32 = 10;
const MANY: usize = 10_000;
/// More than an entry weighs here, in bytes.
const ROOM: u64 = 512;

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, not of the program"
)]
fn setting<T: FromStr>(name: &str, default: T) -> T {
    let parsed = |text: String| text.parse().ok().expect("a number");
    std::env::var(name).map_or(default, parsed)
}

fn rounds(default: u32) -> u32 {
    setting("CREDCACHE_RACES", default)
}

fn every_target() -> [Target<'static>; 4] {
    let key = Key::parse("key").expect("a key");
    let if_version = None;
    [
        Target::Key { key, if_version },
        Target::Prefix(KeyPrefix::parse("key").expect("a prefix")),
        Target::Tag(Tag::parse("tag").expect("a tag")),
        Target::All,
    ]
}

/// Stores a credential that is always due for refresh.
fn put_due(cache: &Cache) -> Revision {
    let put = Put {
        refresh_before: Some(SECOND * 60),
        ..of("a", "key")
    };
    cache.put(put, Now::default()).expect("room").version
}

/// Calls `decide` repeatedly during the invalidation until it returns a result. Panics if it
/// returned none by the time the invalidation had returned.
fn beside<T: Send>(
    cache: &Cache,
    target: Target<'static>,
    decide: impl FnMut() -> Option<T> + Send,
) -> T {
    let (start, answered) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        let decision = scope.spawn(|| {
            let mut decide = decide;
            start.wait();
            loop {
                let is_last = answered.load(Relaxed);
                if let Some(decision) = decide() {
                    return Some(decision);
                }
                if is_last {
                    return None;
                }
            }
        });
        start.wait();
        let invalidate = Invalidate {
            namespace: namespace("a"),
            target,
            issued_before: None,
        };
        cache.invalidate(invalidate, Now::default());
        answered.store(true, Relaxed);
        let decision = decision.join().expect("it doesn't panic");
        decision.unwrap_or_else(|| panic!("{target:?} changed nothing"))
    })
}

fn race(round: impl Fn(&Cache, Target<'static>)) {
    let many = setting("CREDCACHE_RACES_ENTRIES", MANY);
    for (entries, rounds) in [(0, rounds(ROUNDS)), (many, rounds(ROUNDS_BESIDE_MANY))] {
        for target in every_target() {
            let cache = with_capacity(LIMITS, CAPACITY + entries as u64 * ROOM);
            for _ in 0..rounds {
                for nth in 0..entries {
                    put(&cache, "a", &format!("key{nth:05}"), None).expect("room");
                }
                let evictions = cache
                    .counts(None)
                    .of_tier(TierId::new(0), TierCount::Evictions);
                assert_eq!(evictions, 0, "the other entries have room");
                round(&cache, target);
            }
        }
    }
}

#[test]
fn no_chain_of_versions_survives_an_invalidation() {
    race(|cache, target| {
        let mut last = put_due(cache);
        let refusal = beside(cache, target, || {
            match put(cache, "a", "key", Some(Precondition::Version(last))) {
                Ok(stored) => {
                    last = stored.version;
                    None
                }
                Err(refusal) => Some(refusal),
            }
        });
        assert_eq!(refusal, PutError::VersionDiffers, "{target:?}");
        let found = cache.get(name("a", "key"), Duration::ZERO, Now::default);
        assert!(found.hit().is_none(), "{target:?}");
    });
}

#[test]
fn no_lease_that_came_with_a_hit_is_filled_after_its_invalidation() {
    let fill = |lease: Lease| Put {
        lease: Some(lease.token),
        ..of("a", "key")
    };
    let rng = std::cell::RefCell::new(fastrand::Rng::with_seed(1));
    let number = std::cell::Cell::new(0_u32);
    race(|cache, target| {
        put_due(cache);
        // At a random moment of the invalidation.
        let mut looks = rng.borrow_mut().u32(0..200);
        number.set(number.get() + 1);
        let ask = LeaseQuery {
            min_ttl: Duration::ZERO,
            lease: Some(Token::from_bytes(u128::from(number.get()).to_be_bytes()).into()),
            wait: false,
        };
        let asked = beside(cache, target, || {
            looks = looks.saturating_sub(1);
            let found = cache.get(name("a", "key"), Duration::ZERO, Now::default);
            if looks > 0 && found.hit().is_some() {
                return None;
            }
            let answer = cache.get_or_lease(name("a", "key"), ask, Now::default);
            match answer.expect("room") {
                LeaseAnswer::Ready(lookup, lease) => Some((lookup.hit().is_some(), lease)),
                LeaseAnswer::Waits(_) => panic!("it doesn't wait"),
            }
        });
        let (is_hit, lease) = asked;
        // A miss may come with a lease that was granted just before.
        let filled = cache.put(fill(lease.expect("it is free")), Now::default());
        assert!(filled.is_err() || !is_hit, "{target:?}: {filled:?}");
    });
}
