//! The part of all names whose hash falls to one lock: where their entries
//! stand, who fetches them and what the last fill was answered, and which were
//! revoked lately.

use std::{
    ops::{Deref, DerefMut},
    sync::atomic::Ordering::Relaxed,
};

use super::{
    flights::Flights,
    group::SharedBytes,
    index::Index,
    past::Past,
    revoked::Revoked,
    stored::Stored,
    sync::{AtomicBool, Mutex, MutexGuard, give_way},
};

pub(super) struct Stripe {
    parts: Mutex<Parts>,
    /// Whether a miss may find out more under the lock.
    remembers: AtomicBool,
    /// Whether anything of the leases ends by time.
    has_leases: AtomicBool,
}

pub(super) struct Parts {
    pub(super) index: Index,
    pub(super) flights: Flights,
    /// What the last fill of a key was answered.
    pub(super) fills: Past<Stored>,
    pub(super) revoked: Revoked,
}

pub(super) struct Locked<'a> {
    parts: MutexGuard<'a, Parts>,
    remembers: &'a AtomicBool,
    has_leases: &'a AtomicBool,
}

impl Stripe {
    /// An empty one, which remembers so many leases that ran out, and as many
    /// fills.
    pub(super) fn new(shared_bytes: SharedBytes, past: usize) -> Self {
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

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            parts: self.parts.lock(),
            remembers: &self.remembers,
            has_leases: &self.has_leases,
        }
    }

    /// Whether anything of the stripe is fetched or was revoked lately. Without
    /// the lock, so that a miss needn't take it to say that there is nothing.
    pub(super) fn remembers(&self) -> bool {
        self.remembers.load(Relaxed)
    }

    /// Whether there are leases, or anything is still known of leases that are
    /// over. Without the lock, so that the search for what has ended needn't
    /// take it in vain.
    pub(super) fn has_leases(&self) -> bool {
        self.has_leases.load(Relaxed)
    }
}

impl Locked<'_> {
    /// Lets those who wait for the stripe have it first.
    pub(super) fn give_way(&mut self) {
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
