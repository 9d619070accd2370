//! The near cache of one namespace, and when its entries may be used.
//!
//! Reads no clock but the one that it is given. What must hold:
//! - An event is applied before the cache is marked fresh by a later message. A
//!   lookup loads that mark first, so the entry that it finds has survived all events
//!   up to the mark.
//! - An answer is cached only if nothing that matches it was revoked since the
//!   question. The decision and the insertion hold one lock, and so does an event that
//!   raises the least version.

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

use super::{fills::PendingFills, sharded_counter::ShardedCounter, store::EntryStore};
use crate::{
    Client, Error,
    clock::BootInstant,
    credential::Credential,
    fetch::source::{Source, Uncached},
    invalidate::Target,
    judged::SharedCredential,
    lookup::{GetOptions, Lookup, LookupResponse},
};

/// The least time between two refreshes of a key.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// The most keys that are refreshed within that time.
const MAX_REFRESHES: usize = 4096;

/// The near cache of one watched namespace.
pub(super) struct NamespaceCache {
    namespace: String,
    bound: Duration,
    store: EntryStore,
    /// Until when entries may be used: no event was missing at the last mark.
    fresh_until: AtomicU64,
    /// Entries of an earlier generation are void. Raised with the lock held.
    generation: AtomicU64,
    fills: Mutex<FillState>,
    /// When each key was refreshed last.
    refreshes: Mutex<HashMap<Arc<str>, BootInstant>>,
    watching: watch::Sender<bool>,
    hits: ShardedCounter,
    misses: AtomicU64,
    resets: AtomicU64,
}

#[derive(Default)]
struct FillState {
    watching: bool,
    pending: PendingFills,
}

/// A cached credential that may be used.
pub(super) struct NearHit {
    pub(super) credential: Arc<Credential>,
    /// The instant at which that was decided.
    at: BootInstant,
}

impl NearHit {
    /// Whether the credential is due for refresh.
    pub(super) fn is_due(&self) -> bool {
        self.at >= self.credential.due()
    }
}

impl NamespaceCache {
    /// A cache of `capacity` bytes, none of whose entries is used once the watch has
    /// been silent for `bound`.
    pub(super) fn new(namespace: String, capacity: u64, bound: Duration) -> Self {
        Self {
            namespace,
            bound,
            store: EntryStore::new(capacity),
            fresh_until: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            fills: Mutex::default(),
            refreshes: Mutex::default(),
            watching: watch::Sender::new(false),
            hits: ShardedCounter::default(),
            misses: AtomicU64::new(0),
            resets: AtomicU64::new(0),
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The credential of a key, if it may be used: at least `min_ttl` of its lifetime
    /// is left, and the cache was marked fresh within the bound.
    pub(super) fn get(
        &self,
        key: &str,
        min_ttl: Duration,
        clock: impl Fn() -> BootInstant,
    ) -> Option<NearHit> {
        // Loaded before the entry is found: with a later mark, an entry could be
        // returned that the events up to that mark have removed.
        let fresh_until = BootInstant::from_nanos(self.fresh_until.load(Ordering::Acquire));
        let generation = self.generation.load(Ordering::Acquire);
        let at = Cell::new(BootInstant::from_nanos(0));
        let found = self.store.get(key, |cached| {
            if cached.generation != generation {
                return false;
            }
            // Read last: however long this thread stood still, this instant decides.
            let now = clock();
            at.set(now);
            now < fresh_until && now < cached.deadline && cached.deadline.since(now) >= min_ttl
        });
        let Some(credential) = found else {
            self.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.hits.increment();
        let at = at.get();
        Some(NearHit { credential, at })
    }

    /// Begins a fill. Must be called before the server is asked for the key.
    pub(super) fn begin_fill(&self, key: &str) -> Fill<'_> {
        let mut fills = self.fills();
        Fill {
            cache: self,
            key: fills.pending.begin(key),
            generation: self.generation.load(Ordering::Relaxed),
            // Without a watch, revocations may be missed.
            watched: fills.watching,
        }
    }

    /// Removes every matching credential that was put before `revision`.
    pub(super) fn invalidated(&self, target: &Target, revision: u64) {
        match target {
            Target::Key(key) | Target::KeyVersion(key, _) => self.replaced(key, revision),
            Target::KeyPrefix(prefix) => {
                self.fills().pending.raise_prefix(prefix, revision);
                self.store.retain(|cached, credential| {
                    !cached.starts_with(prefix) || credential.version >= revision
                });
            }
            // The tags of entries aren't known here.
            Target::Tag(_) | Target::All => self.clear(),
        }
    }

    /// Removes versions of the key below this one.
    pub(super) fn replaced(&self, key: &str, version: u64) {
        self.fills().pending.raise(key, version);
        self.store
            .remove_if(key, |credential| credential.version < version);
    }

    /// Removes everything: events were lost, or the server is another instance.
    pub(super) fn reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
        self.clear();
    }

    /// Removes everything, and voids the fills that are under way.
    pub(super) fn clear(&self) {
        let _fills = self.fills();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Marks the entries fresh: every event before `now` was received and applied.
    pub(super) fn mark_fresh(&self, now: BootInstant) {
        let until = now.after(self.bound);
        self.fresh_until.store(until.nanos(), Ordering::Release);
    }

    /// Sets whether events reach this process.
    pub(super) fn set_watching(&self, watching: bool) {
        self.fills().watching = watching;
        self.watching.send_if_modified(|known| {
            let changes = *known != watching;
            *known = watching;
            changes
        });
    }

    /// Waits until events reach this process.
    pub(super) async fn until_watching(&self) {
        let mut watching = self.watching.subscribe();
        // The sender is borrowed, so it can't be gone.
        let _ = watching.wait_for(|watching| *watching).await;
    }

    /// Reclaims the memory of void and expired entries.
    pub(super) fn sweep(&self, now: BootInstant) {
        let generation = self.generation.load(Ordering::Acquire);
        self.store
            .retain(|cached, _| cached.generation == generation && cached.deadline > now);
        self.refreshes()
            .retain(|_, last| now.since(*last) < REFRESH_INTERVAL);
    }

    /// Whether this caller may refresh a key that is due: one caller per interval may.
    pub(super) fn may_refresh(&self, key: &str, now: BootInstant) -> bool {
        let mut refreshes = self.refreshes();
        if let Some(last) = refreshes.get_mut(key) {
            let may = now.since(*last) >= REFRESH_INTERVAL;
            if may {
                *last = now;
            }
            return may;
        }
        let may = refreshes.len() < MAX_REFRESHES;
        if may {
            refreshes.insert(key.into(), now);
        }
        may
    }

    pub(super) fn stats(&self) -> NearCacheStats {
        NearCacheStats {
            hits: self.hits.sum(),
            misses: self.misses.load(Ordering::Relaxed),
            resets: self.resets.load(Ordering::Relaxed),
            entries: self.store.len(),
            used_bytes: self.store.weight(),
        }
    }

    // Never held over an await.
    fn fills(&self) -> MutexGuard<'_, FillState> {
        self.fills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refreshes(&self) -> MutexGuard<'_, HashMap<Arc<str>, BootInstant>> {
        self.refreshes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for NamespaceCache {
    /// Asks the server, and caches its answer.
    async fn lookup(
        &self,
        client: &Client,
        namespace: &str,
        key: &str,
        options: GetOptions,
    ) -> Result<LookupResponse<SharedCredential>, Error> {
        let fill = self.begin_fill(key);
        let response = Uncached.lookup(client, namespace, key, options).await?;
        if let Lookup::Hit(credential) = &response.lookup {
            fill.complete(credential.inner());
        }
        Ok(response)
    }
}

impl fmt::Debug for NamespaceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceCache")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// A question to the server that is under way, and whose answer may be cached.
pub(super) struct Fill<'a> {
    cache: &'a NamespaceCache,
    key: Arc<str>,
    generation: u64,
    watched: bool,
}

impl Fill<'_> {
    /// Caches the answer, if nothing that matches it was revoked since the question.
    pub(super) fn complete(self, credential: &Arc<Credential>) {
        let cache = self.cache;
        let fills = cache.fills();
        let generation = cache.generation.load(Ordering::Relaxed);
        if !self.watched
            || self.generation != generation
            || credential.version < fills.pending.min_version(&self.key)
        {
            return;
        }
        // Of two answers the later may have been the quicker.
        let present = cache
            .store
            .peek(&self.key, |cached| cached.generation == generation);
        if present.is_some_and(|present| present.version > credential.version) {
            return;
        }
        cache.store.insert(&self.key, credential, generation);
    }
}

impl Drop for Fill<'_> {
    fn drop(&mut self) {
        self.cache.fills().pending.end(&self.key);
    }
}

/// What a [`NearCache`](crate::NearCache) has done for one namespace, and holds of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Lookups answered here.
    pub hits: u64,
    /// Lookups for which the server had to be asked.
    pub misses: u64,
    /// How often all credentials were removed because events were lost, or the server
    /// was another instance.
    pub resets: u64,
    /// Credentials held. Expired and removed ones count until their memory is
    /// reclaimed.
    pub entries: usize,
    /// The memory that they take, in bytes.
    pub used_bytes: u64,
}

#[cfg(test)]
mod tests;
