//! Batches, which are judged after they were read.

use std::ops::ControlFlow;

use super::*;

use crate::{
    cache::{
        batch_get::{BatchGet, Reader, Verdict},
        get::{Miss, MissReason},
        put::Put,
    },
    counters::{Count, TierCount},
    model::time::{BootTime, Lifetime, Now, WallTime},
    store::entry::EntryView,
};

/// The reading of both clocks this long after the start.
fn at(elapsed: Duration) -> Now {
    Now {
        wall: WallTime::from_unix(Duration::from_secs(1_000) + elapsed),
        boot: BootTime::from_boot(Duration::from_secs(10) + elapsed),
    }
}

fn start() -> Now {
    at(Duration::ZERO)
}

const SECOND: Duration = Duration::from_secs(1);

/// What a batch read for each key, in order, and the verdict.
struct Read {
    seen: Vec<Result<Vec<u8>, MissReason>>,
    left: Vec<Duration>,
    judged: Verdict,
}

/// A reader that collects all results.
struct Collect(Vec<Result<Vec<u8>, MissReason>>);

impl Reader for Collect {
    fn make_room(&mut self) {}

    fn read(&mut self, found: Result<EntryView<'_>, Miss>) -> ControlFlow<()> {
        self.0.push(match found {
            Ok(seen) => {
                assert!(seen.tags().iter().eq(["tag"]));
                Ok(seen.value().to_vec())
            }
            Err(miss) => Err(miss.reason),
        });
        ControlFlow::Continue(())
    }
}

/// Reads with `earlier`, if it is set, and judges at `now`.
fn read(cache: &Cache, keys: &[&str], min_ttl: Duration, earlier: Option<Now>, now: Now) -> Read {
    let mut left = Vec::new();
    let keys: Vec<_> = keys.iter().map(|key| key.as_bytes()).collect();
    let sought = BatchGet {
        namespace: namespace("a"),
        keys: &keys,
        min_ttl,
        earlier,
    };
    let mut reader = Collect(Vec::new());
    let reading = cache.batch_get(sought, || now, &mut reader).expect("keys");
    let judged = reading.judge(now, |one| left.push(one));
    let Collect(seen) = reader;
    Read { seen, left, judged }
}

fn filled() -> Cache {
    let cache = cache();
    for (key, secs) in [("long", 60), ("short", 5)] {
        let put = Put {
            lifetime: Lifetime::For(Duration::from_secs(secs)),
            ..of("a", key)
        };
        cache.put(put, start()).expect("room");
    }
    cache
}

#[test]
fn what_ends_between_being_read_and_being_judged_is_not_told() {
    let cache = filled();
    let keys = ["long", "short", "none"];
    let before = cache.counts(None);

    let alive = read(&cache, &keys, Duration::ZERO, None, at(4 * SECOND));
    assert_eq!(alive.judged, Verdict::Valid);
    assert_eq!(alive.left, [56 * SECOND, SECOND]);
    assert_eq!(alive.seen[2], Err(MissReason::NotFound));
    let counted = cache.counts(None);
    let tier = cache.tier("one").expect("the tier");
    assert_eq!(counted.of_tier(tier, TierCount::Hits), 2);
    assert_eq!(counted.of(Count::NotFound), before.of(Count::NotFound) + 1);

    // The credential was live when it was read.
    let expired = read(&cache, &keys, Duration::ZERO, None, at(5 * SECOND));
    assert_eq!(expired.judged, Verdict::Expired);
    let too_short = read(&cache, &keys, 2 * SECOND, None, at(4 * SECOND));
    assert_eq!(too_short.judged, Verdict::Expired);
    assert!(
        cache.counts(None) == counted,
        "a batch that isn't valid isn't counted"
    );

    let again = at(5 * SECOND);
    let known = read(&cache, &keys, Duration::ZERO, Some(again), again);
    assert_eq!(known.judged, Verdict::Valid);
    assert_eq!(known.seen[1], Err(MissReason::Expired));
    assert_eq!(known.left, [55 * SECOND]);
    let counts = cache.counts(None);
    assert_eq!(counts.of(Count::Expired), counted.of(Count::Expired) + 1);
}

#[test]
fn end_that_a_stepped_clock_cuts_is_not_told_as_it_was_stored() {
    let cache = filled();
    let mut stepped = at(SECOND);
    stepped.wall = stepped.wall.before(100 * SECOND);
    let read = read(&cache, &["long"], Duration::ZERO, None, stepped);
    assert_eq!(read.judged, Verdict::ClockStepped);
}

#[test]
fn values_too_large_to_be_copied_under_a_lock_are_read_alike() {
    let limits = Limits {
        max_value: 64 * 1024,
        ..LIMITS
    };
    let tier = TierSpec {
        name: "one".into(),
        max_ttl: Duration::from_secs(60),
        capacity: smallest_capacity(limits.max_value),
    };
    let cache = Cache::new(vec![tier], limits).expect("a valid tier");
    let sizes = [0, 4096, 4097, 64 * 1024];
    for size in sizes {
        let key = size.to_string();
        let mut put = of("a", &key);
        put.contents.value = limits.value(&vec![7; size]).expect("within the limit");
        cache.put(put, start()).expect("room");
    }
    let keys = sizes.map(|size| size.to_string());
    let keys: Vec<_> = keys.iter().map(|key| &**key).collect();
    let read = read(&cache, &keys, Duration::ZERO, None, at(SECOND));
    assert_eq!(read.judged, Verdict::Valid);
    let values = sizes.map(|size| Ok(vec![7; size]));
    assert!(read.seen == values);
}

#[test]
fn bytes_that_are_no_key_are_nothing_to_read() {
    let cache = filled();
    for bytes in [&b""[..], b"\xff", &[b'x'; MAX_KEY + 1]] {
        let sought = BatchGet {
            namespace: namespace("a"),
            keys: &[b"long", bytes],
            min_ttl: Duration::ZERO,
            earlier: None,
        };
        let read = cache.batch_get(sought, start, &mut Collect(Vec::new()));
        assert!(read.is_none());
    }
}

#[test]
fn hits_of_many_threads_are_counted_each() {
    let cache = filled();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let lookup = cache.get(name("a", "long"), Duration::ZERO, start);
                    assert!(lookup.hit().is_some());
                }
            });
        }
    });
    let tier = cache.tier("one").expect("the tier");
    let hits = |of: Option<&str>| {
        cache
            .counts(of.map(namespace))
            .of_tier(tier, TierCount::Hits)
    };
    assert_eq!(hits(Some("a")), 2_000);
    assert_eq!(hits(None), 2_000);
}
