//! The part of all names whose hash falls to one lock: where their entries
//! stand, who fetches them and what the last fill was answered, and which were
//! revoked lately.

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
    /// Whether a miss may find out more under the lock.
    remembers: AtomicBool,
    /// Whether anything of the leases ends by time.
    has_leases: AtomicBool,
}

pub(crate) struct StripeState {
    pub(crate) index: EntryIndex,
    pub(crate) leases: LeaseTable,
    /// What the last fill of a key was answered.
    pub(crate) fills: Recent<Stored>,
    pub(crate) tombstones: Tombstones,
}

pub(crate) struct StripeGuard<'a> {
    state: MutexGuard<'a, StripeState>,
    remembers: &'a AtomicBool,
    has_leases: &'a AtomicBool,
}

impl Stripe {
    /// An empty one, which remembers so many leases that ran out, and as many
    /// fills.
    pub(crate) fn new(shared_bytes: SharedBytes, past: usize) -> Self {
        let state = StripeState {
            index: EntryIndex::new(shared_bytes),
            leases: LeaseTable::new(past),
            fills: Recent::new(past),
            tombstones: Tombstones::default(),
        };
        Self {
            state: Mutex::new(state),
            remembers: AtomicBool::default(),
            has_leases: AtomicBool::default(),
        }
    }

    pub(crate) fn lock(&self) -> StripeGuard<'_> {
        StripeGuard {
            state: self.state.lock(),
            remembers: &self.remembers,
            has_leases: &self.has_leases,
        }
    }

    /// Whether anything of the stripe is fetched or was revoked lately. Without
    /// the lock, so that a miss needn't take it to say that there is nothing.
    pub(crate) fn remembers(&self) -> bool {
        self.remembers.load(Relaxed)
    }

    /// Whether there are leases, or anything is still known of leases that are
    /// over. Without the lock, so that the search for what has ended needn't
    /// take it in vain.
    pub(crate) fn has_leases(&self) -> bool {
        self.has_leases.load(Relaxed)
    }
}

impl StripeGuard<'_> {
    /// Lets those who wait for the stripe have it first.
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
        // What is known of leases that are over is nothing to a miss.
        let remembers = !leases.is_empty() || !tombstones.is_empty();
        let has_leases = !leases.is_empty() || leases.has_lapsed() || !fills.is_empty();
        if self.remembers.load(Relaxed) != remembers {
            self.remembers.store(remembers, Relaxed);
        }
        if self.has_leases.load(Relaxed) != has_leases {
            self.has_leases.store(has_leases, Relaxed);
        }
    }
}
