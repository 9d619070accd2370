//! What is counted, per namespace and tier, and the sums that Stats answers.
//!
//! Every event is counted once, in the tally of its namespace; the server's
//! figures are sums over the tallies. The atomics are relaxed: they order
//! nothing, and a sum taken while others count is a moment's blur.

use std::sync::atomic::Ordering::Relaxed;

use crate::{
    model::{limits::MAX_TIERS, tier_spec::TierId},
    sync::{AtomicU64, lane},
};

/// What is counted for a whole namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Gets that found nothing, or nothing remembered.
    NotFound,
    /// Gets that found a credential past its end.
    Expired,
    /// Gets that found nothing, for it was invalidated.
    Revoked,
    /// Gets that found less lifetime left than they asked for.
    TtlTooShort,
    /// Gets that found somebody else fetching.
    Pending,
    /// Credentials stored.
    Puts,
    /// Puts refused by their precondition, a lost lease or a revocation.
    PutsRefused,
    /// Invalidations carried out.
    Invalidations,
    /// Credentials removed by them.
    Invalidated,
    /// Leases granted.
    LeasesGranted,
    /// Leases filled by a Put.
    LeasesFilled,
    /// Leases given back.
    LeasesAbandoned,
    /// Leases that ran out.
    LeasesExpired,
    /// Leases lost to an invalidation.
    LeasesRevoked,
    /// Leases that ended because their key was put without them.
    LeasesSuperseded,
    /// Extensions of leases.
    LeasesExtended,
    /// Gets that waited for somebody else's fetch.
    Waits,
    /// Gets that wait now. Goes up and down.
    Waiting,
}

/// What is counted for each tier. The first two go up and down with the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierCount {
    /// Credentials it holds.
    Entries,
    /// Their weight, and that of what they share, in bytes.
    UsedBytes,
    /// Gets it answered.
    Hits,
    /// Credentials pushed out for want of room.
    Evictions,
    /// Credentials whose memory was taken back after their end.
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

/// One namespace's counters.
#[derive(Debug)]
pub(crate) struct Tally {
    cells: Box<[AtomicU64]>,
    /// What is beyond the cells of [`TierCount::Hits`]. Every Get counts one, and
    /// if all did in one place, threads would wait for each other there.
    hits: [Lane; LANES],
}

/// Enough that the threads of a machine's cores seldom share one.
const LANES: usize = 8;

/// Two lines of memory, for processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane([AtomicU64; MAX_TIERS]);

/// Counters as they stood, since the start of the server.
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

    /// `weight`: of all that came with it.
    pub(crate) fn entry_added(&self, tier: TierId, weight: u64) {
        self.cells[tier_cell(tier, TierCount::Entries)].fetch_add(1, Relaxed);
        self.cells[tier_cell(tier, TierCount::UsedBytes)].fetch_add(weight, Relaxed);
    }

    /// `weight`: of all that went with it.
    pub(crate) fn entry_removed(&self, tier: TierId, weight: u64) {
        let entries = self.cells[tier_cell(tier, TierCount::Entries)].fetch_sub(1, Relaxed);
        let used = self.cells[tier_cell(tier, TierCount::UsedBytes)].fetch_sub(weight, Relaxed);
        debug_assert!(entries >= 1 && used >= weight, "more went than came");
    }

    /// Takes over what a namespace counted that is about to be forgotten.
    pub(crate) fn absorb(&self, other: &Self) {
        for (sum, one) in self.cells.iter().zip(other.sums()) {
            sum.fetch_add(one, Relaxed);
        }
    }

    fn sums(&self) -> impl Iterator<Item = u64> {
        self.cells.iter().enumerate().map(|(place, cell)| {
            let tier = place.checked_sub(tier_cell(TierId::new(0), TierCount::Hits));
            let tier = tier.filter(|beyond| beyond % TIER_COUNTS == 0);
            let lanes = tier.map_or(0, |beyond| {
                let hits = self.hits.iter();
                let hits = hits.map(|lane| lane.0[beyond / TIER_COUNTS].load(Relaxed));
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
        for (sum, one) in self.0.iter_mut().zip(tally.sums()) {
            *sum += one;
        }
    }

    /// One count.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.0[cell(count)]
    }

    /// One count of one tier.
    #[must_use]
    pub fn of_tier(&self, tier: TierId, count: TierCount) -> u64 {
        self.0[tier_cell(tier, count)]
    }
}
