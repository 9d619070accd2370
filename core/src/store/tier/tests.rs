//! What a tier evicts, compared with a plain quick_cache that was told the right number of entries.
//!
//! Both receive the same requests in the same order, and store what they don't hold. Both have the
//! same number of shards, which the tier's largest entry determines. Their hashes don't change from
//! run to run.

use std::{hash::Hasher, time::Duration};

use foldhash::quality::FixedState;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter, sync};

use super::*;
use crate::{
    cache::largest_entry,
    model::{
        attributes::Attributes,
        limits::Limits,
        name::{Key, NamespaceName},
        revision::Revisions,
        secret::Secret,
        time::{Deadline, Now},
    },
    store::{
        entry::{self, NewEntry},
        namespaces::Namespaces,
    },
};

/// How many hundredths of a point of the hit ratio a tier may lose.
const MAY_LOSE: f64 = 0.5;
/// Capacities, as multiples of the smallest capacity.
const SIZES: [u64; 3] = [1, 2, 4];
/// Value sizes in bytes, which result in entries of 156 B, 1 KiB and 3 KiB.
const VALUES: [usize; 3] = [32, 896, 3072];

#[derive(Clone, Copy, Debug)]
enum Workload {
    /// The exponent, in tenths.
    Zipf(u32),
    /// A Zipf distribution, and from time to time a scan of as many keys as fit, each requested
    /// once.
    Scans,
    /// Every second request is for the next key of a loop that is longer than the capacity.
    Loop,
    /// The popular keys change over time.
    Shifts,
}

const WORKLOADS: [Workload; 6] = [
    Workload::Zipf(7),
    Workload::Zipf(9),
    Workload::Zipf(10),
    Workload::Scans,
    Workload::Loop,
    Workload::Shifts,
];

#[test]
fn tier_hits_as_often_as_quick_cache_of_as_many_entries() {
    let rounds = rounds();
    let mut worse = Vec::new();
    for value in VALUES {
        for size in SIZES {
            let mut stored = Stock::new(value, size);
            let room = stored.room();
            let universe = Universe::new(room);
            for workload in WORKLOADS {
                for seed in 0..rounds {
                    let keys = keys(workload, &universe, seed);
                    let ours = hit_ratio(&keys, |key| stored.ask_for(key));
                    let raw = raw(room, stored.tier.entries.num_shards());
                    let theirs = hit_ratio(&keys, |key| {
                        let found = raw.get(&key).is_some();
                        if !found {
                            raw.insert(key, ());
                        }
                        found
                    });
                    println!(
                        "{} B, room for {room}, {workload:?}, seed {seed}: {ours:.2} and {theirs:.2} of 100 hit",
                        stored.weight
                    );
                    if ours < theirs - MAY_LOSE {
                        worse.push((stored.weight, room, workload, seed, ours, theirs));
                    }
                    stored = Stock::new(value, size);
                }
            }
        }
    }
    assert!(worse.is_empty(), "{worse:?}");
}

#[test]
fn what_is_set_aside_is_never_evicted() {
    let mut stock = Stock::new(896, 1);
    let half = stock.tier.spec.capacity / 2;
    stock.tier.shared_bytes.add(stock.tier.id, half);
    for key in 0..number(stock.room() * 5) {
        // Twice, so that the requests go around the whole shard instead of the new entries alone.
        for _ in 0..2 {
            stock.ask_for(key);
        }
        let kept = stock.tier.count.load(Relaxed) as u64 * u64::from(stock.weight);
        assert!(kept <= half, "{kept} beside {half}");
    }
}

/// More seeds take longer and usually find nothing more.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, not of the program"
)]
fn rounds() -> u64 {
    let text = std::env::var("CREDCACHE_TIER_SEEDS");
    text.map_or(1, |text| text.parse().expect("a number"))
}

fn hit_ratio(keys: &[u32], mut ask_for: impl FnMut(u32) -> bool) -> f64 {
    let hits = keys.iter().filter(|key| ask_for(**key)).count();
    hits as f64 * 100.0 / keys.len() as f64
}

type Raw = sync::Cache<u32, (), UnitWeighter, DefaultHashBuilder>;

fn raw(room: usize, shards: usize) -> Raw {
    let options = OptionsBuilder::new()
        .shards(shards)
        .weight_capacity(room as u64)
        .estimated_items_capacity(room)
        .build()
        .expect("both are set");
    let raw = Raw::with_options(
        options,
        UnitWeighter,
        DefaultHashBuilder::default(),
        sync::DefaultLifecycle::default(),
    );
    assert_eq!(raw.num_shards(), shards);
    raw
}

/// A tier and the entries to store in it.
struct Stock {
    tier: Tier<NameHashes<FixedState>>,
    namespace: Arc<NamespaceRecord>,
    label_sets: LabelSets,
    revisions: Revisions,
    value: usize,
    weight: u32,
}

impl Stock {
    fn new(value: usize, size: u64) -> Self {
        let largest = largest_entry(Limits::DEFAULT.max_value);
        let spec = TierSpec {
            name: "one".into(),
            max_ttl: Duration::from_secs(60),
            capacity: smallest_capacity(largest) * size,
        };
        let hashes = NameHashes(FixedState::with_seed(7));
        let name = NamespaceName::parse("one").expect("a namespace");
        let mut stock = Self {
            tier: Tier::new(TierId::new(0), spec, largest, hashes, SharedBytes::new(1)),
            namespace: Namespaces::new(1, 1).find_or_create(name).expect("room"),
            label_sets: LabelSets::default(),
            revisions: Revisions::default(),
            value,
            weight: 0,
        };
        stock.weight = stock.entry("key-0000").weight();
        stock
    }

    fn room(&self) -> usize {
        usize::try_from(self.tier.spec.capacity / u64::from(self.weight)).expect("few")
    }

    /// Whether the tier held the key. It does afterwards.
    fn ask_for(&mut self, key: u32) -> bool {
        let text = format!("{key:08}");
        let key = Key::parse(&text).expect("a key");
        let name = NamespaceName::parse("one").expect("a namespace");
        let sought = LookupKey {
            namespace: name.as_str().as_bytes(),
            key: key.as_str().as_bytes(),
            record: Some(&self.namespace),
        };
        let mut hasher = self.tier.hashes.build_hasher();
        entry::hash_namespace(&mut hasher, sought.namespace);
        entry::hash_key(&mut hasher, sought.key);
        let hash = hasher.finish();
        let found = self.tier.read(hash, &sought, &mut |_| ());
        if found.is_none() {
            self.tier.insert(self.entry(&text));
        }
        found.is_some()
    }

    fn entry(&self, key: &str) -> Entry {
        Entry::new(NewEntry {
            labels: self
                .label_sets
                .of(&self.namespace, Tags::default(), self.tier.id),
            key: Key::parse(key).expect("a key"),
            value: Secret::copy_from(&vec![7; self.value]),
            attributes: Attributes::default(),
            deadline: Deadline::after(Now::default(), Duration::from_secs(60)),
            refresh_lead: Duration::ZERO,
            version: self.revisions.next(),
            tier: self.tier.id,
        })
    }
}

/// Ten times as many keys as fit.
struct Universe {
    room: usize,
    /// For each exponent: the fraction of all requests that go to the keys up to each index.
    zipf: Vec<(u32, Vec<f64>)>,
}

impl Universe {
    fn new(room: usize) -> Self {
        let zipf = [7, 9, 10].map(|tenths| {
            let exponent = f64::from(tenths) / 10.0;
            let mut sum = 0.0;
            let mut sums = Vec::new();
            for rank in 1..=room * 10 {
                sum += (rank as f64).powf(-exponent);
                sums.push(sum);
            }
            for one in &mut sums {
                *one /= sum;
            }
            (tenths, sums)
        });
        Self {
            room,
            zipf: zipf.into(),
        }
    }

    fn draw(&self, tenths: u32, random: &mut fastrand::Rng) -> u32 {
        let (_, sums) = self
            .zipf
            .iter()
            .find(|(exponent, _)| *exponent == tenths)
            .expect("one of them");
        let at = random.f64();
        number(sums.partition_point(|sum| *sum < at))
    }
}

fn number(number: usize) -> u32 {
    u32::try_from(number).expect("few")
}

fn keys(workload: Workload, universe: &Universe, seed: u64) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let room = universe.room;
    // Keys beyond those of the distribution.
    let others = number(room * 10);
    (0..room * 10)
        .map(|at| match workload {
            Workload::Zipf(tenths) => universe.draw(tenths, &mut random),
            Workload::Scans if at % (3 * room) < room => others + number(at),
            Workload::Loop if at % 2 == 0 => others + number(at / 2 % (room * 6 / 5)),
            Workload::Shifts => {
                let shift = number(at / (4 * room) * (room / 2));
                universe.draw(9, &mut random) + shift
            }
            Workload::Scans | Workload::Loop => universe.draw(9, &mut random),
        })
        .collect()
}
