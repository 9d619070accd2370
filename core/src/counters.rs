//! Counters by namespace and tier, and the sums that the Stats rpc reports.
//!
//! Every event is counted once, in the tally of its namespace. The figures of the whole cache are
//! sums over the tallies. The atomics are relaxed because they order nothing: a sum that is taken
//! while other threads count may mix slightly different instants.

use std::sync::atomic::Ordering::Relaxed;

use crate::{
    model::{limits::MAX_TIERS, tier_spec::TierId},
    sync::{AtomicU64, lane},
};

/// The counters of a whole namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Gets that found nothing, for no reason that is still known.
    NotFound,
    /// Gets that found an expired credential.
    Expired,
    /// Gets that found nothing because the credential was invalidated.
    Revoked,
    /// Gets that found a credential with less than `min_ttl` left.
    TtlTooShort,
    /// Gets that found nothing while another caller fetches the credential.
    Pending,
    /// Credentials stored.
    Puts,
    /// Puts refused because of their precondition, a lost lease or a revocation.
    PutsRefused,
    /// Invalidations carried out.
    Invalidations,
    /// Credentials removed by invalidations.
    Invalidated,
    /// Leases granted.
    LeasesGranted,
    /// Leases filled by a Put.
    LeasesFilled,
    /// Leases abandoned by their holder.
    LeasesAbandoned,
    /// Leases that ran out.
    LeasesExpired,
    /// Leases that ended because of an invalidation.
    LeasesRevoked,
    /// Leases that ended because their key was put without the lease.
    LeasesSuperseded,
    /// Successful extensions of leases.
    LeasesExtended,
    /// Gets that waited for another caller's fetch.
    Waits,
    /// Gets that are waiting now. This counter goes up and down.
    Waiting,
}

/// The counters of a tier. `Entries` and `UsedBytes` go up and down with the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierCount {
    /// Credentials that the tier holds.
    Entries,
    /// The weight of these credentials and of the labels that they share, in bytes.
    UsedBytes,
    /// Gets that the tier answered.
    Hits,
    /// Credentials evicted to make room.
    Evictions,
    /// Expired credentials whose memory was reclaimed.
    Expirations,
}

const COUNTS: usize = Count::Waiting as usize + 1;
const TIER_COUNTS: usize = TierCount::Expirations as usize + 1;

fn cell(count: Count) -> usize {
    count as usize
}

fn tier_cell(tier: TierId, count: TierCount) -> usize {
    COUNTS + tier.index() * TIER_COUNTS + count as usize
}

fn cells(tiers: usize) -> usize {
    COUNTS + tiers * TIER_COUNTS
}

/// The counters of one namespace.
#[derive(Debug)]
pub(crate) struct Tally {
    cells: Box<[AtomicU64]>,
    /// Hits, counted in addition to the cells of [`TierCount::Hits`]. Every hit is counted, and
    /// with a single counter the threads would contend for its cache line.
    hits: [Lane; LANES],
}

/// Enough lanes that the threads of one machine's cores seldom share one.
const LANES: usize = 8;

/// Two cache lines, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane([AtomicU64; MAX_TIERS]);

/// A snapshot of counters, which count from the creation of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(Box<[u64]>);

impl Tally {
    pub(crate) fn new(tiers: usize) -> Self {
        Self {
            cells: (0..cells(tiers)).map(|_| AtomicU64::default()).collect(),
            hits: Default::default(),
        }
    }

    pub(crate) fn add(&self, count: Count) {
        self.cells[cell(count)].fetch_add(1, Relaxed);
    }

    pub(crate) fn sub(&self, count: Count) {
        self.cells[cell(count)].fetch_sub(1, Relaxed);
    }

    pub(crate) fn add_to_tier(&self, tier: TierId, count: TierCount) {
        self.cells[tier_cell(tier, count)].fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn add_hits(&self, tier: TierId, hits: u64) {
        self.hits[lane() % LANES].0[tier.index()].fetch_add(hits, Relaxed);
    }

    /// `weight` is the weight of the entry and of the labels that were added with it, in bytes.
    pub(crate) fn entry_added(&self, tier: TierId, weight: u64) {
        self.cells[tier_cell(tier, TierCount::Entries)].fetch_add(1, Relaxed);
        self.cells[tier_cell(tier, TierCount::UsedBytes)].fetch_add(weight, Relaxed);
    }

    /// `weight` is the weight of the entry and of the labels that were removed with it, in bytes.
    pub(crate) fn entry_removed(&self, tier: TierId, weight: u64) {
        let entries = self.cells[tier_cell(tier, TierCount::Entries)].fetch_sub(1, Relaxed);
        let used = self.cells[tier_cell(tier, TierCount::UsedBytes)].fetch_sub(weight, Relaxed);
        debug_assert!(entries >= 1 && used >= weight, "more went than came");
    }

    /// Adds the counts of a namespace whose record is about to be forgotten.
    pub(crate) fn absorb(&self, other: &Self) {
        for (sum, count) in self.cells.iter().zip(other.sums()) {
            sum.fetch_add(count, Relaxed);
        }
    }

    fn sums(&self) -> impl Iterator<Item = u64> {
        self.cells.iter().enumerate().map(|(index, cell)| {
            let tier = index.checked_sub(tier_cell(TierId::new(0), TierCount::Hits));
            let tier = tier.filter(|offset| offset % TIER_COUNTS == 0);
            let lanes = tier.map_or(0, |offset| {
                let hits = self.hits.iter();
                let hits = hits.map(|lane| lane.0[offset / TIER_COUNTS].load(Relaxed));
                hits.sum()
            });
            cell.load(Relaxed) + lanes
        })
    }
}

impl Counts {
    pub(crate) fn zero(tiers: usize) -> Self {
        Self(vec![0; cells(tiers)].into())
    }

    pub(crate) fn add(&mut self, tally: &Tally) {
        for (sum, count) in self.0.iter_mut().zip(tally.sums()) {
            *sum += count;
        }
    }

    /// Returns one counter.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.0[cell(count)]
    }

    /// Returns one counter of one tier.
    #[must_use]
    pub fn of_tier(&self, tier: TierId, count: TierCount) -> u64 {
        self.0[tier_cell(tier, count)]
    }
}
