//! The resident memory of full caches by the operating system's figure, and its return to the
//! system. These tests are alone in their process, with the allocator of the program.
#![expect(
    clippy::expect_used,
    reason = "a test says what it expected, and its figures"
)]

use std::{
    fs,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use cap::Cap;
use credcache::rpc::{BatchGetRequest, BatchPutRequest};
use credcache_core::{
    Attributes, BootTime, Cache, Contents, ENTRY_OVERHEAD, Invalidate, Key, LeaseQuery, Lifetime,
    Limits, Lookup, Name, NamespaceName, Now, Put, Tag, Tags, Target, TierCount, TierSpec, Token,
    WallTime, WatchFrom,
};
use prost::Message;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Cap<Jemalloc> = Cap::new(Jemalloc, usize::MAX);

const MIB: u64 = 1024 * 1024;
/// The number of entries that must fit at once. There is a little more room, because no two shards
/// fill evenly.
const ENTRIES: u64 = 1_000_000;
const ROOM: u64 = 1_020_000;
const KEY: usize = 40;
const VALUE: usize = 256;
const LIMITS: Limits = Limits {
    max_value: 64 * 1024,
    max_namespaces: 16,
    ..Limits::DEFAULT
};

/// The tests measure the whole process, so one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn weight_counts_what_an_entry_takes() {
    let _alone = ALONE.lock();
    let all_attributes: Vec<(String, String)> = (0..16)
        .map(|nth| (format!("name-{nth}"), "x".repeat(40)))
        .collect();
    let mut wrong = Vec::new();
    // The requested bytes are measured, so the lengths are chosen such that the allocator gives
    // little more.
    for (value, tags, are_shared, attributes) in [
        (16, 0, true, 0),
        (256, 0, true, 0),
        (256, 1, true, 0),
        (256, 1, false, 0),
        (256, 16, true, 0),
        (256, 16, false, 0),
        (1200, 4, false, 1),
        (2000, 16, true, 16),
    ] {
        let tier = TierSpec {
            name: "one".into(),
            max_ttl: Duration::from_secs(60),
            capacity: 1024 * MIB,
        };
        let cache = Cache::new(vec![tier], LIMITS).expect("a valid tier");
        let before = ALLOCATOR.allocated();
        let count = 50_000;
        for number in 0..count {
            let whose = if are_shared { 0 } else { number };
            let tags: Vec<String> = (0..tags)
                .map(|nth| format!("team/{whose:010}/{nth:016}"))
                .collect();
            let contents = Contents {
                value: LIMITS.value(&vec![7; value]).expect("within the limit"),
                tags: Tags::new(tags.iter().map(|tag| Tag::parse(tag).expect("a tag")))
                    .expect("few"),
                attributes: Attributes::new(
                    all_attributes[..attributes]
                        .iter()
                        .map(|(n, v)| (&**n, &**v)),
                )
                .expect("few"),
            };
            put_contents(&cache, number, contents, Duration::from_secs(60), at(0));
        }
        let taken = (ALLOCATOR.allocated() - before) as u64 / count;
        let counted = held(&cache).1 / count;
        let shared = if are_shared { "shared" } else { "of its own" };
        let what = format!(
            "{value} B, {tags} tags, {shared}, {attributes} attributes: {taken} bytes taken, {counted} counted"
        );
        println!("{what}");
        if taken.abs_diff(counted) > taken * 15 / 100 {
            wrong.push(what);
        }
    }
    assert!(wrong.is_empty(), "more than 15 % off: {wrong:#?}");
}

#[test]
fn full_tiers_stay_within_their_capacity_and_give_expired_memory_back() {
    let _alone = ALONE.lock();
    let before = resident();
    // More entries are put than fit.
    let weight = (ENTRY_OVERHEAD + KEY + VALUE) as u64;
    let capacity = ROOM / 2 * weight;
    let tiers = [("short", 60), ("long", 3600)].map(|(name, secs)| TierSpec {
        name: name.into(),
        max_ttl: Duration::from_secs(secs),
        capacity,
    });
    let cache = Cache::new(tiers.into(), LIMITS).expect("valid tiers");
    let start = at(0);

    for number in 0..ROOM / 8 * 9 {
        let secs = if number % 2 == 0 { 60 } else { 3600 };
        put(&cache, number, Duration::from_secs(secs), start);
    }
    let (entries, used) = held(&cache);
    let full = resident() - before;
    assert!(used <= 2 * capacity);
    assert!(entries >= ENTRIES, "{entries} entries fit");
    let bound = 2 * capacity * 5 / 4 + 64 * MIB;
    let per_entry = full.saturating_sub(entries * (KEY + VALUE) as u64) / entries;
    println!(
        "{entries} entries: {} MiB resident, configured {} MiB",
        full / MIB,
        2 * capacity / MIB
    );
    println!(
        "{per_entry} bytes an entry beyond key and value; {} counted",
        ENTRY_OVERHEAD
    );
    assert!(
        full <= bound,
        "{} MiB resident, bound {} MiB",
        full / MIB,
        bound / MIB
    );

    let newest = ROOM / 8 * 9 - 1;
    assert!(matches!(get(&cache, newest, start), Lookup::Hit(_)));

    // Every other entry expires, and nothing reads it. The entries in between are still live, so
    // the allocator can't return whole pages, but it can reuse every byte.
    let allocated = ALLOCATOR.allocated() as u64;
    let reclaimed = cache.reclaim(at(61));
    assert_eq!(held(&cache).0, entries - reclaimed);
    assert!(reclaimed >= entries / 3, "{reclaimed} reclaimed");
    let freed = allocated - ALLOCATOR.allocated() as u64;
    println!(
        "{reclaimed} reclaimed: {} bytes freed each, {} MiB resident",
        freed / reclaimed,
        (resident() - before) / MIB
    );
    assert!(
        freed >= reclaimed * (KEY + VALUE + 48) as u64,
        "{freed} bytes freed"
    );

    let reclaimed = cache.reclaim(at(3601));
    assert_eq!(held(&cache), (0, 0));
    let empty = resident_below(before + full / 4).saturating_sub(before);
    println!(
        "{reclaimed} reclaimed: {} MiB resident, {} MiB allocated",
        empty / MIB,
        ALLOCATOR.allocated() as u64 / MIB
    );
    assert!(empty <= full / 4, "{} MiB still resident", empty / MIB);
}

/// Each Put has a tag of its own; tags, leases and watches come and go. The memory of them is
/// bounded, so nothing grows after a while.
#[test]
fn tags_revocations_leases_and_changes_leave_nothing_behind() {
    let _alone = ALONE.lock();
    let puts = setting("CREDCACHE_MEMORY_PUTS", 1_200_000);
    let tier = TierSpec {
        name: "one".into(),
        max_ttl: Duration::from_secs(60),
        capacity: 32 * MIB,
    };
    let limits = Limits {
        max_leases: 16_384,
        max_revocations: 4_096,
        max_journal: 4 * MIB,
        ..LIMITS
    };
    let cache = Arc::new(Cache::new(vec![tier], limits).expect("a valid tier"));
    let namespace = NamespaceName::parse("memory").expect("a namespace");
    let _watcher = cache.clone().watch(namespace, WatchFrom::Now);
    // The maximum of each half: in between, tables grow and memory is given back.
    let mut most = [(0, 0); 2];
    for number in 0..puts {
        // One second per 10,000 Puts: entries expire and are evicted, and fences are forgotten and
        // merged.
        let now = at(number / 10_000);
        let text = format!("tag/{number}");
        let tag = Tag::parse(&text).expect("a tag");
        let contents = Contents {
            value: LIMITS.value(&[7; 64]).expect("within the limit"),
            tags: Tags::new([tag]).expect("one"),
            attributes: Attributes::default(),
        };
        put_contents(&cache, number, contents, Duration::from_secs(60), now);
        if number % 10 == 0 {
            let invalidate = Invalidate {
                namespace,
                target: Target::Tag(tag),
                issued_before: None,
            };
            assert_eq!(cache.invalidate(invalidate, now).removed, 1);
            let ask = LeaseQuery {
                min_ttl: Duration::ZERO,
                lease: Some(Token::from_bytes(u128::from(number).to_be_bytes()).into()),
                wait: true,
            };
            let key = key(number);
            assert!(cache.get_or_lease(name(&key), ask, || now).is_ok());
        }
        if number % 2_500 == 0 {
            let (allocated, held) = &mut most[usize::from(number >= puts / 2)];
            *allocated = (*allocated).max(ALLOCATOR.allocated() as u64);
            *held = (*held).max(resident());
            cache.reclaim(now);
        }
    }
    let [earlier, later] = most;
    println!(
        "{puts} Puts: {} MiB allocated in their first half, {} in the second; {} and {} MiB resident",
        earlier.0 / MIB,
        later.0 / MIB,
        earlier.1 / MIB,
        later.1 / MIB
    );
    assert!(later.0 <= earlier.0 + earlier.0 / 20);
    assert!(later.1 <= earlier.1 + earlier.1 / 10);
}

#[test]
fn batch_of_millions_of_empty_items_is_decoded_in_little_memory() {
    let _alone = ALONE.lock();
    let four_mib = |item: [u8; 2]| item.repeat(2 << 20);
    let puts = four_mib([1 << 3 | 2, 0]);
    let keys = four_mib([2 << 3 | 2, 0]);
    // An allocation beyond the limit aborts the process.
    let limit = ALLOCATOR.allocated() + 2 * 1024 * 1024;
    ALLOCATOR.set_limit(limit).expect("less is allocated");
    let puts = BatchPutRequest::decode(&puts[..]);
    let keys = BatchGetRequest::decode(&keys[..]);
    ALLOCATOR.set_limit(usize::MAX).expect("less is allocated");
    assert!(puts.is_ok() && keys.is_ok());
}

fn put(cache: &Cache, number: u64, ttl: Duration, now: Now) {
    let contents = Contents {
        value: LIMITS.value(&[7; VALUE]).expect("within the limit"),
        tags: Tags::default(),
        attributes: Attributes::default(),
    };
    put_contents(cache, number, contents, ttl, now);
}

fn put_contents(cache: &Cache, number: u64, contents: Contents, ttl: Duration, now: Now) {
    let key = key(number);
    let put = Put {
        name: name(&key),
        contents,
        lifetime: Lifetime::For(ttl),
        refresh_before: None,
        tier: None,
        issued_at: None,
        lease: None,
        precondition: None,
    };
    cache.put(put, now).expect("a valid Put");
}

fn get(cache: &Cache, number: u64, now: Now) -> Lookup {
    cache.get(name(&key(number)), Duration::ZERO, || now)
}

fn key(number: u64) -> String {
    format!("{number:0KEY$}")
}

fn name(key: &str) -> Name<'_> {
    Name {
        namespace: NamespaceName::parse("memory").expect("a namespace"),
        key: Key::parse(key).expect("a key"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, not of the program"
)]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn held(cache: &Cache) -> (u64, u64) {
    let counts = cache.counts(None);
    cache.tiers().fold((0, 0), |(entries, used), (tier, _)| {
        (
            entries + counts.of_tier(tier, TierCount::Entries),
            used + counts.of_tier(tier, TierCount::UsedBytes),
        )
    })
}

fn at(secs: u64) -> Now {
    Now {
        wall: WallTime::from_unix(Duration::from_secs(1_700_000_000 + secs)),
        boot: BootTime::from_boot(Duration::from_secs(1_000 + secs)),
    }
}

/// Waits, up to 20 s, until the allocator's own thread has returned memory to the system, which it
/// doesn't report.
fn resident_below(bound: u64) -> u64 {
    for _ in 0..2_000 {
        if resident() <= bound {
            break;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    resident()
}

/// The resident bytes of this process.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a Linux /proc");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("VmRSS");
    let kib = line.split_whitespace().nth(1).expect("a figure");
    kib.parse::<u64>().expect("a number") * 1024
}
