//! A tier: one lifetime class, kept in one size-bounded quick_cache.
//!
//! Knows nothing of deadlines or revocation: it maps names to entries, and
//! hands back what it pushed out. Only this file names quick_cache.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter, sync};

use super::{
    entry::Entry,
    name::Name,
    tier_spec::{TierId, TierSpec},
};

pub(super) struct Tier {
    pub(super) id: TierId,
    pub(super) spec: TierSpec,
    entries: sync::Cache<Stored, Arc<Entry>, ByWeight, Prehashed, PushedOut>,
}

/// The most shards a tier is split into; more would not lessen contention on
/// machines with fewer cores than this.
const MAX_SHARDS: u64 = 64;
/// How many of the largest entries each shard holds at least. quick_cache
/// gives each shard an equal part of the capacity and refuses what doesn't fit
/// into 97 % of one.
const LARGEST_PER_SHARD: u64 = 16;
/// A guess at the typical entry. It bounds how many entries that were pushed
/// out quick_cache remembers: half as many as there would be of these, each in
/// a slot of its slab (40 bytes) and of its table, which `ENTRY_OVERHEAD`
/// includes.
const TYPICAL_WEIGHT: u64 = 1024;

/// The smallest capacity a tier can have if its largest entry has this weight.
pub(super) fn smallest_capacity(largest_entry: u64) -> u64 {
    largest_entry * LARGEST_PER_SHARD
}

impl Tier {
    /// A tier of at least [`smallest_capacity`].
    pub(super) fn new(id: TierId, spec: TierSpec, largest_entry: u64) -> Self {
        // Rounded down to a power of two: quick_cache rounds up, which would
        // make the shards too small for the largest entry.
        let most = (spec.capacity / smallest_capacity(largest_entry)).clamp(1, MAX_SHARDS);
        let shards = 1 << most.ilog2();
        let mut options = OptionsBuilder::new();
        options
            .shards(shards)
            .weight_capacity(spec.capacity)
            .estimated_items_capacity(
                usize::try_from(spec.capacity / TYPICAL_WEIGHT).unwrap_or(usize::MAX),
            );
        #[expect(
            clippy::expect_used,
            reason = "fails only where a capacity is unset; both are set above"
        )]
        let options = options.build().expect("both capacities are set");
        let entries = sync::Cache::with_options(options, ByWeight, Prehashed, PushedOut);
        Self { id, spec, entries }
    }

    #[inline]
    pub(super) fn get(&self, hash: u64, name: Name<'_>) -> Option<Arc<Entry>> {
        self.entries.get(&Sought { hash, name })
    }

    /// Whether this very entry is still kept.
    pub(super) fn keeps(&self, entry: &Entry) -> bool {
        self.entries
            .peek(entry)
            .is_some_and(|kept| kept.version == entry.version)
    }

    /// Stores the entry in place of whatever has its name, and returns what was
    /// pushed out for it (what it replaced among it), to be dropped by the
    /// caller outside of all locks.
    pub(super) fn insert(&self, entry: Arc<Entry>) -> Vec<Arc<Entry>> {
        let mut pushed_out = Vec::new();
        self.entries
            .insert_with_lifecycle(Stored(entry.clone()), entry, &mut pushed_out);
        pushed_out
    }

    /// Removes this very entry, if it is still kept.
    pub(super) fn remove(&self, entry: &Entry) {
        self.entries
            .remove_if(entry, |kept| kept.version == entry.version);
    }
}

/// An entry as its own key: the name isn't kept twice.
struct Stored(Arc<Entry>);

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        (*self.0).equivalent(other)
    }
}

impl Eq for Stored {}

/// A name that is looked up, with its hash computed once for all tiers.
struct Sought<'a> {
    hash: u64,
    name: Name<'a>,
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Stored> for Sought<'_> {
    fn equivalent(&self, stored: &Stored) -> bool {
        self.hash == stored.0.hash && stored.0.is_named(self.name)
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Stored> for Entry {
    fn equivalent(&self, stored: &Stored) -> bool {
        self.hash == stored.0.hash
            && self.key == stored.0.key
            && self.namespace.name == stored.0.namespace.name
    }
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Stored, Arc<Entry>> for ByWeight {
    fn weight(&self, _: &Stored, entry: &Arc<Entry>) -> u64 {
        entry.weight.into()
    }
}

/// Collects what leaves the cache, so that it is dropped, and its memory
/// zeroed, after the shard's lock is released.
#[derive(Clone)]
struct PushedOut;

impl Lifecycle<Stored, Arc<Entry>> for PushedOut {
    type RequestState = Vec<Arc<Entry>>;

    fn on_evict(&self, pushed_out: &mut Self::RequestState, _: Stored, entry: Arc<Entry>) {
        pushed_out.push(entry);
    }
}

/// Passes through the one `u64` that a name hashes to: it was made by a keyed
/// hash already.
#[derive(Clone)]
struct Prehashed;

#[derive(Default)]
struct PassThrough(u64);

impl BuildHasher for Prehashed {
    type Hasher = PassThrough;

    fn build_hasher(&self) -> PassThrough {
        PassThrough::default()
    }
}

impl Hasher for PassThrough {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
