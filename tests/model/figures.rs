//! What the cache counts, summed over its tiers.

use credcache::cache::{Cache, TierCount};

/// Gauges and counters that the steps compare.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) entries: u64,
    pub(crate) evictions: u64,
    pub(crate) expirations: u64,
}

impl Figures {
    pub(crate) fn of(cache: &Cache) -> Self {
        let counts = cache.counts(None);
        let mut sum = Self::default();
        for (tier, _) in cache.tiers() {
            sum.entries += counts.of_tier(tier, TierCount::Entries);
            sum.evictions += counts.of_tier(tier, TierCount::Evictions);
            sum.expirations += counts.of_tier(tier, TierCount::Expirations);
        }
        sum
    }
}
