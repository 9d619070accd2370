//! The part of all names whose hash falls to one lock: where their entries
//! stand, who fetches them, and which were revoked lately.

use std::{
    ops::{Deref, DerefMut},
    sync::atomic::Ordering::Relaxed,
};

use super::{
    flights::Flights,
    group::SharedBytes,
    index::Index,
    revoked::Revoked,
    sync::{AtomicBool, Mutex, MutexGuard, give_way},
};

pub(super) struct Stripe {
    parts: Mutex<Parts>,
    /// Whether a miss may find out more under the lock.
    remembers: AtomicBool,
}

pub(super) struct Parts {
    pub(super) index: Index,
    pub(super) flights: Flights,
    pub(super) revoked: Revoked,
}

pub(super) struct Locked<'a> {
    parts: MutexGuard<'a, Parts>,
    remembers: &'a AtomicBool,
}

impl Stripe {
    pub(super) fn new(shared_bytes: SharedBytes) -> Self {
        let parts = Parts {
            index: Index::new(shared_bytes),
            flights: Flights::default(),
            revoked: Revoked::default(),
        };
        Self {
            parts: Mutex::new(parts),
            remembers: AtomicBool::default(),
        }
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            parts: self.parts.lock(),
            remembers: &self.remembers,
        }
    }

    /// Whether anything of the stripe is fetched or was revoked lately. Without
    /// the lock, so that a miss needn't take it to say that there is nothing.
    pub(super) fn remembers(&self) -> bool {
        self.remembers.load(Relaxed)
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
        let remembers = !self.parts.flights.is_empty() || !self.parts.revoked.is_empty();
        if self.remembers.load(Relaxed) != remembers {
            self.remembers.store(remembers, Relaxed);
        }
    }
}
