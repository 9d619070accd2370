//! The limits of an episode, which are random, so that each limit is reached in some episodes and
//! in others isn't.

use std::{sync::Arc, time::Duration};

use credcache_core::{Cache, Limits, MIN_FENCE_MEMORY, TierSpec, smallest_capacity};
use fastrand::Rng;

use crate::clocks::{SECOND, nanos};

/// The tiers; some episodes omit the longer ones.
pub(crate) const TIERS: [(&str, Duration); 3] = [
    ("10-seconds", Duration::from_secs(10)),
    ("5-minutes", Duration::from_secs(300)),
    ("2-hours", Duration::from_secs(7200)),
];
pub(crate) const MAX_VALUE: usize = 256;
/// The number of namespace shards, each with its share of the memory of invalidations and of the
/// journal.
const SHARDS: u32 = 8;
/// The number of stripes, each with its share of the memory of ended leases.
const STRIPES: u32 = 64;

#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Whether the cache has room for everything.
    pub(crate) roomy: bool,
    /// Whether the wall clock steps by fractions of a second. Reclaiming may then be up to a second
    /// late, so it is omitted.
    pub(crate) fine_steps: bool,
    /// Time leaps to the edge of an event, possibly by hours, in one of this many cases.
    pub(crate) leap: u32,
    /// An invalidation is carried out in one of this many cases: often, or rarely enough for a
    /// tight cache to fill.
    pub(crate) revoking: u32,
    /// The number of tiers.
    pub(crate) tiers: usize,
    pub(crate) limits: Limits,
}

/// A limit that is reached soon, or never.
fn few_or(rng: &mut Rng, most: u32) -> u32 {
    if rng.bool() { rng.u32(1..=most) } else { 1_000 }
}

impl Shape {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let longest_lease = 1 << rng.u32(31..38);
        let limits = Limits {
            max_value: MAX_VALUE as u64,
            max_namespaces: 3,
            max_leases: match rng.u8(0..4) {
                0..2 => rng.u32(1..=6),
                2 => rng.u32(6..=3 * STRIPES),
                _ => Limits::DEFAULT.max_leases,
            },
            max_waiters: few_or(rng, 4),
            max_waiters_per_key: few_or(rng, 3),
            max_watchers: few_or(rng, 4).min(8),
            lease_ttl: Duration::from_nanos(rng.u64(SECOND..=longest_lease)),
            max_revocations: match rng.u8(0..6) {
                0..2 => rng.u32(8..3 * SHARDS),
                2..4 => rng.u32(3 * SHARDS..=64),
                4 => rng.u32(64..=400),
                _ => Limits::DEFAULT.max_revocations,
            },
            max_journal: match rng.u8(0..4) {
                0 => rng.u64(0..1_000) * u64::from(SHARDS),
                1..3 => rng.u64(1_000..20_000) * u64::from(SHARDS),
                _ => Limits::DEFAULT.max_journal,
            },
        };
        Self {
            roomy: rng.bool(),
            fine_steps: rng.u8(0..3) == 0,
            leap: [1, 8, 64][rng.usize(0..3)],
            revoking: [1, 1, 16][rng.usize(0..3)],
            tiers: rng.usize(1..=TIERS.len()),
            limits,
        }
    }

    pub(crate) fn cache(&self) -> Arc<Cache> {
        let least = smallest_capacity(MAX_VALUE as u64);
        let capacity = if self.roomy { least * 64 } else { least };
        let specs = TIERS[..self.tiers].iter().map(|(name, max_ttl)| TierSpec {
            name: (*name).into(),
            max_ttl: *max_ttl,
            capacity,
        });
        Arc::new(Cache::new(specs.collect(), self.limits).expect("valid tiers"))
    }

    pub(crate) fn longest_tier(&self) -> u64 {
        nanos(TIERS[self.tiers - 1].1)
    }

    /// How long an invalidation is remembered: as long as credentials that were issued before it
    /// can live, and at least for the minimum memory, which covers leases that were granted before
    /// it.
    pub(crate) fn retention(&self) -> u64 {
        self.longest_tier().max(nanos(MIN_FENCE_MEMORY))
    }

    /// How many invalidations a shard has room for.
    pub(crate) fn revocations(&self) -> usize {
        (self.limits.max_revocations / SHARDS).max(1) as usize
    }

    /// How many lapsed leases, and how many fills, a stripe has room for.
    pub(crate) fn remembered(&self) -> usize {
        (self.limits.max_leases / STRIPES).max(1) as usize
    }

    /// How many bytes of changes a shard has room for.
    pub(crate) fn journal(&self) -> u64 {
        self.limits.max_journal / u64::from(SHARDS)
    }
}
