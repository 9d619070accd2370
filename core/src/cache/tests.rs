//! Tests of how the parts of the core work together, which need access to private items.

mod batch_reads;
mod ended_leases;
mod in_progress;
mod leases;
mod races;
mod revocation;
mod sharing;
mod steps;
mod watching;

use std::{
    hash::{BuildHasher, Hasher},
    time::Duration,
};

use super::*;
use crate::{
    cache::{
        get::Lookup,
        put::{Precondition, Put, PutError},
    },
    counters::{Count, TierCount},
    model::{
        attributes::Attributes,
        contents::Contents,
        invalidation::{Invalidate, Target},
        name::{Key, Name, Tag},
        outcome::Stored,
        revision::{Revision, Revisions},
        tags::Tags,
        time::{BootTime, Deadline, Lifetime, Now, WallTime},
    },
    store::{
        entry::{Entry, NewEntry},
        labels::LabelSets,
    },
};

const LIMITS: Limits = Limits {
    max_value: 64,
    max_namespaces: 2,
    ..Limits::DEFAULT
};

/// Room for some 40,000 small entries, in bytes.
const CAPACITY: u64 = 8 << 20;

fn cache() -> Cache {
    with_limits(LIMITS)
}

fn with_limits(limits: Limits) -> Cache {
    with_capacity(limits, CAPACITY)
}

fn with_capacity(limits: Limits, capacity: u64) -> Cache {
    let tier = TierSpec {
        name: "one".into(),
        max_ttl: Duration::from_secs(60),
        capacity,
    };
    Cache::new(vec![tier], limits).expect("a valid tier")
}

fn contents() -> Contents {
    Contents {
        value: LIMITS.value(b"value").expect("within the limit"),
        tags: Tags::new([Tag::parse("tag").expect("a tag")]).expect("few"),
        attributes: Attributes::default(),
    }
}

fn namespace(namespace: &str) -> NamespaceName<'_> {
    NamespaceName::parse(namespace).expect("a namespace")
}

fn name<'a>(of: &'a str, key: &'a str) -> Name<'a> {
    Name {
        namespace: namespace(of),
        key: Key::parse(key).expect("a key"),
    }
}

/// A Put with default values for all optional fields.
fn of<'a>(namespace: &'a str, key: &'a str) -> Put<'a> {
    Put {
        name: name(namespace, key),
        contents: contents(),
        lifetime: Lifetime::For(Duration::from_secs(60)),
        refresh_before: None,
        tier: None,
        issued_at: None,
        lease: None,
        precondition: None,
    }
}

fn put(
    cache: &Cache,
    namespace: &str,
    key: &str,
    precondition: Option<Precondition>,
) -> Result<Stored, PutError> {
    let put = Put {
        precondition,
        ..of(namespace, key)
    };
    cache.put(put, Now::default())
}

#[test]
fn credentials_put_together_are_not_to_be_fetched_together() {
    let cache = cache();
    let mut leads = std::collections::BTreeSet::new();
    for nth in 0..200 {
        let key = format!("key{nth}");
        put(&cache, "a", &key, None).expect("room");
        let name = Name {
            namespace: NamespaceName::parse("a").expect("a namespace"),
            key: Key::parse(&key).expect("a key"),
        };
        let Lookup::Hit(hit) = cache.get(name, Duration::ZERO, Now::default) else {
            panic!("just put");
        };
        assert_eq!(hit.ttl(), Duration::from_secs(60), "the end isn't jittered");
        leads.insert(hit.view().expires_at().since_unix() - hit.view().refresh_at().since_unix());
    }
    assert!(leads.len() > 50, "{} different leads", leads.len());
    let (least, most) = (leads.first().expect("some"), leads.last().expect("some"));
    assert!(
        *most <= *least * 11 / 10 + Duration::from_nanos(1),
        "by up to 10 %"
    );
}

#[test]
fn put_over_an_expired_credential_counts_an_expiration_and_over_a_live_one_none() {
    let cache = cache();
    let passed = |seconds| Now {
        wall: WallTime::from_unix(Duration::from_secs(seconds)),
        boot: BootTime::from_boot(Duration::from_secs(seconds)),
    };
    let expirations = || {
        let counts = cache.counts(Some(namespace("a")));
        counts.of_tier(TierId::new(0), TierCount::Expirations)
    };
    for (seconds, expected) in [(0, 0), (59, 0), (119, 1), (120, 1)] {
        cache.put(of("a", "k"), passed(seconds)).expect("room");
        assert_eq!(expirations(), expected, "after {seconds} s");
    }
}

/// A hasher that maps everything to 7.
#[derive(Clone)]
struct AllAlike;

impl BuildHasher for AllAlike {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self
    }
}

impl Hasher for AllAlike {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

#[test]
fn names_of_one_hash_stay_apart() {
    let tier = TierSpec {
        name: "one".into(),
        max_ttl: Duration::from_secs(60),
        capacity: smallest_capacity(LIMITS.max_value),
    };
    let tier = Tier::new(
        TierId::new(0),
        tier,
        largest_entry(LIMITS.max_value),
        AllAlike,
        SharedBytes::new(1),
    );
    let namespaces = Namespaces::new(3, 1);
    // The same text divided differently, and the same key in another namespace.
    let names = [("ab", "cd"), ("a", "bcd"), ("b", "cd")].map(|(namespace, key)| Name {
        namespace: NamespaceName::parse(namespace).expect("a namespace"),
        key: Key::parse(key).expect("a key"),
    });
    // With the namespace's record, and without it.
    let found = |name: Name<'_>| {
        let record = namespaces.find(name.namespace);
        let [one, other] = [None, record.as_deref()].map(|record| {
            let sought = LookupKey {
                record,
                ..name.into()
            };
            tier.read(7, &sought, &mut |entry| entry.version().number())
        });
        assert_eq!(one, other);
        one
    };
    let revisions = Revisions::default();
    let label_sets = LabelSets::default();
    let mut versions = Vec::new();
    for name in names {
        let namespace = namespaces.find_or_create(name.namespace).expect("room");
        let mut contents = contents();
        let tags = std::mem::take(&mut contents.tags);
        let entry = Entry::new(NewEntry {
            labels: label_sets.of(&namespace, tags, tier.id),
            key: name.key,
            contents,
            deadline: Deadline::after(Now::default(), Duration::from_secs(60)),
            refresh_lead: Duration::ZERO,
            version: revisions.next(),
            tier: tier.id,
        });
        assert_eq!(found(name), None, "another name's");
        versions.push(entry.version().number());
        assert!(tier.insert(entry).is_empty(), "replaced another name");
    }
    for (name, version) in names.into_iter().zip(versions) {
        assert_eq!(found(name), Some(version));
    }
}

#[test]
fn credential_is_found_whatever_the_hint_says() {
    let tiers = (0..5).map(|nth| TierSpec {
        name: nth.to_string(),
        max_ttl: Duration::from_secs(nth + 1),
        capacity: smallest_capacity(LIMITS.max_value),
    });
    let cache = Cache::new(tiers.collect(), LIMITS).expect("valid tiers");
    for tier in 0..5 {
        let put = Put {
            tier: Some(TierId::new(tier)),
            ..of("a", "key")
        };
        let stored = cache.put(put, Now::default()).expect("room");
        for hint in 0..5 {
            cache
                .tier_hints
                .set(cache.hash(name("a", "key")), TierId::new(hint));
            let found = cache.get(name("a", "key"), Duration::ZERO, Now::default);
            let version = found.hit().map(|hit| hit.view().version());
            assert_eq!(version, Some(stored.version), "in {tier}, hint {hint}");
        }
    }
}

#[test]
fn put_that_is_refused_makes_no_record_of_its_namespace() {
    let cache = cache();
    put(&cache, "empty", "key", None).expect("room");
    let namespace = NamespaceName::parse("empty").expect("a namespace");
    let all = Invalidate {
        namespace,
        target: Target::All,
        issued_before: None,
    };
    cache.invalidate(all, Now::default());
    let version = Revision::from_wire(1);
    for nth in 0..10 {
        let refused = put(
            &cache,
            &format!("n{nth}"),
            "key",
            version.map(Precondition::Version),
        );
        assert_eq!(refused, Err(PutError::VersionDiffers));
    }
    assert_eq!(cache.namespaces(), 1);
    assert_eq!(cache.counts(Some(namespace)).of(Count::Puts), 1);
    assert_eq!(cache.counts(None).of(Count::PutsRefused), 10);
}

#[test]
fn put_into_a_full_registry_is_refused_and_counted() {
    let cache = cache();
    put(&cache, "a", "key", None).expect("room");
    put(&cache, "b", "key", None).expect("room");
    assert_eq!(
        put(&cache, "c", "key", None),
        Err(PutError::TooManyNamespaces)
    );
    assert_eq!(cache.counts(None).of(Count::PutsRefused), 1);
    assert!(put(&cache, "b", "other", None).is_ok());
}

#[test]
fn debug_shows_no_text_of_a_caller() {
    let tags = Tags::new([Tag::parse("person@example.com").expect("a tag")]).expect("one");
    let attributes = Attributes::new([("owner", "person@example.com")]).expect("one");
    let key = Key::parse("person@example.com").expect("a key");
    let shown = format!("{tags:?} {attributes:?} {key:?}");
    assert!(!shown.contains("person"), "{shown}");
}
