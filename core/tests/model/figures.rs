//! The counters of the cache, summed over its tiers.

use credcache_core::{Cache, Count, Counts, TierCount};

use crate::shape::TIERS;

/// The gauges and counters that the steps compare.
pub(crate) struct Figures {
    counts: Counts,
    pub(crate) entries: u64,
    /// By tier.
    pub(crate) hits: [u64; TIERS.len()],
    pub(crate) evictions: u64,
    pub(crate) expirations: u64,
}

/// The namespace counters that the reference expects.
#[derive(Default)]
pub(crate) struct Counted([u64; COUNTS.len()]);

const COUNTS: [Count; 18] = [
    Count::NotFound,
    Count::Expired,
    Count::Revoked,
    Count::TtlTooShort,
    Count::Pending,
    Count::Puts,
    Count::PutsRefused,
    Count::Invalidations,
    Count::Invalidated,
    Count::LeasesGranted,
    Count::LeasesFilled,
    Count::LeasesAbandoned,
    Count::LeasesExpired,
    Count::LeasesRevoked,
    Count::LeasesSuperseded,
    Count::LeasesExtended,
    Count::Waits,
    Count::Waiting,
];

impl Figures {
    pub(crate) fn of(cache: &Cache) -> Self {
        let counts = cache.counts(None);
        let mut sum = Self {
            entries: 0,
            hits: [0; TIERS.len()],
            evictions: 0,
            expirations: 0,
            counts,
        };
        for (tier, spec) in cache.tiers() {
            sum.entries += sum.counts.of_tier(tier, TierCount::Entries);
            sum.hits[tier.index()] = sum.counts.of_tier(tier, TierCount::Hits);
            sum.evictions += sum.counts.of_tier(tier, TierCount::Evictions);
            sum.expirations += sum.counts.of_tier(tier, TierCount::Expirations);
            let used = sum.counts.of_tier(tier, TierCount::UsedBytes);
            assert!(used <= spec.capacity, "more than there is room for");
        }
        sum
    }

    pub(crate) fn count(&self, count: Count) -> u64 {
        self.counts.of(count)
    }
}

impl Counted {
    pub(crate) fn add(&mut self, count: Count) {
        self.add_times(count, 1);
    }

    pub(crate) fn add_times(&mut self, count: Count, times: u64) {
        self.0[count as usize] += times;
    }

    pub(crate) fn sub(&mut self, count: Count) {
        self.0[count as usize] -= 1;
    }

    pub(crate) fn count(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    pub(crate) fn assert_same(&self, figures: &Figures) {
        for count in COUNTS {
            assert_eq!(figures.count(count), self.count(count), "{count:?}");
        }
    }
}
