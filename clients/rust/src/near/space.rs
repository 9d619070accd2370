//! What is known of one namespace in this process, and when it may be used.
//!
//! Reads no clock but through the one it is given. What must hold:
//! - An event has taken its effect before the proof that comes after it is
//!   published. A lookup loads the proof first, so what it finds is what was
//!   left after everything up to that proof.
//! - An answer is kept only if nothing that matches it was revoked since it was
//!   asked for. Whatever decides that, and keeps it, holds one lock; so does
//!   whatever marks it.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::{NearStats, fills::Fills, store::Store, stripes::Stripes};
use crate::{Credential, Target, clock::BootInstant};

/// How often one key is tried to be fetched anew.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(1);
/// More keys than these aren't renewed within that time.
const MOST_RENEWALS: usize = 4096;
/// One watched namespace.
pub(crate) struct Space {
    pub(super) namespace: String,
    bound: Duration,
    store: Store,
    /// Until when the watch's last word counts, that nothing is missing.
    fresh_until: AtomicU64,
    /// Entries of an earlier one are void. Goes up with the lock held.
    generation: AtomicU64,
    changes: Mutex<Changes>,
    renewals: Mutex<HashMap<Arc<str>, BootInstant>>,
    pub(super) established: watch::Sender<bool>,
    hits: Stripes,
    misses: AtomicU64,
    resets: AtomicU64,
}

#[derive(Default)]
struct Changes {
    established: bool,
    fills: Fills,
}

/// A credential that may be used.
pub(super) struct Hit {
    pub(super) credential: Arc<Credential>,
    /// The instant it was judged at.
    at: BootInstant,
}

impl Hit {
    /// Whether somebody should fetch the next one.
    pub(super) fn is_due(&self) -> bool {
        self.at >= self.credential.due()
    }
}

impl Space {
    /// Room for `capacity` bytes, of which nothing is used once the watch has
    /// been silent for `bound`.
    pub(super) fn new(namespace: String, capacity: u64, bound: Duration) -> Self {
        Self {
            namespace,
            bound,
            store: Store::new(capacity),
            fresh_until: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            changes: Mutex::default(),
            renewals: Mutex::default(),
            established: watch::Sender::new(false),
            hits: Stripes::default(),
            misses: AtomicU64::new(0),
            resets: AtomicU64::new(0),
        }
    }

    /// The credential of a key, if it may be used: with more than `least_left`
    /// of its lifetime left, and nothing unheard of since for as long as the
    /// bound.
    pub(super) fn lookup(
        &self,
        key: &str,
        least_left: Duration,
        clock: impl Fn() -> BootInstant,
    ) -> Option<Hit> {
        // Before the entry, lest one be found that the events up to a later
        // proof have removed.
        let fresh_until = BootInstant::from_nanos(self.fresh_until.load(Ordering::Acquire));
        let generation = self.generation.load(Ordering::Acquire);
        let at = Cell::new(BootInstant::from_nanos(0));
        let found = self.store.get(key, |kept| {
            if kept.generation != generation {
                return false;
            }
            // Last: however long this thread stood still, it is judged by now.
            let now = clock();
            at.set(now);
            now < fresh_until && now < kept.deadline && kept.deadline.since(now) >= least_left
        });
        let Some(credential) = found else {
            self.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.hits.count();
        let at = at.get();
        Some(Hit { credential, at })
    }

    /// Must be called before the server is asked for the key.
    pub(crate) fn begin(&self, key: &str) -> Fill<'_> {
        let mut changes = self.changes();
        Fill {
            space: self,
            key: changes.fills.begin(key),
            generation: self.generation.load(Ordering::Relaxed),
            // Else revocations may have been missed.
            watched: changes.established,
        }
    }

    /// Everything matching that was put before `revision` is void.
    pub(super) fn invalidated(&self, target: &Target, revision: u64) {
        match target {
            Target::Key(key) | Target::KeyVersion(key, _) => self.replaced(key, revision),
            Target::KeyPrefix(prefix) => {
                self.changes().fills.raise_prefix(prefix, revision);
                self.store.retain(|kept, credential| {
                    !kept.starts_with(prefix) || credential.version >= revision
                });
            }
            // Which entries have a tag isn't known here.
            Target::Tag(_) | Target::All => self.forget(),
        }
    }

    /// Versions of the key below this one are void.
    pub(super) fn replaced(&self, key: &str, version: u64) {
        self.changes().fills.raise(key, version);
        self.store
            .remove_if(key, |credential| credential.version < version);
    }

    /// Everything is void: events were lost, or it is another instance.
    pub(super) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
        self.forget();
    }

    /// Everything is void, and all that is under way too.
    pub(super) fn forget(&self) {
        let _changes = self.changes();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The watch has told everything that happened before `now`, and all of it
    /// has taken effect.
    pub(super) fn prove(&self, now: BootInstant) {
        let until = now.after(self.bound);
        self.fresh_until.store(until.nanos(), Ordering::Release);
    }

    /// Whether events reach this process.
    pub(super) fn establish(&self, established: bool) {
        self.changes().established = established;
        self.established.send_if_modified(|known| {
            let changes = *known != established;
            *known = established;
            changes
        });
    }

    /// Gives the memory of what is void or over back.
    pub(super) fn sweep(&self, now: BootInstant) {
        let generation = self.generation.load(Ordering::Acquire);
        self.store
            .retain(|kept, _| kept.generation == generation && kept.deadline > now);
        self.renewals()
            .retain(|_, tried| now.since(*tried) < BETWEEN_RENEWALS);
    }

    /// Whether it is this caller's turn to see to a key that is due.
    pub(super) fn may_renew(&self, key: &str, now: BootInstant) -> bool {
        let mut renewals = self.renewals();
        if let Some(tried) = renewals.get_mut(key) {
            let turn = now.since(*tried) >= BETWEEN_RENEWALS;
            if turn {
                *tried = now;
            }
            return turn;
        }
        let turn = renewals.len() < MOST_RENEWALS;
        if turn {
            renewals.insert(key.into(), now);
        }
        turn
    }

    pub(super) fn stats(&self) -> NearStats {
        NearStats {
            hits: self.hits.sum(),
            misses: self.misses.load(Ordering::Relaxed),
            resets: self.resets.load(Ordering::Relaxed),
            entries: self.store.len(),
            used_bytes: self.store.weight(),
        }
    }

    // Never held over an await.
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renewals(&self) -> MutexGuard<'_, HashMap<Arc<str>, BootInstant>> {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// A question to the server that is under way.
pub(crate) struct Fill<'a> {
    space: &'a Space,
    key: Arc<str>,
    generation: u64,
    watched: bool,
}

impl Fill<'_> {
    /// Keeps the answer, if nothing that matches it was revoked since it was
    /// asked for.
    pub(crate) fn end(self, credential: &Arc<Credential>) {
        let space = self.space;
        let changes = space.changes();
        let generation = space.generation.load(Ordering::Relaxed);
        if !self.watched
            || self.generation != generation
            || credential.version < changes.fills.floor(&self.key)
        {
            return;
        }
        // Of two answers the later may have been the quicker.
        let kept = space
            .store
            .peek(&self.key, |kept| kept.generation == generation);
        if kept.is_some_and(|kept| kept.version > credential.version) {
            return;
        }
        space.store.keep(&self.key, credential, generation);
    }
}

impl Drop for Fill<'_> {
    fn drop(&mut self) {
        self.space.changes().fills.end(&self.key);
    }
}

#[cfg(test)]
mod tests;
