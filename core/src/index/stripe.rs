//! The part of all names whose hash falls to one lock: where their entries
//! stand, who fetches them and what the last fill was answered, and which were
//! revoked lately.

use std::{
    ops::{Deref, DerefMut},
    sync::atomic::Ordering::Relaxed,
};

use crate::{
    index::{entry_index::Index, tombstones::Revoked},
    leases::{recent::Past, table::Flights},
    model::outcome::Stored,
    store::labels::SharedBytes,
    sync::{AtomicBool, Mutex, MutexGuard, give_way},
};

pub(crate) struct Stripe {
    parts: Mutex<Parts>,
    /// Whether a miss may find out more under the lock.
    remembers: AtomicBool,
    /// Whether anything of the leases ends by time.
    has_leases: AtomicBool,
}

pub(crate) struct Parts {
    pub(crate) index: Index,
    pub(crate) flights: Flights,
    /// What the last fill of a key was answered.
    pub(crate) fills: Past<Stored>,
    pub(crate) revoked: Revoked,
}

pub(crate) struct Locked<'a> {
    parts: MutexGuard<'a, Parts>,
    remembers: &'a AtomicBool,
    has_leases: &'a AtomicBool,
}

impl Stripe {
    /// An empty one, which remembers so many leases that ran out, and as many
    /// fills.
    pub(crate) fn new(shared_bytes: SharedBytes, past: usize) -> Self {
        let parts = Parts {
            index: Index::new(shared_bytes),
            flights: Flights::new(past),
            fills: Past::new(past),
            revoked: Revoked::default(),
        };
        Self {
            parts: Mutex::new(parts),
            remembers: AtomicBool::default(),
            has_leases: AtomicBool::default(),
        }
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked {
            parts: self.parts.lock(),
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

impl Locked<'_> {
    /// Lets those who wait for the stripe have it first.
    pub(crate) fn give_way(&mut self) {
        give_way(&mut self.parts);
    }
}

impl Deref for Locked<'_> {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Parts {
            flights,
            fills,
            revoked,
            ..
        } = &*self.parts;
        // What is known of leases that are over is nothing to a miss.
        let remembers = !flights.is_empty() || !revoked.is_empty();
        let has_leases = !flights.is_empty() || flights.has_lapsed() || !fills.is_empty();
        if self.remembers.load(Relaxed) != remembers {
            self.remembers.store(remembers, Relaxed);
        }
        if self.has_leases.load(Relaxed) != has_leases {
            self.has_leases.store(has_leases, Relaxed);
        }
    }
}
