//! Labels are counted once, whichever of their entries is removed.

use super::*;

use crate::{
    cache::put::Put,
    counters::TierCount,
    model::{
        contents::Contents,
        invalidation::{Invalidate, Target},
        name::{Key, Tag},
        tags::Tags,
        time::Now,
    },
};

/// The length of tags that no other entry has.
const LONG: usize = MAX_TAG;

fn with_shards(shards: u64) -> Cache {
    let tier = TierSpec {
        name: "one".into(),
        max_ttl: Duration::from_secs(60),
        capacity: smallest_capacity(LIMITS.max_value) * shards,
    };
    Cache::new(vec![tier], LIMITS).expect("a valid tier")
}

fn put_tagged(cache: &Cache, key: &str, tags: &[String]) {
    let tags = tags.iter().map(|tag| Tag::parse(tag).expect("a tag"));
    let contents = Contents {
        tags: Tags::new(tags).expect("few"),
        ..contents()
    };
    let put = Put {
        contents,
        ..of("a", key)
    };
    cache.put(put, Now::default()).expect("room");
}

fn invalidate(cache: &Cache, target: Target<'_>) {
    let invalidate = Invalidate {
        namespace: namespace("a"),
        target,
        issued_before: None,
    };
    cache.invalidate(invalidate, Now::default());
}

fn used(cache: &Cache) -> u64 {
    let one = cache.tier("one").expect("the tier");
    cache.counts(None).of_tier(one, TierCount::UsedBytes)
}

fn shared(cache: &Cache) -> u64 {
    cache.tiers[0].shared_bytes()
}

fn entries(cache: &Cache) -> u64 {
    let one = cache.tier("one").expect("the tier");
    cache.counts(None).of_tier(one, TierCount::Entries)
}

/// Tags of the maximum length, which only this number has.
fn long_tags(number: u64) -> Vec<String> {
    (0..MAX_TAGS as u64)
        .map(|nth| format!("{:0LONG$}", number * 100 + nth))
        .collect()
}

#[test]
fn tag_that_all_entries_share_takes_no_room_from_them() {
    for shards in [1, 8] {
        let cache = with_shards(shards);
        put_tagged(&cache, "key-00000", &["shared".into()]);
        let weight = used(&cache) - shared(&cache);
        let capacity = cache.tiers[0].spec.capacity;
        for number in 0..capacity / weight * 2 {
            put_tagged(&cache, &format!("key-{number:05}"), &["shared".into()]);
        }
        let room = (capacity - shared(&cache)) / weight;
        let entries = entries(&cache);
        assert!(
            entries >= room - room / 50,
            "{entries} entries where {room} have room"
        );
        assert_eq!(used(&cache), entries * weight + shared(&cache));
        invalidate(&cache, Target::Tag(Tag::parse("shared").expect("a tag")));
        assert_eq!((used(&cache), shared(&cache)), (0, 0));
    }
}

/// Entries with long tags share labels with others, and are removed before those.
#[test]
fn record_counts_for_as_long_as_any_entry_has_it() {
    for shards in [1, 8] {
        let cache = with_shards(shards);
        let capacity = cache.tiers[0].spec.capacity;
        let record = labels::largest_weight(MAX_TAGS, MAX_TAG);
        let bound = if shards == 1 {
            capacity
        } else {
            capacity + shards * record
        };
        let mut most = 0;
        for number in 0..600 {
            let tags = long_tags(number);
            // Of many stripes, in one at least two entries share their labels.
            for nth in 0..STRIPES * 2 {
                put_tagged(&cache, &format!("key-{number}-{nth}"), &tags);
            }
            // Every second entry is replaced by one with other labels.
            for nth in (0..STRIPES * 2).step_by(2) {
                put_tagged(&cache, &format!("key-{number}-{nth}"), &[]);
            }
            assert!(used(&cache) <= bound, "{} of {bound}", used(&cache));
            most = most.max(used(&cache));
        }
        assert!(most >= capacity / 2, "{most} of {capacity} used");
        invalidate(&cache, Target::All);
        assert_eq!((used(&cache), shared(&cache)), (0, 0));
    }
}

#[test]
fn capacity_holds_whatever_is_put_and_taken_out() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let shards = 1 << (seed % 3);
        let cache = with_shards(shards);
        let capacity = cache.tiers[0].spec.capacity;
        // Exact with one shard. With more, each shard may lag behind by the labels of as many Puts
        // as there are shards.
        let behind = (shards - 1) * labels::largest_weight(MAX_TAGS, MAX_TAG);
        for step in 0..6_000 {
            let key = format!("key-{}", random.u64(..3_000));
            match random.u8(..100) {
                0 => invalidate(&cache, Target::Tag(Tag::parse("2").expect("a tag"))),
                1..10 => invalidate(
                    &cache,
                    Target::Key {
                        key: Key::parse(&key).expect("a key"),
                        if_version: None,
                    },
                ),
                10..30 => put_tagged(&cache, &key, &[]),
                30..60 => put_tagged(&cache, &key, &[random.u8(..5).to_string()]),
                60..80 => put_tagged(&cache, &key, &[format!("{step}")]),
                80..90 => put_tagged(&cache, &key, &long_tags(random.u64(..10))),
                _ => put_tagged(&cache, &key, &long_tags(1_000 + step)),
            }
            let used = used(&cache);
            assert!(
                used <= capacity + behind,
                "{used} of {capacity}, seed {seed}, step {step}"
            );
        }
        assert!(entries(&cache) > 50, "{} entries", entries(&cache));
        invalidate(&cache, Target::All);
        assert_eq!((used(&cache), shared(&cache)), (0, 0));
    }
}
