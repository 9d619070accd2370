//! Where entries are kept, and what they weigh. Only this file names quick_cache.

use std::sync::Arc;

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{Credential, clock::BootInstant};

/// What an entry takes beside its own bytes: the table, the credential, the
/// counts of its handles.
const ENTRY_OVERHEAD: usize = 320;
/// A shard much smaller couldn't keep a credential of the largest size.
const SMALLEST_SHARD: u64 = 512 * 1024;

pub(super) type Store = Cache<Arc<str>, Entry, Weight>;

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) credential: Arc<Credential>,
    pub(super) generation: u64,
    // The credential's own: to judge it takes no second place in memory.
    pub(super) deadline: BootInstant,
    pub(super) due: BootInstant,
}

/// Room for `capacity` bytes.
pub(super) fn new(capacity: u64) -> Store {
    let shards = std::thread::available_parallelism().map_or(4, |cores| cores.get() * 4);
    let shards = (capacity / SMALLEST_SHARD).clamp(1, shards.try_into().unwrap_or(u64::MAX));
    // Rounded down to a power of two, for it is rounded up.
    let shards = 1 << shards.ilog2();
    let entries = usize::try_from(capacity / 1024).unwrap_or(usize::MAX);
    let options = OptionsBuilder::new()
        .shards(shards)
        .estimated_items_capacity(entries.max(1))
        .weight_capacity(capacity)
        .build();
    let hasher = DefaultHashBuilder::default();
    match options {
        Ok(options) => Cache::with_options(options, Weight, hasher, DefaultLifecycle::default()),
        // Can't be: both capacities are set.
        Err(_) => Cache::with_weighter(entries.max(1), capacity, Weight),
    }
}

#[derive(Clone)]
pub(super) struct Weight;

impl Weighter<Arc<str>, Entry> for Weight {
    fn weight(&self, key: &Arc<str>, entry: &Entry) -> u64 {
        let credential = &entry.credential;
        let attributes: usize = credential
            .attributes
            .iter()
            .map(|(name, text)| name.len() + text.len())
            .sum();
        let bytes = key.len() + credential.value.expose().len() + attributes + ENTRY_OVERHEAD;
        bytes.try_into().unwrap_or(u64::MAX)
    }
}
