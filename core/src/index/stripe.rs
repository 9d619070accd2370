//! A stripe: the names whose hashes select one lock, with the index of their entries, their leases,
//! recent fills and tombstones.

use std::{
    ops::{Deref, DerefMut},
    sync::atomic::Ordering::Relaxed,
};

use crate::{
    index::{entry_index::EntryIndex, tombstones::Tombstones},
    leases::{recent::Recent, table::LeaseTable},
    model::outcome::Stored,
    store::labels::SharedBytes,
    sync::{AtomicBool, Mutex, MutexGuard, give_way},
};

pub(crate) struct Stripe {
    state: Mutex<StripeState>,
    /// Whether a miss may learn its reason under the lock.
    has_miss_reasons: AtomicBool,
    /// Whether any lease, lapsed lease or fill ends by time.
    has_leases: AtomicBool,
}

pub(crate) struct StripeState {
    pub(crate) index: EntryIndex,
    pub(crate) leases: LeaseTable,
    /// The answers to recent fills.
    pub(crate) fills: Recent<Stored>,
    pub(crate) tombstones: Tombstones,
}

pub(crate) struct StripeGuard<'a> {
    state: MutexGuard<'a, StripeState>,
    has_miss_reasons: &'a AtomicBool,
    has_leases: &'a AtomicBool,
}

impl Stripe {
    /// An empty stripe that remembers up to `lapsed` leases that ran out, and as many fills.
    pub(crate) fn new(shared_bytes: SharedBytes, lapsed: usize) -> Self {
        let state = StripeState {
            index: EntryIndex::new(shared_bytes),
            leases: LeaseTable::new(lapsed),
            fills: Recent::new(lapsed),
            tombstones: Tombstones::default(),
        };
        Self {
            state: Mutex::new(state),
            has_miss_reasons: AtomicBool::default(),
            has_leases: AtomicBool::default(),
        }
    }

    pub(crate) fn lock(&self) -> StripeGuard<'_> {
        StripeGuard {
            state: self.state.lock(),
            has_miss_reasons: &self.has_miss_reasons,
            has_leases: &self.has_leases,
        }
    }

    /// Whether the stripe has a lease, cool-down or tombstone. Read without the lock, so that most
    /// misses needn't take the lock to learn that there is no reason.
    pub(crate) fn has_miss_reasons(&self) -> bool {
        self.has_miss_reasons.load(Relaxed)
    }

    /// Whether the stripe has leases, or still remembers leases that ended. Read without the lock,
    /// so that reclaiming doesn't take the lock in vain.
    pub(crate) fn has_leases(&self) -> bool {
        self.has_leases.load(Relaxed)
    }
}

impl StripeGuard<'_> {
    /// Lets threads that wait for the stripe acquire it first.
    pub(crate) fn give_way(&mut self) {
        give_way(&mut self.state);
    }
}

impl Deref for StripeGuard<'_> {
    type Target = StripeState;

    fn deref(&self) -> &StripeState {
        &self.state
    }
}

impl DerefMut for StripeGuard<'_> {
    fn deref_mut(&mut self) -> &mut StripeState {
        &mut self.state
    }
}

impl Drop for StripeGuard<'_> {
    fn drop(&mut self) {
        let StripeState {
            leases,
            fills,
            tombstones,
            ..
        } = &*self.state;
        // A miss doesn't depend on leases that ended.
        let has_miss_reasons = !leases.is_empty() || !tombstones.is_empty();
        let has_leases = !leases.is_empty() || leases.has_lapsed() || !fills.is_empty();
        if self.has_miss_reasons.load(Relaxed) != has_miss_reasons {
            self.has_miss_reasons.store(has_miss_reasons, Relaxed);
        }
        if self.has_leases.load(Relaxed) != has_leases {
            self.has_leases.store(has_leases, Relaxed);
        }
    }
}
