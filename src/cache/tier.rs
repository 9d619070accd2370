//! A tier: one lifetime class, kept in one size-bounded quick_cache.
//!
//! Knows nothing of deadlines or revocation: it maps names to entries, and
//! hands back what it pushed out. Only this file names quick_cache.

use std::{
    cell::Cell,
    hash::{BuildHasher, Hash, Hasher},
};

use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter, sync};

use super::{
    entry::Entry,
    name::Sought,
    sync::HashState,
    tier_spec::{TierId, TierSpec},
};

/// How names are hashed is a parameter for tests of names that have one hash.
pub(super) struct Tier<B = NameHashes> {
    pub(super) id: TierId,
    pub(super) spec: TierSpec,
    /// An entry is its own key, and is taken from there: a value beside it would
    /// cost 8 bytes.
    entries: sync::Cache<Stored, (), ByWeight, B, PushedOut>,
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
/// a slot of its slab (32 bytes) and of its table, which `ENTRY_OVERHEAD`
/// includes.
const TYPICAL_WEIGHT: u64 = 1024;

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
            .estimated_items_capacity(
                usize::try_from(spec.capacity / TYPICAL_WEIGHT).unwrap_or(usize::MAX),
            );
        #[expect(
            clippy::expect_used,
            reason = "fails only where a capacity is unset; both are set above"
        )]
        let options = options.build().expect("both capacities are set");
        let entries = sync::Cache::with_options(options, ByWeight, hashes, PushedOut);
        Self { id, spec, entries }
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
    /// pushed out for it (what it replaced among it), to be dropped by the
    /// caller outside of all locks.
    pub(super) fn insert(&self, entry: Entry) -> Vec<Entry> {
        let mut pushed_out = Vec::new();
        self.entries
            .insert_with_lifecycle(Stored(entry), (), &mut pushed_out);
        pushed_out
    }

    /// Removes this very entry, if it is still kept.
    pub(super) fn remove(&self, entry: &Entry) {
        self.entries.remove_if(&This(entry), |()| true);
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
struct PushedOut;

impl Lifecycle<Stored, ()> for PushedOut {
    type RequestState = Vec<Entry>;

    fn on_evict(&self, pushed_out: &mut Self::RequestState, stored: Stored, (): ()) {
        pushed_out.push(stored.0);
    }
}

/// Hashes names, and passes through the one `u64` of a name that was hashed
/// already.
#[derive(Clone)]
pub(super) struct NameHashes(pub(super) HashState);

pub(super) struct NameHasher {
    of_name: <HashState as BuildHasher>::Hasher,
    known: Option<u64>,
}

impl BuildHasher for NameHashes {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher {
            of_name: self.0.build_hasher(),
            known: None,
        }
    }
}

impl Hasher for NameHasher {
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
