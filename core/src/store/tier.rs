//! A tier: one lifetime class, stored in one size-bounded quick_cache.
//!
//! A tier knows nothing about deadlines or revocation. It maps names to entries, and returns the
//! entries that it evicts. Only this module names quick_cache.
//!
//! Labels aren't charged to any entry: they may outlast each of them, and the weight of an entry
//! can't change while quick_cache holds it. Instead, each shard reserves its share of the labels'
//! bytes with a ballast: an item of that weight which is never evicted.

mod ghosts;
pub(crate) mod keys;
#[cfg(test)]
mod tests;
mod weights;

use std::{
    hash::BuildHasher,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use quick_cache::{OptionsBuilder, sync};

use crate::store::tier::{
    keys::{ByHash, ByVersion, InPlaceRead, NameHashes, SameEntry, StoredKey},
    weights::{Ballast, ByWeight, Evicted, Evictions},
};
use crate::{
    model::{
        tags::Tags,
        tier_spec::{TierId, TierSpec},
    },
    store::{
        entry::{Entry, LookupKey},
        labels::{LabelSets, SharedBytes},
        namespaces::NamespaceRecord,
        tier::ghosts::Ghosts,
    },
    sync::{AtomicUsize, Mutex},
};

/// The hasher is a parameter so that tests can use names with equal hashes.
pub(crate) struct Tier<B = NameHashes> {
    pub(crate) id: TierId,
    pub(crate) spec: TierSpec,
    /// An entry is its own key, and is read from there: a separate value would cost 8 bytes per
    /// entry. Only the few placeholders have a ballast.
    entries: sync::Cache<StoredKey, Ballast, ByWeight, B, Evictions>,
    /// The number of entries.
    count: AtomicUsize,
    /// The state of each of quick_cache's shards.
    shard_states: Box<[Mutex<ShardState>]>,
    /// Counts up to choose the shard that adjusts its ballast next.
    next_ballast: AtomicUsize,
    /// The bytes of labels, by tier.
    shared_bytes: SharedBytes,
    hashes: B,
}

/// The tier's own state for one shard of quick_cache.
struct ShardState {
    ghosts: Ghosts,
    ballast: Ballast,
    /// The placeholder that the ballast is stored under.
    ballast_key: Entry,
}

/// The most shards of a tier; more would not lessen contention on machines with fewer cores than
/// this.
const MAX_SHARDS: u64 = 64;
/// How many of the largest entries each shard has room for. quick_cache gives each shard an equal
/// part of the capacity, and rejects an item that doesn't fit into the [`HOT`] part of its shard.
const LARGEST_PER_SHARD: u64 = 16;
/// The part of a shard for entries that were read again since they were stored. The rest is for new
/// entries to prove their worth. A new entry that is known as a ghost passes through the rest,
/// whereas quick_cache would make it hot at once, so the rest must be small: with 0.97, which
/// quick_cache uses with ghosts of its own, loops hit half a point less.
const HOT: f64 = 0.99;

/// The smallest capacity, in bytes, of a tier whose largest entry has this weight.
pub(crate) fn smallest_capacity(largest_entry: u64) -> u64 {
    largest_entry * LARGEST_PER_SHARD
}

impl<B: BuildHasher + Clone> Tier<B> {
    /// Creates a tier, whose capacity must be at least [`smallest_capacity`].
    pub(crate) fn new(
        id: TierId,
        spec: TierSpec,
        largest_entry: u64,
        hashes: B,
        shared_bytes: SharedBytes,
    ) -> Self {
        // Rounded down to a power of two: quick_cache rounds up, which would make the shards too
        // small for the largest entry.
        let max_shards = (spec.capacity / smallest_capacity(largest_entry)).clamp(1, MAX_SHARDS);
        let shards = 1 << max_shards.ilog2();
        let mut options = OptionsBuilder::new();
        options
            .shards(shards)
            .weight_capacity(spec.capacity)
            .hot_allocation(HOT)
            // quick_cache's own ghosts are off, and the number of shards isn't reduced for small
            // caches.
            .ghost_allocation(0.0)
            .estimated_items_capacity(usize::MAX);
        #[expect(
            clippy::expect_used,
            reason = "fails only where a capacity is unset; both are set above"
        )]
        let options = options.build().expect("both capacities are set");
        let entries = sync::Cache::with_options(options, ByWeight, hashes.clone(), Evictions);
        let labels = LabelSets::default().of(
            &Arc::new(NamespaceRecord::placeholder()),
            Tags::default(),
            id,
        );
        let state = |shard| ShardState {
            ghosts: Ghosts::default(),
            ballast: Ballast::NONE,
            ballast_key: Entry::placeholder(labels.clone(), shard << (usize::BITS / 2)),
        };
        let shards = entries.num_shards();
        Self {
            id,
            spec,
            count: AtomicUsize::default(),
            shard_states: (0..shards as u64)
                .map(|shard| Mutex::new(state(shard)))
                .collect(),
            next_ballast: AtomicUsize::default(),
            shared_bytes,
            hashes,
            entries,
        }
    }

    /// Passes the entry of a name to `read`. `read` runs while the shard is locked, so it must be
    /// short and must not call the tier.
    #[inline]
    pub(crate) fn read<R>(
        &self,
        hash: u64,
        name: &LookupKey<'_>,
        read: &mut impl FnMut(&Entry) -> R,
    ) -> Option<R> {
        let reading = InPlaceRead::new(hash, name, read);
        self.entries.get(&reading)?;
        reading.result()
    }

    /// The bytes of the labels of the tier's entries.
    #[cfg(test)]
    pub(crate) fn shared_bytes(&self) -> u64 {
        self.shared_bytes.of(self.id)
    }

    /// Whether the tier still holds exactly this entry.
    pub(crate) fn keeps(&self, entry: &Entry) -> bool {
        self.entries.peek(&SameEntry(entry)).is_some()
    }

    /// Stores an entry in place of any entry with the same name. The index must hold the entry
    /// already. Returns the entries that were evicted, including the replaced one, for the caller
    /// to drop after releasing all locks.
    pub(crate) fn insert(&self, entry: Entry) -> Vec<Entry> {
        let (hash, version) = (self.hash(&entry), entry.version());
        let shard = self.shard(hash);
        let mut evicted = Evicted::default();
        let is_ghost = {
            let mut state = self.shard_states[shard].lock();
            self.adjust_ballast(&mut state, &mut evicted);
            state.ghosts.forget(hash)
        };
        self.count.fetch_add(1, Relaxed);
        self.entries
            .insert_with_lifecycle(StoredKey(entry), Ballast::NONE, &mut evicted);
        if is_ghost {
            // As if the entry had been read already.
            self.entries.get(&ByVersion { hash, version });
        }
        // Each Put also adjusts the ballast of one other shard, so no ballast lags behind by more
        // records than there are shards.
        let next = self.next_ballast.fetch_add(1, Relaxed) % self.shard_states.len();
        if next != shard {
            self.adjust_ballast(&mut self.shard_states[next].lock(), &mut evicted);
        }

        let Evicted { cold, mut hot } = evicted;
        let count = self.count.fetch_sub(cold.len() + hot.len(), Relaxed);
        for entry in &cold {
            let gone = self.hash(entry);
            // An evicted entry with the same hash is the one that was replaced.
            if gone != hash {
                let per_shard = count / self.shard_states.len();
                let mut state = self.shard_states[self.shard(gone)].lock();
                state.ghosts.remember(gone, per_shard);
            }
        }
        hot.extend(cold);
        hot
    }

    /// Adjusts a shard's ballast to its share of the labels' bytes. The caller holds the lock of
    /// the shard's state, so the latest figure prevails.
    ///
    /// This bounds the tier. After a Put, the entries of its shard and an equal share of the labels
    /// take no more than the shard's share of the capacity. Only Puts add labels, each Put at most
    /// one record, and no shard lags behind by more Puts than there are shards. So entries and
    /// labels together exceed the capacity by at most one record per shard, regardless of which of
    /// the entries that share a record is evicted.
    fn adjust_ballast(&self, state: &mut ShardState, evicted: &mut Evicted) {
        let share = self
            .shared_bytes
            .of(self.id)
            .div_ceil(self.shard_states.len() as u64);
        let [new, old] = [Ballast::of(share), state.ballast].map(Ballast::kib);
        // A small decrease is ignored, so that the ballast isn't replaced for each record that
        // comes and goes.
        if new > old || new + 1 < old {
            state.ballast = Ballast::of(share);
            let key = StoredKey(state.ballast_key.clone());
            self.entries
                .insert_with_lifecycle(key, state.ballast, evicted);
        }
    }

    fn shard(&self, hash: u64) -> usize {
        self.entries.shard_index(&ByHash(hash))
    }

    fn hash(&self, entry: &Entry) -> u64 {
        self.hashes.hash_one(SameEntry(entry))
    }

    /// Removes exactly this entry, if the tier still holds it.
    pub(crate) fn remove(&self, entry: &Entry) {
        if self
            .entries
            .remove_if(&SameEntry(entry), |_| true)
            .is_some()
        {
            self.count.fetch_sub(1, Relaxed);
        }
    }
}
