//! A tier: one lifetime class, kept in one size-bounded quick_cache.
//!
//! Knows nothing of deadlines or revocation: it maps names to entries, and
//! hands back what it evicted. Only this file names quick_cache.

mod ghosts;
#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    hash::{BuildHasher, Hash, Hasher},
    sync::atomic::Ordering::Relaxed,
};

use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter, sync};

use super::{
    entry::Entry,
    name::Sought,
    revision::Revision,
    sync::{AtomicUsize, HashState, Mutex},
    tier_spec::{TierId, TierSpec},
};
use ghosts::Ghosts;

/// How names are hashed is a parameter for tests of names that have one hash.
pub(super) struct Tier<B = NameHashes> {
    pub(super) id: TierId,
    pub(super) spec: TierSpec,
    /// An entry is its own key, and is taken from there: a value beside it would
    /// cost 8 bytes.
    entries: sync::Cache<Stored, (), ByWeight, B, Evictions>,
    /// How many they are.
    count: AtomicUsize,
    /// One for each of quick_cache's shards.
    ghosts: Box<[Mutex<Ghosts>]>,
    hashes: B,
}

/// The most shards a tier is split into; more would not lessen contention on
/// machines with fewer cores than this.
const MAX_SHARDS: u64 = 64;
/// How many of the largest entries each shard holds at least. quick_cache
/// gives each shard an equal part of the capacity and refuses what doesn't fit
/// into 97 % of one.
const LARGEST_PER_SHARD: u64 = 16;
/// How much of a shard belongs to entries that were asked for again since they
/// came; the rest is for new ones to show what they are worth. A new entry that
/// is known as a ghost passes through the rest, where quick_cache would put it
/// beside the others at once, so there must be little of it: with 0.97, as
/// quick_cache has it for ghosts of its own, loops hit half a point less.
const HOT: f64 = 0.99;

/// The smallest capacity a tier can have if its largest entry has this weight.
pub(super) fn smallest_capacity(largest_entry: u64) -> u64 {
    largest_entry * LARGEST_PER_SHARD
}

impl<B: BuildHasher + Clone> Tier<B> {
    /// A tier of at least [`smallest_capacity`].
    pub(super) fn new(id: TierId, spec: TierSpec, largest_entry: u64, hashes: B) -> Self {
        // Rounded down to a power of two: quick_cache rounds up, which would
        // make the shards too small for the largest entry.
        let most = (spec.capacity / smallest_capacity(largest_entry)).clamp(1, MAX_SHARDS);
        let shards = 1 << most.ilog2();
        let mut options = OptionsBuilder::new();
        options
            .shards(shards)
            .weight_capacity(spec.capacity)
            .hot_allocation(HOT)
            // No ghosts but ours, and as many shards as asked for.
            .ghost_allocation(0.0)
            .estimated_items_capacity(usize::MAX);
        #[expect(
            clippy::expect_used,
            reason = "fails only where a capacity is unset; both are set above"
        )]
        let options = options.build().expect("both capacities are set");
        let entries = sync::Cache::with_options(options, ByWeight, hashes.clone(), Evictions);
        Self {
            id,
            spec,
            count: AtomicUsize::default(),
            ghosts: (0..entries.num_shards())
                .map(|_| Mutex::default())
                .collect(),
            hashes,
            entries,
        }
    }

    /// Hands the entry of a name to `read`, which must be short and not come back
    /// here: its shard is locked meanwhile.
    #[inline]
    pub(super) fn read<R>(
        &self,
        hash: u64,
        name: &Sought<'_>,
        read: &mut impl FnMut(&Entry) -> R,
    ) -> Option<R> {
        let reading = Reading {
            hash,
            name,
            read: Cell::new(Some(read)),
            result: Cell::new(None),
        };
        self.entries.get(&reading)?;
        reading.result.take()
    }

    /// Whether this very entry is still kept.
    pub(super) fn keeps(&self, entry: &Entry) -> bool {
        self.entries.peek(&This(entry)).is_some()
    }

    /// Stores the entry in place of whatever has its name, and returns what was
    /// evicted for it (what it replaced among it), to be dropped by the caller
    /// outside of all locks.
    pub(super) fn insert(&self, entry: Entry) -> Vec<Entry> {
        let (hash, version) = (self.hash(&entry), entry.version());
        let mut evicted = Evicted::default();
        self.entries
            .insert_with_lifecycle(Stored(entry), (), &mut evicted);
        self.count.fetch_add(1, Relaxed);
        self.count.fetch_sub(evicted.len(), Relaxed);
        if self.was_evicted_lately(hash, &evicted.cold) {
            // As if it had been asked for already.
            self.entries.get(&Newest { hash, version });
        }
        let Evicted { cold, mut hot } = evicted;
        hot.extend(cold);
        hot
    }

    /// Whether an entry of this hash was evicted lately. Remembers those that
    /// were evicted for it without having been asked for.
    fn was_evicted_lately(&self, hash: u64, for_it: &[Entry]) -> bool {
        let most = self.count.load(Relaxed) / self.ghosts.len();
        let shard = self.entries.shard_index(&Hashed(hash));
        let mut ghosts = self.ghosts[shard].lock();
        let is_known = ghosts.forget(hash);
        for gone in for_it {
            let gone = self.hash(gone);
            // Its own is that of what it replaced.
            if gone != hash {
                ghosts.remember(gone, most);
            }
        }
        is_known
    }

    fn hash(&self, entry: &Entry) -> u64 {
        self.hashes.hash_one(This(entry))
    }

    /// Removes this very entry, if it is still kept.
    pub(super) fn remove(&self, entry: &Entry) {
        if self.entries.remove_if(&This(entry), |()| true).is_some() {
            self.count.fetch_sub(1, Relaxed);
        }
    }
}

/// An entry as its own key: the name isn't kept twice.
struct Stored(Entry);

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        This(&self.0).hash(state);
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.0.has_name_of(&other.0)
    }
}

impl Eq for Stored {}

/// A name that is looked up, with its hash computed once for all tiers.
struct Reading<'a, R, F> {
    hash: u64,
    /// Not copied: it was written just now, and in other words than a copy would
    /// read, which the processor waits for.
    name: &'a Sought<'a>,
    /// Done while the shard's lock is held: quick_cache hands out values only, so
    /// what is to be seen of an entry is seen when it is compared.
    read: Cell<Option<&'a mut F>>,
    result: Cell<Option<R>>,
}

impl<R, F> Hash for Reading<'_, R, F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<R, F: FnMut(&Entry) -> R> Equivalent<Stored> for Reading<'_, R, F> {
    #[inline]
    fn equivalent(&self, stored: &Stored) -> bool {
        let is_it = stored.0.is_named(self.name);
        if is_it && let Some(read) = self.read.take() {
            self.result.set(Some(read(&stored.0)));
        }
        is_it
    }
}

/// One very entry, and no other of its name.
struct This<'a>(&'a Entry);

impl Hash for This<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

impl Equivalent<Stored> for This<'_> {
    fn equivalent(&self, stored: &Stored) -> bool {
        self.0.version() == stored.0.version()
    }
}

/// The same, by its version, once its handle was given away.
struct Newest {
    hash: u64,
    version: Revision,
}

impl Hash for Newest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Stored> for Newest {
    fn equivalent(&self, stored: &Stored) -> bool {
        self.version == stored.0.version()
    }
}

/// A place by its hash alone, where nothing is.
struct Hashed(u64);

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Equivalent<Stored> for Hashed {
    fn equivalent(&self, _: &Stored) -> bool {
        false
    }
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Stored, ()> for ByWeight {
    fn weight(&self, stored: &Stored, (): &()) -> u64 {
        stored.0.weight().into()
    }
}

/// Collects what leaves the cache, so that it is dropped, and its memory
/// zeroed, after the shard's lock is released.
#[derive(Clone)]
struct Evictions;

#[derive(Default)]
struct Evicted {
    /// New, and not asked for since they came.
    cold: Vec<Entry>,
    hot: Vec<Entry>,
}

impl Evicted {
    fn len(&self) -> usize {
        self.cold.len() + self.hot.len()
    }
}

impl Lifecycle<Stored, ()> for Evictions {
    type RequestState = Evicted;

    fn on_evict_cold(&self, evicted: &mut Evicted, stored: Stored, (): ()) {
        evicted.cold.push(stored.0);
    }

    fn on_evict_hot(&self, evicted: &mut Evicted, stored: Stored, (): ()) {
        evicted.hot.push(stored.0);
    }
}

/// Hashes names, and passes through the one `u64` of a name that was hashed
/// already.
#[derive(Clone)]
pub(super) struct NameHashes<S = HashState>(pub(super) S);

pub(super) struct NameHasher<H> {
    of_name: H,
    known: Option<u64>,
}

impl<S: BuildHasher> BuildHasher for NameHashes<S> {
    type Hasher = NameHasher<S::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        NameHasher {
            of_name: self.0.build_hasher(),
            known: None,
        }
    }
}

impl<H: Hasher> Hasher for NameHasher<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.of_name.write(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.known = Some(hash);
    }

    fn finish(&self) -> u64 {
        self.known.unwrap_or_else(|| self.of_name.finish())
    }
}
