//! A tier: one lifetime class, kept in one size-bounded quick_cache.
//!
//! Knows nothing of deadlines or revocation: it maps names to entries, and
//! hands back what it evicted. Only this module names quick_cache.
//!
//! What entries share is no entry's: it may outlast any of them, and a weight
//! can't change while quick_cache has it. So each shard sets its part of these
//! bytes aside: a ballast lies in it that is never evicted, and weighs that much.

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

/// How names are hashed is a parameter for tests of names that have one hash.
pub(crate) struct Tier<B = NameHashes> {
    pub(crate) id: TierId,
    pub(crate) spec: TierSpec,
    /// An entry is its own key, and is taken from there: a value beside it would
    /// cost 8 bytes, but for the few that a ballast has.
    entries: sync::Cache<StoredKey, Ballast, ByWeight, B, Evictions>,
    /// How many they are.
    count: AtomicUsize,
    /// One for each of quick_cache's shards.
    parts: Box<[Mutex<ShardState>]>,
    /// Which of them sets its part aside next.
    turn: AtomicUsize,
    /// What the entries share.
    shared_bytes: SharedBytes,
    hashes: B,
}

/// What is known of a shard.
struct ShardState {
    ghosts: Ghosts,
    ballast: Ballast,
    /// What the ballast lies under.
    place: Entry,
}

/// The most shards a tier is split into; more would not lessen contention on
/// machines with fewer cores than this.
const MAX_SHARDS: u64 = 64;
/// How many of the largest entries each shard holds at least. quick_cache
/// gives each shard an equal part of the capacity and refuses what doesn't fit
/// into [`HOT`] of one.
const LARGEST_PER_SHARD: u64 = 16;
/// How much of a shard belongs to entries that were asked for again since they
/// came; the rest is for new ones to show what they are worth. A new entry that
/// is known as a ghost passes through the rest, where quick_cache would put it
/// beside the others at once, so there must be little of it: with 0.97, as
/// quick_cache has it for ghosts of its own, loops hit half a point less.
const HOT: f64 = 0.99;

/// The smallest capacity a tier can have if its largest entry has this weight.
pub(crate) fn smallest_capacity(largest_entry: u64) -> u64 {
    largest_entry * LARGEST_PER_SHARD
}

impl<B: BuildHasher + Clone> Tier<B> {
    /// A tier of at least [`smallest_capacity`].
    pub(crate) fn new(
        id: TierId,
        spec: TierSpec,
        largest_entry: u64,
        hashes: B,
        shared_bytes: SharedBytes,
    ) -> Self {
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
        let labels = LabelSets::default().of(
            &Arc::new(NamespaceRecord::placeholder()),
            Tags::default(),
            id,
        );
        let part = |shard| ShardState {
            ghosts: Ghosts::default(),
            ballast: Ballast::NONE,
            place: Entry::placeholder(labels.clone(), shard << (usize::BITS / 2)),
        };
        let shards = entries.num_shards();
        Self {
            id,
            spec,
            count: AtomicUsize::default(),
            parts: (0..shards as u64)
                .map(|shard| Mutex::new(part(shard)))
                .collect(),
            turn: AtomicUsize::default(),
            shared_bytes,
            hashes,
            entries,
        }
    }

    /// Hands the entry of a name to `read`, which must be short and not come back
    /// here: its shard is locked meanwhile.
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

    /// How many bytes its entries share.
    #[cfg(test)]
    pub(crate) fn shared_bytes(&self) -> u64 {
        self.shared_bytes.of(self.id)
    }

    /// Whether this very entry is still kept.
    pub(crate) fn keeps(&self, entry: &Entry) -> bool {
        self.entries.peek(&SameEntry(entry)).is_some()
    }

    /// Stores the entry, which the index holds already, in place of whatever has
    /// its name, and returns what was evicted for it (what it replaced among it),
    /// to be dropped by the caller outside of all locks.
    pub(crate) fn insert(&self, entry: Entry) -> Vec<Entry> {
        let (hash, version) = (self.hash(&entry), entry.version());
        let shard = self.shard(hash);
        let mut evicted = Evicted::default();
        let is_ghost = {
            let mut part = self.parts[shard].lock();
            self.set_aside(&mut part, &mut evicted);
            part.ghosts.forget(hash)
        };
        self.count.fetch_add(1, Relaxed);
        self.entries
            .insert_with_lifecycle(StoredKey(entry), Ballast::NONE, &mut evicted);
        if is_ghost {
            // As if it had been asked for already.
            self.entries.get(&ByVersion { hash, version });
        }
        // So none is behind by more than what came with as many Puts as there
        // are shards.
        let next = self.turn.fetch_add(1, Relaxed) % self.parts.len();
        if next != shard {
            self.set_aside(&mut self.parts[next].lock(), &mut evicted);
        }

        let Evicted { cold, mut hot } = evicted;
        let count = self.count.fetch_sub(cold.len() + hot.len(), Relaxed);
        for gone in &cold {
            let gone = self.hash(gone);
            // Its own is that of what it replaced.
            if gone != hash {
                let most = count / self.parts.len();
                let mut part = self.parts[self.shard(gone)].lock();
                part.ghosts.remember(gone, most);
            }
        }
        hot.extend(cold);
        hot
    }

    /// Sets aside a shard's part of the bytes that are shared. Under the part's
    /// lock, so that the latest figure stays.
    ///
    /// It bounds the tier: after a Put, the entries of its shard and an equal part
    /// of what was shared then take no more than the shard's part of the capacity.
    /// What is shared grows by Puts alone, each by one record, and no shard waits
    /// for more of them than there are shards. So entries and what they share
    /// exceed the capacity by one record for each shard at the most, whoever of
    /// those that share it goes.
    fn set_aside(&self, part: &mut ShardState, evicted: &mut Evicted) {
        let share = self
            .shared_bytes
            .of(self.id)
            .div_ceil(self.parts.len() as u64);
        let [now, then] = [Ballast::of(share), part.ballast].map(Ballast::kib);
        // Not for each record that comes and goes.
        if now > then || now + 1 < then {
            part.ballast = Ballast::of(share);
            let place = StoredKey(part.place.clone());
            self.entries
                .insert_with_lifecycle(place, part.ballast, evicted);
        }
    }

    fn shard(&self, hash: u64) -> usize {
        self.entries.shard_index(&ByHash(hash))
    }

    fn hash(&self, entry: &Entry) -> u64 {
        self.hashes.hash_one(SameEntry(entry))
    }

    /// Removes this very entry, if it is still kept.
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
